//! Which weights do a request's LoRAs change, and do two requests change a weight alike?

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::LoraError;
use super::apply::{Patch, Ready};
use super::file::LoraFile;
use crate::models::Component;
use crate::weights::Change;

/// The LoRAs of one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Adapters {
    by_component: HashMap<Component, Arc<ComponentAdapters>>,
    /// The LoRAs in the order in which they are applied.
    pub(crate) applied: Vec<AppliedLora>,
    /// A remark about each file with tensors that have no place in the model.
    pub(crate) remarks: Vec<String>,
}

/// A LoRA that a picture was made with.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AppliedLora {
    /// The file, as the request names it.
    pub path: PathBuf,
    /// How strongly it was applied.
    pub weight: f64,
}

/// The LoRAs that change one component.
#[derive(Debug, Default)]
pub(crate) struct ComponentAdapters {
    /// The patches, by the names of the weights that they change.
    patches: BTreeMap<String, Vec<Patch>>,
    id: AdaptersId,
}

/// Distinguishes the LoRAs of two requests: for each file, its number in this process and the bits
/// of its weight.
pub(crate) type AdaptersId = Vec<(u64, u32)>;

impl PartialEq for ComponentAdapters {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// An opened file with the weight that a request gives it.
pub(super) struct Wanted {
    pub(super) file: Arc<LoraFile>,
    pub(super) file_id: u64,
    pub(super) path: PathBuf,
    pub(super) weight: f64,
}

/// How many names a remark shows.
const MOST_SHOWN: usize = 3;

impl Adapters {
    pub(super) fn new(wanted: Vec<Wanted>) -> Self {
        let mut all: HashMap<Component, ComponentAdapters> = HashMap::new();
        let (mut applied, mut remarks) = (Vec::new(), Vec::new());
        for Wanted { file, file_id, path, weight } in wanted {
            #[expect(clippy::cast_possible_truncation, reason = "weights are changed in f32")]
            let strength = weight as f32;
            for (&component, layers) in &file.layers {
                // Only a DoRA changes anything with a weight of 0.
                let mut acting =
                    layers.iter().filter(|(_, layer)| strength != 0.0 || layer.magnitude.is_some());
                let mut acting = acting.by_ref().peekable();
                if acting.peek().is_none() {
                    continue;
                }
                let of_component = all.entry(component).or_default();
                of_component.id.push((file_id, strength.to_bits()));
                for (name, _) in acting {
                    of_component.patches.entry(name.clone()).or_default().push(Patch {
                        file: Arc::clone(&file),
                        file_id,
                        weight: strength,
                        component,
                        name: name.clone(),
                    });
                }
            }
            remarks.extend(remark(&file));
            applied.push(AppliedLora { path, weight });
        }
        let by_component = all.into_iter().map(|(component, own)| (component, Arc::new(own)));
        Self { by_component: by_component.collect(), applied, remarks }
    }

    /// The LoRAs that change a component.
    pub(crate) fn of(&self, component: Component) -> Arc<ComponentAdapters> {
        self.by_component.get(&component).map(Arc::clone).unwrap_or_default()
    }
}

fn remark(file: &LoraFile) -> Option<String> {
    let unknown = file.unknown.len();
    if unknown == 0 {
        return None;
    }
    let shown: Vec<String> =
        file.unknown.iter().take(MOST_SHOWN).map(|name| format!("`{name}`")).collect();
    let more = if unknown > MOST_SHOWN { ", ..." } else { "" };
    Some(format!(
        "the LoRA {}: {unknown} of its {} tensors have no place in this model and are left out: \
         {}{more}",
        file.path.display(),
        file.count,
        shown.join(", ")
    ))
}

impl ComponentAdapters {
    /// The id that distinguishes these LoRAs from those of another request.
    pub(crate) fn id(&self) -> &AdaptersId {
        &self.id
    }

    /// Whether a weight has the same values with these LoRAs and with `others`.
    pub(crate) fn agree_on(&self, others: &Self, name: &str) -> bool {
        self.patches.get(name) == others.patches.get(name)
    }

    /// The change of the weight `name`; `None` if no LoRA changes it. `columns` is how many values
    /// each of its rows has.
    ///
    /// # Errors
    /// If a LoRA's file cannot be read any more.
    pub(crate) fn change(
        &self,
        name: &str,
        columns: usize,
    ) -> Result<Option<Change<'static>>, LoraError> {
        let Some(patches) = self.patches.get(name) else { return Ok(None) };
        let ready = Ready::new(patches)?;
        Ok(Some(Box::new(move |first, values| ready.change(first, columns, values))))
    }
}
