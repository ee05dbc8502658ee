//! Did a process die while it loaded this object?
//!
//! A process that is about to load an object makes a mark, and takes it away when the first
//! execution is over. An object that ends the process leaves its mark behind, as does `kill -9`: so
//! a mark of a process that is gone proves nothing, and tells the next process to try the object
//! before it loads it. A mark is an empty file in `loading/`, named after the object's payload and
//! locked for as long as its process lives; the kernel lets go of the lock with the process. Marks
//! outlive the end of a process and not that of the machine, so none is synced.
//!
//! An object that ends its process and lies where it cannot be set aside, in a store that is only
//! read, is remembered beside the marks: `unfit/` has a file with the reason, named after the
//! object's key and payload. A process that can write no store has a store of its own for both
//! ([`Store::for_marks`]), in which nothing else ever lies.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::sweep::remove_if_abandoned;
use super::{LoadedObject, Store, StoreError, StoreOptions};
use crate::files::Folder;
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::layout::Layout;
use crate::lock::{CompileLock, Holder, LockOutcome, Wait};

/// A mark of an object that nobody has loaded since then is forgotten.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// A reason is a sentence or two.
const REASON_LIMIT_BYTES: u64 = 64 << 10;

/// What is remembered of an object that ends its process, where it could not be set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// What is known of it.
    pub reason: String,
    /// The file that remembers it; without that file the object is loaded again.
    pub note: PathBuf,
}

/// The mark of one load, until it is dropped.
#[derive(Debug)]
pub struct LoadMark {
    root: Arc<Folder>,
    path: PathBuf,
    payload: Digest,
    /// Its lock says that the process lives.
    _locked: File,
}

impl LoadMark {
    /// The first execution is over, so the object does not end its process: older marks of it say
    /// nothing any more.
    pub fn proven(self) {
        forget(&self.root, &stale_marks(&self.root, &self.payload));
    }
}

/// The marks of this process: what it takes away where it ends without dropping them.
static MADE: Mutex<Vec<(Arc<Folder>, PathBuf)>> = Mutex::new(Vec::new());

fn made() -> MutexGuard<'static, Vec<(Arc<Folder>, PathBuf)>> {
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the marks of this process away, for a process that is about to end in an orderly way
/// although executables are still loaded: it does not end because of them.
pub fn remove_load_marks() {
    for (root, path) in std::mem::take(&mut *made()) {
        // One that stays has its object tried by the next process.
        let _ = root.remove(&path);
    }
}

impl Drop for LoadMark {
    fn drop(&mut self) {
        made().retain(|(_, path)| *path != self.path);
        if let Err(error) = self.root.remove(&self.path) {
            let path = self.root.full(&self.path);
            tracing::debug!(path = %path.display(), %error, "a mark stays, and has its object tried by the next process");
        }
    }
}

impl Store {
    /// A store for marks alone, in a folder that is this user's: no link, and nobody else may write
    /// to it. It is made where that is asked and it is missing; `None` where it cannot be had.
    pub fn for_marks(dir: &Path, make: bool) -> Option<Self> {
        let unusable = |error: &dyn std::fmt::Display| {
            tracing::debug!(path = %dir.display(), %error, "no marks are kept there");
        };
        private_folder(dir, make).inspect_err(|error| unusable(error)).ok()?;
        let store = Self::open(StoreOptions::new(dir)).inspect_err(|error| unusable(error)).ok()?;
        if make {
            // What other processes left in it is swept up as well.
            store.prepare().inspect_err(|error| unusable(error)).ok()?;
        }
        Some(store)
    }

    /// Marks that an object is about to be loaded, whichever store it is from. `None` where that
    /// cannot be done: in a store that is only read, or that this user may not write, or one whose
    /// file system has no locks.
    pub fn mark_load(&self, object: &LoadedObject) -> Option<LoadMark> {
        let payload = object.payload_digest().filter(|_| !self.read_only)?;
        // The object may be from a store behind this one, which is made for the mark, then.
        let root = self.root().ok().flatten().map_or_else(|| self.prepare(), Ok);
        let root =
            root.inspect_err(|error| tracing::debug!(%error, "a load is not marked")).ok()?;
        let marked = self.make_mark(root, payload);
        marked.inspect_err(|error| tracing::debug!(%error, "a load is not marked")).ok()
    }

    fn make_mark(&self, root: Arc<Folder>, payload: Digest) -> io::Result<LoadMark> {
        let folder = self.layout.loading();
        for folder in [&self.layout.tmp(), &folder] {
            root.create_folder(folder)?;
        }
        // The mark is created and locked in `tmp/`. So an unlocked mark in its folder belongs to a
        // process that is gone.
        let mut file = self.new_file(&root, &format!("{payload}."))?;
        let locked = file.file().try_clone()?;
        // Without locks every mark would look like that of a process that is gone. Locked already,
        // it can be locked again.
        locked.try_lock()?;
        let path = folder.join(file.path().file_name().unwrap_or_default());
        file.persist(&path)?;
        made().push((Arc::clone(&root), path.clone()));
        Ok(LoadMark { root, path, payload, _locked: locked })
    }

    /// How many processes are gone that were loading this object, or were in its first execution,
    /// and never got to the end of it.
    pub fn lost_loads(&self, object: &LoadedObject) -> usize {
        self.stale_marks_of(object).map_or(0, |(_, marks)| marks.len())
    }

    /// Forgets them: the object was found harmless.
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

    /// Takes the right to try an object, waiting as [`compile_lock`](Self::compile_lock) does while
    /// another process has it.
    pub fn trial_lock(
        &self,
        object: &LoadedObject,
        waiting: impl FnMut(Duration, Option<Holder>) -> Wait,
    ) -> Result<LockOutcome, StoreError> {
        let root = self.prepare()?;
        let path = self.layout.trial_lock(&object.record.graph_key);
        CompileLock::take(&root, &path, waiting).map_err(|cause| self.write_error(&path, cause))
    }

    /// Whether an object is still what this store has under its key.
    pub fn has_still(&self, object: &LoadedObject) -> bool {
        let path = self.layout.object(&object.record.graph_key);
        self.root().ok().flatten().is_some_and(|root| root.names(&path, object.file()))
    }

    /// Moves an object into quarantine that passed every check and is not fit for use all the same.
    /// Says whether it is out of the way: an object of another store is not.
    pub fn set_object_aside(&self, object: &LoadedObject, reason: &str) -> bool {
        let key = &object.record.graph_key;
        let aside = self.has_still(object) && self.quarantine(key, object.file(), &reason);
        if aside {
            self.forget_lost_loads(object);
        }
        aside
    }

    /// Remembers that an object ends its process, for a store that keeps it all the same; says in
    /// which file.
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

    /// What this store remembers of the object that `holder` has under a key. No more than its
    /// header is read, and that only where something is known of an object of this key.
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

    /// Forgets that an object of this key with this payload is unfit: one that was just compiled
    /// has the same machine code, and is to be used.
    pub fn forget_unfit(&self, key: &GraphKey, payload: &Digest) {
        let path = self.layout.unfit_object(key, payload);
        if let Ok(Some(root)) = self.root()
            && root.is_file(&path)
            && let Err(error) = root.remove(&path)
        {
            tracing::debug!(path = %root.full(&path).display(), %error, "it stays remembered");
        }
    }

    /// Forgets what is remembered of objects that end their process.
    pub(super) fn forget_all_unfit(&self, root: &Folder) {
        let known = root.entries(&self.layout.unfit()).unwrap_or_default().into_iter();
        for path in known.filter(|path| Layout::unfit_key(path).is_some()) {
            if let Err(error) = root.remove(&path) {
                tracing::debug!(path = %root.full(&path).display(), %error, "it stays remembered");
            }
        }
    }

    /// Removes the marks of processes that are gone: all of them, or those that nobody will ask
    /// about.
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

/// Refuses what is no folder of this user's alone. In a folder such as `/tmp`, where everybody
/// makes folders and nobody can rename those of others, it stays what it was found to be.
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
    Err(io::Error::other("it is no folder of this user's alone"))
}

/// The marks of a payload whose processes are gone.
fn stale_marks(root: &Folder, payload: &Digest) -> Vec<PathBuf> {
    let marks = root.entries(&Layout::relative().loading()).unwrap_or_default().into_iter();
    let of_it = marks.filter(|path| Layout::marked_payload(path).as_ref() == Some(payload));
    of_it.filter(|path| is_stale(root, path)).collect()
}

/// Whether a mark's process is gone. Whoever looks shares the lock, so that two who look do not
/// take each other for it.
fn is_stale(root: &Folder, path: &Path) -> bool {
    root.open_any(path).is_ok_and(|file| file.try_lock_shared().is_ok())
}

/// Removes marks, unless their processes live.
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
    use crate::store::{Lookup, StoreOptions};

    fn object(store: &Store, key: &GraphKey) -> Box<LoadedObject> {
        let Lookup::Hit(object) = store.load(key).unwrap() else { panic!("it is stored") };
        object
    }

    /// A mark whose process is gone.
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
        // What is left of a process that ends without a chance to tidy up.
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
        assert_eq!(left, 1, "and its own is gone with the value");
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
        // Another process finds it there.
        let store = Store::for_marks(&marks, false).unwrap();
        assert_eq!((store.lost_loads(&read), store.known_unfit(&other, &holder)), (0, None));
        let known = store.known_unfit(&one, &holder).unwrap();
        assert_eq!((known.reason.as_str(), &known.note), ("it ends processes", &note));
        let (record, program) = super::super::tests::graph(0);
        scratch.store.put(&record, &program, &payload(7)).unwrap();
        assert_eq!(store.known_unfit(&one, &holder), None, "what is there now is another");
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
        assert!(foreign.exists(), "what no store made stays");
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
        assert!(!again, "what is there now is another");
        assert!(store.has_object(&record.graph_key));
    }
}
