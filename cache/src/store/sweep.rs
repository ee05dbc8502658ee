//! Files that are being written, and sweeping up those of processes that died over it.
//!
//! Whoever writes a file below `tmp/` holds a lock on it, which the kernel lets go of with the
//! process. So a file there whose lock can be had belongs to nobody, as does a compile lock's file.
//! Only names that a store gives are looked at.

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
                // Another process sweeps it up in the moment between its making and its lock.
                Err(TryLockError::WouldBlock) => continue,
                // Where locks do not work, nobody sweeps.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            if file.is_still_named() {
                return Ok(file);
            }
        }
        // Files cannot be told apart here, so that no sweep takes one for abandoned.
        root.create(&tmp, prefix)
    }

    /// Writes a small file so that it is there whole or not at all.
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

    /// Removes what processes that died left in `tmp/` and `locks/`. What cannot be removed stays:
    /// it stands in nobody's way.
    pub(super) fn sweep(&self, root: &Folder) {
        for path in self.left_overs(root) {
            match remove_if_abandoned(root, &path) {
                Ok(false) => {}
                Ok(true) => {
                    tracing::debug!(path = %root.full(&path).display(), "removed what a process left that died");
                }
                Err(error) => {
                    tracing::debug!(path = %root.full(&path).display(), %error, "a left-over stays");
                }
            }
        }
    }

    /// What a store itself put into `tmp/` and `locks/`, held by a process or not.
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

/// Removes the file at `path` while its lock is held, so that nobody else holds it; says whether it
/// did.
pub(super) fn remove_if_abandoned(root: &Folder, path: &Path) -> io::Result<bool> {
    let file = root.open_any(path)?;
    match file.try_lock() {
        Ok(()) if root.names(path, &file) => root.remove(path).map(|()| true),
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
