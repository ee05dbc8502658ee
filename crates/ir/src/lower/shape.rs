//! How are the ops that only move or repeat elements lowered?

use super::held::{Held, Lowering, arranged, position};
use super::text::{Array, Kind};
use crate::graph::Value;

impl Lowering<'_> {
    pub(super) fn permute(&mut self, x: Value, order: &[usize]) -> Held {
        let x = self.any(x);
        let order = x.order.iter().map(|&axis| position(order, axis)).collect();
        Held { array: x.array, order }
    }

    pub(super) fn reshape(&mut self, x: Value, dims: &[u64]) -> Held {
        let held = self.any(x);
        let from = &self.function.type_of(x).dims;
        if let Some(order) = reshaped_order(from, dims, &held.order) {
            let array = self.text.reshape(&held.array, arranged(dims, &order));
            return Held { array, order };
        }
        let array = self.row_major(x);
        Held::row_major(self.text.reshape(&array, dims.to_vec()))
    }

    pub(super) fn broadcast(&mut self, x: Value, dims: &[u64]) -> Held {
        let Held { array, order } = self.any(x);
        let at: Vec<usize> = (0..dims.len()).collect();
        Held { array: self.text.broadcast(&array, &at, &arranged(dims, &order)), order }
    }

    pub(super) fn slice(&mut self, x: Value, axis: usize, start: u64, end: u64) -> Held {
        let Held { array, order } = self.any(x);
        let (mut from, mut to) = (vec![0; array.dims.len()], array.dims.clone());
        let at = position(&order, axis);
        (from[at], to[at]) = (start, end);
        Held { array: self.text.slice(&array, &from, &to), order }
    }

    pub(super) fn concat(&mut self, parts: &[Value], axis: usize, dims: &[u64]) -> Held {
        let order = self.common_order(parts, dims.len());
        let parts: Vec<Array> = parts.iter().map(|&part| self.in_order(part, &order)).collect();
        let at = position(&order, axis);
        let array = self.joined(&parts, at, &arranged(dims, &order));
        Held { array, order }
    }

    fn joined(&mut self, parts: &[Array], at: usize, dims: &[u64]) -> Array {
        let [first, more @ ..] = parts else {
            return self.text.splat(0.0, preheat_tensor::Dtype::Float32, dims);
        };
        if more.is_empty() {
            return first.clone();
        }
        let names: Vec<String> = parts.iter().map(|part| part.name.to_string()).collect();
        let kinds: Vec<String> = parts.iter().map(|part| part.kind().to_string()).collect();
        let (names, kinds, result) = (names.join(", "), kinds.join(", "), Kind(first.dtype, dims));
        let written =
            format_args!("stablehlo.concatenate {names}, dim = {at} : ({kinds}) -> {result}");
        self.text.statement(first.dtype, dims.to_vec(), written)
    }

    pub(super) fn upsample(&mut self, x: Value, size: [u64; 2]) -> Held {
        let Held { mut array, order } = self.any(x);
        for (axis, to) in [(2, size[0]), (3, size[1])] {
            array = self.stretched(&array, position(&order, axis), to);
        }
        Held { array, order }
    }

    /// `x` with dimension `at` enlarged to `size` by repeating cells.
    fn stretched(&mut self, x: &Array, at: usize, size: u64) -> Array {
        let from = x.dims[at];
        let sources: Vec<u64> = (0..size).map(|cell| nearest(cell, from, size)).collect();
        let times = size.div_ceil(from);
        if (0..).zip(&sources).all(|(cell, &source)| source == cell / times) {
            // Each cell is repeated equally often, and the excess is cut off at the end.
            let mut dims = x.dims.clone();
            dims.insert(at + 1, times);
            let kept: Vec<usize> = (0..dims.len()).filter(|&axis| axis != at + 1).collect();
            let repeated = self.text.broadcast(x, &kept, &dims);
            dims.remove(at + 1);
            dims[at] *= times;
            let repeated = self.text.reshape(&repeated, dims.clone());
            dims[at] = size;
            return self.text.slice(&repeated, &vec![0; dims.len()], &dims);
        }
        let indices = self.text.integers(&sources);
        let indices = self.text.reshape(&indices, vec![size, 1]);
        let mut slice = x.dims.clone();
        slice[at] = 1;
        let offsets: Vec<usize> = (0..x.dims.len()).filter(|&axis| axis != at).collect();
        let mut dims = x.dims.clone();
        dims[at] = size;
        self.gather(x, &indices, &Gather { offsets: &offsets, taken: &[at], slice: &slice }, &dims)
    }

    pub(super) fn embedding(&mut self, table: Value, ids: Value) -> Held {
        let (table, ids) = (self.row_major(table), self.row_major(ids));
        let mut dims = ids.dims.clone();
        let offset = dims.len();
        let indices = self.text.reshape(&ids, [&dims[..], &[1]].concat());
        dims.push(table.dims[1]);
        let gather = Gather { offsets: &[offset], taken: &[0], slice: &[1, table.dims[1]] };
        Held::row_major(self.gather(&table, &indices, &gather, &dims))
    }

    pub(super) fn select_row(&mut self, x: Value, rows: Value) -> Held {
        let (x, rows) = (self.row_major(x), self.row_major(rows));
        let [batch, _, features] = [0, 1, 2].map(|axis| x.dims[axis]);
        let which = self.text.iota(0, &[batch, 1]);
        let rows = self.text.reshape(&rows, vec![batch, 1]);
        let indices = self.joined(&[which, rows], 1, &[batch, 2]);
        let gather = Gather { offsets: &[1], taken: &[0, 1], slice: &[1, 1, features] };
        Held::row_major(self.gather(&x, &indices, &gather, &[batch, features]))
    }

    /// Slices of `x` that begin at `indices [..., taken]`. XLA moves an index that is out of range
    /// to the nearest one that is in range.
    fn gather(&mut self, x: &Array, indices: &Array, gather: &Gather<'_>, dims: &[u64]) -> Array {
        use super::text::List;
        let Gather { offsets, taken, slice } = gather;
        let last = indices.dims.len() - 1;
        let (offsets, taken, slice) = (List(offsets), List(taken), Joined(slice));
        let (from, at, result) = (x.kind(), indices.kind(), Kind(x.dtype, dims));
        let written = format_args!(
            "\"stablehlo.gather\"({}, {}) <{{dimension_numbers = #stablehlo.gather<offset_dims = {offsets}, \
             collapsed_slice_dims = {taken}, start_index_map = {taken}, index_vector_dim = {last}>, indices_are_sorted = false, \
             slice_sizes = array<i64: {slice}>}}> : ({from}, {at}) -> {result}",
            x.name, indices.name
        );
        self.text.statement(x.dtype, dims.to_vec(), written)
    }
}

/// Which slices to gather.
struct Gather<'a> {
    /// The dimensions of the result that belong to a slice.
    offsets: &'a [usize],
    /// The dimensions that the indices address; a slice has size 1 there.
    taken: &'a [usize],
    /// The shape of a slice.
    slice: &'a [u64],
}

/// Numbers with commas between them.
struct Joined<'a>(&'a [u64]);

impl std::fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            write!(f, "{}{number}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Which of `from` cells is repeated at the cell `to` of the `size` cells of the result. This is
/// computed in f32, as torch does (`nearest_neighbor_compute_source_index`).
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "torch rounds in this way; the product is not negative"
)]
fn nearest(to: u64, from: u64, size: u64) -> u64 {
    if size == from {
        return to;
    }
    if size == 2 * from {
        return to / 2;
    }
    let scale = from as f32 / size as f32;
    ((to as f32 * scale).floor() as u64).min(from - 1)
}

/// The order of the dimensions `to` after a reshape of an array that holds the dimensions `from` in
/// `order`; `None` if elements would have to move.
///
/// Both shapes are divided into the shortest runs of dimensions with equal products. A run can be
/// reshaped without moving elements if the array holds its dimensions next to each other and in
/// their order. The position of a dimension of size 1 does not matter.
fn reshaped_order(from: &[u64], to: &[u64], order: &[usize]) -> Option<Vec<usize>> {
    let mut run_of = vec![0; from.len()];
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < from.len() || j < to.len() {
        let start = j;
        let (mut left, mut right) = (1, 1);
        while left != right || (i < from.len() && left == 1) || (j < to.len() && right == 1) {
            let take_left =
                i < from.len() && (left < right || (left == right && left == 1) || j == to.len());
            if take_left {
                left *= from[i];
                run_of[i] = runs.len();
                i += 1;
            } else {
                right *= *to.get(j)?;
                j += 1;
            }
        }
        runs.push(start..j);
    }
    let large: Vec<usize> = order.iter().copied().filter(|&axis| from[axis] != 1).collect();
    let mut result = Vec::with_capacity(to.len());
    let mut last: Option<usize> = None;
    for (at, &axis) in large.iter().enumerate() {
        let run = run_of[axis];
        if last == Some(run) {
            continue;
        }
        let members: Vec<usize> =
            (0..from.len()).filter(|&axis| run_of[axis] == run && from[axis] != 1).collect();
        if large.get(at..at + members.len()) != Some(&members[..]) {
            return None;
        }
        result.extend(runs[run].clone());
        last = Some(run);
    }
    // The runs that are not in the result yet have only dimensions of size 1.
    let missing: Vec<usize> = (0..to.len()).filter(|axis| !result.contains(axis)).collect();
    result.extend(missing);
    Some(result)
}
