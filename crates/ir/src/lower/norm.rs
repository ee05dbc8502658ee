//! How are group norm and layer norm lowered? The mean is computed first, then the mean square of
//! the differences from it. Both are computed in f32, whatever the dtype of the input.

use preheat_tensor::Dtype;

use super::held::{CHANNELS_LAST, Held, Lowering};
use super::text::{Array, Text};
use crate::graph::{Norm, Value};

impl Lowering<'_> {
    pub(super) fn group_norm(&mut self, norm: &Norm, groups: u64) -> Held {
        let given = self.in_order(norm.x, &CHANNELS_LAST);
        let x = self.text.convert(&given, Dtype::Float32);
        let [batch, height, width, channels] = [0, 1, 2, 3].map(|axis| x.dims[axis]);
        let grouped = self.text.reshape(&x, vec![batch, height * width, groups, channels / groups]);
        let normal = normalised(&mut self.text, &grouped, &[1, 3], norm.eps);
        let normal = self.text.reshape(&normal, x.dims);
        let y = self.scaled_and_shifted(&normal, [norm.weight, norm.bias], 3);
        Held { array: self.text.convert(&y, given.dtype), order: CHANNELS_LAST.to_vec() }
    }

    pub(super) fn layer_norm(&mut self, norm: &Norm) -> Held {
        let given = self.any(norm.x);
        let x = self.text.convert(&given.array, Dtype::Float32);
        let axis = given.position(given.order.len() - 1);
        let normal = normalised(&mut self.text, &x, &[axis], norm.eps);
        let y = self.scaled_and_shifted(&normal, [norm.weight, norm.bias], axis);
        Held { array: self.text.convert(&y, given.array.dtype), order: given.order }
    }

    fn scaled_and_shifted(&mut self, x: &Array, by: [Value; 2], axis: usize) -> Array {
        let [scale, shift] = by.map(|value| {
            let factors = self.row_major(value);
            self.text.broadcast(&factors, &[axis], &x.dims)
        });
        let scaled = self.text.binary("multiply", x, &scale);
        self.text.binary("add", &scaled, &shift)
    }
}

/// `x` normalised to mean 0 and variance 1 over the dimensions `over`.
fn normalised(text: &mut Text, x: &Array, over: &[usize], eps: f32) -> Array {
    let rest: Vec<usize> = (0..x.dims.len()).filter(|axis| !over.contains(axis)).collect();
    #[expect(clippy::cast_precision_loss, reason = "rounded as f32 arithmetic rounds it")]
    let count = over.iter().map(|&axis| x.dims[axis]).product::<u64>() as f32;
    let mean_of = |text: &mut Text, x: &Array| {
        let sum = text.reduce("add", x, over, 0.0);
        let count = text.splat(count, x.dtype, &sum.dims);
        text.binary("divide", &sum, &count)
    };
    let mean = mean_of(text, x);
    let mean = text.broadcast(&mean, &rest, &x.dims);
    let difference = text.binary("subtract", x, &mean);
    let square = text.binary("multiply", &difference, &difference);
    let variance = mean_of(text, &square);
    let eps = text.splat(eps, x.dtype, &variance.dims);
    let sum = text.binary("add", &variance, &eps);
    let factor = text.unary("stablehlo.rsqrt", &sum);
    let factor = text.broadcast(&factor, &rest, &x.dims);
    text.binary("multiply", &difference, &factor)
}
