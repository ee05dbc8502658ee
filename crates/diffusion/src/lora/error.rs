//! Why can a LoRA file not be used with a model?

use std::path::PathBuf;

use crate::weights::WeightsError;

/// Why a LoRA file could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoraError {
    /// The file is not there, cannot be read, or is no safetensors file.
    #[error("the LoRA {} cannot be used", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<WeightsError>,
    },
    /// The file is a pickle, which can run any code when it is read.
    #[error(
        "the LoRA {} is a pickle, which preheat does not read: take the file in the safetensors \
         format, or load its tensors in torch and save them with `safetensors.torch.save_file`",
        path.display()
    )]
    Pickle {
        /// The file.
        path: PathBuf,
    },
    /// A config, in the file's header or beside the file, is not in PEFT's form.
    #[error("{} is no config of an adapter: {why}", path.display())]
    Config {
        /// The config, or the file whose header has it.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing in the file changes anything in the model.
    #[error(
        "the LoRA {} changes nothing in this model, which is {model}: {}; {count} tensor{}, such \
         as {}",
        path.display(),
        it_seems(*.seems),
        if *count == 1 { " has no place in it" } else { "s have no place in it" },
        quoted(.keys)
    )]
    NothingMatches {
        /// The file.
        path: PathBuf,
        /// The kind of model that is open.
        model: &'static str,
        /// The kind of model that the file seems to be for, if its tensors' names and shapes show
        /// that it is another one.
        seems: Option<&'static str>,
        /// Some of the names in the file.
        keys: Vec<String>,
        /// How many names the file has.
        count: usize,
    },
    /// A tensor does not fit the weight that it changes.
    #[error("{0}")]
    Shape(Box<LoraMisfit>),
    /// Two tensors of one layer do not fit each other.
    #[error("{0}")]
    Rank(Box<LoraRankMisfit>),
    /// A layer has only some of the tensors that its change is computed from.
    #[error(
        "the LoRA {} has `{key}` without {lacks} beside it: is it fully downloaded?",
        path.display()
    )]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// A tensor that the layer has.
        key: String,
        /// What is missing.
        lacks: &'static str,
    },
    /// A value that scales a change is not a finite number.
    #[error("the LoRA {}: `{key}` is {found}, and one finite number is wanted", path.display())]
    Alpha {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        key: String,
        /// Its value, or its shape if it does not have exactly one element.
        found: String,
    },
    /// A tensor has a dtype that is not read.
    #[error(
        "the LoRA {}: `{key}` is {found}, which preheat does not read: take a file in F32, F16 \
         or BF16",
        path.display()
    )]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        key: String,
        /// The dtype, as the file spells it.
        found: String,
    },
    /// The file can no longer be read, or the config beside it cannot be read.
    #[error("the LoRA {} cannot be read: was it changed meanwhile?", path.display())]
    Read {
        /// The LoRA file, or the config.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

/// A tensor that does not fit the weight that it changes.
#[derive(Debug, thiserror::Error)]
#[error(
    "the LoRA {} does not fit: `{key}` is {found:?}, {why}, and this model's `{weight}` is \
     {wanted:?}: {}",
    path.display(),
    it_seems(*.seems)
)]
#[non_exhaustive]
pub struct LoraMisfit {
    /// The file.
    pub path: PathBuf,
    /// The tensor's name in the file.
    pub key: String,
    /// Its shape.
    pub found: Vec<u64>,
    /// Which size it is made for, such as `for 768 inputs`, or which size is needed.
    pub why: String,
    /// The weight's name in the model.
    pub weight: String,
    /// The weight's shape.
    pub wanted: Vec<u64>,
    /// The kind of model that the file seems to be for, if it differs from the model's own.
    pub seems: Option<&'static str>,
}

/// Two tensors of one layer that do not fit each other.
#[derive(Debug, thiserror::Error)]
#[error(
    "the LoRA {} is damaged: `{key}` is {found:?} and does not fit `{other}`, which is \
     {other_found:?}: is it fully downloaded?",
    path.display()
)]
#[non_exhaustive]
pub struct LoraRankMisfit {
    /// The file.
    pub path: PathBuf,
    /// One tensor's name in the file.
    pub key: String,
    /// Its shape.
    pub found: Vec<u64>,
    /// The other tensor's name in the file.
    pub other: String,
    /// The shape of the other tensor.
    pub other_found: Vec<u64>,
}

fn it_seems(family: Option<&'static str>) -> String {
    match family {
        Some(family) => format!("it seems to be for {family}"),
        None => "is it made for this model?".to_owned(),
    }
}

fn quoted(keys: &[String]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}
