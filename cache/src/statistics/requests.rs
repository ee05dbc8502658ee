//! How did requests end? A request is what a person or a program asked for; the stages that it
//! needed are counted below it.
//!
//! Counts are kept for each [`RequestGroup`]: what the requests were for, the model, the size and
//! the device. [`Counted`] is all that is counted for one group in one period, and its `merge` is
//! the one place where such counts are added.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::{FinishedRequest, StageUse};
use super::group::{Purpose, RequestGroup, RequestOutcome};
use super::{DeviceStatistics, Histogram, Hits, Match, RemoteStatistics, Source, merge_remotes};

/// How many requests ended in each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcomes {
    /// By [`RequestOutcome::ServedWarm`].
    pub served_warm: u64,
    /// By [`RequestOutcome::ServedAfterCompile`].
    pub served_after_compile: u64,
    /// By [`RequestOutcome::Refused`].
    pub refused: u64,
    /// By [`RequestOutcome::Failed`].
    pub failed: u64,
    /// By [`RequestOutcome::Interrupted`].
    pub interrupted: u64,
}

impl Outcomes {
    /// Each outcome's name in JSON and in metrics, and its count.
    pub fn each(&self) -> [(&'static str, u64); 5] {
        let Self { served_warm, served_after_compile, refused, failed, interrupted } = *self;
        [
            ("served_warm", served_warm),
            ("served_after_compile", served_after_compile),
            ("refused", refused),
            ("failed", failed),
            ("interrupted", interrupted),
        ]
    }

    /// All requests that ended.
    pub fn total(&self) -> u64 {
        self.each().iter().map(|(_, count)| count).sum()
    }

    /// The share of requests that found everything warm. Refused requests count as requests that
    /// did not find everything warm. Requests that failed or were interrupted are left out, because
    /// it is not known whether they would have needed a compile. `None` if no request is left.
    pub fn hit_rate(&self) -> Option<f64> {
        let told = self.served_warm + self.served_after_compile + self.refused;
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 requests")]
        let rate = (told > 0).then(|| self.served_warm as f64 / told as f64);
        rate
    }

    fn count(&mut self, outcome: RequestOutcome, times: u64) {
        *match outcome {
            RequestOutcome::ServedWarm => &mut self.served_warm,
            RequestOutcome::ServedAfterCompile => &mut self.served_after_compile,
            RequestOutcome::Refused => &mut self.refused,
            RequestOutcome::Failed => &mut self.failed,
            RequestOutcome::Interrupted => &mut self.interrupted,
        } += times;
    }

    fn merge(&mut self, other: &Self) {
        let Self { served_warm, served_after_compile, refused, failed, interrupted } = other;
        self.served_warm += served_warm;
        self.served_after_compile += served_after_compile;
        self.refused += refused;
        self.failed += failed;
        self.interrupted += interrupted;
    }
}

/// How the stages of requests became ready.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StageCounts {
    /// Hits.
    pub hits: Hits,
    /// Stages for which nothing was found.
    pub misses: u64,
    /// Compiles that ended with an executable.
    pub compiles: u64,
    /// Compiles that failed.
    pub failed_compiles: u64,
    /// How often a stage waited for a compile in another thread or process.
    pub single_flight_waits: u64,
    /// The time spent compiling.
    pub compile_seconds: f64,
    /// The compile time that hits saved; 0 for warmups, which save nothing.
    pub compile_seconds_saved: f64,
    /// The time spent loading.
    pub load_seconds: f64,
}

impl StageCounts {
    pub(super) fn merge(&mut self, other: &Self) {
        let Self {
            hits,
            misses,
            compiles,
            failed_compiles,
            single_flight_waits,
            compile_seconds,
            compile_seconds_saved,
            load_seconds,
        } = other;
        self.hits.merge(hits);
        self.misses += misses;
        self.compiles += compiles;
        self.failed_compiles += failed_compiles;
        self.single_flight_waits += single_flight_waits;
        self.compile_seconds += compile_seconds;
        self.compile_seconds_saved += compile_seconds_saved;
        self.load_seconds += load_seconds;
    }
}

/// All that is counted for one group of requests in one period.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counted {
    /// How the requests ended.
    pub outcomes: Outcomes,
    /// How the stages of these requests became ready.
    pub stages: StageCounts,
    /// How long each served request took, from the request to its result.
    pub request_seconds: Histogram,
    /// How long each load of a stage took.
    pub stage_load_seconds: Histogram,
    /// How long each wait of a stage for a compile in another thread or process took.
    pub stage_wait_seconds: Histogram,
    /// How long each compile of a stage took.
    pub stage_compile_seconds: Histogram,
    /// Hits and compiles by the device of the stage, which may differ from the request's device.
    pub by_device: BTreeMap<String, DeviceStatistics>,
    /// Entries removed to keep the limit.
    pub evictions: u64,
    /// Objects that failed a check.
    pub quarantined: u64,
    /// What was exchanged with each remote.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub remotes: BTreeMap<String, RemoteStatistics>,
}

impl Counted {
    /// Adds other counts. The code does not compile if a new count is not named here.
    pub(crate) fn merge(&mut self, other: &Self) {
        let Self {
            outcomes,
            stages,
            request_seconds,
            stage_load_seconds,
            stage_wait_seconds,
            stage_compile_seconds,
            by_device,
            evictions,
            quarantined,
            remotes,
        } = other;
        merge_remotes(&mut self.remotes, remotes);
        self.outcomes.merge(outcomes);
        self.stages.merge(stages);
        self.request_seconds.merge(request_seconds);
        self.stage_load_seconds.merge(stage_load_seconds);
        self.stage_wait_seconds.merge(stage_wait_seconds);
        self.stage_compile_seconds.merge(stage_compile_seconds);
        for (name, device) in by_device {
            self.by_device.entry(name.clone()).or_default().merge(device);
        }
        self.evictions += evictions;
        self.quarantined += quarantined;
    }

    /// Counts the end of a request, without its stages.
    pub(crate) fn count_end(&mut self, one: &FinishedRequest) {
        self.outcomes.count(one.outcome, one.times);
        let was_served =
            matches!(one.outcome, RequestOutcome::ServedWarm | RequestOutcome::ServedAfterCompile);
        if let Some(seconds) = one.seconds.filter(|_| was_served) {
            self.request_seconds.observe(seconds);
        }
        self.stages.misses += one.counters.misses;
        self.stages.failed_compiles += one.counters.failed_compiles;
        self.stages.single_flight_waits += one.counters.single_flight_waits;
    }

    /// Counts a stage; `compile_seconds` is how long its graph took to compile when it was
    /// compiled.
    pub(crate) fn count(&mut self, stage: &StageUse, compile_seconds: f64) {
        // A sum that is not finite would be written as null, and could not be read back.
        let finite = |seconds: Option<f64>| seconds.filter(|seconds| seconds.is_finite());
        let StageUse { used: one, wait_seconds } = stage;
        let device = self.by_device.entry(one.device.clone()).or_default();
        if let Some(seconds) = finite(one.load_seconds) {
            self.stages.load_seconds += seconds;
            self.stage_load_seconds.observe(seconds);
        }
        if let Some(seconds) = finite(*wait_seconds) {
            self.stage_wait_seconds.observe(seconds);
        }
        let hits = &mut self.stages.hits;
        match one.matched {
            Match::Exact => hits.exact += one.times,
            Match::Equivalent => hits.equivalent += one.times,
            Match::Graph => hits.graph += one.times,
            Match::Compiled => {
                device.compiles += 1;
                self.stages.misses += 1;
                self.stages.compiles += 1;
                if let Some(seconds) = finite(one.compile_seconds) {
                    self.stages.compile_seconds += seconds;
                    self.stage_compile_seconds.observe(seconds);
                }
                return;
            }
        }
        match one.source {
            Source::Memory => hits.memory += one.times,
            Source::Disk => hits.disk += one.times,
            Source::Fallback => hits.fallback += one.times,
            Source::Remote => hits.remote += one.times,
            Source::Compiled => {}
        }
        device.hits += one.times;
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 hits")]
        let times = one.times as f64;
        self.stages.compile_seconds_saved += finite(Some(compile_seconds * times)).unwrap_or(0.0);
    }
}

/// The figures of requests that are counted together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupStatistics {
    /// The model, or the program's name.
    pub model_id: String,
    /// The padded size of a picture in pixels, or the shape of a program's input.
    pub size: String,
    /// The device, by its name on the command line.
    pub device: String,
    /// How many requests ended in each way.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// The share of requests that found everything warm; see [`Outcomes::hit_rate`].
    pub hit_rate: Option<f64>,
    /// How long each served request took.
    pub request_seconds: Histogram,
    /// How long each load of a stage took.
    pub stage_load_seconds: Histogram,
    /// How long each wait of a stage for a compile in another thread or process took.
    pub stage_wait_seconds: Histogram,
    /// How long each compile of a stage took.
    pub stage_compile_seconds: Histogram,
}

/// How requests ended, for all groups together and for each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestStatistics {
    /// How many requests ended in each way.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// How many are under way.
    pub in_flight: u64,
    /// The share of requests that found everything warm; see [`Outcomes::hit_rate`].
    pub hit_rate: Option<f64>,
    /// How long each served request took.
    pub request_seconds: Histogram,
    /// How long each load of a stage took.
    pub stage_load_seconds: Histogram,
    /// How long each wait of a stage for a compile in another thread or process took.
    pub stage_wait_seconds: Histogram,
    /// How long each compile of a stage took.
    pub stage_compile_seconds: Histogram,
    /// The same figures for each model, size and device.
    pub groups: Vec<GroupStatistics>,
    /// Since when requests are counted; `None` if nothing was counted yet. A store that an earlier
    /// release made counts requests from its first use by this release on.
    pub since: Option<Timestamp>,
}

/// The figures of warmups.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WarmingStatistics {
    /// How warmups ended. `served_warm` counts those that had nothing to compile.
    pub requests: RequestStatistics,
    /// Stages that were there already.
    pub hits: Hits,
    /// Compiles that ended with an executable.
    pub compiles: u64,
    /// Compiles that failed.
    pub failed_compiles: u64,
    /// How often a stage waited for a compile in another thread or process.
    pub single_flight_waits: u64,
    /// The time spent compiling.
    pub compile_seconds: f64,
    /// The time spent loading.
    pub load_seconds: f64,
}

impl RequestStatistics {
    /// The figures of all groups of one purpose. The group with the most requests comes first.
    pub(crate) fn of(purpose: Purpose, groups: &[(RequestGroup, Counted)], in_flight: u64) -> Self {
        let (mut all, mut each) = (Counted::default(), Vec::new());
        for (group, counted) in groups.iter().filter(|(group, _)| group.purpose == purpose) {
            all.merge(counted);
            if counted.outcomes.total() == 0 {
                continue;
            }
            each.push(GroupStatistics {
                model_id: group.model_id.clone(),
                size: group.size.clone(),
                device: group.device.clone(),
                outcomes: counted.outcomes,
                hit_rate: counted.outcomes.hit_rate(),
                request_seconds: counted.request_seconds.clone(),
                stage_load_seconds: counted.stage_load_seconds.clone(),
                stage_wait_seconds: counted.stage_wait_seconds.clone(),
                stage_compile_seconds: counted.stage_compile_seconds.clone(),
            });
        }
        each.sort_by_key(|one| std::cmp::Reverse(one.outcomes.total()));
        Self {
            outcomes: all.outcomes,
            in_flight,
            hit_rate: all.outcomes.hit_rate(),
            request_seconds: all.request_seconds,
            stage_load_seconds: all.stage_load_seconds,
            stage_wait_seconds: all.stage_wait_seconds,
            stage_compile_seconds: all.stage_compile_seconds,
            groups: each,
            since: None,
        }
    }
}

impl WarmingStatistics {
    pub(crate) fn of(groups: &[(RequestGroup, Counted)], in_flight: u64) -> Self {
        let mut all = Counted::default();
        let warming = groups.iter().filter(|(group, _)| group.purpose == Purpose::Warming);
        warming.for_each(|(_, counted)| all.merge(counted));
        let StageCounts {
            hits,
            misses: _,
            compiles,
            failed_compiles,
            single_flight_waits,
            compile_seconds,
            compile_seconds_saved: _,
            load_seconds,
        } = all.stages;
        Self {
            requests: RequestStatistics::of(Purpose::Warming, groups, in_flight),
            hits,
            compiles,
            failed_compiles,
            single_flight_waits,
            compile_seconds,
            load_seconds,
        }
    }
}
