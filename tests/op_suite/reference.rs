//! What are the correct results of a function? This file computes each op by its definition, in
//! f64. It is slow, and uses no back end.

use std::collections::HashMap;

use preheat_ir::graph::{Attention, BinaryOp, Function, Norm, Op, UnaryOp, Value};

/// A tensor of f64, row-major.
#[derive(Debug, Clone)]
pub struct Array {
    pub dims: Vec<usize>,
    pub data: Vec<f64>,
}

impl Array {
    pub fn new(dims: &[u64], data: Vec<f64>) -> Self {
        let dims: Vec<usize> = dims.iter().map(|&dim| usize::try_from(dim).unwrap()).collect();
        assert_eq!(dims.iter().product::<usize>(), data.len());
        Self { dims, data }
    }

    /// An array of `dims`; `element` returns the element for each position.
    fn from_fn(dims: &[usize], mut element: impl FnMut(&[usize]) -> f64) -> Self {
        let count = dims.iter().product();
        let mut at = vec![0; dims.len()];
        let mut data = Vec::with_capacity(count);
        for _ in 0..count {
            data.push(element(&at));
            for axis in (0..dims.len()).rev() {
                at[axis] += 1;
                if at[axis] < dims[axis] {
                    break;
                }
                at[axis] = 0;
            }
        }
        Self { dims: dims.to_vec(), data }
    }

    /// Dimension `i` of the result is dimension `order[i]` of `self`.
    pub fn permuted(&self, order: &[usize]) -> Self {
        let dims: Vec<usize> = order.iter().map(|&axis| self.dims[axis]).collect();
        Self::from_fn(&dims, |at| {
            let mut from = vec![0; at.len()];
            for (to, &axis) in order.iter().enumerate() {
                from[axis] = at[to];
            }
            self.at(&from)
        })
    }

    fn at(&self, at: &[usize]) -> f64 {
        self.data[at.iter().zip(&self.dims).fold(0, |index, (at, dim)| index * dim + at)]
    }

    /// The element at position `at` after broadcasting: dimensions of size 1 are repeated, and a
    /// scalar is repeated everywhere.
    fn repeated(&self, at: &[usize]) -> f64 {
        let at: Vec<usize> =
            self.dims.iter().zip(at).map(|(&dim, &at)| if dim == 1 { 0 } else { at }).collect();
        self.at(&at)
    }
}

/// Computes the outputs of `function`.
pub fn evaluate(function: &Function, inputs: &[Array], weights: &[Array]) -> Vec<Array> {
    let mut values: HashMap<Value, Array> = HashMap::new();
    for (value, node) in function.values() {
        let dims: Vec<usize> =
            node.kind.dims.iter().map(|&dim| usize::try_from(dim).unwrap()).collect();
        let of = |value: &Value| &values[value];
        let array = match &node.op {
            Op::Input(index) => inputs[*index as usize].clone(),
            Op::Weight(index) => weights[*index as usize].clone(),
            op => compute(op, &dims, of),
        };
        assert_eq!(array.dims, dims, "{}", node.op.name());
        values.insert(value, array);
    }
    function.outputs().iter().map(|output| values[&output.value].clone()).collect()
}

fn compute<'a>(op: &Op, dims: &[usize], of: impl Fn(&Value) -> &'a Array) -> Array {
    match op {
        Op::Input(_) | Op::Weight(_) => unreachable!(),
        Op::Literal(values) => Array {
            dims: dims.to_vec(),
            data: values.iter().map(|&value| f64::from(value)).collect(),
        },
        Op::Fill(value) => Array::from_fn(dims, |_| f64::from(*value)),
        Op::Unary(op, x) => Array::from_fn(dims, |at| unary(*op, of(x).at(at))),
        Op::Binary(op, x, y) => Array::from_fn(dims, |at| {
            let (x, y) = (of(x).repeated(at), of(y).repeated(at));
            match op {
                BinaryOp::Add => x + y,
                BinaryOp::Sub => x - y,
                BinaryOp::Mul => x * y,
                BinaryOp::Div => x / y,
                BinaryOp::Min => x.min(y),
                BinaryOp::Max => x.max(y),
            }
        }),
        Op::Convert(x, _) => of(x).clone(),
        Op::Conv2d { x, weight, bias, stride, padding } => {
            let size = |size: &u64| usize::try_from(*size).unwrap();
            conv2d(of(x), of(weight), bias.as_ref().map(of), [size(stride), size(padding)], dims)
        }
        Op::Linear { x, weight, bias } => {
            let (x, weight, bias) = (of(x), of(weight), bias.as_ref().map(&of));
            let last = dims.len() - 1;
            Array::from_fn(dims, |at| {
                let mut from = at.to_vec();
                let sum = (0..weight.dims[1]).map(|feature| {
                    from[last] = feature;
                    x.at(&from) * weight.at(&[at[last], feature])
                });
                sum.sum::<f64>() + bias.map_or(0.0, |bias| bias.data[at[last]])
            })
        }
        Op::GroupNorm { norm, groups } => {
            let group = dims[1] / usize::try_from(*groups).unwrap();
            normalised(norm, &of, |at| vec![at[0], at[1] / group], |at| at[1])
        }
        Op::LayerNorm(norm) => {
            let last = dims.len() - 1;
            normalised(norm, &of, |at| at[..last].to_vec(), |at| at[last])
        }
        Op::Attention(attention) => attend(attention, dims, of),
        Op::Upsample { x, .. } => {
            let x = of(x);
            Array::from_fn(dims, |at| {
                let source = |axis: usize| at[axis] * x.dims[axis] / dims[axis];
                x.at(&[at[0], at[1], source(2), source(3)])
            })
        }
        Op::Concat { parts, axis } => Array::from_fn(dims, |at| {
            let mut at = at.to_vec();
            for part in parts.iter().map(&of) {
                if at[*axis] < part.dims[*axis] {
                    return part.at(&at);
                }
                at[*axis] -= part.dims[*axis];
            }
            unreachable!()
        }),
        Op::Slice { x, axis, start, .. } => Array::from_fn(dims, |at| {
            let mut at = at.to_vec();
            at[*axis] += usize::try_from(*start).unwrap();
            of(x).at(&at)
        }),
        Op::Reshape(x) => Array { dims: dims.to_vec(), data: of(x).data.clone() },
        Op::Permute(x, order) => of(x).permuted(order),
        Op::Broadcast(x) => Array::from_fn(dims, |at| of(x).repeated(at)),
        Op::Embedding { table, ids } => {
            let (table, ids) = (of(table), of(ids));
            let last = dims.len() - 1;
            Array::from_fn(dims, |at| {
                table.at(&[clamped(ids.at(&at[..last]), table.dims[0]), at[last]])
            })
        }
        Op::SelectRow { x, rows } => {
            let (x, rows) = (of(x), of(rows));
            Array::from_fn(dims, |at| x.at(&[at[0], clamped(rows.data[at[0]], x.dims[1]), at[1]]))
        }
    }
}

/// A position among `count`; a position outside is moved to the nearest one inside.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions are small whole numbers"
)]
fn clamped(position: f64, count: usize) -> usize {
    (position.max(0.0) as usize).min(count - 1)
}

fn unary(op: UnaryOp, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match op {
        UnaryOp::Exp => x.exp(),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Sigmoid => sigmoid(x),
        UnaryOp::Silu => x * sigmoid(x),
        UnaryOp::Gelu => x * (1.0 + erf(x / 2_f64.sqrt())) / 2.0,
        UnaryOp::QuickGelu => x * sigmoid(1.702 * x),
    }
}

/// The error function by its Taylor series, which converges everywhere and is precise enough for
/// |x| up to 4. Beyond 4, the function rounds to 1 or -1 in f32.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..120 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn conv2d(
    x: &Array,
    weight: &Array,
    bias: Option<&Array>,
    [stride, padding]: [usize; 2],
    dims: &[usize],
) -> Array {
    let [_, channels, kernel_height, kernel_width] = weight.dims[..] else { unreachable!() };
    Array::from_fn(dims, |at| {
        let mut sum = bias.map_or(0.0, |bias| bias.data[at[1]]);
        for channel in 0..channels {
            for i in 0..kernel_height {
                for j in 0..kernel_width {
                    let (row, column) = (at[2] * stride + i, at[3] * stride + j);
                    let inside =
                        |cell: usize, size: usize| (padding..size + padding).contains(&cell);
                    if inside(row, x.dims[2]) && inside(column, x.dims[3]) {
                        sum += x.at(&[at[0], channel, row - padding, column - padding])
                            * weight.at(&[at[1], channel, i, j]);
                    }
                }
            }
        }
        sum
    })
}

/// Normalises the elements that `group` puts into the same group. `channel` returns the index of
/// the scale and the shift of an element.
fn normalised<'a>(
    norm: &Norm,
    of: &impl Fn(&Value) -> &'a Array,
    group: impl Fn(&[usize]) -> Vec<usize>,
    channel: impl Fn(&[usize]) -> usize,
) -> Array {
    let x = of(&norm.x);
    let mut groups: HashMap<Vec<usize>, Vec<f64>> = HashMap::new();
    Array::from_fn(&x.dims, |at| {
        groups.entry(group(at)).or_default().push(x.at(at));
        0.0
    });
    let statistics: HashMap<_, _> = groups
        .into_iter()
        .map(|(group, values)| {
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            (group, (mean, (variance + f64::from(norm.eps)).sqrt()))
        })
        .collect();
    Array::from_fn(&x.dims, |at| {
        let ((mean, deviation), channel) = (statistics[&group(at)], channel(at));
        (x.at(at) - mean) / deviation * of(&norm.weight).data[channel]
            + of(&norm.bias).data[channel]
    })
}

/// Row `row` of element `batch` of `x [batch, rows, features]`.
fn row_of(x: &Array, batch: usize, row: usize) -> &[f64] {
    &x.data[(batch * x.dims[1] + row) * x.dims[2]..][..x.dims[2]]
}

fn attend<'a>(attention: &Attention, dims: &[usize], of: impl Fn(&Value) -> &'a Array) -> Array {
    let [query, key, value] =
        [attention.query, attention.key, attention.value].map(|operand| of(&operand));
    let heads = usize::try_from(attention.heads).unwrap();
    let (size, value_size) = (query.dims[2] / heads, value.dims[2] / heads);
    let mut result = Array { dims: dims.to_vec(), data: vec![0.0; dims.iter().product()] };
    for batch in 0..dims[0] {
        for head in 0..heads {
            for row in 0..dims[1] {
                let keys = if attention.causal { row + 1 } else { key.dims[1] };
                let query = &row_of(query, batch, row)[head * size..][..size];
                let score = |other: usize| {
                    let key = &row_of(key, batch, other)[head * size..][..size];
                    query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>()
                        * f64::from(attention.scale)
                };
                let scores: Vec<f64> = (0..keys).map(score).collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let parts: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
                let sum: f64 = parts.iter().sum();
                let start = (batch * dims[1] + row) * dims[2] + head * value_size;
                let mixed = &mut result.data[start..start + value_size];
                for (other, part) in parts.iter().enumerate() {
                    let value = &row_of(value, batch, other)[head * value_size..];
                    mixed
                        .iter_mut()
                        .zip(value)
                        .for_each(|(mixed, value)| *mixed += part / sum * value);
                }
            }
        }
    }
    result
}
