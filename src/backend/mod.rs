//! What graphs are compiled with and run on.

mod slim;
pub(crate) mod xla;

use std::path::PathBuf;

use crate::device::XlaDevice;
use crate::pjrt::PjrtError;

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
    /// Its file was replaced while it was being loaded, so which of the two was loaded cannot be told.
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
