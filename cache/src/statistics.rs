//! How well does the cache work? This module has the ways in which a request can find a stage's
//! graph, the places from which an executable can come, and the counters that all processes share.
//!
//! Requests are counted in `requests.rs`, the events that lead to the counts are in `event.rs`, and
//! `group.rs` says which requests are counted together.

pub(crate) mod event;
pub(crate) mod group;
pub(crate) mod histogram;
pub(crate) mod requests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::event::{FinishedRequest, RequestEvent, StageUse};
pub use self::group::{Purpose, RequestGroup, RequestOutcome};
pub use self::histogram::{Histogram, QuantileLimits};
pub(crate) use self::requests::Counted;
pub use self::requests::{
    GroupStatistics, Outcomes, RequestStatistics, StageCounts, WarmingStatistics,
};
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
    /// The graph was lowered, and its executable was found by the graph key.
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
    /// It was fetched from a remote, and is in the store now.
    Remote,
    /// It was compiled.
    Compiled,
}

/// One stage that became ready.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Use {
    /// The executable.
    pub graph_key: GraphKey,
    /// The device, by its name on the command line.
    pub device: String,
    /// How the request found its graph. `Compiled` counts as a miss and a compile.
    pub matched: Match,
    /// Where the executable came from.
    pub source: Source,
    /// The request, if there was one. It is recorded for level 1.
    pub signature: Option<RecordedSignature>,
    /// How long loading took, if the executable was loaded.
    pub load_seconds: Option<f64>,
    /// How long compiling took, if the executable was compiled.
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
    /// What was exchanged with each remote, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub remotes: BTreeMap<String, RemoteStatistics>,
}

/// What was exchanged with one remote.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RemoteStatistics {
    /// Objects that were fetched from it, verified and stored.
    pub fetched: u64,
    /// The length of their files.
    pub fetched_bytes: u64,
    /// How long fetching and verifying them took.
    pub fetch_seconds: f64,
    /// Objects that were uploaded to it.
    pub uploaded: u64,
    /// The length of their files.
    pub uploaded_bytes: u64,
    /// How long uploading them took.
    pub upload_seconds: f64,
    /// Objects and pointers that were refused, because they were damaged or belonged to something
    /// else.
    pub refused: u64,
    /// Requests that failed, or were not answered in time.
    pub failures: u64,
    /// How often it was left alone for a while, because it failed several times in a row.
    pub breaker_opened: u64,
}

impl RemoteStatistics {
    /// Adds other figures. The code does not compile if a new figure is not named here.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            fetched,
            fetched_bytes,
            fetch_seconds,
            uploaded,
            uploaded_bytes,
            upload_seconds,
            refused,
            failures,
            breaker_opened,
        } = other;
        self.fetched += fetched;
        self.fetched_bytes += fetched_bytes;
        self.fetch_seconds += fetch_seconds;
        self.uploaded += uploaded;
        self.uploaded_bytes += uploaded_bytes;
        self.upload_seconds += upload_seconds;
        self.refused += refused;
        self.failures += failures;
        self.breaker_opened += breaker_opened;
    }
}

fn merge_remotes(
    into: &mut BTreeMap<String, RemoteStatistics>,
    from: &BTreeMap<String, RemoteStatistics>,
) {
    for (name, remote) in from {
        into.entry(name.clone()).or_default().merge(remote);
    }
}

impl Counters {
    /// Adds other counters. The code does not compile if a new counter is not named here.
    pub fn merge(&mut self, other: &Self) {
        let Self { misses, failed_compiles, single_flight_waits, evictions, quarantined, remotes } =
            other;
        merge_remotes(&mut self.remotes, remotes);
        self.misses += misses;
        self.failed_compiles += failed_compiles;
        self.single_flight_waits += single_flight_waits;
        self.evictions += evictions;
        self.quarantined += quarantined;
    }
}

/// Hits, counted twice: by how the request found its graph, and by where the executable came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
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
    /// From [`Source::Remote`].
    pub remote: u64,
}

impl Hits {
    /// All hits.
    pub fn total(&self) -> u64 {
        self.exact + self.equivalent + self.graph
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let Self { exact, equivalent, graph, memory, disk, fallback, remote } = other;
        self.exact += exact;
        self.equivalent += equivalent;
        self.graph += graph;
        self.memory += memory;
        self.disk += disk;
        self.fallback += fallback;
        self.remote += remote;
    }
}

/// The part of the statistics that belongs to one device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct DeviceStatistics {
    /// Entries for it that have an object.
    pub entries: u64,
    /// Hits on it.
    pub hits: u64,
    /// Compiles for it.
    pub compiles: u64,
}

/// What `cache stats` shows. The names of the fields are those of its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Statistics {
    /// Entries that have an object.
    pub entries: u64,
    /// Distinct exact signatures that were recorded.
    pub cached_signatures: u64,
    /// The length of all object files.
    pub stored_bytes: u64,
    /// The length of their machine code, uncompressed.
    pub uncompressed_bytes: u64,
    /// How the stages of requests became ready, without the stages of refused requests and of
    /// warmups. Single look-ups of graphs and programs are counted here, too.
    #[serde(flatten)]
    pub stages: StageCounts,
    /// Entries removed to keep the limit.
    pub evictions: u64,
    /// Objects that failed a check.
    pub quarantined: u64,
    /// What was exchanged with each remote, by its name.
    pub remotes: BTreeMap<String, RemoteStatistics>,
    /// By device.
    pub by_device: BTreeMap<String, DeviceStatistics>,
    /// Requests, by how they ended.
    pub requests: RequestStatistics,
    /// Warmups. They are counted apart from the requests that were served.
    pub warming: WarmingStatistics,
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
            stages: StageCounts::default(),
            evictions: 0,
            quarantined: 0,
            remotes: BTreeMap::new(),
            by_device: BTreeMap::new(),
            requests: RequestStatistics::default(),
            warming: WarmingStatistics::default(),
            since: Timestamp::UNIX_EPOCH,
        }
    }
}

impl DeviceStatistics {
    pub(crate) fn merge(&mut self, other: &Self) {
        let Self { entries, hits, compiles } = other;
        self.entries += entries;
        self.hits += hits;
        self.compiles += compiles;
    }
}

impl Statistics {
    /// Counts a use; `compile_seconds` is how long the graph took to compile.
    pub(crate) fn count(&mut self, one: &Use, compile_seconds: f64) {
        let mut counted = Counted::default();
        counted.count(&StageUse { used: one.clone(), wait_seconds: None }, compile_seconds);
        self.take(&counted);
    }

    /// Adds what was counted of served requests.
    pub(crate) fn take(&mut self, counted: &Counted) {
        self.stages.merge(&counted.stages);
        for (name, device) in &counted.by_device {
            self.by_device.entry(name.clone()).or_default().merge(device);
        }
    }

    /// Adds counters that belong to no single use.
    pub(crate) fn add(&mut self, counters: &Counters) {
        let Counters {
            misses,
            failed_compiles,
            single_flight_waits,
            evictions,
            quarantined,
            remotes,
        } = counters;
        merge_remotes(&mut self.remotes, remotes);
        self.stages.misses += misses;
        self.stages.failed_compiles += failed_compiles;
        self.stages.single_flight_waits += single_flight_waits;
        self.evictions += evictions;
        self.quarantined += quarantined;
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
