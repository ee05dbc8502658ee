//! What do reads and writes within one transaction see? Reads see the transaction's own writes, and
//! all writes are applied together at the end.

use std::collections::BTreeMap;
use std::io;

use super::open::Database;
use super::packing::{Lies, last_place, lies, pack, unpack};
use super::turn::Turn;
use crate::files::index_step;
use crate::store::IndexCause;

/// Why a transaction was not completed.
#[derive(Debug)]
pub(in crate::store) enum Fault {
    /// The stored data is damaged.
    Damaged(String),
    /// The file system returned an error.
    Io(io::Error),
    /// Another process held sled's own lock.
    Busy,
    /// sled failed, or the system lacks something that sled needs, such as threads. The stored data
    /// is not the cause.
    Failed(String),
}

impl Fault {
    /// The cause of the error for a caller of the store. `busy` makes the cause if sled's own lock
    /// is held.
    pub(super) fn into_cause(self, busy: impl FnOnce() -> IndexCause) -> IndexCause {
        match self {
            Self::Damaged(reason) => IndexCause::Damaged(reason),
            Self::Io(cause) => IndexCause::Io(cause),
            Self::Busy => busy(),
            Self::Failed(reason) => IndexCause::Failed(reason),
        }
    }
}

/// Values by their keys; `None` for a key that is removed.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A key and its value.
type Entry = (Vec<u8>, Vec<u8>);

/// The reads and pending writes of one transaction over an open database.
pub(in crate::store) struct Transaction<'a> {
    database: &'a Database,
    turn: &'a Turn,
    pending: Changes,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(database: &'a Database, turn: &'a Turn) -> Self {
        Self { database, turn, pending: BTreeMap::new() }
    }

    pub(in crate::store) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.turn.show();
        if let Some(pending) = self.pending.get(key) {
            return Ok(pending.clone());
        }
        let Lies::In(place) = lies(key) else {
            return Ok(self.database.get(key)?.map(|value| value.to_vec()));
        };
        let Some(packed) = self.database.get(&place)? else { return Ok(None) };
        let entries = unpack(&place, &packed)?;
        Ok(entries.iter().find(|(one, _)| *one == key).map(|(_, value)| value.to_vec()))
    }

    pub(in crate::store) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.pending.insert(key, Some(value));
    }

    pub(in crate::store) fn remove(&mut self, key: Vec<u8>) {
        self.pending.insert(key, None);
    }

    /// The entries whose keys start with `prefix`, in their order.
    pub(in crate::store) fn scan(&self, prefix: &[u8]) -> Result<Vec<Entry>, Fault> {
        self.scan_first(prefix, usize::MAX)
    }

    /// The first `limit` entries whose keys start with `prefix`, in their order.
    pub(in crate::store) fn scan_first(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, Fault> {
        // Every key is shorter than this.
        let beyond = [prefix, &[u8::MAX; 128]].concat();
        self.range_first(prefix, &beyond, limit)
    }

    /// The first `limit` entries from one key to another, in their order. Both keys are of the same
    /// kind.
    pub(in crate::store) fn range_first(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, Fault> {
        self.range_some(from, to, limit, usize::MAX)
    }

    /// Does what [`range_first`](Self::range_first) does, but stops once the values that are stored
    /// take `limit_bytes` together.
    pub(in crate::store) fn range_some(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
        limit_bytes: usize,
    ) -> Result<Vec<Entry>, Fault> {
        let mut found = BTreeMap::new();
        let pending = self.pending.range(from.to_vec()..=to.to_vec());
        found.extend(
            pending.filter_map(|(key, value)| Some((key.clone(), value.clone()?))).take(limit),
        );
        let (mut stored, mut stored_bytes) = (0, 0);
        let mut add = |key: &[u8], value: &[u8]| {
            if stored < limit
                && stored_bytes < limit_bytes
                && from <= key
                && key <= to
                && !self.pending.contains_key(key)
            {
                found.insert(key.to_vec(), value.to_vec());
                stored += 1;
                stored_bytes += value.len();
            }
            stored < limit && stored_bytes < limit_bytes
        };
        let (first, alone) = match lies(from) {
            Lies::Alone => (from.to_vec(), true),
            Lies::In(place) => (place, false),
            Lies::InSeveral => (from.to_vec(), false),
        };
        let last = if alone { to.to_vec() } else { last_place(to) };
        for entry in self.database.range(first..=last)? {
            let (place, value) = entry?;
            self.turn.show();
            let goes_on = if alone {
                add(&place, &value)
            } else {
                unpack(&place, &value)?.into_iter().all(|(key, value)| add(key, value))
            };
            if !goes_on {
                break;
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    /// Whether any key starts with `prefix`.
    pub(in crate::store) fn any(&self, prefix: &[u8]) -> Result<bool, Fault> {
        Ok(!self.scan_first(prefix, 1)?.is_empty())
    }

    /// Applies the writes as one batch, and syncs them. Returns whether there were any.
    pub(super) fn apply(self) -> Result<bool, Fault> {
        if self.pending.is_empty() {
            return Ok(false);
        }
        let mut batch = sled::Batch::default();
        let mut packed: BTreeMap<Vec<u8>, Changes> = BTreeMap::new();
        for (key, value) in self.pending {
            match (lies(&key), value) {
                (Lies::In(place), value) => _ = packed.entry(place).or_default().insert(key, value),
                (_, Some(value)) => batch.insert(key, value),
                (_, None) => batch.remove(key),
            }
        }
        for (place, changes) in packed {
            let before = self.database.get(&place)?;
            let before =
                before.as_ref().map_or_else(|| Ok(Vec::new()), |before| unpack(&place, before))?;
            let mut entries: BTreeMap<&[u8], &[u8]> = before.into_iter().collect();
            for (key, value) in &changes {
                match value {
                    Some(value) => entries.insert(key, value),
                    None => entries.remove(key.as_slice()),
                };
            }
            let mut after = Vec::new();
            entries.iter().try_for_each(|(key, value)| pack(&mut after, key, value))?;
            if after.is_empty() { batch.remove(place) } else { batch.insert(place, after) }
        }
        index_step("apply");
        self.database.apply_batch(batch)?;
        index_step("flush");
        self.database.flush()?;
        index_step("flushed");
        Ok(true)
    }
}
