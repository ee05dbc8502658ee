//! Which executables does this process hold in memory?
//!
//! A limit in bytes bounds their machine code. If it is exceeded, the least recently used
//! executables are dropped.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use preheat_cache::{Digest, GraphKey, Match};

use super::out_of_memory::Footprint;

/// How many signatures and how many projections are remembered.
const LEARNT: usize = 1 << 14;

/// A loaded executable that is held in memory.
pub(super) trait Held {
    fn graph_key(&self) -> GraphKey;
    /// Bytes of machine code, as serialised.
    fn payload_bytes(&self) -> u64;
    fn footprint(&self) -> Footprint;
}

/// Executables in memory, found by graph key or by projection key.
#[derive(Debug)]
pub(super) struct Memory<T> {
    limit_bytes: u64,
    used_bytes: u64,
    clock: u64,
    entries: HashMap<GraphKey, Entry<T>>,
    /// From projection key to graph key: level 1, for the executables that this process has loaded.
    projections: HashMap<Digest, GraphKey>,
    /// Each exact signature that is known to have been run before, with its projection key. This
    /// process ran it, or read in the index that another process did.
    known: HashSet<(Digest, Digest)>,
}

#[derive(Debug)]
struct Entry<T> {
    graph: Arc<T>,
    last_used: u64,
}

impl<T: Held> Memory<T> {
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

    pub(super) fn by_key(&mut self, key: &GraphKey) -> Option<Arc<T>> {
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
    ) -> Option<(Arc<T>, Match)> {
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
    #[must_use = "the caller drops these executables after it has unlocked the table"]
    pub(super) fn insert(&mut self, graph: Arc<T>) -> Vec<Arc<T>> {
        let mut gone = Vec::new();
        self.clock += 1;
        self.used_bytes += graph.payload_bytes();
        let key = graph.graph_key();
        if let Some(older) = self.entries.insert(key, Entry { graph, last_used: self.clock }) {
            self.used_bytes -= older.graph.payload_bytes();
            gone.push(older.graph);
        }
        while self.used_bytes > self.limit_bytes && self.entries.len() > 1 {
            let Some(oldest) =
                self.entries.iter().min_by_key(|(_, entry)| entry.last_used).map(|(key, _)| *key)
            else {
                break;
            };
            if let Some(graph) = self.remove(&oldest) {
                tracing::debug!(graph_key = %oldest, bytes = graph.payload_bytes(), "dropped an executable from memory");
                gone.push(graph);
            }
        }
        gone
    }

    /// Removes the executable that was used longest ago among those that nobody else holds.
    pub(super) fn take_unused(&mut self) -> Option<Arc<T>> {
        let oldest = self.unused().min_by_key(|entry| entry.last_used)?.graph.graph_key();
        self.remove(&oldest)
    }

    /// The bytes of machine code that nobody else holds.
    pub(super) fn unused_bytes(&self) -> u64 {
        self.unused().map(|entry| entry.graph.footprint().code).fold(0, u64::saturating_add)
    }

    /// Removes these executables, even if they are in use.
    #[must_use = "the caller drops these executables after it has unlocked the table"]
    pub(super) fn take(&mut self, keys: &HashSet<GraphKey>) -> Vec<Arc<T>> {
        keys.iter().filter_map(|key| self.remove(key)).collect()
    }

    /// The executables that nobody else holds. While the table is locked nobody can begin to use
    /// them, because only the table hands them out.
    fn unused(&self) -> impl Iterator<Item = &Entry<T>> {
        self.entries.values().filter(|entry| Arc::strong_count(&entry.graph) == 1)
    }

    fn remove(&mut self, key: &GraphKey) -> Option<Arc<T>> {
        let entry = self.entries.remove(key)?;
        self.used_bytes -= entry.graph.payload_bytes();
        Some(entry.graph)
    }
}
