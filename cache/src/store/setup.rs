//! Where is the store, can this release read it, and can it be written? Opening a store finds its
//! folder and its version; the folders in it are made when something is first written.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::{Store, StoreError, read_error, write_error};
use crate::files::{Folder, is_absent};
use crate::format::FormatVersion;
use crate::layout::Layout;
use crate::place::{self, Place, PlaceError};
use crate::trust::Trust;

impl Store {
    /// The store's folder, if it was found.
    pub(super) fn held(&self) -> Option<Arc<Folder>> {
        self.root.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, folder: Folder) -> Arc<Folder> {
        let folder = Arc::new(folder);
        *self.root.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&folder));
        folder
    }

    /// The store's folder; `None` if there is no store yet.
    pub(super) fn root(&self) -> Result<Option<Arc<Folder>>, StoreError> {
        match self.held() {
            Some(root) => Ok(Some(root)),
            None => self.find(),
        }
    }

    /// Looks for the store's folder. Refuses a folder that holds a newer store or something else,
    /// and a folder that a user who is not trusted could have written to.
    pub(super) fn find(&self) -> Result<Option<Arc<Folder>>, StoreError> {
        let look = || Place::look(&self.dir, self.trust);
        let place = look().map_err(not_found)?;
        let folder = if self.read_only {
            place.readable()
        } else {
            // A store that cannot be taken over can still be read; a process that writes tries
            // again to take it over.
            place.owned().or_else(|error| {
                tracing::debug!(?error, "the store of an earlier release is not taken over");
                look()?.readable()
            })
        };
        let folder = folder.map_err(not_found)?;
        Ok(folder.map(|folder| self.hold(folder)))
    }

    /// Refuses to write if the store was opened for reading only.
    pub(super) fn writable(&self) -> Result<(), StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly { path: self.dir.clone() });
        }
        Ok(())
    }

    /// Fails if nothing can be stored. Callers check this before they spend hours on compiling. The
    /// store is made if it is missing.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        let root = self.prepare()?;
        self.new_file(&root, &format!("{}.", Layout::SMALL_FILE))
            .map(drop)
            .map_err(|cause| self.write_error(&self.layout.tmp(), cause))
    }

    /// The store's folder, ready for writing. The folder is found or made, with the folders in it
    /// and the files that mark it as a store. The files that dead processes left in it are removed,
    /// once.
    pub(super) fn prepare(&self) -> Result<Arc<Folder>, StoreError> {
        self.writable()?;
        // The folder that was found may have no mark: such a folder can be read, but nothing is
        // written to it.
        let marked = |root: &Arc<Folder>| root.is_file(&self.layout.owned());
        let usable = |root: &Arc<Folder>| root.is_still_there() && marked(root);
        let root = match self.held().filter(usable) {
            Some(root) => root,
            None => self.hold(place::find_or_make(&self.dir, self.trust).map_err(not_made)?),
        };
        // A process that died while it made the store also leaves files.
        if !self.swept.swap(true, Ordering::Relaxed) {
            if self.trust == Trust::Shared && !root.is_shared() {
                place::settle(&root).map_err(|cause| write_error(root.path(), cause))?;
            }
            self.sweep(&root);
            self.sweep_marks(&root, false);
        }
        let layout = &self.layout;
        let folders = [layout.objects(), layout.locks(), layout.tmp()];
        if folders.iter().all(|folder| root.is_folder(folder)) && root.is_file(&layout.format()) {
            return Ok(root);
        }
        for folder in &folders {
            root.create_folder(folder).map_err(|cause| self.write_error(folder, cause))?;
        }
        let files = [
            (layout.cachedir_tag(), Layout::CACHEDIR_TAG.to_owned()),
            (layout.format(), FormatVersion::CURRENT.file_content()),
        ];
        for (path, content) in files {
            if root.look(&path).is_err_and(|error| is_absent(&error)) {
                self.write_whole(&root, &path, content.as_bytes())
                    .map_err(|cause| self.write_error(&path, cause))?;
            }
        }
        Ok(root)
    }
}

fn not_found(error: PlaceError) -> StoreError {
    match error {
        PlaceError::Io(path, cause) => unless_a_file(&path, cause, read_error),
        other => not_usable(other),
    }
}

fn not_made(error: PlaceError) -> StoreError {
    match error {
        PlaceError::Io(path, cause) => unless_a_file(&path, cause, write_error),
        other => not_usable(other),
    }
}

/// The error for a folder that cannot be reached. It is [`StoreError::NotAFolder`] if there is a
/// file in the place of the folder or of a folder above it. Otherwise, it is the error that
/// `otherwise` makes.
fn unless_a_file(
    folder: &Path,
    cause: io::Error,
    otherwise: fn(&Path, io::Error) -> StoreError,
) -> StoreError {
    let is_file = |path: &&Path| path.metadata().is_ok_and(|found| !found.is_dir());
    match folder.ancestors().find(is_file) {
        Some(file) if cause.kind() == io::ErrorKind::NotADirectory => {
            StoreError::NotAFolder { path: file.to_owned() }
        }
        _ => otherwise(folder, cause),
    }
}

fn not_usable(error: PlaceError) -> StoreError {
    match error {
        PlaceError::Io(path, cause) => unless_a_file(&path, cause, read_error),
        PlaceError::NotMade(path) => {
            let reason = "preheat did not make this folder, and does not use it".to_owned();
            StoreError::NotAStore { path, reason }
        }
        PlaceError::Newer(path, found, reader) => StoreError::NewerFormat {
            path,
            found,
            reads: FormatVersion::CURRENT,
            reader: reader.unwrap_or_else(|| "a later release of preheat".to_owned()),
        },
        PlaceError::OtherFormat(path, start) => {
            let reason = format!("its file `format` starts with {start:?}");
            StoreError::NotAStore { path, reason }
        }
    }
}
