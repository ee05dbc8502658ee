//! The limit on the store's size, and removing entries by rule.
//!
//! What keeping an object is worth, and why the order of two objects never changes while neither is used, stands at `place` in
//! `index/entries.rs`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::index::entries::{graph_at_end, load_record, load_statistics, remove, store_statistics};
use super::index::transaction::{Fault, Transaction};
use super::objects::Staged;
use super::{Removal, Store, StoreError};
use crate::key::GraphKey;
use crate::record::GraphRecord;
use crate::statistics::Counters;

/// How many entries are looked at, and removed with one transaction, at a time.
const BATCH: usize = 512;

/// Which entries [`Store::prune`] removes. Pinned ones, and those that a process is loading, stay.
#[derive(Clone, Copy, Default)]
pub struct Prune<'a> {
    /// So many bytes of objects stay at most; those that are worth least go.
    pub max_bytes: Option<u64>,
    /// Those last used before go.
    pub used_before: Option<Timestamp>,
    /// Those of which this is true go: their plugin is installed nowhere.
    pub stale: Option<&'a dyn Fn(&GraphRecord) -> bool>,
    /// Only say what would go.
    pub dry_run: bool,
}

/// Why an entry is pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PruneReason {
    /// Its plugin is installed nowhere.
    Stale,
    /// It was not used for long.
    Age,
    /// The limit on the size.
    Size,
}

/// An entry that was pruned, or would be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrunedEntry {
    /// Its key.
    pub graph_key: GraphKey,
    /// Its stage.
    pub stage: String,
    /// The length of its object.
    pub stored_bytes: u64,
    /// What compiling it took.
    pub compile_seconds: f64,
    /// Why.
    pub reason: PruneReason,
}

/// What pruning removed, or would remove.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Pruned {
    /// The entries, in the order in which they go.
    pub entries: Vec<PrunedEntry>,
    /// Their objects' length together.
    pub stored_bytes: u64,
    /// Entries that stay, since a process is loading them.
    pub in_use: u64,
}

impl Store {
    /// Evicts what is worth least, so that `staged` fits below the limit together with what stays.
    ///
    /// Pinned entries and those that a process is loading stay. Where that leaves less room than is needed, the store goes over its
    /// limit by what is staged, once: what stays over the limit is refused more.
    pub(super) fn make_room(
        &self,
        index: &mut Transaction,
        staged: &[Staged],
    ) -> Result<Result<(), StoreError>, Fault> {
        let mut statistics = load_statistics(index)?;
        let coming: BTreeMap<GraphKey, u64> =
            staged.iter().map(|one| (one.record.graph_key, one.info.stored_bytes)).collect();
        let mut replaced_bytes = 0;
        for key in coming.keys() {
            let known = load_record(index, key)?.and_then(|record| record.object);
            replaced_bytes += known.map_or(0, |object| object.stored_bytes);
        }
        let coming_bytes: u64 = coming.values().sum();
        let room = (self.max_bytes.saturating_add(replaced_bytes)).saturating_sub(coming_bytes);
        let mut from = b"v".to_vec();
        let evicted_before = statistics.evictions;
        while statistics.stored_bytes > room {
            let next =
                index.range_first(&from, &[b'v'; 1].iter().copied().chain([u8::MAX; 64]).collect::<Vec<_>>(), BATCH)?;
            let Some((last, _)) = next.last() else { break };
            from = last.iter().copied().chain([0]).collect();
            for graph in next.iter().filter_map(|(entry, _)| graph_at_end(entry)) {
                if statistics.stored_bytes <= room {
                    break;
                }
                if coming.contains_key(&graph) {
                    continue;
                }
                match self.remove_object(&graph) {
                    Ok(Removal::Removed { .. } | Removal::Absent) => {
                        remove(index, &graph, &mut statistics)?;
                        statistics.evictions += 1;
                        tracing::info!(graph_key = %graph, "evicted to keep the cache below its limit");
                    }
                    Ok(Removal::InUse) => {}
                    Err(error) => tracing::debug!(%graph, %error, "it cannot be evicted"),
                }
            }
        }
        if statistics.evictions != evicted_before {
            store_statistics(index, &statistics)?;
        }
        let kept_bytes = statistics.stored_bytes.saturating_sub(replaced_bytes);
        if let (true, Some((key, stored_bytes))) = (kept_bytes > self.max_bytes, coming.first_key_value()) {
            let (key, stored_bytes, max_bytes) = (*key, *stored_bytes, self.max_bytes);
            return Ok(Err(StoreError::NoRoom { key, stored_bytes, max_bytes, kept_bytes }));
        }
        Ok(Ok(()))
    }

    /// Removes entries by rule: stale ones, then those that were not used for long, then those that are worth least.
    pub fn prune(&self, rule: &Prune<'_>) -> Result<Pruned, StoreError> {
        let records: BTreeMap<GraphKey, GraphRecord> =
            self.records()?.into_iter().map(|record| (record.graph_key, record)).collect();
        let mut chosen = Vec::new();
        let mut gone = BTreeSet::new();
        let old = |record: &GraphRecord| {
            let last_used = record.statistics.last_used.unwrap_or(record.created).max(record.created);
            rule.used_before.is_some_and(|before| last_used < before)
        };
        for (key, record) in records.iter().filter(|(_, record)| !record.pinned) {
            let reason = match (rule.stale.is_some_and(|stale| stale(record)), old(record)) {
                (true, _) => PruneReason::Stale,
                (_, true) => PruneReason::Age,
                _ => continue,
            };
            chosen.push((record, reason));
            gone.insert(*key);
        }
        chosen.sort_by_key(|(_, reason)| *reason != PruneReason::Stale);
        if let Some(max_bytes) = rule.max_bytes {
            let stays = records.iter().filter(|(key, _)| !gone.contains(key));
            let mut left: u64 = stays.map(|(_, record)| stored_bytes(record)).sum();
            for key in self.eviction_order()? {
                if left <= max_bytes {
                    break;
                }
                if let (false, Some(record)) = (gone.contains(&key), records.get(&key)) {
                    left = left.saturating_sub(stored_bytes(record));
                    chosen.push((record, PruneReason::Size));
                }
            }
        }
        let mut pruned = Pruned::default();
        let mut evictions = 0;
        for chosen in chosen.chunks(BATCH) {
            let keys: Vec<GraphKey> = chosen.iter().map(|(record, _)| record.graph_key).collect();
            let removals = if rule.dry_run { None } else { Some(self.remove_all(&keys)?) };
            for (at, (record, reason)) in chosen.iter().enumerate() {
                if removals.as_ref().and_then(|removals| removals.get(at)) == Some(&Removal::InUse) {
                    pruned.in_use += 1;
                    continue;
                }
                evictions += u64::from(!rule.dry_run && *reason == PruneReason::Size);
                pruned.stored_bytes += stored_bytes(record);
                pruned.entries.push(PrunedEntry {
                    graph_key: record.graph_key,
                    stage: record.stage.clone(),
                    stored_bytes: stored_bytes(record),
                    compile_seconds: record.measurements.compile_seconds,
                    reason: *reason,
                });
            }
        }
        if evictions > 0 {
            self.commit(&[], &Counters { evictions, ..Counters::default() })?;
        }
        Ok(pruned)
    }
}

fn stored_bytes(record: &GraphRecord) -> u64 {
    record.object.as_ref().map_or(0, |object| object.stored_bytes)
}

impl std::fmt::Debug for Prune<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prune")
            .field("max_bytes", &self.max_bytes)
            .field("used_before", &self.used_before)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
