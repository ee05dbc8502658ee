//! Lowering a verified graph to StableHLO text.
//!
//! The graph speaks the checkpoints' language, NCHW; XLA computes convolutions faster where
//! channels come last (1.4 times on XLA:CPU). So each value is *held* with its dimensions in some
//! order (`held.rs`): what a convolution gives is held channels-last, a permutation only changes
//! the book-keeping, and element by element ops follow their operands. Nothing is transposed
//! between the first convolution and the last; what goes in and out of the function is row-major as
//! declared.
//!
//! Weights are parameters, so whoever places them on the device can put their dimensions in another
//! order on the way: [`Lowered::weight_orders`] says which (kernels height, width, in, out;
//! matrices in, out).
//!
//! The text is the same for the same function in each release's build: it is what the cache's keys
//! are taken from.

mod attention;
mod elementwise;
mod held;
mod norm;
mod product;
mod shape;
mod text;

use self::held::Lowering;
use crate::graph::{Op, Value, Verified};

/// A function as StableHLO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowered {
    /// A module with one function, `main`: it takes the function's inputs in order, then its
    /// weights in order, and gives its outputs in order.
    pub text: String,
    /// For each weight the order in which the program takes its dimensions, as [`weight_orders`]
    /// gives it.
    pub weight_orders: Vec<Vec<usize>>,
}

/// What kind of machine the program is for. It decides the form of attention, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Few cores with caches: head by head.
    Cpu,
    /// Wide units with their own memory: all heads at a time.
    Accelerator,
}

/// Writes `function` as StableHLO for `target`.
pub fn stablehlo(function: &Verified, target: Target) -> Lowered {
    let weight_orders = weight_orders(function);
    let text = Lowering::new(function, target, &weight_orders).run();
    Lowered { text, weight_orders }
}

/// The order in which the lowered program takes each weight's dimensions: dimension `i` of the
/// parameter is dimension `order[i]` of the checkpoint's tensor. The text is not needed for it.
///
/// Kernels of convolutions are height, width, in, out. Matrices of linear layers are in, out:
/// XLA:CPU multiplies 1.0 to 5 times faster by those than by matrices as they are stored (2048
/// rows: 1.05; 154 rows: 1.6; 2 rows: 4.6).
pub fn weight_orders(function: &Verified) -> Vec<Vec<usize>> {
    let rank = |decl: &crate::graph::WeightDecl| decl.kind.dims.len();
    let mut orders: Vec<Vec<usize>> =
        function.weights().iter().map(|decl| (0..rank(decl)).collect()).collect();
    for node in function.nodes() {
        let (read, order): (Value, &[usize]) = match &node.op {
            Op::Conv2d { weight, .. } => (*weight, &[2, 3, 1, 0]),
            Op::Linear { weight, .. } => (*weight, &[1, 0]),
            _ => continue,
        };
        if let Some(index) = weight_behind(function, read) {
            orders[index] = order.to_vec();
        }
    }
    orders
}

/// The weight that `value` is, as it is or in another dtype.
fn weight_behind(function: &Verified, mut value: Value) -> Option<usize> {
    loop {
        match &function.nodes()[value.index()].op {
            Op::Weight(index) => return Some(*index as usize),
            Op::Convert(x, _) => value = *x,
            _ => return None,
        }
    }
}
