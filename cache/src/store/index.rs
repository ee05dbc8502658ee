//! The half of the store that lies in sled: graph records, programs, what level 1 knows, and
//! statistics.
//!
//! sled admits one process and locks its folder for as long as it is open, so each transaction here
//! opens it, works, flushes and closes it, behind a lock file of its own. All entries are in one
//! tree, since sled applies a batch over one tree as a whole:
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
//! | `i` signature digest, graph key | nothing: the graph is pinned by that request |
//! | `m` name | `statistics`: counters and totals, as JSON; `ready`: the index is whole |
//!
//! Kinds that there are many small ones of lie in sled several to a value: see `packing`.

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
use crate::statistics::{Counters, Match, Source, Statistics, Use};

pub(super) mod check;
mod codec;
pub(super) mod entries;
mod open;
mod packing;
mod pins;
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
    /// What level 1 knows of each `(projection key, signature digest)`; one transaction for all
    /// stages of a request.
    ///
    /// An answer is not the last word: see [`GraphRecord::answers`].
    pub fn resolve(
        &self,
        stages: &[(Digest, Digest)],
    ) -> Result<Vec<Option<Resolved>>, StoreError> {
        self.resolve_within(stages, READ_PATIENCE)
    }

    /// As [`resolve`](Self::resolve), waiting no longer than `patience` for other processes.
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

    /// Adds uses and counters to the store's statistics, and remembers the signatures of the uses.
    /// One transaction.
    ///
    /// A key whose record is missing gets it back from its object.
    pub fn commit(&self, uses: &[Use], counters: &Counters) -> Result<(), StoreError> {
        self.commit_with(Need::Whole, WHOLE_PATIENCE, uses, counters)
    }

    /// As [`commit`](Self::commit), waiting no longer than `patience` for other processes: past it,
    /// what was to be committed is lost.
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
                let compile_seconds = self.record_use(index, one, &mut statistics)?;
                statistics.count(one, compile_seconds);
            }
            statistics.add(counters);
            store_statistics(index, &statistics)
        })
    }

    /// Notes requests that lead to a graph although nobody has made them: they were made where
    /// another plugin build was in use.
    ///
    /// A key without a record stays without one.
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

    /// The records that an exact request led to, by the digest of its signature, over all
    /// environments.
    pub fn records_of_signature(&self, signature: &Digest) -> Result<Vec<GraphRecord>, StoreError> {
        self.read(Vec::new, |index| {
            let entries = index.scan(&key(b's', &[signature]))?;
            let keys = entries.iter().filter_map(|(entry, _)| graph_at_end(entry));
            keys.filter_map(|key| load_record(index, &key).transpose()).collect()
        })
    }

    /// The records whose keys begin with some digits, in the order of their keys: at most `limit`
    /// of them.
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

    /// The records that are most worth comparing with what was looked for.
    pub(super) fn candidates(
        &self,
        wanted: &super::Wanted<'_>,
    ) -> Result<Vec<GraphRecord>, StoreError> {
        self.read_within(Need::Some, READ_PATIENCE, Vec::new, |index| {
            load_candidates(index, wanted)
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
        self.read_within(
            Need::Some,
            READ_PATIENCE,
            || false,
            |index| index.any(&key(b's', &[signature])),
        )
    }

    /// Keeps every entry that an exact request led to, or will lead to, out of eviction, or lets
    /// them go again. Says how many there are now. The request is named by the digest of its
    /// signature.
    pub fn set_signature_pinned(
        &self,
        signature: &Digest,
        pinned: bool,
    ) -> Result<u64, StoreError> {
        self.write(|index| set_request_pinned(index, signature, pinned))
    }

    /// Keeps an entry out of eviction, or lets it go again, for those as well that kept it by a
    /// request: until a pinned request leads to it anew. Says whether there is such an entry.
    pub fn set_pinned(&self, graph: &GraphKey, pinned: bool) -> Result<bool, StoreError> {
        self.write(|index| set_pinned(index, graph, pinned))
    }

    /// Takes the record of each object that the index lacks from the object. Where the index is
    /// damaged, it is made anew first. The totals of the statistics are counted anew.
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

    /// Puts objects that are written where they belong and adds their records, one after the other;
    /// before each, room is made. Says of each whether it was stored: one that finds no room keeps
    /// no other out.
    ///
    /// The objects move while the index is held, so that those that are in place never take more
    /// than the limit and one object.
    pub(super) fn place_and_record(
        &self,
        staged: &mut [Staged],
        coming: &Coming,
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let staged = RefCell::new(staged);
        // A busy machine lets a holder of the index do nothing for a second: that ends no import.
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
                // The object has it too, and the next `put` writes over one that is wrong.
                Ok(program.filter(|program| program.digest() == record.program.digest))
            },
        )
    }

    /// Puts bytes under a key of the index, or takes them away, past all that keeps it in order.
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

    /// Has a transaction take the index for as long as `work` goes on.
    #[cfg(test)]
    pub(super) fn write_slowly(&self, work: impl Fn(&mut Transaction) -> Result<(), Fault>) {
        assert!(self.write(work).is_ok());
    }

    /// Removes records with all that belongs to them, as if their objects had never been recorded.
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

    /// Removes entries, each object in the transaction that removes its record: what another
    /// process stores meanwhile comes whole before it or after it. An object that a process is
    /// loading stays, and so does its record.
    ///
    /// `may_go` is asked of each record as it is by then; `None` is said of those that may not.
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
                // A transaction that has to be made again finds objects gone that it removed the
                // first time.
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

    /// Every record, and the graphs that may go, those that are worth least first. With `tidy`,
    /// what is wrong with that order is put right before.
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

    /// The programs in the index that are what their keys say. The index is held while they are
    /// read, not while they are checked.
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

    /// Counts a use in its record, and returns what compiling the graph took.
    fn record_use(
        &self,
        index: &mut Transaction,
        one: &Use,
        statistics: &mut Statistics,
    ) -> Result<f64, Fault> {
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
            pin_by(index, &one.graph_key, signature, &mut usage)?;
        }
        store_usage(index, &record, usage)?;
        if let Some(signature) = &one.signature {
            note_signature(index, &mut record, signature, statistics)?;
        }
        Ok(record.measurements.compile_seconds)
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
