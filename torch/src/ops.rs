//! Which function of libtorch computes each op of the IR? docs/precision.md says in which dtype
//! each op is computed.

use preheat_ir::graph::{Attention, BinaryOp, Norm, Op, UnaryOp, Value};
use preheat_tensor::TensorType;
use preheat_torch_abi::code;
use tch::{Kind, Tensor};

use crate::failure::{Failure, Outcome};
use crate::kinds::{is_low, kind_of, size, sizes};

/// The result of `op`. `kind` is the type of the result, and `of` returns the operands.
pub fn compute<'t>(
    op: &Op,
    kind: &TensorType,
    of: &dyn Fn(Value) -> &'t Tensor,
) -> Outcome<Tensor> {
    Ok(match op {
        Op::Input(_) | Op::Weight(_) | Op::Literal(_) | Op::Fill(_) => {
            return Err(Failure::new(code::BUG, "an input, weight or constant is not computed"));
        }
        Op::Unary(op, x) => unary(*op, of(*x))?,
        Op::Binary(op, x, y) => binary(*op, of(*x), of(*y))?,
        Op::Convert(x, dtype) => of(*x).f_to_kind(kind_of(*dtype)?)?,
        Op::Conv2d { x, weight, bias, stride, padding } => {
            let (stride, padding) = ([size(*stride)?; 2], [size(*padding)?; 2]);
            // Channels stay in front of rows (NCHW). With channels last, a step of the SD 1.5 shape
            // on two cores took 1.1 times as long, and group norm loses digits for values far from
            // zero. A permutation can leave an operand channels-last, and libtorch would keep that
            // order, so the operand is made contiguous.
            of(*x).f_contiguous()?.f_conv2d(
                of(*weight),
                bias.map(of),
                stride,
                padding,
                [1, 1],
                1,
            )?
        }
        Op::Linear { x, weight, bias } => of(*x).f_linear(of(*weight), bias.map(of))?,
        Op::GroupNorm { norm, groups } => {
            let (groups, eps) = (size(*groups)?, f64::from(norm.eps));
            normalised(norm, of, |x, weight, bias| {
                Ok(x.f_group_norm(groups, Some(weight), Some(bias), eps, true)?)
            })?
        }
        Op::LayerNorm(norm) => {
            let (last, eps) = (of(norm.weight).size(), f64::from(norm.eps));
            normalised(norm, of, |x, weight, bias| {
                Ok(x.f_layer_norm(&last, Some(weight), Some(bias), eps, true)?)
            })?
        }
        Op::Attention(attention) => attend(attention, of)?,
        Op::Upsample { x, size: [height, width] } => {
            of(*x).f_upsample_nearest2d([size(*height)?, size(*width)?], None, None)?
        }
        Op::Concat { parts, axis } => {
            let parts: Vec<&Tensor> = parts.iter().map(|part| of(*part)).collect();
            Tensor::f_cat(&parts, axis_of(*axis)?)?
        }
        Op::Slice { x, axis, start, end } => {
            of(*x).f_narrow(axis_of(*axis)?, size(*start)?, size(end - start)?)?
        }
        Op::Reshape(x) => of(*x).f_reshape(&sizes(&kind.dims)?)?,
        Op::Permute(x, order) => of(*x)
            .f_permute(&order.iter().map(|&axis| axis_of(axis)).collect::<Outcome<Vec<i64>>>()?)?,
        Op::Broadcast(x) => of(*x).f_expand(&sizes(&kind.dims)?, false)?,
        Op::Embedding { table, ids } => {
            let table = of(*table);
            Tensor::f_embedding(table, &inside(of(*ids), table.size()[0])?, -1, false, false)?
        }
        Op::SelectRow { x, rows } => {
            let x = of(*x);
            let [batch, count, features] = x.size()[..] else {
                return Err(Failure::new(code::BUG, "rows are selected from three dimensions"));
            };
            let rows = inside(of(*rows), count)?.f_to_kind(Kind::Int64)?;
            let rows = rows.f_reshape([batch, 1, 1])?.f_expand([batch, 1, features], false)?;
            x.f_gather(1, &rows, false)?.f_squeeze_dim(1)?
        }
    })
}

fn unary(op: UnaryOp, x: &Tensor) -> Outcome<Tensor> {
    Ok(match op {
        UnaryOp::Exp => x.f_exp()?,
        UnaryOp::Sin => x.f_sin()?,
        UnaryOp::Cos => x.f_cos()?,
        UnaryOp::Sigmoid => x.f_sigmoid()?,
        UnaryOp::Silu => x.f_silu()?,
        UnaryOp::Gelu => x.f_gelu("none")?,
        // In a smaller dtype, libtorch would round after each of the steps.
        UnaryOp::QuickGelu => in_f32(x, |x| Ok(x.f_mul_scalar(1.702)?.f_sigmoid()?.f_mul(x)?))?,
    })
}

fn binary(op: BinaryOp, x: &Tensor, y: &Tensor) -> Outcome<Tensor> {
    Ok(match op {
        BinaryOp::Add => x.f_add(y)?,
        BinaryOp::Sub => x.f_sub(y)?,
        BinaryOp::Mul => x.f_mul(y)?,
        BinaryOp::Div => x.f_div(y)?,
        BinaryOp::Min => x.f_minimum(y)?,
        BinaryOp::Max => x.f_maximum(y)?,
    })
}

/// A norm with statistics in f32. The scale and shift are f32 whatever the dtype of the input, and
/// libtorch accepts that only if the input is f32, too.
fn normalised<'t>(
    norm: &Norm,
    of: &dyn Fn(Value) -> &'t Tensor,
    work: impl Fn(&Tensor, &Tensor, &Tensor) -> Outcome<Tensor>,
) -> Outcome<Tensor> {
    in_f32(of(norm.x), |x| work(x, of(norm.weight), of(norm.bias)))
}

/// The result of `work` on `x` in f32, rounded once to the dtype of `x`.
fn in_f32(x: &Tensor, work: impl Fn(&Tensor) -> Outcome<Tensor>) -> Outcome<Tensor> {
    let kind = x.f_kind()?;
    if !is_low(kind) {
        return work(x);
    }
    Ok(work(&x.f_to_kind(Kind::Float)?)?.f_to_kind(kind)?)
}

/// libtorch's fused attention. Its kernels sum and take the softmax in f32 if queries and values
/// have equally many features. Otherwise libtorch rounds the scores, so operands of a smaller dtype
/// are converted to f32 first. They are also converted if the model requires it (`upcast`).
fn attend<'t>(attention: &Attention, of: &dyn Fn(Value) -> &'t Tensor) -> Outcome<Tensor> {
    let [query, key, value] = [attention.query, attention.key, attention.value].map(of);
    let kind = query.f_kind()?;
    let widen = is_low(kind) && (attention.upcast || query.size().last() != value.size().last());
    let heads = size(attention.heads)?;
    let by_head = |x: &Tensor| -> Outcome<Tensor> {
        let [batch, rows, features] = x.size()[..] else {
            return Err(Failure::new(code::BUG, "attention is over three dimensions"));
        };
        let x = if widen { x.f_to_kind(Kind::Float)? } else { x.shallow_clone() };
        Ok(x.f_reshape([batch, rows, heads, features / heads])?.f_transpose(1, 2)?)
    };
    let (query, key, value) = (by_head(query)?, by_head(key)?, by_head(value)?);
    let scale = f64::from(attention.scale);
    let none: Option<&Tensor> = None;
    let mixed = Tensor::f_scaled_dot_product_attention(
        &query,
        &key,
        &value,
        none,
        0.0,
        attention.causal,
        scale,
        false,
    )?;
    let mixed = mixed.f_transpose(1, 2)?.f_flatten(2, 3)?;
    Ok(if widen { mixed.f_to_kind(kind)? } else { mixed })
}

/// Positions among `count`; a position outside is moved to the nearest one inside.
fn inside(positions: &Tensor, count: i64) -> Outcome<Tensor> {
    Ok(positions.f_clamp(0, count - 1)?)
}

fn axis_of(axis: usize) -> Outcome<i64> {
    size(axis as u64)
}
