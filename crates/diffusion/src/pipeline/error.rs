//! Why did a request to a pipeline fail?

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use preheat_cache::RequestOutcome;
use preheat_ir::graph::GraphError;
use preheat_runtime::device::fallback::StageOutOfMemory;
use preheat_runtime::human;

use super::prompt_syntax::PromptSyntaxError;
use super::schedulers::SchedulerError;
use super::tokenizer::TokenizerError;
use crate::lora::LoraError;
use crate::models::ModelError;
use crate::single_file::SingleFileError;
use crate::weights::WeightsError;

/// Why a request to a pipeline failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The folder is not a model that can be run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The file is not a model that can be run.
    #[error(transparent)]
    SingleFile(#[from] SingleFileError),
    /// The model's weights cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A LoRA of the request cannot be used.
    #[error(transparent)]
    Lora(#[from] LoraError),
    /// The model's tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] Arc<TokenizerError>),
    /// The scheduler cannot be used, or no scheduler has that name.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    /// A graph of the model could not be built.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The runtime returned an error.
    #[error(transparent)]
    Runtime(#[from] preheat_runtime::Error),
    /// A field of the request has a value that no model accepts, or that this model does not
    /// accept.
    #[error("{field} is {value}: {why}")]
    Request {
        /// The field's name.
        field: &'static str,
        /// Its value.
        value: String,
        /// Which values are accepted.
        why: String,
    },
    /// A prompt cannot be read in the syntax that the request names.
    #[error("the {which}: {cause}")]
    Prompt {
        /// Which prompt.
        which: &'static str,
        /// What is wrong with it.
        cause: PromptSyntaxError,
    },
    /// The batch was to be chosen from the memory of a device, but there is no estimate of the
    /// memory that pictures take on this device.
    #[error("batch is auto: it needs a device of libtorch, and {device} is not one")]
    NoBatchEstimate {
        /// The device.
        device: String,
    },
    /// A request file cannot be read.
    #[error("the request file {} cannot be read", path.display())]
    ReadRequest {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: std::io::Error,
    },
    /// A request file is not a JSON object, or has a field with an unknown name or a value of the
    /// wrong type.
    #[error("the request file {}{}", path.display(), quoted(.line))]
    RequestFile {
        /// The file.
        path: PathBuf,
        /// The wrong line, as it is written in the file. It is empty if no single line is wrong.
        line: String,
        /// The parser's error: which field, and where.
        #[source]
        cause: serde_json::Error,
    },
    /// A picture that a request begins with, or its mask, cannot be read.
    #[error("the {which} {} cannot be read", path.display())]
    ReadPicture {
        /// The request's field: `image` or `mask`.
        which: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: std::io::Error,
    },
    /// A picture that a request begins with, or its mask, is not a PNG file that can be read.
    #[error("the {which} {} is not a PNG file that can be read: {why}", path.display())]
    NoPng {
        /// The request's field: `image` or `mask`.
        which: &'static str,
        /// The file.
        path: PathBuf,
        /// What it is, or what is wrong with it.
        why: String,
    },
    /// The model's VAE has only a decoder, or an encoder that is not supported, so no request can
    /// begin with a picture.
    #[error("a request cannot begin with a picture: {why}")]
    NoEncoder {
        /// What is missing or not supported.
        why: String,
    },
    /// The request does not fit into the device's memory.
    #[error(
        "{batch_size} x {}x{} px does not fit: stage `{stage}` needs at least {}{}, and {} are free",
        size[0], size[1], human(*.activation_bytes), and_weights(*.weight_bytes), human(*.free_bytes)
    )]
    NoRoom {
        /// How many pictures are made at once.
        batch_size: u64,
        /// Width and height in pixels, padded.
        size: [u64; 2],
        /// The stage that lacks the most memory.
        stage: &'static str,
        /// The bytes that the inputs and the output of that stage's largest op take.
        activation_bytes: u64,
        /// Bytes of the weights of that stage; 0 if they are already on the device, or need not be
        /// there.
        weight_bytes: u64,
        /// Free bytes of the device or the system, including what could be dropped.
        free_bytes: u64,
    },
    /// A device of libtorch ran out of memory, and nothing was left to try.
    #[error("{cause}")]
    OutOfMemory {
        /// The stage, the estimate and what was tried.
        cause: StageOutOfMemory,
        /// The device's last error.
        source: Box<PipelineError>,
    },
    /// A graph has an input that the pipeline does not know, because another release made the
    /// graph.
    #[error("stage `{stage}` takes an input `{name}`, which the pipeline does not give")]
    NoSuchInput {
        /// The stage.
        stage: &'static str,
        /// The input.
        name: String,
    },
    /// The tokenizer and the text encoder belong to different models.
    #[error(
        "the tokenizer gives token {id}, and the text encoder has {vocabulary} tokens \
         (`vocab_size`): do they belong to one model?"
    )]
    NoSuchToken {
        /// The token's id.
        id: i32,
        /// How many tokens the text encoder has embeddings for.
        vocabulary: u64,
    },
    /// The decoder returned something other than a picture.
    #[error("the VAE gave no picture of float32 numbers")]
    NoPicture,
    /// A warmup compiled stages that the cache did not keep, so that the next process compiles them
    /// again.
    #[error("{} compiled and not kept, so the next process compiles {} again", list(.0), if .0.len() == 1 { "it" } else { "them" })]
    NotKept(Vec<String>),
    /// A picture could not be encoded.
    #[error("the picture could not be encoded")]
    Encode(#[source] png::EncodingError),
    /// A picture could not be written.
    #[error("writing {} failed", path.display())]
    Save {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: std::io::Error,
    },
}

impl PipelineError {
    /// Whether a device had too little memory.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Runtime(error) => error.is_out_of_memory(),
            Self::OutOfMemory { .. } => true,
            _ => false,
        }
    }

    /// Whether someone asked the request to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Runtime(preheat_runtime::Error::Cancelled))
    }

    /// Whether the request caused the error, so that another request may succeed.
    pub(crate) fn is_of_the_request(&self) -> bool {
        matches!(
            self,
            Self::Request { .. }
                | Self::Prompt { .. }
                | Self::ReadPicture { .. }
                | Self::NoPng { .. }
                | Self::Lora(_)
                | Self::Scheduler(SchedulerError::UnknownName { .. })
                | Self::Runtime(preheat_runtime::Error::Shape(_))
                | Self::Graph(_)
        )
    }

    pub(super) fn request(field: &'static str, value: impl Display, why: String) -> Self {
        Self::Request { field, value: value.to_string(), why }
    }
}

fn and_weights(bytes: u64) -> String {
    if bytes == 0 { String::new() } else { format!(" and its weights {}", human(bytes)) }
}

/// The beginning of a line, to be shown after the file's name. It is needed because a parser's
/// message about a value of the wrong type does not name the field.
fn quoted(line: &str) -> String {
    const MOST_CHARACTERS: usize = 100;
    let line = line.trim();
    match line.char_indices().nth(MOST_CHARACTERS) {
        _ if line.is_empty() => String::new(),
        Some((end, _)) => format!(", in `{}...`", &line[..end]),
        None => format!(", in `{line}`"),
    }
}

fn list(stages: &[String]) -> String {
    let names: Vec<_> = stages.iter().map(|stage| format!("stage `{stage}`")).collect();
    format!("{} {}", names.join(", "), if stages.len() == 1 { "was" } else { "were" })
}

impl PipelineError {
    /// The outcome of a request that ended with this error.
    pub fn outcome(&self) -> RequestOutcome {
        match self {
            Self::Runtime(error) => error.outcome(),
            _ => RequestOutcome::Failed,
        }
    }
}
