//! How are tensors read that are not part of a model?
//!
//! A LoRA's file is described here, and its values are converted to f32. `load.rs` reads the
//! weights of a model.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use preheat_tensor::Dtype;

use super::header::{self, TensorInfo};
use super::layout::{self, Source};
use super::{WeightsError, map};

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
