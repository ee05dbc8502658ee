//! How is the denoiser's network built as a graph?
//!
//! It is diffusers' `UNet2DConditionModel`, as Stable Diffusion 1.x, 2.x and XL configure it.

mod blocks;
mod config;
mod embeddings;
mod transformer;

use preheat_ir::graph::{BinaryOp, Builder, GraphError, UnaryOp, Value};

use self::blocks::Conditions;
pub use self::config::{AddedConfig, UnetAttention, UnetBlock, UnetConfig};
use crate::models::layers::{SAME_3, conv, features, group_norm, last};

/// The values that Stable Diffusion XL conditions on besides the prompt's tokens.
#[derive(Debug, Clone, Copy)]
pub struct Added {
    /// The pooled output of the second text encoder, `f32[n, proj]`.
    pub text_embeds: Value,
    /// Height and width of the original, top and left of the crop, height and width of the target:
    /// `f32[n, 6]`.
    pub time_ids: Value,
}

/// Computes the prediction from which [`crate::pipeline::schedulers`] makes the update: `[n,
/// out_channels, h, w]`.
///
/// `sample` is `[n, in_channels, h, w]`, `timestep` is an f32 scalar for the whole batch, and
/// `context` is `[n, tokens, context_size]`. Any height and width can be used: if one is odd when
/// it is halved, the way up restores it.
///
/// # Errors
/// Where an operand has another shape than the network expects, or `added` is given to a network
/// that does not take it or is missing for one that does.
pub fn unet(
    b: &mut Builder,
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

/// Checks a size of an operand. Weights are declared with sizes taken from the operands that they
/// meet, so a wrong size would not be noticed later.
fn same(what: &str, given: u64, wanted: u64) -> Result<(), GraphError> {
    if given == wanted {
        Ok(())
    } else {
        Err(refused(format!("{what} are {given}, and should be {wanted}")))
    }
}

fn refused(why: String) -> GraphError {
    GraphError::of_function("unet", why)
}

#[cfg(test)]
mod tests;
