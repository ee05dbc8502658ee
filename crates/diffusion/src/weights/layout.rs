//! One tensor from the file's dtype and order of dimensions into those that a graph reads.
//!
//! Where the last dimension changes, elements that lie together in the file lie far apart in the
//! result, and the other way round. So a tile of the file, [`ROWS`] pieces of [`COLUMNS`]
//! neighbours each, is first brought (and converted) into a scratch that the fastest cache holds;
//! its columns then leave as whole cache lines of the result. Tiles go down the rows first: the
//! result is then written to [`COLUMNS`] places that move on slowly, in few enough pages for the
//! processor to remember where they are. Going along the columns first takes 1.4 times as long.

use std::fs::File;
use std::io;
use std::path::Path;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use preheat_runtime::progress::Cancel;
use preheat_tensor::Dtype;
use preheat_tensor::TensorType;

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

    /// Whether nothing has to be converted.
    fn is(self, target: Target) -> bool {
        matches!(
            (self, target),
            (Self::F32, Target::F32) | (Self::F16, Target::F16) | (Self::Bf16, Target::Bf16)
        )
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
    /// The file's dimensions, those that stay together taken as one; at most one where the order is
    /// the file's.
    dims: Vec<usize>,
    /// Dimension `i` of the result is dimension `order[i]` of `dims`.
    order: Vec<usize>,
    elements: usize,
    stretch: Stretch<'a>,
}

/// Bytes of a mapped file, and where in it they lie.
#[derive(Clone, Copy)]
pub(super) struct Stretch<'a> {
    pub path: &'a Path,
    pub file: &'a File,
    pub at: u64,
    pub bytes: &'a [u8],
}

impl Stretch<'_> {
    fn chunks(self, length: usize) -> impl Iterator<Item = Self> {
        let starts = (self.at..).step_by(length);
        self.bytes.chunks(length).zip(starts).map(move |(bytes, at)| Self { at, bytes, ..self })
    }

    /// Copies all of it. The system's own copy is used where there is one: it needs no page of the
    /// mapping, and a file that has become shorter is an error to it.
    fn copy_to(self, to: &mut [u8]) -> io::Result<()> {
        #[cfg(unix)]
        std::os::unix::fs::FileExt::read_exact_at(self.file, to, self.at)?;
        #[cfg(not(unix))]
        to.copy_from_slice(self.bytes);
        Ok(())
    }
}

impl<'a> Job<'a> {
    /// `order` is an order of `dims`, and the bytes of `stretch` are as many as `dims` take in
    /// `source`.
    pub(super) fn new(
        source: Source,
        target: Target,
        dims: &[u64],
        order: &[usize],
        kind: TensorType,
        stretch: Stretch<'a>,
    ) -> Self {
        let (dims, order) = simplify(dims, order);
        Self {
            kind,
            source,
            target,
            dims,
            order,
            elements: stretch.bytes.len() / source.size(),
            stretch,
        }
    }

    /// The bytes of the result.
    pub(super) fn bytes(&self) -> usize {
        self.elements * self.target.size()
    }

    /// The file it comes from.
    pub(super) fn path(&self) -> &Path {
        self.stretch.path
    }

    /// Whether the order is the file's.
    pub(super) fn in_order(&self) -> bool {
        self.order.len() <= 1
    }
}

/// The same reordering in the fewest dimensions: without those of size 1, and those that stay
/// neighbours taken together.
fn simplify(dims: &[u64], order: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let size = |axis: usize| usize::try_from(dims[axis]).unwrap_or(usize::MAX);
    // Each group: its first axis in the file, the axis after its last, its size. In the order of
    // the result.
    let mut groups: Vec<(usize, usize, usize)> = Vec::new();
    for &axis in order.iter().filter(|&&axis| dims[axis] != 1) {
        match groups.last_mut() {
            Some((_, end, total))
                if (*end..axis).all(|between| dims[between] == 1) && *end <= axis =>
            {
                *end = axis + 1;
                *total = total.saturating_mul(size(axis));
            }
            _ => groups.push((axis, axis + 1, size(axis))),
        }
    }
    let mut in_file: Vec<_> = groups.clone();
    in_file.sort_unstable();
    let order =
        groups.iter().filter_map(|group| in_file.iter().position(|other| other == group)).collect();
    (in_file.into_iter().map(|(.., total)| total).collect(), order)
}

/// Does all of `job`, into `out`. It stops early when it is asked to, and leaves the rest as it is.
pub(super) fn whole(job: &Job<'_>, out: &mut [u8], cancel: &Cancel) -> io::Result<()> {
    if job.in_order() {
        Part { source: job.source, target: job.target, stretch: job.stretch, out }.run(cancel)?;
    } else if job.elements != 0 {
        match job.target {
            Target::F32 => reorder::<4>(job, out, cancel),
            Target::F16 | Target::Bf16 => reorder::<2>(job, out, cancel),
        }
    }
    Ok(())
}

/// A stretch of a tensor whose order is the file's.
pub(super) struct Part<'a> {
    source: Source,
    target: Target,
    stretch: Stretch<'a>,
    out: &'a mut [u8],
}

/// Cuts a job whose order is the file's into about `count` stretches.
pub(super) fn parts<'a>(job: &Job<'a>, out: &'a mut [u8], count: usize) -> Vec<Part<'a>> {
    let elements = job.elements.div_ceil(count.max(1)).next_multiple_of(STRETCH).max(1);
    let (source, target) = (job.source, job.target);
    let pieces =
        job.stretch.chunks(elements * source.size()).zip(out.chunks_mut(elements * target.size()));
    pieces.map(|(stretch, out)| Part { source, target, stretch, out }).collect()
}

impl Part<'_> {
    /// Does it, unless it is asked to stop.
    pub(super) fn run(self, cancel: &Cancel) -> io::Result<()> {
        let pieces = self.stretch.chunks(STRETCH * self.source.size());
        for (from, to) in pieces.zip(self.out.chunks_mut(STRETCH * self.target.size())) {
            if cancel.is_cancelled() {
                break;
            }
            if self.source.is(self.target) {
                from.copy_to(to)?;
            } else {
                convert(self.source, self.target, from.bytes, to);
            }
        }
        Ok(())
    }
}

/// As many elements as both have, in another dtype. From float64 it goes through float32, as in
/// torch.
fn convert(source: Source, target: Target, from: &[u8], to: &mut [u8]) {
    if source.is(target) {
        to.copy_from_slice(from);
        return;
    }
    let mut wide = [0_f32; BLOCK];
    for (from, to) in from.chunks(BLOCK * source.size()).zip(to.chunks_mut(BLOCK * target.size())) {
        let wide = &mut wide[..to.len() / target.size()];
        widen(source, from, wide);
        narrow(target, wide, to);
    }
}

/// At most [`BLOCK`] elements.
fn widen(source: Source, from: &[u8], to: &mut [f32]) {
    match source {
        Source::F64 => {
            for (from, to) in from.as_chunks().0.iter().zip(to) {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "rounding is what is asked for"
                )]
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

/// A job whose order is not the file's, in elements of `SIZE` bytes. There are at least two
/// dimensions, none of them empty.
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
    for run in job.stretch.bytes.chunks_exact(length * job.source.size()) {
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
    let mut places = [0; COLUMNS];
    for block in job.stretch.bytes.chunks_exact(rows * columns * element) {
        for start in (0..columns).step_by(COLUMNS) {
            let width = COLUMNS.min(columns - start);
            for place in &mut places[..width] {
                *place = before.offset + after.offset;
                after.step();
            }
            for (band_index, band) in block.chunks(ROWS * columns * element).enumerate() {
                if cancel.is_cancelled() {
                    return;
                }
                for (from, to) in band.chunks_exact(columns * element).zip(&mut tile) {
                    let from = &from[start * element..][..width * element];
                    convert(job.source, job.target, from, to[..width].as_flattened_mut());
                }
                let height = band.len() / (columns * element);
                for (column, place) in places[..width].iter().enumerate() {
                    let to = &mut out[place + band_index * ROWS..][..height];
                    if let Ok(to) = <&mut [[u8; SIZE]; ROWS]>::try_from(&mut *to) {
                        // The same as below, in a length that the compiler knows.
                        for (to, from) in to.iter_mut().zip(&tile) {
                            *to = from[column];
                        }
                    } else {
                        for (to, from) in to.iter_mut().zip(&tile) {
                            *to = from[column];
                        }
                    }
                }
            }
        }
        before.step();
    }
}
