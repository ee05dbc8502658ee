//! Why can a log or a manifest not be used?

use std::path::PathBuf;

use crate::pipeline::PipelineError;

/// Why a log or a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// A file cannot be read or written.
    #[error("{doing} {} failed", path.display())]
    File {
        /// What was being done with the file.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: std::io::Error,
    },
    /// The log has no lines, or only empty ones.
    #[error("the request log {} is empty", path.display())]
    EmptyLog {
        /// The log.
        path: PathBuf,
    },
    /// None of the log's lines is a request.
    #[error("{} is no request log: none of its {lines} lines is a request; line {line}: {why}", path.display())]
    NoLog {
        /// The file.
        path: PathBuf,
        /// How many lines it has, apart from empty ones.
        lines: usize,
        /// The first line that is not a request.
        line: usize,
        /// Why it is not a request.
        why: String,
    },
    /// The log has no request for the model.
    #[error("the request log has no request of {model_id}: it has {}", counted(.others))]
    OtherModels {
        /// The model.
        model_id: String,
        /// The models that the log has requests for, and how many for each.
        others: Vec<(String, u64)>,
    },
    /// The model can serve none of the requests in the log.
    #[error("{model_id} can serve none of the requests in the log; line {line}: {why}")]
    NoneServed {
        /// The model.
        model_id: String,
        /// The first line that it cannot serve.
        line: usize,
        /// Why the model cannot serve it.
        why: String,
    },
    /// A field of a manifest is wrong.
    #[error("{}, line {line}: {field}: {why}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The field, or `syntax` if the file is not TOML.
        field: String,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// An error of the pipeline. It is boxed, because it is large.
    #[error(transparent)]
    Pipeline(Box<PipelineError>),
    /// An error of the runtime. It is boxed, because it is large.
    #[error(transparent)]
    Runtime(Box<preheat_runtime::Error>),
}

impl From<PipelineError> for EvidenceError {
    fn from(error: PipelineError) -> Self {
        Self::Pipeline(Box::new(error))
    }
}

impl From<preheat_runtime::Error> for EvidenceError {
    fn from(error: preheat_runtime::Error) -> Self {
        Self::Runtime(Box::new(error))
    }
}

/// `sd15 (900), sdxl (100)`.
fn counted(models: &[(String, u64)]) -> String {
    const MOST: usize = 20;
    let each: Vec<String> =
        models.iter().take(MOST).map(|(model, requests)| format!("{model} ({requests})")).collect();
    let more = if models.len() > MOST {
        format!(" and {} more", models.len() - MOST)
    } else {
        String::new()
    };
    each.join(", ") + &more
}
