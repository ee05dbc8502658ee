//! How is the decoder from latents to a picture built?
//!
//! It is the decoder of diffusers' `AutoencoderKL`.

use std::path::Path;

use preheat_ir::graph::{BinaryOp, FunctionBuilder, GraphError, UnaryOp, Value, Verified};
use preheat_tensor::Dtype;
use preheat_tensor::TensorType;
use serde::Serialize;
use serde_json::json;

use super::ModelError;
use super::config::{Fields, divides};
use super::layers::{
    Groups, POINT, SAME_3, attention, conv, features, group_norm, linear, resnet, sides,
    to_picture, to_tokens,
};

/// The fields of a VAE's config that its decoder depends on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VaeConfig {
    /// How many channels the latents have.
    pub latent_channels: u64,
    /// The channels of each block, in the decoder's order; the picture's size is doubled between
    /// two blocks.
    pub channels: Vec<u64>,
    /// How many resnets each block has.
    pub resnets: u64,
    /// How many groups each group norm has.
    pub norm_groups: u64,
    /// The number that the latents are divided by.
    pub scaling_factor: f32,
    /// Whether the VAE's numbers do not fit float16, so that it computes in f32 if float16 is asked
    /// for. The numbers fit bfloat16.
    pub force_upcast: bool,
    /// Whether the latents first go through a 1x1 convolution.
    pub post_quant_conv: bool,
    /// Whether the middle block has attention.
    pub middle_attention: bool,
}

/// The epsilon of every group norm in diffusers' encoder and decoder.
pub(super) const EPS: f32 = 1e-6;

impl VaeConfig {
    /// Reads `vae/config.json`. `path` is the path that messages name.
    ///
    /// # Errors
    /// If the text is not a JSON object, or a field that shapes the decoder's graph has a value
    /// that is not supported.
    pub fn read(path: &Path, text: &str) -> Result<Self, ModelError> {
        let fields = Fields::parse(path, text)?;
        fields.neutrals(&[
            ("out_channels", json!(3)),
            ("shift_factor", json!(null)),
            ("latents_mean", json!(null)),
            ("latents_std", json!(null)),
        ])?;
        fields.one_of("act_fn", "silu", &["silu", "swish"])?;
        let block = "UpDecoderBlock2D";
        let blocks = fields.list_of("up_block_types", &[block], &[block])?;
        let mut channels = fields.counts("block_out_channels", &[64])?;
        fields.bound_blocks("block_out_channels", channels.len())?;
        channels.reverse();
        if blocks.len() != channels.len() {
            let supported =
                format!("as many blocks as `block_out_channels` has, which are {}", channels.len());
            return Err(fields.unsupported("up_block_types", supported));
        }
        let norm_groups = fields.count("norm_num_groups", Some(32))?;
        for &channels in &channels {
            divides(&fields, "norm_num_groups", norm_groups, "block_out_channels", channels)?;
        }
        let scaling_factor = fields.number("scaling_factor", 0.18215)?;
        if scaling_factor <= 0.0 {
            return Err(fields.unsupported("scaling_factor", "a number above 0"));
        }
        let resnets = fields.count("layers_per_block", Some(1))? + 1;
        fields.bound_layers("layers_per_block", resnets * channels.len() as u64)?;
        Ok(Self {
            latent_channels: fields.count("latent_channels", Some(4))?,
            channels,
            resnets,
            norm_groups,
            scaling_factor,
            force_upcast: fields.flag("force_upcast", true)?,
            post_quant_conv: fields.flag("use_post_quant_conv", true)?,
            middle_attention: fields.flag("mid_block_add_attention", true)?,
        })
    }

    /// How many pixels a latent becomes in each direction.
    pub fn scale(&self) -> u64 {
        (1..self.channels.len()).fold(1, |scale: u64, _| scale.saturating_mul(2))
    }
}

/// The graph of the decoder, for one picture of any size.
///
/// Input: `latents f32[1, latent_channels, h, w]`, as the denoiser leaves them. Output: `image
/// f32[1, 3, h * scale, w * scale]`, from 0 for black to 1.
///
/// # Errors
/// If a side is 0.
pub fn vae_decoder(config: &VaeConfig, [height, width]: [u64; 2]) -> Result<Verified, GraphError> {
    let mut b = FunctionBuilder::new("vae_decoder");
    let latents = b.input(
        "latents",
        TensorType::new(Dtype::Float32, [1, config.latent_channels, height, width]),
    );
    let x = vae(&mut b, config, latents)?;

    let x = b.pin(x, Dtype::Float32);
    let half = b.scalar(0.5);
    let x = b.mul(x, half)?;
    let x = b.add(x, half)?;
    let (zero, one) = (b.scalar(0.0), b.scalar(1.0));
    let x = b.binary(BinaryOp::Max, x, zero)?;
    let x = b.binary(BinaryOp::Min, x, one)?;
    b.output("image", x);
    b.finish()
}

/// The picture for `latents`, `[n, 3, h * scale, w * scale]`. Its values lie mostly between -1 for
/// black and 1, but they are not clamped.
///
/// # Errors
/// If a side is 0.
pub fn vae(
    b: &mut FunctionBuilder,
    config: &VaeConfig,
    latents: Value,
) -> Result<Value, GraphError> {
    let factor = b.scalar(config.scaling_factor);
    let mut x = b.binary(BinaryOp::Div, latents, factor)?;
    if config.post_quant_conv {
        x = conv(b, "post_quant_conv", x, config.latent_channels, POINT)?;
    }
    decode(b, config, x)
}

fn decode(b: &mut FunctionBuilder, config: &VaeConfig, x: Value) -> Result<Value, GraphError> {
    let groups = Groups { count: config.norm_groups, eps: EPS };
    let first = config.channels.first().copied().unwrap_or(0);
    let mut x = conv(b, "decoder.conv_in", x, first, SAME_3)?;
    x = resnet(b, "decoder.mid_block.resnets.0", x, first, None, groups)?;
    if config.middle_attention {
        x = attend(b, "decoder.mid_block.attentions.0", x, groups)?;
    }
    x = resnet(b, "decoder.mid_block.resnets.1", x, first, None, groups)?;
    for (level, &channels) in config.channels.iter().enumerate() {
        let path = format!("decoder.up_blocks.{level}");
        for index in 0..config.resnets {
            x = resnet(b, &format!("{path}.resnets.{index}"), x, channels, None, groups)?;
        }
        if level + 1 < config.channels.len() {
            let size = sides(b, x).map(|side| side * 2);
            x = b.upsample(x, size)?;
            x = conv(b, &format!("{path}.upsamplers.0.conv"), x, channels, SAME_3)?;
        }
    }
    x = group_norm(b, "decoder.conv_norm_out", x, groups)?;
    x = b.unary(UnaryOp::Silu, x)?;
    conv(b, "decoder.conv_out", x, 3, SAME_3)
}

/// Attention of every pixel to every pixel, with one head and a residual connection.
pub(super) fn attend(
    b: &mut FunctionBuilder,
    path: &str,
    x: Value,
    groups: Groups,
) -> Result<Value, GraphError> {
    let (channels, size) = (features(b, x, 1), sides(b, x));
    let normed = group_norm(b, &format!("{path}.group_norm"), x, groups)?;
    let tokens = to_tokens(b, normed)?;
    let mut project = |name: &str| linear(b, &format!("{path}.{name}"), tokens, channels);
    let operands = [project("to_q")?, project("to_k")?, project("to_v")?];
    let attended = attention(b, operands, 1, false)?;
    let attended = linear(b, &format!("{path}.to_out.0"), attended, channels)?;
    let attended = to_picture(b, attended, size)?;
    b.add(x, attended)
}

#[cfg(test)]
mod tests;
