//! The half of the store that lies in sled: graph records, programs, what level 1 knows, and statistics.
//!
//! sled admits one process and locks its folder for as long as it is open, so each transaction here opens it, works, flushes and
//! closes it, behind a lock file of its own. All entries are in one tree, since sled applies a batch over one tree as a whole:
//!
//! | key | value |
//! |---|---|
//! | `r` graph key | the record as JSON, zstd |
//! | `u` graph key | its statistics and last load time, as JSON: they change on every hit, the record does not |
//! | `p` program digest | a program: format, length, zstd frame |
//! | `q` program digest, graph key | nothing: this graph was compiled from that program |
//! | `j` projection key | the graph key, and a hash over both keys: level 1 |
//! | `s` signature digest, graph key | nothing: this exact request led to that graph |
//! | `x` graph key, another key | nothing: that entry goes when the graph does |
//! | `m` name | `statistics`: counters and totals, as JSON; `ready`: the index is whole |

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{IndexCause, Store, StoreError};
use crate::hash::{Digest, FramedHasher};
use crate::key::GraphKey;
use crate::lock::lock_before;
use crate::object::ProgramFrame;
use crate::program::Program;
use crate::record::{GraphRecord, RecordStatistics};
use crate::statistics::{Counters, Match, Statistics, Use};

mod codec;
mod transaction;

use codec::{decode_program, decode_record, encode_program, get_json, put_json, store_record};
use transaction::{Fault, Transaction};

/// How often a busy index is tried again: sled keeps its lock for a moment after it is dropped.
const POLL: Duration = Duration::from_micros(500);
/// How long a reader waits before it goes on without the index.
const READ_PATIENCE: Duration = Duration::from_secs(2);
/// How long a writer waits before what it has to say is lost.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// sled's own default is a gigabyte.
const CACHE_BYTES: u64 = 8 << 20;
/// The version of the hash in an entry that leads from a projection to a graph.
const LEAD_TAG: &str = "preheat-lead-v1";
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

/// The part of a record that changes on every hit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Usage {
    statistics: RecordStatistics,
    load_seconds: Option<f64>,
    pinned: bool,
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

    /// The record of a key, with its current statistics.
    pub fn record(&self, key: &GraphKey) -> Result<Option<GraphRecord>, StoreError> {
        self.read(|| None, |index| load_record(index, key))
    }

    /// The records that an exact request led to, by the digest of its signature, over all environments.
    pub fn records_of_signature(&self, signature: &Digest) -> Result<Vec<GraphRecord>, StoreError> {
        self.read(Vec::new, |index| {
            let entries = index.scan(&key(b's', &[signature]))?;
            let keys = entries
                .iter()
                .filter_map(|(entry, _)| Some(GraphKey(Digest::from_bytes(entry.get(33..65)?.try_into().ok()?))));
            keys.filter_map(|key| load_record(index, &key).transpose()).collect()
        })
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

    /// Keeps an entry out of eviction, or lets it go again. Says whether there is such an entry.
    pub fn set_pinned(&self, graph: &GraphKey, pinned: bool) -> Result<bool, StoreError> {
        self.write(|index| {
            let known = index.get(&key(b'r', &[&graph.0]))?.is_some();
            if known {
                let usage = Usage { pinned, ..load_usage(index, graph.0.as_bytes())? };
                put_json(index, key(b'u', &[&graph.0]), &usage)?;
            }
            Ok(known)
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

    /// Adds the record and the program of an object that was just written.
    pub(super) fn put_record(&self, record: &GraphRecord, program: &ProgramFrame) -> Result<(), StoreError> {
        self.write(|index| insert(index, record, Some(program), TakeOver::Always))
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

    /// Removes records with all that belongs to them; says how many there were.
    pub(super) fn remove_records(&self, keys: &[GraphKey]) -> Result<u64, StoreError> {
        self.write(|index| {
            let mut statistics = load_statistics(index)?;
            let mut removed = 0;
            for graph in keys {
                removed += u64::from(remove(index, graph, &mut statistics)?);
            }
            store_statistics(index, &statistics)?;
            Ok(removed)
        })
    }

    /// Counts a use in its record, and returns what compiling the graph took.
    fn record_use(&self, index: &mut Transaction, one: &Use, statistics: &mut Statistics) -> Result<f64, Fault> {
        if index.get(&key(b'r', &[&one.graph_key.0]))?.is_none() {
            store_statistics(index, statistics)?;
            self.adopt(index, &[one.graph_key])?;
            *statistics = load_statistics(index)?;
        }
        let Some(mut record) = load_record(index, &one.graph_key)? else { return Ok(0.0) };
        let mut usage = load_usage(index, one.graph_key.0.as_bytes())?;
        usage.statistics.hits += if one.matched == Match::Compiled { 0 } else { one.times };
        usage.statistics.last_used = Some(jiff::Timestamp::now());
        usage.load_seconds = one.load_seconds.or(usage.load_seconds);
        put_json(index, key(b'u', &[&one.graph_key.0]), &usage)?;
        if let Some(signature) = &one.signature {
            let known = index.get(&key(b's', &[&signature.signature.digest(), &one.graph_key.0]))?.is_some()
                && led_to(index, &signature.projection_key)? == Some(one.graph_key.0);
            if !known {
                link_signature(index, &record, signature, statistics, TakeOver::Always)?;
                record.add_signature(signature.clone());
                store_record(index, &record)?;
            }
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
        let path = self.layout.index_lock();
        let lock = lock_before(&path, POLL, deadline).map_err(|cause| super::write_error(&path, cause))?;
        let Some(_lock) = lock else { return Err(self.index_error(IndexCause::Busy(patience))) };
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
        fs::create_dir_all(self.layout.quarantine())?;
        let name = format!("graphs-v1.{}", jiff::Timestamp::now().as_nanosecond());
        fs::rename(self.layout.graphs(), self.layout.quarantine().join(name))
    }
}

/// A kind's letter and the digests after it.
fn key(kind: u8, digests: &[&Digest]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + 32 * digests.len());
    bytes.push(kind);
    for digest in digests {
        bytes.extend_from_slice(digest.as_bytes());
    }
    bytes
}

fn digest_at(bytes: &[u8], at: usize) -> Option<Digest> {
    Some(Digest::from_bytes(bytes.get(at..at + 32)?.try_into().ok()?))
}

/// The value that leads from a projection to a graph. The hash over both makes it stand for nothing under any other key.
fn lead(projection: &Digest, graph: &Digest) -> Vec<u8> {
    let hash = FramedHasher::new(LEAD_TAG).digest(projection).digest(graph).finish();
    [graph.as_bytes().as_slice(), hash.as_bytes()].concat()
}

/// The graph that a projection leads to; none where what is stored was not made for this projection.
fn led_to(index: &Transaction, projection: &Digest) -> Result<Option<Digest>, Fault> {
    let Some(stored) = index.get(&key(b'j', &[projection]))? else { return Ok(None) };
    Ok(digest_at(&stored, 0).filter(|graph| stored == lead(projection, graph)))
}

fn resolve_one(index: &Transaction, projection: &Digest, signature: &Digest) -> Result<Option<Resolved>, Fault> {
    let Some(graph) = led_to(index, projection)? else { return Ok(None) };
    let Some(record) = load_record(index, &GraphKey(graph))? else { return Ok(None) };
    let exact = index.get(&key(b's', &[signature, &graph]))?.is_some();
    let matched = if exact { Match::Exact } else { Match::Equivalent };
    let compile_seconds = record.measurements.compile_seconds;
    Ok(Some(Resolved { graph_key: GraphKey(graph), matched, compile_seconds }))
}

/// Whether a projection that leads to another graph is to lead to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TakeOver {
    /// This graph was compiled or used just now.
    Always,
    /// This record comes from an object, in no order: what was compiled last wins.
    FromOlder,
}

/// Adds or replaces a record. What was known of the graph's use stays.
fn insert(
    index: &mut Transaction,
    record: &GraphRecord,
    program: Option<&ProgramFrame>,
    take_over: TakeOver,
) -> Result<(), Fault> {
    let mut statistics = load_statistics(index)?;
    let mut record = record.clone();
    let mut usage = load_usage(index, record.graph_key.0.as_bytes())?;
    if let Some(old) = load_record(index, &record.graph_key)? {
        count_entry(&mut statistics, &old, false);
        let new = std::mem::replace(&mut record.signatures, old.signatures);
        for signature in new {
            record.add_signature(signature);
        }
        usage.pinned |= record.pinned;
    } else {
        usage = Usage {
            statistics: record.statistics.clone(),
            load_seconds: record.measurements.load_seconds,
            pinned: record.pinned || usage.pinned,
        };
    }
    count_entry(&mut statistics, &record, true);
    for signature in &record.signatures {
        link_signature(index, &record, signature, &mut statistics, take_over)?;
    }
    if let Some(program) = program {
        let digest = &record.program.digest;
        // sled keeps the space of what is written over, so one that is there and sound stays.
        if !load_program(index, digest)?.is_some_and(|known| known.is_of(digest)) {
            index.put(key(b'p', &[digest]), encode_program(program));
        }
        link(index, &record.graph_key, key(b'q', &[digest, &record.graph_key.0]), Vec::new());
    }
    put_json(index, key(b'u', &[&record.graph_key.0]), &usage)?;
    store_record(index, &record)?;
    store_statistics(index, &statistics)
}

/// Removes a record and all that belongs to it; says whether there was one.
fn remove(index: &mut Transaction, graph: &GraphKey, statistics: &mut Statistics) -> Result<bool, Fault> {
    let known = load_record(index, graph)?;
    if let Some(record) = &known {
        count_entry(statistics, record, false);
    }
    for (link, _) in index.scan(&key(b'x', &[&graph.0]))? {
        let target = link[33..].to_vec();
        // A projection may lead to another graph by now: a new compile of the same stage.
        let moved = match (target.first(), digest_at(&target, 1)) {
            (Some(b'j'), Some(projection)) => led_to(index, &projection)?.is_some_and(|other| other != graph.0),
            _ => false,
        };
        if !moved {
            index.remove(target.clone());
        }
        index.remove(link);
        let (kind, shared) = (target[0], target.get(1..33).unwrap_or_default());
        if matches!(kind, b's' | b'q') && !index.any(&[&[kind], shared].concat())? {
            match kind {
                b's' => statistics.cached_signatures = statistics.cached_signatures.saturating_sub(1),
                _ => index.remove([b"p", shared].concat()),
            }
        }
    }
    index.remove(key(b'r', &[&graph.0]));
    index.remove(key(b'u', &[&graph.0]));
    Ok(known.is_some())
}

/// Adds an entry that goes when the graph does.
fn link(index: &mut Transaction, graph: &GraphKey, target: Vec<u8>, value: Vec<u8>) {
    let mut reverse = key(b'x', &[&graph.0]);
    reverse.extend_from_slice(&target);
    index.put(reverse, Vec::new());
    index.put(target, value);
}

fn link_signature(
    index: &mut Transaction,
    record: &GraphRecord,
    signature: &crate::record::RecordedSignature,
    statistics: &mut Statistics,
    take_over: TakeOver,
) -> Result<(), Fault> {
    let graph = &record.graph_key;
    let digest = signature.signature.digest();
    if !index.any(&key(b's', &[&digest]))? {
        statistics.cached_signatures += 1;
    }
    link(index, graph, key(b's', &[&digest, &graph.0]), Vec::new());
    let projection = &signature.projection_key;
    let other = led_to(index, projection)?.filter(|other| *other != graph.0);
    if let (TakeOver::FromOlder, Some(other)) = (take_over, other)
        && load_record(index, &GraphKey(other))?.is_some_and(|other| other.created > record.created)
    {
        return Ok(());
    }
    link(index, graph, key(b'j', &[projection]), lead(projection, &graph.0));
    Ok(())
}

/// Adds a record to the totals, or takes it out.
fn count_entry(statistics: &mut Statistics, record: &GraphRecord, added: bool) {
    let (stored, uncompressed) = record.object.as_ref().map_or((0, 0), |info| (info.stored_bytes, info.payload_bytes));
    let step = |total: &mut u64, by: u64| *total = if added { *total + by } else { total.saturating_sub(by) };
    step(&mut statistics.entries, 1);
    step(&mut statistics.stored_bytes, stored);
    step(&mut statistics.uncompressed_bytes, uncompressed);
    step(&mut statistics.by_device.entry(record.device.clone()).or_default().entries, 1);
}

/// The program of a digest, which may be another where the index is damaged.
fn load_program(index: &Transaction, digest: &Digest) -> Result<Option<ProgramFrame>, Fault> {
    Ok(index.get(&key(b'p', &[digest]))?.and_then(|stored| decode_program(&stored)))
}

/// The statistics; where there are none, or none that are understood, the counters start anew.
fn load_statistics(index: &Transaction) -> Result<Statistics, Fault> {
    match get_json(index, b"mstatistics")? {
        Some(statistics) => Ok(statistics),
        None => counted_anew(index, Statistics { since: jiff::Timestamp::now(), ..Statistics::default() }),
    }
}

fn store_statistics(index: &mut Transaction, statistics: &Statistics) -> Result<(), Fault> {
    put_json(index, b"mstatistics".to_vec(), statistics)
}

fn load_usage(index: &Transaction, graph: &[u8]) -> Result<Usage, Fault> {
    Ok(get_json(index, &[b"u", graph].concat())?.unwrap_or_default())
}

fn load_record(index: &Transaction, graph: &GraphKey) -> Result<Option<GraphRecord>, Fault> {
    let Some(stored) = index.get(&key(b'r', &[&graph.0]))? else { return Ok(None) };
    decode_record(&stored)?.map(|record| with_usage(index, graph.0.as_bytes(), record)).transpose()
}

/// Every record that is understood.
fn load_records(index: &Transaction) -> Result<Vec<GraphRecord>, Fault> {
    let mut records = Vec::new();
    for (key, stored) in index.scan(b"r")? {
        if let Some(record) = decode_record(&stored)? {
            records.push(with_usage(index, &key[1..], record)?);
        }
    }
    Ok(records)
}

fn recount(index: &mut Transaction) -> Result<(), Fault> {
    let statistics = counted_anew(index, load_statistics(index)?)?;
    store_statistics(index, &statistics)
}

/// Counts the entries anew; the counters stay.
fn counted_anew(index: &Transaction, mut statistics: Statistics) -> Result<Statistics, Fault> {
    (statistics.entries, statistics.stored_bytes, statistics.uncompressed_bytes) = (0, 0, 0);
    statistics.by_device.values_mut().for_each(|device| device.entries = 0);
    for record in load_records(index)? {
        count_entry(&mut statistics, &record, true);
    }
    let mut signatures: Vec<Option<Digest>> = index.scan(b"s")?.iter().map(|(key, _)| digest_at(key, 1)).collect();
    signatures.dedup();
    statistics.cached_signatures = signatures.len() as u64;
    Ok(statistics)
}

fn with_usage(index: &Transaction, graph: &[u8], mut record: GraphRecord) -> Result<GraphRecord, Fault> {
    if record.graph_key.0.as_bytes() != graph {
        return Err(Fault::Damaged("a record stands under the key of another".into()));
    }
    let usage = load_usage(index, graph)?;
    record.statistics = usage.statistics;
    record.measurements.load_seconds = usage.load_seconds;
    record.pinned = usage.pinned;
    Ok(record)
}

#[cfg(test)]
mod tests;
