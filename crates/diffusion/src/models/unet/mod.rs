//! How is the denoiser's network built as a graph?
//!
//! It is diffusers' `UNet2DConditionModel`, as Stable Diffusion 1.x, 2.x and XL configure it.

mod blocks;
mod config;
mod embeddings;
mod operands;
mod transformer;

use preheat_ir::graph::{BinaryOp, FunctionBuilder, GraphError, UnaryOp, Value};

use self::blocks::Conditions;
pub use self::config::{AddedConfig, UnetAttention, UnetBlock, UnetConfig};
pub use self::operands::Added;
use self::operands::same;
use crate::models::layers::{SAME_3, conv, features, group_norm, last};

/// Computes the prediction, `[n, out_channels, h, w]`, from which the update of a scheduler
/// ([`crate::pipeline::schedulers`]) is computed.
///
/// `sample` is `[n, in_channels, h, w]`, `timestep` is an f32 scalar for the whole batch, and
/// `context` is `[n, tokens, context_size]`. Any height and width can be used: if one is odd when
/// it is halved, the way up restores it.
///
/// # Errors
/// If an operand has another shape than the network expects, if `added` is given to a network that
/// does not take it, or if it is missing for a network that does.
pub fn unet(
    b: &mut FunctionBuilder,
    config: &UnetConfig,
    sample: Value,
    timestep: Value,
    context: Value,
    added: Option<Added>,
) -> Result<Value, GraphError> {
    same("the channels of the latents", features(b, sample, 1), config.in_channels)?;
    same("the features of the prompt", last(b, context), config.context_size)?;
    let time = embeddings::time(b, config, timestep, added)?;
    let conditions = Conditions { time, context };
    let mut x = sample;
    if config.center_input_sample {
        x = b.scale(x, 2.0)?;
        let one = b.scalar(1.0);
        x = b.binary(BinaryOp::Sub, x, one)?;
    }
    x = conv(b, "conv_in", x, config.down.first().map_or(0, |block| block.channels), SAME_3)?;

    let mut skips = vec![x];
    for (level, block) in config.down.iter().enumerate() {
        let halve = level + 1 < config.down.len();
        x = blocks::down(
            b,
            config,
            &format!("down_blocks.{level}"),
            block,
            x,
            conditions,
            halve,
            &mut skips,
        )?;
    }
    x = blocks::middle(b, config, x, conditions)?;
    for (level, block) in config.up.iter().enumerate() {
        x = blocks::up(b, config, &format!("up_blocks.{level}"), block, x, conditions, &mut skips)?;
    }

    x = group_norm(b, "conv_norm_out", x, config.groups())?;
    x = b.unary(UnaryOp::Silu, x)?;
    conv(b, "conv_out", x, config.out_channels, SAME_3)
}

#[cfg(test)]
mod tests;
