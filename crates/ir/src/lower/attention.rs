//! How is attention lowered so that it suits the target, and so that its memory does not grow with
//! the square of the number of pixels?
//!
//! Scores are summed in f32. The softmax is taken in f32 too, after the largest score of each row
//! has been subtracted. The exponentials are rounded to the operands' dtype for the product with
//! the values. That product is summed in f32 and then divided by the row's sum.
//!
//! If the scores are large, a loop goes over blocks of query rows, so that memory stays bounded. On
//! a CPU the loop goes over the heads as well, and uses blocks that fit in the caches: XLA:CPU runs
//! plain matrix products 3 to 4 times faster than batched ones (batch 2, 8 heads, f32, 2 cores:
//! 4096 rows of 40 features 0.60 s against 1.9 s, 1024 rows of 80 features 0.07 s against 0.22 s).

use preheat_tensor::Dtype;

use super::LoweringTarget;
use super::held::{Held, Lowering};
use super::text::{Array, Dot, Precision, Text};
use crate::graph::Attention;

/// Up to this many bytes of scores, a CPU computes all heads at once. At 4 MiB this took as long as
/// the loop over heads; at 20 MiB it took twice as long.
const PLAIN_BYTES: u64 = 8 << 20;
/// The most bytes of scores that a CPU's loop holds at a time. All sizes from 2 to 8 MiB took
/// equally long.
const CPU_SCORES_BYTES: u64 = 4 << 20;
/// The same limit for accelerators: about a thirtieth of a TPU v5e's memory (16 GB).
const ACCELERATOR_SCORES_BYTES: u64 = 512 << 20;

impl Lowering<'_> {
    pub(super) fn attention(&mut self, attention: &Attention) -> Held {
        let operands = [attention.query, attention.key, attention.value];
        let [query, key, value] = operands.map(|operand| self.row_major(operand));
        let (dtype, batch, heads) = (query.dtype, query.dims[0], attention.heads);
        let (rows, features) = (query.dims[1], value.dims[2]);
        let row_bytes = key.dims[1] * 4;
        let text = &mut self.text;
        let [mut query, mut key, value] =
            [query, key, value].map(|array| by_head(text, &array, heads));
        if attention.upcast {
            (query, key) =
                (text.convert(&query, Dtype::Float32), text.convert(&key, Dtype::Float32));
        }
        let block = Block {
            scale: attention.scale,
            causal: attention.causal,
            precision: Precision::of(dtype),
            dtype,
        };
        let all = batch * heads;
        let [at_once, rows_at_once] = match self.target {
            LoweringTarget::Cpu if all * rows * row_bytes <= PLAIN_BYTES => [all, rows],
            LoweringTarget::Cpu => [1, block_rows(rows, row_bytes, CPU_SCORES_BYTES)],
            LoweringTarget::Accelerator => {
                [all, block_rows(rows, all * row_bytes, ACCELERATOR_SCORES_BYTES)]
            }
        };
        let array = if (at_once, rows_at_once) == (all, rows) {
            block.compute(text, [&query, &key, &value], None)
        } else {
            block.in_a_loop(text, &[query, key, value], [at_once, rows_at_once])
        };
        let array = text.reshape(&array, vec![batch, heads, rows, features / heads]);
        let array = text.transpose(&array, &[0, 2, 1, 3]);
        Held::row_major(text.reshape(&array, vec![batch, rows, features]))
    }
}

/// `[batch, rows, heads * d]` as `[batch * heads, rows, d]`.
fn by_head(text: &mut Text, x: &Array, heads: u64) -> Array {
    let [batch, rows, features] = [0, 1, 2].map(|axis| x.dims[axis]);
    let x = text.reshape(x, vec![batch, rows, heads, features / heads]);
    let x = text.transpose(&x, &[0, 2, 1, 3]);
    text.reshape(&x, vec![batch * heads, rows, features / heads])
}

/// How many query rows to compute at a time, so that their scores take at most `limit` bytes; at
/// least one. There are as few blocks as possible, of nearly equal size.
fn block_rows(rows: u64, row_bytes: u64, limit: u64) -> u64 {
    let most = (limit / row_bytes).clamp(1, rows);
    rows.div_ceil(rows.div_ceil(most))
}

/// Attention of some rows of some heads.
struct Block {
    scale: f32,
    causal: bool,
    precision: Precision,
    /// The operands' dtype. The operands of the first product can be in f32 even if this is a
    /// smaller dtype.
    dtype: Dtype,
}

impl Block {
    /// Computes `[heads, rows, e]` from `query [heads, rows, d]`, `key [heads, keys, d]` and `value
    /// [heads, keys, e]`, or the same without the dimension of heads. The query's rows begin at
    /// `first`, or at 0.
    fn compute(
        &self,
        text: &mut Text,
        [query, key, value]: [&Array; 3],
        first: Option<&Array>,
    ) -> Array {
        let rank = query.dims.len();
        let (heads, rows, keys) = (&[0][..rank - 2], rank - 2, rank - 1);
        let product =
            Dot { batch: (heads, heads), contract: (&[keys], &[keys]), precision: self.precision };
        let scores = text.dot(query, key, &product, Dtype::Float32);
        let scale = text.splat(self.scale, Dtype::Float32, &scores.dims);
        let mut scores = text.binary("multiply", &scores, &scale);
        if self.causal {
            scores = masked(text, &scores, first);
        }
        let kept: Vec<usize> = (0..rank - 1).collect();
        let largest = text.reduce("maximum", &scores, &[keys], f32::NEG_INFINITY);
        let largest = text.broadcast(&largest, &kept, &scores.dims);
        let below = text.binary("subtract", &scores, &largest);
        let parts = text.unary("stablehlo.exponential", &below);
        let sums = text.reduce("add", &parts, &[keys], 0.0);
        let parts = text.convert(&parts, self.dtype);
        let product =
            Dot { batch: (heads, heads), contract: (&[keys], &[rows]), precision: self.precision };
        let mixed = text.dot(&parts, value, &product, Dtype::Float32);
        let sums = text.broadcast(&sums, &kept, &mixed.dims);
        let mixed = text.binary("divide", &mixed, &sums);
        text.convert(&mixed, self.dtype)
    }

    /// Computes the same as [`Self::compute`], for `heads` heads (one or all) and `rows` rows at a
    /// time.
    ///
    /// The last block of rows begins so early that it is as large as the others. The rows that it
    /// shares with the block before are computed twice.
    fn in_a_loop(&self, text: &mut Text, operands: &[Array; 3], [heads, rows]: [u64; 2]) -> Array {
        let [all_heads, all_rows, _] = [0, 1, 2].map(|axis| operands[0].dims[axis]);
        let blocks = all_rows.div_ceil(rows);
        let one_head = heads == 1;
        let (start, features) = (text.integer(0), operands[2].dims[2]);
        let empty = text.splat(0.0, self.dtype, &[all_heads, all_rows, features]);
        let carried = [vec![start, empty], operands.to_vec()].concat();
        let times = all_heads / heads * blocks;
        let done = text.repeat(&carried, times, |text, carried| {
            let [index, so_far, query, key, value] = carried else { return carried.to_vec() };
            let zero = text.integer(0);
            let (head, first) = position(text, index, [blocks, all_rows, rows]);
            let head = if one_head { head } else { zero.clone() };
            let part = |text: &mut Text, x: &Array, first: &Array, rows: u64| {
                let (size, at) = ([heads, rows, x.dims[2]], [&head, first, &zero]);
                let part = text.dynamic_slice(x, &at, &size);
                if one_head { text.reshape(&part, size[1..].to_vec()) } else { part }
            };
            let query = part(text, query, &first, rows);
            let [key_part, value_part] = [key, value].map(|x| part(text, x, &zero, x.dims[1]));
            let block = self.compute(text, [&query, &key_part, &value_part], Some(&first));
            let block = text.reshape(&block, vec![heads, rows, features]);
            let next = text.dynamic_update_slice(so_far, &block, &[&head, &first, &zero]);
            let one = text.integer(1);
            let index = text.binary("add", index, &one);
            vec![index, next, carried[2].clone(), key.clone(), value.clone()]
        });
        done.into_iter().nth(1).unwrap_or_else(|| carried[1].clone())
    }
}

/// The head and the first row of the block with this number.
fn position(text: &mut Text, index: &Array, [blocks, all_rows, rows]: [u64; 3]) -> (Array, Array) {
    if blocks == 1 {
        return (index.clone(), text.integer(0));
    }
    let count = text.integer(blocks);
    let head = text.binary("divide", index, &count);
    let block = text.binary("remainder", index, &count);
    let size = text.integer(rows);
    let first = text.binary("multiply", &block, &size);
    if all_rows.is_multiple_of(rows) {
        return (head, first);
    }
    let last = text.integer(all_rows - rows);
    (head, text.binary("minimum", &first, &last))
}

/// `scores [..., rows, keys]`, with minus infinity where the key comes after the row. The first row
/// has the number `first`, or 0.
fn masked(text: &mut Text, scores: &Array, first: Option<&Array>) -> Array {
    let rank = scores.dims.len();
    let mut row = text.iota(rank - 2, &scores.dims);
    if let Some(first) = first {
        let first = text.broadcast(first, &[], &scores.dims);
        row = text.binary("add", &row, &first);
    }
    let key = text.iota(rank - 1, &scores.dims);
    let seen = text.compare("GE", &row, &key);
    let hidden = text.splat(f32::NEG_INFINITY, Dtype::Float32, &scores.dims);
    text.select(&seen, scores, &hidden)
}
