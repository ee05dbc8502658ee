//! One tensor from the file's dtype and order of dimensions into those that a graph reads.
//!
//! Where the last dimension changes, elements that lie together in the file lie far apart in the result, and the other way
//! round. So a tile of the file, [`ROWS`] pieces of [`COLUMNS`] neighbours each, is first brought (and converted) into a scratch
//! that the fastest cache holds; its columns then leave as whole cache lines of the result. Each byte of the file is read once, and
//! the file is walked from its front to its back.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use preheat_cache::Dtype;

use crate::pjrt::hlo::TensorType;
use crate::progress::Cancel;

/// Rows of a tile: what is written at once, two cache lines of four-byte elements.
const ROWS: usize = 32;
/// Neighbouring elements of the file in each row of a tile.
const COLUMNS: usize = 128;
/// Elements that are converted at once.
const BLOCK: usize = 256;
/// Elements that are copied or converted between two looks at the flag that asks to stop.
const STRETCH: usize = 1 << 20;

/// A dtype that weights are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    F64,
    F32,
    F16,
    Bf16,
}

impl Source {
    /// `None` where weights in that dtype are not read.
    pub(super) fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::Float64 => Some(Self::F64),
            Dtype::Float32 => Some(Self::F32),
            Dtype::Float16 => Some(Self::F16),
            Dtype::BFloat16 => Some(Self::Bf16),
            _ => None,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// A dtype that graphs read weights in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    F32,
    F16,
    Bf16,
}

impl Target {
    /// `None` where no graph reads weights in that dtype.
    pub(super) fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::Float32 => Some(Self::F32),
            Dtype::Float16 => Some(Self::F16),
            Dtype::BFloat16 => Some(Self::Bf16),
            _ => None,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// What is to be done to one tensor.
pub(super) struct Job<'a> {
    /// What comes out of it.
    pub kind: TensorType,
    source: Source,
    target: Target,
    /// The file's dimensions, those that stay together taken as one; at most one where the order is the file's.
    dims: Vec<usize>,
    /// Dimension `i` of the result is dimension `order[i]` of `dims`.
    order: Vec<usize>,
    elements: usize,
    bytes: &'a [u8],
}

impl<'a> Job<'a> {
    /// `order` is an order of `dims`, and `bytes` are as many as `dims` take in `source`.
    pub(super) fn new(
        source: Source,
        target: Target,
        dims: &[u64],
        order: &[usize],
        kind: TensorType,
        bytes: &'a [u8],
    ) -> Self {
        let (dims, order) = simplify(dims, order);
        Self { kind, source, target, dims, order, elements: bytes.len() / source.size(), bytes }
    }

    /// The bytes of the result.
    pub(super) fn bytes(&self) -> usize {
        self.elements * self.target.size()
    }

    /// Whether the order is the file's.
    pub(super) fn in_order(&self) -> bool {
        self.order.len() <= 1
    }
}

/// The same reordering in the fewest dimensions: without those of size 1, and those that stay neighbours taken together.
fn simplify(dims: &[u64], order: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let size = |axis: usize| usize::try_from(dims[axis]).unwrap_or(usize::MAX);
    // Each group: its first axis in the file, the axis after its last, its size. In the order of the result.
    let mut groups: Vec<(usize, usize, usize)> = Vec::new();
    for &axis in order.iter().filter(|&&axis| dims[axis] != 1) {
        match groups.last_mut() {
            Some((_, end, total)) if (*end..axis).all(|between| dims[between] == 1) && *end <= axis => {
                *end = axis + 1;
                *total = total.saturating_mul(size(axis));
            }
            _ => groups.push((axis, axis + 1, size(axis))),
        }
    }
    let mut in_file: Vec<_> = groups.clone();
    in_file.sort_unstable();
    let order = groups.iter().filter_map(|group| in_file.iter().position(|other| other == group)).collect();
    (in_file.into_iter().map(|(.., total)| total).collect(), order)
}

/// Does all of `job`, into `out`. It stops early when it is asked to, and leaves the rest as it is.
pub(super) fn whole(job: &Job<'_>, out: &mut [u8], cancel: &Cancel) {
    if job.in_order() {
        Part { source: job.source, target: job.target, bytes: job.bytes, out }.run(cancel);
    } else if job.elements != 0 {
        match job.target {
            Target::F32 => reorder::<4>(job, out, cancel),
            Target::F16 | Target::Bf16 => reorder::<2>(job, out, cancel),
        }
    }
}

/// A stretch of a tensor whose order is the file's.
pub(super) struct Part<'a> {
    source: Source,
    target: Target,
    bytes: &'a [u8],
    out: &'a mut [u8],
}

/// Cuts a job whose order is the file's into about `count` stretches.
pub(super) fn parts<'a>(job: &Job<'a>, out: &'a mut [u8], count: usize) -> Vec<Part<'a>> {
    let elements = job.elements.div_ceil(count.max(1)).next_multiple_of(STRETCH).max(1);
    let (source, target) = (job.source, job.target);
    let pieces = job.bytes.chunks(elements * source.size()).zip(out.chunks_mut(elements * target.size()));
    pieces.map(|(bytes, out)| Part { source, target, bytes, out }).collect()
}

impl Part<'_> {
    /// Does it, unless it is asked to stop.
    pub(super) fn run(self, cancel: &Cancel) {
        let pieces =
            self.bytes.chunks(STRETCH * self.source.size()).zip(self.out.chunks_mut(STRETCH * self.target.size()));
        for (from, to) in pieces {
            if cancel.is_cancelled() {
                return;
            }
            convert(self.source, self.target, from, to);
        }
    }
}

/// As many elements as both have, in another dtype. From float64 it goes through float32, as in torch.
fn convert(source: Source, target: Target, from: &[u8], to: &mut [u8]) {
    match (source, target) {
        (Source::F32, Target::F32) | (Source::F16, Target::F16) | (Source::Bf16, Target::Bf16) => {
            to.copy_from_slice(from);
        }
        _ => {
            let mut wide = [0_f32; BLOCK];
            for (from, to) in from.chunks(BLOCK * source.size()).zip(to.chunks_mut(BLOCK * target.size())) {
                let wide = &mut wide[..to.len() / target.size()];
                widen(source, from, wide);
                narrow(target, wide, to);
            }
        }
    }
}

/// At most [`BLOCK`] elements.
fn widen(source: Source, from: &[u8], to: &mut [f32]) {
    match source {
        Source::F64 => {
            for (from, to) in from.as_chunks().0.iter().zip(to) {
                #[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
                let rounded = f64::from_le_bytes(*from) as f32;
                *to = rounded;
            }
        }
        Source::F32 => {
            for (from, to) in from.as_chunks().0.iter().zip(to) {
                *to = f32::from_le_bytes(*from);
            }
        }
        Source::Bf16 => {
            for (from, to) in from.as_chunks().0.iter().zip(to) {
                *to = f32::from_bits(u32::from(u16::from_le_bytes(*from)) << 16);
            }
        }
        Source::F16 => {
            let mut halves = [f16::ZERO; BLOCK];
            let halves = &mut halves[..to.len()];
            for (from, half) in from.as_chunks().0.iter().zip(&mut *halves) {
                *half = f16::from_le_bytes(*from);
            }
            // With the processor's own instruction where it has one.
            halves.convert_to_f32_slice(to);
        }
    }
}

/// At most [`BLOCK`] elements.
fn narrow(target: Target, from: &[f32], to: &mut [u8]) {
    match target {
        Target::F32 => {
            for (from, to) in from.iter().zip(to.as_chunks_mut().0) {
                *to = from.to_le_bytes();
            }
        }
        Target::Bf16 => {
            for (from, to) in from.iter().zip(to.as_chunks_mut().0) {
                *to = bf16::from_f32(*from).to_le_bytes();
            }
        }
        Target::F16 => {
            let mut halves = [f16::ZERO; BLOCK];
            let halves = &mut halves[..from.len()];
            halves.convert_from_f32_slice(from);
            for (half, to) in halves.iter().zip(to.as_chunks_mut().0) {
                *to = half.to_le_bytes();
            }
        }
    }
}

/// Walks the positions of some dimensions, and what each means in the result.
struct Walk<'a> {
    dims: &'a [usize],
    strides: &'a [usize],
    at: Vec<usize>,
    offset: usize,
}

impl<'a> Walk<'a> {
    fn new(dims: &'a [usize], strides: &'a [usize]) -> Self {
        Self { dims, strides, at: vec![0; dims.len()], offset: 0 }
    }

    /// To the next position; from the last one back to the first.
    fn step(&mut self) {
        for axis in (0..self.dims.len()).rev() {
            self.at[axis] += 1;
            self.offset += self.strides[axis];
            if self.at[axis] < self.dims[axis] {
                return;
            }
            self.offset -= self.at[axis] * self.strides[axis];
            self.at[axis] = 0;
        }
    }
}

/// A job whose order is not the file's, in elements of `SIZE` bytes. There are at least two dimensions, none of them empty.
fn reorder<const SIZE: usize>(job: &Job<'_>, out: &mut [u8], cancel: &Cancel) {
    let out = out.as_chunks_mut::<SIZE>().0;
    // What a step in each of the file's dimensions means in the result.
    let mut strides = vec![0; job.dims.len()];
    let mut stride = 1;
    for &axis in job.order.iter().rev() {
        strides[axis] = stride;
        stride *= job.dims[axis];
    }
    let Some(&last) = job.order.last() else { return };
    let before = Walk::new(&job.dims[..last], &strides[..last]);
    if last + 1 == job.dims.len() {
        reorder_runs(job, before, job.dims[last], out, cancel);
    } else {
        let after = Walk::new(&job.dims[last + 1..], &strides[last + 1..]);
        reorder_tiles(job, before, job.dims[last], after, out, cancel);
    }
}

/// The last dimension stays the last: runs of `length` elements find another place.
fn reorder_runs<const SIZE: usize>(
    job: &Job<'_>,
    mut before: Walk<'_>,
    length: usize,
    out: &mut [[u8; SIZE]],
    cancel: &Cancel,
) {
    for run in job.bytes.chunks_exact(length * job.source.size()) {
        if cancel.is_cancelled() {
            return;
        }
        let to = &mut out[before.offset..][..length];
        convert(job.source, job.target, run, to.as_flattened_mut());
        before.step();
    }
}

/// A dimension of `rows` becomes the last; those `after` it were that.
fn reorder_tiles<const SIZE: usize>(
    job: &Job<'_>,
    mut before: Walk<'_>,
    rows: usize,
    mut after: Walk<'_>,
    out: &mut [[u8; SIZE]],
    cancel: &Cancel,
) {
    let element = job.source.size();
    let columns: usize = after.dims.iter().product();
    let mut tile = vec![[[0; SIZE]; COLUMNS]; ROWS];
    for block in job.bytes.chunks_exact(rows * columns * element) {
        for (first, band) in block.chunks(ROWS * columns * element).enumerate() {
            if cancel.is_cancelled() {
                return;
            }
            let height = band.len() / (columns * element);
            for start in (0..columns).step_by(COLUMNS) {
                let width = COLUMNS.min(columns - start);
                for (from, to) in band.chunks_exact(columns * element).zip(&mut tile) {
                    let from = &from[start * element..][..width * element];
                    convert(job.source, job.target, from, to[..width].as_flattened_mut());
                }
                for column in 0..width {
                    let to = &mut out[before.offset + after.offset + first * ROWS..][..height];
                    for (to, from) in to.iter_mut().zip(&tile) {
                        *to = from[column];
                    }
                    after.step();
                }
            }
        }
        before.step();
    }
}
