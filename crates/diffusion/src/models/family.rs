//! Which pipeline is a model made for, and which components does it have?

use serde_json::Value as Json;

use super::ModelError;
use super::config::Fields;

/// The file that lists a model's components.
pub(super) const INDEX: &str = "model_index.json";
const PIPELINES: [&str; 2] = [Family::StableDiffusion.class(), Family::StableDiffusionXl.class()];
/// The largest config that is read; a config takes a few kilobytes.
pub(super) const MOST_CONFIG_BYTES: u64 = 4 << 20;

/// The pipeline that a model is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Stable Diffusion 1.x and 2.x: one text encoder.
    StableDiffusion,
    /// Stable Diffusion XL: two text encoders, and conditioning on sizes.
    StableDiffusionXl,
}

/// A component of a model, which has a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// The first text encoder.
    TextEncoder,
    /// The second text encoder, of Stable Diffusion XL.
    TextEncoder2,
    /// The tokenizer of the first text encoder.
    Tokenizer,
    /// The tokenizer of the second text encoder.
    Tokenizer2,
    /// The denoiser's network.
    Unet,
    /// The decoder from latents to pictures.
    Vae,
    /// The scheduler, which says how the latents are updated.
    Scheduler,
}

impl Component {
    /// The name of its folder, which is also its name in `model_index.json`.
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
    /// The class of diffusers that makes pictures from text with a model of this family.
    pub const fn class(self) -> &'static str {
        match self {
            Self::StableDiffusion => "StableDiffusionPipeline",
            Self::StableDiffusionXl => "StableDiffusionXLPipeline",
        }
    }

    /// The family of a model. If the index names another pipeline over the same components (for
    /// image-to-image, with a control network, or a user's own), that class is returned as well.
    pub(super) fn of(index: &Fields) -> Result<(Self, Option<String>), ModelError> {
        let unsupported = || index.unsupported("_class_name", PIPELINES.join(", "));
        let class = index.get("_class_name").and_then(class_name).ok_or_else(unsupported)?;
        if let Some(family) = [Self::StableDiffusion, Self::StableDiffusionXl]
            .into_iter()
            .find(|it| it.class() == class)
        {
            return Ok((family, None));
        }
        let has = |component: Component| {
            let class = index.get(component.name()).and_then(|entry| entry.get(1));
            class.is_some_and(|class| !class.is_null())
        };
        if !has(Component::Unet) {
            return Err(unsupported());
        }
        let family = if has(Component::TextEncoder2) {
            Self::StableDiffusionXl
        } else {
            Self::StableDiffusion
        };
        Ok((family, Some(class.to_owned())))
    }

    /// The components that a pipeline of the family needs.
    pub const fn components(self) -> &'static [Component] {
        use Component::{Scheduler, TextEncoder, TextEncoder2, Tokenizer, Tokenizer2, Unet, Vae};
        match self {
            Self::StableDiffusion => &[TextEncoder, Tokenizer, Unet, Vae, Scheduler],
            Self::StableDiffusionXl => {
                &[TextEncoder, TextEncoder2, Tokenizer, Tokenizer2, Unet, Vae, Scheduler]
            }
        }
    }
}

/// The class in `_class_name`: a name, or a pair of a module and the name of a user's own class.
fn class_name(value: &Json) -> Option<&str> {
    value.as_str().or_else(|| value.as_array().filter(|pair| pair.len() == 2)?.get(1)?.as_str())
}
