//! `plugin.json`, which stands beside an installed plugin and says what it is.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Pin, PluginName};
use crate::input;

/// The file name of the manifest in an installed plugin's folder.
pub(super) const MANIFEST_FILE: &str = "plugin.json";
/// It has some hundred bytes for each file.
const MOST_BYTES: u64 = 1 << 20;

/// What was installed, when, and from which wheel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The plugin.
    pub name: PluginName,
    /// The wheel's version.
    pub version: String,
    /// The wheel's file name.
    pub wheel: String,
    /// The wheel's sha256, in hex.
    pub sha256: String,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// The size of all files together.
    pub bytes: u64,
    /// The files beside this one.
    pub files: Vec<InstalledFile>,
}

/// A file of an installed plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledFile {
    /// Its path in the plugin's folder, with `/` between the parts.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// The blake3 of its content, in hex, taken while it was unpacked.
    pub blake3: String,
}

impl Manifest {
    /// Reads the manifest of the plugin in `folder`, and says in words why it cannot.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(MANIFEST_FILE);
        let text =
            input::text(&path, MOST_BYTES).map_err(|error| format!("{MANIFEST_FILE} cannot be read: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("{MANIFEST_FILE} does not parse: {error}"))
    }

    /// Says why the files in `folder` are not those that were installed, judged by their sizes: reading hundreds of
    /// megabytes again at each start is what this crate exists to avoid.
    pub fn damage(&self, folder: &Path) -> Option<String> {
        self.files.iter().find_map(|installed| {
            let path = folder.join(&installed.file);
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() && metadata.len() == installed.bytes => None,
                Ok(metadata) => {
                    Some(format!("{} should be {} bytes and is {}", installed.file, installed.bytes, metadata.len()))
                }
                Err(error) => Some(format!("{} cannot be read: {error}", installed.file)),
            }
        })
    }

    /// Whether this is what `pin` installs, file for file.
    pub(super) fn matches(&self, pin: &Pin<'_>) -> bool {
        self.name == pin.name
            && self.version == pin.wheel.version
            && self.sha256 == pin.wheel.sha256
            && pin
                .members
                .iter()
                .all(|member| self.files.iter().any(|file| file.file == member.file && file.bytes == member.bytes))
    }
}
