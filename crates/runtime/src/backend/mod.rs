//! What does a runtime compile graphs with, and what does it run them on?

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

/// What a runtime compiles with: a device, or a compiler for hardware that is not here.
#[derive(Debug)]
pub(crate) enum Backend {
    /// A device that is here.
    Here(Here),
    /// A compiler for a device that is not here.
    Ahead(Box<Ahead>),
}

impl Backend {
    /// The environment that its executables fit.
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
    /// The plugin in this process raised an error.
    #[error(transparent)]
    Plugin(#[from] PjrtError),
    /// The process that compiles ahead of time gave no executable.
    #[error(transparent)]
    Ahead(#[from] AheadError),
    /// The torch library could not make the graph ready.
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

    /// Whether the failure may pass, because it comes from the present state of the device, its
    /// memory or this process, and not from the graph.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Plugin(_) | Self::Torch(_) | Self::NoTorchProgram { .. } => {
                is_passing(self.code())
            }
            Self::Ahead(AheadError::Plugin { code, .. }) => is_passing(*code),
            // A compiler that ended its process would end the next one, too. Every other failure
            // comes from this machine.
            Self::Ahead(error) => {
                !matches!(error, AheadError::Ended { status, .. } if status.code().is_some())
            }
        }
    }
}

/// Whether an error comes from the present state of a device or its memory, and so may pass.
pub(crate) fn is_passing(code: Option<ErrorCode>) -> bool {
    use ErrorCode::{Cancelled, DeadlineExceeded, ResourceExhausted, Unavailable};
    matches!(code, Some(ResourceExhausted | Unavailable | DeadlineExceeded | Cancelled))
}

/// A file's length and time, which change when the file is replaced; `None` where they cannot be
/// read.
fn file_state(path: &Path) -> Option<(u64, SystemTime)> {
    let metadata = path.metadata().ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// Why a device's plugin cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The plugin could not be loaded, or gave no client.
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
        /// The target to compile for.
        target: Target,
        /// Where the plugin was looked for, and what to do.
        why: String,
    },
    /// The plugin cannot describe the target; most often, the plugin knows no hardware of that
    /// name.
    #[error("the plugin at {} cannot compile for {target} (examples of targets: {})", path.display(), crate::device::target::EXAMPLES)]
    Target {
        /// The target to compile for.
        target: Target,
        /// The plugin's file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        cause: AheadError,
    },
    /// The plugin loads, and offers no device to run on.
    #[error("the plugin for {device} at {} offers no device", path.display())]
    NoDevice {
        /// The device it is for.
        device: XlaDevice,
        /// The plugin's file.
        path: PathBuf,
    },
    /// The plugin's build cannot be identified, so no key could cover it.
    #[error("the plugin at {} cannot be identified", path.display())]
    Identity {
        /// The plugin's file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        cause: preheat_cache::PluginBuildError,
    },
    /// The plugin's file was replaced while it was being loaded, so it is not known which of the
    /// two files was loaded.
    #[error("the plugin at {} was replaced while it was loaded: start again", path.display())]
    Replaced {
        /// The plugin's file.
        path: PathBuf,
    },
    /// A variable that the compiler reads cannot be understood, so no key can cover it.
    #[error("{variable} cannot be read: {why}")]
    Flags {
        /// `XLA_FLAGS` or `LIBTPU_INIT_ARGS`.
        variable: &'static str,
        /// What is wrong with it.
        why: String,
    },
}
