//! What type does each op's result have, and which operands does an op refuse? The builder and
//! autocast use this module to make nodes, and the verifier uses it to check them.

use preheat_tensor::Dtype;

use super::op::{Attention, Norm, Op};
use super::{TensorType, Value};

/// No value takes more bytes than this, so a product of its dimensions always fits in 64 bits.
const MOST_BYTES: u64 = i64::MAX.unsigned_abs();

/// The type of the result of `op`. `of` gives the types of its operands. `claimed` is the node's
/// own type, which decides for ops whose shape does not follow from their operands.
pub(super) fn infer<'a>(
    op: &Op,
    claimed: &TensorType,
    of: impl Fn(Value) -> &'a TensorType,
) -> Result<TensorType, String> {
    let kind = given(op, claimed, of)?;
    if kind.bytes() > MOST_BYTES {
        return Err(format!("{kind} takes more bytes than 63 bits count"));
    }
    Ok(kind)
}

fn given<'a>(
    op: &Op,
    claimed: &TensorType,
    of: impl Fn(Value) -> &'a TensorType,
) -> Result<TensorType, String> {
    match op {
        Op::Input(_) | Op::Weight(_) => Ok(claimed.clone()),
        Op::Literal(values) => {
            same("the number of values", values.len() as u64, claimed.elements())?;
            Ok(TensorType::new(Dtype::Float32, claimed.dims.clone()))
        }
        Op::Fill(_) => float(claimed).cloned(),
        Op::Unary(_, x) => float(of(*x)).cloned(),
        Op::Binary(_, x, y) => binary(of(*x), of(*y)),
        Op::Convert(x, dtype) => Ok(TensorType::new(*dtype, of(*x).dims.clone())),
        Op::Conv2d { x, weight, bias, stride, padding } => {
            conv2d(of(*x), of(*weight), bias.map(&of), *stride, *padding)
        }
        Op::Linear { x, weight, bias } => linear(of(*x), of(*weight), bias.map(&of)),
        Op::GroupNorm { norm, groups } => group_norm(norm, *groups, of),
        Op::LayerNorm(norm) => {
            let x = float(of(norm.x))?;
            let size = *x.dims.last().ok_or("a scalar has nothing to normalise")?;
            scale_and_shift(norm, size, of)?;
            Ok(x.clone())
        }
        Op::Attention(attention) => attend(attention, of),
        Op::Upsample { x, size } => {
            let x = float(of(*x))?;
            let [batch, channels, height, width] = four(x)?;
            if size[0] < height || size[1] < width {
                return Err(format!(
                    "{height}x{width} cannot be enlarged to {}x{}",
                    size[0], size[1]
                ));
            }
            Ok(TensorType::new(x.dtype, [batch, channels, size[0], size[1]]))
        }
        Op::Concat { parts, axis } => {
            concat(&parts.iter().map(|part| of(*part)).collect::<Vec<_>>(), *axis)
        }
        Op::Slice { x, axis, start, end } => {
            let x = of(*x);
            let size = *x.dims.get(*axis).ok_or_else(|| format!("{x} has no axis {axis}"))?;
            if start >= end || *end > size {
                return Err(format!(
                    "{start}..{end} is no part of the {size} cells of axis {axis}"
                ));
            }
            let mut dims = x.dims.clone();
            dims[*axis] = end - start;
            Ok(TensorType::new(x.dtype, dims))
        }
        Op::Reshape(x) => {
            let x = of(*x);
            same("the number of elements", x.elements(), claimed.elements())?;
            Ok(TensorType::new(x.dtype, claimed.dims.clone()))
        }
        Op::Permute(x, order) => {
            let x = of(*x);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if sorted != (0..x.dims.len()).collect::<Vec<_>>() {
                return Err(format!("{order:?} is no order of the dimensions of {x}"));
            }
            Ok(TensorType::new(x.dtype, order.iter().map(|&from| x.dims[from]).collect::<Vec<_>>()))
        }
        Op::Broadcast(x) => {
            let x = of(*x);
            let fits = x.dims.len() == claimed.dims.len()
                && x.dims.iter().zip(&claimed.dims).all(|(&from, &to)| from == to || from == 1);
            if !fits {
                return Err(format!("{x} cannot be repeated to {:?}", claimed.dims));
            }
            Ok(TensorType::new(x.dtype, claimed.dims.clone()))
        }
        Op::Embedding { table, ids } => {
            let (table, ids) = (float(of(*table))?, of(*ids));
            same("the rank of the table", table.dims.len(), 2)?;
            integer(ids)?;
            let dims = ids.dims.iter().copied().chain([table.dims[1]]).collect::<Vec<_>>();
            Ok(TensorType::new(table.dtype, dims))
        }
        Op::SelectRow { x, rows } => {
            let (x, rows) = (of(*x), of(*rows));
            same("the rank", x.dims.len(), 3)?;
            integer(rows)?;
            same("the shape of the rows", rows.dims.as_slice(), &x.dims[..1])?;
            Ok(TensorType::new(x.dtype, [x.dims[0], x.dims[2]]))
        }
    }
}

fn binary(x: &TensorType, y: &TensorType) -> Result<TensorType, String> {
    float(x)?;
    same("the dtype of the right side", y.dtype, x.dtype)?;
    if x.dims.is_empty() {
        return Ok(y.clone());
    }
    if y.dims.is_empty() {
        return Ok(x.clone());
    }
    let fits = |(&a, &b): (&u64, &u64)| a == b || a == 1 || b == 1;
    if x.dims.len() != y.dims.len() || !x.dims.iter().zip(&y.dims).all(fits) {
        return Err(format!("{x} and {y} do not go together"));
    }
    Ok(TensorType::new(
        x.dtype,
        x.dims.iter().zip(&y.dims).map(|(&a, &b)| a.max(b)).collect::<Vec<_>>(),
    ))
}

fn conv2d(
    x: &TensorType,
    weight: &TensorType,
    bias: Option<&TensorType>,
    stride: u64,
    padding: u64,
) -> Result<TensorType, String> {
    let ([b, channels, h, w], [out, taken, kh, kw]) = (four(float(x)?)?, four(weight)?);
    same("the dtype of the weights", weight.dtype, x.dtype)?;
    same("the channels that the weights take", taken, channels)?;
    check_bias(bias, out, x.dtype)?;
    let side = |size: u64, kernel: u64| {
        let padded = size.saturating_add(padding.saturating_mul(2));
        let left = padded.checked_sub(kernel).filter(|_| stride > 0 && kernel > 0);
        left.map(|left| (left / stride).saturating_add(1)).ok_or_else(|| {
            format!("a kernel of {kernel} at stride {stride} does not fit {padded} cells")
        })
    };
    Ok(TensorType::new(x.dtype, [b, out, side(h, kh)?, side(w, kw)?]))
}

fn linear(
    x: &TensorType,
    weight: &TensorType,
    bias: Option<&TensorType>,
) -> Result<TensorType, String> {
    let last = *float(x)?.dims.last().ok_or("a scalar cannot be projected")?;
    same("the rank of the weights", weight.dims.len(), 2)?;
    same("the dtype of the weights", weight.dtype, x.dtype)?;
    same("the features that the weights take", weight.dims[1], last)?;
    check_bias(bias, weight.dims[0], x.dtype)?;
    let mut dims = x.dims.clone();
    dims.pop();
    dims.push(weight.dims[0]);
    Ok(TensorType::new(x.dtype, dims))
}

fn check_bias(bias: Option<&TensorType>, out: u64, dtype: Dtype) -> Result<(), String> {
    let Some(bias) = bias else { return Ok(()) };
    same("the dtype of the bias", bias.dtype, dtype)?;
    same("the shape of the bias", bias.dims.as_slice(), &[out][..])
}

fn group_norm<'a>(
    norm: &Norm,
    groups: u64,
    of: impl Fn(Value) -> &'a TensorType,
) -> Result<TensorType, String> {
    let x = float(of(norm.x))?;
    let [_, channels, ..] = four(x)?;
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(format!("{channels} channels do not make {groups} groups"));
    }
    scale_and_shift(norm, channels, of)?;
    Ok(x.clone())
}

/// Checks the scale and shift of a norm. They are f32 whatever the dtype of the input, because
/// autocast does not convert them.
fn scale_and_shift<'a>(
    norm: &Norm,
    size: u64,
    of: impl Fn(Value) -> &'a TensorType,
) -> Result<(), String> {
    for (what, value) in [("the scale", norm.weight), ("the shift", norm.bias)] {
        same(what, of(value), &TensorType::new(Dtype::Float32, [size]))?;
    }
    if norm.eps.is_finite() && norm.eps >= 0.0 {
        Ok(())
    } else {
        Err(format!("eps is {}", norm.eps))
    }
}

fn attend<'a>(
    attention: &Attention,
    of: impl Fn(Value) -> &'a TensorType,
) -> Result<TensorType, String> {
    let (query, key, value) = (float(of(attention.query))?, of(attention.key), of(attention.value));
    for (name, kind) in [("query", query), ("key", key), ("value", value)] {
        same("the rank of an operand", kind.dims.len(), 3)?;
        same("the dtype of an operand", kind.dtype, query.dtype)?;
        same("the batch of an operand", kind.dims[0], query.dims[0])?;
        if attention.heads == 0 || !kind.dims[2].is_multiple_of(attention.heads) {
            return Err(format!(
                "the {name}'s {} features do not make {} heads",
                kind.dims[2], attention.heads
            ));
        }
    }
    same("the features of the key", key.dims[2], query.dims[2])?;
    same("the rows of the value", value.dims[1], key.dims[1])?;
    if attention.causal {
        same("the rows of the key under a causal mask", key.dims[1], query.dims[1])?;
    }
    let scores = TensorType::new(
        Dtype::Float32,
        [query.dims[0], attention.heads, query.dims[1], key.dims[1]],
    );
    if scores.bytes() > MOST_BYTES {
        return Err(format!("its scores, {scores}, take more bytes than 63 bits count"));
    }
    Ok(TensorType::new(query.dtype, [query.dims[0], query.dims[1], value.dims[2]]))
}

fn concat(parts: &[&TensorType], axis: usize) -> Result<TensorType, String> {
    let first = *parts.first().ok_or("there is nothing to join")?;
    let mut dims = first.dims.clone();
    if axis >= dims.len() {
        return Err(format!("{first} has no axis {axis}"));
    }
    dims[axis] = 0;
    for part in parts {
        let fits = part.dtype == first.dtype
            && part.dims.len() == dims.len()
            && part.dims.iter().zip(&first.dims).enumerate().all(|(i, (a, b))| i == axis || a == b);
        if !fits {
            return Err(format!("{part} cannot be joined to {first} along axis {axis}"));
        }
        dims[axis] = dims[axis].saturating_add(part.dims[axis]);
    }
    Ok(TensorType::new(first.dtype, dims))
}

fn four(kind: &TensorType) -> Result<[u64; 4], String> {
    kind.dims
        .as_slice()
        .try_into()
        .map_err(|_| format!("four dimensions are needed, but {kind} was given"))
}

fn float(kind: &TensorType) -> Result<&TensorType, String> {
    match kind.dtype {
        Dtype::Float32 | Dtype::BFloat16 | Dtype::Float16 => Ok(kind),
        _ => Err(format!("float32, bfloat16 or float16 is needed, but {kind} was given")),
    }
}

fn integer(kind: &TensorType) -> Result<(), String> {
    same("the dtype of the positions", kind.dtype, Dtype::Int32)
}

fn same<T: PartialEq + std::fmt::Debug + Copy>(
    what: &str,
    given: T,
    wanted: T,
) -> Result<(), String> {
    if given == wanted {
        Ok(())
    } else {
        Err(format!("{what} is {given:?}, and should be {wanted:?}"))
    }
}
