//! How are the blocks of a VAE named in an original release?
//!
//! The decoder's blocks are numbered by the size of the picture, so its first block has the highest
//! number. The attention's layers may be convolutions of one pixel.

use super::piece::{Piece, numbered, renamed, renamed_back};

/// How many blocks encoder and decoder have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) count: u64,
}

/// The layers outside the blocks that have another name.
const LAYERS: [(&str, &str); 4] = [
    ("norm_out", "conv_norm_out"),
    ("mid.block_1", "mid_block.resnets.0"),
    ("mid.block_2", "mid_block.resnets.1"),
    ("mid.attn_1", "mid_block.attentions.0"),
];

/// The layers of the attention.
const ATTENTION: [(&str, &str); 5] = [
    ("mid_block.attentions.0.norm", "mid_block.attentions.0.group_norm"),
    ("mid_block.attentions.0.q", "mid_block.attentions.0.to_q"),
    ("mid_block.attentions.0.k", "mid_block.attentions.0.to_k"),
    ("mid_block.attentions.0.v", "mid_block.attentions.0.to_v"),
    ("mid_block.attentions.0.proj_out", "mid_block.attentions.0.to_out.0"),
];

/// The layers of a resnet that have another name.
const SHORTCUT: (&str, &str) = (".nin_shortcut.", ".conv_shortcut.");

const HALVES: [&str; 2] = ["encoder.", "decoder."];

impl Blocks {
    /// The weight that the file calls `name`.
    pub(super) fn of_file(&self, name: &str) -> Option<Piece> {
        let Some(half) = half(name) else {
            let outside = name.starts_with("quant_conv.") || name.starts_with("post_quant_conv.");
            return outside.then(|| Piece::whole(name.to_owned()));
        };
        let rest = name[half.len()..].replace(SHORTCUT.0, SHORTCUT.1);
        if let Some(rest) = renamed(&rest, &LAYERS) {
            let rest = renamed(&rest, &ATTENTION).unwrap_or(rest);
            let linear = rest.contains(".attentions.0.to_");
            return Some(Piece { linear, ..Piece::whole(format!("{half}{rest}")) });
        }
        if rest.starts_with("conv_in.") || rest.starts_with("conv_out.") {
            return Some(Piece::whole(format!("{half}{rest}")));
        }
        let (side, resize) = sides(half);
        let (block, rest) = numbered(&rest, &format!("{side}."))?;
        let block = self.turned(half, block)?;
        let rest = match rest.strip_prefix("block.") {
            Some(rest) => format!("resnets.{rest}"),
            None => format!("{resize}rs.0.{}", rest.strip_prefix(&format!("{resize}."))?),
        };
        Some(Piece::whole(format!("{half}{side}_blocks.{block}.{rest}")))
    }

    /// The name in the file of the weight that diffusers calls `name`.
    pub(super) fn in_file(&self, name: &str) -> Option<String> {
        let Some(half) = half(name) else { return Some(name.to_owned()) };
        let rest = name[half.len()..].replace(SHORTCUT.1, SHORTCUT.0);
        let rest = renamed_back(&rest, &ATTENTION).unwrap_or(rest);
        if let Some(rest) = renamed_back(&rest, &LAYERS) {
            return Some(format!("{half}{rest}"));
        }
        let (side, resize) = sides(half);
        let Some((block, rest)) = numbered(&rest, &format!("{side}_blocks.")) else {
            return Some(format!("{half}{rest}"));
        };
        let block = self.turned(half, block)?;
        let rest = match rest.strip_prefix("resnets.") {
            Some(rest) => format!("block.{rest}"),
            None => format!("{resize}.{}", rest.strip_prefix(&format!("{resize}rs.0."))?),
        };
        Some(format!("{half}{side}.{block}.{rest}"))
    }

    /// The number of a block in the other naming.
    fn turned(&self, half: &str, block: u64) -> Option<u64> {
        let from_the_end = self.count.checked_sub(block + 1)?;
        Some(if half == HALVES[1] { from_the_end } else { block })
    }
}

fn half(name: &str) -> Option<&'static str> {
    HALVES.into_iter().find(|half| name.starts_with(half))
}

/// The direction of the blocks, and what they do to the picture's size.
fn sides(half: &str) -> (&'static str, &'static str) {
    if half == HALVES[1] { ("up", "upsample") } else { ("down", "downsample") }
}
