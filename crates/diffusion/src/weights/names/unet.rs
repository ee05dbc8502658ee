//! How are the blocks of a UNet named in an original release?
//!
//! `input_blocks` numbers all layers on the way down consecutively, and `output_blocks` those on
//! the way up. Number 0 of `input_blocks` is the first convolution. After the resnets of each block
//! except the last, there is a number for the layer that halves the picture. Each number stands for
//! a list: item 0 is the resnet, item 1 may be a transformer, and on the way up the last item may
//! be the layer that doubles the picture.

use super::piece::{numbered, renamed, renamed_back};
use crate::models::UnetConfig;

/// How many resnets each block has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blocks {
    down: Vec<u64>,
    up: Vec<u64>,
    /// Which blocks on the way up have transformers.
    up_attends: Vec<bool>,
}

/// The layers outside the blocks.
const LAYERS: [(&str, &str); 7] = [
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("label_emb.0.0", "add_embedding.linear_1"),
    ("label_emb.0.2", "add_embedding.linear_2"),
    ("input_blocks.0.0", "conv_in"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
];

/// The layers of a resnet.
const RESNET: [(&str, &str); 6] = [
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
];

/// The block in the middle.
const MIDDLE: [(&str, &str); 3] = [
    ("middle_block.0", "mid_block.resnets.0"),
    ("middle_block.1", "mid_block.attentions.0"),
    ("middle_block.2", "mid_block.resnets.1"),
];

impl Blocks {
    pub(super) fn of(config: &UnetConfig) -> Self {
        Self {
            down: config.down.iter().map(|block| block.resnets).collect(),
            up: config.up.iter().map(|block| block.resnets).collect(),
            up_attends: config.up.iter().map(|block| block.attention.is_some()).collect(),
        }
    }

    /// The name in diffusers of the weight that the file calls `name`.
    pub(super) fn of_file(&self, name: &str) -> Option<String> {
        if let Some(name) = renamed(name, &LAYERS) {
            return Some(name);
        }
        if let Some(name) = renamed(name, &MIDDLE) {
            let resnet = numbered(&name, "mid_block.resnets.");
            return match resnet {
                Some((at, rest)) => {
                    Some(format!("mid_block.resnets.{at}.{}", renamed(rest, &RESNET)?))
                }
                None => Some(name),
            };
        }
        if let Some((at, rest)) = numbered(name, "input_blocks.") {
            let lengths = self.down.iter().map(|resnets| resnets + 1);
            let (block, layer) = place(at.checked_sub(1)?, lengths)?;
            let is_resnet = layer < self.down[block];
            let last = block + 1 == self.down.len();
            return match numbered(rest, "")? {
                (0, rest) if is_resnet => {
                    let rest = renamed(rest, &RESNET)?;
                    Some(format!("down_blocks.{block}.resnets.{layer}.{rest}"))
                }
                (0, rest) if !last => {
                    let rest = rest.strip_prefix("op.")?;
                    Some(format!("down_blocks.{block}.downsamplers.0.conv.{rest}"))
                }
                (1, rest) if is_resnet => {
                    Some(format!("down_blocks.{block}.attentions.{layer}.{rest}"))
                }
                _ => None,
            };
        }
        let (at, rest) = numbered(name, "output_blocks.")?;
        let (block, layer) = place(at, self.up.iter().copied())?;
        let (item, rest) = numbered(rest, "")?;
        if item == 0 {
            return Some(format!("up_blocks.{block}.resnets.{layer}.{}", renamed(rest, &RESNET)?));
        }
        if let Some(rest) = rest.strip_prefix("conv.") {
            let is_there = layer + 1 == self.up[block] && item == self.upsampler(block);
            return is_there.then(|| format!("up_blocks.{block}.upsamplers.0.conv.{rest}"));
        }
        (item == 1).then(|| format!("up_blocks.{block}.attentions.{layer}.{rest}"))
    }

    /// The name in the file of the weight that diffusers calls `name`.
    pub(super) fn in_file(&self, name: &str) -> Option<String> {
        if let Some(name) = renamed_back(name, &LAYERS) {
            return Some(name);
        }
        if let Some((at, rest)) = numbered(name, "mid_block.resnets.") {
            let rest = renamed_back(rest, &RESNET)?;
            return renamed_back(&format!("mid_block.resnets.{at}.{rest}"), &MIDDLE);
        }
        if let Some(name) = renamed_back(name, &MIDDLE) {
            return Some(name);
        }
        if let Some((block, rest)) = numbered(name, "down_blocks.") {
            let block = usize::try_from(block).ok()?;
            let resnets = *self.down.get(block)?;
            let first = 1 + self.down[..block].iter().map(|resnets| resnets + 1).sum::<u64>();
            if let Some((layer, rest)) = numbered(rest, "resnets.") {
                let rest = renamed_back(rest, &RESNET)?;
                return Some(format!("input_blocks.{}.0.{rest}", first + layer));
            }
            if let Some((layer, rest)) = numbered(rest, "attentions.") {
                return Some(format!("input_blocks.{}.1.{rest}", first + layer));
            }
            let rest = rest.strip_prefix("downsamplers.0.conv.")?;
            return Some(format!("input_blocks.{}.0.op.{rest}", first + resnets));
        }
        let (block, rest) = numbered(name, "up_blocks.")?;
        let block = usize::try_from(block).ok()?;
        let resnets = *self.up.get(block)?;
        let first = self.up[..block].iter().sum::<u64>();
        if let Some((layer, rest)) = numbered(rest, "resnets.") {
            let rest = renamed_back(rest, &RESNET)?;
            return Some(format!("output_blocks.{}.0.{rest}", first + layer));
        }
        if let Some((layer, rest)) = numbered(rest, "attentions.") {
            return Some(format!("output_blocks.{}.1.{rest}", first + layer));
        }
        let rest = rest.strip_prefix("upsamplers.0.conv.")?;
        let (at, item) = (first + resnets - 1, self.upsampler(block));
        Some(format!("output_blocks.{at}.{item}.conv.{rest}"))
    }

    /// The item of the layer that doubles the picture: after the resnet, and after the transformer
    /// if there is one.
    fn upsampler(&self, block: usize) -> u64 {
        1 + u64::from(self.up_attends[block])
    }
}

/// The block that has the layer with number `at`, and the layer's place in the block.
fn place(mut at: u64, lengths: impl Iterator<Item = u64>) -> Option<(usize, u64)> {
    for (block, length) in lengths.enumerate() {
        if at < length {
            return Some((block, at));
        }
        at -= length;
    }
    None
}
