//! How do the weights of a model folder get into memory in the layout that a graph reads?
//!
//! A component of a pipeline (`unet/`, `vae/`, `text_encoder/`) keeps its tensors in one
//! safetensors file, or in several files that an index names. [`Checkpoint::open`] finds the files,
//! maps them and checks them without reading a value. [`load`] brings the wanted tensors into
//! memory on several threads, converted and transposed directly from the page cache.
//!
//! | file | checks or does |
//! |---|---|
//! | `files.rs` | which files there are: without a variant, of a variant, sharded, or only a pickle |
//! | `header.rs` | what a file says about its tensors, used only after it was checked against the file |
//! | `map.rs` | the one unsafe call: mapping a file |
//! | `one_file.rs` | a file that has several components: which of its tensors are a component's |
//! | `names/` | how the names of the original releases become those of diffusers |
//! | `load.rs` | which thread loads which tensor |
//! | `layout.rs` | one tensor: dtype and order of dimensions, in cache-sized blocks; `float8.rs` has the numbers of each byte |
//! | `single.rs` | files and values that are not part of a model, such as those of a LoRA |
//!
//! # A file must not shrink while it is mapped
//! Lengths are checked when the files are opened. If a file is truncated or overwritten afterwards
//! while a [`Checkpoint`] lives, loading a tensor gives an error, reads changed values, or ends the
//! process with SIGBUS: mapping has this known cost. Replacing a file by renaming another one over
//! it, as downloaders do, is harmless.

mod error;
mod files;
mod float8;
mod header;
mod layout;
mod load;
mod map;
mod names;
mod one_file;
mod single;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::WeightsError;
use files::{Entry, File, View};
pub(crate) use load::{Change, load_changed};
pub use load::{LoadError, WantedWeight, check, load};
pub use names::Names;
pub use one_file::OneFile;
pub(crate) use one_file::is_beside;
use preheat_tensor::Dtype;
pub(crate) use single::{Described, describe, floats};

/// The tensors of one component, in files that are mapped into memory.
#[derive(Debug)]
pub struct Checkpoint {
    /// The component's folder, or the file that has all components.
    place: PathBuf,
    files: Vec<Arc<File>>,
    /// The tensors, sorted by name.
    tensors: Vec<Entry>,
    /// How the file's names differ from those of the tensors.
    names: Option<Names>,
}

/// A tensor as it is stored in its file.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Stored<'a> {
    /// The dtype; `None` if preheat does not know the file's dtype.
    pub dtype: Option<Dtype>,
    /// The dtype as the file spells it: `F32`, `BF16`, `F8_E4M3`, ...
    pub dtype_name: &'a str,
    /// The sizes of the dimensions, the slowest-varying one first.
    pub dims: &'a [u64],
    /// The values, little-endian, row-major, at any alignment.
    pub bytes: &'a [u8],
}

impl Checkpoint {
    /// Opens the tensors of `folder`: `<stem>.safetensors`, or the shards that
    /// `<stem>.safetensors.index.json` names, or else the same two files of the variant `fp16`.
    /// With a `variant`, only the files of that variant are used. If a folder has both a single
    /// file and shards, the shards are used for diffusers' own models and the single file for those
    /// of transformers, as these libraries do.
    ///
    /// The stem is `diffusion_pytorch_model` for UNet and VAE, and `model` for text encoders.
    pub fn open(folder: &Path, stem: &str, variant: Option<&str>) -> Result<Self, WeightsError> {
        let found = files::find(folder, stem, variant)?;
        let mut files = Vec::with_capacity(found.paths.len());
        let mut tensors = Vec::new();
        for (index, path) in found.paths.into_iter().enumerate() {
            let (handle, map) = map::map(&path)?;
            let own = header::read(&path, &map)?;
            let view = View::default;
            tensors.extend(own.into_iter().map(|tensor| Entry {
                file: index,
                tensor,
                view: view(),
            }));
            files.push(Arc::new(File { path, handle, map }));
        }
        if let Some(index) = &found.index {
            tensors = index.choose(tensors, &files)?;
        }
        tensors.sort_unstable_by(|a, b| a.tensor.name.cmp(&b.tensor.name));
        Ok(Self { place: folder.to_owned(), files, tensors, names: None })
    }

    /// Whether `folder` has any file of the variant, by diffusers' rule: the second part of the
    /// name, when it is split at dots, begins with the variant.
    pub fn has_variant(folder: &Path, variant: &str) -> bool {
        files::has_variant(folder, variant)
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<Stored<'_>> {
        self.find(name).map(|entry| self.stored(entry))
    }

    /// The names and shapes of all tensors, sorted by name. No value is touched.
    pub fn names_and_shapes(&self) -> impl Iterator<Item = (&str, &[u64])> {
        self.tensors.iter().map(|entry| (entry.tensor.name.as_str(), entry.tensor.dims.as_slice()))
    }

    /// How many bytes the values of all tensors take.
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(|entry| entry.tensor.range.len() as u64).sum()
    }

    /// The files that are mapped.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    fn find(&self, name: &str) -> Option<&Entry> {
        let index =
            self.tensors.binary_search_by(|entry| entry.tensor.name.as_str().cmp(name)).ok()?;
        self.tensors.get(index)
    }

    fn stored<'a>(&'a self, entry: &'a Entry) -> Stored<'a> {
        let tensor = &entry.tensor;
        Stored {
            dtype: tensor.dtype,
            dtype_name: &tensor.dtype_name,
            dims: &tensor.dims,
            bytes: &self.files[entry.file].map[tensor.range.clone()],
        }
    }
}
