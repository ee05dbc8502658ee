//! The half of the store that lies in sled: graph records, programs, what level 1 knows, and statistics.
//!
//! sled admits one process and locks its folder for as long as it is open, so each transaction here opens it, works, flushes and
//! closes it, behind a lock file of its own. All entries are in one tree, since sled applies a batch over one tree as a whole:
//!
//! | key | value |
//! |---|---|
//! | `r` graph key | its use (statistics, last load time, pins), as JSON; then the record as JSON, zstd |
//! | `p`, or `k` if it is small; program digest | a program: format, length, zstd frame |
//! | `q` program digest, graph key | nothing: this graph was compiled from that program |
//! | `j` projection key | the graph key, and a hash over both keys: level 1 |
//! | `s` signature digest, graph key | nothing: this exact request led to that graph |
//! | `n` list | the newest graphs of a stage, of one model or of any: graph keys, the newest first |
//! | `v` place, graph key | nothing: the order in which graphs go when room is needed; pinned ones are not in it |
//! | `i` signature digest | nothing: whatever this exact request leads to is pinned |
//! | `m` name | `statistics`: counters and totals, as JSON; `ready`: the index is whole |
//!
//! Kinds that there are many small ones of lie in sled several to a value: see `packing`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::objects::Staged;
use super::{IndexCause, Removal, Store, StoreError};
use crate::files;
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::lock::lock_before;
use crate::program::Program;
use crate::record::{GraphRecord, RecordedSignature};
use crate::statistics::{Counters, Match, Source, Statistics, Use};

mod codec;
pub(super) mod entries;
mod packing;
pub(super) mod transaction;

use codec::store_record;
use entries::{
    TakeOver, Usage, forget_dropped, graph_at_end, insert, key, led_to, link_signature, load_candidates, load_program,
    load_record, load_records, load_statistics, load_usage, pin_by, range_beginning, recount, remove, resolve_one,
    store_statistics, store_usage,
};
use transaction::{Fault, Transaction};

/// How often a busy index is tried again: sled keeps its lock for a moment after it is dropped.
const POLL: Duration = Duration::from_micros(500);
/// How long a reader waits before it goes on without the index.
const READ_PATIENCE: Duration = Duration::from_secs(2);
/// How long a writer waits before what it has to say is lost.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// sled's own default is a gigabyte.
const CACHE_BYTES: u64 = 8 << 20;
/// How many records one transaction of a rebuild adds.
const REBUILD_BATCH: usize = 256;

/// What level 1 knows of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The graph.
    pub graph_key: GraphKey,
    /// [`Match::Exact`] where this very signature was run before, else [`Match::Equivalent`].
    pub matched: Match,
    /// What compiling it took.
    pub compile_seconds: f64,
}

/// What a rebuild of the index found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// Records taken from objects.
    pub added: u64,
    /// Records that were there.
    pub kept: u64,
    /// Objects without a readable record; damaged ones are in quarantine now.
    pub skipped: u64,
}

impl Store {
    /// What level 1 knows of each `(projection key, signature digest)`; one transaction for all stages of a request.
    ///
    /// An answer is not the last word: see [`GraphRecord::answers`].
    pub fn resolve(&self, stages: &[(Digest, Digest)]) -> Result<Vec<Option<Resolved>>, StoreError> {
        self.resolve_within(stages, READ_PATIENCE)
    }

    /// As [`resolve`](Self::resolve), waiting no longer than `patience` for other processes.
    pub fn resolve_within(
        &self,
        stages: &[(Digest, Digest)],
        patience: Duration,
    ) -> Result<Vec<Option<Resolved>>, StoreError> {
        self.read_within(
            patience,
            || vec![None; stages.len()],
            |index| stages.iter().map(|(projection, signature)| resolve_one(index, projection, signature)).collect(),
        )
    }

    /// Adds uses and counters to the store's statistics, and remembers the signatures of the uses. One transaction.
    ///
    /// A key whose record is missing gets it back from its object.
    pub fn commit(&self, uses: &[Use], counters: &Counters) -> Result<(), StoreError> {
        self.commit_within(uses, counters, WRITE_PATIENCE)
    }

    /// As [`commit`](Self::commit), waiting no longer than `patience` for other processes: past it, what was to be committed is lost.
    pub fn commit_within(&self, uses: &[Use], counters: &Counters, patience: Duration) -> Result<(), StoreError> {
        self.transact(patience, |index| {
            let mut statistics = load_statistics(index)?;
            for one in uses {
                let compile_seconds = self.record_use(index, one, &mut statistics)?;
                statistics.count(one, compile_seconds);
            }
            statistics.add(counters);
            store_statistics(index, &statistics)
        })
    }

    /// Notes requests that lead to a graph although nobody has made them: they were made where another plugin build was in use.
    ///
    /// A key without a record stays without one.
    pub fn add_signatures(&self, graph: &GraphKey, signatures: &[RecordedSignature]) -> Result<(), StoreError> {
        self.write(|index| {
            let Some(mut record) = load_record(index, graph)? else { return Ok(()) };
            let mut statistics = load_statistics(index)?;
            let mut usage = load_usage(index, graph)?;
            for signature in signatures {
                pin_by(index, signature, &mut usage)?;
                note_signature(index, &mut record, signature, &mut statistics)?;
            }
            store_usage(index, &record, usage)?;
            store_statistics(index, &statistics)
        })
    }

    /// The record of a key, with its current statistics.
    pub fn record(&self, key: &GraphKey) -> Result<Option<GraphRecord>, StoreError> {
        self.read(|| None, |index| load_record(index, key))
    }

    /// The records that an exact request led to, by the digest of its signature, over all environments.
    pub fn records_of_signature(&self, signature: &Digest) -> Result<Vec<GraphRecord>, StoreError> {
        self.read(Vec::new, |index| {
            let entries = index.scan(&key(b's', &[signature]))?;
            let keys = entries.iter().filter_map(|(entry, _)| graph_at_end(entry));
            keys.filter_map(|key| load_record(index, &key).transpose()).collect()
        })
    }

    /// The records whose keys begin with some digits, in the order of their keys: at most `limit` of them.
    pub fn records_beginning(&self, digits: &str, limit: usize) -> Result<Vec<GraphRecord>, StoreError> {
        let Some((low, high)) = range_beginning(digits) else { return Ok(Vec::new()) };
        self.read(Vec::new, |index| {
            let found = index.range_first(&low, &high, limit)?;
            let keys = found.iter().filter_map(|(entry, _)| graph_at_end(entry));
            keys.filter_map(|key| load_record(index, &key).transpose()).collect()
        })
    }

    /// The records that are most worth comparing with what was looked for.
    pub(super) fn candidates(&self, wanted: &super::Wanted<'_>) -> Result<Vec<GraphRecord>, StoreError> {
        self.read(Vec::new, |index| load_candidates(index, wanted))
    }

    /// All records, in the order of their keys.
    pub fn records(&self) -> Result<Vec<GraphRecord>, StoreError> {
        self.read(Vec::new, |index| load_records(index))
    }

    /// The counters and totals.
    pub fn statistics(&self) -> Result<Statistics, StoreError> {
        let none_yet = || Statistics { since: jiff::Timestamp::now(), ..Statistics::default() };
        self.read(none_yet, |index| load_statistics(index))
    }

    /// Sets the counters back; entries and what describes them stay.
    pub fn zero_statistics(&self) -> Result<(), StoreError> {
        self.write(|index| {
            let mut statistics = load_statistics(index)?;
            statistics.zero(jiff::Timestamp::now());
            store_statistics(index, &statistics)
        })
    }

    /// Whether this exact request led to some graph before, by the digest of its signature.
    pub fn knows_signature(&self, signature: &Digest) -> Result<bool, StoreError> {
        self.read(|| false, |index| index.any(&key(b's', &[signature])))
    }

    /// Keeps every entry that an exact request led to, or will lead to, out of eviction, or lets them go again. Says how many there
    /// are now. The request is named by the digest of its signature.
    pub fn set_signature_pinned(&self, signature: &Digest, pinned: bool) -> Result<u64, StoreError> {
        self.write(|index| {
            let request = key(b'i', &[signature]);
            if pinned {
                index.put(request, Vec::new());
            } else {
                index.remove(request);
            }
            let mut graphs = 0;
            for (entry, _) in index.scan(&key(b's', &[signature]))? {
                let Some(graph) = graph_at_end(&entry) else { continue };
                let Some(record) = load_record(index, &graph)? else { continue };
                let mut usage = load_usage(index, &graph)?;
                usage.pinned_by.retain(|one| one != signature);
                usage.pinned_by.extend(pinned.then_some(*signature));
                store_usage(index, &record, usage)?;
                graphs += 1;
            }
            Ok(graphs)
        })
    }

    /// The graphs that may go, those that are worth least first.
    pub(super) fn eviction_order(&self) -> Result<Vec<GraphKey>, StoreError> {
        self.read(Vec::new, |index| Ok(index.scan(b"v")?.iter().filter_map(|(entry, _)| graph_at_end(entry)).collect()))
    }

    /// Keeps an entry out of eviction, or lets it go again. Says whether there is such an entry. What is pinned by its signature
    /// stays so: [`set_signature_pinned`](Self::set_signature_pinned).
    pub fn set_pinned(&self, graph: &GraphKey, pinned: bool) -> Result<bool, StoreError> {
        self.write(|index| {
            let Some(record) = load_record(index, graph)? else { return Ok(false) };
            let usage = Usage { pinned, ..load_usage(index, graph)? };
            store_usage(index, &record, usage)?;
            Ok(true)
        })
    }

    /// Takes the record of each object that the index lacks from the object. Where the index is damaged, it is made anew first.
    /// The totals of the statistics are counted anew.
    pub fn rebuild_index(&self) -> Result<Rebuilt, StoreError> {
        let known: Vec<GraphKey> =
            self.write(|index| Ok(load_records(index)?.into_iter().map(|record| record.graph_key).collect()))?;
        let missing: Vec<GraphKey> =
            self.object_keys()?.into_iter().filter(|key| known.binary_search(key).is_err()).collect();
        let mut rebuilt = Rebuilt { kept: known.len() as u64, ..Rebuilt::default() };
        for keys in missing.chunks(REBUILD_BATCH) {
            let added = self.write(|index| self.adopt(index, keys))?;
            rebuilt.added += added;
            rebuilt.skipped += keys.len() as u64 - added;
        }
        self.write(recount)?;
        Ok(rebuilt)
    }

    /// Puts objects that are written where they belong and adds their records; before, what is worth least makes room.
    ///
    /// The objects move while the index is held, so that those that are in place never take more than the limit.
    pub(super) fn place_and_record(&self, staged: &mut [Staged]) -> Result<(), StoreError> {
        let staged = RefCell::new(staged);
        self.write(|index| {
            let mut staged = staged.borrow_mut();
            if let Err(refused) = self.make_room(index, &staged)? {
                return Ok(Err(refused));
            }
            for one in staged.iter_mut() {
                if let Err(error) = self.place(one) {
                    return Ok(Err(error));
                }
                insert(index, &one.record, Some(&one.program), TakeOver::Always)?;
            }
            Ok(Ok(()))
        })?
    }

    pub(super) fn indexed_program(&self, graph: &GraphKey) -> Result<Option<Program>, StoreError> {
        self.read(
            || None,
            |index| {
                let Some(record) = load_record(index, graph)? else { return Ok(None) };
                let program = load_program(index, &record.program.digest)?.and_then(|frame| frame.program().ok());
                // The object has it too, and the next `put` writes over one that is wrong.
                Ok(program.filter(|program| program.digest() == record.program.digest))
            },
        )
    }

    /// Removes records with all that belongs to them; says which of them there were.
    pub(super) fn remove_records(&self, keys: &[GraphKey]) -> Result<(), StoreError> {
        self.write(|index| {
            let mut statistics = load_statistics(index)?;
            for graph in keys {
                remove(index, graph, &mut statistics)?;
            }
            store_statistics(index, &statistics)
        })
    }

    /// Removes entries, each object in the transaction that removes its record: what another process stores meanwhile comes whole
    /// before it or after it. An object that a process is loading stays, and so does its record.
    pub(super) fn remove_with_objects(&self, keys: &[GraphKey]) -> Result<Vec<Removal>, StoreError> {
        let (removals, failed) = (RefCell::new(BTreeMap::new()), RefCell::new(None));
        self.write(|index| {
            let mut statistics = load_statistics(index)?;
            for graph in keys {
                let removal = match self.remove_object(graph) {
                    Ok(removal) => removal,
                    Err(error) => {
                        failed.borrow_mut().get_or_insert(error);
                        continue;
                    }
                };
                let recorded = removal != Removal::InUse && remove(index, graph, &mut statistics)?;
                // A transaction that has to be made again finds objects gone that it removed the first time.
                let mut removals = removals.borrow_mut();
                let kept = removals.entry(*graph).or_insert(removal);
                if removal != Removal::Absent {
                    *kept = removal;
                } else if *kept == Removal::Absent && recorded {
                    *kept = Removal::Removed { stored_bytes: 0 };
                }
            }
            store_statistics(index, &statistics)
        })?;
        let removals = removals.into_inner();
        match failed.into_inner() {
            Some(error) => Err(error),
            None => Ok(keys.iter().map(|key| removals.get(key).copied().unwrap_or(Removal::Absent)).collect()),
        }
    }

    /// Counts a use in its record, and returns what compiling the graph took.
    fn record_use(&self, index: &mut Transaction, one: &Use, statistics: &mut Statistics) -> Result<f64, Fault> {
        if index.get(&key(b'r', &[&one.graph_key.0]))?.is_none() {
            store_statistics(index, statistics)?;
            self.adopt(index, &[one.graph_key])?;
            *statistics = load_statistics(index)?;
        }
        let Some(mut record) = load_record(index, &one.graph_key)? else { return Ok(0.0) };
        let mut usage = load_usage(index, &one.graph_key)?;
        usage.statistics.hits += if one.matched == Match::Compiled { 0 } else { one.times };
        usage.statistics.last_used = Some(jiff::Timestamp::now());
        usage.load_seconds = one.load_seconds.or(usage.load_seconds);
        usage.loads += if one.source == Source::Disk { one.times } else { 0 };
        if let Some(signature) = &one.signature {
            pin_by(index, signature, &mut usage)?;
        }
        store_usage(index, &record, usage)?;
        if let Some(signature) = &one.signature {
            note_signature(index, &mut record, signature, statistics)?;
        }
        Ok(record.measurements.compile_seconds)
    }

    /// Takes records from objects; says how many could be had.
    fn adopt(&self, index: &mut Transaction, keys: &[GraphKey]) -> Result<u64, Fault> {
        let mut added = 0;
        for graph in keys {
            match self.object_program(graph) {
                Ok(Some((record, frame))) => {
                    insert(index, &record, frame.as_ref(), TakeOver::FromOlder)?;
                    added += 1;
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(%graph, %error, "an object gives no record"),
            }
        }
        Ok(added)
    }

    fn index_error(&self, cause: IndexCause) -> StoreError {
        StoreError::IndexUnavailable { path: self.layout.graphs(), cause }
    }

    /// A transaction that changes nothing; `empty` is the answer of a store that is not there yet.
    fn read<T>(
        &self,
        empty: impl FnOnce() -> T,
        work: impl Fn(&mut Transaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.read_within(READ_PATIENCE, empty, work)
    }

    fn read_within<T>(
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
    pub(super) fn inspect<T>(&self, work: impl Fn(&mut Transaction) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.prepare()?;
        let deadline = Instant::now() + WRITE_PATIENCE;
        let _lock = self.lock_index(WRITE_PATIENCE, deadline)?;
        self.transact_locked(deadline, &work).map_err(|fault| self.index_error(fault.into_cause(WRITE_PATIENCE)))
    }

    /// Sets the index aside and makes it anew from the objects.
    pub(super) fn remake_index(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + WRITE_PATIENCE;
        {
            let _lock = self.lock_index(WRITE_PATIENCE, deadline)?;
            self.set_index_aside().map_err(|cause| super::write_error(&self.layout.graphs(), cause))?;
        }
        self.write(|_| Ok(()))
    }

    fn lock_index(&self, patience: Duration, deadline: Instant) -> Result<fs::File, StoreError> {
        let path = self.layout.index_lock();
        let lock = lock_before(&path, POLL, deadline).map_err(|cause| super::write_error(&path, cause))?;
        lock.ok_or_else(|| self.index_error(IndexCause::Busy(patience)))
    }

    fn write<T>(&self, work: impl Fn(&mut Transaction) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.transact(WRITE_PATIENCE, work)
    }

    /// Runs `work` in one transaction. Where the index is damaged it is set aside, made anew from the objects, and `work` runs once more.
    fn transact<T>(
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
                self.set_index_aside().map_err(|cause| super::write_error(&self.layout.graphs(), cause))?;
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
        let answer = work(&mut index)?;
        index.apply()?;
        Ok(answer)
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

/// Lets a request lead to a graph, and remembers it in the graph's record.
fn note_signature(
    index: &mut Transaction,
    record: &mut GraphRecord,
    signature: &RecordedSignature,
    statistics: &mut Statistics,
) -> Result<(), Fault> {
    let graph = &record.graph_key.0;
    let known = index.get(&key(b's', &[&signature.signature.digest(), graph]))?.is_some()
        && led_to(index, &signature.projection_key)?.as_ref() == Some(graph);
    if known {
        return Ok(());
    }
    link_signature(index, record, signature, statistics, TakeOver::Always)?;
    let before = record.signatures.clone();
    record.add_signature(signature.clone());
    store_record(index, record)?;
    forget_dropped(index, record, &before, statistics)
}

#[cfg(test)]
mod tests;
