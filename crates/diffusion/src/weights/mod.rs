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
//! | `load.rs` | which thread loads which tensor |
//! | `layout.rs` | one tensor: dtype and order of dimensions, in cache-sized blocks |
//!
//! # A file must not shrink while it is mapped
//! Lengths are checked when the files are opened. If a file is truncated or overwritten afterwards
//! while a [`Checkpoint`] lives, the process ends with SIGBUS or reads changed values: that is the
//! known price of mapping. Replacing a file by renaming another one over it, as downloaders do, is
//! harmless.

mod files;
mod header;
mod layout;
mod load;
mod map;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use load::{LoadError, Wanted, check, load};
use preheat_tensor::Dtype;

/// The tensors of one component, in files that are mapped into memory.
#[derive(Debug)]
pub struct Checkpoint {
    folder: PathBuf,
    files: Vec<File>,
    /// The tensors, sorted by name.
    tensors: Vec<Entry>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    handle: std::fs::File,
    map: memmap2::Mmap,
}

#[derive(Debug)]
struct Entry {
    file: usize,
    tensor: header::TensorInfo,
}

/// A tensor as it is stored in its file.
#[derive(Debug, Clone, Copy)]
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
            tensors.extend(own.into_iter().map(|tensor| Entry { file: index, tensor }));
            files.push(File { path, handle, map });
        }
        if let Some(index) = &found.index {
            tensors = index.choose(tensors, &files)?;
        }
        tensors.sort_unstable_by(|a, b| a.tensor.name.cmp(&b.tensor.name));
        Ok(Self { folder: folder.to_owned(), files, tensors })
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

/// Why weights could not be opened or brought into memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// There is no folder of that name.
    #[error("there is no folder {}: is the model fully downloaded?", folder.display())]
    NoFolder {
        /// The component's folder.
        folder: PathBuf,
    },
    /// The folder has none of the files that could hold the tensors.
    #[error("{} has none of {}: is the model fully downloaded?", folder.display(), tried.join(", "))]
    NoFile {
        /// The component's folder.
        folder: PathBuf,
        /// The file names that were looked for.
        tried: Vec<String>,
    },
    /// The folder lacks the variant that is asked for, but has others.
    #[error("{} has no variant `{variant}` of the weights, but {}: ask for what is there", folder.display(), there.join(", "))]
    NoVariant {
        /// The component's folder.
        folder: PathBuf,
        /// The variant that was asked for.
        variant: String,
        /// The files of weights that the folder has.
        there: Vec<String>,
    },
    /// The folder has only variants, and none was asked for.
    #[error("{} has the weights in variants only: {}", folder.display(), there.join(", "))]
    OnlyVariants {
        /// The component's folder.
        folder: PathBuf,
        /// The files of weights that the folder has.
        there: Vec<String>,
    },
    /// The weights are only there as a pickle, which can run any code when it is read.
    #[error(
        "{} is a pickle, which preheat does not read: convert the model to safetensors (in diffusers and transformers, load it and call `save_pretrained(..., safe_serialization=True)`)",
        path.display()
    )]
    Pickle {
        /// The pickle.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The index is not JSON of the right form.
    #[error("{} is no index of safetensors files: {why}; is it fully downloaded?", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The index names a file that does not exist.
    #[error("{} names {shard}, which is not beside it: is the model fully downloaded?", path.display())]
    NoShard {
        /// The index.
        path: PathBuf,
        /// The missing file.
        shard: String,
    },
    /// The index says that a tensor is in a file that does not contain it.
    #[error(
        "{} has no tensor `{name}`, though {} says so: is each file from the same release of the model?",
        shard.display(),
        index.display()
    )]
    NotInShard {
        /// The index.
        index: PathBuf,
        /// The file that should have it.
        shard: PathBuf,
        /// The tensor.
        name: String,
    },
    /// The file is a Git LFS pointer to the real file.
    #[error("{} is a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`", path.display())]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// The file is shorter than its header says.
    #[error(
        "{} should have {expected} bytes and has {length}: it is cut short; is it fully downloaded?",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The bytes that its header asks for.
        expected: u64,
        /// The bytes that it has.
        length: u64,
    },
    /// The file does not begin as a safetensors file does, or it contradicts itself.
    #[error("{} is no intact safetensors file: {why}; is it fully downloaded?", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The header contradicts itself about one tensor.
    #[error("{}: tensor `{name}` {why}; is the file damaged, or not fully downloaded?", path.display())]
    BadTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The checkpoint lacks tensors that the model reads.
    #[error(
        "{} has no tensor `{name}`{}: is it of another model, or not fully downloaded?",
        folder.display(),
        if *others == 0 { String::new() } else { format!(" (nor {others} others that the model reads)") }
    )]
    Missing {
        /// The component's folder.
        folder: PathBuf,
        /// The name of the first missing tensor.
        name: String,
        /// How many more are missing.
        others: usize,
    },
    /// A tensor has another shape than the one that the model reads.
    #[error("{}: tensor `{name}` is {found:?}, and the model reads {wanted:?}: is it of another model?", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<u64>,
        /// The shape that is read.
        wanted: Vec<u64>,
    },
    /// A tensor has a dtype that cannot be converted into the one that the graph reads.
    #[error(
        "{}: tensor `{name}` is {found}, which preheat does not convert to {wanted}: take a checkpoint in F32, F16 or BF16",
        path.display()
    )]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The dtype in the file.
        found: String,
        /// The dtype that is read.
        wanted: Dtype,
    },
    /// A graph asks for an order that is not a permutation of the tensor's dimensions.
    #[error(
        "tensor `{name}` has {rank} dimensions, and {order:?} is no order of them: this is a defect of the model's graph"
    )]
    Order {
        /// The tensor.
        name: String,
        /// How many dimensions it has.
        rank: usize,
        /// The order that was asked for.
        order: Vec<usize>,
    },
    /// There is not enough memory for a tensor.
    #[error("there is no memory for tensor `{name}`")]
    Memory {
        /// The tensor.
        name: String,
        /// The allocation's error.
        source: preheat_tensor::ArrayError,
    },
}
