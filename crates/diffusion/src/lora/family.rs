//! For which kind of model does a LoRA file seem to be made?
//!
//! The answer is used only in the text of an error, so a guess is enough.

use super::key::{Key, Part};

/// The kind of model, if the names and shapes of the file's tensors show it.
pub(super) fn guess<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a [u64])>,
) -> Option<&'static str> {
    let mut best = None;
    for (name, dims) in tensors {
        let has = |part: &str| name.contains(part);
        if has("double_blocks") || has("single_blocks") || has("single_transformer_blocks") {
            return Some("Flux");
        }
        if has("joint_blocks") {
            return Some("Stable Diffusion 3");
        }
        if has("lora_te2_") || has("text_encoder_2.") {
            return Some(XL);
        }
        if let Some(family) = by_context(name, dims) {
            return Some(family);
        }
        if has("lora_unet_input_blocks") {
            best = Some(XL);
        } else if name.starts_with("transformer.") {
            best = Some("a model with a transformer in place of the UNet, such as Flux");
        }
    }
    best
}

const XL: &str = "Stable Diffusion XL";

/// The kind of model, from the width of the prompt's features that a cross-attention layer reads.
fn by_context(name: &str, dims: &[u64]) -> Option<&'static str> {
    let key = Key::parse(name)?;
    let reads_prompt =
        key.layer.contains("attn2") && (key.layer.ends_with("to_k") || key.layer.ends_with("to_v"));
    if !reads_prompt || !matches!(key.part, Part::Down | Part::HadaW1B) {
        return None;
    }
    match dims.get(1)? {
        768 => Some("Stable Diffusion 1.x"),
        1024 => Some("Stable Diffusion 2.x"),
        2048 => Some(XL),
        1280 => Some("the refiner of Stable Diffusion XL"),
        _ => None,
    }
}
