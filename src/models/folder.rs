//! A model on disk: a folder in the diffusers layout.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::config::Fields;
use super::{DenoiserSpec, ModelError, TextClass, TextConfig, TextOutputs, UnetConfig, VaeConfig};
use crate::input;

/// Which pipeline a model is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Stable Diffusion 1.x and 2.x: one text encoder.
    StableDiffusion,
    /// Stable Diffusion XL: two, and conditioning on sizes.
    StableDiffusionXl,
}

/// A part of a model, with a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Component {
    /// The first text encoder.
    TextEncoder,
    /// The second, of Stable Diffusion XL.
    TextEncoder2,
    /// The first encoder's tokenizer.
    Tokenizer,
    /// The second's.
    Tokenizer2,
    /// The denoiser's network.
    Unet,
    /// The decoder from latents to pictures.
    Vae,
    /// How the latents are updated.
    Scheduler,
}

impl Component {
    /// Its folder, and its name in `model_index.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextEncoder => "text_encoder",
            Self::TextEncoder2 => "text_encoder_2",
            Self::Tokenizer => "tokenizer",
            Self::Tokenizer2 => "tokenizer_2",
            Self::Unet => "unet",
            Self::Vae => "vae",
            Self::Scheduler => "scheduler",
        }
    }
}

impl Family {
    /// The components that a pipeline of the family cannot do without.
    pub fn components(self) -> &'static [Component] {
        use Component::{Scheduler, TextEncoder, TextEncoder2, Tokenizer, Tokenizer2, Unet, Vae};
        match self {
            Self::StableDiffusion => &[TextEncoder, Tokenizer, Unet, Vae, Scheduler],
            Self::StableDiffusionXl => &[TextEncoder, TextEncoder2, Tokenizer, Tokenizer2, Unet, Vae, Scheduler],
        }
    }
}

/// A model folder whose configs were read, and go together.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    path: PathBuf,
    id: String,
    family: Family,
    text_encoders: Vec<TextConfig>,
    unet: UnetConfig,
    vae: VaeConfig,
    force_zeros_for_empty_prompt: bool,
}

/// Pixels of a latent, each way. Sizes are padded and signatures made for this one.
pub const LATENT_PX: u64 = 8;

const INDEX: &str = "model_index.json";
/// A config has a few kilobytes.
const MOST_CONFIG_BYTES: u64 = 4 << 20;
const PIPELINES: [&str; 2] = ["StableDiffusionPipeline", "StableDiffusionXLPipeline"];

impl ModelFolder {
    /// Reads `model_index.json` and the config of each component. Weights, tokenizers and the scheduler are left to those who use them.
    ///
    /// # Errors
    /// Where the folder is no diffusers folder, lacks something, or describes a model that preheat does not build.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let index = Fields::parse(&path.join(INDEX), &read_index(path)?)?;
        let family = match index.one_of("_class_name", "", &PIPELINES)? {
            "StableDiffusionPipeline" => Family::StableDiffusion,
            "StableDiffusionXLPipeline" => Family::StableDiffusionXl,
            _ => return Err(index.unsupported("_class_name", PIPELINES.join(", "))),
        };
        for component in family.components() {
            check_entry(&index, path, *component)?;
        }
        let config = |component: Component| read_config(path, component);
        let mut text_encoders = Vec::new();
        for component in [Component::TextEncoder, Component::TextEncoder2] {
            if family.components().contains(&component) {
                let (path, text) = config(component)?;
                text_encoders.push(TextConfig::read(&path, &text, text_class(component))?);
            }
        }
        let (unet_path, unet) = config(Component::Unet)?;
        let (vae_path, vae) = config(Component::Vae)?;
        let model = Self {
            id: id(path)?,
            path: path.to_owned(),
            family,
            text_encoders,
            unet: UnetConfig::read(&unet_path, &unet)?,
            vae: VaeConfig::read(&vae_path, &vae)?,
            force_zeros_for_empty_prompt: index.flag("force_zeros_for_empty_prompt", true)?,
        };
        model.check().map_err(|why| ModelError::Mismatch { path: path.to_owned(), why })?;
        Ok(model)
    }

    /// The folder's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of a component.
    pub fn component(&self, component: Component) -> PathBuf {
        self.path.join(component.name())
    }

    /// Which pipeline it is made for.
    pub fn family(&self) -> Family {
        self.family
    }

    /// One config, or two for Stable Diffusion XL.
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

    /// Whether no negative prompt means zeros in place of the empty prompt's embedding (Stable Diffusion XL).
    pub fn force_zeros_for_empty_prompt(&self) -> bool {
        self.family == Family::StableDiffusionXl && self.force_zeros_for_empty_prompt
    }

    /// Channels of the latents.
    pub fn latent_channels(&self) -> u64 {
        self.unet.in_channels
    }

    /// Height and width in pixels that the model was made for.
    pub fn default_size_px(&self) -> [u64; 2] {
        self.unet.sample_size.map(|side| side * LATENT_PX)
    }

    /// What is wanted of each text encoder.
    pub fn text_outputs(&self, clip_skip: u64) -> Vec<TextOutputs> {
        match self.family {
            Family::StableDiffusion => vec![TextOutputs::stable_diffusion(clip_skip)],
            Family::StableDiffusionXl => {
                [false, true].map(|pooled| TextOutputs::stable_diffusion_xl(clip_skip, pooled)).into()
            }
        }
    }

    /// The shape of a denoising step for pictures of these latent sides.
    pub fn denoiser_spec(&self, guided: bool, batch: u64, [latent_height, latent_width]: [u64; 2]) -> DenoiserSpec {
        let contexts = self.text_encoders.iter().map(|text| [text.tokens, text.hidden_size]).collect();
        DenoiserSpec { guided, batch, latent_height, latent_width, contexts }
    }

    /// Whether the components go together.
    fn check(&self) -> Result<(), String> {
        let (unet, vae) = (&self.unet, &self.vae);
        let channels = [unet.in_channels, unet.out_channels, vae.latent_channels];
        if channels != [vae.latent_channels; 3] {
            let [taken, given, decoded] = channels;
            return Err(format!(
                "the unet takes {taken} channels and gives {given}, and the vae decodes {decoded}: only models whose \
                 three are the same are built, which models for inpainting or editing are not"
            ));
        }
        if vae.scale() != LATENT_PX {
            return Err(format!("the vae makes {} pixels of a latent each way, and only 8 is supported", vae.scale()));
        }
        let sizes: Vec<u64> = self.text_encoders.iter().map(|text| text.hidden_size).collect();
        if sizes.iter().sum::<u64>() != unet.context_size {
            return Err(format!(
                "the text encoders give {sizes:?} features, and the unet is conditioned on {} (`cross_attention_dim`)",
                unet.context_size
            ));
        }
        if self.text_encoders.iter().any(|text| text.tokens != self.text_encoders[0].tokens) {
            return Err("the text encoders take prompts of different lengths (`max_position_embeddings`)".to_owned());
        }
        let pooled = (self.family == Family::StableDiffusionXl).then(|| self.text_encoders.last()).flatten();
        let (given, taken) = (pooled.map(TextConfig::pooled_size), unet.added.map(|added| added.pooled_size));
        if given != taken {
            let name = |size: Option<u64>| size.map_or_else(|| "none".to_owned(), |size| size.to_string());
            return Err(format!(
                "the unet is conditioned on pooled prompts of {} features, and the pipeline gives {}",
                name(taken),
                name(given)
            ));
        }
        Ok(())
    }
}

/// The text of `model_index.json`, or what the path is instead.
fn read_index(path: &Path) -> Result<String, ModelError> {
    let file = path.join(INDEX);
    let error = match input::text(&file, MOST_CONFIG_BYTES) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    if path.is_dir() {
        if error.kind() != io::ErrorKind::NotFound {
            return Err(ModelError::Read { path: file, source: error });
        }
        return Err(ModelError::NoIndex { path: path.to_owned(), advice: instead(path) });
    }
    if path.exists() {
        let advice = if is_checkpoint(path) { CONVERT } else { "" };
        return Err(ModelError::NotAFolder { path: path.to_owned(), advice });
    }
    Err(ModelError::NoFolder { path: path.to_owned() })
}

const CONVERT: &str = ". It looks like a checkpoint in a single file: convert it once with diffusers \
                       (`StableDiffusionPipeline.from_single_file(...)`, then `.save_pretrained(...)`)";

fn is_checkpoint(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors" || extension == "ckpt")
}

/// What a folder without an index seems to be.
fn instead(path: &Path) -> String {
    if path.join("config.json").is_file() {
        return ". It looks like one component of a model: name the folder around it".to_owned();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut entries: Vec<PathBuf> = entries.collect();
    entries.sort();
    if let Some(inner) = entries.iter().find(|entry| entry.join(INDEX).is_file()) {
        return format!(", but {} does: name that folder", inner.display());
    }
    entries.iter().find(|entry| is_checkpoint(entry)).map_or_else(String::new, |file| {
        format!(", but {}{CONVERT}", file.file_name().unwrap_or_default().to_string_lossy())
    })
}

/// The class that the index gives for a component, which must be one that is built, and the component's folder.
fn check_entry(index: &Fields, path: &Path, component: Component) -> Result<(), ModelError> {
    let supported: &[&str] = match component {
        Component::TextEncoder => &["CLIPTextModel"],
        Component::TextEncoder2 => &["CLIPTextModelWithProjection"],
        Component::Tokenizer | Component::Tokenizer2 => &["CLIPTokenizer", "CLIPTokenizerFast"],
        Component::Unet => &["UNet2DConditionModel"],
        Component::Vae => &["AutoencoderKL"],
        Component::Scheduler => &[],
    };
    index.component(component.name(), supported)?;
    let folder = path.join(component.name());
    if folder.is_dir() {
        return Ok(());
    }
    Err(ModelError::Missing { path: folder, wanted_by: INDEX.to_owned() })
}

fn text_class(component: Component) -> TextClass {
    match component {
        Component::TextEncoder2 => TextClass::WithProjection,
        _ => TextClass::Plain,
    }
}

fn read_config(path: &Path, component: Component) -> Result<(PathBuf, String), ModelError> {
    let file = path.join(component.name()).join("config.json");
    match input::text(&file, MOST_CONFIG_BYTES) {
        Ok(text) => Ok((file, text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(ModelError::Missing { path: file, wanted_by: format!("the {}", component.name()) })
        }
        Err(source) => Err(ModelError::Read { path: file, source }),
    }
}

/// The folder's name, also where the path ends in `.` or `..`.
fn id(path: &Path) -> Result<String, ModelError> {
    let whole;
    let name = if let Some(name) = path.file_name() {
        name
    } else {
        whole = fs::canonicalize(path).map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
        whole.file_name().unwrap_or(whole.as_os_str())
    };
    Ok(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests;
