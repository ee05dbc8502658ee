//! Which entries does [`Store::prune`] remove? Its rule names a limit on the size, a time of last
//! use, or plugin builds that are no longer installed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::{BATCH, Removal, Store, StoreError};
use crate::key::GraphKey;
use crate::record::GraphRecord;
use crate::statistics::Counters;

/// Which entries [`Store::prune`] removes. Pinned entries stay, and so do entries that a process is
/// loading.
#[derive(Clone, Copy, Default)]
pub struct Prune<'a> {
    /// The most bytes that objects may take afterwards. The entries that are worth least are
    /// removed.
    pub max_bytes: Option<u64>,
    /// Entries that were last used before this time are removed.
    pub used_before: Option<Timestamp>,
    /// Entries for which this function returns true are removed: their plugin build is not
    /// installed anywhere.
    pub stale: Option<&'a dyn Fn(&GraphRecord) -> bool>,
    /// Only report what would be removed.
    pub dry_run: bool,
}

/// Why an entry is pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PruneReason {
    /// No plugin of its build is installed.
    Stale,
    /// It was last used before the time that the rule names.
    Age,
    /// It had to be removed to keep to the limit on the size.
    Size,
}

/// An entry that was removed, or that would be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PrunedEntry {
    /// Its key.
    pub graph_key: GraphKey,
    /// Its stage.
    pub stage: String,
    /// The length of its object.
    pub stored_bytes: u64,
    /// How long it took to compile.
    pub compile_seconds: f64,
    /// Why it is removed.
    pub reason: PruneReason,
}

/// The entries that pruning removed, or would remove.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct Pruned {
    /// The entries, in the order in which they are removed.
    pub entries: Vec<PrunedEntry>,
    /// The length of their objects together.
    pub stored_bytes: u64,
    /// Entries that stay, since a process is loading them.
    pub in_use: u64,
}

impl Store {
    /// Removes entries by a rule, in this order: entries whose plugin build is not installed,
    /// entries that were not used for a long time, entries that are worth least.
    pub fn prune(&self, rule: &Prune<'_>) -> Result<Pruned, StoreError> {
        let (records, order) = self.records_and_order(!rule.dry_run)?;
        let records: BTreeMap<GraphKey, GraphRecord> =
            records.into_iter().map(|record| (record.graph_key, record)).collect();
        let mut chosen = Vec::new();
        let mut gone = BTreeSet::new();
        let old = |record: &GraphRecord| {
            let last_used =
                record.statistics.last_used.unwrap_or(record.created).max(record.created);
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
            for key in order {
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
            let removals =
                if rule.dry_run { None } else { Some(self.remove_unless_changed(chosen)?) };
            for (at, (record, reason)) in chosen.iter().enumerate() {
                match removals.as_ref().and_then(|removals| removals.get(at)) {
                    Some(Some(Removal::InUse)) => {
                        pruned.in_use += 1;
                        continue;
                    }
                    Some(None) => continue,
                    Some(Some(_)) | None => {}
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
        if !rule.dry_run && self.layout().graphs().exists() {
            self.tidy_index()?;
        }
        Ok(pruned)
    }

    /// Removes the chosen entries. Entries that were pinned after they were chosen stay. If the
    /// rule depends on use, entries that were used or compiled again after they were chosen stay as
    /// well.
    fn remove_unless_changed(
        &self,
        chosen: &[(&GraphRecord, PruneReason)],
    ) -> Result<Vec<Option<Removal>>, StoreError> {
        let keys: Vec<GraphKey> = chosen.iter().map(|(record, _)| record.graph_key).collect();
        let chosen: BTreeMap<GraphKey, _> =
            chosen.iter().map(|(record, why)| (record.graph_key, (*record, *why))).collect();
        self.remove_where(&keys, |now| {
            let unchanged = |(then, why): &(&GraphRecord, PruneReason)| {
                let used = now.statistics.last_used != then.statistics.last_used
                    || now.created != then.created;
                *why == PruneReason::Stale || !used
            };
            !now.pinned && chosen.get(&now.graph_key).is_some_and(unchanged)
        })
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
