//! The demo model, which the binary carries: what runs where no model is named.

use std::path::PathBuf;

use super::CliError;

/// The demo model's folder.
pub(super) fn folder() -> Result<PathBuf, CliError> {
    Ok(PathBuf::from("examples/demo-model"))
}
