//! When can two models share executables?
//!
//! Two models can share them if their architectures have the same digest, which covers exactly what
//! shapes a graph:
//!
//! | in the digest | not in it |
//! |---|---|
//! | which graph it is | the model's name and its path |
//! | the config fields that the graph reads, resolved | fields that it does not read, and how a list was written |
//! | names and shapes of the weights | their values, the dtype and the files that they are stored in |
//! | which outputs of a text encoder are wanted | weights of parts that the graph does not have, such as those of the VAE's encoder for its decoder |

use std::collections::BTreeMap;

use preheat_cache::{BuilderId, Digest, FramedHasher};
use serde::Serialize;

use super::{TextConfig, TextOutputs, UnetConfig, VaeConfig, VaeEncoderConfig};

/// The version of the format that is hashed into an architecture's digest.
const TAG: &str = "preheat-architecture-v1";
/// The version of the format that is hashed into the builder id.
const BUILDER_TAG: &str = "preheat-builder-v1";

/// The digest of the sources that make these graphs and lower them.
pub fn builder_id() -> BuilderId {
    let mut hasher = FramedHasher::new(BUILDER_TAG);
    hasher.text(preheat_ir::SOURCES).text(env!("PREHEAT_MODEL_SOURCES"));
    BuilderId(hasher.finish().to_string())
}

impl TextConfig {
    /// The digest of a text encoder, given the weights of its checkpoint.
    pub fn architecture<'a>(
        &self,
        outputs: TextOutputs,
        weights: impl IntoIterator<Item = (&'a str, &'a [u64])>,
    ) -> Digest {
        digest("text_encoder", &(self, outputs), weights)
    }
}

impl UnetConfig {
    /// The digest of a denoiser, given the weights of its checkpoint.
    pub fn architecture<'a>(
        &self,
        weights: impl IntoIterator<Item = (&'a str, &'a [u64])>,
    ) -> Digest {
        digest("denoiser", self, weights)
    }
}

impl VaeConfig {
    /// The digest of a VAE decoder, given the weights of its checkpoint.
    pub fn architecture<'a>(
        &self,
        weights: impl IntoIterator<Item = (&'a str, &'a [u64])>,
    ) -> Digest {
        digest("vae_decoder", self, weights)
    }
}

impl VaeEncoderConfig {
    /// The digest of a VAE encoder, given the weights of its checkpoint.
    pub fn architecture<'a>(
        &self,
        weights: impl IntoIterator<Item = (&'a str, &'a [u64])>,
    ) -> Digest {
        digest("vae_encoder", self, weights)
    }
}

/// The digest of a graph that belongs to no model.
pub(super) fn without_a_model(kind: &str) -> Digest {
    digest(kind, &(), [])
}

/// Configs are hashed through the `Serialize` that they derive, so that no field can be forgotten.
fn digest<'a>(
    kind: &str,
    config: &impl Serialize,
    weights: impl IntoIterator<Item = (&'a str, &'a [u64])>,
) -> Digest {
    // Configs consist of numbers, texts and structures of these, so serializing cannot fail.
    let config = serde_json::to_string(config).unwrap_or_default();
    let weights: BTreeMap<String, &[u64]> = weights
        .into_iter()
        .filter(|(name, _)| is_built(kind, name))
        .map(|(name, dims)| (canonical(name), dims))
        .collect();
    let mut hasher = FramedHasher::new(TAG);
    hasher
        .text(kind)
        .text(&config)
        .map(&weights, |hasher, dims| hasher.list(dims, |hasher, dim| hasher.integer(*dim)));
    hasher.finish()
}

/// Whether the graph may read a tensor of the component's checkpoint.
fn is_built(kind: &str, name: &str) -> bool {
    match kind {
        "vae_decoder" => name.starts_with("decoder.") || name.starts_with("post_quant_conv."),
        "vae_encoder" => name.starts_with("encoder.") || name.starts_with("quant_conv."),
        // Older checkpoints store the positions 0, 1, 2, ... as a tensor that no graph reads.
        "text_encoder" => !name.ends_with("position_ids"),
        _ => true,
    }
}

/// The names of the VAE's attention weights, each with its name in earlier releases of diffusers.
const RENAMED: [(&str, &str); 4] = [
    (".to_q.", ".query."),
    (".to_k.", ".key."),
    (".to_v.", ".value."),
    (".to_out.0.", ".proj_attn."),
];

/// Other names under which a checkpoint may hold the weight that a graph calls `name`.
pub fn aliases(name: &str) -> Vec<String> {
    if let Some(bare) = name.strip_prefix(TEXT_MODEL) {
        return vec![bare.to_owned()];
    }
    if !VAE_ATTENTIONS.iter().any(|start| name.starts_with(start)) {
        return Vec::new();
    }
    RENAMED
        .iter()
        .filter(|(new, _)| name.contains(new))
        .map(|(new, old)| name.replace(new, old))
        .collect()
}

/// The prefix of the names of a text encoder's weights. transformers 5 omits it when it writes a
/// `CLIPTextModel`; every older release writes it.
const TEXT_MODEL: &str = "text_model.";
const VAE_ATTENTIONS: [&str; 2] =
    ["decoder.mid_block.attentions.", "encoder.mid_block.attentions."];

/// The name that a graph uses for the weight that a checkpoint calls `name`.
pub(crate) fn canonical(name: &str) -> String {
    if VAE_ATTENTIONS.iter().any(|start| name.starts_with(start)) {
        return RENAMED.iter().fold(name.to_owned(), |name, (new, old)| name.replace(old, new));
    }
    let bare = ["embeddings.", "encoder.layers.", "final_layer_norm."]
        .iter()
        .any(|start| name.starts_with(start));
    if bare { format!("{TEXT_MODEL}{name}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests;
