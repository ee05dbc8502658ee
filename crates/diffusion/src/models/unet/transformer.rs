//! How is the transformer after a resnet built?
//!
//! It is diffusers' `Transformer2DModel`.

use preheat_ir::graph::{FunctionBuilder, GraphError, UnaryOp, Value};

use super::config::{UnetAttention, UnetConfig};
use crate::models::layers::{
    Groups, POINT, attention, conv, features, group_norm, last, layer_norm, linear, projection,
    sides, to_picture, to_tokens,
};

/// The epsilon of `Transformer2DModel`'s group norm, whatever the config's `norm_eps` is.
const GROUP_NORM_EPS: f32 = 1e-6;
/// The epsilon of `BasicTransformerBlock`'s layer norms.
const LAYER_NORM_EPS: f32 = 1e-5;

/// Treats the pixels of `x [n, c, h, w]` as tokens, and runs them through blocks of attention. The
/// input is added to the result.
pub(super) fn transformer(
    b: &mut FunctionBuilder,
    config: &UnetConfig,
    path: &str,
    settings: UnetAttention,
    x: Value,
    context: Value,
) -> Result<Value, GraphError> {
    let (channels, size) = (features(b, x, 1), sides(b, x));
    // Each head has a whole number of features. The channels that remain are left out inside the
    // transformer (`inner_dim` of diffusers).
    let inner = channels / settings.heads * settings.heads;
    let normed = group_norm(
        b,
        &format!("{path}.norm"),
        x,
        Groups { count: config.norm_groups, eps: GROUP_NORM_EPS },
    )?;
    let (proj_in, proj_out) = (format!("{path}.proj_in"), format!("{path}.proj_out"));
    let mut tokens = if config.use_linear_projection {
        let tokens = to_tokens(b, normed)?;
        linear(b, &proj_in, tokens, inner)?
    } else {
        let projected = conv(b, &proj_in, normed, inner, POINT)?;
        to_tokens(b, projected)?
    };
    for layer in 0..settings.layers {
        tokens = block(
            b,
            config,
            &format!("{path}.transformer_blocks.{layer}"),
            settings,
            tokens,
            context,
        )?;
    }
    let out = if config.use_linear_projection {
        let tokens = linear(b, &proj_out, tokens, channels)?;
        to_picture(b, tokens, size)?
    } else {
        let picture = to_picture(b, tokens, size)?;
        conv(b, &proj_out, picture, channels, POINT)?
    };
    b.add(x, out)
}

/// `BasicTransformerBlock`: attention to the picture (or to the prompt, with
/// `only_cross_attention`), attention to the prompt, and a gated linear unit. Each of these follows
/// a norm and has a residual connection.
fn block(
    b: &mut FunctionBuilder,
    config: &UnetConfig,
    path: &str,
    settings: UnetAttention,
    x: Value,
    context: Value,
) -> Result<Value, GraphError> {
    let normed = layer_norm(b, &format!("{path}.norm1"), x, LAYER_NORM_EPS)?;
    let seen = if settings.only_cross_attention { context } else { normed };
    let attended = attend(b, config, &format!("{path}.attn1"), settings.heads, normed, seen)?;
    let x = b.add(x, attended)?;

    let normed = layer_norm(b, &format!("{path}.norm2"), x, LAYER_NORM_EPS)?;
    let attended = attend(b, config, &format!("{path}.attn2"), settings.heads, normed, context)?;
    let x = b.add(x, attended)?;

    let normed = layer_norm(b, &format!("{path}.norm3"), x, LAYER_NORM_EPS)?;
    let fed = feed_forward(b, &format!("{path}.ff.net"), normed)?;
    b.add(x, fed)
}

fn attend(
    b: &mut FunctionBuilder,
    config: &UnetConfig,
    path: &str,
    heads: u64,
    x: Value,
    seen: Value,
) -> Result<Value, GraphError> {
    let channels = last(b, x);
    let query = projection(b, &format!("{path}.to_q"), x, channels)?;
    let key = projection(b, &format!("{path}.to_k"), seen, channels)?;
    let value = projection(b, &format!("{path}.to_v"), seen, channels)?;
    let attended = attention(b, [query, key, value], heads, config.upcast_attention)?;
    linear(b, &format!("{path}.to_out.0"), attended, channels)
}

/// A GEGLU (arXiv 2002.05202) of four times the width, with its gate in the second half, and a
/// linear layer back to the old width.
fn feed_forward(b: &mut FunctionBuilder, path: &str, x: Value) -> Result<Value, GraphError> {
    let (channels, inner) = (last(b, x), last(b, x) * 4);
    let both = linear(b, &format!("{path}.0.proj"), x, inner * 2)?;
    let value = b.slice(both, 2, 0, inner)?;
    let gate = b.slice(both, 2, inner, inner * 2)?;
    let gate = b.unary(UnaryOp::Gelu, gate)?;
    let gated = b.mul(value, gate)?;
    linear(b, &format!("{path}.2"), gated, channels)
}
