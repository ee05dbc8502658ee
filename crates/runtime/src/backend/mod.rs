//! What graphs are compiled with and run on.

pub(crate) mod ahead;
mod environment;
pub(crate) mod here;
pub(crate) mod host_memory;
mod slim;
pub mod torch;
pub(crate) mod xla;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use preheat_cache::{Environment, ProgramFormat};
use preheat_pjrt::{ErrorCode, PjrtError};

use self::ahead::Ahead;
pub use self::ahead::AheadError;
pub use self::here::DeviceFault;
use self::here::Here;
use self::torch::TorchError;
use crate::device::{DeviceName, Target, XlaDevice};

/// What a runtime compiles with.
#[derive(Debug)]
pub(crate) enum Backend {
    /// A device that is here.
    Here(Here),
    /// A compiler for one that is not.
    Ahead(Box<Ahead>),
}

impl Backend {
    /// What its executables fit.
    pub(crate) fn environment(&self) -> &Arc<Environment> {
        match self {
            Self::Here(here) => here.environment(),
            Self::Ahead(ahead) => &ahead.environment,
        }
    }

    /// The device that its executables run on.
    pub(crate) fn device(&self) -> DeviceName {
        match self {
            Self::Here(here) => here.name(),
            Self::Ahead(ahead) => ahead.target.device().into(),
        }
    }
}

/// Why a graph could not be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The plugin in this process said so.
    #[error(transparent)]
    Plugin(#[from] PjrtError),
    /// The process that compiles ahead of time gave nothing.
    #[error(transparent)]
    Ahead(#[from] AheadError),
    /// The torch library could not make it ready.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// A program that only a PJRT plugin compiles was to run through libtorch.
    #[error(
        "{device} runs through libtorch, which runs the graphs of models and no {format} programs: choose xla-cpu, xla-cuda or tpu"
    )]
    NoTorchProgram {
        /// The program's format.
        format: ProgramFormat,
        /// The device.
        device: DeviceName,
    },
}

impl CompileError {
    /// The plugin's kind of error, where the plugin raised it.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Plugin(error) => error.code(),
            Self::Ahead(error) => error.code(),
            Self::Torch(error) => error.code().map(Into::into),
            Self::NoTorchProgram { .. } => Some(ErrorCode::Unimplemented),
        }
    }

    /// Whether it failed for what the device, its memory or this process is doing just now, rather
    /// than for the graph.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Plugin(_) | Self::Torch(_) | Self::NoTorchProgram { .. } => {
                is_passing(self.code())
            }
            Self::Ahead(AheadError::Plugin { code, .. }) => is_passing(*code),
            // A compiler that ends its process ends the next one, too; anything else is of this
            // machine.
            Self::Ahead(error) => {
                !matches!(error, AheadError::Ended { status, .. } if status.code().is_some())
            }
        }
    }
}

/// Whether an error is of what a device or its memory is doing just now.
pub(crate) fn is_passing(code: Option<ErrorCode>) -> bool {
    use ErrorCode::{Cancelled, DeadlineExceeded, ResourceExhausted, Unavailable};
    matches!(code, Some(ResourceExhausted | Unavailable | DeadlineExceeded | Cancelled))
}

/// What changes when a file is replaced; `None` where it cannot be asked.
fn file_state(path: &Path) -> Option<(u64, SystemTime)> {
    let metadata = path.metadata().ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// Why a device's plugin cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// It could not be loaded, or gives no client.
    #[error("the plugin for {device} at {} cannot be used", path.display())]
    Plugin {
        /// The device it is for.
        device: XlaDevice,
        /// The plugin's file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        cause: PjrtError,
    },
    /// There is no plugin that could compile for the target.
    #[error("nothing can be compiled for {target}: {why}")]
    NoPlugin {
        /// What was to be compiled for.
        target: Target,
        /// Where the plugin was looked for, and what to do.
        why: String,
    },
    /// It cannot tell what hardware is like that is not here: there is none of that name, most
    /// often.
    #[error("{target} cannot be compiled for by the plugin at {} (targets are such as {})", path.display(), crate::device::target::EXAMPLES)]
    Target {
        /// What was to be compiled for.
        target: Target,
        /// The plugin's file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        cause: AheadError,
    },
    /// It loads, and offers nothing to run on.
    #[error("the plugin for {device} at {} offers no device", path.display())]
    NoDevice {
        /// The device it is for.
        device: XlaDevice,
        /// The plugin's file.
        path: PathBuf,
    },
    /// Its build could not be told, so no key could cover it.
    #[error("the plugin at {} cannot be identified", path.display())]
    Identity {
        /// The plugin's file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        cause: preheat_cache::PluginBuildError,
    },
    /// Its file was replaced while it was being loaded, so which of the two was loaded cannot be
    /// told.
    #[error("the plugin at {} was replaced while it was loaded: start again", path.display())]
    Replaced {
        /// The plugin's file.
        path: PathBuf,
    },
    /// A variable that its compiler reads cannot be understood, so no key can cover it.
    #[error("{variable} cannot be read: {why}")]
    Flags {
        /// `XLA_FLAGS` or `LIBTPU_INIT_ARGS`.
        variable: &'static str,
        /// What is wrong with it.
        why: String,
    },
}
