//! How much memory does a stage take?
//!
//! The estimate comes from the shapes in the stage's graph. The activations of a stage are what it
//! takes beside its weights at the worst moment, if its ops run in order:
//!
//! - its inputs, which the caller holds;
//! - the results of earlier ops that later ops read;
//! - the result of the op itself;
//! - the extra memory of attention, and of norms and quick GELU in a shorter dtype.
//!
//! The estimate does not include the memory that libraries take for themselves: cuDNN's workspaces,
//! the padding of an allocator's blocks, its fragmentation. The reserve (`offload.rs`) is for
//! these.

use preheat_ir::graph::{Attention, Function, Op, UnaryOp, Verified};
use preheat_tensor::Dtype;
use preheat_tensor::TensorType;

use super::{Arithmetic, StageDtype};

/// The memory that attention takes in addition to its operands and its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttentionMemory {
    /// Whether the scores are stored as a whole, `[batch, heads, query rows, key rows]`, before and
    /// after the softmax. Fused kernels store only a block of them.
    pub whole_scores: bool,
    /// Whether operands of a shorter dtype are first copied to float32.
    pub in_float32: bool,
}

impl AttentionMemory {
    /// The memory on a device through libtorch, whose `scaled_dot_product_attention` is fused on
    /// CUDA and on the CPU, and made of single operations on mps.
    pub fn of(on: Arithmetic, dtype: &StageDtype) -> Self {
        Self { whole_scores: on == Arithmetic::Mps, in_float32: dtype.attention_in_float32 }
    }

    fn bytes(self, attention: &Attention, function: &Function) -> u64 {
        let [query, key, value] =
            [attention.query, attention.key, attention.value].map(|x| function.type_of(x));
        let in_float32 = self.in_float32 || attention.upcast;
        let is_copied = |kind: &&TensorType| in_float32 && kind.dtype != Dtype::Float32;
        let float32 = |kind: &TensorType| kind.elements().saturating_mul(4);
        let copies = [query, key, value]
            .iter()
            .filter(|kind| is_copied(kind))
            .map(|kind| float32(kind))
            .fold(0, add);
        // The result is float32, too, before it is rounded.
        let result = if is_copied(&query) { float32(query) } else { 0 };
        let row_bytes = if in_float32 { 4 } else { bytes_of(query.dtype) };
        let scores = [query.dims[0], attention.heads, query.dims[1], key.dims[1], row_bytes];
        let scores =
            if self.whole_scores { scores.into_iter().fold(2, u64::saturating_mul) } else { 0 };
        add(add(copies, result), scores)
    }
}

/// The memory that is alive at the worst moment of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activations {
    /// Bytes, without the weights.
    pub bytes: u64,
    /// The position of the op at that moment, among the function's nodes.
    pub at: usize,
    /// The name of that op.
    pub op: &'static str,
}

/// The activations of `function`, if its ops are executed one by one in their order.
pub fn activations(function: &Verified, attention: AttentionMemory) -> Activations {
    let lives = Lives::of(function);
    let inputs = function.inputs().iter().map(|input| bytes_of_type(&input.kind)).fold(0, add);
    let mut held = inputs;
    let mut worst = Activations { bytes: held, at: 0, op: "input" };
    for (at, node) in function.nodes().iter().enumerate() {
        held = add(held, lives.own_bytes[at]);
        let aside = match &node.op {
            Op::Attention(operands) => attention.bytes(operands, function),
            Op::GroupNorm { norm, .. } | Op::LayerNorm(norm) => {
                float32_copies(function.type_of(norm.x))
            }
            Op::Unary(UnaryOp::QuickGelu, x) => float32_copies(function.type_of(*x)),
            _ => 0,
        };
        if add(held, aside) > worst.bytes {
            worst = Activations { bytes: add(held, aside), at, op: node.op.name() };
        }
        held -= lives.ending_at[at].min(held);
    }
    worst
}

/// The extra memory of an op whose operand libtorch always gets in float32 (docs/precision.md): a
/// copy of the operand, and the result before it is rounded.
fn float32_copies(operand: &TensorType) -> u64 {
    if bytes_of(operand.dtype) < 4 { operand.elements().saturating_mul(2 * 4) } else { 0 }
}

/// Bytes of all weights, in the dtypes in which the graph reads them.
pub fn weight_bytes(function: &Verified) -> u64 {
    function.weights().iter().map(|weight| bytes_of_type(&weight.kind)).fold(0, add)
}

/// The weight bytes of the op that reads the most weight bytes. At least these have to be on the
/// device at once.
pub fn largest_layer_bytes(function: &Verified) -> u64 {
    let of_weight = |value: preheat_ir::graph::Value| match function.nodes()[value.index()].op {
        Op::Weight(at) => {
            function.weights().get(at as usize).map_or(0, |weight| bytes_of_type(&weight.kind))
        }
        _ => 0,
    };
    let of_op = |op: &Op| op.operands().into_iter().map(of_weight).fold(0, add);
    function.nodes().iter().map(|node| of_op(&node.op)).max().unwrap_or(0)
}

/// When memory is allocated and when it is freed.
struct Lives {
    /// The bytes that each op takes for its result: none for weights and inputs, which are counted
    /// separately, and none for views.
    own_bytes: Vec<u64>,
    /// The bytes that can be freed after each op, because nothing reads them again.
    ending_at: Vec<u64>,
}

impl Lives {
    fn of(function: &Verified) -> Self {
        let nodes = function.nodes();
        // A view shares the memory of the tensor that it views.
        let mut owners: Vec<usize> = Vec::with_capacity(nodes.len());
        let mut last_read: Vec<usize> = (0..nodes.len()).collect();
        for (at, node) in nodes.iter().enumerate() {
            let owner = match node.op {
                Op::Reshape(x) | Op::Slice { x, .. } | Op::Broadcast(x) => owners[x.index()],
                _ => at,
            };
            owners.push(owner);
            for operand in node.op.operands() {
                last_read[owners[operand.index()]] = at;
            }
            // The memory of a view that nothing reads must not be freed before the view is made.
            last_read[owner] = last_read[owner].max(at);
        }
        let own = |(at, node): (usize, &preheat_ir::graph::Node)| match node.op {
            Op::Input(_) | Op::Weight(_) => 0,
            _ if owners[at] != at => 0,
            _ => bytes_of_type(&node.kind),
        };
        let own_bytes: Vec<u64> = nodes.iter().enumerate().map(own).collect();
        for output in function.outputs() {
            last_read[owners[output.value.index()]] = usize::MAX;
        }
        let mut ending_at = vec![0; nodes.len()];
        for (at, last) in last_read.into_iter().enumerate() {
            if let Some(ending) = ending_at.get_mut(last) {
                *ending = add(*ending, own_bytes[at]);
            }
        }
        Self { own_bytes, ending_at }
    }
}

/// Bytes of a tensor.
pub fn bytes_of_type(kind: &TensorType) -> u64 {
    kind.elements().saturating_mul(bytes_of(kind.dtype))
}

fn bytes_of(dtype: Dtype) -> u64 {
    match dtype {
        Dtype::Float64 | Dtype::Int64 | Dtype::UInt64 => 8,
        Dtype::Float32 | Dtype::Int32 | Dtype::UInt32 => 4,
        Dtype::BFloat16 | Dtype::Float16 | Dtype::Int16 | Dtype::UInt16 => 2,
        _ => 1,
    }
}

fn add(a: u64, b: u64) -> u64 {
    a.saturating_add(b)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use preheat_ir::graph::{BinaryOp, FunctionBuilder, Norm, Value};

    use super::*;

    const FUSED: AttentionMemory = AttentionMemory { whole_scores: false, in_float32: false };

    fn f32s(dims: &[u64]) -> TensorType {
        TensorType::new(Dtype::Float32, dims)
    }

    /// The bytes that are alive at the worst op, computed for each op from the definition alone.
    fn by_brute_force(function: &Verified) -> u64 {
        let nodes = function.nodes();
        let owner = |mut value: Value| loop {
            match nodes[value.index()].op {
                Op::Reshape(x) | Op::Slice { x, .. } | Op::Broadcast(x) => value = x,
                _ => return value,
            }
        };
        let at = |now: usize| -> u64 {
            let mut alive = BTreeSet::new();
            for (value, _) in function.values() {
                let made = owner(value).index() <= now;
                let is_output = function.outputs().iter().any(|output| output.value == value);
                let read_from_now = |(at, node): (usize, &preheat_ir::graph::Node)| {
                    at >= now && node.op.operands().contains(&value)
                };
                let read = nodes.iter().enumerate().any(read_from_now);
                if made && (is_output || read || value.index() == now) {
                    alive.insert(owner(value));
                }
            }
            for (value, node) in function.values() {
                match node.op {
                    Op::Weight(_) => alive.remove(&value),
                    Op::Input(_) => alive.insert(value),
                    _ => false,
                };
            }
            alive.into_iter().map(|value| bytes_of_type(function.type_of(value))).sum()
        };
        (0..nodes.len()).map(at).max().unwrap()
    }

    /// A function of random ops on squares, with views, values that nothing reads, and several
    /// outputs.
    fn random(mut seed: u64) -> Verified {
        let mut next = move |below: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let mut b = FunctionBuilder::new("random");
        let weight = b.weight("w", [4, 4]);
        let mut values = vec![b.input("x", f32s(&[4, 4])), b.input("y", f32s(&[4, 4]))];
        for _ in 0..3 + next(20) {
            let (x, y) = (values[next(values.len())], values[next(values.len())]);
            let made = match next(7) {
                0 => b.unary(UnaryOp::Silu, x),
                1 => b.binary(BinaryOp::Add, x, y),
                2 => b.linear(x, weight, None),
                3 => b.reshape(x, [4, 4]),
                4 => b.permute(x, [1, 0]),
                5 => b.concat([x, y], 0).and_then(|twice| b.slice(twice, 0, 1, 5)),
                _ => b.slice(x, 0, 1, 2).and_then(|row| b.broadcast(row, [4, 4])),
            };
            values.push(made.unwrap());
        }
        for index in 0..=next(2) {
            let value = values[next(values.len())];
            b.output(format!("out{index}"), value);
        }
        b.finish().unwrap()
    }

    #[test]
    fn the_peak_is_that_of_brute_force() {
        for seed in 0..200 {
            let function = random(seed);
            assert_eq!(
                activations(&function, FUSED).bytes,
                by_brute_force(&function),
                "seed {seed}: {function:?}"
            );
        }
    }

    #[test]
    fn what_is_read_for_the_last_time_gives_its_memory_back() {
        let mut b = FunctionBuilder::new("chain");
        let mut x = b.input("x", f32s(&[100]));
        for _ in 0..10 {
            x = b.unary(UnaryOp::Silu, x).unwrap();
        }
        b.output("y", x);
        // The input, the operand and the result are alive, however long the chain is.
        assert_eq!(activations(&b.finish().unwrap(), FUSED).bytes, 1200);
    }

    #[test]
    fn attention_takes_scores_and_copies_where_it_holds_them() {
        let mut b = FunctionBuilder::new("attention");
        let short = TensorType::new(Dtype::BFloat16, [2, 64, 32]);
        let [query, key, value] = ["q", "k", "v"].map(|name| b.input(name, short.clone()));
        let attention =
            Attention { query, key, value, heads: 4, scale: 1.0, causal: false, upcast: false };
        let y = b.attention(attention).unwrap();
        b.output("y", y);
        let function = b.finish().unwrap();
        let operand = 2 * 64 * 32 * 2;
        let bytes = |attention| activations(&function, attention).bytes;
        assert_eq!(bytes(FUSED), 4 * operand);
        let whole_scores = AttentionMemory { whole_scores: true, ..FUSED };
        assert_eq!(bytes(whole_scores), 4 * operand + 2 * (2 * 4 * 64 * 64) * 2);
        let in_float32 = AttentionMemory { in_float32: true, ..whole_scores };
        assert_eq!(bytes(in_float32), 4 * operand + 4 * (2 * operand) + 2 * (2 * 4 * 64 * 64) * 4);
        let worst = activations(&function, in_float32);
        assert_eq!((worst.op, worst.at), ("attention", 3));
    }

    #[test]
    fn a_norm_of_a_shorter_dtype_takes_copies_in_float32() {
        for (dtype, aside) in [(Dtype::BFloat16, 2 * 4 * 600), (Dtype::Float32, 0)] {
            let mut b = FunctionBuilder::new("norm");
            let x = b.input("x", TensorType::new(dtype, [1, 6, 100]));
            let (weight, bias) = (b.weight("weight", [100]), b.weight("bias", [100]));
            let y = b.layer_norm(Norm { x, weight, bias, eps: 1e-5 }).unwrap();
            b.output("y", y);
            let function = b.finish().unwrap();
            assert_eq!(
                activations(&function, FUSED).bytes,
                2 * 600 * bytes_of(dtype) + aside,
                "{dtype}"
            );
        }
    }

    #[test]
    fn weights_are_counted_apart_and_by_layer() {
        let mut b = FunctionBuilder::new("layers");
        let x = b.input("x", f32s(&[2, 8]));
        let (wide, bias) = (b.weight("wide.weight", [16, 8]), b.weight("wide.bias", [16]));
        let narrow = b.weight("narrow.weight", [4, 16]);
        let x = b.linear(x, wide, Some(bias)).unwrap();
        let x = b.linear(x, narrow, None).unwrap();
        b.output("y", x);
        let function = b.finish().unwrap();
        assert_eq!(weight_bytes(&function), (16 * 8 + 16 + 4 * 16) * 4);
        assert_eq!(largest_layer_bytes(&function), (16 * 8 + 16) * 4);
    }
}
