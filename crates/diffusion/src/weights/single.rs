//! How are tensors read that are not part of a model?
//!
//! A LoRA's file is described here, and its values are converted to f32. A weight that was changed
//! in memory is brought into the layout that a graph reads. `load.rs` does this for weights that
//! are read from the model's own files.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use preheat_runtime::progress::Cancel;
use preheat_tensor::{AlignedBytes, Dtype, Tensor, TensorType};

use super::header::{self, TensorInfo};
use super::layout::{self, Conversion, Job, Source, Stretch, Target};
use super::{WantedWeight, WeightsError, map};

/// A safetensors file whose header was read and checked.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) handle: File,
    /// Its tensors, sorted by name.
    pub(crate) tensors: Vec<TensorInfo>,
    /// The texts in its header.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Reads the header of a file. The file is mapped only while its header is read.
pub(crate) fn describe(path: &Path) -> Result<Described, WeightsError> {
    let (handle, map) = map::map(path)?;
    let tensors = header::read(path, &map)?;
    Ok(Described { handle, tensors, metadata: header::metadata(&map) })
}

/// Values as f32; `None` for a dtype that weights are not read from.
pub(crate) fn floats(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    Source::of(dtype).map(|source| layout::values(source, bytes))
}

/// The bytes of a tensor, to be changed. They are copied only if others share them.
///
/// # Errors
/// If there is no memory for a copy.
pub(crate) fn owned(tensor: Tensor, want: &WantedWeight) -> Result<AlignedBytes, WeightsError> {
    let shared = tensor.shared();
    drop(tensor);
    Arc::try_unwrap(shared).or_else(|shared| {
        AlignedBytes::copy_of(&shared)
            .map_err(|source| WeightsError::Memory { name: want.name.clone(), source })
    })
}

/// Brings a weight that was changed in memory into the layout and dtype in which a graph reads it.
/// `values` are f32 in the order of `want.dims`.
///
/// # Errors
/// If there is no memory for the result.
pub(crate) fn arranged(values: AlignedBytes, want: &WantedWeight) -> Result<Tensor, WeightsError> {
    let target = Target::of(want.dtype).unwrap_or(Target::F32);
    let dims: Vec<u64> = want.order.iter().map(|&at| want.dims[at]).collect();
    let kind = TensorType::new(want.dtype, dims);
    let stretch = Stretch { path: Path::new(""), file: None, at: 0, bytes: &values };
    let conversion = Conversion { source: Source::F32, target, scale: None };
    let job = Job::new(conversion, &want.dims, &want.order, kind, stretch);
    if job.in_order() && target == Target::F32 {
        let kind = job.kind;
        return Ok(Tensor::from_aligned(kind, values));
    }
    let mut bytes = AlignedBytes::zeroed(job.bytes())
        .map_err(|source| WeightsError::Memory { name: want.name.clone(), source })?;
    layout::whole(&job, &mut bytes, &Cancel::default())
        .map_err(|source| WeightsError::Io { path: Path::new("").to_owned(), source })?;
    Ok(Tensor::from_aligned(job.kind, bytes))
}
