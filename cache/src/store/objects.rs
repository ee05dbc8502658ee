//! The half of the store that lies in plain files: objects, and the quarantine for those that failed a check.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

use super::{LoadedObject, Lookup, Removal, Store, StoreError, key_of_name, read_error, write_error};
use crate::files;
use crate::key::GraphKey;
use crate::lock::{ReadGuard, names};
use crate::object::{self, ObjectError, ProgramFrame};
use crate::record::{GraphRecord, ObjectInfo};

/// An object that is written and not yet where it belongs, with what the index is to know of it.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) record: GraphRecord,
    pub(super) program: ProgramFrame,
    pub(super) info: ObjectInfo,
    /// Gone once the object is where it belongs.
    file: Option<NamedTempFile>,
}

/// A key of which the index tells what there is: this object, or none.
#[derive(Debug)]
pub(super) struct Adopted {
    pub(super) key: GraphKey,
    pub(super) object: Option<ObjectInfo>,
}

/// How many damaged objects and indexes are kept to be looked at; the oldest go.
const QUARANTINED: usize = 16;

impl Store {
    /// The object of a key, found by its path alone, read once and checked before anything of it is returned.
    pub fn load(&self, key: &GraphKey) -> Result<Lookup, StoreError> {
        let path = self.layout.object(key);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(Lookup::Absent),
            Err(error) => return Err(read_error(&path, error)),
        };
        if file.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(StoreError::NotAStore { path, reason: "a folder is where an object should be".to_owned() });
        }
        let guard =
            file.try_clone().map(|file| ReadGuard::new(file, &path)).map_err(|cause| read_error(&path, cause))?;
        match object::load(&mut file, key) {
            Ok(object::Loaded { record, program, payload }) => {
                let stored_bytes = record.object.as_ref().map_or(0, |info| info.stored_bytes);
                Ok(Lookup::Hit(Box::new(LoadedObject { record, payload, stored_bytes, program, guard })))
            }
            Err(ObjectError::Io(cause)) => Err(read_error(&path, cause)),
            // What another release wrote is left for it; a new compile replaces it.
            Err(cause) if !cause.is_damage() => Err(StoreError::Object { key: *key, cause }),
            Err(reason) => {
                drop(guard);
                self.quarantine(key, &file, &reason);
                Ok(Lookup::Damaged { reason })
            }
        }
    }

    /// Writes an object under a name of its own, for [`place`](Self::place) to put where it belongs.
    pub(super) fn stage(
        &self,
        record: &GraphRecord,
        program: ProgramFrame,
        payload: &[u8],
    ) -> Result<Staged, StoreError> {
        self.prepare()?;
        let key = record.graph_key;
        let unwritable = |cause| write_error(&self.layout.tmp(), cause);
        let mut file = self.layout.new_file(&format!("{key}.")).map_err(unwritable)?;
        let path = file.path().to_owned();
        let failed = |error| match error {
            ObjectError::Io(cause) => write_error(&path, cause),
            cause => StoreError::Object { key, cause },
        };
        let info = object::write(&mut files::Writing(&mut file), record, &program, payload).map_err(failed)?;
        self.staged(file, GraphRecord { object: Some(info), ..record.clone() }, program)
    }

    /// What was written to `file` under a name of its own, once it lasts; so do the folders that it will lie in.
    ///
    /// Nothing that can be done before the index is locked is left for then.
    pub(super) fn staged(
        &self,
        file: NamedTempFile,
        record: GraphRecord,
        program: ProgramFrame,
    ) -> Result<Staged, StoreError> {
        let info = record.object.clone().unwrap_or_else(|| ObjectInfo::of(&[]));
        let path = self.layout.object(&record.graph_key);
        let folder = path.parent().unwrap_or(&path);
        let written = files::sync(&file)
            .and_then(|()| files::create_folder(folder))
            // A new folder's own entry has to last as well: both levels above the object.
            .and_then(|()| folder.ancestors().take(2).try_for_each(files::sync_folder_of));
        written.map_err(|cause| write_error(&path, cause))?;
        Ok(Staged { record, program, info, file: Some(file) })
    }

    /// Puts an object where it belongs: whole under its name, or not there at all. Once it is there, there is nothing more to do.
    pub(super) fn place(&self, staged: &mut Staged) -> Result<(), StoreError> {
        let Some(file) = staged.file.take() else { return Ok(()) };
        let path = self.layout.object(&staged.record.graph_key);
        files::persist(file, &path)
            .and_then(|()| files::sync_folder_of(&path))
            .map_err(|cause| write_error(&path, cause))
    }

    /// As [`place`](Self::place), where the index cannot be had. A mark tells the next transaction to record the object.
    ///
    /// The mark comes last: a transaction that saw it before there is an object would take it away.
    pub(super) fn place_unrecorded(&self, staged: &mut Staged) -> Result<(), StoreError> {
        self.place(staged)?;
        self.mark_unrecorded(&staged.record.graph_key);
        Ok(())
    }

    fn mark_unrecorded(&self, key: &GraphKey) {
        let folder = self.layout.unrecorded();
        let mark = folder.join(key.to_string());
        if let Err(error) = files::create_folder(&folder).and_then(|()| files::mark(&mark)) {
            tracing::debug!(path = %mark.display(), %error, "an object is recorded when it is used");
        }
    }

    /// The keys of objects that were stored while the index could not be had.
    pub(super) fn unrecorded_keys(&self) -> Vec<GraphKey> {
        let marks = entries(&self.layout.unrecorded()).unwrap_or_default();
        marks.iter().filter_map(|path| key_of_name(path.file_name()?)).collect()
    }

    /// Takes the marks of objects away that are recorded now, and of those that are gone.
    pub(super) fn forget_unrecorded(&self, adopted: &[Adopted]) {
        for Adopted { key, object } in adopted {
            let mark = self.layout.unrecorded().join(key.to_string());
            if let Err(error) = files::remove(&mark) {
                tracing::debug!(path = %mark.display(), %error, "a mark stays");
            }
            // Whoever stored another one in between may have made its mark before this one was taken away.
            match self.object_record(key) {
                Ok(now) if now.as_ref().and_then(|record| record.object.as_ref()) == object.as_ref() => {}
                Ok(_) | Err(_) => self.mark_unrecorded(key),
            }
        }
    }

    /// Moves the object that was read from `file` out of the way, with the reason beside it. Another process may have been faster:
    /// it moved the object, or put a sound one in its place, and then there is nothing to do. Says whether it is out of the way.
    pub(super) fn quarantine(&self, key: &GraphKey, file: &File, reason: &ObjectError) -> bool {
        let path = self.layout.object(key);
        // The caller warns, who knows what it means for the request.
        tracing::debug!(path = %path.display(), %reason, "an object failed its check and counts as a miss");
        if self.read_only || !names(&path, file) {
            return !self.read_only;
        }
        let stamp = jiff::Timestamp::now().as_nanosecond();
        let target = self.layout.quarantine().join(format!("{key}.{stamp}"));
        let moved = files::create_folder(&self.layout.quarantine())
            .and_then(|()| files::rename(&path, &target))
            .and_then(|()| {
                let note = format!("{path}: {reason}\n", path = path.display());
                fs::write(target.with_extension(format!("{stamp}.reason")), note)
            });
        self.bound_quarantine();
        match moved {
            Err(error) if names(&path, file) => {
                tracing::warn!(path = %path.display(), %error, "a damaged object stays where it is until it is replaced");
                false
            }
            _ => true,
        }
    }

    /// Removes the oldest of what is in quarantine, beyond a number.
    pub(super) fn bound_quarantine(&self) {
        let stamp = |path: &Path| {
            let name = path.file_name()?.to_str()?;
            name.trim_end_matches(".reason").rsplit_once('.')?.1.parse::<i128>().ok()
        };
        let Ok(paths) = entries(&self.layout.quarantine()) else { return };
        let mut stamped: Vec<_> = paths.into_iter().filter_map(|path| Some((stamp(&path)?, path))).collect();
        stamped.sort_unstable();
        let mut stamps: Vec<i128> = stamped.iter().map(|(stamp, _)| *stamp).collect();
        stamps.dedup();
        let Some(kept_from) = stamps.len().checked_sub(QUARANTINED).and_then(|first| stamps.get(first)) else { return };
        for (_, path) in stamped.iter().filter(|(stamp, _)| stamp < kept_from) {
            let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            if let Err(error) = removed {
                tracing::debug!(path = %path.display(), %error, "it stays in quarantine");
            }
        }
    }

    /// Removes a folder, which need not be there; says how many bytes it took.
    pub(super) fn remove_whole(&self, folder: &Path) -> Result<u64, StoreError> {
        self.writable()?;
        if !folder.is_dir() {
            return Ok(0);
        }
        let stored_bytes = bytes_below(folder);
        match files::remove_folder(folder) {
            Ok(()) => Ok(stored_bytes),
            Err(error) if is_absent(&error) => Ok(0),
            Err(error) => Err(write_error(folder, error)),
        }
    }

    /// Removes what is in quarantine; says how many bytes that were.
    pub(super) fn empty_quarantine(&self) -> Result<u64, StoreError> {
        let mut freed_bytes = 0;
        for path in entries(&self.layout.quarantine())? {
            let stored_bytes = bytes_below(&path);
            let removed =
                if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match removed {
                Ok(()) => freed_bytes += stored_bytes,
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(write_error(&path, error)),
            }
        }
        Ok(freed_bytes)
    }

    /// The record in an object's header; a damaged object goes to quarantine. Listing and rebuilding need no more than this.
    pub fn object_record(&self, key: &GraphKey) -> Result<Option<GraphRecord>, StoreError> {
        self.examine(key, object::read_header, |record| record)
    }

    /// The record and the program of an object; no program where it is not the one that the record names.
    pub(super) fn object_program(
        &self,
        key: &GraphKey,
    ) -> Result<Option<(GraphRecord, Option<ProgramFrame>)>, StoreError> {
        let found = self.examine(key, object::read_program, |(record, _)| record)?;
        Ok(found.map(|(record, frame)| {
            let right = frame.is_of(&record.program.digest);
            (record, right.then_some(frame))
        }))
    }

    fn examine<T>(
        &self,
        key: &GraphKey,
        read: impl FnOnce(&mut File) -> Result<T, ObjectError>,
        record: impl FnOnce(&T) -> &GraphRecord,
    ) -> Result<Option<T>, StoreError> {
        let path = self.layout.object(key);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(read_error(&path, error)),
        };
        let found = read(&mut file).and_then(|found| match record(&found).graph_key {
            other if other != *key => Err(ObjectError::OtherKey(other)),
            _ => Ok(found),
        });
        match found {
            Ok(found) => Ok(Some(found)),
            Err(ObjectError::Io(cause)) => Err(read_error(&path, cause)),
            Err(reason) if reason.is_damage() => {
                self.quarantine(key, &file, &reason);
                Ok(None)
            }
            Err(cause) => Err(StoreError::Object { key: *key, cause }),
        }
    }

    /// Whether there is an object under a key; nothing of it is read.
    pub fn has_object(&self, key: &GraphKey) -> bool {
        self.layout.object(key).is_file()
    }

    /// The keys of all objects, sorted.
    pub fn object_keys(&self) -> Result<Vec<GraphKey>, StoreError> {
        let mut keys = Vec::new();
        for first in entries(&self.layout.objects())? {
            for second in entries(&first)? {
                keys.extend(entries(&second)?.iter().filter_map(|path| key_of_name(path.file_name()?)));
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// Removes an object unless a process is loading it.
    pub(super) fn remove_object(&self, key: &GraphKey) -> Result<Removal, StoreError> {
        self.writable()?;
        let path = self.layout.object(key);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(Removal::Absent),
            Err(error) => return Err(read_error(&path, error)),
        };
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Ok(Removal::InUse);
        }
        // Someone has just put another in its place.
        if !names(&path, &file) {
            return Ok(Removal::InUse);
        }
        let stored_bytes = file.metadata().map_or(0, |metadata| metadata.len());
        match files::remove(&path) {
            Ok(()) => Ok(Removal::Removed { stored_bytes }),
            Err(error) if is_absent(&error) => Ok(Removal::Absent),
            Err(error) => Err(write_error(&path, error)),
        }
    }
}

/// Whether an error says that there is nothing at a path.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The paths in a folder; none where it is missing or no folder.
pub(super) fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>, StoreError> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect()),
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        Err(error) => Err(read_error(folder, error)),
    }
}

/// The length of a file, or of all files in a folder. No link is followed.
fn bytes_below(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            entries(path).unwrap_or_default().iter().map(|path| bytes_below(path)).sum()
        }
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    }
}
