//! Files that are being written, and sweeping up those of processes that died over it.
//!
//! Whoever writes a file below `tmp/` holds a lock on it, which the kernel lets go of with the process. So a file there whose
//! lock can be had belongs to nobody, as does a compile lock's file.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

use super::Store;
use crate::files;
use crate::lock::{STRAY_LOCKS, names};

impl Store {
    /// A new file in `tmp/`, locked for as long as it is open.
    pub(super) fn new_file(&self, prefix: &str) -> io::Result<NamedTempFile> {
        let tmp = self.layout.tmp();
        for _ in 0..STRAY_LOCKS {
            let file = files::create(&tmp, prefix)?;
            match file.as_file().try_lock() {
                // Another process sweeps it up in the moment between its making and its lock.
                Err(TryLockError::WouldBlock) => continue,
                // Where locks do not work, nobody sweeps.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            if names(file.path(), file.as_file()) {
                return Ok(file);
            }
        }
        // Files cannot be told apart here, so that no sweep takes one for abandoned.
        files::create(&tmp, prefix)
    }

    /// Removes what processes that died left in `tmp/` and `locks/`. What cannot be removed stays: it stands in nobody's way.
    pub(super) fn sweep(&self) {
        let index_lock = self.layout.index_lock();
        for folder in [self.layout.tmp(), self.layout.locks()] {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for path in entries.flatten().map(|entry| entry.path()).filter(|path| *path != index_lock) {
                match remove_if_abandoned(&path) {
                    Ok(false) => {}
                    Ok(true) => tracing::debug!(path = %path.display(), "removed what a process left that died"),
                    Err(error) => tracing::debug!(path = %path.display(), %error, "a left-over stays"),
                }
            }
        }
    }
}

/// Removes the file at `path` while its lock is held, so that nobody else holds it; says whether it did.
pub(super) fn remove_if_abandoned(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    match file.try_lock() {
        Ok(()) if names(path, &file) => files::remove(path).map(|()| true),
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
