//! What is removed when a whole store is cleared? All entries that no process is loading are
//! removed, and so are the other files that [`Store::clear`] lists.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::{BATCH, IndexCause, Removal, Store, StoreError};
use crate::key::GraphKey;

/// The entries and bytes that clearing a store removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Cleared {
    /// Entries that were removed.
    pub removed: u64,
    /// Entries that stay, since a process is loading them.
    pub in_use: u64,
    /// The bytes that were freed, including the quarantine and the other files that were removed.
    pub stored_bytes: u64,
}

impl Store {
    /// Removes every entry that no process is loading. Also removes the objects and indexes in
    /// quarantine, the index of an older release, and the marks of dead processes. Of the notes, it
    /// removes those about objects that end their process, about targets and about upgrades. The
    /// entries of the Python package's `cached_jit` go, too, and so do the uploads that wait. The
    /// counters stay, and so does everything that another process stores meanwhile.
    pub fn clear(&self) -> Result<Cleared, StoreError> {
        self.writable()?;
        let mut cleared = Cleared::default();
        if self.root()?.is_none() {
            return Ok(cleared);
        }
        // Nothing is removed from a folder that preheat did not mark as its own.
        let root = self.prepare()?;
        self.sweep_marks(&root, true);
        self.forget_all_unfit(&root);
        cleared.stored_bytes += self.empty_quarantine(&root)? + self.remove_older_index(&root)?;
        for notes in [self.layout.targets(), self.layout.upgrades()] {
            cleared.stored_bytes += self.remove_notes(&root, &notes)?;
        }
        cleared.stored_bytes += self.remove_jax(&root)? + self.remove_spool(&root)?;
        let keys: BTreeSet<GraphKey> = self.object_keys()?.into_iter().collect();
        // Objects that were removed although the index could not be written, and their lengths.
        let mut unrecorded = BTreeMap::new();
        let all: Vec<GraphKey> = keys.iter().copied().collect();
        for (at, batch) in all.chunks(BATCH).enumerate() {
            let is_last = (at + 1) * BATCH >= all.len();
            self.clear_some(batch, is_last, &mut unrecorded, &mut cleared)?;
        }
        if root.is_folder(&self.layout.graphs()) {
            let recorded = self.records()?.into_iter().map(|record| record.graph_key);
            let alone: Vec<GraphKey> = recorded.filter(|key| !keys.contains(key)).collect();
            for batch in alone.chunks(BATCH) {
                // If an object was stored under the key meanwhile, it stays.
                let removals =
                    self.remove_where(batch, |record| !self.has_object(&record.graph_key))?;
                cleared.removed += removals
                    .iter()
                    .filter(|removal| matches!(removal, Some(Removal::Removed { .. })))
                    .count() as u64;
            }
        }
        Ok(cleared)
    }

    /// Removes some entries. If the disk is too full to write the index, only objects are removed
    /// until there is space.
    fn clear_some(
        &self,
        batch: &[GraphKey],
        is_last: bool,
        unrecorded: &mut BTreeMap<GraphKey, u64>,
        cleared: &mut Cleared,
    ) -> Result<(), StoreError> {
        let remove = |unrecorded: &BTreeMap<GraphKey, u64>| {
            let keys: BTreeSet<GraphKey> = batch.iter().chain(unrecorded.keys()).copied().collect();
            let keys: Vec<GraphKey> = keys.into_iter().collect();
            Ok((self.remove_all(&keys)?, keys))
        };
        let removed = match remove(unrecorded) {
            Err(error) if is_full(&error) => {
                for key in batch {
                    if let Removal::Removed { stored_bytes } = self.remove_object(key)? {
                        unrecorded.insert(*key, stored_bytes);
                    }
                }
                match remove(unrecorded) {
                    Err(error) if is_full(&error) && !is_last => return Ok(()),
                    other => other,
                }
            }
            other => other,
        };
        let (removals, keys) = removed?;
        for (key, removal) in keys.iter().zip(removals) {
            let alone_bytes = unrecorded.remove(key);
            match removal {
                Removal::Removed { stored_bytes } => {
                    cleared.removed += 1;
                    cleared.stored_bytes += stored_bytes + alone_bytes.unwrap_or(0);
                }
                Removal::InUse => cleared.in_use += 1,
                Removal::Absent => {
                    cleared.removed += u64::from(alone_bytes.is_some());
                    cleared.stored_bytes += alone_bytes.unwrap_or(0);
                }
            }
        }
        Ok(())
    }
}

/// Whether something could not be written because the disk is full.
fn is_full(error: &StoreError) -> bool {
    match error {
        StoreError::Full { .. } => true,
        StoreError::IndexUnavailable { cause: IndexCause::Io(cause), .. } => {
            matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        }
        _ => false,
    }
}
