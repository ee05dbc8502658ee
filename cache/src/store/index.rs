//! Which graphs are known? This is the part of the store that is kept in sled: graph records,
//! programs, the entries that level 1 looks up, and statistics.
//!
//! sled admits only one process at a time and locks its folder for as long as it is open. So each
//! transaction here takes a lock file, then opens sled, works, flushes sled and closes it. All
//! entries are in one tree, because sled applies a batch over one tree as a whole:
//!
//! | key | value |
//! |---|---|
//! | `r` graph key | its use (statistics, last load time, pins), as JSON; then the record as JSON, zstd |
//! | `p` (`k` for a small program), program digest | a program: format, length, zstd frame |
//! | `q` program digest, graph key | nothing: this graph was compiled from that program |
//! | `j` projection key | the graph key, and a hash over both keys: level 1 |
//! | `s` signature digest, graph key | nothing: this exact request led to that graph |
//! | `n` list | the newest graphs of a stage, for one model or for all models: graph keys, the newest first |
//! | `v` place, graph key | nothing: the order in which graphs are evicted; pinned graphs are not in it |
//! | `i` signature digest | nothing: everything that this exact request leads to is pinned |
//! | `i` signature digest, graph key | nothing: the graph is pinned by that request |
//! | `t` and `y` | what is counted of requests, and how far journals were read: see `requests` |
//! | `m` name | `statistics`: counters and totals, as JSON; `ready`: the index is whole; `filled`: see `run`; `weighed`: see `rewrite`; `requests-since`: see `requests` |
//!
//! Kinds with many small entries are packed, several entries to one value of sled: see `packing`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::objects::Staged;
use super::space::Coming;
use super::{Removal, Store, StoreError};
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::program::Program;
use crate::record::{GraphRecord, RecordedSignature};
use crate::statistics::{Counters, FinishedRequest, Match, Source, Statistics, Use};

pub(super) mod check;
mod codec;
pub(super) mod entries;
mod gone;
mod open;
mod packing;
mod pins;
pub(super) mod requests;
mod rewrite;
mod run;
pub(super) mod transaction;
mod turn;

use check::{Stored, programs_behind, recount};
use codec::store_record;
use entries::{
    TakeOver, forget_dropped, graph_at_end, insert, key, led_to, link_signature, load_candidates,
    load_program, load_record, load_records, load_statistics, load_usage, range_beginning, remove,
    resolve_one, store_statistics, store_usage,
};
use pins::{pin_by, set_pinned, set_request_pinned};
use run::{NOTE_PATIENCE, Need, READ_PATIENCE, REBUILD_BATCH, WHOLE_PATIENCE};
use transaction::{Fault, Transaction};
pub(super) use turn::Turns;

/// The graph that level 1 found for a stage.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Resolved {
    /// The graph.
    pub graph_key: GraphKey,
    /// [`Match::Exact`] if this exact signature was run before, otherwise [`Match::Equivalent`].
    pub matched: Match,
    /// How long the graph took to compile.
    pub compile_seconds: f64,
}

/// What a rebuild of the index found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Records taken from objects.
    pub added: u64,
    /// Records that the index had already.
    pub kept: u64,
    /// Objects without a readable record. The damaged ones are in quarantine now.
    pub skipped: u64,
}

impl Store {
    /// Looks up each `(projection key, signature digest)` at level 1. All stages of a request are
    /// looked up in one transaction.
    ///
    /// The caller has to check each result: see [`GraphRecord::answers`].
    pub fn resolve(
        &self,
        stages: &[(Digest, Digest)],
    ) -> Result<Vec<Option<Resolved>>, StoreError> {
        self.resolve_within(stages, READ_PATIENCE)
    }

    /// Does what [`resolve`](Self::resolve) does, but waits at most `patience` for other processes.
    pub fn resolve_within(
        &self,
        stages: &[(Digest, Digest)],
        patience: Duration,
    ) -> Result<Vec<Option<Resolved>>, StoreError> {
        self.read_within(
            Need::Some,
            patience,
            || vec![None; stages.len()],
            |index| {
                stages
                    .iter()
                    .map(|(projection, signature)| resolve_one(index, projection, signature))
                    .collect()
            },
        )
    }

    /// Adds uses and counters to the store's statistics, and records the signatures of the uses,
    /// all in one transaction.
    ///
    /// If the record of a key is missing, it is taken from the key's object.
    pub fn commit(&self, uses: &[Use], counters: &Counters) -> Result<(), StoreError> {
        self.commit_with(Need::Whole, WHOLE_PATIENCE, uses, counters)
    }

    /// Does what [`commit`](Self::commit) does, but waits at most `patience` for other processes.
    /// If the index is not free by then, this is an error, and the uses and counters are not
    /// stored.
    pub fn commit_within(
        &self,
        uses: &[Use],
        counters: &Counters,
        patience: Duration,
    ) -> Result<(), StoreError> {
        self.commit_with(Need::Some, patience, uses, counters)
    }

    fn commit_with(
        &self,
        need: Need,
        patience: Duration,
        uses: &[Use],
        counters: &Counters,
    ) -> Result<(), StoreError> {
        self.transact(need, patience, |index| {
            let mut statistics = load_statistics(index)?;
            for one in uses {
                let compile_seconds = self.record_use(index, one, true, &mut statistics)?;
                statistics.count(one, compile_seconds);
            }
            statistics.add(counters);
            store_statistics(index, &statistics)?;
            requests::count_upkeep(index, counters, jiff::Timestamp::now())
        })
    }

    /// Counts the requests that all processes have [noted](Self::note_event) up to now, and the
    /// requests in `also`. Adds `counters` to the store's statistics. A request whose process died
    /// counts as interrupted. Waits at most `patience` for other processes.
    ///
    /// If this fails, noted requests are counted the next time. The requests in `also` and the
    /// counters are not stored, so the caller has to pass them again.
    pub fn commit_requests(
        &self,
        also: &[FinishedRequest],
        counters: &Counters,
        patience: Duration,
    ) -> Result<(), StoreError> {
        self.commit_requests_with(Need::Some, patience, also, counters).map(drop)
    }

    /// Counts requests in a transaction, and then removes the journals that are no longer needed.
    fn commit_requests_with(
        &self,
        need: Need,
        patience: Duration,
        also: &[FinishedRequest],
        counters: &Counters,
    ) -> Result<requests::Taken, StoreError> {
        let root = self.prepare()?;
        let _counting = self.counting();
        let taken = self.transact(need, patience, |index| {
            let taken = self.take_requests(&root, index, also)?;
            if *counters != Counters::default() {
                let mut statistics = load_statistics(index)?;
                statistics.add(counters);
                store_statistics(index, &statistics)?;
                requests::count_upkeep(index, counters, jiff::Timestamp::now())?;
            }
            Ok(taken)
        })?;
        self.remove_counted(&root, &taken.found, taken.unwritten);
        Ok(taken)
    }

    /// Records requests that lead to a graph, although they were made with another plugin build.
    ///
    /// If the graph has no record, nothing is stored.
    pub fn add_signatures(
        &self,
        graph: &GraphKey,
        signatures: &[RecordedSignature],
    ) -> Result<(), StoreError> {
        self.write(|index| {
            let Some(mut record) = load_record(index, graph)? else { return Ok(()) };
            let mut statistics = load_statistics(index)?;
            let mut usage = load_usage(index, graph)?;
            for signature in signatures {
                pin_by(index, graph, signature, &mut usage)?;
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

    /// The records that an exact request led to, in all environments. The request is named by the
    /// digest of its signature.
    pub fn records_of_signature(&self, signature: &Digest) -> Result<Vec<GraphRecord>, StoreError> {
        self.read(Vec::new, |index| {
            let entries = index.scan(&key(b's', &[signature]))?;
            let keys = entries.iter().filter_map(|(entry, _)| graph_at_end(entry));
            keys.filter_map(|key| load_record(index, &key).transpose()).collect()
        })
    }

    /// The records whose keys begin with the given digits, in the order of their keys: at most
    /// `limit` of them.
    pub fn records_beginning(
        &self,
        digits: &str,
        limit: usize,
    ) -> Result<Vec<GraphRecord>, StoreError> {
        let Some((low, high)) = range_beginning(digits) else { return Ok(Vec::new()) };
        self.read(Vec::new, |index| {
            let found = index.range_first(&low, &high, limit)?;
            let keys = found.iter().filter_map(|(entry, _)| graph_at_end(entry));
            keys.filter_map(|key| load_record(index, &key).transpose()).collect()
        })
    }

    /// The records that are most likely similar to the wanted entry.
    pub(super) fn candidates(
        &self,
        wanted: &super::WantedEntry<'_>,
    ) -> Result<Vec<GraphRecord>, StoreError> {
        self.read_within(Need::Some, READ_PATIENCE, Vec::new, |index| {
            load_candidates(index, wanted)
        })
    }

    /// All records, in the order of their keys.
    pub fn records(&self) -> Result<Vec<GraphRecord>, StoreError> {
        self.read(Vec::new, |index| load_records(index))
    }

    /// The counters and totals of all processes up to now, and how their requests ended.
    pub fn statistics(&self) -> Result<Statistics, StoreError> {
        self.statistics_since(None)
    }

    /// The statistics since a given time. The counts begin at the start of the hour in which this
    /// time lies, or at the start of its day in UTC if the time is more than three days ago.
    /// [`Statistics::since`] tells when they begin. This is later if the counters were reset
    /// meanwhile, or if the time is more than 400 days ago.
    ///
    /// Entries whose objects somebody removed are not counted. In a store of more than 1,000
    /// graphs, each call looks for only 1,000 of the objects, so it may take several calls until
    /// all such entries are found.
    pub fn statistics_since(
        &self,
        since: Option<jiff::Timestamp>,
    ) -> Result<Statistics, StoreError> {
        let none_yet = || Statistics { since: jiff::Timestamp::now(), ..Statistics::default() };
        let Some(root) = self.root()? else { return Ok(none_yet()) };
        let _counting = self.counting();
        let (statistics, taken) = self.read(
            || (none_yet(), requests::Taken::default()),
            |index| {
                self.note_gone(index, &gone::somewhere(), gone::LOOKED_FOR)?;
                let taken = self.take_requests(&root, index, &[])?;
                Ok((requests::with_requests(index, since, &taken)?, taken))
            },
        )?;
        self.remove_counted(&root, &taken.found, taken.unwritten);
        Ok(statistics)
    }

    /// Resets the counters; entries and the figures that describe them stay. Requests that are
    /// under way are counted when they end.
    pub fn zero_statistics(&self) -> Result<(), StoreError> {
        let none = Counters::default();
        self.commit_requests_with(Need::Whole, WHOLE_PATIENCE, &[], &none)?;
        self.write(|index| {
            requests::zero(index)?;
            let mut statistics = load_statistics(index)?;
            statistics.zero(jiff::Timestamp::now());
            store_statistics(index, &statistics)
        })
    }

    /// Whether this exact request led to a graph before. The request is named by the digest of its
    /// signature.
    pub fn knows_signature(&self, signature: &Digest) -> Result<bool, StoreError> {
        self.read_within(
            Need::Some,
            READ_PATIENCE,
            || false,
            |index| index.any(&key(b's', &[signature])),
        )
    }

    /// Pins or unpins every entry that an exact request led to or will lead to. A pinned entry is
    /// not evicted. Returns how many entries the request leads to now. The request is named by the
    /// digest of its signature.
    pub fn set_signature_pinned(
        &self,
        signature: &Digest,
        pinned: bool,
    ) -> Result<u64, StoreError> {
        self.write(|index| set_request_pinned(index, signature, pinned))
    }

    /// Pins or unpins an entry. A pinned entry is not evicted. Unpinning also removes the pins that
    /// requests gave to this entry. If a pinned request leads to the entry later, the entry is
    /// pinned again. Returns whether there is such an entry.
    pub fn set_pinned(&self, graph: &GraphKey, pinned: bool) -> Result<bool, StoreError> {
        self.write(|index| set_pinned(index, graph, pinned))
    }

    /// Adds the missing records to the index, each from its object. If the index is damaged, a new
    /// one is built first. The totals of the statistics are counted again.
    pub fn rebuild_index(&self) -> Result<Rebuilt, StoreError> {
        let known: Vec<GraphKey> = self.write(|index| {
            Ok(load_records(index)?.into_iter().map(|record| record.graph_key).collect())
        })?;
        let missing: Vec<GraphKey> = self
            .object_keys()?
            .into_iter()
            .filter(|key| known.binary_search(key).is_err())
            .collect();
        let mut rebuilt = Rebuilt { kept: known.len() as u64, ..Rebuilt::default() };
        for keys in missing.chunks(REBUILD_BATCH) {
            let adopted = self.write(|index| self.adopt(index, keys))?;
            let added = adopted.iter().filter(|one| one.object.is_some()).count() as u64;
            rebuilt.added += added;
            rebuilt.skipped += keys.len() as u64 - added;
        }
        self.write(recount)?;
        Ok(rebuilt)
    }

    /// Moves objects, which are already written under temporary names, to their final paths, and
    /// adds their records, one after the other. Room is made before each object. Returns for each
    /// object whether it was stored. If there is no room for an object, the other objects are still
    /// stored.
    ///
    /// The objects move while the index is locked. So even if several processes call this function,
    /// the objects in place exceed the limit by one object at most.
    pub(super) fn place_and_record(
        &self,
        staged: &mut [Staged],
        coming: &Coming,
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let staged = RefCell::new(staged);
        // On a busy machine, the holder of the index may do nothing for a second. An import has to
        // wait for longer than that.
        let waits = coming.can_wait();
        let (need, patience) =
            if waits { (Need::Whole, WHOLE_PATIENCE) } else { (Need::Some, NOTE_PATIENCE) };
        self.transact(need, patience, |index| {
            let mut placed = Vec::new();
            for one in staged.borrow_mut().iter_mut() {
                if let Err(refused) = self.make_room(index, one, coming)? {
                    placed.push(Err(refused));
                    continue;
                }
                if let Err(error) = self.place(one) {
                    return Ok(Err(error));
                }
                insert(index, &one.record, one.program.as_ref(), coming.take_over())?;
                coming.stays(one.record.graph_key);
                placed.push(Ok(()));
            }
            Ok(Ok(placed))
        })?
    }

    pub(super) fn indexed_program(&self, graph: &GraphKey) -> Result<Option<Program>, StoreError> {
        self.read_within(
            Need::Some,
            READ_PATIENCE,
            || None,
            |index| {
                let Some(record) = load_record(index, graph)? else { return Ok(None) };
                let program = load_program(index, &record.program.digest)?
                    .and_then(|frame| frame.program().ok());
                // A wrong program is not returned: the object has the program, too, and the next
                // `put` replaces the wrong one.
                Ok(program.filter(|program| program.has_digest(&record.program.digest)))
            },
        )
    }

    /// Puts bytes under a key of the index, or removes them, without the checks that keep the index
    /// consistent.
    #[cfg(test)]
    pub(super) fn write_raw(&self, key: &[u8], value: Option<&[u8]>) {
        let write = |index: &mut Transaction| {
            match value {
                Some(value) => index.put(key.to_vec(), value.to_vec()),
                None => index.remove(key.to_vec()),
            }
            Ok(())
        };
        assert!(self.write(write).is_ok());
    }

    #[cfg(test)]
    pub(super) fn read_raw(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.read(|| None, |index| index.get(key)).unwrap_or_default()
    }

    /// Runs a transaction that holds the index for as long as `work` takes.
    #[cfg(test)]
    pub(super) fn write_slowly(&self, work: impl Fn(&mut Transaction) -> Result<(), Fault>) {
        assert!(self.write(work).is_ok());
    }

    /// Removes records and all entries that belong to them, as if their objects had never been
    /// recorded.
    #[cfg(test)]
    pub(super) fn remove_records(&self, keys: &[GraphKey]) -> Result<(), StoreError> {
        self.write(|index| {
            let mut statistics = load_statistics(index)?;
            for graph in keys {
                remove(index, graph, &mut statistics)?;
            }
            store_statistics(index, &statistics)
        })
    }

    /// Removes entries. Each object is removed in the transaction that removes its record. So
    /// another process stores an entry completely before or completely after the removal. If a
    /// process is loading an object, the object and its record stay.
    ///
    /// `may_go` is called with each record as the transaction finds it. The result is `None` for an
    /// entry for which `may_go` returned false.
    pub(super) fn remove_where(
        &self,
        keys: &[GraphKey],
        may_go: impl Fn(&GraphRecord) -> bool,
    ) -> Result<Vec<Option<Removal>>, StoreError> {
        let (removals, failed) = (RefCell::new(BTreeMap::new()), RefCell::new(None));
        self.write(|index| {
            let mut statistics = load_statistics(index)?;
            for graph in keys {
                if load_record(index, graph)?.is_some_and(|record| !may_go(&record)) {
                    continue;
                }
                let removal = match self.remove_object(graph) {
                    Ok(removal) => removal,
                    Err(error) => {
                        failed.borrow_mut().get_or_insert(error);
                        continue;
                    }
                };
                let recorded = removal != Removal::InUse && remove(index, graph, &mut statistics)?;
                // A transaction that has to be repeated no longer finds the objects that it removed
                // the first time.
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
            None => Ok(keys.iter().map(|key| removals.get(key).copied()).collect()),
        }
    }

    /// Every record, and the graphs that may be evicted, in the order of eviction. With `tidy`,
    /// this order is corrected first if its length shows an error.
    pub(super) fn records_and_order(
        &self,
        tidy: bool,
    ) -> Result<(Vec<GraphRecord>, Vec<GraphKey>), StoreError> {
        let order = |index: &Transaction| -> Result<Vec<GraphKey>, Fault> {
            Ok(index.scan(b"v")?.iter().filter_map(|(entry, _)| graph_at_end(entry)).collect())
        };
        self.read(Default::default, |index| {
            let records = load_records(index)?;
            let mut ordered = order(index)?;
            if tidy && ordered.len() != records.iter().filter(|record| !record.pinned).count() {
                recount(index)?;
                ordered = order(index)?;
            }
            Ok((records, ordered))
        })
    }

    /// The digests of the sound programs in the index: those that are stored under their own
    /// digests. The index is held while programs are read, but not while they are checked.
    pub(super) fn sound_programs(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let mut sound = BTreeSet::new();
        let mut last = Vec::new();
        loop {
            let (programs, behind) = self.inspect(|index| programs_behind(index, &last))?;
            if programs.is_empty() {
                return Ok(sound);
            }
            let is_sound = |(digest, program): &Stored| {
                program.as_ref().is_some_and(|program| program.is_of(digest))
            };
            sound.extend(programs.iter().filter(|one| is_sound(one)).map(|(digest, _)| *digest));
            last = behind;
        }
    }

    /// Counts a use in the graph's record, and returns how long the graph took to compile. If
    /// `serves` is false, the use does not count as a hit, but its time is recorded.
    fn record_use(
        &self,
        index: &mut Transaction,
        one: &Use,
        serves: bool,
        statistics: &mut Statistics,
    ) -> Result<f64, Fault> {
        if index.get(&key(b'r', &[&one.graph_key.0]))?.is_none() {
            store_statistics(index, statistics)?;
            self.adopt(index, &[one.graph_key])?;
            *statistics = load_statistics(index)?;
        }
        let Some(mut record) = load_record(index, &one.graph_key)? else { return Ok(0.0) };
        let mut usage = load_usage(index, &one.graph_key)?;
        let is_hit = serves && one.matched != Match::Compiled;
        usage.statistics.hits += if is_hit { one.times } else { 0 };
        usage.statistics.last_used = Some(jiff::Timestamp::now());
        usage.load_seconds = one.load_seconds.or(usage.load_seconds);
        usage.loads += if one.source == Source::Disk { one.times } else { 0 };
        if let Some(signature) = &one.signature {
            pin_by(index, &one.graph_key, signature, &mut usage)?;
        }
        store_usage(index, &record, usage)?;
        if let Some(signature) = &one.signature {
            note_signature(index, &mut record, signature, statistics)?;
        }
        Ok(record.measurements.compile_seconds)
    }
}

/// Records that a request leads to a graph, and adds the request to the graph's record.
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
