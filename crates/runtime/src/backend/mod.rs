//! What does a runtime compile graphs with, and what does it run them on?
//!
//! A device of this machine does both: a PJRT plugin (`xla/`) or the torch library (`torch/`)
//! drives it. For hardware that is not here, a child process compiles (`ahead/`), and nothing is
//! run.

pub(crate) mod ahead;
pub(crate) mod contract;
#[cfg(test)]
pub(crate) mod fake;

mod fault;
pub(crate) mod host_memory;
mod slim;
pub mod torch;
pub(crate) mod xla;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use preheat_cache::Environment;
use preheat_pjrt::{ErrorCode, PjrtError};

pub use self::ahead::AheadError;
use self::ahead::{Ahead, ended_itself};
use self::contract::Device;
use self::fault::kind_of_code;
pub use self::fault::{DeviceFault, FaultKind};
use crate::device::{DeviceName, Target, XlaDevice};

/// What a runtime compiles with: a device, or a compiler for hardware that is not here.
#[derive(Debug)]
pub(crate) enum Backend {
    /// A device that is here.
    Here(Arc<dyn Device>),
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
    /// The device in this process refused, or its driver raised an error.
    #[error(transparent)]
    Device(#[from] DeviceFault),
    /// The process that compiles ahead of time gave no executable.
    #[error(transparent)]
    Ahead(#[from] AheadError),
}

impl CompileError {
    /// What kind of fault it was.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Device(fault) => fault.kind(),
            Self::Ahead(error) => kind_of_code(error.code()),
        }
    }

    /// Whether the failure may pass, because it comes from the present state of the device, its
    /// memory or this process, and not from the graph.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Device(fault) => fault.is_passing(),
            Self::Ahead(AheadError::Plugin { code, .. }) => is_passing(*code),
            // A compiler that exited, aborted or crashed would do so in the next process, too. If
            // it was killed, or had too little memory, the cause is the state of this machine.
            Self::Ahead(AheadError::Ended { status, said }) => {
                status.code().is_none() && !ended_itself(*status, said)
            }
            Self::Ahead(_) => true,
        }
    }
}

/// Whether a plugin's error comes from the present state of a device or its memory, and so may
/// pass.
pub(crate) fn is_passing(code: Option<ErrorCode>) -> bool {
    matches!(kind_of_code(code), FaultKind::OutOfMemory | FaultKind::Passing)
}

/// A file's length and time, which change when the file is replaced; `None` if they cannot be
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
    /// The plugin ends every process that loads it, because of the flags in the environment.
    #[error(
        "the plugin at {} ends the process that loads it ({status}): it refuses what XLA_FLAGS or \
         LIBTPU_INIT_ARGS says{}", path.display(), self::ahead::after(said)
    )]
    FlagsRefused {
        /// The plugin's file.
        path: PathBuf,
        /// How a child process that loaded the plugin ended.
        status: std::process::ExitStatus,
        /// What the plugin wrote to standard error.
        said: String,
    },
    /// A variable that the compiler reads cannot be understood, so no key can cover it.
    #[error(transparent)]
    Flags(#[from] preheat_environment::FlagsUnreadable),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_compiler_that_crashed_is_not_started_again_by_those_that_waited() {
        use std::os::unix::process::ExitStatusExt as _;
        use std::process::ExitStatus;

        let passes = |status: i32, said: &str| {
            let (status, said) = (ExitStatus::from_raw(status), said.to_owned());
            CompileError::Ahead(AheadError::Ended { status, said }).is_passing()
        };
        let (abort, fault, exit) = (6, 11, 1 << 8);
        assert!(!passes(abort, "Check failed: shape") && !passes(fault, "") && !passes(exit, ""));
        let (killed, terminated) = (9, 15);
        assert!(passes(killed, "") && passes(terminated, "") && passes(abort, "std::bad_alloc"));
    }
}
