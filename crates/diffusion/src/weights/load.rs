//! How are the wanted weights brought into memory on several threads?
//!
//! A large tensor whose order of dimensions does not change is shared among the threads; each other
//! tensor is loaded by a single thread. `layout.rs` converts the tensors.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use preheat_runtime::progress::Cancel;
use preheat_runtime::threads;
use preheat_tensor::AlignedBytes;
use preheat_tensor::Dtype;
use preheat_tensor::Tensor;
use preheat_tensor::TensorType;

use super::layout::{self, Conversion, Job, Source, Stretch, Target};
use super::{Checkpoint, WeightsError};

/// The smallest tensor, in bytes, that may be shared among the threads.
const SHARED_BYTES: usize = 16 << 20;

/// How a graph reads one weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedWeight {
    /// The tensor's name in the checkpoint.
    pub name: String,
    /// Older names of the tensor, which are tried in this order.
    pub aliases: Vec<String>,
    /// The tensor's shape in the checkpoint. The stored tensor may have more or fewer dimensions of
    /// size 1 at the end: a layer that is linear in one release is a 1x1 convolution in another.
    pub dims: Vec<u64>,
    /// The dtype that the graph reads: float32, bfloat16 or float16.
    pub dtype: Dtype,
    /// Dimension `i` of the loaded tensor is dimension `order[i]` of `dims`: `[0, 1, ...]` leaves
    /// the order as it is stored, and `[2, 3, 1, 0]` makes `[height, width, in, out]` of a
    /// convolution's `[out, in, height, width]`.
    pub order: Vec<usize>,
}

/// Why [`load`] stopped before all tensors were loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError<E> {
    /// A wanted tensor is missing, does not fit, cannot be read, or does not fit into memory.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Someone asked to stop.
    #[error("loading the weights was stopped")]
    Cancelled,
    /// The caller's function refused a tensor.
    #[error("a weight could not be handed over")]
    Ready(#[source] E),
}

/// How one of the wanted weights is loaded.
struct Planned<'a> {
    /// Its position among the wanted weights.
    index: usize,
    job: Job<'a>,
    /// How the weight is brought into its own order as f32, if the file has it transposed.
    turned: Option<Job<'a>>,
}

/// Changes the values of a weight while it is loaded. It gets the number of a row, and the values
/// of some rows from that one on, in f32 and in the order of [`WantedWeight::dims`]. A row is all
/// values with one index of the first dimension. Each row comes once.
pub(crate) type Change<'a> = Box<dyn FnMut(usize, &mut [f32]) + 'a>;

/// Brings `wanted` into memory on up to `threads` threads, large tensors first. Calls `ready` with
/// the position and the tensor as soon as each is loaded, on one of these threads.
///
/// Before the first call of `ready`, everything is checked that needs no values: all tensors exist,
/// and each has the right shape and a dtype that can be converted.
///
/// # Errors
/// The first error, which may come from `ready`, or [`LoadError::Cancelled`]. `ready` may have been
/// called for some tensors before that.
pub fn load<E: Send>(
    checkpoint: &Checkpoint,
    wanted: &[WantedWeight],
    threads: usize,
    cancel: &Cancel,
    ready: impl Fn(usize, Tensor) -> Result<(), E> + Sync,
) -> Result<(), LoadError<E>> {
    load_changed(checkpoint, wanted, threads, cancel, |_| Ok(None), ready)
}

/// Brings `wanted` into memory like [`load`]. `change` is asked for the change of each weight, and
/// gets its position.
///
/// # Errors
/// As [`load`]. An error of `change` is a [`LoadError::Ready`].
pub(crate) fn load_changed<'c, E: Send>(
    checkpoint: &Checkpoint,
    wanted: &[WantedWeight],
    threads: usize,
    cancel: &Cancel,
    change: impl Fn(usize) -> Result<Option<Change<'c>>, E> + Sync,
    ready: impl Fn(usize, Tensor) -> Result<(), E> + Sync,
) -> Result<(), LoadError<E>> {
    let mut jobs = plan(checkpoint, wanted)?;
    // The smallest tensors come last, so that no thread is left working alone on a large one.
    jobs.sort_by_key(|planned| std::cmp::Reverse(planned.job.bytes()));
    let threads = threads.clamp(1, jobs.len().max(1));
    let deliver = |planned: &Planned<'_>, threads: usize| {
        if cancel.is_cancelled() {
            return Err(LoadError::Cancelled);
        }
        let index = planned.index;
        let tensor = match change(index).map_err(LoadError::Ready)? {
            Some(change) => bring_changed(planned, &wanted[index], change, cancel)?,
            None => bring(&planned.job, &wanted[index].name, threads, cancel)?,
        };
        // A tensor whose loading was cancelled is incomplete and is not handed over.
        if cancel.is_cancelled() {
            return Err(LoadError::Cancelled);
        }
        ready(index, tensor).map_err(LoadError::Ready)
    };
    let total: usize = jobs.iter().map(|planned| planned.job.bytes()).sum();
    let is_shared =
        |job: &Job<'_>| job.in_order() && job.bytes() >= SHARED_BYTES.max(total / threads / 2);
    let shared = jobs.iter().take_while(|planned| is_shared(&planned.job)).count();
    let shared = if threads == 1 { 0 } else { shared };
    let (large, rest) = jobs.split_at(shared);
    for planned in large {
        deliver(planned, threads)?;
    }
    if threads == 1 {
        return rest.iter().try_for_each(|planned| deliver(planned, 1));
    }
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    threads::together(threads, || {
        while !stop.load(Ordering::Relaxed) {
            let Some(planned) = rest.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            if let Err(error) = deliver(planned, 1) {
                stop.store(true, Ordering::Relaxed);
                let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(error);
            }
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Checks that all tensors exist, with the right shape and a dtype that can be converted. No value
/// is read.
///
/// # Errors
/// The first tensor that is missing or does not fit.
pub fn check(checkpoint: &Checkpoint, wanted: &[WantedWeight]) -> Result<(), WeightsError> {
    plan(checkpoint, wanted).map(drop)
}

/// Loads one tensor with `threads` threads.
fn bring(
    job: &Job<'_>,
    name: &str,
    threads: usize,
    cancel: &Cancel,
) -> Result<Tensor, WeightsError> {
    let mut bytes = AlignedBytes::zeroed(job.bytes())
        .map_err(|source| WeightsError::Memory { name: name.to_owned(), source })?;
    let done = if threads == 1 {
        layout::whole(job, &mut bytes, cancel)
    } else {
        let failure = Mutex::new(Ok(()));
        let parts = Mutex::new(layout::parts(job, &mut bytes, threads));
        let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).pop();
        threads::together(threads, || {
            while let Some(part) = next() {
                let done = part.run(cancel);
                if done.is_err() {
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = done;
                }
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner)
    };
    done.map_err(|source| WeightsError::Io { path: job.path().to_owned(), source })?;
    Ok(Tensor::from_aligned(job.kind.clone(), bytes))
}

/// Brings one tensor into memory with its values changed, on this thread.
fn bring_changed(
    planned: &Planned<'_>,
    want: &WantedWeight,
    mut change: Change<'_>,
    cancel: &Cancel,
) -> Result<Tensor, WeightsError> {
    let job = &planned.job;
    let fresh = |bytes: usize| {
        AlignedBytes::zeroed(bytes)
            .map_err(|source| WeightsError::Memory { name: want.name.clone(), source })
    };
    let io = |source| WeightsError::Io { path: job.path().to_owned(), source };
    let rows = want.dims.first().and_then(|&rows| usize::try_from(rows).ok()).unwrap_or(1);
    let mut bytes = fresh(job.bytes())?;
    if let Some(turned) = &planned.turned {
        let mut values = fresh(turned.bytes())?;
        layout::whole(turned, &mut values, cancel).map_err(io)?;
        change(0, bytemuck::cast_slice_mut(&mut values));
        let conversion = Conversion { source: Source::F32, target: job.target(), scale: None };
        let stretch = Stretch { path: job.path(), file: None, at: 0, bytes: &values };
        let job = Job::new(conversion, &want.dims, &want.order, job.kind.clone(), stretch);
        layout::whole(&job, &mut bytes, cancel).map_err(io)?;
    } else {
        layout::changed(job, rows, &mut bytes, &mut change, cancel).map_err(io)?;
    }
    Ok(Tensor::from_aligned(job.kind.clone(), bytes))
}

/// Checks all wanted tensors against the checkpoint, and returns a job for each.
fn plan<'a>(
    checkpoint: &'a Checkpoint,
    wanted: &[WantedWeight],
) -> Result<Vec<Planned<'a>>, WeightsError> {
    let mut jobs = Vec::with_capacity(wanted.len());
    let mut missing: Option<(String, usize)> = None;
    for (index, want) in wanted.iter().enumerate() {
        let names = std::iter::once(&want.name).chain(&want.aliases);
        let Some(entry) = names.into_iter().find_map(|name| checkpoint.find(name)) else {
            missing.get_or_insert_with(|| (want.name.clone(), 0)).1 += 1;
            continue;
        };
        let stored = checkpoint.stored(entry);
        let name = || entry.name_in_file().to_owned();
        let path = || checkpoint.files[entry.file].path.clone();
        if without_ones(stored.dims) != without_ones(&want.dims) {
            let (found, wanted) = (stored.dims.to_vec(), want.dims.clone());
            return Err(WeightsError::Shape { path: path(), name: name(), found, wanted });
        }
        let mut sorted = want.order.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..want.dims.len()) {
            let (rank, order) = (want.dims.len(), want.order.clone());
            return Err(WeightsError::Order { name: name(), rank, order });
        }
        let types = stored.dtype.and_then(Source::of).zip(Target::of(want.dtype));
        let Some((source, target)) = types else {
            let found = stored.dtype_name.to_owned();
            return Err(WeightsError::Dtype {
                path: path(),
                name: name(),
                found,
                wanted: want.dtype,
            });
        };
        let dims: Vec<u64> = want.order.iter().map(|&at| want.dims[at]).collect();
        let kind = TensorType::new(target.dtype(), dims);
        let conversion = Conversion { source, target, scale: entry.view.scale };
        let (in_file, order) = entry.view.of_file(&want.dims, &want.order);
        let file = &checkpoint.files[entry.file];
        let stretch = Stretch {
            path: &file.path,
            file: Some(&file.handle),
            at: entry.tensor.range.start as u64,
            bytes: stored.bytes,
        };
        let turned = entry.view.transposed.then(|| {
            let straight: Vec<usize> = (0..want.dims.len()).collect();
            let (in_file, order) = entry.view.of_file(&want.dims, &straight);
            let conversion = Conversion { target: Target::F32, ..conversion };
            let kind = TensorType::new(Dtype::Float32, want.dims.clone());
            Job::new(conversion, &in_file, &order, kind, stretch)
        });
        let job = Job::new(conversion, &in_file, &order, kind, stretch);
        jobs.push(Planned { index, job, turned });
    }
    match missing {
        None => Ok(jobs),
        Some((name, count)) => Err(WeightsError::Missing {
            folder: checkpoint.place.clone(),
            also: checkpoint.names.as_ref().and_then(|names| names.in_file(&name)),
            name,
            others: count - 1,
        }),
    }
}

fn without_ones(dims: &[u64]) -> &[u64] {
    let kept = dims.iter().rposition(|&dim| dim != 1).map_or(0, |last| last + 1);
    &dims[..kept]
}

impl Target {
    fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::Float32,
            Self::Bf16 => Dtype::BFloat16,
            Self::F16 => Dtype::Float16,
        }
    }
}
