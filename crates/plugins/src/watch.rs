//! How does a caller follow the progress of an install, and how does it stop the install?

use super::InstallError;

/// What an install is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallProgress {
    /// Waiting: another process is installing the same plugin.
    Waiting,
    /// Downloading the wheel.
    Download {
        /// The bytes that are on disk.
        done_bytes: u64,
        /// The wheel's size, if it is known.
        total_bytes: Option<u64>,
    },
    /// Computing the wheel's sha256.
    Verify {
        /// The bytes that have been read.
        done_bytes: u64,
        /// The wheel's size.
        total_bytes: u64,
    },
    /// Unpacking a file.
    Unpack {
        /// Its path in the plugin's folder.
        file: String,
        /// The bytes that have been written.
        done_bytes: u64,
        /// The file's size.
        total_bytes: u64,
    },
}

/// The caller's functions that receive an install's progress and stop it, with the name of what is
/// installed.
pub(super) struct Watch<'a> {
    pub what: &'a str,
    pub progress: &'a dyn Fn(InstallProgress),
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Watch<'_> {
    pub fn check(&self) -> Result<(), InstallError> {
        if (self.cancelled)() { Err(self.cancellation()) } else { Ok(()) }
    }

    pub fn cancellation(&self) -> InstallError {
        InstallError::Cancelled { what: self.what.to_owned() }
    }
}
