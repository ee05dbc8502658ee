//! Where in a file is each component, and which tensors belong to no component?

use std::path::Path;

use super::{SingleFileError, open};
use crate::models::{Component, Family, ModelFolder, TextConfig, VaeConfig};
use crate::weights::{Checkpoint, Names, OneFile, is_beside};

/// How the tensors of a text encoder are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoder {
    Clip,
    OpenClip,
}

/// The prefixes that the tensors of the only text encoder of a model may have.
const OF_ONE: &[(&str, Encoder)] = &[
    ("cond_stage_model.transformer.", Encoder::Clip),
    ("cond_stage_model.model.", Encoder::OpenClip),
    ("conditioner.embedders.0.model.", Encoder::OpenClip),
    ("conditioner.embedders.0.transformer.", Encoder::Clip),
];
const FIRST_OF_XL: &[(&str, Encoder)] = &[("conditioner.embedders.0.transformer.", Encoder::Clip)];
const SECOND_OF_XL: &[(&str, Encoder)] = &[
    ("conditioner.embedders.1.model.", Encoder::OpenClip),
    ("conditioner.embedders.1.transformer.", Encoder::Clip),
];
/// The prefixes that the tensors of a VAE may have.
const OF_VAE: [&str; 2] = ["first_stage_model.", "vae."];

fn of_text_encoder(component: Component, family: Family) -> &'static [(&'static str, Encoder)] {
    match (component, family) {
        (Component::TextEncoder2, _) => SECOND_OF_XL,
        (_, Family::StableDiffusion) => OF_ONE,
        (_, Family::StableDiffusionXl) => FIRST_OF_XL,
    }
}

/// The prefix of the names of a component's tensors; `None` if the file has no such component.
pub(super) fn prefix<'a>(
    file: &OneFile,
    component: Component,
    family: Family,
    unet: &'a str,
) -> Option<&'a str> {
    match component {
        Component::Unet => Some(unet),
        Component::Vae => OF_VAE.into_iter().find(|prefix| begins(file, prefix)),
        Component::TextEncoder | Component::TextEncoder2 => {
            encoder(file, component, family).map(|(prefix, _)| prefix)
        }
        Component::Tokenizer | Component::Tokenizer2 | Component::Scheduler => None,
    }
}

fn encoder(
    file: &OneFile,
    component: Component,
    family: Family,
) -> Option<(&'static str, Encoder)> {
    let mut known = of_text_encoder(component, family).iter().copied();
    known.find(|(prefix, _)| begins(file, prefix))
}

fn begins(file: &OneFile, prefix: &str) -> bool {
    file.names_and_shapes().any(|(name, _)| name.starts_with(prefix))
}

/// How the tensors of a component are named in the file.
fn names(file: &OneFile, component: Component, model: &ModelFolder, unet: &str) -> Option<Names> {
    let prefix = prefix(file, component, model.family(), unet)?;
    match component {
        Component::Unet => Some(Names::of_unet(prefix, model.unet())),
        Component::Vae => Some(Names::of_vae(prefix, model.vae())),
        _ => {
            let (_, encoder) = encoder(file, component, model.family())?;
            Some(names_of_encoder(prefix, encoder, config_of(component, model)?))
        }
    }
}

fn names_of_encoder(prefix: &str, encoder: Encoder, config: &TextConfig) -> Names {
    let projection = config.projection.is_some();
    match encoder {
        Encoder::Clip => Names::of_clip(prefix, projection),
        Encoder::OpenClip => Names::of_open_clip(prefix, config.layers, projection),
    }
}

/// The config of a text encoder.
fn config_of(component: Component, model: &ModelFolder) -> Option<&TextConfig> {
    model.text_encoders().get(usize::from(component == Component::TextEncoder2))
}

/// The weights of a component.
pub(super) fn checkpoint(
    file: &OneFile,
    component: Component,
    model: &ModelFolder,
    unet: &str,
) -> Result<Checkpoint, SingleFileError> {
    match names(file, component, model, unet) {
        Some(names) => Ok(file.checkpoint(names)?),
        None => Err(lacks(file, component, model.family())),
    }
}

/// The error for a file that lacks a component.
fn lacks(file: &OneFile, component: Component, family: Family) -> SingleFileError {
    let (what, names): (_, Vec<&str>) = match component {
        Component::Vae => (VAE, OF_VAE.to_vec()),
        Component::TextEncoder2 => {
            ("the second text encoder", SECOND_OF_XL.iter().map(|(prefix, _)| *prefix).collect())
        }
        _ => {
            let known = of_text_encoder(component, family).iter();
            let what = match family {
                Family::StableDiffusion => TEXT_ENCODER,
                Family::StableDiffusionXl => "the first text encoder",
            };
            (what, known.map(|(prefix, _)| *prefix).collect())
        }
    };
    SingleFileError::NoComponent {
        path: file.path().to_owned(),
        what,
        names: names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or "),
    }
}

const VAE: &str = "a VAE";
const TEXT_ENCODER: &str = "a text encoder";

/// The weights of a VAE in a file of its own, or in the file of another model.
pub(crate) fn vae_alone(path: &Path, config: &VaeConfig) -> Result<Checkpoint, SingleFileError> {
    let file = open::open(path)?;
    let known = OF_VAE.into_iter().find(|prefix| begins(&file, prefix));
    let names = match known {
        Some(prefix) => Names::of_vae(prefix, config),
        None if begins(&file, "decoder.up_blocks.") => Names::of_diffusers(""),
        None if begins(&file, "decoder.mid.") => Names::of_vae("", config),
        None => {
            let (path, what) = (path.to_owned(), VAE);
            let why = "no tensor begins with `first_stage_model.`, `decoder.mid.` or \
                       `decoder.up_blocks.`";
            return Err(SingleFileError::NotComponent { path, what, why: why.to_owned() });
        }
    };
    Ok(file.checkpoint(names)?)
}

/// The weights of a text encoder in a file of its own. They belong to the encoder in `encoders`
/// whose tokens have the same number of features, and are returned with its position.
pub(crate) fn text_encoder_alone(
    path: &Path,
    encoders: &[TextConfig],
) -> Result<(usize, Checkpoint), SingleFileError> {
    let file = open::open(path)?;
    let kinds = [("token_embedding.weight", Encoder::OpenClip), (TOKENS, Encoder::Clip)];
    let kinds = kinds.into_iter().chain([(BARE_TOKENS, Encoder::Clip)]);
    let found = kinds.into_iter().find_map(|(name, kind)| Some((file.dims(name)?, kind)));
    let Some((&[_, size], kind)) = found else {
        return Err(not_for(path, None, encoders));
    };
    let Some(at) = encoders.iter().position(|encoder| encoder.hidden_size == size) else {
        return Err(not_for(path, Some(size), encoders));
    };
    Ok((at, file.checkpoint(names_of_encoder("", kind, &encoders[at]))?))
}

/// The error for a file or folder that is not a text encoder of the model. `size` is the number of
/// features of its tokens; `None` if it has no tokens.
pub(crate) fn not_for(path: &Path, size: Option<u64>, encoders: &[TextConfig]) -> SingleFileError {
    let sizes: Vec<String> =
        encoders.iter().map(|encoder| encoder.hidden_size.to_string()).collect();
    let why = match size {
        Some(size) => format!(
            "its tokens have {size} features, and those of the model have {}",
            sizes.join(" and ")
        ),
        None => format!("it has neither `{TOKENS}` nor `token_embedding.weight`"),
    };
    SingleFileError::NotComponent { path: path.to_owned(), what: TEXT_ENCODER, why }
}

const TOKENS: &str = "text_model.embeddings.token_embedding.weight";
const BARE_TOKENS: &str = "embeddings.token_embedding.weight";

/// How many features a token has in the weights of a text encoder.
pub(crate) fn hidden_size(checkpoint: &Checkpoint) -> Option<u64> {
    let tokens = checkpoint.get(TOKENS).or_else(|| checkpoint.get(BARE_TOKENS))?;
    tokens.dims.get(1).copied()
}

/// Tensors that releases have beside the model: the noise schedule, what the training needed, and
/// copies of the weights. These are the prefixes of their names.
const IDLE: &[&str] = &[
    "model_ema.",
    "betas",
    "alphas_cumprod",
    "sqrt_",
    "log_one_minus_",
    "posterior_",
    "lvlb_weights",
    "logvar",
    "scale_factor",
    "global_step",
    "denoiser.",
    "v_pred",
    "ztsnr",
    "embedding_manager.",
    "first_stage_model.loss.",
    "cond_stage_model.logit_scale",
];
/// The suffixes of the names of tensors in text encoders that a pipeline may leave unread.
const IDLE_ENDS: &[&str] = &[".position_ids", ".logit_scale", ".text_projection", ".attn_mask"];
/// A part of the name of each layer of an encoder of `open_clip`, whose last layers may be unread.
const IDLE_LAYERS: &str = ".transformer.resblocks.";

fn is_idle(name: &str) -> bool {
    IDLE.iter().any(|start| name.starts_with(start))
        || IDLE_ENDS.iter().any(|end| name.ends_with(end))
        || name.contains(IDLE_LAYERS)
        || is_beside(name)
}

/// A remark that names tensors which belong to no component.
pub(super) fn unread(file: &OneFile, model: &ModelFolder, unet: &str) -> Option<String> {
    const NAMED: usize = 3;
    let components =
        [Component::Unet, Component::Vae, Component::TextEncoder, Component::TextEncoder2];
    let names: Vec<Names> = components
        .into_iter()
        .filter(|component| model.family().components().contains(component))
        .filter_map(|component| names(file, component, model, unet))
        .collect();
    let is_read = |name: &str| names.iter().any(|names| names.has(name));
    let all = file.names_and_shapes().map(|(name, _)| name);
    let unread: Vec<&str> = all.filter(|name| !is_idle(name) && !is_read(name)).collect();
    let first = unread.iter().take(NAMED).map(|name| format!("`{name}`")).collect::<Vec<_>>();
    match unread.len() {
        0 => None,
        1 => Some(format!(
            "{}: the tensor {} belongs to no part of the model that preheat builds, and has no \
             effect",
            file.path().display(),
            first.join(", ")
        )),
        count => Some(format!(
            "{}: {count} tensors belong to no part of the model that preheat builds, and have no \
             effect: {}{}",
            file.path().display(),
            first.join(", "),
            if count > NAMED { ", ..." } else { "" }
        )),
    }
}
