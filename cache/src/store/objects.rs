//! Which machine code is stored, and is it intact? This is the part of the store that is kept in
//! plain files: the objects, and the quarantine for objects that failed a check.

use std::fmt::Display;
use std::fs::{File, TryLockError};
use std::io;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{LoadedObject, ObjectLookup, Removal, Store, StoreError, key_of_name};
use crate::files::{Folder, NewFile, is_absent, name_of};
use crate::key::GraphKey;
use crate::layout::Layout;
use crate::lock::ReadGuard;
use crate::object::{self, ObjectError, ProgramFrame};
use crate::record::{GraphRecord, ObjectInfo};

/// An object that is written under a temporary name but is not yet in its final place, with its
/// record for the index.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) record: GraphRecord,
    /// `None` if the program is long and is therefore stored in the object only.
    pub(super) program: Option<ProgramFrame>,
    pub(super) info: ObjectInfo,
    /// `None` once the object is in its final place.
    file: Option<NewFile>,
}

/// A key for which the index now matches the store. `object` is the key's object as the index
/// records it; `None` if there is no object.
#[derive(Debug)]
pub(super) struct Adopted {
    pub(super) key: GraphKey,
    pub(super) object: Option<ObjectInfo>,
}

/// How many unrecorded objects one transaction records.
const UNRECORDED: usize = 256;
/// How many damaged objects and indexes are kept for inspection; the oldest are removed.
const QUARANTINED: usize = 16;

impl Store {
    /// The object of a key. It is found by its path only, read once, and checked before any of it
    /// is returned.
    pub fn load(&self, key: &GraphKey) -> Result<ObjectLookup, StoreError> {
        let path = self.layout.object(key);
        let Some((root, mut file)) = self.open_file(&path)? else {
            return Ok(ObjectLookup::Absent);
        };
        let guard = file.try_clone().map(|file| ReadGuard::new(file, &root.full(&path)));
        let guard = guard.map_err(|cause| self.read_error(&path, cause))?;
        match object::load(&mut file, key) {
            Ok(object::Loaded { record, program, payload }) => {
                let stored_bytes = record.object.as_ref().map_or(0, |info| info.stored_bytes);
                let path = root.full(&path);
                let object = LoadedObject { record, payload, stored_bytes, path, program, guard };
                Ok(ObjectLookup::Hit(Box::new(object)))
            }
            Err(ObjectError::Io(cause)) => Err(self.read_error(&path, cause)),
            // An object of another release is left for that release; a new compile replaces it.
            Err(cause) if !cause.is_damage() => Err(StoreError::Object { key: *key, cause }),
            Err(reason) => {
                drop(guard);
                self.quarantine(key, &file, &reason);
                Ok(ObjectLookup::Damaged { reason })
            }
        }
    }

    /// Opens a file of the store for reading; `None` if it is not there.
    pub(super) fn open_file(&self, path: &Path) -> Result<Option<(Arc<Folder>, File)>, StoreError> {
        let Some(root) = self.root()? else { return Ok(None) };
        match root.read(path) {
            Ok(file) => Ok(Some((root, file))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.read_error(path, error)),
        }
    }

    /// The paths in a folder of the store; empty if the folder is missing.
    pub(super) fn entries(&self, folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let Some(root) = self.root()? else { return Ok(Vec::new()) };
        root.entries(folder).map_err(|error| self.read_error(folder, error))
    }

    /// Writes an object under a temporary name; [`place`](Self::place) moves it to its final place.
    pub(super) fn stage(
        &self,
        record: &GraphRecord,
        program: ProgramFrame,
        payload: &[u8],
    ) -> Result<Staged, StoreError> {
        let root = self.prepare()?;
        let key = record.graph_key;
        let unwritable = |cause| self.write_error(&self.layout.tmp(), cause);
        let mut file = self.new_file(&root, &format!("{key}.")).map_err(unwritable)?;
        let path = file.path().to_owned();
        let failed = |error| match error {
            ObjectError::Io(cause) => self.write_error(&path, cause),
            cause => StoreError::Object { key, cause },
        };
        let info = object::write(&mut file, record, &program, payload).map_err(failed)?;
        self.staged(
            &root,
            file,
            GraphRecord { object: Some(info), ..record.clone() },
            Some(program),
        )
    }

    /// Syncs what was written to `file` under a temporary name, and the folders that will hold the
    /// object.
    ///
    /// Everything that can be done before the index is locked is done here.
    pub(super) fn staged(
        &self,
        root: &Folder,
        file: NewFile,
        record: GraphRecord,
        program: Option<ProgramFrame>,
    ) -> Result<Staged, StoreError> {
        let info = record.object.clone().unwrap_or_else(|| ObjectInfo::of(&[]));
        let path = self.layout.object(&record.graph_key);
        let folder = path.parent().unwrap_or(&path);
        let written = file
            .sync()
            .and_then(|()| root.create_folder(folder))
            // The entries of new folders have to survive a power cut, too: both levels above the
            // object.
            .and_then(|()| {
                folder.ancestors().take(2).try_for_each(|path| root.sync_folder_of(path))
            });
        written.map_err(|cause| self.write_error(&path, cause))?;
        Ok(Staged { record, program, info, file: Some(file) })
    }

    /// Moves an object to its final place. At every moment, there is either a whole object or no
    /// object under its name. After this, the object can be found by its key.
    pub(super) fn place(&self, staged: &mut Staged) -> Result<(), StoreError> {
        let Some(file) = staged.file.take() else { return Ok(()) };
        let path = self.layout.object(&staged.record.graph_key);
        let root = self.prepare()?;
        file.persist(&path)
            .and_then(|()| root.sync_folder_of(&path))
            .map_err(|cause| self.write_error(&path, cause))
    }

    /// Moves an object to its final place while the index cannot be used. An empty file in
    /// `unrecorded/` with the object's key as its name tells the next transaction to record the
    /// object.
    ///
    /// This file is made last: a transaction that saw it before the object was there would remove
    /// it.
    pub(super) fn place_unrecorded(&self, staged: &mut Staged) -> Result<(), StoreError> {
        self.place(staged)?;
        self.mark_unrecorded(&staged.record.graph_key);
        Ok(())
    }

    fn mark_unrecorded(&self, key: &GraphKey) {
        let folder = self.layout.unrecorded();
        let mark = folder.join(key.to_string());
        let Ok(root) = self.prepare() else { return };
        if let Err(error) = root.create_folder(&folder).and_then(|()| root.mark(&mark)) {
            tracing::debug!(path = %mark.display(), %error, "an object has no mark: the index records it when it is used");
        }
    }

    /// Keys of objects that were stored while the index could not be used: at most as many as one
    /// transaction records.
    pub(super) fn unrecorded_keys(&self) -> Vec<GraphKey> {
        let marks = self.entries(&self.layout.unrecorded()).unwrap_or_default();
        marks.iter().filter_map(|path| key_of_name(path.file_name()?)).take(UNRECORDED).collect()
    }

    /// Removes the files in `unrecorded/` for objects that are recorded now, and for objects that
    /// are gone.
    pub(super) fn forget_unrecorded(&self, adopted: &[Adopted]) {
        let Ok(Some(root)) = self.root() else { return };
        for Adopted { key, object } in adopted {
            let mark = self.layout.unrecorded().join(key.to_string());
            if let Err(error) = root.remove(&mark) {
                tracing::debug!(path = %mark.display(), %error, "a mark stays");
            }
            // Another process may have stored another object in between, and made its file in
            // `unrecorded/` before this one was removed.
            match self.object_record(key) {
                Ok(now)
                    if now.as_ref().and_then(|record| record.object.as_ref())
                        == object.as_ref() => {}
                Ok(_) | Err(_) => self.mark_unrecorded(key),
            }
        }
    }

    /// Moves the object that was read from `file` out of the way, with the reason beside it.
    /// Another process may have moved the object already, or put a sound object in its place. If
    /// so, nothing is moved. Returns whether the object is out of the way.
    pub(super) fn quarantine(&self, key: &GraphKey, file: &File, reason: &dyn Display) -> bool {
        let path = self.layout.object(key);
        let Ok(Some(root)) = self.root() else { return false };
        // The caller gives the warning, since it knows what the damage means for the request.
        tracing::debug!(path = %root.full(&path).display(), %reason, "an object failed its check and counts as a miss");
        if self.read_only || !root.names(&path, file) {
            return !self.read_only;
        }
        match self.set_aside(&root, &path, &key.to_string(), &reason.to_string()) {
            Err(error) if root.names(&path, file) => {
                let path = root.full(&path);
                tracing::warn!(path = %path.display(), %error, "a damaged object stays where it is until it is replaced");
                false
            }
            _ => true,
        }
    }

    /// Moves something to the quarantine under a name that begins with `name`, and writes the
    /// reason beside it.
    pub(super) fn set_aside(
        &self,
        root: &Arc<Folder>,
        path: &Path,
        name: &str,
        reason: &str,
    ) -> io::Result<()> {
        let quarantine = self.layout.quarantine();
        let stamp = jiff::Timestamp::now().as_nanosecond();
        let target = quarantine.join(format!("{name}.{stamp}"));
        let note = quarantine.join(format!("{name}.{stamp}.reason"));
        root.create_folder(&quarantine)?;
        root.rename(path, &target)?;
        let mut file = self.new_file(root, &format!("{}.", Layout::SMALL_FILE))?;
        writeln!(file, "{}: {reason}", root.full(path).display())?;
        file.persist(&note)?;
        self.bound_quarantine(root);
        Ok(())
    }

    /// Removes the oldest objects and indexes in quarantine if there are more than [`QUARANTINED`].
    pub(super) fn bound_quarantine(&self, root: &Folder) {
        let paths = root.entries(&self.layout.quarantine()).unwrap_or_default();
        let mut stamped: Vec<_> = paths
            .into_iter()
            .filter_map(|path| Some((Layout::quarantined_at(&path)?, path)))
            .collect();
        stamped.sort_unstable();
        let mut stamps: Vec<i128> = stamped.iter().map(|(stamp, _)| *stamp).collect();
        stamps.dedup();
        let Some(kept_from) =
            stamps.len().checked_sub(QUARANTINED).and_then(|first| stamps.get(first))
        else {
            return;
        };
        for (_, path) in stamped.iter().filter(|(stamp, _)| stamp < kept_from) {
            if let Err(error) = remove_quarantined(root, path) {
                tracing::debug!(path = %root.full(path).display(), %error, "a file stays in quarantine");
            }
        }
    }

    /// Removes the objects and indexes in quarantine, and returns their size in bytes. Other files
    /// stay, such as stray files that a repair moved there.
    pub(super) fn empty_quarantine(&self, root: &Folder) -> Result<u64, StoreError> {
        let mut freed_bytes = 0;
        let paths = self.entries(&self.layout.quarantine())?;
        for path in paths.iter().filter(|path| Layout::quarantined_at(path).is_some()) {
            let stored_bytes = root.bytes_below(path);
            match remove_quarantined(root, path) {
                Ok(()) => freed_bytes += stored_bytes,
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(self.write_error(path, error)),
            }
        }
        Ok(freed_bytes)
    }

    /// The record in an object's header. A damaged object goes to quarantine. Neither the program
    /// nor the machine code is read.
    pub fn object_record(&self, key: &GraphKey) -> Result<Option<GraphRecord>, StoreError> {
        self.examine(key, object::read_header, |record| record)
    }

    /// The record and the program of an object. There is no program if it is long, or if it is not
    /// the one that the record names.
    pub(super) fn object_program(
        &self,
        key: &GraphKey,
    ) -> Result<Option<(GraphRecord, Option<ProgramFrame>)>, StoreError> {
        let found = self.examine(key, object::read_program, |(record, _)| record)?;
        Ok(found.map(|(record, frame)| {
            let frame = frame.filter(|frame| frame.is_of(&record.program.digest));
            (record, frame)
        }))
    }

    fn examine<T>(
        &self,
        key: &GraphKey,
        read: impl FnOnce(&mut File) -> Result<T, ObjectError>,
        record: impl FnOnce(&T) -> &GraphRecord,
    ) -> Result<Option<T>, StoreError> {
        let path = self.layout.object(key);
        let Some((_, mut file)) = self.open_file(&path)? else { return Ok(None) };
        let found = read(&mut file).and_then(|found| match record(&found).graph_key {
            other if other != *key => Err(ObjectError::OtherKey(other)),
            _ => Ok(found),
        });
        match found {
            Ok(found) => Ok(Some(found)),
            Err(ObjectError::Io(cause)) => Err(self.read_error(&path, cause)),
            Err(reason) if reason.is_damage() => {
                self.quarantine(key, &file, &reason);
                Ok(None)
            }
            Err(cause) => Err(StoreError::Object { key: *key, cause }),
        }
    }

    /// Whether there is an object under a key; no byte of it is read.
    pub fn has_object(&self, key: &GraphKey) -> bool {
        self.root()
            .is_ok_and(|root| root.is_some_and(|root| root.is_file(&self.layout.object(key))))
    }

    /// The keys of all objects, sorted.
    pub fn object_keys(&self) -> Result<Vec<GraphKey>, StoreError> {
        self.object_keys_after(None, usize::MAX)
    }

    /// The first `limit` keys of objects after the given key, sorted. Files that do not lie where
    /// their keys belong are left out.
    pub(super) fn object_keys_after(
        &self,
        last: Option<&GraphKey>,
        limit: usize,
    ) -> Result<Vec<GraphKey>, StoreError> {
        let from = last.map(ToString::to_string).unwrap_or_default();
        let sorted = |folder: &Path, begins: &str| -> Result<Vec<(String, PathBuf)>, StoreError> {
            let named =
                |path: PathBuf| Some((format!("{begins}{}", path.file_name()?.to_str()?), path));
            let mut found: Vec<_> = self.entries(folder)?.into_iter().filter_map(named).collect();
            found.retain(|(name, _)| name.as_str() >= from.get(..name.len()).unwrap_or(&from));
            found.sort_unstable();
            Ok(found)
        };
        let mut keys = Vec::new();
        for (first, folder) in sorted(&self.layout.objects(), "")? {
            for (second, folder) in sorted(&folder, &first)? {
                for (_, path) in sorted(&folder, "")? {
                    let key = path.file_name().and_then(key_of_name);
                    keys.extend(
                        key.filter(|key| Some(key) > last && key.to_string().starts_with(&second)),
                    );
                    if keys.len() == limit {
                        return Ok(keys);
                    }
                }
            }
        }
        Ok(keys)
    }

    /// Removes an object unless a process is loading it.
    pub(super) fn remove_object(&self, key: &GraphKey) -> Result<Removal, StoreError> {
        self.writable()?;
        let path = self.layout.object(key);
        let Some(root) = self.root()? else { return Ok(Removal::Absent) };
        // The object may belong to any user, since nothing of it is run.
        let file = match root.open_any(&path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(Removal::Absent),
            Err(error) => return Err(self.read_error(&path, error)),
        };
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Ok(Removal::InUse);
        }
        // Another process has just put another object in its place.
        if !root.names(&path, &file) {
            return Ok(Removal::InUse);
        }
        let stored_bytes = file.metadata().map_or(0, |metadata| metadata.len());
        match root.remove(&path) {
            Ok(()) => Ok(Removal::Removed { stored_bytes }),
            Err(error) if is_absent(&error) => Ok(Removal::Absent),
            Err(error) => Err(self.write_error(&path, error)),
        }
    }
}

/// Removes one thing from the quarantine: a file, or the folder of an index.
fn remove_quarantined(root: &Folder, path: &Path) -> io::Result<()> {
    if root.is_folder(path) { remove_index(root, path) } else { root.remove(path) }
}

/// Removes the folder of an index with the files that sled makes in it. Other files stay.
pub(super) fn remove_index(root: &Folder, folder: &Path) -> io::Result<()> {
    let blobs = folder.join("blobs");
    for path in root.entries(&blobs)? {
        if name_of(&path).is_some_and(|name| Layout::is_sleds(&["blobs", name])) {
            root.remove(&path)?;
        }
    }
    for path in root.entries(folder)? {
        if path != blobs && name_of(&path).is_some_and(|name| Layout::is_sleds(&[name])) {
            root.remove(&path)?;
        }
    }
    if root.is_folder(&blobs)
        && let Err(error) = root.remove_empty_folder(&blobs)
        && error.kind() != io::ErrorKind::DirectoryNotEmpty
    {
        return Err(error);
    }
    match root.remove_empty_folder(folder) {
        // The folder holds files of somebody else.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        other => other,
    }
}
