//! What can a node compute?

use std::sync::Arc;

use preheat_tensor::Dtype;
use serde::{Deserialize, Serialize};

use super::Value;

/// An op and its operands. The head of the module `graph` explains the shapes; `infer.rs` has the
/// rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// The input at this position.
    Input(u32),
    /// The weight at this position.
    Weight(u32),
    /// A constant of f32 numbers, row-major; the node has its shape.
    Literal(Arc<[f32]>),
    /// The same number in every element; the node has its type.
    Fill(f32),
    /// An op on each element.
    Unary(UnaryOp, Value),
    /// An op on each pair of elements. A scalar fits any shape; otherwise the ranks must be equal,
    /// and a dimension of size 1 is repeated.
    Binary(BinaryOp, Value, Value),
    /// The same numbers in another dtype.
    Convert(Value, Dtype),
    /// The cross-correlation that deep learning calls convolution: `x [b, in, h, w]`, `weight [out,
    /// in, kh, kw]`, `bias [out]`.
    Conv2d {
        /// The array that is convolved.
        x: Value,
        /// The kernels.
        weight: Value,
        /// Added to each channel.
        bias: Option<Value>,
        /// The distance between two windows, in cells, in both directions.
        stride: u64,
        /// How many cells of zeros are added on each of the four sides.
        padding: u64,
    },
    /// `x [..., in]` times the transpose of `weight [out, in]`, plus `bias [out]`.
    Linear {
        /// The array that is projected.
        x: Value,
        /// The matrix.
        weight: Value,
        /// Added to each row.
        bias: Option<Value>,
    },
    /// Normalises each group of channels of `x [b, c, h, w]` to mean 0 and variance 1, then scales
    /// and shifts per channel.
    GroupNorm {
        /// The array that is normalised, with its scale and shift `[c]`.
        norm: Norm,
        /// The number of groups; a divisor of `c`.
        groups: u64,
    },
    /// Normalises the last dimension of `x` to mean 0 and variance 1, then scales and shifts.
    LayerNorm(Norm),
    /// For each head, the softmax of the scaled products of queries and keys, times the values.
    Attention(Attention),
    /// Repeats pixels of `x [b, c, h, w]` until it is `[b, c, size]`: row `i` comes from row
    /// `floor(i * h / size)`, as torch's mode `nearest` does.
    Upsample {
        /// The array that is enlarged.
        x: Value,
        /// Height and width of the result.
        size: [u64; 2],
    },
    /// Arrays one after the other along an axis.
    Concat {
        /// The parts, at least one.
        parts: Vec<Value>,
        /// The axis.
        axis: usize,
    },
    /// The cells `start..end` of an axis.
    Slice {
        /// The array that is cut.
        x: Value,
        /// The axis.
        axis: usize,
        /// The first cell of the result.
        start: u64,
        /// The first cell after the result.
        end: u64,
    },
    /// The same elements in the same row-major order; the node has the shape.
    Reshape(Value),
    /// Dimension `i` of the result is dimension `order[i]` of the operand.
    Permute(Value, Vec<usize>),
    /// Repeats each dimension of size 1 up to the node's shape; ranks are equal.
    Broadcast(Value),
    /// The rows of `table [n, d]` that `ids int32[...]` name: `[..., d]`. A position outside the
    /// table counts as the nearest one inside.
    Embedding {
        /// The table of rows.
        table: Value,
        /// The positions of the rows to take.
        ids: Value,
    },
    /// For each `x[i]` in `x [b, n, d]`, the row that `rows int32[b]` names: `[b, d]`. A position
    /// outside counts as the nearest one inside.
    SelectRow {
        /// The rows of each element of the batch.
        x: Value,
        /// The position of the row to take.
        rows: Value,
    },
}

/// Operands of a normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Norm {
    /// The array that is normalised.
    pub x: Value,
    /// The scale, multiplied after normalising.
    pub weight: Value,
    /// The shift, added after the scale.
    pub bias: Value,
    /// A small number that is added to the variance.
    pub eps: f32,
}

/// Attention of `query [b, n, heads * d]` to `key [b, m, heads * d]` and `value [b, m, heads * e]`:
/// `[b, n, heads * e]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// The queries.
    pub query: Value,
    /// The keys.
    pub key: Value,
    /// The values.
    pub value: Value,
    /// The number of heads.
    pub heads: u64,
    /// The factor for the products of queries and keys; usually `1 / sqrt(d)`.
    pub scale: f32,
    /// Whether row `i` of the query attends only to rows up to `i` of the key.
    pub causal: bool,
    /// Whether the products of queries and keys are computed in f32, even if autocast gives the
    /// operands a smaller dtype (diffusers' `upcast_attention`).
    pub upcast: bool,
}

/// Ops on one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnaryOp {
    /// `e^x`.
    Exp,
    /// Sine, in radians.
    Sin,
    /// Cosine, in radians.
    Cos,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * (1 + erf(x / sqrt 2)) / 2`, the exact form.
    Gelu,
    /// `x * sigmoid(1.702 x)`, as CLIP uses it.
    QuickGelu,
}

/// Ops on two elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BinaryOp {
    /// `x + y`.
    Add,
    /// `x - y`.
    Sub,
    /// `x * y`.
    Mul,
    /// `x / y`.
    Div,
    /// The smaller of `x` and `y`.
    Min,
    /// The larger of `x` and `y`.
    Max,
}

/// Passes a reference to each operand of an op to `visit`, in order. The references are mutable if
/// `$op` is a mutable reference.
macro_rules! each_operand {
    ($op:expr, $visit:ident) => {
        match $op {
            Op::Input(_) | Op::Weight(_) | Op::Literal(_) | Op::Fill(_) => {}
            Op::Unary(_, x)
            | Op::Convert(x, _)
            | Op::Upsample { x, .. }
            | Op::Slice { x, .. }
            | Op::Reshape(x)
            | Op::Permute(x, _)
            | Op::Broadcast(x) => $visit(x),
            Op::Binary(_, x, y)
            | Op::Embedding { table: x, ids: y }
            | Op::SelectRow { x, rows: y } => {
                $visit(x);
                $visit(y);
            }
            Op::Conv2d { x, weight, bias, .. } | Op::Linear { x, weight, bias } => {
                $visit(x);
                $visit(weight);
                if let Some(bias) = bias {
                    $visit(bias);
                }
            }
            Op::GroupNorm { norm: Norm { x, weight, bias, .. }, .. }
            | Op::LayerNorm(Norm { x, weight, bias, .. }) => {
                $visit(x);
                $visit(weight);
                $visit(bias);
            }
            Op::Attention(Attention { query, key, value, .. }) => {
                $visit(query);
                $visit(key);
                $visit(value);
            }
            Op::Concat { parts, .. } => {
                for part in parts {
                    $visit(part);
                }
            }
        }
    };
}

impl Op {
    /// Its name in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Weight(_) => "weight",
            Self::Literal(_) => "literal",
            Self::Fill(_) => "fill",
            Self::Unary(op, _) => match op {
                UnaryOp::Exp => "exp",
                UnaryOp::Sin => "sin",
                UnaryOp::Cos => "cos",
                UnaryOp::Sigmoid => "sigmoid",
                UnaryOp::Silu => "silu",
                UnaryOp::Gelu => "gelu",
                UnaryOp::QuickGelu => "quick_gelu",
            },
            Self::Binary(op, ..) => match op {
                BinaryOp::Add => "add",
                BinaryOp::Sub => "sub",
                BinaryOp::Mul => "mul",
                BinaryOp::Div => "div",
                BinaryOp::Min => "min",
                BinaryOp::Max => "max",
            },
            Self::Convert(..) => "convert",
            Self::Conv2d { .. } => "conv2d",
            Self::Linear { .. } => "linear",
            Self::GroupNorm { .. } => "group_norm",
            Self::LayerNorm(_) => "layer_norm",
            Self::Attention(_) => "attention",
            Self::Upsample { .. } => "upsample",
            Self::Concat { .. } => "concat",
            Self::Slice { .. } => "slice",
            Self::Reshape(_) => "reshape",
            Self::Permute(..) => "permute",
            Self::Broadcast(_) => "broadcast",
            Self::Embedding { .. } => "embedding",
            Self::SelectRow { .. } => "select_row",
        }
    }

    /// Passes each operand to `visit`, which may replace it.
    pub fn visit_operands(&mut self, mut visit: impl FnMut(&mut Value)) {
        each_operand!(self, visit);
    }

    /// Its operands, in order.
    pub fn operands(&self) -> Vec<Value> {
        let mut operands = Vec::new();
        let mut visit = |value: &Value| operands.push(*value);
        each_operand!(self, visit);
        operands
    }
}
