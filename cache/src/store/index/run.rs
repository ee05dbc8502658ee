//! Running transactions: waiting for the index's turn, opening sled, and making an index that is missing or damaged.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entries::{TakeOver, insert};
use super::transaction::{Fault, Transaction};
use crate::files::Folder;
use crate::key::GraphKey;
use crate::lock::lock_before;
use crate::store::objects::{Adopted, remove_index};
use crate::store::{IndexCause, Store, StoreError};
use crate::trust::Trust;

/// How often a busy index is tried again: sled keeps its lock for a moment after it is dropped.
const POLL: Duration = Duration::from_micros(500);
/// How long a reader waits before it goes on without the index.
pub(super) const READ_PATIENCE: Duration = Duration::from_secs(2);
/// How long a writer waits before what it has to say is lost.
pub(super) const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// sled's own default is a gigabyte.
const CACHE_BYTES: u64 = 8 << 20;
/// How many records one transaction of a rebuild adds.
pub(super) const REBUILD_BATCH: usize = 256;

impl Store {
    /// Takes records from objects. An object that cannot be read is left out of the answer.
    pub(super) fn adopt(&self, index: &mut Transaction, keys: &[GraphKey]) -> Result<Vec<Adopted>, Fault> {
        let mut adopted = Vec::new();
        for graph in keys {
            match self.object_program(graph) {
                Ok(Some((record, frame))) => {
                    insert(index, &record, frame.as_ref(), TakeOver::FromOlder)?;
                    adopted.push(Adopted { key: *graph, object: record.object });
                }
                Ok(None) => adopted.push(Adopted { key: *graph, object: None }),
                Err(error) => tracing::debug!(%graph, %error, "an object gives no record"),
            }
        }
        Ok(adopted)
    }

    pub(super) fn index_error(&self, cause: IndexCause) -> StoreError {
        StoreError::IndexUnavailable { path: self.layout().graphs(), cause }
    }

    /// A transaction that changes nothing; `empty` is the answer of a store that is not there yet.
    pub(super) fn read<T>(
        &self,
        empty: impl FnOnce() -> T,
        work: impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.read_within(READ_PATIENCE, empty, work)
    }

    pub(super) fn read_within<T>(
        &self,
        patience: Duration,
        empty: impl FnOnce() -> T,
        work: impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        if !self.root()?.is_some_and(|root| root.is_file(&self.layout.format())) {
            return Ok(empty());
        }
        if self.read_only {
            return Err(self.index_error(IndexCause::ReadOnly));
        }
        self.transact(patience, work)
    }

    /// A transaction over the index as it is: where it is damaged, that is the answer.
    pub(in crate::store) fn inspect<T>(
        &self,
        work: impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let root = self.prepare()?;
        let deadline = Instant::now() + WRITE_PATIENCE;
        let _lock = self.lock_index(&root, WRITE_PATIENCE, deadline)?;
        self.transact_locked(&root, deadline, &work).map_err(|fault| self.index_error(fault.into_cause(WRITE_PATIENCE)))
    }

    /// Sets the index aside and makes it anew from the objects.
    pub(in crate::store) fn remake_index(&self) -> Result<(), StoreError> {
        let root = self.prepare()?;
        let deadline = Instant::now() + WRITE_PATIENCE;
        {
            let _lock = self.lock_index(&root, WRITE_PATIENCE, deadline)?;
            self.set_index_aside(&root).map_err(|cause| self.write_error(&self.layout.graphs(), cause))?;
        }
        self.write(|_| Ok(()))
    }

    fn lock_index(&self, root: &Folder, patience: Duration, deadline: Instant) -> Result<File, StoreError> {
        let path = self.layout.index_lock();
        let lock = lock_before(root, &path, POLL, deadline).map_err(|cause| self.write_error(&path, cause))?;
        lock.ok_or_else(|| self.index_error(IndexCause::Busy(patience)))
    }

    pub(super) fn write<T>(&self, work: impl Fn(&mut Transaction) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.transact(WRITE_PATIENCE, work)
    }

    /// Runs `work` in one transaction. Where the index is damaged it is set aside, made anew from the objects, and `work` runs once more.
    pub(super) fn transact<T>(
        &self,
        patience: Duration,
        work: impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let root = self.prepare()?;
        let deadline = Instant::now() + patience;
        let _lock = self.lock_index(&root, patience, deadline)?;
        let failed = |fault: Fault| self.index_error(fault.into_cause(patience));
        match self.transact_locked(&root, deadline, &work) {
            Err(Fault::Damaged(reason)) => {
                tracing::warn!(path = %self.layout().graphs().display(), reason, "the index is damaged and is made anew from the objects");
                self.set_index_aside(&root).map_err(|cause| self.write_error(&self.layout.graphs(), cause))?;
                self.transact_locked(&root, deadline.max(Instant::now() + READ_PATIENCE), &work).map_err(failed)
            }
            other => other.map_err(failed),
        }
    }

    fn transact_locked<T>(
        &self,
        root: &Folder,
        deadline: Instant,
        work: &impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let answer = self.transact_open(root, deadline, work);
        // sled makes its files as the umask says, and the others are to write them, too.
        if root.trust() == Trust::Shared
            && let Err(error) = root.settle_modes(&self.layout.graphs())
        {
            tracing::debug!(%error, "the users of a shared store may not all use its index");
        }
        answer
    }

    fn transact_open<T>(
        &self,
        root: &Folder,
        deadline: Instant,
        work: &impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let graphs = self.layout.graphs();
        // sled opens its files by itself, so that what it is led to is looked at before.
        if root.look(&graphs).is_ok_and(|there| !there.is_dir()) {
            return Err(Fault::Io(io::Error::other("it is not a folder")));
        }
        let database = Transaction::open_database(&root.full(&graphs), CACHE_BYTES, POLL, deadline)?;
        let mut index = Transaction::new(&database);
        if index.get(b"mready")?.is_none() {
            self.fill(&database)?;
        }
        let adopted = self.adopt(&mut index, &self.unrecorded_keys())?;
        let answer = work(&mut index)?;
        index.apply()?;
        self.forget_unrecorded(&adopted);
        Ok(answer)
    }

    /// Removes the index of an older release; says how many bytes that were. Every release takes the same lock around its
    /// transactions, so none is within one.
    pub(in crate::store) fn remove_older_index(&self, root: &Folder) -> Result<u64, StoreError> {
        let older = self.layout.older_graphs();
        if !root.is_folder(&older) {
            return Ok(0);
        }
        let _lock = self.lock_index(root, WRITE_PATIENCE, Instant::now() + WRITE_PATIENCE)?;
        let stored_bytes = root.bytes_below(&older);
        remove_index(root, &older).map_err(|cause| self.write_error(&older, cause))?;
        Ok(stored_bytes)
    }

    /// Fills a fresh index, or one whose filling was cut short, from the objects.
    fn fill(&self, database: &sled::Db) -> Result<(), Fault> {
        let keys = self.object_keys().map_err(|error| Fault::Damaged(error.to_string()))?;
        for keys in keys.chunks(REBUILD_BATCH) {
            let mut index = Transaction::new(database);
            self.adopt(&mut index, keys)?;
            index.apply()?;
        }
        let mut index = Transaction::new(database);
        index.put(b"mready".to_vec(), vec![1]);
        index.apply()
    }

    /// Moves sled's folder to the quarantine.
    fn set_index_aside(&self, root: &Arc<Folder>) -> io::Result<()> {
        self.set_aside(root, &self.layout.graphs(), "graphs-v2", "it is damaged")
    }
}
