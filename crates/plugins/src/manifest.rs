//! What is installed in a plugin's folder, and is it still intact? `plugin.json` in that folder
//! lists the installed files.

use std::fs::File;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use preheat_io::input;
use serde::{Deserialize, Serialize};

use super::PluginName;

/// The file name of the manifest in an installed plugin's folder.
pub(super) const MANIFEST_FILE: &str = "plugin.json";
/// The file has some hundred bytes for each file of the plugin.
const MOST_BYTES: u64 = 1 << 20;

/// What was installed, when, and from which wheel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PluginManifest {
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
#[non_exhaustive]
pub struct InstalledFile {
    /// Its path in the plugin's folder, with `/` between the parts.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// The blake3 of its content, in hex, taken while it was unpacked.
    pub blake3: String,
    /// When it was written. Manifests of earlier releases do not have this time; then only the size
    /// is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}

impl InstalledFile {
    /// The reason why the file in `folder` is not the one that was installed; `None` if it is.
    ///
    /// Its size and its time decide, because reading hundreds of megabytes at each start would take
    /// too long. If the time differs, as after a copy, the content is read. If the content is
    /// right, the time is set back, so that the content is not read again at the next start.
    pub(super) fn damage(&self, folder: &Path) -> Option<String> {
        let path = folder.join(&self.file);
        match self.compare(&path) {
            Ok(None) => None,
            Ok(Some(difference)) => Some(format!("{} {difference}", self.file)),
            Err(error) => Some(format!("{} cannot be read: {error}", self.file)),
        }
    }

    fn compare(&self, path: &Path) -> io::Result<Option<String>> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Ok(Some("is no file".to_owned()));
        }
        if metadata.len() != self.bytes {
            return Ok(Some(format!("should be {} bytes and is {}", self.bytes, metadata.len())));
        }
        let Some(written) = self.modified else { return Ok(None) };
        // Images and archives store times in whole seconds only.
        if Timestamp::try_from(metadata.modified()?)
            .is_ok_and(|now| now.as_second() == written.as_second())
        {
            return Ok(None);
        }
        let mut content = blake3::Hasher::new();
        content.update_mmap(path)?;
        if content.finalize().to_hex().as_str() != self.blake3 {
            return Ok(Some("has another content than was installed".to_owned()));
        }
        // If setting the time is not permitted, the content is read at each start.
        let _ = File::open(path).and_then(|file| file.set_modified(written.into()));
        Ok(None)
    }
}

impl PluginManifest {
    /// Reads the manifest of the plugin in `folder`; the error says why that is impossible.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(MANIFEST_FILE);
        let text = input::text(&path, MOST_BYTES)
            .map_err(|error| format!("{MANIFEST_FILE} cannot be read: {error}"))?;
        serde_json::from_str(&text)
            .map_err(|error| format!("{MANIFEST_FILE} does not parse: {error}"))
    }

    /// The reason why the files in `folder` are not those that were installed; `None` if they
    /// are.
    pub fn damage(&self, folder: &Path) -> Option<String> {
        self.files.iter().find_map(|installed| installed.damage(folder))
    }

    /// Whether this manifest is of the wheel of `pin` and lists every file that `pin` installs.
    #[cfg(feature = "install")]
    pub(super) fn matches(&self, pin: &super::Pin<'_>) -> bool {
        self.name == pin.name
            && self.version == pin.wheel.version
            && self.sha256 == pin.wheel.sha256
            && pin.members.iter().all(|member| {
                self.files.iter().any(|file| file.file == member.file && file.bytes == member.bytes)
            })
    }
}
