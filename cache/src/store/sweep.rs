//! Files that are being written, and sweeping up those of processes that died over it.
//!
//! Whoever writes a file below `tmp/` holds a lock on it, which the kernel lets go of with the process. So a file there whose
//! lock can be had belongs to nobody, as does a compile lock's file.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

use super::Store;
use crate::files;
use crate::layout::Layout;
use crate::lock::{STRAY_LOCKS, names};

impl Layout {
    /// A new file in `tmp/`, locked for as long as it is open.
    pub(super) fn new_file(&self, prefix: &str) -> io::Result<NamedTempFile> {
        let tmp = self.tmp();
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

    /// Writes a small file so that it is there whole or not at all.
    pub(super) fn write_whole(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = self.new_file("file.")?;
        files::Writing(&mut file).write_all(content)?;
        files::sync(&file)?;
        files::persist(file, path)?;
        files::sync_folder_of(path)
    }

    /// Writes what can be found out again to one of the store's paths, whole or not at all, and makes the folders that it needs. What a
    /// process leaves that dies over it is swept up by the store's next write.
    pub fn write_note(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        files::create_folder(&self.tmp())?;
        files::create_folder(path.parent().unwrap_or(path))?;
        self.write_whole(path, content)
    }
}

impl Store {
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
