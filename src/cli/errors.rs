//! What can go wrong on the command line, and what each exit status means.

use std::path::PathBuf;

use crate::backend::BackendError;
use crate::device::DeviceError;
use crate::plugins::InstallError;
use crate::runtime;
use crate::tensor::TensorError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// A flag of the contract that this release cannot honour.
    #[error("{flag} is not built into this release: {why}")]
    FlagNotBuiltIn {
        /// The flag.
        flag: &'static str,
        /// What it waits for, and what to do meanwhile.
        why: &'static str,
    },
    /// A use of the command line that no release could honour.
    #[error("{0}")]
    Usage(String),
    /// A device's name is none.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The runtime could not do it.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// A plugin could not be installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// A file could not be read or written.
    #[error("{doing} {} failed", path.display())]
    File {
        /// Reading or writing.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// A file that should hold a program does not.
    #[error("{} cannot be taken for a program", path.display())]
    NotAProgram {
        /// Which file.
        path: PathBuf,
        /// What it looks like instead.
        #[source]
        cause: preheat_cache::ProgramError,
    },
    /// A signature flag has a value that no signature could.
    #[error("the signature cannot be made")]
    Signature(#[from] preheat_cache::SignatureError),
    /// Inputs or outputs could not be read or written.
    #[error("{}", path.display())]
    Tensors {
        /// The safetensors file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: TensorError,
    },
    /// Standard output could not be written.
    #[error("the result could not be written to standard output")]
    Output(#[source] std::io::Error),
    /// A question was answered with no.
    #[error("{0}")]
    Declined(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// How a command ended. Only `main.rs` turns it into a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It did what it was asked.
    Done,
    /// It failed.
    Failed,
    /// It was asked wrongly.
    Usage,
    /// It would compile, or is not warm.
    NotWarm,
    /// It was interrupted.
    Interrupted,
}

impl CliError {
    /// How a command that ended with this error ended.
    pub fn status(&self) -> Status {
        match self {
            Self::FlagNotBuiltIn { .. }
            | Self::Usage(_)
            | Self::Signature(_)
            | Self::Device(DeviceError::UnknownName { .. })
            | Self::Runtime(
                runtime::Error::Shape(_)
                | runtime::Error::Device(DeviceError::NotBuiltIn { .. } | DeviceError::Contradiction { .. }),
            )
            | Self::Install(InstallError::NotOffered { .. } | InstallError::NoWheel { .. }) => Status::Usage,
            Self::Runtime(runtime::Error::NotWarm(_)) => Status::NotWarm,
            Self::Interrupted
            | Self::Runtime(runtime::Error::Cancelled)
            | Self::Install(InstallError::Cancelled { .. }) => Status::Interrupted,
            _ => Status::Failed,
        }
    }

    /// What to do about it, where the error does not say so itself.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Runtime(runtime::Error::NotWarm(_)) => {
                Some("`preheat warmup` compiles it now; without --require-warm the run compiles it itself")
            }
            Self::Runtime(runtime::Error::Backend(BackendError::Plugin { .. })) => Some(
                "`preheat plugins list` shows where each plugin was looked for; `preheat plugins install NAME --force` installs it anew",
            ),
            Self::NotAProgram { .. } => Some("in JAX, `jax.jit(f).lower(...).as_text()` writes one"),
            Self::Runtime(runtime::Error::InputCount { .. } | runtime::Error::InputType { .. }) => {
                Some("`preheat cache show KEY` lists the inputs that a compiled program takes")
            }
            _ => None,
        }
    }

    /// The error for a person: what failed, why, cause by cause, and what to do.
    pub fn describe(&self) -> String {
        let mut text = format!("error: {self}");
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        if let Self::Runtime(runtime::Error::NotWarm(stages)) = self {
            for line in super::lookup::explain(stages) {
                text.push('\n');
                text.push_str(&line);
            }
        }
        if let Some(hint) = self.hint() {
            text.push_str("\nhint: ");
            text.push_str(hint);
        }
        text
    }
}
