//! Which build of a plugin is this file? The answer must be found without hashing hundreds of
//! megabytes on every start.
//!
//! If the file has a linker's build id, this id is the answer. Otherwise the content is hashed
//! once, and the hash is remembered under the file's device, inode, length and times. A plugin that
//! is replaced or written to has other values of these.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use preheat_io::library::build_id;

use crate::files::anywhere::open_anywhere;
use crate::hash::{Digest, FramedHasher};
use crate::store::{Note, Store};

/// The version of the list of fields that name a remembered hash.
const IDENTITY_TAG: &str = "preheat-plugin-file-v1";
/// How many bytes are read at a time while hashing.
const READ_BYTES: usize = 1 << 20;

/// What identifies the build of a plugin: `gnu:` and its build id, or `blake3:` and the hash of its
/// content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PluginBuild(pub String);

/// The plugin's file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the plugin {path:?} cannot be read: {cause}")]
pub struct PluginBuildError {
    path: PathBuf,
    cause: io::Error,
}

impl PluginBuild {
    /// The build of the plugin at `path`. The store `notes` keeps content hashes. If a hash cannot
    /// be kept there, the content is hashed each time.
    pub fn of(path: &Path, notes: Option<&Store>) -> Result<Self, PluginBuildError> {
        Self::read(path, notes).map_err(|cause| PluginBuildError { path: path.to_owned(), cause })
    }

    fn read(path: &Path, notes: Option<&Store>) -> io::Result<Self> {
        let mut file = open_anywhere(path)?;
        if let Some(id) = build_id(&mut file)? {
            let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('0');
            let digits = id.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
            return Ok(Self("gnu:".chars().chain(digits).collect()));
        }
        let before = file.metadata()?;
        let remembered = notes.zip(identity(&before).map(Note::PluginBuild));
        if let Some(digest) = remembered.and_then(|(store, note)| recall(&store.note(note)?)) {
            return Ok(Self(format!("blake3:{digest}")));
        }
        let digest = hash_content(&mut file)?;
        // If the file was written to while it was hashed, the hash is not remembered, and the file
        // is hashed again the next time.
        let unchanged = identity(&file.metadata()?) == identity(&before);
        if let Some((store, note)) =
            remembered.filter(|(store, _)| unchanged && !store.is_read_only())
            && let Err(error) = store.write_note(note, format!("{digest}\n").as_bytes())
        {
            tracing::debug!(path = %path.display(), %error, "the plugin's hash is not remembered");
        }
        Ok(Self(format!("blake3:{digest}")))
    }
}

impl fmt::Display for PluginBuild {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn hash_content(file: &mut File) -> io::Result<Digest> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(read) => {
                hasher.update(&buffer[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A digest of metadata that changes whenever the content of the file changes. `None` if the system
/// has no such metadata.
#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "other systems tell files apart in other ways, or not at all"
)]
fn identity(metadata: &Metadata) -> Option<Digest> {
    use std::os::unix::fs::MetadataExt as _;
    let mut hasher = FramedHasher::new(IDENTITY_TAG);
    hasher.integer(metadata.dev()).integer(metadata.ino()).integer(metadata.size());
    hasher.signed(metadata.mtime()).signed(metadata.mtime_nsec());
    // The change time moves with every write, and unlike the modification time it cannot be set
    // back.
    hasher.signed(metadata.ctime()).signed(metadata.ctime_nsec());
    Some(hasher.finish())
}

#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> Option<Digest> {
    None
}

fn recall(note: &[u8]) -> Option<Digest> {
    std::str::from_utf8(note).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::StoreOptions;

    #[test]
    fn a_content_hash_is_remembered_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(folder.path().join("store"))).unwrap();
        let plugin = folder.path().join("plugin.so");
        fs::write(&plugin, "content").unwrap();
        let expected =
            |content: &str| PluginBuild(format!("blake3:{}", Digest::of(content.as_bytes())));
        assert_eq!(PluginBuild::of(&plugin, Some(&store)).unwrap(), expected("content"));
        let notes: Vec<PathBuf> = fs::read_dir(store.layout().plugin_builds())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(notes.len(), 1);
        // The answer comes from the note, not from the content.
        fs::write(&notes[0], Digest::of(b"noted").to_string()).unwrap();
        assert_eq!(PluginBuild::of(&plugin, Some(&store)).unwrap(), expected("noted"));
        fs::write(&notes[0], "no digest").unwrap();
        assert_eq!(PluginBuild::of(&plugin, Some(&store)).unwrap(), expected("content"));
        fs::write(&plugin, "CONTENT").unwrap();
        assert_eq!(PluginBuild::of(&plugin, Some(&store)).unwrap(), expected("CONTENT"));
        assert_eq!(PluginBuild::of(&plugin, None).unwrap(), expected("CONTENT"));
    }

    #[test]
    fn a_store_that_is_not_to_be_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(folder.path().join("store"))).unwrap();
        let plugin = folder.path().join("plugin.so");
        fs::write(&plugin, "content").unwrap();
        let reader = Store::open(StoreOptions::new(store.dir()).read_only()).unwrap();
        let hashed = PluginBuild::of(&plugin, Some(&reader)).unwrap();
        assert!(!store.dir().exists(), "nothing is written");
        assert_eq!(PluginBuild::of(&plugin, Some(&store)).unwrap(), hashed);
        let note =
            fs::read_dir(store.layout().plugin_builds()).unwrap().next().unwrap().unwrap().path();
        fs::write(&note, Digest::of(b"noted").to_string()).unwrap();
        let noted = PluginBuild(format!("blake3:{}", Digest::of(b"noted")));
        assert_eq!(PluginBuild::of(&plugin, Some(&reader)).unwrap(), noted);
    }

    #[test]
    fn where_nothing_can_be_remembered_the_content_is_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = folder.path().join("plugin.so");
        fs::write(&plugin, "content").unwrap();
        let nowhere = Store::open(StoreOptions::new("/proc/nowhere")).unwrap();
        assert!(PluginBuild::of(&plugin, Some(&nowhere)).unwrap().0.starts_with("blake3:"));
        let error = PluginBuild::of(&folder.path().join("none.so"), None).unwrap_err();
        assert!(error.to_string().contains("none.so"));
    }
}
