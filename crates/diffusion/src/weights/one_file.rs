//! Which tensors of a file with a whole model belong to one component?
//!
//! The file is mapped once, and the checkpoints of all components share the mapping. Renaming or
//! cutting a tensor copies no bytes: a part of a fused tensor is a range of the same bytes.

use std::path::Path;
use std::sync::Arc;

use super::files::{Entry, File, View};
use super::header::{self, TensorInfo};
use super::names::{Names, Piece};
use super::{Checkpoint, WeightsError, layout, map};

/// A safetensors file whose tensors belong to several components.
#[derive(Debug)]
pub struct OneFile {
    file: Arc<File>,
    /// The tensors, sorted by name.
    tensors: Vec<TensorInfo>,
}

/// The names that ComfyUI's releases have for the scale of a float8 weight, which is a number that
/// the weight is multiplied by. They take the place of `weight` in the weight's name.
pub(crate) const SCALES: [&str; 2] = ["scale_weight", "weight_scale"];

impl OneFile {
    /// Opens a file: maps it, and reads and checks its header. No value is read.
    ///
    /// # Errors
    /// If it cannot be read, or is not an intact safetensors file.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let (handle, map) = map::map(path)?;
        let tensors = header::read(path, &map)?;
        let file = Arc::new(File { path: path.to_owned(), handle, map });
        Ok(Self { file, tensors })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The names and shapes of all tensors, sorted by name.
    pub fn names_and_shapes(&self) -> impl Iterator<Item = (&str, &[u64])> {
        self.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.dims.as_slice()))
    }

    /// The shape of a tensor.
    pub fn dims(&self, name: &str) -> Option<&[u64]> {
        self.find(name).map(|tensor| tensor.dims.as_slice())
    }

    /// The values of a small tensor; `None` if it is missing, or if weights cannot have its dtype.
    pub fn values(&self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.find(name)?;
        let source = layout::Source::of(tensor.dtype?)?;
        Some(layout::values(source, &self.file.map[tensor.range.clone()]))
    }

    /// The tensors of one component.
    ///
    /// # Errors
    /// If a tensor that has to be cut into parts, or multiplied by a scale, does not have a shape
    /// that allows this.
    pub fn checkpoint(&self, names: Names) -> Result<Checkpoint, WeightsError> {
        let mut tensors = Vec::new();
        for tensor in &self.tensors {
            let pieces = names.of_file(&tensor.name);
            if pieces.is_empty() || is_beside(&tensor.name) {
                continue;
            }
            let scale = self.scale(tensor)?;
            for piece in pieces {
                tensors.push(self.entry(tensor, piece, scale)?);
            }
        }
        tensors.sort_unstable_by(|a, b| a.tensor.name.cmp(&b.tensor.name));
        // A file may have a weight under two of its names. Both hold the same values, so one of
        // them is enough.
        tensors.dedup_by(|a, b| a.tensor.name == b.tensor.name);
        let place = self.file.path.clone();
        Ok(Checkpoint { place, files: vec![Arc::clone(&self.file)], tensors, names: Some(names) })
    }

    fn find(&self, name: &str) -> Option<&TensorInfo> {
        let at = self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()?;
        self.tensors.get(at)
    }

    /// The number by which a tensor's values have to be multiplied.
    fn scale(&self, tensor: &TensorInfo) -> Result<Option<f32>, WeightsError> {
        let Some(layer) = tensor.name.strip_suffix("weight") else { return Ok(None) };
        let named = |scale: &&str| self.find(&format!("{layer}{scale}"));
        let Some(scale) = SCALES.iter().find_map(named) else { return Ok(None) };
        match self.values(&scale.name).as_deref() {
            Some(&[value]) => Ok(Some(value)),
            _ => Err(self.bad(
                scale,
                format!(
                    "is {} {:?}, and a weight is multiplied by one number only: take a file that \
                     has one scale for each tensor, or none",
                    scale.dtype_name, scale.dims
                ),
            )),
        }
    }

    fn entry(
        &self,
        tensor: &TensorInfo,
        piece: Piece,
        scale: Option<f32>,
    ) -> Result<Entry, WeightsError> {
        let (mut dims, mut range) = (tensor.dims.clone(), tensor.range.clone());
        if let Some(third) = piece.third {
            let rows = dims.first().copied().filter(|rows| rows.is_multiple_of(3));
            let (Some(rows), Ok(third)) = (rows, usize::try_from(third)) else {
                let why = format!("is {dims:?}, which cannot be cut into three equal parts");
                return Err(self.bad(tensor, why));
            };
            dims[0] = rows / 3;
            let bytes = range.len() / 3;
            range = range.start + third * bytes..range.start + (third + 1) * bytes;
        }
        if piece.linear && dims.len() > 2 && dims[2..].iter().all(|&dim| dim == 1) {
            dims.truncate(2);
        }
        let transposed = piece.transposed && dims.len() == 2;
        if transposed {
            dims.reverse();
        }
        let view = View { name: Some(tensor.name.clone()), transposed, scale };
        let (dtype, dtype_name) = (tensor.dtype, tensor.dtype_name.clone());
        let tensor = TensorInfo { name: piece.name, dtype, dtype_name, dims, range };
        Ok(Entry { file: 0, tensor, view })
    }

    fn bad(&self, tensor: &TensorInfo, why: String) -> WeightsError {
        let (path, name) = (self.file.path.clone(), tensor.name.clone());
        WeightsError::BadTensor { path, name, why }
    }
}

/// Whether a tensor describes the quantisation of another one. Such a tensor is not a weight of the
/// model.
pub(crate) fn is_beside(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    SCALES.contains(&last)
        || matches!(last, "scale_input" | "input_scale" | "scaled_fp8" | "comfy_quant")
}
