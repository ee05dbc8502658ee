//! Did somebody remove objects that the index still has?
//!
//! The statistics count entries that have an object. The files themselves are looked at, because
//! people remove them, too. Looking for 100,000 objects takes a second, so each call looks for some
//! of them.

use super::check::store_without_object;
use super::entries::{digest_at, key, load_record};
use super::transaction::{Fault, Transaction};
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::store::Store;

/// For how many objects one call looks.
pub(super) const LOOKED_FOR: usize = 1_000;

/// A key at a place that differs from call to call.
pub(super) fn somewhere() -> Digest {
    Digest::of(&jiff::Timestamp::now().as_nanosecond().to_le_bytes())
}

impl Store {
    /// Looks for the objects of `limit` graphs, and records which are gone because somebody removed
    /// their files. The graphs' records stay, so the graphs can be compiled again. The search
    /// begins at the first key from `first` on; after the last key, it goes on with the first.
    pub(super) fn note_gone(
        &self,
        index: &mut Transaction,
        first: &Digest,
        limit: usize,
    ) -> Result<(), Fault> {
        let record = |digest: &Digest| key(b'r', &[digest]);
        let (least, greatest) = (Digest::from_bytes([0; 32]), Digest::from_bytes([u8::MAX; 32]));
        let mut entries = index.range_first(&record(first), &record(&greatest), limit)?;
        if entries.len() < limit {
            let rest = limit - entries.len();
            entries.extend(index.range_first(&record(&least), &record(first), rest)?);
        }
        let graphs = entries.iter().filter_map(|(key, _)| digest_at(key, 1).map(GraphKey));
        let gone: Vec<GraphKey> = graphs.filter(|graph| !self.has_object(graph)).collect();
        for graph in gone {
            if load_record(index, &graph)?.is_some_and(|record| record.object.is_some()) {
                store_without_object(index, &graph)?;
            }
        }
        Ok(())
    }
}
