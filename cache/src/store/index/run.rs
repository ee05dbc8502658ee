//! How does a transaction get the index, and what if the index is missing or damaged? It takes the
//! index's lock and opens sled; a missing or damaged index is filled from the objects.
//!
//! The index is filled in short turns, and it records how far filling has come. A process that does
//! not need the missing entries waits only briefly. If a process ends while it fills the index, the
//! next process goes on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entries::{TakeOver, digest_at, insert};
use super::open::{Database, open_database};
use super::transaction::{Fault, Transaction};
use super::turn::Turn;
use crate::files::{Folder, name_of};
use crate::key::GraphKey;
use crate::store::objects::{Adopted, remove_index};
use crate::store::{IndexCause, Store, StoreError};
use crate::trust::Trust;

/// How long a reader waits if it can go on without the index.
pub(super) const READ_PATIENCE: Duration = Duration::from_secs(1);
/// How long an optional write waits for the index.
pub(super) const NOTE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a caller waits if it cannot go on without the index.
pub(super) const WHOLE_PATIENCE: Duration = Duration::from_secs(20);
/// How many records one transaction takes from objects.
pub(super) const REBUILD_BATCH: usize = if cfg!(test) { 16 } else { 256 };
/// How long filling holds the index before it lets other processes have it.
const FILL_FOR: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 250 });
/// How long filling waits so that other processes can take the index.
const OTHERS_TURN: Duration = Duration::from_millis(2);
/// The first entry says that the index is whole. The second one exists while the index is being
/// filled, and names the object from which the last record was taken.
const READY: &[u8] = b"mready";
const FILLED: &[u8] = b"mfilled";

/// Whether the caller can go on without the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The caller can go on, even with an index that is still being filled.
    Some,
    /// The caller cannot go on: it waits until the index is whole.
    Whole,
}

impl Store {
    /// Adds the records of objects to the index. Objects that cannot be read are missing in the
    /// result.
    pub(super) fn adopt(
        &self,
        index: &mut Transaction,
        keys: &[GraphKey],
    ) -> Result<Vec<Adopted>, Fault> {
        let mut adopted = Vec::new();
        for graph in keys {
            match self.object_program(graph) {
                Ok(Some((record, frame))) => {
                    insert(index, &record, frame.as_ref(), TakeOver::FromOlder)?;
                    adopted.push(Adopted { key: *graph, object: record.object });
                }
                Ok(None) => adopted.push(Adopted { key: *graph, object: None }),
                Err(error) => tracing::debug!(%graph, %error, "an object has no readable record"),
            }
        }
        Ok(adopted)
    }

    pub(super) fn index_error(&self, cause: IndexCause) -> StoreError {
        StoreError::IndexUnavailable { path: self.layout().graphs(), cause }
    }

    /// Runs `work` in one transaction over a whole index. If there is no store yet, returns
    /// `empty`, and makes no store. Fails in a store that is opened for reading only.
    pub(super) fn read<T>(
        &self,
        empty: impl FnOnce() -> T,
        work: impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.read_within(Need::Whole, WHOLE_PATIENCE, empty, work)
    }

    pub(super) fn read_within<T>(
        &self,
        need: Need,
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
        self.transact(need, patience, work)
    }

    /// Runs `work` in one transaction over a whole index. If the index is damaged, it is left as it
    /// is, and the damage is returned as an error.
    pub(in crate::store) fn inspect<T>(
        &self,
        work: impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let root = self.prepare()?;
        loop {
            let turn = self.take_turn(&root, Need::Whole, WHOLE_PATIENCE)?;
            let answer = self.transact_locked(&root, &turn, Need::Whole, &work);
            drop(turn);
            match answer.map_err(|fault| self.fault_error(fault, Need::Whole))? {
                Some(answer) => return Ok(answer),
                None => std::thread::sleep(OTHERS_TURN),
            }
        }
    }

    /// Moves the index to quarantine, and builds a new one from the objects.
    pub(in crate::store) fn remake_index(&self) -> Result<(), StoreError> {
        let root = self.prepare()?;
        {
            let _turn = self.take_turn(&root, Need::Whole, WHOLE_PATIENCE)?;
            self.set_index_aside(&root)
                .map_err(|cause| self.write_error(&self.layout.graphs(), cause))?;
        }
        self.write(|_| Ok(()))
    }

    pub(super) fn write<T>(
        &self,
        work: impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.transact(Need::Whole, WHOLE_PATIENCE, work)
    }

    /// Runs `work` in one transaction. If the index is damaged, it is first moved to quarantine,
    /// and a new one is built from the objects.
    pub(super) fn transact<T>(
        &self,
        need: Need,
        patience: Duration,
        work: impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let root = self.prepare()?;
        let mut was_damaged = false;
        loop {
            let turn = self.take_turn(&root, need, patience)?;
            match self.transact_locked(&root, &turn, need, &work) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {
                    drop(turn);
                    std::thread::sleep(OTHERS_TURN);
                }
                Err(Fault::Damaged(reason)) if !was_damaged => {
                    was_damaged = true;
                    let path = self.layout.graphs();
                    tracing::warn!(path = %root.full(&path).display(), reason, "the index is damaged and is made anew from the objects");
                    self.set_index_aside(&root).map_err(|cause| self.write_error(&path, cause))?;
                }
                Err(fault) => return Err(self.fault_error(fault, need)),
            }
        }
    }

    /// Runs `work` in one transaction; the caller holds the index's lock. Returns `None` if the
    /// index is not whole yet and `need` requires a whole one.
    fn transact_locked<T>(
        &self,
        root: &Folder,
        turn: &Turn,
        need: Need,
        work: &impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let answer = self.transact_open(root, turn, need, work);
        // sled creates its files with the umask's modes, but the other users of a shared store have
        // to write to them, too.
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
        turn: &Turn,
        need: Need,
        work: &impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        self.remove_half_rewritten(root)?;
        let graphs = self.layout.graphs();
        // The folder is made here because sled would make it with the umask's mode.
        root.create_trusted_folder(&graphs).map_err(Fault::Io)?;
        let open = || open_database(&root.full(&graphs), Instant::now() + self.open_patience(need));
        let database = match open() {
            Err(Fault::Damaged(_)) if remove_torn_snapshots(root, &graphs)? => open()?,
            other => other?,
        };
        self.turns.note(false);
        let is_whole = Transaction::new(&database, turn).get(READY)?.is_some()
            || self.fill_some(&database, turn)?;
        if !is_whole && need == Need::Whole {
            return Ok(None);
        }
        let mut index = Transaction::new(&database, turn);
        let adopted = self.adopt(&mut index, &self.unrecorded_keys())?;
        let answer = work(&mut index)?;
        let is_changed = index.apply()?;
        self.forget_unrecorded(&adopted);
        if is_changed {
            self.rewrite_if_due(root, database, turn);
        }
        Ok(Some(answer))
    }

    fn open_patience(&self, need: Need) -> Duration {
        self.turns.no_sign(need)
    }

    fn fault_error(&self, fault: Fault, need: Need) -> StoreError {
        let busy = || {
            let waited = self.open_patience(need);
            self.turns.note(true);
            IndexCause::Held { path: self.layout().graphs().join("db"), waited }
        };
        self.index_error(fault.into_cause(busy))
    }

    /// Removes the index of an older release, and returns its size in bytes. Every release takes
    /// the same lock around its transactions, so no transaction of the older release is under way.
    pub(in crate::store) fn remove_older_index(&self, root: &Folder) -> Result<u64, StoreError> {
        let older = self.layout.older_graphs();
        if !root.is_folder(&older) {
            return Ok(0);
        }
        let _turn = self.take_turn(root, Need::Whole, WHOLE_PATIENCE)?;
        let stored_bytes = root.bytes_below(&older);
        remove_index(root, &older).map_err(|cause| self.write_error(&older, cause))?;
        Ok(stored_bytes)
    }

    /// Goes on filling an index that is new, or that an interrupted process left half filled.
    /// Returns whether the index is whole now.
    fn fill_some(&self, database: &Database, turn: &Turn) -> Result<bool, Fault> {
        let until = Instant::now() + FILL_FOR;
        loop {
            let mut index = Transaction::new(database, turn);
            let last = index.get(FILLED)?.and_then(|key| digest_at(&key, 0)).map(GraphKey);
            let unlisted = |error: StoreError| Fault::Failed(error.to_string());
            let keys = self.object_keys_after(last.as_ref(), REBUILD_BATCH).map_err(unlisted)?;
            self.adopt(&mut index, &keys)?;
            let is_whole = keys.len() < REBUILD_BATCH;
            match keys.last() {
                Some(last) if !is_whole => index.put(FILLED.to_vec(), last.0.as_bytes().to_vec()),
                _ => {
                    index.remove(FILLED.to_vec());
                    index.put(READY.to_vec(), vec![1]);
                }
            }
            index.apply()?;
            if is_whole || Instant::now() >= until {
                return Ok(is_whole);
            }
        }
    }

    /// Moves sled's folder to the quarantine.
    fn set_index_aside(&self, root: &Arc<Folder>) -> io::Result<()> {
        self.set_aside(root, &self.layout.graphs(), "graphs-v2", "it is damaged")
    }
}

/// Removes unfinished snapshots, which sled was writing when a process was killed. Returns whether
/// there were any. sled 0.34 treats such a file as the newest snapshot, and then reports the
/// database as damaged, although the previous snapshot is still there.
fn remove_torn_snapshots(root: &Folder, graphs: &Path) -> Result<bool, Fault> {
    let is_torn = |path: &PathBuf| {
        name_of(path).is_some_and(|name| name.starts_with("snap.") && name.ends_with(".generating"))
    };
    let torn: Vec<_> =
        root.entries(graphs).map_err(Fault::Io)?.into_iter().filter(is_torn).collect();
    torn.iter().try_for_each(|path| root.remove(path)).map_err(Fault::Io)?;
    Ok(!torn.is_empty())
}
