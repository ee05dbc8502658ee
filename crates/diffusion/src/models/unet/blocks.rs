//! How are the UNet's blocks built, on the way down, in the middle and on the way up?
//!
//! Outputs of the way down are saved as skips, which the way up reads in the reverse order.

use preheat_ir::graph::{FunctionBuilder, GraphError, Value};

use super::config::{UnetBlock, UnetConfig};
use super::transformer::transformer;
use crate::models::layers::{HALVE, SAME_3, conv, resnet, sides};

/// The conditions that every block is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditions {
    /// The time embedding after its activation, `[1 or n, dim]`.
    pub(super) time: Value,
    /// The prompt, `[n, tokens, context_size]`.
    pub(super) context: Value,
}

/// `DownBlock2D` and `CrossAttnDownBlock2D`. The outputs that the way up needs are pushed onto
/// `skips`.
#[expect(clippy::too_many_arguments, reason = "a block is all of this")]
pub(super) fn down(
    b: &mut FunctionBuilder,
    config: &UnetConfig,
    path: &str,
    block: &UnetBlock,
    mut x: Value,
    conditions: Conditions,
    halve: bool,
    skips: &mut Vec<Value>,
) -> Result<Value, GraphError> {
    for index in 0..block.resnets {
        x = layer(b, config, path, block, x, conditions, index)?;
        skips.push(x);
    }
    if halve {
        x = conv(b, &format!("{path}.downsamplers.0.conv"), x, block.channels, HALVE)?;
        skips.push(x);
    }
    Ok(x)
}

/// `UNetMidBlock2DCrossAttn`: a transformer between two resnets.
pub(super) fn middle(
    b: &mut FunctionBuilder,
    config: &UnetConfig,
    x: Value,
    conditions: Conditions,
) -> Result<Value, GraphError> {
    let block = &config.middle;
    let x = layer(b, config, "mid_block", block, x, conditions, 0)?;
    resnet(b, "mid_block.resnets.1", x, block.channels, Some(conditions.time), config.groups())
}

/// `UpBlock2D` and `CrossAttnUpBlock2D`. Each resnet takes the last of `skips` and reads it
/// together with its input. Every block except the last scales its output to the size of the next
/// block's first skip: twice its own size, or less if halving had rounded up.
pub(super) fn up(
    b: &mut FunctionBuilder,
    config: &UnetConfig,
    path: &str,
    block: &UnetBlock,
    mut x: Value,
    conditions: Conditions,
    skips: &mut Vec<Value>,
) -> Result<Value, GraphError> {
    for index in 0..block.resnets {
        // There is a skip for each resnet, because the config's reader derived `up` from `down`.
        let parts: Vec<Value> = [x].into_iter().chain(skips.pop()).collect();
        x = b.concat(parts, 1)?;
        x = layer(b, config, path, block, x, conditions, index)?;
    }
    if let Some(&next) = skips.last() {
        let size = sides(b, next);
        x = b.upsample(x, size)?;
        x = conv(b, &format!("{path}.upsamplers.0.conv"), x, block.channels, SAME_3)?;
    }
    Ok(x)
}

/// A resnet, followed by a transformer if the block has transformers.
fn layer(
    b: &mut FunctionBuilder,
    config: &UnetConfig,
    path: &str,
    block: &UnetBlock,
    x: Value,
    conditions: Conditions,
    index: u64,
) -> Result<Value, GraphError> {
    let x = resnet(
        b,
        &format!("{path}.resnets.{index}"),
        x,
        block.channels,
        Some(conditions.time),
        config.groups(),
    )?;
    match &block.attention {
        None => Ok(x),
        Some(attention) => transformer(
            b,
            config,
            &format!("{path}.attentions.{index}"),
            *attention,
            x,
            conditions.context,
        ),
    }
}
