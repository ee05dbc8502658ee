//! Which files did dead processes leave? A file below `tmp/` is either being written, or was left
//! by a process that died.
//!
//! The process that writes a file below `tmp/` holds a lock on it, which the kernel releases when
//! the process ends. So if a file there can be locked, its process is dead. The same holds for the
//! file of a compile lock. Only files with names that a store gives are looked at.

use std::fs::TryLockError;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Store;
use crate::files::{Folder, NewFile};
use crate::layout::Layout;
use crate::lock::STRAY_LOCKS;

impl Store {
    /// A new file in `tmp/`, locked for as long as it is open.
    pub(super) fn new_file(&self, root: &Arc<Folder>, prefix: &str) -> io::Result<NewFile> {
        let tmp = self.layout.tmp();
        for _ in 0..STRAY_LOCKS {
            let mut file = root.create(&tmp, prefix)?;
            match file.file().try_lock() {
                // Another process removed the file in the moment between its creation and its lock.
                Err(TryLockError::WouldBlock) => continue,
                // If locks do not work, no process removes such files.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            if file.is_still_named() {
                return Ok(file);
            }
        }
        // On this file system, a path never seems to name an open file, so no process removes this
        // file as abandoned.
        root.create(&tmp, prefix)
    }

    /// Writes a small file. At every moment, the path leads to the whole new file, or to what was
    /// there before.
    pub(super) fn write_whole(
        &self,
        root: &Arc<Folder>,
        path: &Path,
        content: &[u8],
    ) -> io::Result<()> {
        let mut file = self.new_file(root, &format!("{}.", Layout::SMALL_FILE))?;
        file.write_all(content)?;
        file.sync()?;
        file.persist(path)?;
        root.sync_folder_of(path)
    }

    /// Removes the files that dead processes left in `tmp/` and `locks/`. A file that cannot be
    /// removed stays, and does no harm.
    pub(super) fn sweep(&self, root: &Folder) {
        for path in self.left_overs(root) {
            match remove_if_abandoned(root, &path) {
                Ok(false) => {}
                Ok(true) => {
                    tracing::debug!(path = %root.full(&path).display(), "removed a file that a dead process left");
                }
                Err(error) => {
                    tracing::debug!(path = %root.full(&path).display(), %error, "a left-over stays");
                }
            }
        }
    }

    /// The files that a store put into `tmp/` and `locks/`, except for the index's lock. Some of
    /// them may be locked by a process.
    pub(super) fn left_overs(&self, root: &Folder) -> Vec<PathBuf> {
        let entries = |folder: &Path| root.entries(folder).unwrap_or_default();
        let temporary =
            entries(&self.layout.tmp()).into_iter().filter(|path| Layout::is_temporary(path));
        let locks =
            entries(&self.layout.locks()).into_iter().filter(|path| Layout::is_compile_lock(path));
        temporary.chain(locks).collect()
    }
}

/// Whether nobody holds the lock of the file at `path`.
pub(super) fn is_abandoned(root: &Folder, path: &Path) -> bool {
    root.open_any(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Removes the file at `path` if its lock can be taken, so that no process holds it. Returns
/// whether it was removed.
pub(super) fn remove_if_abandoned(root: &Folder, path: &Path) -> io::Result<bool> {
    let file = root.open_any(path)?;
    match file.try_lock() {
        Ok(()) if root.names(path, &file) => root.remove(path).map(|()| true),
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
