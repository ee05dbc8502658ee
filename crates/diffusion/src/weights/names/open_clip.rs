//! How are the weights of a text encoder named in `open_clip`?
//!
//! Query, key and value are one tensor, `in_proj`, in this order. The projection is a matrix that
//! is multiplied from the other side, so its rows and columns are exchanged. A file has all layers
//! that the encoder was trained with; Stable Diffusion 2.x reads one layer fewer.

use super::piece::{Piece, numbered, renamed, renamed_back};

/// The parts of an encoder that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encoder {
    pub(super) layers: u64,
    pub(super) projection: bool,
}

/// Names of tensors outside the layers.
const OUTSIDE: [(&str, &str); 2] = [
    ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
    ("token_embedding.weight", "text_model.embeddings.token_embedding.weight"),
];
const NORM: [(&str, &str); 1] = [("ln_final", "text_model.final_layer_norm")];
const PROJECTION: (&str, &str) = ("text_projection", "text_projection.weight");
const LAYERS: (&str, &str) = ("transformer.resblocks.", "text_model.encoder.layers.");

/// The parts of a layer.
const LAYER: [(&str, &str); 5] = [
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
    ("attn.out_proj", "self_attn.out_proj"),
];
const FUSED: &str = "attn.in_proj_";
/// The three layers whose weights are one tensor in the file, in this order.
const THIRDS: [&str; 3] = ["q_proj", "k_proj", "v_proj"];

impl Encoder {
    /// The weights that the tensor `name` of the file holds.
    pub(super) fn of_file(&self, name: &str) -> Vec<Piece> {
        if let Some((_, new)) = OUTSIDE.iter().find(|(old, _)| *old == name) {
            return vec![Piece::whole((*new).to_owned())];
        }
        if let Some(name) = renamed(name, &NORM) {
            return vec![Piece::whole(name)];
        }
        // Some programs write the projection as a linear layer.
        if name == PROJECTION.1 && self.projection {
            return vec![Piece::whole(name.to_owned())];
        }
        if name == PROJECTION.0 && self.projection {
            let name = PROJECTION.1.to_owned();
            return vec![Piece { transposed: true, ..Piece::whole(name) }];
        }
        let Some((layer, rest)) = numbered(name, LAYERS.0) else { return Vec::new() };
        if layer >= self.layers {
            return Vec::new();
        }
        let layer = format!("{}{layer}", LAYERS.1);
        if let Some(kind) = rest.strip_prefix(FUSED) {
            let third = |(at, part): (u64, &str)| {
                let name = format!("{layer}.self_attn.{part}.{kind}");
                Piece { third: Some(at), ..Piece::whole(name) }
            };
            return (0..).zip(THIRDS).map(third).collect();
        }
        let rest = renamed(rest, &LAYER);
        rest.map(|rest| Piece::whole(format!("{layer}.{rest}"))).into_iter().collect()
    }

    /// The name in the file of the weight that transformers calls `name`.
    #[expect(clippy::unused_self, reason = "as the other layouts have it")]
    pub(super) fn in_file(&self, name: &str) -> Option<String> {
        if let Some((old, _)) = OUTSIDE.iter().find(|(_, new)| *new == name) {
            return Some((*old).to_owned());
        }
        if name == PROJECTION.1 {
            return Some(PROJECTION.0.to_owned());
        }
        if let Some(name) = renamed_back(name, &NORM) {
            return Some(name);
        }
        let (layer, rest) = numbered(name, LAYERS.1)?;
        let fused = rest.strip_prefix("self_attn.").and_then(|rest| {
            THIRDS.iter().find_map(|part| rest.strip_prefix(part)?.strip_prefix('.'))
        });
        let rest = match fused {
            Some(kind) => format!("{FUSED}{kind}"),
            None => renamed_back(rest, &LAYER)?,
        };
        Some(format!("{}{layer}.{rest}", LAYERS.0))
    }
}
