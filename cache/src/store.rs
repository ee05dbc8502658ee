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
use crate::lock::{CompileLock, Holder, LockOutcome, ReadGuard, Wait};
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
mod setup;
mod space;
mod sweep;
mod transfer;
mod verify;

pub use bounds::{Prune, PruneReason, Pruned, PrunedEntry};
pub use clear::Cleared;
pub use index::{Rebuilt, Resolved};
pub use marks::{LoadMark, Unfit, remove_load_marks};
pub use notes::Note;
pub use query::{Nearest, Wanted};
use space::Coming;
pub use transfer::{EXPORT_START, Exported, Imported, Refused};
pub use verify::{Finding, FindingKind, Verified, Verifying};

/// How many objects are recorded with one transaction of the index.
const STAGED: usize = 256;
/// How many entries are chosen or removed at a time. A process that is killed leaves at most this
/// many of them half removed.
const BATCH: usize = 512;

/// Where a store is and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// The cache folder. The store is this folder where preheat made it, else a folder
    /// `preheat-store` in it; it is made when something is first written.
    pub dir: PathBuf,
    /// Whether the store is only read and never written.
    pub read_only: bool,
    /// Whose machine code the store may hold.
    pub trust: Trust,
    /// How many bytes the objects may take. Above this limit, the entries that are worth least are
    /// removed.
    pub max_bytes: u64,
}

impl StoreOptions {
    /// How many bytes the objects may take by default: 10 GiB.
    pub const DEFAULT_MAX_BYTES: u64 = 10 << 30;

    /// A store in `dir` that is written and bounded by
    /// [`DEFAULT_MAX_BYTES`](Self::DEFAULT_MAX_BYTES).
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

/// A store, named by its folder. It keeps the folder open, but no file in it, so that any number of
/// processes can share the store.
#[derive(Debug)]
pub struct Store {
    /// The folder that the caller named.
    dir: PathBuf,
    /// The store's folder, once there is one.
    root: Mutex<Option<Arc<Folder>>>,
    trust: Trust,
    /// Paths within the store's folder.
    layout: Layout,
    read_only: bool,
    max_bytes: u64,
    /// Whether this value has removed left-overs of dead processes already: once is enough.
    swept: AtomicBool,
    turns: index::Turns,
}

/// What went wrong with a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store was written by a release that this one cannot follow.
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
    /// The folder holds something else.
    #[error("{path:?} is no preheat store: {reason}")]
    NotAStore {
        /// The folder.
        path: PathBuf,
        /// What it holds instead.
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
    #[error("{path:?} is opened for reading alone")]
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
        /// The bytes of the objects that stay, because they are pinned, in use, or worth more.
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
    /// There is no index yet, and this store is opened for reading only: sled cannot read an index
    /// without writing to it.
    #[error("the store is read-only, and an index cannot be opened without writing")]
    ReadOnly,
    /// The index is damaged. It is built anew from the objects where that is possible.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The file system refused.
    #[error("{0}")]
    Io(io::Error),
    /// The database fails, or something that it needs from the system does. The stored data is not
    /// the cause.
    #[error("{0}")]
    Failed(String),
}

/// What the store has under a key.
#[derive(Debug)]
pub enum Lookup {
    /// An object whose checksum held.
    Hit(Box<LoadedObject>),
    /// The store has nothing under this key.
    Absent,
    /// The file failed a check and is in quarantine now. This counts as a miss, with a warning.
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

    /// Where its file was.
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

    /// Takes the machine code out, with the guard that is dropped once the plugin has it.
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
    /// Opens the store in a folder, which does not have to exist yet. Nothing is created. A store
    /// that was made by a release without marks is marked now.
    pub fn open(options: StoreOptions) -> Result<Self, StoreError> {
        let StoreOptions { dir, read_only, trust, max_bytes } = options;
        let layout = Layout::relative();
        let root = Mutex::new(None);
        let (swept, turns) = (AtomicBool::new(false), index::Turns::default());
        let store = Self { dir, root, trust, layout, read_only, max_bytes, swept, turns };
        store.find()?;
        Ok(store)
    }

    /// The store's paths.
    pub fn layout(&self) -> Layout {
        Layout::new(self.held().map_or_else(|| self.dir.clone(), |root| root.path().to_owned()))
    }

    /// The folder that was named when the store was opened; [`layout`](Self::layout) tells where in
    /// it the store is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the store exists by now.
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

    /// Stores the machine code of a graph, in place of any that is there: first the object, then
    /// its record. Before that, as far as the limit on the store's size demands, the entries that
    /// are worth least are removed.
    ///
    /// Where only the index fails, the object is stored and the error is
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

    /// Moves objects that are already written to their final paths and records them, in one
    /// transaction of the index. Where one of them fails, the first error is returned, although the
    /// others are stored.
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

    /// Takes the right to compile a key. While another process has it, `waiting` is called every
    /// few milliseconds with the time waited so far and the holder. After a wait
    /// ([`CompileLock::waited`]), the object may have been stored.
    pub fn compile_lock(
        &self,
        key: &GraphKey,
        waiting: impl FnMut(Duration, Option<Holder>) -> Wait,
    ) -> Result<LockOutcome, StoreError> {
        let root = self.prepare()?;
        let path = self.layout.compile_lock(key);
        CompileLock::take(&root, &path, waiting).map_err(|cause| self.write_error(&path, cause))
    }

    /// The program of a key: from the index, or else from the object.
    pub fn program(&self, key: &GraphKey) -> Result<Option<Program>, StoreError> {
        match self.indexed_program(key) {
            Ok(Some(program)) => return Ok(Some(program)),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "looking for the program in the object"),
        }
        match self.load(key)? {
            Lookup::Hit(object) => {
                object.program().map(Some).map_err(|cause| StoreError::Object { key: *key, cause })
            }
            Lookup::Absent | Lookup::Damaged { .. } => Ok(None),
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
    /// Calls the free function of this name with the full path of a path within the store's folder.
    fn write_error(&self, path: &Path, cause: io::Error) -> StoreError {
        write_error(&self.layout().root().join(path), cause)
    }

    fn read_error(&self, path: &Path, cause: io::Error) -> StoreError {
        read_error(&self.layout().root().join(path), cause)
    }
}

/// Sorts write errors by what a user can do about them.
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

/// The graph key that a file name spells, if it is the name of one.
fn key_of_name(name: &std::ffi::OsStr) -> Option<GraphKey> {
    name.to_str()?.parse::<Digest>().ok().map(GraphKey)
}

#[cfg(test)]
mod tests;
