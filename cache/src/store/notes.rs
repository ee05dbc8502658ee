//! Which facts does a process leave for later processes? A note is a small file: a plugin's
//! description of a target, a plugin's hash, or how far an upgrade is. If a note is lost, a later
//! process finds its content again, which takes time.

use std::io;
use std::path::{Path, PathBuf};

use super::{Store, StoreError};
use crate::files::{Folder, is_absent, name_of};
use crate::hash::Digest;
use crate::key::GraphKey;
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
    /// How far the full compile of a graph is, under the key of its executable of a lower compile
    /// effort.
    Upgrade(GraphKey),
}

impl Note {
    fn path(self, layout: &Layout) -> PathBuf {
        match self {
            Self::Target(key) => layout.target(&key),
            Self::PluginBuild(identity) => layout.plugin_build(&identity),
            Self::Upgrade(lower) => layout.upgrade(&lower),
        }
    }
}

impl Store {
    /// The content of a note; `None` if there is no note or it cannot be read.
    pub fn note(&self, note: Note) -> Option<Vec<u8>> {
        let path = note.path(&self.layout);
        self.root().ok()??.read_small(&path, NOTE_LIMIT_BYTES).ok()
    }

    /// Writes a note, whole or not at all. If the process dies meanwhile, the next process that
    /// writes to the store removes the unfinished file.
    ///
    /// # Errors
    /// If the store is opened for reading only, or the file cannot be written.
    pub fn write_note(&self, note: Note, content: &[u8]) -> io::Result<()> {
        let path = note.path(&self.layout);
        let root = self.prepare().map_err(io::Error::other)?;
        root.create_folder(path.parent().unwrap_or(&path))?;
        self.write_whole(&root, &path, content)
    }

    /// The keys of the executables of a lower compile effort that have an upgrade note, sorted.
    pub fn upgrades(&self) -> Vec<GraphKey> {
        let folder = self.layout.upgrades();
        let Some(root) = self.root().ok().flatten() else { return Vec::new() };
        let names = root.entries(&folder).unwrap_or_default();
        let key = |path: &PathBuf| name_of(path)?.parse().ok().map(GraphKey);
        let mut keys: Vec<GraphKey> = names.iter().filter_map(key).collect();
        keys.sort_unstable();
        keys
    }

    /// Removes a note that turned out to be wrong. If this fails, the note stays, and there is no
    /// error.
    pub fn forget_note(&self, note: Note) {
        let path = note.path(&self.layout);
        if let Ok(root) = self.prepare()
            && let Err(error) = root.remove(&path)
        {
            tracing::debug!(
                path = %root.full(&path).display(),
                %error,
                "a note could not be removed"
            );
        }
    }

    /// Removes the notes in a folder, and then the folder if it is empty. Returns the size of the
    /// notes in bytes.
    pub(super) fn remove_notes(&self, root: &Folder, folder: &Path) -> Result<u64, StoreError> {
        self.remove_named(root, folder, Layout::is_note)
    }

    /// Removes the entries of the Python package's `cached_jit`.
    pub(super) fn remove_jax(&self, root: &Folder) -> Result<u64, StoreError> {
        let mut freed_bytes = 0;
        for function in self.entries(&self.layout.jax())? {
            if Layout::is_note(&function) && root.is_folder(&function) {
                freed_bytes += self.remove_named(root, &function, Layout::is_of_jax)?;
            }
        }
        let _ = root.remove_empty_folder(&self.layout.jax());
        Ok(freed_bytes)
    }

    /// Removes the files of a folder whose names pass, and the folder if it is empty then.
    pub(super) fn remove_named(
        &self,
        root: &Folder,
        folder: &Path,
        is_ours: fn(&Path) -> bool,
    ) -> Result<u64, StoreError> {
        let mut freed_bytes = 0;
        for path in self.entries(folder)?.iter().filter(|path| is_ours(path)) {
            let stored_bytes = root.bytes_below(path);
            match root.remove(path) {
                Ok(()) => freed_bytes += stored_bytes,
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(self.write_error(path, error)),
            }
        }
        // The folder stays if it holds files that are not notes.
        let _ = root.remove_empty_folder(folder);
        Ok(freed_bytes)
    }
}
