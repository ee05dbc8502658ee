//! How well does the cache work? Here are the ways in which a stage can match, the places where an
//! executable can come from, and the counters that are kept across processes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::GraphKey;
use crate::record::RecordedSignature;

/// How a request found its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// This exact signature was run before.
    Exact,
    /// Another signature with the same projection was run before.
    Equivalent,
    /// The graph was lowered, then found by its graph key.
    Graph,
    /// The graph was found nowhere.
    Compiled,
}

impl std::fmt::Display for Match {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            Self::Exact => "exact",
            Self::Equivalent => "equivalent",
            Self::Graph => "graph",
            Self::Compiled => "compiled",
        })
    }
}

/// Where an executable came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// This process already had it loaded.
    Memory,
    /// It was loaded from the store.
    Disk,
    /// It was loaded from a fallback store.
    Fallback,
    /// It was compiled.
    Compiled,
}

/// One stage that became ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    /// The executable.
    pub graph_key: GraphKey,
    /// The device, by its name on the command line.
    pub device: String,
    /// How it matched. `Compiled` counts as a miss and a compile.
    pub matched: Match,
    /// Where it came from.
    pub source: Source,
    /// The request, where there was one. It is recorded for level 1.
    pub signature: Option<RecordedSignature>,
    /// How long loading took, where it was loaded.
    pub load_seconds: Option<f64>,
    /// How long compiling took, where it was compiled.
    pub compile_seconds: Option<f64>,
    /// How many identical uses this value stands for; 1 for a load or a compile.
    pub times: u64,
}

/// Counts that belong to no single use. They are added to the store's statistics.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Look-ups that found nothing and were not followed by a compile.
    pub misses: u64,
    /// Compiles that failed.
    pub failed_compiles: u64,
    /// How often a request waited for a compile in another thread or process.
    pub single_flight_waits: u64,
    /// Entries removed to keep the limit.
    pub evictions: u64,
    /// Objects that failed a check.
    pub quarantined: u64,
}

/// Hits, counted by how they matched and also by where they came from; each hit counts once in each
/// of the two halves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hits {
    /// By [`Match::Exact`].
    pub exact: u64,
    /// By [`Match::Equivalent`].
    pub equivalent: u64,
    /// By [`Match::Graph`].
    pub graph: u64,
    /// From [`Source::Memory`].
    pub memory: u64,
    /// From [`Source::Disk`].
    pub disk: u64,
    /// From [`Source::Fallback`].
    pub fallback: u64,
}

/// The part of the statistics that belongs to one device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceStatistics {
    /// Graphs compiled for it.
    pub entries: u64,
    /// Hits on it.
    pub hits: u64,
    /// Compiles for it.
    pub compiles: u64,
}

/// What `cache stats` shows. The names of the fields are those of its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Statistics {
    /// Graph records.
    pub entries: u64,
    /// Distinct exact signatures that were recorded.
    pub cached_signatures: u64,
    /// The length of all object files.
    pub stored_bytes: u64,
    /// The length of their machine code, uncompressed.
    pub uncompressed_bytes: u64,
    /// Hits.
    pub hits: Hits,
    /// Look-ups that found nothing.
    pub misses: u64,
    /// Compiles that ended with an executable.
    pub compiles: u64,
    /// Compiles that failed.
    pub failed_compiles: u64,
    /// How often a request waited for a compile in another thread or process.
    pub single_flight_waits: u64,
    /// The time spent compiling.
    pub compile_seconds: f64,
    /// The compile time that hits saved: for each hit, what compiling its graph took.
    pub compile_seconds_saved: f64,
    /// The time spent loading.
    pub load_seconds: f64,
    /// Entries removed to keep the limit.
    pub evictions: u64,
    /// Objects that failed a check.
    pub quarantined: u64,
    /// By device.
    pub by_device: BTreeMap<String, DeviceStatistics>,
    /// When counting began.
    pub since: Timestamp,
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            entries: 0,
            cached_signatures: 0,
            stored_bytes: 0,
            uncompressed_bytes: 0,
            hits: Hits::default(),
            misses: 0,
            compiles: 0,
            failed_compiles: 0,
            single_flight_waits: 0,
            compile_seconds: 0.0,
            compile_seconds_saved: 0.0,
            load_seconds: 0.0,
            evictions: 0,
            quarantined: 0,
            by_device: BTreeMap::new(),
            since: Timestamp::UNIX_EPOCH,
        }
    }
}

impl Statistics {
    /// Counts a use; `compile_seconds` is how long the graph took to compile.
    pub(crate) fn count(&mut self, one: &Use, compile_seconds: f64) {
        let device = self.by_device.entry(one.device.clone()).or_default();
        // A sum that is not finite would be written as null, and then none of the statistics could
        // be read back.
        let finite =
            |seconds: Option<f64>| seconds.filter(|seconds| seconds.is_finite()).unwrap_or(0.0);
        self.load_seconds += finite(one.load_seconds);
        match one.matched {
            Match::Exact => self.hits.exact += one.times,
            Match::Equivalent => self.hits.equivalent += one.times,
            Match::Graph => self.hits.graph += one.times,
            Match::Compiled => {
                device.compiles += 1;
                self.misses += 1;
                self.compiles += 1;
                self.compile_seconds += finite(one.compile_seconds);
                return;
            }
        }
        match one.source {
            Source::Memory => self.hits.memory += one.times,
            Source::Disk => self.hits.disk += one.times,
            Source::Fallback => self.hits.fallback += one.times,
            Source::Compiled => {}
        }
        device.hits += one.times;
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 hits")]
        let times = one.times as f64;
        self.compile_seconds_saved += finite(Some(compile_seconds * times));
    }

    /// Adds counters that belong to no single use.
    pub(crate) fn add(&mut self, counters: &Counters) {
        self.misses += counters.misses;
        self.failed_compiles += counters.failed_compiles;
        self.single_flight_waits += counters.single_flight_waits;
        self.evictions += counters.evictions;
        self.quarantined += counters.quarantined;
    }

    /// Resets the counters, and keeps the figures that describe the entries.
    pub(crate) fn zero(&mut self, since: Timestamp) {
        let by_device = std::mem::take(&mut self.by_device)
            .into_iter()
            .filter(|(_, device)| device.entries > 0);
        *self = Self {
            entries: self.entries,
            cached_signatures: self.cached_signatures,
            stored_bytes: self.stored_bytes,
            uncompressed_bytes: self.uncompressed_bytes,
            by_device: by_device
                .map(|(name, device)| {
                    (
                        name,
                        DeviceStatistics { entries: device.entries, ..DeviceStatistics::default() },
                    )
                })
                .collect(),
            since,
            ..Self::default()
        };
    }
}
