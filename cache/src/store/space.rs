//! Which entries are evicted so that the store stays below its limit? Those whose objects are worth
//! least. The function `place` in `index/entries.rs` defines how much an object is worth. It also
//! explains why the order of two unused objects never changes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::index::check::recount;
use super::index::entries::{
    TakeOver, graph_at_end, load_record, load_statistics, place_in_order, remove, store_statistics,
};
use super::index::requests::count_upkeep;
use super::index::transaction::{Fault, Transaction};
use super::objects::Staged;
use super::{BATCH, Removal, Store, StoreError};
use crate::key::GraphKey;
use crate::statistics::Counters;

/// The rules under which objects may be added to the store.
#[derive(Debug)]
pub(super) struct Coming {
    /// Whether the objects were compiled elsewhere.
    imported: bool,
    /// Graphs that stay: they came in with the same batch, or cannot be removed.
    staying: RefCell<BTreeSet<GraphKey>>,
    /// Whether the totals were already counted again: once is enough.
    recounted: Cell<bool>,
}

impl Coming {
    /// For objects that were compiled just now: the entries that are worth least are evicted. If no
    /// entry may be evicted, the store goes over its limit by one object.
    pub(super) fn compiled() -> Self {
        Self { imported: false, staying: RefCell::default(), recounted: Cell::default() }
    }

    /// For objects that were compiled elsewhere, earlier. Entries are evicted only if they are
    /// worth less than the new one, and only if that makes enough room. The store stays within its
    /// limit.
    pub(super) fn imported() -> Self {
        Self { imported: true, ..Self::compiled() }
    }

    /// Whether storing may wait long for a busy index. Storing an object that was compiled just now
    /// waits only for seconds: its caller needs to go on, and the object can be recorded later.
    pub(super) fn can_wait(&self) -> bool {
        self.imported
    }

    /// Notes that a graph is not evicted for objects that come later.
    pub(super) fn stays(&self, graph: GraphKey) {
        self.staying.borrow_mut().insert(graph);
    }

    /// Whether the new graph replaces another graph to which the same projection leads.
    pub(super) fn take_over(&self) -> TakeOver {
        if self.imported { TakeOver::FromOlder } else { TakeOver::Always }
    }
}

/// An entry in the order of eviction that is to be evicted.
struct Victim {
    entry: Vec<u8>,
    graph: GraphKey,
    /// The length of its object as its record states it; `None` if there is no record that this
    /// release understands.
    stored_bytes: Option<u64>,
}

impl Store {
    /// Refuses an object that is larger than the limit for all objects.
    pub(super) fn fits_at_all(&self, staged: &Staged) -> Result<(), StoreError> {
        if staged.info.stored_bytes > self.max_bytes {
            return Err(self.no_room(staged, 0));
        }
        Ok(())
    }

    fn no_room(&self, staged: &Staged, kept_bytes: u64) -> StoreError {
        let (key, stored_bytes) = (staged.record.graph_key, staged.info.stored_bytes);
        StoreError::NoRoom { key, stored_bytes, max_bytes: self.max_bytes, kept_bytes }
    }

    /// Evicts the entries that are worth least, until `staged` and the remaining objects fit below
    /// the limit.
    ///
    /// Pinned entries, entries that a process is loading, and entries of the same batch stay. If
    /// too little can be evicted, an object that was compiled just now may take the store over its
    /// limit once. While the store is over its limit, it refuses further objects.
    pub(super) fn make_room(
        &self,
        index: &mut Transaction,
        staged: &Staged,
        coming: &Coming,
    ) -> Result<Result<(), StoreError>, Fault> {
        if let Err(refused) = self.fits_at_all(staged) {
            return Ok(Err(refused));
        }
        let known = load_record(index, &staged.record.graph_key)?.and_then(|record| record.object);
        let replaced_bytes = known.map_or(0, |object| object.stored_bytes);
        let room_bytes =
            self.max_bytes.saturating_add(replaced_bytes).saturating_sub(staged.info.stored_bytes);
        let worth_less =
            if coming.imported { Some(place_in_order(index, &staged.record)?) } else { None };
        let mut from = b"v".to_vec();
        let mut stored_bytes = load_statistics(index)?.stored_bytes;
        while stored_bytes > room_bytes {
            let excess_bytes = stored_bytes - room_bytes;
            let (mut victims, enough) =
                victims(index, &mut from, excess_bytes, worth_less.as_deref(), staged, coming)?;
            let in_vain = coming.imported && !enough;
            if victims.iter().any(|victim| victim.stored_bytes.is_none()) {
                // It is not known how much these entries contribute to the totals. So they are
                // removed, and then the totals are counted anew.
                victims.retain(|victim| victim.stored_bytes.is_none());
                self.evict(index, &victims, coming)?;
                recount(index)?;
                from = b"v".to_vec();
            } else if victims.is_empty() || in_vain {
                // The totals may be wrong, so they are counted anew once before an object is
                // refused.
                if coming.recounted.replace(true) {
                    break;
                }
                recount(index)?;
                from = b"v".to_vec();
            } else {
                self.evict(index, &victims, coming)?;
            }
            stored_bytes = load_statistics(index)?.stored_bytes;
        }
        let kept_bytes = stored_bytes.saturating_sub(replaced_bytes);
        let fits =
            if coming.imported { stored_bytes <= room_bytes } else { kept_bytes <= self.max_bytes };
        Ok(if fits { Ok(()) } else { Err(self.no_room(staged, kept_bytes)) })
    }

    /// Evicts the given entries, except those that are in use.
    fn evict(
        &self,
        index: &mut Transaction,
        victims: &[Victim],
        coming: &Coming,
    ) -> Result<(), Fault> {
        let mut statistics = load_statistics(index)?;
        let before = statistics.evictions;
        for Victim { entry, graph, stored_bytes } in victims {
            match self.remove_object(graph) {
                Ok(Removal::Removed { .. } | Removal::Absent) => {
                    remove(index, graph, &mut statistics)?;
                    index.remove(entry.clone());
                    statistics.evictions += u64::from(stored_bytes.is_some());
                    tracing::info!(graph_key = %graph, "evicted to keep the cache below its limit");
                }
                Ok(Removal::InUse) => coming.stays(*graph),
                Err(error) => {
                    tracing::debug!(%graph, %error, "an entry cannot be evicted");
                    coming.stays(*graph);
                }
            }
        }
        let evictions = statistics.evictions - before;
        store_statistics(index, &statistics)?;
        let counters = Counters { evictions, ..Counters::default() };
        count_upkeep(index, &counters, jiff::Timestamp::now())
    }
}

/// The next entries in the order of eviction that together free `wanted_bytes`, and whether they
/// free enough. `from` is moved past them.
fn victims(
    index: &Transaction,
    from: &mut Vec<u8>,
    wanted_bytes: u64,
    worth_less: Option<&[u8]>,
    staged: &Staged,
    coming: &Coming,
) -> Result<(Vec<Victim>, bool), Fault> {
    let beyond = [b"v".as_slice(), &[u8::MAX; 64]].concat();
    let to = worth_less.unwrap_or(&beyond);
    let mut victims = Vec::new();
    let mut freed_bytes = 0;
    while from.as_slice() < to {
        let next = index.range_first(from, to, BATCH)?;
        if next.is_empty() {
            break;
        }
        for (entry, _) in next {
            *from = [entry.as_slice(), &[0]].concat();
            let Some(graph) = graph_at_end(&entry) else { continue };
            if graph == staged.record.graph_key || coming.staying.borrow().contains(&graph) {
                continue;
            }
            let record = load_record(index, &graph)?;
            // A pinned entry normally has no place in the order. If it has one, the index was
            // damaged, and the pin counts.
            if record.as_ref().is_some_and(|record| record.pinned) {
                continue;
            }
            let stored_bytes =
                record.map(|record| record.object.map_or(0, |object| object.stored_bytes));
            freed_bytes += stored_bytes.unwrap_or(0);
            victims.push(Victim { entry, graph, stored_bytes });
            if freed_bytes >= wanted_bytes {
                return Ok((victims, true));
            }
        }
    }
    Ok((victims, false))
}

/// Why there is no room, and how to make some.
pub(super) fn advice(stored_bytes: u64, max_bytes: u64, kept_bytes: u64) -> String {
    if stored_bytes > max_bytes {
        return "a larger limit would make room for it".to_owned();
    }
    format!(
        "{kept_bytes} bytes are pinned, in use or worth more; a larger limit, fewer pins or clearing makes room"
    )
}
