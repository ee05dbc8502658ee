//! Running transactions: waiting for the index's turn, opening sled, and making an index that is missing or damaged.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::entries::{TakeOver, insert};
use super::transaction::{Fault, Transaction};
use crate::files;
use crate::key::GraphKey;
use crate::lock::lock_before;
use crate::store::objects::Adopted;
use crate::store::{IndexCause, Store, StoreError, write_error};

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
        StoreError::IndexUnavailable { path: self.layout.graphs(), cause }
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
        if !self.layout.format().exists() {
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
        self.prepare()?;
        let deadline = Instant::now() + WRITE_PATIENCE;
        let _lock = self.lock_index(WRITE_PATIENCE, deadline)?;
        self.transact_locked(deadline, &work).map_err(|fault| self.index_error(fault.into_cause(WRITE_PATIENCE)))
    }

    /// Sets the index aside and makes it anew from the objects.
    pub(in crate::store) fn remake_index(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + WRITE_PATIENCE;
        {
            let _lock = self.lock_index(WRITE_PATIENCE, deadline)?;
            self.set_index_aside().map_err(|cause| write_error(&self.layout.graphs(), cause))?;
        }
        self.write(|_| Ok(()))
    }

    fn lock_index(&self, patience: Duration, deadline: Instant) -> Result<fs::File, StoreError> {
        let path = self.layout.index_lock();
        let lock = lock_before(&path, POLL, deadline).map_err(|cause| write_error(&path, cause))?;
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
        self.prepare()?;
        let deadline = Instant::now() + patience;
        let _lock = self.lock_index(patience, deadline)?;
        let failed = |fault: Fault| self.index_error(fault.into_cause(patience));
        match self.transact_locked(deadline, &work) {
            Err(Fault::Damaged(reason)) => {
                tracing::warn!(path = %self.layout.graphs().display(), reason, "the index is damaged and is made anew from the objects");
                self.set_index_aside().map_err(|cause| write_error(&self.layout.graphs(), cause))?;
                self.transact_locked(deadline.max(Instant::now() + READ_PATIENCE), &work).map_err(failed)
            }
            other => other.map_err(failed),
        }
    }

    fn transact_locked<T>(
        &self,
        deadline: Instant,
        work: &impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let database = Transaction::open_database(&self.layout.graphs(), CACHE_BYTES, POLL, deadline)?;
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
    pub(in crate::store) fn remove_older_index(&self) -> Result<u64, StoreError> {
        let older = self.layout.older_graphs();
        if !older.is_dir() {
            return Ok(0);
        }
        self.prepare()?;
        let _lock = self.lock_index(WRITE_PATIENCE, Instant::now() + WRITE_PATIENCE)?;
        self.remove_whole(&older)
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
    fn set_index_aside(&self) -> io::Result<()> {
        files::create_folder(&self.layout.quarantine())?;
        let name = format!("graphs-v2.{}", jiff::Timestamp::now().as_nanosecond());
        files::rename(&self.layout.graphs(), &self.layout.quarantine().join(name))?;
        self.bound_quarantine();
        Ok(())
    }
}
