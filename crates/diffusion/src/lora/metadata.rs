//! By which factor does a LoRA file itself scale the change of a layer?
//!
//! kohya stores an `alpha` beside each layer. PEFT stores alphas in a config: diffusers writes it
//! into the file's header, PEFT into `adapter_config.json` beside the file. A change is multiplied
//! by alpha / rank (with rsLoRA: alpha / sqrt(rank)), or by 1 if there is no alpha.

use std::collections::BTreeMap;
use std::path::Path;

use preheat_io::input;
use serde::Deserialize;
use serde_json::Value as Json;

use super::LoraError;
use crate::models::Component;

/// The entry of the file's header in which diffusers writes configs of PEFT.
const HEADER: &str = "lora_adapter_metadata";
/// The file beside the weights in which PEFT writes its config.
const CONFIG: &str = "adapter_config.json";
/// The name that PEFT gives the file with the weights.
const OF_PEFT: &str = "adapter_model.safetensors";
/// The size of the largest config that is read. A config has at most one entry for each layer.
const MOST_CONFIG_BYTES: u64 = 16 << 20;

/// The configs of PEFT that belong to a file.
#[derive(Debug, Default)]
pub(super) struct Configs {
    /// The config of each component, by the component's name.
    by_component: BTreeMap<String, Config>,
    /// The config of all components that have no config of their own.
    of_all: Option<Config>,
}

/// The fields of PEFT's config that scale a change.
#[derive(Debug, Clone, Default, Deserialize)]
struct Config {
    #[serde(alias = "alpha")]
    lora_alpha: Option<f64>,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, f64>,
    #[serde(default)]
    use_rslora: bool,
}

impl Configs {
    /// The configs for the file at `path`, whose header has this metadata.
    pub(super) fn of(path: &Path, header: &BTreeMap<String, String>) -> Result<Self, LoraError> {
        let mut configs = Self::default();
        if let Some(text) = header.get(HEADER) {
            configs.read_header(text).map_err(|error| broken(path, &error))?;
        } else if path.file_name().is_some_and(|name| name == OF_PEFT) {
            let beside = path.with_file_name(CONFIG);
            if beside.is_file() {
                let text = input::text(&beside, MOST_CONFIG_BYTES)
                    .map_err(|error| broken(&beside, &error))?;
                let config =
                    serde_json::from_str(&text).map_err(|error| broken(&beside, &error))?;
                configs.of_all = Some(config);
            }
        }
        Ok(configs)
    }

    /// In the header, each field's name begins with the component: `unet.lora_alpha`. If diffusers
    /// saved a single component, the names have no such prefix: `lora_alpha`.
    fn read_header(&mut self, text: &str) -> Result<(), serde_json::Error> {
        let fields: BTreeMap<String, Json> = serde_json::from_str(text)?;
        let mut objects: BTreeMap<String, serde_json::Map<String, Json>> = BTreeMap::new();
        let mut of_all = serde_json::Map::new();
        for (name, value) in fields {
            match name.split_once('.') {
                Some((component, field)) => {
                    let object = objects.entry(component.to_owned()).or_default();
                    object.insert(field.to_owned(), value);
                }
                None => drop(of_all.insert(name, value)),
            }
        }
        if !of_all.is_empty() {
            self.of_all = Some(serde_json::from_value(Json::Object(of_all))?);
        }
        for (component, object) in objects {
            self.by_component.insert(component, serde_json::from_value(Json::Object(object))?);
        }
        Ok(())
    }

    /// The factor for the change of a layer of this rank, if a config gives an alpha. `layer` is
    /// the layer's name with dots.
    pub(super) fn scale(&self, component: Component, layer: &str, rank: f64) -> Option<f64> {
        let config = self.by_component.get(component.name()).or(self.of_all.as_ref())?;
        let own = config.alpha_pattern.iter().find(|(pattern, _)| {
            let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
            layer
                .strip_suffix(pattern)
                .is_some_and(|start| start.is_empty() || start.ends_with('.'))
        });
        let alpha = own.map(|(_, alpha)| *alpha).or(config.lora_alpha)?;
        Some(alpha / if config.use_rslora { rank.sqrt() } else { rank })
    }
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> LoraError {
    LoraError::Config { path: path.to_owned(), why: error.to_string() }
}
