//! How are convolutions and linear layers lowered?

use super::held::{CHANNELS_LAST, Held, Lowering, arranged};
use super::text::{Array, Dot, Kind, Precision};
use crate::graph::Value;

/// Height, width, in, out: the order in which the program takes kernels.
const KERNEL: [usize; 4] = [2, 3, 1, 0];

impl Lowering<'_> {
    pub(super) fn conv2d(
        &mut self,
        [x, weight]: [Value; 2],
        bias: Option<Value>,
        [stride, padding]: [u64; 2],
        dims: &[u64],
    ) -> Held {
        let (x, weight) = (self.in_order(x, &CHANNELS_LAST), self.in_order(weight, &KERNEL));
        let dims = arranged(dims, &CHANNELS_LAST);
        let (given, kernel, result) = (x.kind(), weight.kind(), Kind(x.dtype, &dims));
        let precision = match Precision::of(x.dtype) {
            Precision::Default => "",
            Precision::Highest => {
                ", precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]"
            }
        };
        let written = format_args!(
            "stablehlo.convolution({}, {}) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {{stride = \
             [{stride}, {stride}], pad = [[{padding}, {padding}], [{padding}, {padding}]]}} {{batch_group_count = 1 : i64, \
             feature_group_count = 1 : i64{precision}}} : ({given}, {kernel}) -> {result}",
            x.name, weight.name
        );
        let array = self.text.statement(x.dtype, dims.clone(), written);
        Held { array: self.with_bias(array, bias), order: CHANNELS_LAST.to_vec() }
    }

    pub(super) fn linear(&mut self, x: Value, weight: Value, bias: Option<Value>) -> Held {
        let features = self.function.type_of(x).dims.len() - 1;
        let (x, weight) = (self.any(x), self.any(weight));
        let (from, to) = (x.position(features), weight.position(1));
        let precision = Precision::of(x.array.dtype);
        let dot = Dot { batch: (&[], &[]), contract: (&[from], &[to]), precision };
        let array = self.text.dot(&x.array, &weight.array, &dot, x.array.dtype);
        let mut order = x.order;
        order.remove(from);
        order.push(features);
        Held { array: self.with_bias(array, bias), order }
    }

    /// Adds `bias` along the last dimension of `array`.
    fn with_bias(&mut self, array: Array, bias: Option<Value>) -> Array {
        let Some(bias) = bias else { return array };
        let bias = self.row_major(bias);
        let spread = self.text.broadcast(&bias, &[array.dims.len() - 1], &array.dims);
        self.text.binary("add", &array, &spread)
    }
}
