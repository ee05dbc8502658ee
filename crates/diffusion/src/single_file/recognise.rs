//! Which family does the model in a file belong to, and what is a file without such a model?
//!
//! The names and shapes of tensors decide. diffusers and ComfyUI look for the same tensors to
//! distinguish the families.

use std::fmt;

use super::SingleFileError;
use crate::models::Family;
use crate::weights::OneFile;

/// A public release whose configs preheat carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Stable Diffusion 1.x.
    StableDiffusion1,
    /// Stable Diffusion 2.x.
    StableDiffusion2,
    /// The base model of Stable Diffusion XL.
    StableDiffusionXl,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StableDiffusion1 => "Stable Diffusion 1.5",
            Self::StableDiffusion2 => "Stable Diffusion 2.1",
            Self::StableDiffusionXl => "Stable Diffusion XL",
        })
    }
}

/// The prefixes that the tensors of a UNet may have.
const PREFIXES: [&str; 3] = ["model.diffusion_model.", "diffusion_model.", ""];
/// The first convolution, which each UNet has.
const FIRST: &str = "input_blocks.0.0.weight";
/// The first layer of the embedding of sizes and pooled prompts, which Stable Diffusion XL has. In
/// unCLIP, a layer with the same name embeds pictures.
const ADDED: &str = "label_emb.0.0.weight";

/// The prefix of the names of the UNet's tensors.
pub(super) fn unet(file: &OneFile) -> Result<&'static str, SingleFileError> {
    // A LoRA or a control network may have tensors whose names begin as those of a UNet do.
    if let Some((what, advice)) = beside_a_model(file) {
        return Err(other(file, what, advice));
    }
    let has = |prefix: &&str| file.dims(&format!("{prefix}{FIRST}")).is_some();
    let Some(prefix) = PREFIXES.into_iter().find(has) else { return Err(no_unet(file)) };
    if let Some((what, advice)) = other_unet(file, prefix) {
        return Err(other(file, what, advice));
    }
    Ok(prefix)
}

/// The family of a file that has a UNet.
pub(super) fn family(file: &OneFile, unet: &str) -> Family {
    match file.dims(&format!("{unet}{ADDED}")) {
        Some(_) => Family::StableDiffusionXl,
        None => Family::StableDiffusion,
    }
}

/// The release whose configs fit the file.
pub(super) fn release(file: &OneFile, unet: &str) -> Result<Release, SingleFileError> {
    let no_configs = |why: String| SingleFileError::NoConfigs { path: file.path().to_owned(), why };
    let first = file.dims(&format!("{unet}{FIRST}")).and_then(|dims| dims.first().copied());
    if first != Some(320) {
        let first = first.unwrap_or_default();
        return Err(no_configs(format!("its UNet begins with {first} channels, and not 320")));
    }
    match (context(file, unet), family(file, unet)) {
        (Some(768), Family::StableDiffusion) => Ok(Release::StableDiffusion1),
        (Some(1024), Family::StableDiffusion) => Ok(Release::StableDiffusion2),
        (Some(2048), Family::StableDiffusionXl) if is_whole_xl(file, unet) => {
            Ok(Release::StableDiffusionXl)
        }
        (Some(2048), Family::StableDiffusionXl) => {
            let why = "its UNet has fewer transformer layers than that of Stable Diffusion XL, \
                       like the UNets of distilled models such as SSD-1B";
            Err(no_configs(why.to_owned()))
        }
        (Some(size), _) => {
            Err(no_configs(format!("its UNet reads prompts of {size} features for each token")))
        }
        (None, _) => Err(no_configs("its UNet reads no prompt".to_owned())),
    }
}

/// How many features the UNet reads for each token of a prompt; `None` if it reads no prompt.
fn context(file: &OneFile, unet: &str) -> Option<u64> {
    let mut all = file.names_and_shapes();
    let reads = |name: &str| name.starts_with(unet) && name.ends_with(".attn2.to_k.weight");
    all.find_map(|(name, dims)| reads(name).then(|| dims.get(1).copied())?)
}

/// Whether a UNet of Stable Diffusion XL has all its transformer layers: two in the second block,
/// ten in the third.
fn is_whole_xl(file: &OneFile, unet: &str) -> bool {
    let deepest =
        ["input_blocks.4.1.transformer_blocks.1", "input_blocks.7.1.transformer_blocks.9"];
    deepest.iter().all(|layer| file.dims(&format!("{unet}{layer}.norm1.weight")).is_some())
}

fn other(file: &OneFile, what: impl Into<String>, advice: impl Into<String>) -> SingleFileError {
    let path = file.path().to_owned();
    SingleFileError::Other { path, what: what.into(), advice: advice.into() }
}

/// The kind of a file that changes or guides a model, with advice; `None` for other files.
fn beside_a_model(file: &OneFile) -> Option<(&'static str, &'static str)> {
    let any = |parts: &[&str]| {
        file.names_and_shapes().any(|(name, _)| parts.iter().any(|part| name.contains(part)))
    };
    let lora = [
        "lora_unet_",
        "lora_te",
        ".lora_down.",
        ".lora_up.",
        ".lora_A.",
        ".lora_B.",
        "_lora.down.",
        "_lora.up.",
        ".hada_w1_a",
        ".lokr_w1",
        ".dora_scale",
    ];
    if any(&lora) {
        return Some((
            "a LoRA, which changes the weights of a model",
            "name the model that it was made for",
        ));
    }
    if any(&["control_model.", "controlnet_cond_embedding.", "input_hint_block."]) {
        return Some(("a ControlNet", "name a model for text to image"));
    }
    if any(&[".motion_modules."]) {
        return Some(("a motion module of AnimateDiff", "name a model for text to image"));
    }
    None
}

/// The kind of a model whose UNet preheat does not run, with advice; `None` for other models.
fn other_unet(file: &OneFile, unet: &str) -> Option<(String, &'static str)> {
    const ADVICE: &str =
        "preheat runs Stable Diffusion 1.x, 2.x and the base model of XL from text to image";
    let has = |name: &str| file.dims(name).is_some();
    let channels = file.dims(&format!("{unet}{FIRST}")).and_then(|dims| dims.get(1).copied());
    let what = if has("edm_mean") {
        "a model of Playground 2.5, which has a noise schedule of its own"
    } else if has("edm_vpred.sigma_max") {
        "a model of CosXL, which has a noise schedule of its own"
    } else if has(&format!("{unet}label_emb.weight")) {
        "an upscaler"
    } else if context(file, unet) == Some(1280) {
        "a refiner of Stable Diffusion XL"
    } else if has(&format!("{unet}{ADDED}")) && context(file, unet) == Some(1024) {
        "a model of unCLIP, which reads pictures"
    } else {
        match channels {
            Some(4) | None => return None,
            Some(9) => "a model for inpainting",
            Some(8) => "a model for editing pictures (instruct-pix2pix)",
            Some(5) => "a model that reads depth",
            Some(count) => {
                return Some((format!("a model whose UNet takes {count} channels"), ADVICE));
            }
        }
    };
    Some((what.to_owned(), ADVICE))
}

/// Models without such a UNet: a part of a tensor's name, and the kind of model that has such a
/// tensor. The first row that fits is used.
const OTHERS: &[(&str, &str)] = &[
    ("distilled_guidance_layer.", "a model of Chroma"),
    ("individual_token_refiner.", "a model of HunyuanVideo"),
    ("single_stream_modulation.", "a model of Flux.2"),
    ("double_stream_modulation_img.", "a model of Flux.2"),
    ("double_blocks.0.img_attn.", "a model of Flux"),
    ("single_transformer_blocks.", "a model of Flux"),
    ("joint_blocks.0.", "a model of Stable Diffusion 3"),
    ("text_encoders.clip_g.", "a model of Stable Diffusion 3"),
    ("clip_txt_mapper.", "a model of Stable Cascade"),
    ("double_layers.0.attn.", "a model of AuraFlow"),
    ("cap_embedder.", "a model of Lumina 2 or Z-Image"),
    ("patchify_proj.", "a model of LTX-Video"),
    ("txt_in.text_norm.", "a model of Qwen-Image"),
    ("transformer_blocks.0.attn.add_q_proj.", "a model of Qwen-Image or Stable Diffusion 3"),
    ("head.modulation", "a model of Wan"),
    ("blocks.0.attn.qkv_x.", "a model of Mochi"),
    ("cross_attn.kv_linear.", "a model of PixArt or Sana"),
];

/// The error for a file without a UNet.
fn no_unet(file: &OneFile) -> SingleFileError {
    let has = |part: &str| file.names_and_shapes().any(|(name, _)| name.contains(part));
    let begins = |start: &str| file.names_and_shapes().any(|(name, _)| name.starts_with(start));
    if let Some((_, what)) = OTHERS.iter().find(|(part, _)| has(part)) {
        let advice = "preheat runs Stable Diffusion 1.x, 2.x and XL";
        return other(file, *what, advice);
    }
    if has("string_to_param") || has("emb_params") {
        return other(file, "a textual inversion", "name the model that it was made for");
    }
    if begins("down_blocks.0.resnets.") {
        let advice = "it belongs in the folder `unet` of a model in the diffusers layout";
        return other(file, "a UNet alone, with the names of diffusers", advice);
    }
    if begins("first_stage_model.") || begins("decoder.") || begins("encoder.down.") {
        return other(file, "a VAE alone", "name a whole model, and this file as its VAE");
    }
    if begins("text_model.") || begins("transformer.resblocks.") || begins("encoder.block.") {
        let advice = "name a whole model, and this file as its text encoder";
        return other(file, "a text encoder alone", advice);
    }
    let names: Vec<&str> = file.names_and_shapes().map(|(name, _)| name).take(3).collect();
    let count = file.names_and_shapes().count();
    SingleFileError::Unknown { path: file.path().to_owned(), count, names: names.join(", ") }
}
