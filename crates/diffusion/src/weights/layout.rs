//! How is one tensor converted from the file's dtype and order of dimensions into those that a
//! graph reads?
//!
//! If the last dimension changes, elements that lie next to each other in the file lie far apart in
//! the result, and the other way round. Therefore a tile of the file, which is [`ROWS`] pieces of
//! [`COLUMNS`] neighbours each, is first copied into a scratch buffer that fits the fastest cache,
//! and converted on the way. The tile's columns are then written to the result as whole cache
//! lines. The tiles are processed column by column, each column from top to bottom. In this order,
//! the result is written at only [`COLUMNS`] places, which move forward slowly, so their pages fit
//! the processor's TLB. Processing the tiles row by row takes 1.4 times as long.

use std::fs::File;
use std::io;
use std::path::Path;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use preheat_runtime::progress::Cancel;
use preheat_tensor::Dtype;
use preheat_tensor::TensorType;

use super::float8::{E4M3, E5M2};

/// Rows of a tile, which are written at once: two cache lines of four-byte elements.
const ROWS: usize = 32;
/// Elements in each row of a tile, which are neighbours in the file.
const COLUMNS: usize = 128;
/// How many elements are converted at once.
const BLOCK: usize = 256;
/// About how many elements are changed at once: 1 MB of f32.
const BAND: usize = 1 << 18;
/// How many elements are copied or converted between two checks of the cancel flag.
const STRETCH: usize = 1 << 20;

/// A dtype that weights are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    F64,
    F32,
    F16,
    Bf16,
    F8E4M3,
    F8E5M2,
}

impl Source {
    /// `None` for a dtype that weights are not read from.
    pub(super) fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::Float64 => Some(Self::F64),
            Dtype::Float32 => Some(Self::F32),
            Dtype::Float16 => Some(Self::F16),
            Dtype::BFloat16 => Some(Self::Bf16),
            Dtype::Float8E4M3Fn => Some(Self::F8E4M3),
            Dtype::Float8E5M2 => Some(Self::F8E5M2),
            _ => None,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::F8E4M3 | Self::F8E5M2 => 1,
        }
    }

    /// Whether source and target are the same dtype, so that nothing has to be converted.
    fn is(self, target: Target) -> bool {
        matches!(
            (self, target),
            (Self::F32, Target::F32) | (Self::F16, Target::F16) | (Self::Bf16, Target::Bf16)
        )
    }
}

/// A dtype in which graphs read weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    F32,
    F16,
    Bf16,
}

impl Target {
    /// `None` for a dtype in which no graph reads weights.
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

/// What happens to each value of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Conversion {
    pub source: Source,
    pub target: Target,
    /// The number by which each value is multiplied, in f32, before it is rounded to the target.
    pub scale: Option<f32>,
}

impl Conversion {
    /// Whether values are copied as they are.
    fn is_copy(self) -> bool {
        self.scale.is_none() && self.source.is(self.target)
    }
}

/// How one tensor is converted.
pub(super) struct Job<'a> {
    /// The type of the result.
    pub kind: TensorType,
    conversion: Conversion,
    /// The dimensions in the order of the file. Dimensions that are neighbours in both orders are
    /// merged into one, so at most one is left if the order does not change.
    dims: Vec<usize>,
    /// Dimension `i` of the result is dimension `order[i]` of `dims`.
    order: Vec<usize>,
    /// How far one step in each of `dims` moves in the result.
    strides: Vec<usize>,
    /// The place of the first element in the result.
    start: usize,
    elements: usize,
    stretch: Stretch<'a>,
}

/// Bytes of a mapped file, and their position in it; or bytes in memory.
#[derive(Clone, Copy)]
pub(super) struct Stretch<'a> {
    pub path: &'a Path,
    /// `None` for bytes in memory.
    pub file: Option<&'a File>,
    pub at: u64,
    pub bytes: &'a [u8],
}

impl Stretch<'_> {
    fn chunks(self, length: usize) -> impl Iterator<Item = Self> {
        let starts = (self.at..).step_by(length);
        self.bytes.chunks(length).zip(starts).map(move |(bytes, at)| Self { at, bytes, ..self })
    }

    /// Copies all of it. If possible, the file is read through the operating system: that touches
    /// no page of the mapping, and gives an error if the file has become shorter.
    fn copy_to(self, to: &mut [u8]) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(file) = self.file {
            return std::os::unix::fs::FileExt::read_exact_at(file, to, self.at);
        }
        to.copy_from_slice(self.bytes);
        Ok(())
    }
}

impl<'a> Job<'a> {
    /// `order` must be a permutation of the dimensions, and `stretch` must have exactly the bytes
    /// that `dims` take in the source's dtype.
    pub(super) fn new(
        conversion: Conversion,
        dims: &[u64],
        order: &[usize],
        kind: TensorType,
        stretch: Stretch<'a>,
    ) -> Self {
        let (dims, order) = simplify(dims, order);
        let mut strides = vec![0; dims.len()];
        let mut stride = 1;
        for &axis in order.iter().rev() {
            strides[axis] = stride;
            stride *= dims[axis];
        }
        Self {
            kind,
            conversion,
            dims,
            order,
            strides,
            start: 0,
            elements: stretch.bytes.len() / conversion.source.size(),
            stretch,
        }
    }

    /// The job of bringing some rows of the tensor, whose `values` are f32 in memory, to their
    /// place in the result. The tensor has `rows` rows, and `first` is the first one of `values`.
    fn band<'v>(&self, rows: usize, first: usize, values: &'v [f32]) -> Job<'v> {
        let bytes = bytemuck::cast_slice(values);
        let count = values.len() / (self.elements / rows);
        // The rows are the first dimension, or the slower part of it.
        let per_row = self.dims.first().map_or(1, |size| size / rows);
        let mut dims = self.dims.clone();
        if let Some(size) = dims.first_mut() {
            *size = per_row * count;
        }
        Job {
            kind: self.kind.clone(),
            conversion: Conversion { source: Source::F32, scale: None, ..self.conversion },
            dims,
            order: self.order.clone(),
            strides: self.strides.clone(),
            start: first * per_row * self.strides.first().copied().unwrap_or(1),
            elements: values.len(),
            stretch: Stretch { path: Path::new(""), file: None, at: 0, bytes },
        }
    }

    /// How many bytes the result has.
    pub(super) fn bytes(&self) -> usize {
        self.elements * self.conversion.target.size()
    }

    /// The dtype of the result.
    pub(super) fn target(&self) -> Target {
        self.conversion.target
    }

    /// The file that the tensor is read from.
    pub(super) fn path(&self) -> &Path {
        self.stretch.path
    }

    /// Whether the order stays that of the file.
    pub(super) fn in_order(&self) -> bool {
        self.order.len() <= 1
    }
}

/// The same permutation with the fewest dimensions: those of size 1 are removed, and those that
/// stay neighbours are merged.
fn simplify(dims: &[u64], order: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let size = |axis: usize| usize::try_from(dims[axis]).unwrap_or(usize::MAX);
    // Each group has its first axis in the file, the axis after its last one, and its size. The
    // groups are in the order of the result.
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

/// Runs all of `job`, and writes to `out`. If it is cancelled, it stops early and leaves the rest
/// of `out` as it is.
pub(super) fn whole(job: &Job<'_>, out: &mut [u8], cancel: &Cancel) -> io::Result<()> {
    if job.in_order() {
        let out = &mut out[job.start * job.conversion.target.size()..][..job.bytes()];
        Part { conversion: job.conversion, stretch: job.stretch, out }.run(cancel)?;
    } else if job.elements != 0 {
        match job.conversion.target {
            Target::F32 => reorder::<4>(job, out, cancel),
            Target::F16 | Target::Bf16 => reorder::<2>(job, out, cancel),
        }
    }
    Ok(())
}

/// Runs all of `job` like [`whole`], but changes the values before they are rounded: `change` gets
/// the number of a row and the values of some rows from that one on, in f32. The tensor has `rows`
/// rows.
///
/// The rows are processed in bands that stay in the processor's cache. A change of the whole tensor
/// in memory takes 1.4 times as long (`benches/lora_change.rs`).
pub(super) fn changed(
    job: &Job<'_>,
    rows: usize,
    out: &mut [u8],
    change: &mut dyn FnMut(usize, &mut [f32]),
    cancel: &Cancel,
) -> io::Result<()> {
    if job.elements == 0 || rows == 0 {
        return Ok(());
    }
    let per_row = job.elements / rows;
    let most = (BAND / per_row).next_multiple_of(ROWS).min(rows);
    let widening = Conversion { target: Target::F32, ..job.conversion };
    let mut values = vec![0.0; most * per_row];
    let bytes = most * per_row * widening.source.size();
    for (first, stretch) in (0..).step_by(most).zip(job.stretch.chunks(bytes)) {
        if cancel.is_cancelled() {
            break;
        }
        let values = &mut values[..stretch.bytes.len() / widening.source.size()];
        let to = bytemuck::cast_slice_mut(values);
        Part { conversion: widening, stretch, out: to }.run(cancel)?;
        change(first, values);
        whole(&job.band(rows, first, values), out, cancel)?;
    }
    Ok(())
}

/// A part of a tensor whose order stays that of the file.
pub(super) struct Part<'a> {
    conversion: Conversion,
    stretch: Stretch<'a>,
    out: &'a mut [u8],
}

/// Cuts a job whose order stays that of the file into about `count` parts.
pub(super) fn parts<'a>(job: &Job<'a>, out: &'a mut [u8], count: usize) -> Vec<Part<'a>> {
    let elements = job.elements.div_ceil(count.max(1)).next_multiple_of(STRETCH).max(1);
    let conversion = job.conversion;
    let (source, target) = (conversion.source.size(), conversion.target.size());
    let pieces = job.stretch.chunks(elements * source).zip(out.chunks_mut(elements * target));
    pieces.map(|(stretch, out)| Part { conversion, stretch, out }).collect()
}

impl Part<'_> {
    /// Runs the part, unless it is cancelled.
    pub(super) fn run(self, cancel: &Cancel) -> io::Result<()> {
        let (source, target) = (self.conversion.source.size(), self.conversion.target.size());
        let pieces = self.stretch.chunks(STRETCH * source);
        for (from, to) in pieces.zip(self.out.chunks_mut(STRETCH * target)) {
            if cancel.is_cancelled() {
                break;
            }
            if self.conversion.is_copy() {
                from.copy_to(to)?;
            } else {
                convert(self.conversion, from.bytes, to);
            }
        }
        Ok(())
    }
}

/// Converts as many elements as `from` and `to` both have. float64 is converted through float32, as
/// torch does it.
fn convert(conversion: Conversion, from: &[u8], to: &mut [u8]) {
    if conversion.is_copy() {
        to.copy_from_slice(from);
        return;
    }
    let Conversion { source, target, scale } = conversion;
    let mut wide = [0_f32; BLOCK];
    for (from, to) in from.chunks(BLOCK * source.size()).zip(to.chunks_mut(BLOCK * target.size())) {
        let wide = &mut wide[..to.len() / target.size()];
        widen(source, from, wide);
        if let Some(scale) = scale {
            for value in &mut *wide {
                *value *= scale;
            }
        }
        narrow(target, wide, to);
    }
}

/// All elements of a tensor as f32.
pub(super) fn values(source: Source, from: &[u8]) -> Vec<f32> {
    let mut values = vec![0.0; from.len() / source.size()];
    for (from, to) in from.chunks(BLOCK * source.size()).zip(values.chunks_mut(BLOCK)) {
        widen(source, from, to);
    }
    values
}

/// Converts at most [`BLOCK`] elements to f32.
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
            // This uses the processor's own instruction if there is one.
            halves.convert_to_f32_slice(to);
        }
        Source::F8E4M3 => look_up(&E4M3, from, to),
        Source::F8E5M2 => look_up(&E5M2, from, to),
    }
}

fn look_up(table: &[f32; 256], from: &[u8], to: &mut [f32]) {
    for (from, to) in from.iter().zip(to) {
        *to = table[usize::from(*from)];
    }
}

/// Converts at most [`BLOCK`] elements from f32.
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

/// Visits all positions in some dimensions, with the offset of each in the result.
struct Walk<'a> {
    dims: &'a [usize],
    strides: &'a [usize],
    at: Vec<usize>,
    offset: usize,
}

impl<'a> Walk<'a> {
    fn new(dims: &'a [usize], strides: &'a [usize], offset: usize) -> Self {
        Self { dims, strides, at: vec![0; dims.len()], offset }
    }

    /// Goes to the next position; from the last one it goes back to the first.
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

/// Runs a job that changes the order, in elements of `SIZE` bytes. There are at least two
/// dimensions, and none of them is empty.
fn reorder<const SIZE: usize>(job: &Job<'_>, out: &mut [u8], cancel: &Cancel) {
    let out = out.as_chunks_mut::<SIZE>().0;
    let Some(&last) = job.order.last() else { return };
    let before = Walk::new(&job.dims[..last], &job.strides[..last], job.start);
    if last + 1 == job.dims.len() {
        reorder_runs(job, before, job.dims[last], out, cancel);
    } else {
        let after = Walk::new(&job.dims[last + 1..], &job.strides[last + 1..], 0);
        reorder_tiles(job, before, job.dims[last], after, out, cancel);
    }
}

/// Reorders a tensor whose last dimension stays the last: runs of `length` elements are moved as a
/// whole.
fn reorder_runs<const SIZE: usize>(
    job: &Job<'_>,
    mut before: Walk<'_>,
    length: usize,
    out: &mut [[u8; SIZE]],
    cancel: &Cancel,
) {
    for run in job.stretch.bytes.chunks_exact(length * job.conversion.source.size()) {
        if cancel.is_cancelled() {
            return;
        }
        let to = &mut out[before.offset..][..length];
        convert(job.conversion, run, to.as_flattened_mut());
        before.step();
    }
}

/// Reorders a tensor of which the dimension of size `rows` becomes the last one. In the file, the
/// dimensions in `after` follow it.
fn reorder_tiles<const SIZE: usize>(
    job: &Job<'_>,
    mut before: Walk<'_>,
    rows: usize,
    mut after: Walk<'_>,
    out: &mut [[u8; SIZE]],
    cancel: &Cancel,
) {
    let element = job.conversion.source.size();
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
                    convert(job.conversion, from, to[..width].as_flattened_mut());
                }
                let height = band.len() / (columns * element);
                for (column, place) in places[..width].iter().enumerate() {
                    let to = &mut out[place + band_index * ROWS..][..height];
                    if let Ok(to) = <&mut [[u8; SIZE]; ROWS]>::try_from(&mut *to) {
                        // The same loop as below, with a length that the compiler knows.
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
