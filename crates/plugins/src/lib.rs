//! Which native plugins are there, where are they looked for, and how are they installed?
//!
//! A plugin is a PJRT library that others build and that preheat loads at run time. [`find`] looks
//! for one without starting anything; [`Installer`] installs a pinned one in the user's data
//! folder:
//!
//! ```text
//! <data folder>/plugins/
//!   <name>/<version>/          whole or absent: unpacked elsewhere, then renamed into place
//!     plugin.json              what was installed, from which wheel (`PluginManifest`)
//!     <library>.so             and the headers that come with it
//!   .staging-<name>-XXXXXX/    an unfinished install; after a kill, the next install removes it
//!   .<name>.lock               held by the one process that installs that plugin
//! ```
//!
//! The torch devices need no PJRT library. They need a libtorch and the library that calls it,
//! which are kept beside the plugins (`libtorch.rs`).
//!
//! The search goes through the places in this order: an explicit path, the plugin's environment
//! variables, the data folder, Python's site-packages. An explicit path or a variable that names a
//! file which does not exist makes the search fail, because the user who gave it expects that file
//! to be used.

mod error;
mod find;
mod frameworks;
#[cfg(feature = "install")]
mod install;
#[cfg(feature = "install")]
mod libtorch;
mod libtpu;
mod manifest;
mod pins;
#[cfg(feature = "install")]
mod pip;
mod site_packages;
#[cfg(feature = "install")]
mod versions;
#[cfg(feature = "install")]
mod watch;
#[cfg(feature = "install")]
mod wheel;

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

pub use error::InstallError;
use etcetera::BaseStrategy as _;
pub use find::{
    FindError, Found, Origin, Outcome, PluginLibrary, PluginSearch, SearchedPlace, find, find_mlx,
    list,
};
pub use frameworks::{FrameworkPlugin, InstalledFramework, frameworks, version_matches};
#[cfg(feature = "install")]
pub use install::{Installation, Installer, WheelSource};
#[cfg(feature = "install")]
pub use libtorch::{
    InstalledLibtorch, LibtorchSet, libtorch_damage, libtorch_folders, torch_folder,
};
pub use libtpu::{ChosenLibtpu, LibtpuChoice, LibtpuError, choose_libtpu};
pub use manifest::{InstalledFile, PluginManifest};
pub use pins::{Member, Pin, Wheel, pin, pin_for};
use serde::{Deserialize, Serialize};
pub use site_packages::site_packages_folders;
#[cfg(feature = "install")]
pub use watch::InstallProgress;

/// The environment variable that names another data folder.
pub const DATA_DIR_VARIABLE: &str = "PREHEAT_DATA_DIR";

/// A native plugin that preheat can find by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginName {
    /// XLA's CPU backend.
    XlaCpu,
    /// libtpu, which runs on a TPU, and compiles for TPUs on any machine.
    Tpu,
    /// XLA's CUDA backend.
    XlaCuda,
}

impl PluginName {
    /// Every plugin, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::XlaCpu, Self::Tpu, Self::XlaCuda];

    /// The name that the command line takes and the data folder uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XlaCpu => "xla-cpu",
            Self::Tpu => "tpu",
            Self::XlaCuda => "xla-cuda",
        }
    }

    /// The file name of the library in the data folder.
    pub const fn library_file(self) -> &'static str {
        match self {
            Self::XlaCpu => "xla_cpu_pjrt.so",
            Self::Tpu => "libtpu.so",
            Self::XlaCuda => "xla_cuda_plugin.so",
        }
    }

    /// The environment variables that name the library's path. The first one that is set decides.
    pub const fn variables(self) -> &'static [&'static str] {
        match self {
            Self::XlaCpu => &["PREHEAT_XLA_CPU_PLUGIN"],
            Self::Tpu => &["TPU_LIBRARY_PATH", "PREHEAT_TPU_PLUGIN"],
            Self::XlaCuda => &["PREHEAT_XLA_CUDA_PLUGIN"],
        }
    }

    /// preheat's own variable, which messages tell the user to set.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::XlaCpu => "PREHEAT_XLA_CPU_PLUGIN",
            Self::Tpu => "PREHEAT_TPU_PLUGIN",
            Self::XlaCuda => "PREHEAT_XLA_CUDA_PLUGIN",
        }
    }
}

impl std::fmt::Display for PluginName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A name that is not in [`PluginName::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no plugin named {given:?}: the names are xla-cpu, tpu and xla-cuda")]
#[non_exhaustive]
pub struct UnknownPlugin {
    /// The name that was given.
    pub given: String,
}

impl FromStr for PluginName {
    type Err = UnknownPlugin;

    fn from_str(given: &str) -> Result<Self, UnknownPlugin> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == given)
            .ok_or_else(|| UnknownPlugin { given: given.to_owned() })
    }
}

/// The folder for data that outlives a cache: `$PREHEAT_DATA_DIR`, else `preheat` in the user's
/// data folder (`$XDG_DATA_HOME` or `~/.local/share`). `None` if neither the variable nor a home
/// folder is known.
pub fn data_dir(env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    match env(DATA_DIR_VARIABLE).filter(|value| !value.is_empty()) {
        Some(folder) => std::path::absolute(folder).ok(),
        None => Some(etcetera::choose_base_strategy().ok()?.data_dir().join("preheat")),
    }
}

/// Reads a variable from this process's environment; outside tests, this is the `env` of a
/// [`PluginSearch`].
pub fn process_env(variable: &str) -> Option<OsString> {
    std::env::var_os(variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_back() {
        for name in PluginName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
            assert!(name.variables().contains(&name.variable()));
            assert_eq!(serde_json::to_value(name).unwrap(), name.as_str());
        }
        let error = "xla_cpu".parse::<PluginName>().unwrap_err();
        assert!(error.to_string().contains("\"xla_cpu\""), "{error}");
    }

    #[test]
    fn the_variable_moves_the_data_folder_and_an_empty_one_does_not() {
        let moved = data_dir(&|name| (name == DATA_DIR_VARIABLE).then(|| "/somewhere".into()));
        assert_eq!(moved, Some(PathBuf::from("/somewhere")));
        let default = data_dir(&|_| None);
        assert_eq!(data_dir(&|_| Some(OsString::new())), default);
        assert!(default.is_none_or(|folder| folder.ends_with("preheat")));
    }
}
