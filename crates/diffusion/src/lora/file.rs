//! What does a LoRA file change in a model?
//!
//! A file is described once: each tensor's place in the model is found, and each shape is checked.
//! The values are read from the file each time that a weight is changed; the file stays open. If
//! the file is truncated meanwhile, reading gives an error and does not end the process.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::LoraError;
use super::family;
use super::key::{Key, Part};
use super::metadata::Configs;
use super::names::{ModuleNames, NamedWeight};
use super::network::{LoraTensor, Network, Of, Parts, Values};
use crate::models::{Component, Family};
use crate::weights::{Described, WeightsError, describe, floats};

/// A LoRA file, described for one model.
#[derive(Debug)]
pub(crate) struct LoraFile {
    pub(super) path: PathBuf,
    handle: File,
    /// What the file changes, by component and by the weight's name.
    pub(super) layers: HashMap<Component, BTreeMap<String, Layer>>,
    /// The names of tensors that have no place in the model.
    pub(super) unknown: Vec<String>,
    /// How many tensors the file has.
    pub(super) count: usize,
}

/// The change of one weight.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) network: Network,
    /// The norms of the changed weight's rows (DoRA).
    pub(super) magnitude: Option<LoraTensor>,
    /// The number that the change is multiplied by, apart from the weight in the request.
    pub(super) scale: f32,
}

/// The tensors of one layer, by the layer's name in the file. The flag is true for a name of the
/// original code, so the names of diffusers come first.
type Spellings = BTreeMap<(bool, String), Parts>;

/// How many names an error shows.
const MOST_SHOWN: usize = 3;

impl LoraFile {
    /// Describes the file at `path` for the model with these names.
    pub(super) fn open(path: &Path, names: &ModuleNames, model: Family) -> Result<Self, LoraError> {
        let is_pickle = path.extension().and_then(|ending| ending.to_str());
        if is_pickle.is_some_and(|ending| ["pt", "pth", "bin", "ckpt"].contains(&ending)) {
            return Err(LoraError::Pickle { path: path.to_owned() });
        }
        let open = |source: WeightsError| LoraError::Open {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let Described { handle, tensors, metadata } = describe(path).map_err(open)?;
        let configs = Configs::of(path, &metadata)?;
        let tensors: Vec<LoraTensor> = tensors
            .into_iter()
            .map(|tensor| LoraTensor {
                key: tensor.name,
                dims: tensor.dims,
                dtype: tensor.dtype,
                dtype_name: tensor.dtype_name,
                range: tensor.range,
            })
            .collect();
        let seems = family::guess(
            tensors.iter().map(|tensor| (tensor.key.as_str(), tensor.dims.as_slice())),
        );
        let count = tensors.len();
        let all: Vec<String> =
            tensors.iter().take(MOST_SHOWN).map(|tensor| tensor.key.clone()).collect();
        let mut file = Self {
            path: path.to_owned(),
            handle,
            layers: HashMap::new(),
            unknown: Vec::new(),
            count,
        };
        for (found, parts) in file.sorted(tensors, names) {
            let of = Of { path, weight: found, seems: seems.filter(|seems| !is(model, seems)) };
            file.add_layer(parts, of, &configs)?;
        }
        if file.layers.is_empty() {
            return Err(LoraError::NothingMatches {
                path: path.to_owned(),
                model: match model {
                    Family::StableDiffusion => "Stable Diffusion 1.x or 2.x",
                    Family::StableDiffusionXl => "Stable Diffusion XL",
                },
                seems: seems.filter(|seems| !is(model, seems)),
                keys: all,
                count,
            });
        }
        file.unknown.sort_unstable();
        Ok(file)
    }

    /// The tensors by the weight that they change. If a file uses two names for a weight, the
    /// tensors under diffusers' name are used and those under the original code's name are left
    /// out, as in diffusers.
    fn sorted<'n>(
        &mut self,
        tensors: Vec<LoraTensor>,
        names: &'n ModuleNames,
    ) -> Vec<(&'n NamedWeight, Parts)> {
        let mut layers: BTreeMap<(Component, &str), Spellings> = BTreeMap::new();
        let mut weights = HashMap::new();
        for tensor in tensors {
            let key = Key::parse(&tensor.key);
            let found = key.as_ref().and_then(|key| names.find(key.component, &key.layer));
            let (Some(key), Some((weight, is_original))) = (key, found) else {
                self.unknown.push(tensor.key);
                continue;
            };
            let of = (weight.component, weight.name.as_str());
            weights.insert(of, weight);
            let spellings = layers.entry(of).or_default();
            let parts = spellings.entry((is_original, key.layer)).or_default();
            if let Some(twice) = parts.insert(key.part, tensor) {
                self.unknown.push(twice.key);
            }
        }
        let mut sorted = Vec::with_capacity(layers.len());
        for (of, spellings) in layers {
            let mut spellings = spellings.into_values();
            if let (Some(weight), Some(parts)) = (weights.get(&of), spellings.next()) {
                sorted.push((*weight, parts));
            }
            self.unknown.extend(spellings.flat_map(BTreeMap::into_values).map(|tensor| tensor.key));
        }
        sorted
    }

    fn add_layer(
        &mut self,
        mut parts: Parts,
        of: Of<'_>,
        configs: &Configs,
    ) -> Result<(), LoraError> {
        for tensor in parts.values() {
            if tensor.dtype.is_none_or(|dtype| floats(dtype, &[]).is_none()) {
                return Err(self.no_floats(tensor));
            }
        }
        let alpha = parts.remove(&Part::Alpha);
        let network = Network::of(&mut parts, of)?;
        let dora_scale = parts.remove(&Part::DoraScale);
        let magnitude = match &network {
            Some(_) => dora_scale.or_else(|| parts.remove(&Part::Magnitude)),
            None => None,
        };
        self.unknown.extend(parts.into_values().map(|tensor| tensor.key));
        let Some(network) = network else {
            self.unknown.extend(alpha.into_iter().map(|tensor| tensor.key));
            return Ok(());
        };
        if let Some(magnitude) = &magnitude {
            check_magnitude(magnitude, of)?;
        }
        let scale = match network.rank() {
            Some(rank) => self.scale(alpha.as_ref(), of.weight, rank, configs)?,
            None => 1.0,
        };
        let layer = Layer { network, magnitude, scale };
        let of_component = self.layers.entry(of.weight.component).or_default();
        of_component.insert(of.weight.name.clone(), layer);
        Ok(())
    }

    /// The factor of a layer's change. As in diffusers, the alpha of a config takes precedence over
    /// an alpha beside the layer.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a rank is small, and weights are changed in f32"
    )]
    fn scale(
        &self,
        alpha: Option<&LoraTensor>,
        weight: &NamedWeight,
        rank: u64,
        configs: &Configs,
    ) -> Result<f32, LoraError> {
        let layer = weight.name.strip_suffix(".weight").unwrap_or(&weight.name);
        let rank = rank as f64;
        if let Some(scale) = configs.scale(weight.component, layer, rank) {
            return Ok(scale as f32);
        }
        let Some(alpha) = alpha else { return Ok(1.0) };
        let wrong = |found: String| LoraError::Alpha {
            path: self.path.clone(),
            key: alpha.key.clone(),
            found,
        };
        if alpha.dims.iter().any(|&size| size != 1) {
            return Err(wrong(format!("{:?}", alpha.dims)));
        }
        let value = self.matrix(alpha)?[(0, 0)];
        if !value.is_finite() {
            return Err(wrong(value.to_string()));
        }
        Ok((f64::from(value) / rank) as f32)
    }

    fn no_floats(&self, tensor: &LoraTensor) -> LoraError {
        LoraError::Dtype {
            path: self.path.clone(),
            key: tensor.key.clone(),
            found: tensor.dtype_name.clone(),
        }
    }

    fn read(&self, tensor: &LoraTensor) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; tensor.range.len()];
        #[cfg(unix)]
        {
            let at = tensor.range.start as u64;
            std::os::unix::fs::FileExt::read_exact_at(&self.handle, &mut bytes, at)?;
        }
        #[cfg(windows)]
        {
            let mut done = 0;
            while done < bytes.len() {
                let at = (tensor.range.start + done) as u64;
                let read =
                    std::os::windows::fs::FileExt::seek_read(&self.handle, &mut bytes[done..], at)?;
                if read == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                done += read;
            }
        }
        Ok(bytes)
    }
}

impl Values for LoraFile {
    fn matrix(&self, tensor: &LoraTensor) -> Result<Array2<f32>, LoraError> {
        let bytes = self
            .read(tensor)
            .map_err(|source| LoraError::Read { path: self.path.clone(), source })?;
        let no_floats = || self.no_floats(tensor);
        let values = tensor.dtype.and_then(|dtype| floats(dtype, &bytes)).ok_or_else(no_floats)?;
        let sides = tensor.sides().map(|side| usize::try_from(side).unwrap_or(usize::MAX));
        // The header was checked: a tensor has as many values as its dimensions say.
        Array2::from_shape_vec(sides, values).map_err(|_| no_floats())
    }
}

/// Checks that there is one norm for each row. LyCORIS can also store one for each column, which
/// diffusers does not support.
fn check_magnitude(magnitude: &LoraTensor, of: Of<'_>) -> Result<(), LoraError> {
    let rows = of.weight.dims[0];
    let elements = magnitude.dims.iter().copied().fold(1, u64::saturating_mul);
    let is_by_column = magnitude.dims.len() == 2 && magnitude.dims[0] == 1 && rows != 1;
    if elements == rows && !is_by_column {
        return Ok(());
    }
    Err(of.misfit(magnitude, "but one norm for each output is needed".to_owned()))
}

/// Whether a guess is the family of the model.
fn is(model: Family, seems: &str) -> bool {
    match model {
        Family::StableDiffusion => {
            seems == "Stable Diffusion 1.x" || seems == "Stable Diffusion 2.x"
        }
        Family::StableDiffusionXl => seems == "Stable Diffusion XL",
    }
}
