//! How often did a runtime do each kind of work, and how long did it take?
//!
//! A metric with the same meaning as in `torch_xla` has the same name as there. Nothing is
//! collected unless metrics or a trace were asked for.
//!
//! | name | what | in `torch_xla` |
//! |---|---|---|
//! | `CompileTime` | a compile | same |
//! | `PersistentCacheLoad` | an executable read from the cache and handed to the device | same |
//! | `TransferToDeviceTime`, `OutboundData` | the transfer of a tensor to the device, until the device has it; its bytes | same, until the call returns |
//! | `TransferFromDeviceTime`, `InboundData` | the transfer of a result to the host, with the wait for it; its bytes | same |
//! | `ExecuteTime` | an execution, from when the device was free for it until it was done | from the call until it was done |
//! | `StepTime` | a step of a [`StepBoundary`](super::StepBoundary), measured like an execution | not there |
//! | `CachedCompile`, `UncachedCompile` | an executable was found, in memory or in the cache; it had to be compiled | same |
//! | `PersistentCacheHit`, `PersistentCacheMiss` | an executable came from the cache; it had to be compiled | same |
//!
//! Percentiles are those of the last 1024 samples, as in `torch_xla`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use preheat_cache::{GraphKey, Measurements, Source};

use super::report::StageReport;
use super::source::Graph;
use crate::backend::DeviceFault;
use crate::backend::contract::{Buffer, MemoryUse};
use crate::trace::{Going, Span, Trace};

/// How long metrics wait for completions that the device is about to report: a result can be read a
/// moment before its completion is reported.
const SETTLE: Duration = Duration::from_millis(100);
/// How many samples percentiles are computed from.
const SAMPLES_KEPT: usize = 1024;

/// A quantity that is measured again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Metric {
    /// Seconds of a compile.
    CompileTime,
    /// Seconds of reading an executable from the cache and loading it.
    PersistentCacheLoad,
    /// Seconds until the device had a tensor.
    TransferToDeviceTime,
    /// Bytes of a tensor that went to the device.
    OutboundData,
    /// Seconds until the host had a result.
    TransferFromDeviceTime,
    /// Bytes of a result that came to the host.
    InboundData,
    /// Seconds of an execution.
    ExecuteTime,
    /// Seconds of a step.
    StepTime,
}

impl Metric {
    /// Its name. `torch_xla` has the same names, except for `StepTime`.
    pub fn name(self) -> &'static str {
        match self {
            Self::CompileTime => "CompileTime",
            Self::PersistentCacheLoad => "PersistentCacheLoad",
            Self::TransferToDeviceTime => "TransferToDeviceTime",
            Self::OutboundData => "OutboundData",
            Self::TransferFromDeviceTime => "TransferFromDeviceTime",
            Self::InboundData => "InboundData",
            Self::ExecuteTime => "ExecuteTime",
            Self::StepTime => "StepTime",
        }
    }

    /// Its unit: `seconds` or `bytes`.
    pub fn unit(self) -> &'static str {
        match self {
            Self::OutboundData | Self::InboundData => "bytes",
            _ => "seconds",
        }
    }
}

/// A summary of one metric's samples.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// The number of samples.
    pub samples: u64,
    /// The sum of all samples.
    pub total: f64,
    /// The smallest sample that at least half of the last 1024 samples do not exceed.
    pub p50: f64,
    /// The smallest sample that at least 99 in 100 of the last 1024 samples do not exceed.
    pub p99: f64,
}

/// The metrics of a runtime so far.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// The measurements. The second part of a key is a stage, program or step; `None` stands for
    /// all of them together.
    pub measured: BTreeMap<(Metric, Option<String>), Summary>,
    /// The counters.
    pub counters: BTreeMap<&'static str, u64>,
    /// What the compiler reported of each executable (see
    /// [`Executable::metrics`](super::Executable::metrics)), by stage or program. If several graphs
    /// were requested for a stage, there is one set for each graph. The first is under `denoiser`,
    /// each other one under `denoiser@` and the beginning of its graph key.
    pub executables: BTreeMap<String, BTreeMap<String, f64>>,
    /// The device's memory in bytes, if the plugin reports it.
    pub device_memory: BTreeMap<&'static str, u64>,
}

impl Metrics {
    /// All figures in one table: `CompileTime.samples`, `denoiser.CompileTime.p50_seconds`,
    /// `UncachedCompile`, `denoiser.flops`, `device.bytes_in_use`, ...
    pub fn flat(&self) -> BTreeMap<String, f64> {
        let mut flat = BTreeMap::new();
        for ((metric, subject), summary) in &self.measured {
            let of = subject.as_ref().map(|subject| format!("{subject}.")).unwrap_or_default();
            let (name, unit) = (metric.name(), metric.unit());
            flat.insert(format!("{of}{name}.samples"), number(summary.samples));
            flat.insert(format!("{of}{name}.{unit}"), summary.total);
            flat.insert(format!("{of}{name}.p50_{unit}"), summary.p50);
            flat.insert(format!("{of}{name}.p99_{unit}"), summary.p99);
        }
        flat.extend(self.counters.iter().map(|(name, &count)| ((*name).to_owned(), number(count))));
        flat.extend(
            self.device_memory
                .iter()
                .map(|(name, &bytes)| (format!("device.{name}"), number(bytes))),
        );
        for (subject, figures) in &self.executables {
            flat.extend(figures.iter().map(|(name, value)| (format!("{subject}.{name}"), *value)));
        }
        flat
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for reading; exact up to 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

/// Samples as they come: their number, their sum, and the latest of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples {
    count: u64,
    total: f64,
    latest: VecDeque<f64>,
}

impl Samples {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1;
        self.total += value;
        if self.latest.len() == SAMPLES_KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(value);
    }

    pub(super) fn summary(&self) -> Summary {
        let mut sorted: Vec<f64> = self.latest.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        // By nearest rank: the result is a value that was measured, never one between two values.
        let percentile = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        Summary { samples: self.count, total: self.total, p50: percentile(50), p99: percentile(99) }
    }
}

/// Collects what a runtime does. If neither metrics nor a trace were asked for, no recorder exists,
/// and each place that would report to it only checks one `Option`.
#[derive(Debug)]
pub(super) struct Recorder {
    state: Mutex<State>,
    /// Notified when nothing is in flight.
    settled: Condvar,
    trace: Option<Trace>,
}

#[derive(Debug, Default)]
struct State {
    measured: BTreeMap<Metric, BTreeMap<Option<String>, Samples>>,
    counters: BTreeMap<&'static str, u64>,
    executables: BTreeMap<String, (GraphKey, BTreeMap<String, f64>)>,
    /// The time at which the device finished its latest execution.
    device_free: Option<Instant>,
    /// The number of transfers and executions whose end the device has not reported yet.
    in_flight: usize,
}

impl State {
    fn measure(&mut self, metric: Metric, subject: Option<&str>, value: f64) {
        let of_metric = self.measured.entry(metric).or_default();
        of_metric.entry(None).or_default().add(value);
        if let Some(subject) = subject {
            of_metric.entry(Some(subject.to_owned())).or_default().add(value);
        }
    }

    fn count(&mut self, counter: &'static str) {
        *self.counters.entry(counter).or_default() += 1;
    }
}

impl Recorder {
    pub(super) fn new(trace: Option<Trace>) -> Self {
        Self { state: Mutex::default(), settled: Condvar::new(), trace }
    }

    pub(super) fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change of this state can panic before it is complete.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a span on the row of a stage.
    pub(super) fn begin(&self, subject: &str, name: &'static str) -> Option<Going> {
        self.trace.as_ref().map(|trace| trace.begin(subject.to_owned(), name))
    }

    /// An executable was read from the cache and loaded.
    pub(super) fn loaded(&self, subject: &str, began: Instant, payload_bytes: u64) {
        let took = began.elapsed();
        self.state().measure(Metric::PersistentCacheLoad, Some(subject), took.as_secs_f64());
        self.span(|| {
            Span::new(subject.to_owned(), "load", began, took).with("bytes", payload_bytes)
        });
    }

    /// A request was answered. `measurements` are those of its executable, if they were read.
    pub(super) fn obtained(&self, report: &StageReport, measurements: Option<&Measurements>) {
        let subject = subject(&report.model_id, &report.stage);
        let mut state = self.state();
        match report.source {
            Source::Compiled => {
                state.measure(Metric::CompileTime, Some(subject), report.compile_seconds);
                state.count("UncachedCompile");
                state.count("PersistentCacheMiss");
            }
            Source::Disk | Source::Fallback | Source::Remote => {
                state.count("CachedCompile");
                state.count("PersistentCacheHit");
            }
            Source::Memory => state.count("CachedCompile"),
        }
        let Some(measurements) = measurements else { return };
        let key = report.graph_key;
        let other = state.executables.get(subject).is_some_and(|(known, _)| *known != key);
        let name = if other { format!("{subject}@{}", key.short()) } else { subject.to_owned() };
        state.executables.entry(name).or_insert_with(|| (key, figures(measurements)));
    }

    /// A tensor of `bytes` is on its way to the device, into `buffer`.
    pub(super) fn sent(self: &Arc<Self>, buffer: &dyn Buffer, began: Instant, bytes: usize) {
        self.when_ready(buffer, move |recorder| {
            let took = began.elapsed();
            recorder.transferred(Metric::TransferToDeviceTime, Metric::OutboundData, took, bytes);
            recorder.span(|| Span::new("to device", "transfer", began, took).with("bytes", bytes));
        });
    }

    /// A result of `bytes` has come to the host.
    pub(super) fn received(&self, began: Instant, bytes: usize) {
        let took = began.elapsed();
        self.transferred(Metric::TransferFromDeviceTime, Metric::InboundData, took, bytes);
        self.span(|| Span::new("from device", "transfer", began, took).with("bytes", bytes));
    }

    fn transferred(&self, time: Metric, data: Metric, took: Duration, bytes: usize) {
        let mut state = self.state();
        state.measure(time, None, took.as_secs_f64());
        state.measure(data, None, number(bytes as u64));
    }

    /// An execution was queued at `began`. It has finished when `result` is ready.
    pub(super) fn queued(
        self: &Arc<Self>,
        report: &StageReport,
        began: Instant,
        result: &dyn Buffer,
    ) {
        let subject = subject(&report.model_id, &report.stage).to_owned();
        self.when_ready(result, move |recorder| {
            let ended = Instant::now();
            let mut state = recorder.state();
            // A device runs one execution at a time, in the order in which they were queued.
            let began = state.device_free.map_or(began, |free| free.max(began)).min(ended);
            state.device_free = Some(ended);
            let took = ended - began;
            state.measure(Metric::ExecuteTime, Some(&subject), took.as_secs_f64());
            drop(state);
            recorder.span(|| Span::new("device", subject, began, took));
        });
    }

    /// A step is done.
    pub(super) fn step(&self, name: &str, began: Instant, took: Duration) {
        self.state().measure(Metric::StepTime, Some(name), took.as_secs_f64());
        self.span(|| Span::new(format!("steps: {name}"), name.to_owned(), began, took));
    }

    fn span(&self, span: impl FnOnce() -> Span) {
        if let Some(trace) = &self.trace {
            trace.add(span());
        }
    }

    /// Calls `done` when the buffer is ready. A buffer whose computation fails is not measured; the
    /// caller who waits for it gets the error.
    fn when_ready(
        self: &Arc<Self>,
        buffer: &dyn Buffer,
        done: impl FnOnce(&Self) + Send + 'static,
    ) {
        self.state().in_flight += 1;
        let recorder = Arc::clone(self);
        let told = buffer.ready().and_then(|event| {
            event.on_ready(Box::new(move |result: Result<(), DeviceFault>| {
                if result.is_ok() {
                    done(&recorder);
                }
                recorder.landed();
            }))
        });
        if let Err(error) = told {
            tracing::debug!(%error, "the plugin does not tell when this is done, so it is not measured");
            self.landed();
        }
    }

    fn landed(&self) {
        let mut state = self.state();
        // A plugin that refuses a callback might still call it.
        state.in_flight = state.in_flight.saturating_sub(1);
        if state.in_flight == 0 {
            self.settled.notify_all();
        }
    }

    /// The measurements so far. This waits up to [`SETTLE`] for work in flight to end.
    pub(super) fn metrics(&self, memory: Option<MemoryUse>) -> Metrics {
        let waited =
            self.settled.wait_timeout_while(self.state(), SETTLE, |state| state.in_flight > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let of_metric = |(metric, subjects): (&Metric, &BTreeMap<Option<String>, Samples>)| {
            let metric = *metric;
            let summaries =
                subjects.iter().map(move |(of, samples)| ((metric, of.clone()), samples.summary()));
            summaries.collect::<Vec<_>>()
        };
        Metrics {
            measured: state.measured.iter().flat_map(of_metric).collect(),
            counters: state.counters.clone(),
            executables: state
                .executables
                .iter()
                .map(|(name, (_, figures))| (name.clone(), figures.clone()))
                .collect(),
            device_memory: memory.map(device_memory).unwrap_or_default(),
        }
    }
}

/// The compiler's figures of an executable.
pub(super) fn figures(measurements: &Measurements) -> BTreeMap<String, f64> {
    let Measurements { cost, memory_bytes, program_counts, .. } = measurements;
    let memory = memory_bytes.iter().map(|(name, &bytes)| (format!("{name}_bytes"), number(bytes)));
    let counts = program_counts.iter().map(|(name, &count)| (name.clone(), number(count)));
    cost.iter().map(|(name, &value)| (name.clone(), value)).chain(memory).chain(counts).collect()
}

/// The name under which figures are listed: the stage of a model, or the name of a program.
pub(super) fn subject<'a>(model_id: &'a str, stage: &'a str) -> &'a str {
    if stage == Graph::DEFAULT_STAGE { model_id } else { stage }
}

fn device_memory(memory: MemoryUse) -> BTreeMap<&'static str, u64> {
    [
        ("bytes_in_use", Some(memory.in_use)),
        ("peak_bytes_in_use", memory.peak),
        ("bytes_limit", memory.limit),
        ("bytes_reserved", memory.reserved),
    ]
    .into_iter()
    .filter_map(|(name, bytes)| Some((name, bytes?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(values: impl IntoIterator<Item = u32>) -> Summary {
        let mut samples = Samples::default();
        values.into_iter().for_each(|value| samples.add(value.into()));
        samples.summary()
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let of = |values: std::ops::RangeInclusive<u32>| {
            let Summary { p50, p99, .. } = summary(values.rev());
            (p50, p99)
        };
        assert_eq!(of(1..=100), (50.0, 99.0));
        assert_eq!(of(1..=200), (100.0, 198.0));
        assert_eq!(of(1..=3), (2.0, 3.0));
        assert_eq!(of(1..=2), (1.0, 2.0));
        assert_eq!(of(7..=7), (7.0, 7.0));
        assert_eq!(summary([]), Summary::default());
    }

    #[test]
    fn percentiles_are_of_the_latest_samples_and_sums_of_all() {
        let of_all =
            summary(std::iter::repeat_n(1000, 50).chain(std::iter::repeat_n(2, SAMPLES_KEPT)));
        assert_eq!((of_all.p50, of_all.p99), (2.0, 2.0));
        assert_eq!((of_all.samples, of_all.total), (50 + 1024, 50_000.0 + 2048.0));
    }

    #[test]
    fn one_table_has_everything_under_its_name() {
        let recorder = Recorder::new(None);
        recorder.step("diffusion_step", Instant::now(), Duration::from_secs(2));
        recorder.transferred(
            Metric::TransferToDeviceTime,
            Metric::OutboundData,
            Duration::from_secs(1),
            64,
        );
        recorder.state().count("UncachedCompile");
        let mut metrics = recorder.metrics(None);
        metrics
            .executables
            .insert("denoiser".to_owned(), BTreeMap::from([("flops".to_owned(), 9.0)]));
        let flat = metrics.flat();
        for (name, value) in [
            ("StepTime.samples", 1.0),
            ("diffusion_step.StepTime.p99_seconds", 2.0),
            ("TransferToDeviceTime.seconds", 1.0),
            ("OutboundData.bytes", 64.0),
            ("UncachedCompile", 1.0),
            ("denoiser.flops", 9.0),
        ] {
            assert_eq!(flat.get(name), Some(&value), "{name} in {flat:?}");
        }
    }
}
