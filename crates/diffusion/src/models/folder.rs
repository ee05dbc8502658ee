//! Which model do the configs of a folder describe, and can it be run?
//!
//! The configs come from a folder in the diffusers layout, or from another place (`configs.rs`).
//! The index and the configs are read and checked against each other; `no_model.rs` explains what
//! else a path may be.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use serde_json::Value as Json;

use super::config::Fields;
use super::configs::Configs;
use super::family::{Component, Family, INDEX};
use super::{
    DenoiserSpec, ModelError, TextClass, TextConfig, TextOutputs, UnetConfig, VaeConfig,
    VaeEncoderConfig,
};

/// A model whose configs were read and fit together: a folder, or a single file with the configs
/// that belong to it.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    path: PathBuf,
    configs: Configs,
    id: String,
    family: Family,
    text_encoders: Vec<TextConfig>,
    unet: UnetConfig,
    vae: VaeConfig,
    /// Only requests that begin with a picture need it, so that others run without it.
    vae_encoder: Result<VaeEncoderConfig, Arc<ModelError>>,
    scheduler_class: String,
    /// The class that the index names, if it is another pipeline than the family's.
    other_pipeline: Option<String>,
    force_zeros_for_empty_prompt: bool,
}

/// How many pixels one latent covers in each direction. Padding and signatures assume this value.
pub const LATENT_PX: u64 = 8;

impl ModelFolder {
    /// Reads `model_index.json` and the config of each component. Other modules read the weights,
    /// the tokenizers and the scheduler's config.
    ///
    /// # Errors
    /// If the folder is not in the diffusers layout, lacks a file, has a file that cannot be read,
    /// or describes a model that preheat does not support.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Self::with(path, &Configs::in_folder(path), &[])
    }

    /// Opens a model as [`Self::open`] does, except that `configs` has the configs. `path` is the
    /// model's folder or file, and gives the model its id. A component in `elsewhere` needs no
    /// folder, because its files come from another place.
    ///
    /// # Errors
    /// The same as those of [`Self::open`].
    pub fn with(
        path: &Path,
        configs: &Configs,
        elsewhere: &[Component],
    ) -> Result<Self, ModelError> {
        let place = configs.place();
        let text = configs.index_text().map_err(|error| no_model::why(place, error))?;
        let index = Fields::parse(&configs.index(), &text)?;
        let (family, other_pipeline) = Family::of(&index)?;
        for component in family.components() {
            check_entry(&index, *component)?;
            if !elsewhere.contains(component) && !configs.has(*component) {
                let path = configs.component(*component);
                return Err(ModelError::Missing { path, wanted_by: INDEX.to_owned() });
            }
        }
        let config = |component: Component| read_config(configs, component);
        let mut text_encoders = Vec::new();
        for (component, tokenizer) in [
            (Component::TextEncoder, Component::Tokenizer),
            (Component::TextEncoder2, Component::Tokenizer2),
        ] {
            if family.components().contains(&component) {
                let (file, text) = config(component)?;
                let encoder = TextConfig::read(&file, &text, text_class(component))?;
                text_encoders.push(match prompt_tokens(configs, tokenizer) {
                    Some(tokens) => encoder.with_tokens(tokens),
                    None => encoder,
                });
            }
        }
        let (unet_path, unet) = config(Component::Unet)?;
        let fields = Fields::parse(&unet_path, &unet)?;
        let mut unet = UnetConfig::of(&fields)?;
        if family == Family::StableDiffusion && has_old_sample_size(&fields) {
            unet.sample_size = [OLD_SAMPLE_SIZE; 2];
        }
        let (vae_path, vae) = config(Component::Vae)?;
        let decoder = VaeConfig::read(&vae_path, &vae)?;
        let vae_encoder = VaeEncoderConfig::read(&vae_path, &vae, &decoder).map_err(Arc::new);
        let model = Self {
            id: id(path)?,
            path: path.to_owned(),
            configs: configs.clone(),
            family,
            text_encoders,
            unet,
            vae: decoder,
            vae_encoder,
            scheduler_class: index.component(Component::Scheduler.name(), &[])?.to_owned(),
            other_pipeline,
            force_zeros_for_empty_prompt: index.flag("force_zeros_for_empty_prompt", true)?,
        };
        model.check().map_err(|why| ModelError::Mismatch { path: path.to_owned(), why })?;
        Ok(model)
    }

    /// The folder's name, or the file's name without its ending.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The path of the folder or the file, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of a component.
    pub fn component(&self, component: Component) -> PathBuf {
        self.configs.component(component)
    }

    /// The path of `model_index.json`.
    pub fn index(&self) -> PathBuf {
        self.configs.index()
    }

    /// The configs that were read.
    pub(crate) fn configs(&self) -> &Configs {
        &self.configs
    }

    /// The class of the scheduler, which the index names.
    pub fn scheduler_class(&self) -> &str {
        &self.scheduler_class
    }

    /// The class that the index names, if it is another pipeline than the family's. Text-to-image
    /// is run in any case.
    pub fn other_pipeline(&self) -> Option<&str> {
        self.other_pipeline.as_deref()
    }

    /// The pipeline that the model is made for.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The configs of the text encoders: one, or two for Stable Diffusion XL.
    pub fn text_encoders(&self) -> &[TextConfig] {
        &self.text_encoders
    }

    /// The denoiser's config.
    pub fn unet(&self) -> &UnetConfig {
        &self.unet
    }

    /// The VAE's config.
    pub fn vae(&self) -> &VaeConfig {
        &self.vae
    }

    /// The config of the VAE's encoder.
    ///
    /// # Errors
    /// If the config describes an encoder that is not supported.
    pub fn vae_encoder(&self) -> Result<&VaeEncoderConfig, Arc<ModelError>> {
        self.vae_encoder.as_ref().map_err(Arc::clone)
    }

    /// Whether the denoiser was made for inpainting: besides the latents, it reads a mask and the
    /// latents of the masked picture.
    pub fn reads_a_mask(&self) -> bool {
        self.unet.reads_a_mask()
    }

    /// Whether zeros take the place of the empty prompt's embedding if there is no negative prompt
    /// (Stable Diffusion XL).
    pub fn force_zeros_for_empty_prompt(&self) -> bool {
        self.family == Family::StableDiffusionXl && self.force_zeros_for_empty_prompt
    }

    /// How many channels the latents have.
    pub fn latent_channels(&self) -> u64 {
        self.vae.latent_channels
    }

    /// Height and width in pixels that the model was made for.
    pub fn default_size_px(&self) -> [u64; 2] {
        self.unet.sample_size.map(|side| side * LATENT_PX)
    }

    /// The outputs that a pipeline needs from each text encoder.
    pub fn text_outputs(&self, clip_skip: u64) -> Vec<TextOutputs> {
        match self.family {
            Family::StableDiffusion => vec![TextOutputs::stable_diffusion(clip_skip)],
            Family::StableDiffusionXl => [false, true]
                .map(|pooled| TextOutputs::stable_diffusion_xl(clip_skip, pooled))
                .into(),
        }
    }

    /// The shape of a denoising step for pictures whose latents have these sides.
    pub fn denoiser_spec(
        &self,
        guided: bool,
        batch: u64,
        [latent_height, latent_width]: [u64; 2],
    ) -> DenoiserSpec {
        let contexts =
            self.text_encoders.iter().map(|text| [text.tokens, text.hidden_size]).collect();
        DenoiserSpec { guided, batch, latent_height, latent_width, contexts }
    }

    /// Checks that the components fit together.
    fn check(&self) -> Result<(), String> {
        let (unet, vae) = (&self.unet, &self.vae);
        let [taken, given, decoded] = [unet.in_channels, unet.out_channels, vae.latent_channels];
        let is_whole = taken == given || unet.reads_a_mask();
        if given != decoded || !is_whole {
            return Err(format!(
                "the unet takes {taken} channels and gives {given}, and the vae decodes {decoded}: supported are \
                 models in which these three are equal, and those for inpainting, which take {} channels; \
                 models for editing are not",
                2 * decoded + 1
            ));
        }
        if vae.scale() != LATENT_PX {
            return Err(format!(
                "the vae makes {} pixels of a latent each way, and only 8 is supported",
                vae.scale()
            ));
        }
        let sizes: Vec<u64> = self.text_encoders.iter().map(|text| text.hidden_size).collect();
        if sizes.iter().sum::<u64>() != unet.context_size {
            return Err(format!(
                "the text encoders give {sizes:?} features, and the unet is conditioned on {} (`cross_attention_dim`)",
                unet.context_size
            ));
        }
        if self.text_encoders.iter().any(|text| text.tokens != self.text_encoders[0].tokens) {
            return Err(
                "the text encoders take prompts of different lengths (`max_position_embeddings`)"
                    .to_owned(),
            );
        }
        let pooled =
            (self.family == Family::StableDiffusionXl).then(|| self.text_encoders.last()).flatten();
        let (given, taken) =
            (pooled.map(TextConfig::pooled_size), unet.added.map(|added| added.pooled_size));
        if given != taken {
            let name =
                |size: Option<u64>| size.map_or_else(|| "none".to_owned(), |size| size.to_string());
            return Err(format!(
                "the unet is conditioned on pooled prompts of {} features, and the pipeline gives {}",
                name(taken),
                name(given)
            ));
        }
        Ok(())
    }
}

/// Checks that the index names a supported class for a component.
fn check_entry(index: &Fields, component: Component) -> Result<(), ModelError> {
    let supported: &[&str] = match component {
        Component::TextEncoder => &["CLIPTextModel"],
        Component::TextEncoder2 => &["CLIPTextModelWithProjection"],
        Component::Tokenizer | Component::Tokenizer2 => &["CLIPTokenizer", "CLIPTokenizerFast"],
        Component::Unet => &["UNet2DConditionModel"],
        Component::Vae => &["AutoencoderKL"],
        Component::Scheduler => &[],
    };
    index.component(component.name(), supported).map(drop)
}

/// How many tokens a tokenizer gives, if its config says so. A config that cannot be read gives no
/// error here: the tokenizer's own reader reports it.
fn prompt_tokens(configs: &Configs, tokenizer: Component) -> Option<u64> {
    let (file, text) = configs.file(tokenizer, "tokenizer_config.json");
    let fields = Fields::parse(&file, &text.ok()?).ok()?;
    fields.get("model_max_length").and_then(Json::as_u64)
}

/// The side of the latents that `StableDiffusionPipeline` uses if an old config has a smaller one.
const OLD_SAMPLE_SIZE: u64 = 64;

/// Whether a UNet's config was written before diffusers 0.9.0 and has a `sample_size` below 64,
/// which was a mistake at that time.
fn has_old_sample_size(unet: &Fields) -> bool {
    let version = unet.get("_diffusers_version").and_then(Json::as_str).unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse::<u64>().ok());
    let is_old = matches!((parts.next().flatten(), parts.next().flatten()), (Some(0), Some(minor)) if minor < 9);
    is_old
        && unet.get("sample_size").and_then(Json::as_u64).is_some_and(|side| side < OLD_SAMPLE_SIZE)
}

fn text_class(component: Component) -> TextClass {
    match component {
        Component::TextEncoder2 => TextClass::WithProjection,
        _ => TextClass::Plain,
    }
}

fn read_config(configs: &Configs, component: Component) -> Result<(PathBuf, String), ModelError> {
    let (file, text) = configs.config(component);
    match text {
        Ok(text) => Ok((file, text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(ModelError::Missing { path: file, wanted_by: format!("the {}", component.name()) })
        }
        Err(source) => Err(ModelError::Read { path: file, source }),
    }
}

/// The file's name without its ending, or the folder's name, even if the path ends in `.` or `..`.
fn id(path: &Path) -> Result<String, ModelError> {
    let whole;
    let name = if let Some(name) = path.file_stem().filter(|_| path.is_file()) {
        name
    } else if let Some(name) = path.file_name() {
        name
    } else {
        whole = fs::canonicalize(path)
            .map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
        whole.file_name().unwrap_or(whole.as_os_str())
    };
    Ok(name.to_string_lossy().into_owned())
}

mod no_model;
#[cfg(test)]
mod tests;
