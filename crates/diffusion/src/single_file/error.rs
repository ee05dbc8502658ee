//! Why can a single file not be used as a model?

use std::path::PathBuf;

use crate::models::ModelError;
use crate::weights::WeightsError;

/// Why a single file cannot be used as a model, or as a component of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SingleFileError {
    /// The file is a pickle, which can run any code when it is read.
    #[error(
        "convert {} to safetensors first: it is a pickle, which can run any code when it is read, \
         and preheat does not read it. In diffusers, `from_single_file` reads it and \
         `save_pretrained` writes a folder that preheat takes",
        path.display()
    )]
    Pickle {
        /// The file.
        path: PathBuf,
    },
    /// The file is in the format of llama.cpp.
    #[error(
        "take a safetensors file of the model: {} is a GGUF file, which preheat does not read",
        path.display()
    )]
    Gguf {
        /// The file.
        path: PathBuf,
    },
    /// The file does not hold a model of a supported family.
    #[error("{} is {what}: {advice}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
        /// What to do.
        advice: String,
    },
    /// The file is of no known kind.
    #[error(
        "{} is no model that preheat knows: none of its {count} tensors is one of a UNet of Stable \
         Diffusion. They begin with {names}",
        path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// How many tensors it has.
        count: usize,
        /// The names of a few of them.
        names: String,
    },
    /// The UNet has a shape for which there are no configs.
    #[error(
        "name the folder that has the configs of {}: {why}, and preheat carries the configs of \
         Stable Diffusion 1.x, 2.x and XL only",
        path.display()
    )]
    NoConfigs {
        /// The file.
        path: PathBuf,
        /// What is different.
        why: String,
    },
    /// The configs belong to another family.
    #[error(
        "name configs of the same family as the file: {} is a model for {found}, and {} has the \
         configs of one for {family}",
        path.display(),
        configs.display()
    )]
    OtherFamily {
        /// The file.
        path: PathBuf,
        /// The class of the file's family.
        found: &'static str,
        /// The folder that has the configs.
        configs: PathBuf,
        /// The class that the configs are for.
        family: &'static str,
    },
    /// The file lacks a component.
    #[error("add {what} to {}: the file has none (no tensor begins with {names})", path.display())]
    NoComponent {
        /// The file.
        path: PathBuf,
        /// The component, in words.
        what: &'static str,
        /// How the names of its tensors would begin.
        names: String,
    },
    /// A file that was given for a component holds no such component.
    #[error("name a file with {what}: {} is not such a file ({why})", path.display())]
    NotComponent {
        /// The file.
        path: PathBuf,
        /// The component that it should be, in words.
        what: &'static str,
        /// What was looked for.
        why: String,
    },
    /// The configs that preheat carries cannot be read.
    #[error("the configs that preheat carries are broken: {why}")]
    Carried {
        /// The parser's message.
        why: String,
    },
    /// The file cannot be read, is not an intact safetensors file, or has a
    /// tensor that cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The configs do not describe a model that can be run.
    #[error(transparent)]
    Model(#[from] ModelError),
}
