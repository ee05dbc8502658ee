//! How are constants and ops on single elements lowered?

use std::fmt::Write;

use preheat_tensor::Dtype;

use super::held::{Held, Lowering, arranged};
use super::text::{Array, Kind};
use crate::graph::{BinaryOp, Op, UnaryOp, Value};

/// 1 / sqrt 2.
const SQRT_HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;

impl Lowering<'_> {
    /// A constant of row-major numbers: one splat if all are equal, otherwise their bytes.
    pub(super) fn literal(&mut self, values: &[f32], dims: &[u64]) -> Held {
        if let Some(first) = values
            .first()
            .filter(|first| values.iter().all(|value| value.to_bits() == first.to_bits()))
        {
            return Held::row_major(self.text.splat(*first, Dtype::Float32, dims));
        }
        let mut bytes = String::with_capacity(values.len() * 8);
        for byte in values.iter().flat_map(|value| value.to_le_bytes()) {
            // Writing to a string cannot fail.
            let _ = write!(bytes, "{byte:02X}");
        }
        let kind = Kind(Dtype::Float32, dims);
        let written = format_args!("stablehlo.constant dense<\"0x{bytes}\"> : {kind}");
        Held::row_major(self.text.statement(Dtype::Float32, dims.to_vec(), written))
    }

    /// Computes in f32, whatever the operand's dtype, so that the result is rounded only once.
    pub(super) fn unary(&mut self, op: UnaryOp, x: Value) -> Held {
        let Held { array, order } = self.any(x);
        let text = &mut self.text;
        let x = text.convert(&array, Dtype::Float32);
        let scaled = |text: &mut super::text::Text, x: &Array, factor: f32| {
            let factor = text.splat(factor, Dtype::Float32, &x.dims);
            text.binary("multiply", x, &factor)
        };
        let y = match op {
            UnaryOp::Exp => text.unary("stablehlo.exponential", &x),
            UnaryOp::Sin => text.unary("stablehlo.sine", &x),
            UnaryOp::Cos => text.unary("stablehlo.cosine", &x),
            UnaryOp::Sigmoid => text.unary("stablehlo.logistic", &x),
            UnaryOp::Silu => {
                let gate = text.unary("stablehlo.logistic", &x);
                text.binary("multiply", &x, &gate)
            }
            UnaryOp::QuickGelu => {
                let inner = scaled(text, &x, 1.702);
                let gate = text.unary("stablehlo.logistic", &inner);
                text.binary("multiply", &x, &gate)
            }
            UnaryOp::Gelu => {
                let inner = scaled(text, &x, SQRT_HALF);
                let kind = inner.kind();
                let written = format_args!("chlo.erf {} : {kind} -> {kind}", inner.name);
                let erf = text.statement(Dtype::Float32, inner.dims.clone(), written);
                let one = text.splat(1.0, Dtype::Float32, &x.dims);
                let sum = text.binary("add", &erf, &one);
                let half = scaled(text, &x, 0.5);
                text.binary("multiply", &half, &sum)
            }
        };
        Held { array: text.convert(&y, array.dtype), order }
    }

    pub(super) fn binary(&mut self, op: BinaryOp, x: Value, y: Value, dims: &[u64]) -> Held {
        let order = self.common_order(&[x, y], dims.len());
        let dims = arranged(dims, &order);
        let (x, y) = (self.spread(x, &order, &dims), self.spread(y, &order, &dims));
        let op = match op {
            BinaryOp::Add => "add",
            BinaryOp::Sub => "subtract",
            BinaryOp::Mul => "multiply",
            BinaryOp::Div => "divide",
            BinaryOp::Min => "minimum",
            BinaryOp::Max => "maximum",
        };
        Held { array: self.text.binary(op, &x, &y), order }
    }

    /// `value` in `order`, repeated up to `dims`, which are in that order as well. A scalar is
    /// repeated to every element.
    fn spread(&mut self, value: Value, order: &[usize], dims: &[u64]) -> Array {
        let node = &self.function.nodes()[value.index()];
        if let Op::Fill(number) = node.op {
            return self.text.splat(number, node.kind.dtype, dims);
        }
        if node.kind.dims.is_empty() {
            let scalar = self.row_major(value);
            return self.text.broadcast(&scalar, &[], dims);
        }
        let array = self.in_order(value, order);
        self.text.broadcast(&array, &(0..dims.len()).collect::<Vec<_>>(), dims)
    }
}
