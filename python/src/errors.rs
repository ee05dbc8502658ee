//! Which Python exception does each error become?
//!
//! The classes are written in Python (`python/preheat/_errors.py`), so that tools can read their
//! documentation and types. An exception's text is the error with its causes and, for some errors,
//! what to do about it.

use preheat_diffusion::pipeline::PipelineError;
use preheat_runtime::Error;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::reports::to_python;

/// The exceptions of `preheat._errors`; its warning is not one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PreheatError,
    InvalidRequest,
    NotWarm,
    Interrupted,
    DeviceError,
    CompileError,
    OutOfMemory,
    ModelError,
    CacheError,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::PreheatError => "PreheatError",
            Self::InvalidRequest => "InvalidRequest",
            Self::NotWarm => "NotWarm",
            Self::Interrupted => "Interrupted",
            Self::DeviceError => "DeviceError",
            Self::CompileError => "CompileError",
            Self::OutOfMemory => "OutOfMemory",
            Self::ModelError => "ModelError",
            Self::CacheError => "CacheError",
        }
    }
}

/// An exception of the class that `kind` names, with the text `words`. If the class cannot be used,
/// it is a `RuntimeError`.
pub(crate) fn raise(py: Python<'_>, kind: Kind, words: &str) -> PyErr {
    let class = py.import("preheat._errors").and_then(|errors| errors.getattr(kind.class()));
    match class.and_then(|class| class.call1((words,))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(_) => PyRuntimeError::new_err(words.to_owned()),
    }
}

/// Why work failed. This value passes from the thread that worked to the thread that raises the
/// exception.
pub(crate) enum Failure {
    Runtime(Box<Error>),
    Pipeline(Box<PipelineError>),
    Words(Kind, String),
    Panicked,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Runtime(Box::new(error))
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::Runtime(error) => error.into(),
            error => Self::Pipeline(Box::new(error)),
        }
    }
}

impl Failure {
    /// The Python exception.
    pub(crate) fn raised(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Runtime(error) => of_runtime(py, &error),
            Self::Pipeline(error) => {
                let kind = match &*error {
                    error if error.is_out_of_memory() => Kind::OutOfMemory,
                    PipelineError::Request { .. }
                    | PipelineError::Prompt { .. }
                    | PipelineError::ReadPicture { .. }
                    | PipelineError::NoPng { .. }
                    | PipelineError::Lora(_) => Kind::InvalidRequest,
                    PipelineError::NoRoom { .. } => Kind::OutOfMemory,
                    PipelineError::NotKept(_) => Kind::CacheError,
                    _ => Kind::ModelError,
                };
                raise(py, kind, &with_causes(&*error))
            }
            Self::Words(kind, words) => raise(py, kind, &words),
            Self::Panicked => raise(
                py,
                Kind::PreheatError,
                "preheat has a bug: the message on standard error names the line in preheat's \
                 sources; please report it",
            ),
        }
    }
}

/// The exception for an error of the runtime.
pub(crate) fn of_runtime(py: Python<'_>, error: &Error) -> PyErr {
    let kind = kind_of(error);
    let mut words = with_causes(error);
    if let Some(advice) = advice(error) {
        words.push_str("; ");
        words.push_str(advice);
    }
    let raised = raise(py, kind, &words);
    if let Error::NotWarm(stages) = error {
        // If the stages cannot be converted, the exception's text still names those that are cold.
        let _ = to_python(py, stages).and_then(|stages| raised.value(py).setattr("stages", stages));
    }
    raised
}

fn kind_of(error: &Error) -> Kind {
    match error {
        error if error.is_out_of_memory() => Kind::OutOfMemory,
        Error::NotWarm(_) => Kind::NotWarm,
        Error::Cancelled => Kind::Interrupted,
        Error::Signature(_)
        | Error::Shape(_)
        | Error::InputCount { .. }
        | Error::InputType { .. }
        | Error::Tensor(_)
        | Error::Padding { .. } => Kind::InvalidRequest,
        Error::Device(_)
        | Error::Backend(_)
        | Error::NotHere { .. }
        | Error::NotAsWritten { .. } => Kind::DeviceError,
        Error::Compile { .. } | Error::CompileElsewhere { .. } | Error::Build { .. } => {
            Kind::CompileError
        }
        Error::NotKept { .. }
        | Error::Unrecorded { .. }
        | Error::OtherEnvironment { .. }
        | Error::ProgramGone { .. }
        | Error::Store(_)
        | Error::NothingInstalled
        | Error::CacheNotWritable { .. }
        | Error::NoCache(_) => Kind::CacheError,
        _ => Kind::PreheatError,
    }
}

/// What a Python program can do about an error, if the error does not say so itself.
fn advice(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::NotWarm(_) => "call warmup() first, or leave require_warm out",
        Error::Device(_) => {
            "`preheat devices` shows what this machine has, and `preheat plugins install xla-cpu` \
             installs a device for every machine"
        }
        Error::NotHere { .. } => "precompile() fills the cache for it",
        Error::OutOfMemory(_) => "ask for a smaller batch or size, or call free_memory()",
        Error::NoCache(_) => "leave use_cache at True, and name a folder with cache_dir",
        _ => return None,
    })
}

/// The text of an error, followed by the texts of its causes. A cause is left out if the text
/// already ends with the cause's text.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
    }
    text
}
