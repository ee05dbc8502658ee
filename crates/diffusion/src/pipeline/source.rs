//! What does a model consist of, whether it is a folder or a single file?
//!
//! A pipeline needs the same parts of each model: configs, a tokenizer for each text encoder, the
//! config of the scheduler, and weights under the names of diffusers. A folder has all of them in
//! files. A single file has the weights; its configs come from a folder that the caller names, or
//! are those that preheat carries. In both cases, the caller can name other files or folders for
//! the VAE and the text encoders.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::builder::PipelineBuilder;
use super::error::PipelineError;
use super::schedulers::{Prediction, SchedulerConfig, SchedulerError};
use super::tokenizer;
use crate::models::{Component, Configs, Family, ModelError, ModelFolder, TextConfig};
use crate::single_file::{self, Predicts, SingleFile};
use crate::weights::Checkpoint;

/// The parts of a model.
pub(super) struct Source {
    pub(super) folder: ModelFolder,
    pub(super) tokenizers: Vec<TokenizerFiles>,
    pub(super) scheduler: SchedulerConfig,
    pub(super) checkpoints: HashMap<Component, Checkpoint>,
    /// What a user should know about the files.
    pub(super) remarks: Vec<String>,
}

/// Where a tokenizer comes from.
#[derive(Debug, Clone)]
pub(super) enum TokenizerFiles {
    /// A folder with the tokenizer's files.
    Folder(PathBuf),
    /// The path and the text of a `tokenizer_config.json`; the vocabulary is the one that preheat
    /// carries.
    Carried(PathBuf, String),
}

/// The components that have weights, each with the stem of its files in a folder.
const WEIGHTS: [(Component, &str); 4] = [
    (Component::TextEncoder, "model"),
    (Component::TextEncoder2, "model"),
    (Component::Unet, "diffusion_pytorch_model"),
    (Component::Vae, "diffusion_pytorch_model"),
];
/// All components that a model may have.
const ALL: &[Component] = Family::StableDiffusionXl.components();
const ENCODERS: [Component; 2] = [Component::TextEncoder, Component::TextEncoder2];
const TOKENIZERS: [Component; 2] = [Component::Tokenizer, Component::Tokenizer2];

impl Source {
    /// Reads everything of a model except its vocabularies and the values of its weights.
    pub(super) fn open(path: &Path, settings: &PipelineBuilder) -> Result<Self, PipelineError> {
        let single = if path.is_file() { Some(SingleFile::open(path)?) } else { None };
        if single.is_none() && !path.is_dir() {
            // The error says what is at the path, also if the configs come from elsewhere.
            ModelFolder::open(path)?;
        }
        let told = single.as_ref().and_then(SingleFile::predicts);
        let predicts = match settings.prediction {
            Some(prediction) => Some(Predicts::overruled(prediction, told)),
            None => told,
        };
        let configs = configs(path, settings, single.as_ref(), predicts)?;
        let vae = settings.vae.as_deref().map(|vae| vae_place(vae, &configs)).transpose()?;
        let configs = match &vae {
            Some(VaePlace::Folder(folder)) => configs.with_component(Component::Vae, folder),
            _ => configs,
        };
        // A single file has what a folder would have in the folders of its components.
        let elsewhere = if single.is_some() { ALL } else { &[] };
        let folder = ModelFolder::with(path, &configs, elsewhere)?;
        if let Some(single) = &single {
            single.check_family(folder.family(), configs.place())?;
        }
        let checkpoints = checkpoints(path, &folder, settings, single.as_ref(), vae)?;
        let is_single = single.is_some();
        let remarks = single.and_then(|single| single.unread(&folder)).into_iter().collect();
        let tokenizers = tokenizers(&folder, is_single);
        let scheduler = scheduler(&folder, predicts)?;
        Ok(Self { folder, tokenizers, scheduler, checkpoints, remarks })
    }
}

/// The configs of a model.
fn configs(
    path: &Path,
    settings: &PipelineBuilder,
    single: Option<&SingleFile>,
    predicts: Option<Predicts>,
) -> Result<Configs, PipelineError> {
    match (single, &settings.config) {
        (_, Some(folder)) => Ok(Configs::in_folder(folder)),
        (None, None) => Ok(Configs::in_folder(path)),
        // If a file of Stable Diffusion 2 does not say what it predicts, diffusers assumes v.
        (Some(single), None) => {
            let unless_told = Predicts { prediction: Prediction::V, zero_terminal_snr: false };
            Ok(single.configs(predicts.unwrap_or(unless_told))?)
        }
    }
}

/// The place of a VAE that replaces the model's own.
enum VaePlace {
    /// A folder with a config and weights.
    Folder(PathBuf),
    /// A file with weights.
    File(PathBuf),
}

/// Where a VAE is: in a file, in a folder of its own, or in the folder of a model.
fn vae_place(vae: &Path, configs: &Configs) -> Result<VaePlace, PipelineError> {
    let of_model = vae.join(Component::Vae.name());
    if vae.is_file() {
        return Ok(VaePlace::File(vae.to_owned()));
    }
    if vae.join("config.json").is_file() {
        return Ok(VaePlace::Folder(vae.to_owned()));
    }
    if of_model.is_dir() {
        return Ok(VaePlace::Folder(of_model));
    }
    let path = if vae.is_dir() { vae.join("config.json") } else { vae.to_owned() };
    let wanted_by = format!("the vae of {}", configs.place().display());
    Err(ModelError::Missing { path, wanted_by }.into())
}

/// The weights of each component. As in diffusers, the variant is used for those components that
/// have it in their folder, and at least one of them must have it.
fn checkpoints(
    path: &Path,
    folder: &ModelFolder,
    settings: &PipelineBuilder,
    single: Option<&SingleFile>,
    vae: Option<VaePlace>,
) -> Result<HashMap<Component, Checkpoint>, PipelineError> {
    let variant = settings.variant.as_deref();
    let mut checkpoints = HashMap::new();
    for path in &settings.text_encoders {
        let (at, checkpoint) = text_encoder(path, folder, variant)?;
        checkpoints.insert(ENCODERS[at], checkpoint);
    }
    let has_vae_folder = matches!(vae, Some(VaePlace::Folder(_)));
    if let Some(VaePlace::File(file)) = vae {
        checkpoints.insert(Component::Vae, single_file::vae_alone(&file, folder.vae())?);
    }
    let components = folder.family().components();
    let mut in_folders = Vec::new();
    for (component, stem) in WEIGHTS {
        if !components.contains(&component) || checkpoints.contains_key(&component) {
            continue;
        }
        match single {
            Some(single) if component != Component::Vae || !has_vae_folder => {
                checkpoints.insert(component, single.checkpoint(component, folder)?);
            }
            _ if component == Component::Vae && has_vae_folder => {
                in_folders.push((component, folder.component(component), stem));
            }
            _ => in_folders.push((component, path.join(component.name()), stem)),
        }
    }
    let is_there =
        |variant| in_folders.iter().any(|(_, place, _)| Checkpoint::has_variant(place, variant));
    let is_nowhere = variant.is_some_and(|variant| !is_there(variant));
    for (component, place, stem) in &in_folders {
        let has = |variant: &&str| is_nowhere || Checkpoint::has_variant(place, variant);
        checkpoints.insert(*component, Checkpoint::open(place, stem, variant.filter(has))?);
    }
    Ok(checkpoints)
}

/// The weights of a text encoder in a file or folder, and the position of that encoder in the
/// model.
fn text_encoder(
    path: &Path,
    folder: &ModelFolder,
    variant: Option<&str>,
) -> Result<(usize, Checkpoint), PipelineError> {
    let encoders = folder.text_encoders();
    if !path.is_dir() {
        return Ok(single_file::text_encoder_alone(path, encoders)?);
    }
    let variant = variant.filter(|variant| Checkpoint::has_variant(path, variant));
    let checkpoint = Checkpoint::open(path, "model", variant)?;
    let size = single_file::hidden_size(&checkpoint);
    let fits = |encoder: &TextConfig| Some(encoder.hidden_size) == size;
    match encoders.iter().position(fits) {
        Some(at) => Ok((at, checkpoint)),
        None => Err(single_file::not_for(path, size, encoders).into()),
    }
}

/// The tokenizers, one for each text encoder. If the model is a single file, a tokenizer whose
/// folder has no vocabulary uses the vocabulary of the public models.
fn tokenizers(folder: &ModelFolder, is_single: bool) -> Vec<TokenizerFiles> {
    let components = folder.family().components();
    let configs = folder.configs();
    let wanted = TOKENIZERS.into_iter().filter(|component| components.contains(component));
    let files = |component| {
        let place = folder.component(component);
        let has_vocabulary = tokenizer::VOCABULARIES.iter().any(|name| place.join(name).is_file());
        match configs.file(component, tokenizer::CONFIG) {
            (path, Ok(text)) if is_single && !has_vocabulary => TokenizerFiles::Carried(path, text),
            _ => TokenizerFiles::Folder(place),
        }
    };
    wanted.map(files).collect()
}

/// The config of the scheduler, changed to what the model is known to predict.
fn scheduler(
    folder: &ModelFolder,
    predicts: Option<Predicts>,
) -> Result<SchedulerConfig, PipelineError> {
    let (file, text) = folder.configs().file(Component::Scheduler, "scheduler_config.json");
    let text = text.map_err(|source| SchedulerError::Read { file: file.clone(), source })?;
    let config = SchedulerConfig::from_json(&text, &file)?;
    let mut config = config.of_class(folder.scheduler_class(), &folder.index());
    if let Some(Predicts { prediction, zero_terminal_snr }) = predicts {
        config = config.with_field("prediction_type", prediction.name());
        if zero_terminal_snr {
            config = config.with_field("rescale_betas_zero_snr", true);
        }
    }
    Ok(match folder.family() {
        Family::StableDiffusion => config.for_stable_diffusion(),
        Family::StableDiffusionXl => config,
    })
}
