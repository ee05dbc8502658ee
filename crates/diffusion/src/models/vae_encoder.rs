//! How is the encoder from a picture to latents built?
//!
//! It is the encoder of diffusers' `AutoencoderKL`. Its result is a normal distribution for each
//! latent; the sample is drawn from it on the host, where the noise of all other draws is made.

use std::path::Path;

use preheat_ir::graph::{FunctionBuilder, GraphError, UnaryOp, Value, Verified};
use preheat_tensor::{Dtype, TensorType};
use serde::Serialize;

use super::ModelError;
use super::config::Fields;
use super::layers::{Groups, POINT, SAME_3, conv, group_norm, resnet};
use super::vae::{EPS, VaeConfig, attend};

/// The fields of a VAE's config that its encoder depends on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VaeEncoderConfig {
    /// How many channels the latents have.
    pub latent_channels: u64,
    /// The channels of each block, in the encoder's order; the picture's size is halved between two
    /// blocks.
    pub channels: Vec<u64>,
    /// How many resnets each block has.
    pub resnets: u64,
    /// How many groups each group norm has.
    pub norm_groups: u64,
    /// Whether the result goes through a 1x1 convolution.
    pub quant_conv: bool,
    /// Whether the middle block has attention.
    pub middle_attention: bool,
}

impl VaeEncoderConfig {
    /// Reads `vae/config.json`, of which `decoder` has been read already. `path` is the path that
    /// messages name.
    ///
    /// # Errors
    /// If the text is not a JSON object, or a field that shapes the encoder's graph has a value
    /// that is not supported.
    pub fn read(path: &Path, text: &str, decoder: &VaeConfig) -> Result<Self, ModelError> {
        let fields = Fields::parse(path, text)?;
        fields.neutral("in_channels", &serde_json::json!(3))?;
        let block = "DownEncoderBlock2D";
        let blocks = fields.list_of("down_block_types", &[block], &[block])?;
        let channels: Vec<u64> = decoder.channels.iter().rev().copied().collect();
        if blocks.len() != channels.len() {
            let supported =
                format!("as many blocks as `block_out_channels` has, which are {}", channels.len());
            return Err(fields.unsupported("down_block_types", supported));
        }
        Ok(Self {
            latent_channels: decoder.latent_channels,
            channels,
            resnets: fields.count("layers_per_block", Some(1))?,
            norm_groups: decoder.norm_groups,
            quant_conv: fields.flag("use_quant_conv", true)?,
            middle_attention: decoder.middle_attention,
        })
    }
}

/// The graph of the encoder, for one picture of any size that can be halved between two blocks.
///
/// Input: `image f32[1, 3, h * scale, w * scale]`, from -1 for black to 1. Output: `moments
/// f32[1, 2 * latent_channels, h, w]`: the mean of each latent, before the scaling factor, and then
/// the logarithm of its variance.
///
/// # Errors
/// If a side is 0.
pub fn vae_encoder(
    config: &VaeEncoderConfig,
    [height, width]: [u64; 2],
) -> Result<Verified, GraphError> {
    let mut b = FunctionBuilder::new("vae_encoder");
    let scale = (1..config.channels.len()).fold(1, |scale: u64, _| scale.saturating_mul(2));
    let [height, width] = [height, width].map(|side| side.saturating_mul(scale));
    let image = b.input("image", TensorType::new(Dtype::Float32, [1, 3, height, width]));
    let mut x = encode(&mut b, config, image)?;
    if config.quant_conv {
        x = conv(&mut b, "quant_conv", x, 2 * config.latent_channels, POINT)?;
    }
    let moments = b.pin(x, Dtype::Float32);
    b.output("moments", moments);
    b.finish()
}

fn encode(
    b: &mut FunctionBuilder,
    config: &VaeEncoderConfig,
    image: Value,
) -> Result<Value, GraphError> {
    let groups = Groups { count: config.norm_groups, eps: EPS };
    let first = config.channels.first().copied().unwrap_or(0);
    let last = config.channels.last().copied().unwrap_or(0);
    let mut x = conv(b, "encoder.conv_in", image, first, SAME_3)?;
    for (level, &channels) in config.channels.iter().enumerate() {
        let path = format!("encoder.down_blocks.{level}");
        for index in 0..config.resnets {
            x = resnet(b, &format!("{path}.resnets.{index}"), x, channels, None, groups)?;
        }
        if level + 1 < config.channels.len() {
            x = with_a_row_and_a_column(b, x)?;
            x = conv(b, &format!("{path}.downsamplers.0.conv"), x, channels, [3, 2, 0])?;
        }
    }
    x = resnet(b, "encoder.mid_block.resnets.0", x, last, None, groups)?;
    if config.middle_attention {
        x = attend(b, "encoder.mid_block.attentions.0", x, groups)?;
    }
    x = resnet(b, "encoder.mid_block.resnets.1", x, last, None, groups)?;
    x = group_norm(b, "encoder.conv_norm_out", x, groups)?;
    x = b.unary(UnaryOp::Silu, x)?;
    conv(b, "encoder.conv_out", x, 2 * config.latent_channels, SAME_3)
}

/// Pads `[b, c, h, w]` with zeros at the right and at the bottom only, as the encoder does before
/// it halves a picture. A convolution's own padding is equal on all sides.
fn with_a_row_and_a_column(b: &mut FunctionBuilder, x: Value) -> Result<Value, GraphError> {
    let mut dims = b.dims(x).to_vec();
    let zero = b.scalar(0.0);
    let zero = b.reshape(zero, [1, 1, 1, 1])?;
    let mut pad = |b: &mut FunctionBuilder, x: Value, axis: usize| {
        let mut edge = dims.clone();
        if let Some(side) = edge.get_mut(axis) {
            *side = 1;
        }
        let zeros = b.broadcast(zero, edge)?;
        if let Some(side) = dims.get_mut(axis) {
            *side += 1;
        }
        b.concat([x, zeros], axis)
    };
    let x = pad(b, x, 3)?;
    pad(b, x, 2)
}

#[cfg(test)]
mod tests;
