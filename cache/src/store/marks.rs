//! Did a process die while it loaded this object?
//!
//! A process that is about to load an object makes a mark, and takes it away when the first
//! execution is over. An object that ends the process leaves its mark behind, as does `kill -9`: so
//! a mark of a process that is gone proves nothing, and tells the next process to try the object
//! before it loads it. A mark is an empty file in `loading/`, named after the object's payload and
//! locked for as long as its process lives; the kernel lets go of the lock with the process. Marks
//! outlive the end of a process and not that of the machine, so none is synced.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::sweep::remove_if_abandoned;
use super::{LoadedObject, Store, StoreError};
use crate::files::Folder;
use crate::hash::Digest;
use crate::layout::Layout;
use crate::lock::{CompileLock, Holder, LockOutcome, Wait};

/// A mark of an object that nobody has loaded since then is forgotten.
const KEPT: Duration = Duration::from_hours(30 * 24);

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
    /// Marks that an object is about to be loaded. `None` where that cannot be done: in a store
    /// that is only read, or one whose file system has no locks.
    pub fn mark_load(&self, object: &LoadedObject) -> Option<LoadMark> {
        let payload = object.payload_digest().filter(|_| !self.read_only)?;
        // The object may be from a store behind this one, which is made for the mark, then.
        let root = self.root().ok().flatten().map_or_else(|| self.prepare(), Ok);
        let root = root.inspect_err(|error| tracing::debug!(%error, "a load is not marked")).ok()?;
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
