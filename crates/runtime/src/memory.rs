//! Which executables does this process hold in memory?
//!
//! Their machine code is bounded by a number of bytes. Beyond it, the least recently used is
//! dropped first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use preheat_cache::{Digest, GraphKey, Match};

use super::executable::LoadedGraph;

/// How many signatures and how many projections are remembered.
const LEARNT: usize = 1 << 14;

/// Executables in memory, found by graph key or by projection key.
#[derive(Debug)]
pub(super) struct Memory {
    limit_bytes: u64,
    used_bytes: u64,
    clock: u64,
    entries: HashMap<GraphKey, Entry>,
    /// From projection key to graph key: level 1, for the executables that this process has loaded.
    projections: HashMap<Digest, GraphKey>,
    /// The exact signatures under a projection that were run before: in this process, and in others
    /// as far as the index was read.
    known: HashSet<(Digest, Digest)>,
}

#[derive(Debug)]
struct Entry {
    graph: Arc<LoadedGraph>,
    last_used: u64,
}

impl Memory {
    pub(super) fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            used_bytes: 0,
            clock: 0,
            entries: HashMap::new(),
            projections: HashMap::new(),
            known: HashSet::new(),
        }
    }

    pub(super) fn by_key(&mut self, key: &GraphKey) -> Option<Arc<LoadedGraph>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.last_used = self.clock;
        Some(Arc::clone(&entry.graph))
    }

    /// The graph that a projection led to, and whether this exact signature led to it before.
    pub(super) fn by_projection(
        &mut self,
        projection_key: &Digest,
        signature: &Digest,
    ) -> Option<(Arc<LoadedGraph>, Match)> {
        let key = *self.projections.get(projection_key)?;
        let known = self.known.contains(&(*signature, *projection_key));
        Some((self.by_key(&key)?, if known { Match::Exact } else { Match::Equivalent }))
    }

    /// Notes that `signature` was run, and which graph its projection leads to.
    pub(super) fn learn(&mut self, signature: Digest, projection_key: Digest, key: GraphKey) {
        // A slider for the cfg scale makes one signature for each of its positions. A forgotten
        // signature is read from the index again.
        if self.known.len() >= LEARNT || self.projections.len() >= LEARNT {
            self.known.clear();
            self.projections.clear();
        }
        self.known.insert((signature, projection_key));
        self.projections.insert(projection_key, key);
    }

    /// Adds `graph`, replacing an older one with the same key, and returns the least recently used
    /// executables that are beyond the limit.
    ///
    /// The newest executable stays even if it alone is over the limit, because its caller is about
    /// to run it.
    #[must_use = "what is let go of is dropped where nobody waits for it"]
    pub(super) fn insert(&mut self, graph: Arc<LoadedGraph>) -> Vec<Arc<LoadedGraph>> {
        let mut gone = Vec::new();
        self.clock += 1;
        self.used_bytes += graph.payload_bytes;
        let key = graph.graph_key;
        if let Some(older) = self.entries.insert(key, Entry { graph, last_used: self.clock }) {
            self.used_bytes -= older.graph.payload_bytes;
            gone.push(older.graph);
        }
        while self.used_bytes > self.limit_bytes && self.entries.len() > 1 {
            let Some(oldest) =
                self.entries.iter().min_by_key(|(_, entry)| entry.last_used).map(|(key, _)| *key)
            else {
                break;
            };
            if let Some(graph) = self.remove(&oldest) {
                tracing::debug!(graph_key = %oldest, bytes = graph.payload_bytes, "dropped an executable from memory");
                gone.push(graph);
            }
        }
        gone
    }

    /// Removes the executable that was used longest ago among those that nobody else holds.
    pub(super) fn take_unused(&mut self) -> Option<Arc<LoadedGraph>> {
        let oldest = self.unused().min_by_key(|entry| entry.last_used)?.graph.graph_key;
        self.remove(&oldest)
    }

    /// The bytes of machine code that nobody else holds.
    pub(super) fn unused_bytes(&self) -> u64 {
        self.unused().map(|entry| entry.graph.footprint.code).fold(0, u64::saturating_add)
    }

    /// Removes these executables, even if they are in use.
    #[must_use = "what is let go of is dropped where nobody waits for it"]
    pub(super) fn take(&mut self, keys: &HashSet<GraphKey>) -> Vec<Arc<LoadedGraph>> {
        keys.iter().filter_map(|key| self.remove(key)).collect()
    }

    /// The executables that nobody else holds. While the table is locked nobody can begin to use
    /// them, because only the table hands them out.
    fn unused(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|entry| Arc::strong_count(&entry.graph) == 1)
    }

    fn remove(&mut self, key: &GraphKey) -> Option<Arc<LoadedGraph>> {
        let entry = self.entries.remove(key)?;
        self.used_bytes -= entry.graph.payload_bytes;
        Some(entry.graph)
    }
}
