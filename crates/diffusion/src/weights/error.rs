//! Why can weights not be opened or brought into memory?

use std::path::PathBuf;

use preheat_tensor::Dtype;

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
    #[error(
        "{} has none of {}: is the model fully downloaded?",
        folder.display(), tried.join(", ")
    )]
    NoFile {
        /// The component's folder.
        folder: PathBuf,
        /// The file names that were looked for.
        tried: Vec<String>,
    },
    /// The folder lacks the variant that was asked for, but has other files of weights.
    #[error(
        "{} has no variant `{variant}` of the weights, but {}: ask for what is there",
        folder.display(), there.join(", ")
    )]
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
        "{} is a pickle, which preheat does not read: convert the model to safetensors (in \
         diffusers and transformers, load it and call `save_pretrained(..., \
         safe_serialization=True)`)",
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
    #[error(
        "{} names {shard}, which is not beside it: is the model fully downloaded?",
        path.display()
    )]
    NoShard {
        /// The index.
        path: PathBuf,
        /// The missing file.
        shard: String,
    },
    /// The index says that a tensor is in a file that does not contain it.
    #[error(
        "{} has no tensor `{name}`, though {} says so: is each file from the same release of the \
         model?",
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
    #[error(
        "{} is a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`",
        path.display()
    )]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// The file is shorter than its header says.
    #[error(
        "{} should have {expected} bytes and has {length}: it is cut short; is it fully \
         downloaded?",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// How many bytes it should have according to its header.
        expected: u64,
        /// How many bytes it has.
        length: u64,
    },
    /// The file does not begin as a safetensors file does, or it contradicts itself.
    #[error("{} is not an intact safetensors file: {why}; is it fully downloaded?", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The header contradicts itself about one tensor.
    #[error(
        "{}: tensor `{name}` {why}; is the file damaged, or not fully downloaded?",
        path.display()
    )]
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
        "{} has no tensor `{name}`{}{}: is it of another model, or not fully downloaded?",
        folder.display(),
        also.as_ref().map(|also| format!(", which is `{also}` in such a file")).unwrap_or_default(),
        if *others == 0 { String::new() } else { format!(" (nor {others} others that the model \
                                                          reads)") }
    )]
    Missing {
        /// The component's folder, or the file of the whole model.
        folder: PathBuf,
        /// The name of the first missing tensor.
        name: String,
        /// The name that it would have in the file, if that is another one.
        also: Option<String>,
        /// How many more are missing.
        others: usize,
    },
    /// A tensor has another shape than the one that the model reads.
    #[error("{}: tensor `{name}` is {found:?}, and the model reads {wanted:?}: is it of another \
             model?", path.display())]
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
        "{}: tensor `{name}` is {found}, which preheat does not convert to {wanted}: take a \
         checkpoint in F32, F16, BF16 or float8",
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
    /// A graph reads a tensor in an order that is not a permutation of the tensor's dimensions.
    #[error(
        "tensor `{name}` has {rank} dimensions, and {order:?} is no order of them: this is a \
         defect of the model's graph"
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
