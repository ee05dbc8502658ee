//! Where is the store, can this release read it, and can it be written? Opening a store finds its
//! folder and its version; the folders in it are made when something is first written.

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

    /// The store's folder; `None` where there is no store yet.
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

    /// Whether anything can be stored; callers ask before they spend hours on compiling. The store
    /// is made if it is missing.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        let root = self.prepare()?;
        self.new_file(&root, &format!("{}.", Layout::SMALL_FILE))
            .map(drop)
            .map_err(|cause| self.write_error(&self.layout.tmp(), cause))
    }

    /// The store's folder, ready for writing. It is found or made, with the folders in it and the
    /// files that say what it is. What dead processes left in it is removed, once.
    pub(super) fn prepare(&self) -> Result<Arc<Folder>, StoreError> {
        self.writable()?;
        // The folder that was found may have been good for reading only: nothing is written to a
        // folder without the mark.
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
        PlaceError::Io(path, cause) => read_error(&path, cause),
        other => not_usable(other),
    }
}

fn not_made(error: PlaceError) -> StoreError {
    match error {
        PlaceError::Io(path, cause) => write_error(&path, cause),
        other => not_usable(other),
    }
}

fn not_usable(error: PlaceError) -> StoreError {
    match error {
        PlaceError::Io(path, cause) => read_error(&path, cause),
        PlaceError::NotMade(path) => {
            let reason = "preheat did not make this folder, and leaves it alone".to_owned();
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
