//! How does the UNet embed the timestep, and the numbers that Stable Diffusion XL adds?
//!
//! Sines and cosines of the numbers go through two linear layers, and the two embeddings are added.

use preheat_ir::graph::{FunctionBuilder, GraphError, UnaryOp, Value};

use super::config::{AddedConfig, UnetConfig};
use super::operands::{Added, refused, same};
use crate::models::layers::{features, last, linear};

/// The time embedding after the activation that each resnet would otherwise apply to it: `[1,
/// dim]`, or `[n, dim]` with `added`.
pub(super) fn time(
    b: &mut FunctionBuilder,
    config: &UnetConfig,
    timestep: Value,
    added: Option<Added>,
) -> Result<Value, GraphError> {
    let channels = config.down.first().map_or(0, |block| block.channels);
    let timestep = b.reshape(timestep, [1, 1])?;
    let waves = sinusoid(b, config, timestep, channels)?;
    let mut time = embed(b, "time_embedding", waves, channels * 4)?;
    match (&config.added, added) {
        (Some(settings), Some(added)) => {
            let joined = joined(b, config, *settings, added)?;
            let embedded = embed(b, "add_embedding", joined, channels * 4)?;
            time = b.add(time, embedded)?;
        }
        (None, None) => {}
        (Some(_), None) => return Err(refused("the added conditioning is missing".to_owned())),
        (None, Some(_)) => {
            return Err(refused(
                "the network has no added conditioning, but some is given".to_owned(),
            ));
        }
    }
    b.unary(UnaryOp::Silu, time)
}

/// The pooled prompt and the embedded sizes in one vector for each latent.
fn joined(
    b: &mut FunctionBuilder,
    config: &UnetConfig,
    settings: AddedConfig,
    added: Added,
) -> Result<Value, GraphError> {
    let AddedConfig { time_size, pooled_size } = settings;
    let (text_embeds, time_ids) = match added {
        Added::Parts { text_embeds, time_ids } => (text_embeds, time_ids),
        Added::Joined(vector) => {
            let wanted = pooled_size + AddedConfig::TIME_IDS * time_size;
            same("the features of the added vector", last(b, vector), wanted)?;
            return Ok(vector);
        }
    };
    let count = features(b, time_ids, 0) * features(b, time_ids, 1);
    let batch = features(b, text_embeds, 0);
    let ids = b.reshape(time_ids, [count, 1])?;
    let waves = sinusoid(b, config, ids, time_size)?;
    let waves = b.reshape(waves, [batch, count / batch.max(1) * time_size])?;
    same("the features of the pooled prompt", last(b, text_embeds), pooled_size)?;
    let ids = last(b, time_ids);
    same("the sizes and crop beside the pooled prompt", ids, AddedConfig::TIME_IDS)?;
    b.concat([text_embeds, waves], 1)
}

/// `TimestepEmbedding`: two linear layers.
fn embed(b: &mut FunctionBuilder, path: &str, x: Value, size: u64) -> Result<Value, GraphError> {
    let x = linear(b, &format!("{path}.linear_1"), x, size)?;
    let x = b.unary(UnaryOp::Silu, x)?;
    linear(b, &format!("{path}.linear_2"), x, size)
}

/// `get_timestep_embedding`: sines and cosines of `x [n, 1]` at frequencies that fall from 1
/// towards 1 / 10000, `[n, size]`.
fn sinusoid(
    b: &mut FunctionBuilder,
    config: &UnetConfig,
    x: Value,
    size: u64,
) -> Result<Value, GraphError> {
    let frequencies = frequencies(size / 2, config.freq_shift);
    let frequencies = b.literal([1, size / 2], frequencies)?;
    let angles = b.mul(x, frequencies)?;
    let mut halves = [b.unary(UnaryOp::Sin, angles)?, b.unary(UnaryOp::Cos, angles)?];
    if config.flip_sin_to_cos {
        halves.reverse();
    }
    b.concat(halves, 1)
}

/// `10000^(-i / (half - shift))`. The exponents are rounded to f32, as torch rounds them. The
/// powers are computed in f64, because the last bit of an f32 `exp` differs between C libraries,
/// and a program with another number has another graph key.
fn frequencies(half: u64, shift: f32) -> Vec<f32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "torch computes these in f32"
    )]
    (0..half)
        .map(|i| {
            let exponent = -(10_000_f64.ln() as f32) * i as f32 / (half as f32 - shift);
            f64::from(exponent).exp() as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_fall_from_one() {
        let table = frequencies(160, 0.0);
        assert_eq!(table.len(), 160);
        // torch.exp(-math.log(10000) * torch.arange(160, dtype=torch.float32) / 160)
        let torch = [(0, 1.0), (1, 0.944_060_9), (80, 0.01), (159, 0.000_105_925_38)];
        for (index, expected) in torch {
            assert!(
                (table[index] / expected - 1.0).abs() < 2e-7_f32,
                "{index}: {} is not {expected}",
                table[index]
            );
        }
        assert!((frequencies(160, 1.0)[159] - 1e-4).abs() < 1e-10);
    }
}
