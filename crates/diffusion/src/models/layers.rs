//! Which layers do the models share?
//!
//! Each layer declares its weights by their path in the checkpoint.

use preheat_ir::graph::{Attention, FunctionBuilder, GraphError, Norm, UnaryOp, Value};

/// A convolution to `out` channels with a square kernel: `path.weight`, `path.bias`.
pub(super) fn conv(
    b: &mut FunctionBuilder,
    path: &str,
    x: Value,
    out: u64,
    [kernel, stride, padding]: [u64; 3],
) -> Result<Value, GraphError> {
    let channels = features(b, x, 1);
    let weight = b.weight(format!("{path}.weight"), [out, channels, kernel, kernel]);
    let bias = b.weight(format!("{path}.bias"), [out]);
    b.conv2d(x, weight, Some(bias), stride, padding)
}

/// Kernel, stride and padding of a convolution that keeps the picture's size.
pub(super) const SAME_3: [u64; 3] = [3, 1, 1];
/// Kernel, stride and padding of a convolution that reads a single pixel.
pub(super) const POINT: [u64; 3] = [1, 1, 0];
/// Kernel, stride and padding of a convolution that halves the picture's size.
pub(super) const HALVE: [u64; 3] = [3, 2, 1];

/// A linear layer to `out` features: `path.weight`, `path.bias`.
pub(super) fn linear(
    b: &mut FunctionBuilder,
    path: &str,
    x: Value,
    out: u64,
) -> Result<Value, GraphError> {
    let taken = last(b, x);
    let weight = b.weight(format!("{path}.weight"), [out, taken]);
    let bias = b.weight(format!("{path}.bias"), [out]);
    b.linear(x, weight, Some(bias))
}

/// A linear layer without a bias.
pub(super) fn projection(
    b: &mut FunctionBuilder,
    path: &str,
    x: Value,
    out: u64,
) -> Result<Value, GraphError> {
    let taken = last(b, x);
    let weight = b.weight(format!("{path}.weight"), [out, taken]);
    b.linear(x, weight, None)
}

/// A group norm over the channels of `x [b, c, h, w]`.
pub(super) fn group_norm(
    b: &mut FunctionBuilder,
    path: &str,
    x: Value,
    groups: Groups,
) -> Result<Value, GraphError> {
    let channels = features(b, x, 1);
    let norm = norm(b, path, x, channels, groups.eps);
    b.group_norm(norm, groups.count)
}

/// A layer norm over the last dimension.
pub(super) fn layer_norm(
    b: &mut FunctionBuilder,
    path: &str,
    x: Value,
    eps: f32,
) -> Result<Value, GraphError> {
    let size = last(b, x);
    let norm = norm(b, path, x, size, eps);
    b.layer_norm(norm)
}

fn norm(b: &mut FunctionBuilder, path: &str, x: Value, size: u64, eps: f32) -> Norm {
    let weight = b.weight(format!("{path}.weight"), [size]);
    let bias = b.weight(format!("{path}.bias"), [size]);
    Norm { x, weight, bias, eps }
}

/// How a group norm divides the channels, and the epsilon that it adds to the variance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Groups {
    pub(super) count: u64,
    pub(super) eps: f32,
}

/// diffusers' `ResnetBlock2D`: two convolutions, between which the time embedding is added, and a
/// shortcut. `time` is the embedding after its activation, `[n, dim]` with `n` either 1 or the
/// batch; the VAE has no time embedding.
pub(super) fn resnet(
    b: &mut FunctionBuilder,
    path: &str,
    x: Value,
    out: u64,
    time: Option<Value>,
    groups: Groups,
) -> Result<Value, GraphError> {
    let mut h = group_norm(b, &format!("{path}.norm1"), x, groups)?;
    h = b.unary(UnaryOp::Silu, h)?;
    h = conv(b, &format!("{path}.conv1"), h, out, SAME_3)?;
    if let Some(time) = time {
        let shift = linear(b, &format!("{path}.time_emb_proj"), time, out)?;
        let batch = features(b, shift, 0);
        let shift = b.reshape(shift, [batch, out, 1, 1])?;
        h = b.add(h, shift)?;
    }
    h = group_norm(b, &format!("{path}.norm2"), h, groups)?;
    h = b.unary(UnaryOp::Silu, h)?;
    h = conv(b, &format!("{path}.conv2"), h, out, SAME_3)?;
    let shortcut = if features(b, x, 1) == out {
        x
    } else {
        conv(b, &format!("{path}.conv_shortcut"), x, out, POINT)?
    };
    b.add(shortcut, h)
}

/// Attention with the usual scale of `1 / sqrt(features of a head)` and no mask.
pub(super) fn attention(
    b: &mut FunctionBuilder,
    [query, key, value]: [Value; 3],
    heads: u64,
    upcast: bool,
) -> Result<Value, GraphError> {
    let scale = attention_scale(last(b, query), heads);
    b.attention(Attention { query, key, value, heads, scale, causal: false, upcast })
}

/// `1 / sqrt(features of a head)`.
#[expect(clippy::cast_precision_loss, reason = "a head has fewer than 2^24 features")]
pub(super) fn attention_scale(features: u64, heads: u64) -> f32 {
    ((features / heads.max(1)) as f32).sqrt().recip()
}

/// `[b, c, h, w]` as tokens `[b, h * w, c]`.
pub(super) fn to_tokens(b: &mut FunctionBuilder, x: Value) -> Result<Value, GraphError> {
    let x = b.permute(x, [0, 2, 3, 1])?;
    let (batch, height, width, channels) =
        (features(b, x, 0), features(b, x, 1), features(b, x, 2), last(b, x));
    b.reshape(x, [batch, height * width, channels])
}

/// Tokens `[b, h * w, c]` as `[b, c, h, w]`.
pub(super) fn to_picture(
    b: &mut FunctionBuilder,
    x: Value,
    [height, width]: [u64; 2],
) -> Result<Value, GraphError> {
    let (batch, channels) = (features(b, x, 0), last(b, x));
    let x = b.reshape(x, [batch, height, width, channels])?;
    b.permute(x, [0, 3, 1, 2])
}

/// Height and width of `[b, c, h, w]`.
pub(super) fn sides(b: &FunctionBuilder, x: Value) -> [u64; 2] {
    [features(b, x, 2), features(b, x, 3)]
}

/// The size of a dimension; 0 if there is no such dimension, which the next op then refuses.
pub(super) fn features(b: &FunctionBuilder, x: Value, axis: usize) -> u64 {
    b.dims(x).get(axis).copied().unwrap_or(0)
}

/// The size of the last dimension.
pub(super) fn last(b: &FunctionBuilder, x: Value) -> u64 {
    b.dims(x).last().copied().unwrap_or(0)
}
