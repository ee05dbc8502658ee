//! Which objects and records are stored, and how are they read and changed? A [`Store`] keeps
//! objects under their keys, and an index of graph records beside them. This file has the types
//! that callers see; each part of the work has a file of its own in `store/`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::files::Folder;
use crate::format::FormatVersion;
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::layout::Layout;
use crate::lock::{CompileLock, LockHolder, LockOutcome, ReadGuard, Wait};
use crate::object::{self, ObjectError};
use crate::program::Program;
use crate::record::{GraphRecord, ObjectInfo};
use crate::trust::{Distrust, Trust};

mod bounds;
mod clear;
mod index;
mod marks;
mod notes;
mod objects;
mod query;
mod requests;
mod setup;
mod space;
mod spool;
mod sweep;
mod transfer;
mod verify;

pub use bounds::{Prune, PruneReason, Pruned, PrunedEntry};
pub use clear::Cleared;
pub use index::{Rebuilt, Resolved};
pub use marks::{LoadMark, Unfit, remove_load_marks};
pub use notes::Note;
pub use query::{NearestRecord, WantedEntry};
use space::Coming;
pub use spool::Spooled;
pub(crate) use transfer::TakenIn;
pub use transfer::{EXPORT_START, Exported, Imported, RefusedEntry};
pub use verify::{Finding, FindingKind, VerifyReport, Verifying};

/// The most objects that one transaction of the index records.
const STAGED: usize = 256;
/// How many entries are chosen or removed at a time. A process that is killed leaves at most this
/// many of them half removed.
const BATCH: usize = 512;

/// Where a store is and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// The cache folder. It is the store itself if it is already a store, if it does not exist, or
    /// if it is empty and only trusted users can write to it. Otherwise, the store is a folder
    /// `preheat-store` in it. The store is made when something is first written.
    pub dir: PathBuf,
    /// Whether the store is only read and never written.
    pub read_only: bool,
    /// Whose machine code the store may hold.
    pub trust: Trust,
    /// How many bytes the objects may take. Above this limit, the entries that are worth least are
    /// removed. If too few of them can be removed, an object that was just compiled may still take
    /// the store over its limit once.
    pub max_bytes: u64,
}

impl StoreOptions {
    /// How many bytes the objects may take by default: 10 GiB.
    pub const DEFAULT_MAX_BYTES: u64 = 10 << 30;

    /// Options for a store in `dir` that is read and written, trusts only this user, and is limited
    /// to [`DEFAULT_MAX_BYTES`](Self::DEFAULT_MAX_BYTES).
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            read_only: false,
            trust: Trust::Private,
            max_bytes: Self::DEFAULT_MAX_BYTES,
        }
    }

    /// The same options, for a store that is only read.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }
}

/// A store, named by its folder. Between calls, only the folder and the files of this process's own
/// journal are kept open, so any number of processes can share the store.
#[derive(Debug)]
pub struct Store {
    /// The folder that the caller named.
    dir: PathBuf,
    /// The store's folder, once it was found or made.
    root: Mutex<Option<Arc<Folder>>>,
    trust: Trust,
    /// Paths within the store's folder.
    layout: Layout,
    read_only: bool,
    max_bytes: u64,
    /// Whether this `Store` has already removed the files that dead processes left.
    swept: AtomicBool,
    turns: index::Turns,
    /// The events of this process's requests.
    journal: Mutex<requests::Journal>,
    /// Held while a thread of this process counts the events in the journals.
    counting: Mutex<()>,
}

/// What went wrong with a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A later release made the store, in a format that this release cannot read.
    #[error(
        "{path:?} is a store of format {found}, and this release reads format {reads}: {reader} can read it"
    )]
    NewerFormat {
        /// The store's folder.
        path: PathBuf,
        /// Its format.
        found: FormatVersion,
        /// The format that this release reads.
        reads: FormatVersion,
        /// The release that can read it.
        reader: String,
    },
    /// preheat did not make the folder, or its file `format` belongs to something else.
    #[error("{path:?} is not a preheat store: {reason}")]
    NotAStore {
        /// The folder.
        path: PathBuf,
        /// Why it is not a store.
        reason: String,
    },
    /// A user who is not trusted could have written what the store holds. Machine code from such a
    /// user is not run.
    #[error(
        "{cause}, so others could have changed the machine code in the cache: the cache is not used"
    )]
    Untrusted {
        /// Which folder or file, and who.
        cause: Distrust,
    },
    /// There is a file in the place of a folder.
    #[error("name a folder for the cache: {path:?} is a file")]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// The file system is full, or a quota is used up.
    #[error("no space is left for {path:?}: {cause}")]
    Full {
        /// What was being written.
        path: PathBuf,
        /// The error.
        cause: io::Error,
    },
    /// Something could not be written.
    #[error("{path:?} cannot be written: {cause}")]
    Unwritable {
        /// What was being written.
        path: PathBuf,
        /// The error.
        cause: io::Error,
    },
    /// Something is there and could not be read.
    #[error("{path:?} cannot be read: {cause}")]
    Unreadable {
        /// What was being read.
        path: PathBuf,
        /// The error.
        cause: io::Error,
    },
    /// The store was opened for reading only.
    #[error("{path:?} is opened for reading only")]
    ReadOnly {
        /// The store's folder.
        path: PathBuf,
    },
    /// The limit on the store's size leaves no room for this object.
    #[error(
        "the executable of graph {} takes {stored_bytes} bytes, and the limit of {max_bytes} leaves no room for it: {}",
        key.short(),
        space::advice(*stored_bytes, *max_bytes, *kept_bytes)
    )]
    NoRoom {
        /// The object's key.
        key: GraphKey,
        /// The length of its file.
        stored_bytes: u64,
        /// The limit.
        max_bytes: u64,
        /// The bytes of the objects that stay, because they are pinned, in use, worth more, or of
        /// the same batch; 0 if the object alone is larger than the limit.
        kept_bytes: u64,
    },
    /// The index cannot be used. Objects are still found by their keys.
    #[error("the index {path:?} cannot be used: {cause}")]
    IndexUnavailable {
        /// The index.
        path: PathBuf,
        /// Why.
        cause: IndexCause,
    },
    /// An object cannot be made or used, though its file can be reached.
    #[error("the object of {key} cannot be used: {cause}")]
    Object {
        /// Its key.
        key: GraphKey,
        /// Why.
        cause: ObjectError,
    },
}

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexCause {
    /// Other processes held the index for the whole wait.
    #[error("other processes kept it busy for {0:.1?}")]
    Busy(Duration),
    /// A lock of the index is held by something other than a working preheat process.
    #[error(
        "{path:?} was held locked for {waited:.1?} without a sign of work, by another program or by a preheat that hangs"
    )]
    Held {
        /// The locked file.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The store is opened for reading only, so its index cannot be used: sled cannot open an index
    /// without writing to it.
    #[error("the store is read-only, and an index cannot be opened without writing")]
    ReadOnly,
    /// The index is damaged. If possible, a new index is built from the objects.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The file system refused.
    #[error("{0}")]
    Io(io::Error),
    /// The database failed, or the system lacks something that it needs, such as threads. The
    /// stored data is not the cause.
    #[error("{0}")]
    Failed(String),
}

/// What the store has under a key.
#[derive(Debug)]
pub enum ObjectLookup {
    /// An object whose checksum matched.
    Hit(Box<LoadedObject>),
    /// The store has nothing under this key.
    Absent,
    /// The file failed a check. It is moved to quarantine, unless the store is read-only or the
    /// move fails. The load counts as a miss, with a warning.
    Damaged {
        /// What the check said.
        reason: ObjectError,
    },
}

/// An object, read and checked.
#[derive(Debug)]
pub struct LoadedObject {
    /// The record, as it was when the graph was compiled; the index has the current statistics.
    pub record: GraphRecord,
    /// The machine code.
    pub payload: Vec<u8>,
    /// The length of its file.
    pub stored_bytes: u64,
    path: PathBuf,
    program: object::ProgramFrame,
    guard: ReadGuard,
}

impl LoadedObject {
    /// The program that it was compiled from.
    pub fn program(&self) -> Result<Program, ObjectError> {
        self.program.program()
    }

    /// The path of its file when it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that it was read from.
    fn file(&self) -> &std::fs::File {
        self.guard.file()
    }

    /// The hash of the machine code, by which its loads are marked.
    fn payload_digest(&self) -> Option<Digest> {
        self.record.object.as_ref().map(|info| info.payload_digest)
    }

    /// Returns the machine code, and the guard that the caller drops once the plugin has the
    /// machine code.
    pub fn into_payload(self) -> (Vec<u8>, ReadGuard) {
        (self.payload, self.guard)
    }
}

/// The result of removing one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The entry is removed, and its bytes are free.
    Removed {
        /// The length of its object.
        stored_bytes: u64,
    },
    /// There was no such entry.
    Absent,
    /// A process is loading the entry, so it stays.
    InUse,
}

impl Store {
    /// Opens the store in a folder, which does not have to exist yet. No store is created.
    ///
    /// Stores of early releases lack the file that says that preheat made the folder. Such a store
    /// gets this file now, if the store can be written to. If it lies among other files, it is
    /// first moved to a folder `preheat-store` beside them. A store that is opened for reading only
    /// is not changed.
    pub fn open(options: StoreOptions) -> Result<Self, StoreError> {
        let StoreOptions { dir, read_only, trust, max_bytes } = options;
        let layout = Layout::relative();
        let root = Mutex::new(None);
        let (swept, turns) = (AtomicBool::new(false), index::Turns::default());
        let (journal, counting) = (Mutex::default(), Mutex::default());
        let store = Self {
            dir,
            root,
            trust,
            layout,
            read_only,
            max_bytes,
            swept,
            turns,
            journal,
            counting,
        };
        store.find()?;
        Ok(store)
    }

    /// The store's paths.
    pub fn layout(&self) -> Layout {
        Layout::new(self.held().map_or_else(|| self.dir.clone(), |root| root.path().to_owned()))
    }

    /// The folder that was named when the store was opened. The store may be a folder in it: see
    /// [`layout`](Self::layout).
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether there is a store now that can be used.
    pub fn exists(&self) -> bool {
        self.root().is_ok_and(|root| root.is_some())
    }

    /// Whether the store is opened for reading only.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// How many bytes its objects may take.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Stores the machine code of a graph: first the object, then its record. An object that is
    /// already stored under the key is replaced. If the limit on the store's size requires it, the
    /// entries that are worth least are evicted first.
    ///
    /// If only the index fails, the object is stored and the error is
    /// [`StoreError::IndexUnavailable`]. The missing record is added when the key is next
    /// [committed](Self::commit) or the index is rebuilt.
    pub fn put(
        &self,
        record: &GraphRecord,
        program: &Program,
        payload: &[u8],
    ) -> Result<ObjectInfo, StoreError> {
        self.put_all([(record, program, payload)])?
            .pop()
            .ok_or_else(|| StoreError::ReadOnly { path: self.dir().to_owned() })
    }

    /// Stores several graphs, each as [`put`](Self::put) does, with few transactions of the index
    /// for all of them.
    pub fn put_all<'a>(
        &self,
        graphs: impl IntoIterator<Item = (&'a GraphRecord, &'a Program, &'a [u8])>,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        self.writable()?;
        let mut infos = Vec::new();
        let mut staged = Vec::new();
        let coming = Coming::compiled();
        for (record, program, payload) in graphs {
            let failed = |cause: io::Error| StoreError::Object {
                key: record.graph_key,
                cause: cause.into(),
            };
            let program = object::ProgramFrame::of(program).map_err(failed)?;
            staged.push(self.stage(record, program, payload)?);
            if staged.len() >= STAGED {
                infos.extend(self.store_staged(std::mem::take(&mut staged), &coming)?);
            }
        }
        if !staged.is_empty() {
            infos.extend(self.store_staged(staged, &coming)?);
        }
        Ok(infos)
    }

    /// Moves objects, which are already written under temporary names, to their final paths, and
    /// records them in one transaction of the index. If some of them fail, the first error is
    /// returned, although the others are stored.
    fn store_staged(
        &self,
        mut staged: Vec<objects::Staged>,
        coming: &Coming,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        match self.place_and_record(&mut staged, coming) {
            Ok(placed) => staged
                .into_iter()
                .zip(placed)
                .map(|(one, placed)| placed.map(|()| one.info))
                .collect(),
            Err(error @ StoreError::IndexUnavailable { .. }) => {
                for one in &mut staged {
                    self.fits_at_all(one)?;
                    self.place_unrecorded(one)?;
                }
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the lock under which one process compiles the graph of a key. While another process
    /// holds it, `waiting` is called every few milliseconds with the time waited so far and the
    /// holder. After a wait ([`CompileLock::waited`]), the object may have been stored.
    pub fn compile_lock(
        &self,
        key: &GraphKey,
        waiting: impl FnMut(Duration, Option<LockHolder>) -> Wait,
    ) -> Result<LockOutcome, StoreError> {
        let root = self.prepare()?;
        let path = self.layout.compile_lock(key);
        CompileLock::take(&root, &path, waiting).map_err(|cause| self.write_error(&path, cause))
    }

    /// The program of a key; `None` if the store does not have it. It is read from the index, or
    /// from the object if the index does not have it or cannot be used.
    pub fn program(&self, key: &GraphKey) -> Result<Option<Program>, StoreError> {
        match self.indexed_program(key) {
            Ok(Some(program)) => return Ok(Some(program)),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "looking for the program in the object"),
        }
        match self.load(key)? {
            ObjectLookup::Hit(object) => {
                object.program().map(Some).map_err(|cause| StoreError::Object { key: *key, cause })
            }
            ObjectLookup::Absent | ObjectLookup::Damaged { .. } => Ok(None),
        }
    }

    /// Removes an entry, both object and record, unless a process is loading it.
    pub fn remove(&self, key: &GraphKey) -> Result<Removal, StoreError> {
        Ok(self.remove_all(std::slice::from_ref(key))?.pop().unwrap_or(Removal::Absent))
    }

    /// Removes several entries, each as [`remove`](Self::remove) does, with one transaction of the
    /// index for all of them.
    pub fn remove_all(&self, keys: &[GraphKey]) -> Result<Vec<Removal>, StoreError> {
        let removals = self.remove_where(keys, |_| true)?;
        Ok(removals.into_iter().map(|removal| removal.unwrap_or(Removal::Absent)).collect())
    }
}

impl Store {
    /// The error for a failed write to a path within the store's folder.
    fn write_error(&self, path: &Path, cause: io::Error) -> StoreError {
        write_error(&self.layout().root().join(path), cause)
    }

    fn read_error(&self, path: &Path, cause: io::Error) -> StoreError {
        read_error(&self.layout().root().join(path), cause)
    }
}

/// The error for a failed write. Its variant depends on what a user can do about it.
fn write_error(path: &Path, cause: io::Error) -> StoreError {
    if let Some(distrust) = Distrust::of(&cause) {
        return StoreError::Untrusted { cause: distrust.clone() };
    }
    let path = path.to_owned();
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::Full { path, cause }
        }
        _ => StoreError::Unwritable { path, cause },
    }
}

fn read_error(path: &Path, cause: io::Error) -> StoreError {
    match Distrust::of(&cause) {
        Some(distrust) => StoreError::Untrusted { cause: distrust.clone() },
        None => StoreError::Unreadable { path: path.to_owned(), cause },
    }
}

/// The graph key that a file name spells; `None` for any other name.
fn key_of_name(name: &std::ffi::OsStr) -> Option<GraphKey> {
    name.to_str()?.parse::<Digest>().ok().map(GraphKey)
}

#[cfg(test)]
mod tests;
