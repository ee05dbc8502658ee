//! What did a plugin already answer? Notes are small files with answers that the plugin can give
//! again.

use std::io;
use std::path::{Path, PathBuf};

use super::{Store, StoreError};
use crate::files::{Folder, is_absent};
use crate::hash::Digest;
use crate::layout::Layout;

/// The longest note that is read. A plugin's description of a target takes some kilobytes, and a
/// hash is one line.
const NOTE_LIMIT_BYTES: u64 = 1 << 20;

/// The name of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// A plugin's description of a target, under a digest of the plugin's build, its flags and the
    /// target's name.
    Target(Digest),
    /// The content hash of a plugin that has no build id, under a digest of its device, inode, size
    /// and times.
    PluginBuild(Digest),
}

impl Note {
    fn path(self, layout: &Layout) -> PathBuf {
        match self {
            Self::Target(key) => layout.target(&key),
            Self::PluginBuild(identity) => layout.plugin_build(&identity),
        }
    }
}

impl Store {
    /// The content of a note; `None` where there is no note or it cannot be read.
    pub fn note(&self, note: Note) -> Option<Vec<u8>> {
        let path = note.path(&self.layout);
        self.root().ok()??.read_small(&path, NOTE_LIMIT_BYTES).ok()
    }

    /// Writes a note, whole or not at all. A store that is opened for reading only keeps no notes.
    /// What a process that dies meanwhile leaves is removed by the store's next write.
    pub fn write_note(&self, note: Note, content: &[u8]) -> io::Result<()> {
        let path = note.path(&self.layout);
        let root = self.prepare().map_err(io::Error::other)?;
        root.create_folder(path.parent().unwrap_or(&path))?;
        self.write_whole(&root, &path, content)
    }

    /// Removes a note that turned out to be wrong.
    pub fn forget_note(&self, note: Note) {
        let path = note.path(&self.layout);
        if let Ok(root) = self.prepare()
            && let Err(error) = root.remove(&path)
        {
            tracing::debug!(path = %root.full(&path).display(), %error, "a note stays");
        }
    }

    /// Removes the notes in a folder, and the folder; returns how many bytes that were.
    pub(super) fn remove_notes(&self, root: &Folder, folder: &Path) -> Result<u64, StoreError> {
        let mut freed_bytes = 0;
        for path in self.entries(folder)?.iter().filter(|path| Layout::is_note(path)) {
            let stored_bytes = root.bytes_below(path);
            match root.remove(path) {
                Ok(()) => freed_bytes += stored_bytes,
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(self.write_error(path, error)),
            }
        }
        // The folder stays if it holds files of somebody else.
        let _ = root.remove_empty_folder(folder);
        Ok(freed_bytes)
    }
}
