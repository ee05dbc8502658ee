//! Did a process die while it loaded this object?
//!
//! A process that is about to load an object makes a mark, and removes the mark when the first
//! execution is over. If the object ends the process, the mark stays. But the mark also stays after
//! `kill -9`. So the mark of a dead process is no proof: it only makes the next process try the
//! object in a child process before it loads the object. A mark is an empty file in `loading/`,
//! named after the object's payload. Its process locks it, and the kernel releases the lock when
//! the process ends. Marks have to outlive a process but not a restart of the machine, so marks are
//! not synced.
//!
//! An object that ends its process cannot be moved to quarantine if it lies in a store that is only
//! read. A note about such an object is kept beside the marks: a file in `unfit/` with the reason,
//! named after the object's key and payload. A process that cannot write to its store uses another
//! store for marks and notes ([`Store::for_marks`]), which holds nothing else.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::sweep::remove_if_abandoned;
use super::{LoadedObject, Store, StoreError, StoreOptions};
use crate::files::Folder;
use crate::hash::{Digest, FramedHasher};
use crate::key::GraphKey;
use crate::layout::Layout;
use crate::lock::{CompileLock, LockHolder, LockOutcome, Wait};

/// A mark is removed after this time if nobody has loaded its object since.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// The longest reason that is read; a reason is a sentence or two.
const REASON_LIMIT_BYTES: u64 = 64 << 10;

/// The note about an object that ends its process and could not be moved to quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfit {
    /// Why the object is unfit.
    pub reason: String,
    /// The file of the note. If it is removed, the object is loaded again.
    pub note: PathBuf,
}

/// The mark of one load. Dropping the value removes the mark.
#[derive(Debug)]
pub struct LoadMark {
    root: Arc<Folder>,
    path: PathBuf,
    payload: Digest,
    /// The lock shows that the process lives.
    _locked: File,
}

impl LoadMark {
    /// Removes this mark and older marks of the object: its first execution is over, so the object
    /// does not end its process.
    pub fn proven(self) {
        forget(&self.root, &stale_marks(&self.root, &self.payload));
    }
}

/// The marks of this process. [`remove_load_marks`] removes them if the process ends without
/// dropping the values.
static MADE: Mutex<Vec<(Arc<Folder>, PathBuf)>> = Mutex::new(Vec::new());

fn made() -> MutexGuard<'static, Vec<(Arc<Folder>, PathBuf)>> {
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the marks of this process. A process calls this before it ends in an orderly way while
/// executables are still loaded, since the executables are not the reason for its end.
pub fn remove_load_marks() {
    for (root, path) in std::mem::take(&mut *made()) {
        // If a mark stays, the next process tries its object.
        let _ = root.remove(&path);
    }
}

impl Drop for LoadMark {
    fn drop(&mut self) {
        made().retain(|(_, path)| *path != self.path);
        if let Err(error) = self.root.remove(&self.path) {
            let path = self.root.full(&self.path);
            tracing::debug!(path = %path.display(), %error, "a mark stays: the next process tries its object first");
        }
    }
}

impl Store {
    /// A store for marks only. Its folder must not be a link, must belong to this user, and nobody
    /// else may write to it. The folder is created if it is missing and `make` is set. `None` if
    /// there is no such folder.
    pub fn for_marks(dir: &Path, make: bool) -> Option<Self> {
        let unusable = |error: &dyn std::fmt::Display| {
            tracing::debug!(path = %dir.display(), %error, "no marks are kept there");
        };
        private_folder(dir, make).inspect_err(|error| unusable(error)).ok()?;
        let store = Self::open(StoreOptions::new(dir)).inspect_err(|error| unusable(error)).ok()?;
        if make {
            // This also removes what other processes left in the store.
            store.prepare().inspect_err(|error| unusable(error)).ok()?;
        }
        Some(store)
    }

    /// Marks that an object is about to be loaded. The object may belong to another store. `None`
    /// if no mark can be made here: for example, the store is only read, this user may not write to
    /// it, or its file system has no locks.
    pub fn mark_load(&self, object: &LoadedObject) -> Option<LoadMark> {
        let payload = object.payload_digest().filter(|_| !self.read_only)?;
        // The object may be from a fallback store while this store does not exist yet. In this
        // case, this store is created for the mark.
        let root = self.root().ok().flatten().map_or_else(|| self.prepare(), Ok);
        let root =
            root.inspect_err(|error| tracing::debug!(%error, "a load is not marked")).ok()?;
        let marked = self.make_mark(root, payload);
        marked.inspect_err(|error| tracing::debug!(%error, "a load is not marked")).ok()
    }

    /// Marks that an executable which was just compiled for `key`, and which is not in the store
    /// yet, is about to be loaded. `None` if no mark can be made here.
    pub fn mark_fresh_load(&self, key: &GraphKey) -> Option<LoadMark> {
        if self.read_only {
            return None;
        }
        let marked = self.prepare().map_err(io::Error::other);
        let marked = marked.and_then(|root| self.make_mark(root, fresh(key)));
        marked.inspect_err(|error| tracing::debug!(%error, "a load is not marked")).ok()
    }

    /// How many processes died while they loaded an executable that was just compiled for `key`, or
    /// ran it for the first time.
    pub fn lost_fresh_loads(&self, key: &GraphKey) -> usize {
        let root = self.root().ok().flatten();
        root.map_or(0, |root| stale_marks(&root, &fresh(key)).len())
    }

    fn make_mark(&self, root: Arc<Folder>, payload: Digest) -> io::Result<LoadMark> {
        let folder = self.layout.loading();
        for folder in [&self.layout.tmp(), &folder] {
            root.create_folder(folder)?;
        }
        // The mark is created and locked in `tmp/` before it is moved. So an unlocked mark in
        // `loading/` always belongs to a dead process.
        let mut file = self.new_file(&root, &format!("{payload}."))?;
        let locked = file.file().try_clone()?;
        // Without locks, every mark would look like the mark of a dead process. If locks work, this
        // call succeeds, because both handles share the lock that `new_file` took.
        locked.try_lock()?;
        let path = folder.join(file.path().file_name().unwrap_or_default());
        file.persist(&path)?;
        made().push((Arc::clone(&root), path.clone()));
        Ok(LoadMark { root, path, payload, _locked: locked })
    }

    /// How many processes died while they loaded this object or ran it for the first time.
    pub fn lost_loads(&self, object: &LoadedObject) -> usize {
        self.stale_marks_of(object).map_or(0, |(_, marks)| marks.len())
    }

    /// Removes the marks of dead processes for this object, which was found harmless.
    pub fn forget_lost_loads(&self, object: &LoadedObject) {
        if let Some((root, marks)) = self.stale_marks_of(object) {
            forget(&root, &marks);
        }
    }

    fn stale_marks_of(&self, object: &LoadedObject) -> Option<(Arc<Folder>, Vec<PathBuf>)> {
        let root = self.root().ok().flatten()?;
        let marks = stale_marks(&root, &object.payload_digest()?);
        Some((root, marks))
    }

    /// Takes the right to try an object. While another process has this right, the function waits
    /// as [`compile_lock`](Self::compile_lock) does.
    pub fn trial_lock(
        &self,
        object: &LoadedObject,
        waiting: impl FnMut(Duration, Option<LockHolder>) -> Wait,
    ) -> Result<LockOutcome, StoreError> {
        let root = self.prepare()?;
        let path = self.layout.trial_lock(&object.record.graph_key);
        CompileLock::take(&root, &path, waiting).map_err(|cause| self.write_error(&path, cause))
    }

    /// Whether the object is still the one that this store has under its key.
    pub fn has_still(&self, object: &LoadedObject) -> bool {
        let path = self.layout.object(&object.record.graph_key);
        self.root().ok().flatten().is_some_and(|root| root.names(&path, object.file()))
    }

    /// Moves an object into quarantine because it is not fit for use, although it passed every
    /// check. Returns whether the object is out of the way now: an object of another store is not
    /// moved.
    pub fn set_object_aside(&self, object: &LoadedObject, reason: &str) -> bool {
        let key = &object.record.graph_key;
        let aside = self.has_still(object) && self.quarantine(key, object.file(), &reason);
        if aside {
            self.forget_lost_loads(object);
        }
        aside
    }

    /// Writes a note that an object ends its process, for an object that cannot be moved to
    /// quarantine. Returns the path of the note.
    pub fn remember_unfit(&self, object: &LoadedObject, reason: &str) -> io::Result<PathBuf> {
        let payload = object.payload_digest();
        let payload =
            payload.ok_or_else(|| io::Error::other("its record names no machine code"))?;
        let path = self.layout.unfit_object(&object.record.graph_key, &payload);
        let root = self.prepare().map_err(io::Error::other)?;
        root.create_folder(&self.layout.unfit())?;
        self.write_whole(&root, &path, reason.as_bytes())?;
        self.forget_lost_loads(object);
        Ok(root.full(&path))
    }

    /// The note of this store about the object that `holder` has under a key. At most the object's
    /// header is read, and only if there is a note about an object with this key.
    pub fn known_unfit(&self, key: &GraphKey, holder: &Self) -> Option<Unfit> {
        let root = self.root().ok().flatten()?;
        let known = root.entries(&self.layout.unfit()).unwrap_or_default();
        if !known.iter().any(|path| Layout::unfit_key(path) == Some(*key)) {
            return None;
        }
        let payload = holder.object_record(key).ok()??.object?.payload_digest;
        let path = self.layout.unfit_object(key, &payload);
        let reason = root.read_small(&path, REASON_LIMIT_BYTES).ok()?;
        let reason = String::from_utf8_lossy(&reason).into_owned();
        Some(Unfit { reason, note: root.full(&path) })
    }

    /// Removes the note that an object with this key and this payload is unfit. Callers call it
    /// when they have just compiled the same machine code and are about to use it.
    pub fn forget_unfit(&self, key: &GraphKey, payload: &Digest) {
        let path = self.layout.unfit_object(key, payload);
        if let Ok(Some(root)) = self.root()
            && root.is_file(&path)
            && let Err(error) = root.remove(&path)
        {
            tracing::debug!(path = %root.full(&path).display(), %error, "an object stays marked as unfit");
        }
    }

    /// Removes all notes about objects that end their process.
    pub(super) fn forget_all_unfit(&self, root: &Folder) {
        let known = root.entries(&self.layout.unfit()).unwrap_or_default().into_iter();
        for path in known.filter(|path| Layout::unfit_key(path).is_some()) {
            if let Err(error) = root.remove(&path) {
                tracing::debug!(path = %root.full(&path).display(), %error, "an object stays marked as unfit");
            }
        }
    }

    /// Removes the marks of dead processes: all of them, or only those older than [`KEPT`].
    pub(super) fn sweep_marks(&self, root: &Folder, all: bool) {
        let is_old = |path: &Path| {
            let time = root.look(path).and_then(|metadata| metadata.modified()).ok();
            let age = time.and_then(|time| SystemTime::now().duration_since(time.into_std()).ok());
            age.is_some_and(|age| age > KEPT)
        };
        let marks = root.entries(&self.layout.loading()).unwrap_or_default().into_iter();
        let ours = marks.filter(|path| Layout::marked_payload(path).is_some());
        forget(root, &ours.filter(|path| all || is_old(path)).collect::<Vec<_>>());
    }
}

/// Refuses a folder unless it belongs to this user and nobody else may write to it. In a folder
/// such as `/tmp`, where everybody may create folders but nobody may rename those of others, the
/// result of this check stays valid.
fn private_folder(dir: &Path, make: bool) -> io::Result<()> {
    if make {
        if let Some(above) = dir.parent() {
            std::fs::create_dir_all(above)?;
        }
        #[cfg_attr(not(unix), expect(unused_mut))]
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
    }
    let found = std::fs::symlink_metadata(dir)?;
    #[cfg(unix)]
    let is_own = {
        use std::os::unix::fs::MetadataExt as _;
        found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0
    };
    #[cfg(not(unix))]
    let is_own = true;
    if found.is_dir() && is_own {
        return Ok(());
    }
    Err(io::Error::other("the folder does not belong to this user alone"))
}

/// The digest by which the load of an executable is marked that is not in a store yet. The bytes of
/// an executable differ from compile to compile, so the digest is made from the key.
fn fresh(key: &GraphKey) -> Digest {
    let mut hasher = FramedHasher::new("preheat-fresh-load-v1");
    hasher.text(&key.to_string());
    hasher.finish()
}

/// The marks of a payload that dead processes left.
fn stale_marks(root: &Folder, payload: &Digest) -> Vec<PathBuf> {
    let marks = root.entries(&Layout::relative().loading()).unwrap_or_default().into_iter();
    let of_it = marks.filter(|path| Layout::marked_payload(path).as_ref() == Some(payload));
    of_it.filter(|path| is_stale(root, path)).collect()
}

/// Whether a mark's process is dead. The check takes a shared lock, so that two processes can check
/// at the same time: with an exclusive lock, each could seem to be the mark's own process.
fn is_stale(root: &Folder, path: &Path) -> bool {
    root.open_any(path).is_ok_and(|file| file.try_lock_shared().is_ok())
}

/// Removes marks, except those of living processes.
fn forget(root: &Folder, marks: &[PathBuf]) {
    for path in marks {
        if let Err(error) = remove_if_abandoned(root, path) {
            tracing::debug!(path = %root.full(path).display(), %error, "a mark stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::{Scratch, payload};
    use super::*;
    use crate::key::GraphKey;
    use crate::store::{ObjectLookup, StoreOptions};

    fn object(store: &Store, key: &GraphKey) -> Box<LoadedObject> {
        let ObjectLookup::Hit(object) = store.load(key).unwrap() else {
            panic!("the object is stored")
        };
        object
    }

    /// Makes a mark as a dead process leaves it.
    fn lost(store: &Store, payload: &[u8], letters: &str) -> PathBuf {
        let folder = store.layout().loading();
        let path = folder.join(format!("{}.{letters}", Digest::of(payload)));
        fs::create_dir_all(folder).unwrap();
        fs::write(&path, "").unwrap();
        path
    }

    fn files_in(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_mark_counts_once_its_process_is_gone_and_for_its_own_object_alone() {
        let scratch = Scratch::new();
        let store = &scratch.store;
        let (one, other) = (scratch.put(0).graph_key, scratch.put(1).graph_key);
        let (one, other) = (object(store, &one), object(store, &other));
        let mark = store.mark_load(&one).unwrap();
        let path = mark.root.full(&mark.path);
        assert_eq!((store.lost_loads(&one), store.lost_loads(&other)), (0, 0), "its process lives");
        // This is the state that a process leaves if it ends without cleaning up.
        let LoadMark { _locked: locked, .. } = &mark;
        locked.unlock().unwrap();
        assert_eq!((store.lost_loads(&one), store.lost_loads(&other)), (1, 0));
        std::mem::forget(mark);
        let next = store.mark_load(&one).unwrap();
        lost(store, &payload(1), "0123456789");
        next.proven();
        assert!(!path.exists());
        assert_eq!((store.lost_loads(&one), store.lost_loads(&other)), (0, 1), "the other's stays");
        let left = files_in(&store.layout().loading());
        assert_eq!(left, 1, "dropping the value removes its own mark");
        assert_eq!(files_in(&store.layout().tmp()), 0);
        let read_only = Store::open(StoreOptions::new(store.dir()).read_only()).unwrap();
        assert!(read_only.mark_load(&one).is_none());
    }

    #[test]
    fn what_lies_where_it_cannot_be_set_aside_is_remembered_by_key_and_payload() {
        let (scratch, folder) = (Scratch::new(), tempfile::tempdir().unwrap());
        let (one, other) = (scratch.put(0).graph_key, scratch.put(1).graph_key);
        let holder = Store::open(StoreOptions::new(scratch.store.dir()).read_only()).unwrap();
        let marks = folder.path().join("marks");
        assert!(Store::for_marks(&marks, false).is_none() && !marks.exists());
        let store = Store::for_marks(&marks, true).unwrap();
        let read = object(&holder, &one);
        drop(store.mark_load(&read).unwrap());
        lost(&store, &payload(0), "0123456789");
        assert_eq!((store.lost_loads(&read), store.known_unfit(&one, &holder)), (1, None));
        assert!(!holder.set_object_aside(&read, "it ends processes"));
        let note = store.remember_unfit(&read, "it ends processes").unwrap();
        // Another process finds the note in that store.
        let store = Store::for_marks(&marks, false).unwrap();
        assert_eq!((store.lost_loads(&read), store.known_unfit(&other, &holder)), (0, None));
        let known = store.known_unfit(&one, &holder).unwrap();
        assert_eq!((known.reason.as_str(), &known.note), ("it ends processes", &note));
        let (record, program) = super::super::tests::graph(0);
        scratch.store.put(&record, &program, &payload(7)).unwrap();
        assert_eq!(store.known_unfit(&one, &holder), None, "the object there now is another");
        store.forget_unfit(&one, &Digest::of(&payload(7)));
        assert!(note.exists());
        store.forget_unfit(&one, &Digest::of(&payload(0)));
        assert!(!note.exists());
        store.remember_unfit(&read, "it ends processes").unwrap();
        store.clear().unwrap();
        assert!(!note.exists());
    }

    #[cfg(unix)]
    #[test]
    fn marks_lie_in_no_folder_that_is_a_link_or_that_others_may_write() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (link, open) = (folder.path().join("link"), folder.path().join("open"));
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, &link).unwrap();
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        for dir in [&link, &open] {
            assert!(Store::for_marks(dir, true).is_none());
        }
        assert_eq!((files_in(&elsewhere), files_in(&open)), (0, 0));
        let own = folder.path().join("above/own");
        Store::for_marks(&own, true).unwrap();
        assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn marks_that_nobody_asks_about_go_in_the_end_and_all_but_the_living_with_a_clear() {
        let scratch = Scratch::new();
        let key = scratch.put(0).graph_key;
        let young = lost(&scratch.store, &payload(8), "abcdef0123");
        let old = lost(&scratch.store, &payload(9), "abcdef0123");
        let then = SystemTime::now() - KEPT - Duration::from_hours(1);
        File::open(&old).unwrap().set_modified(then).unwrap();
        let foreign = scratch.store.layout().loading().join("thesis.txt");
        fs::write(&foreign, "").unwrap();
        File::open(&foreign).unwrap().set_modified(then).unwrap();
        let store = Store::open(StoreOptions::new(scratch.store.dir())).unwrap();
        store.prepare().unwrap();
        assert_eq!((young.exists(), old.exists()), (true, false));
        let living = store.mark_load(&object(&store, &key)).unwrap();
        store.clear().unwrap();
        assert_eq!((young.exists(), living.root.full(&living.path).exists()), (false, true));
        assert!(foreign.exists(), "files that no store made stay");
    }

    #[test]
    fn an_object_that_is_set_aside_says_why_and_the_one_that_replaced_it_stays() {
        let scratch = Scratch::new();
        let store = &scratch.store;
        let record = scratch.put(0);
        let read = object(store, &record.graph_key);
        lost(store, &payload(0), "abcdef0123");
        assert!(store.set_object_aside(&read, "it ends processes"));
        assert!(!store.has_object(&record.graph_key) && !store.has_still(&read));
        assert_eq!(store.lost_loads(&read), 0);
        let notes = fs::read_dir(store.layout().quarantine()).unwrap();
        let mut notes = notes.map(|entry| entry.unwrap().path());
        let note = notes.find(|path| path.to_string_lossy().ends_with(".reason")).unwrap();
        assert!(fs::read_to_string(note).unwrap().contains("it ends processes"));
        scratch.put(0);
        let again = store.set_object_aside(&read, "it ends processes");
        assert!(!again, "the object there now is another");
        assert!(store.has_object(&record.graph_key));
    }
}
