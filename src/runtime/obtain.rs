//! One request, from the cheapest answer to the dearest: memory, level 1, the graph, level 2, a compile.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use preheat_cache::{
    GraphKey, GraphRecord, KeyInputs, Match, Measurements, RecordedSignature, Resolved, Signature, Source, Use, Wanted,
};

use super::Inner;
use super::digests::Digests;
use super::error::Error;
use super::executable::{Executable, Interface, LoadedGraph};
use super::memory::Memory;
use super::report::{Lookup, Nearest, StageLookup, StageReport, Verdict};
use super::request::Asked;
use crate::backend::xla;
use crate::device::XlaDevice;
use crate::pjrt::{ErrorCode, PjrtError};
use crate::progress::EventKind;

/// How long a busy index is waited for where it saves building the graph.
const LEVEL_ONE_PATIENCE: Duration = Duration::from_secs(2);
/// How long it is waited for where it only tells how something matched.
const LABEL_PATIENCE: Duration = Duration::from_millis(100);
/// How often a thread looks whether another is done compiling.
const TURN_POLL: Duration = Duration::from_millis(25);

/// An executable that was found or made, and how.
struct Obtained {
    graph: Arc<LoadedGraph>,
    source: Source,
    matched: Match,
    compile_seconds: f64,
    compile_peak_bytes: u64,
}

/// What looking for an executable came to.
enum Found {
    Ready(Obtained),
    Nothing,
    /// It is there and intact, and the plugin does not take it.
    Refused(GraphKey),
}

impl Obtained {
    fn found(graph: Arc<LoadedGraph>, source: Source, matched: Match) -> Self {
        Self { graph, source, matched, compile_seconds: 0.0, compile_peak_bytes: 0 }
    }
}

impl Inner {
    pub(super) fn obtain(&self, asked: &Asked<'_>) -> Result<Executable, Error> {
        let began = Instant::now();
        let obtained = self.find_or_compile(asked)?;
        let load_seconds = (began.elapsed().as_secs_f64() - obtained.compile_seconds).max(0.0);
        let report = StageReport {
            model_id: asked.signature.model_id.clone(),
            stage: asked.graph.stage_name().to_owned(),
            graph_key: obtained.graph.graph_key,
            source: obtained.source,
            matched: obtained.matched,
            compile_seconds: obtained.compile_seconds,
            compile_peak_bytes: obtained.compile_peak_bytes,
            load_seconds,
        };
        self.note_use(asked, &report);
        if obtained.source != Source::Memory {
            tracing::info!(
                stage = report.stage, graph_key = %report.graph_key, source = ?report.source, matched = ?report.matched,
                compile_seconds = report.compile_seconds, load_seconds, "ready"
            );
            asked.tell(self, EventKind::Ready);
        }
        Ok(Executable { graph: obtained.graph, report })
    }

    fn find_or_compile(&self, asked: &Asked<'_>) -> Result<Obtained, Error> {
        let look = !asked.force_recompile && self.reuse;
        let mut refused = None;
        if look {
            if let Some((graph, matched)) = self.memory().by_projection(&asked.projection_key, &asked.exact) {
                return Ok(Obtained::found(graph, Source::Memory, matched));
            }
            // With the program at hand its key is known at once, and level 1 is only asked, meanwhile, how it matched.
            if asked.graph.program_at_hand().is_none() {
                match self.find_by_projection(asked)? {
                    Found::Ready(obtained) => return Ok(obtained),
                    Found::Nothing => {}
                    Found::Refused(key) => refused = Some(key),
                }
            }
        }
        let program = asked.graph.build().map_err(|cause| {
            let stage = asked.graph.stage_name().to_owned();
            Error::Build { stage, cause }
        })?;
        let inputs = KeyInputs {
            program,
            options: asked.graph.compile_options().clone(),
            environment: Arc::clone(&self.backend.environment),
        };
        let key = inputs.graph_key();
        if look && refused != Some(key) {
            match self.find_by_key(asked, &key)? {
                Found::Ready(obtained) => return Ok(obtained),
                Found::Nothing => {}
                Found::Refused(key) => refused = Some(key),
            }
        }
        self.compile(asked, &inputs, key, refused == Some(key))
    }

    /// Level 1: the graph that this projection led to before, without building it.
    fn find_by_projection(&self, asked: &Asked<'_>) -> Result<Found, Error> {
        let known = self
            .cache
            .as_ref()
            .and_then(|cache| cache.resolve(asked.projection_key, asked.exact, LEVEL_ONE_PATIENCE, &self.warnings));
        let Some(known) = known else { return Ok(Found::Nothing) };
        if let Some(graph) = self.memory().by_key(&known.graph_key) {
            return Ok(Found::Ready(Obtained::found(graph, Source::Memory, known.matched)));
        }
        // The index is trusted to save work, not to be right: what it leads to must be such a graph.
        let (stage, options) = (asked.graph.stage_name(), asked.graph.compile_options());
        let fits = |record: &GraphRecord| record.answers(stage, options, &self.environment_digest);
        self.load(asked, &known.graph_key, fits, || known.matched)
    }

    /// Level 2: the executable of this very graph. How it matched is read from the index while the plugin loads it.
    fn find_by_key(&self, asked: &Asked<'_>, key: &GraphKey) -> Result<Found, Error> {
        if let Some(graph) = self.memory().by_key(key) {
            return Ok(Found::Ready(Obtained::found(graph, Source::Memory, Match::Graph)));
        }
        let Some(cache) = self.cache.as_ref().filter(|cache| cache.has_object(key)) else { return Ok(Found::Nothing) };
        let resolve = || cache.resolve(asked.projection_key, asked.exact, LABEL_PATIENCE, &self.warnings);
        std::thread::scope(|scope| {
            // Where no thread can be had, nobody needs to know how it matched.
            let resolving = std::thread::Builder::new().spawn_scoped(scope, resolve).ok();
            let known = || resolving.and_then(|resolving| resolving.join().unwrap_or_default());
            self.load(asked, key, |_| true, || matched(known().as_ref(), key))
        })
    }

    /// Reads an object and, if its record `fits`, hands it to the plugin; `matched` is asked once it is loaded.
    fn load(
        &self,
        asked: &Asked<'_>,
        key: &GraphKey,
        fits: impl FnOnce(&GraphRecord) -> bool,
        matched: impl FnOnce() -> Match,
    ) -> Result<Found, Error> {
        let object = self.cache.as_ref().and_then(|cache| cache.load(key, &self.warnings));
        let Some((object, source)) = object.filter(|(object, _)| fits(&object.record)) else {
            return Ok(Found::Nothing);
        };
        let payload_bytes = object.payload.len() as u64;
        asked.tell(self, EventKind::Loading { payload_bytes });
        match self.backend.load(&object.payload) {
            Ok(loaded) => {
                let graph = self.keep(*key, loaded, &object.record, payload_bytes);
                Ok(Found::Ready(Obtained::found(graph, source, matched())))
            }
            // Nothing is wrong with the executable, so compiling it anew would not help.
            Err(cause) if is_passing(&cause) => {
                Err(Error::Run { stage: asked.graph.stage_name().to_owned(), doing: "loading its executable", cause })
            }
            Err(error) => {
                self.warnings
                    .warn(format!("the plugin refused the cached executable of graph {} ({error})", key.short()));
                Ok(Found::Refused(*key))
            }
        }
    }

    /// Compiles it, unless someone else has done so meanwhile. `refused`: what the cache has is known to be of no use.
    fn compile(&self, asked: &Asked<'_>, inputs: &KeyInputs, key: GraphKey, refused: bool) -> Result<Obtained, Error> {
        let stage = asked.graph.stage_name();
        let nearest = self.nearest(asked, inputs);
        if asked.require_warm {
            return Err(Error::NotWarm(vec![missing(asked, key, nearest)]));
        }
        let expected_seconds = nearest.as_ref().and_then(|(_, seconds)| *seconds);
        if self.manual_warmup && !asked.warming {
            self.warnings
                .warn(format!("not warm: stage `{stage}` has to be compiled (`preheat warmup` does it ahead of time)"));
        }
        if !asked.force_recompile {
            explain_miss(stage, &key, nearest.as_ref());
        }
        let turn = self.turn(asked, key)?;
        // Another thread may have had its turn since it was looked for; without a store, memory is where it left it.
        if self.reuse && !asked.force_recompile {
            let graph = self.memory().by_key(&key);
            if let Some(graph) = graph {
                return Ok(Obtained::found(graph, Source::Memory, Match::Graph));
            }
        }
        let mut lock = match &self.cache {
            None => None,
            Some(cache) => {
                let tell = |waiting| asked.tell(self, waiting);
                let lock = cache.lock(stage, &key, &tell, &self.cancel, &self.warnings);
                let lock = lock.inspect_err(|error| turn.flight.fail(error))?;
                // Another thread or process may have compiled it since it was looked for.
                let replaced = lock.as_ref().is_some_and(|lock| lock.waited().is_some());
                if !asked.force_recompile
                    && self.reuse
                    && (!refused || replaced)
                    && let Found::Ready(obtained) = self.find_by_key(asked, &key)?
                {
                    return Ok(obtained);
                }
                lock
            }
        };
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        asked.tell(self, EventKind::Compiling { expected_seconds });
        let compiled = xla::compile(&self.backend.client, inputs).map_err(|cause| {
            if let Some(cache) = &self.cache {
                cache.count(|counters| counters.failed_compiles += 1);
            }
            // What this process's device or memory is doing just now says nothing about the graph: others try for themselves.
            let is_of_the_graph = !is_passing(&cause);
            if let Some(lock) = lock.as_mut().filter(|_| is_of_the_graph) {
                lock.fail(&cause.to_string());
            }
            let cause = Arc::new(cause);
            let error = Error::Compile { stage: stage.to_owned(), graph_key: key, device: self.backend.name, cause };
            if is_of_the_graph {
                turn.flight.fail(&error);
            }
            error
        })?;
        let seconds = compiled.measurements.compile_seconds;
        asked.tell(self, EventKind::Compiled { seconds });
        let mut record = GraphRecord::new(stage, self.backend.name.as_str(), inputs);
        record.interface = compiled.interface;
        record.measurements = compiled.measurements;
        record.add_signature(recorded(asked));
        let payload_bytes = match &compiled.payload {
            Ok(payload) => {
                if let Some(cache) = &self.cache {
                    cache.put(&record, &inputs.program, payload, &self.warnings);
                }
                payload.len() as u64
            }
            Err(error) => {
                self.warnings
                    .warn(format!("stage `{stage}` cannot be kept, the plugin does not serialise it: {error}"));
                // How large it is nobody knows; that it is something lets the bound on memory reach it.
                inputs.program.bytes().len() as u64
            }
        };
        let compile_peak_bytes = record.measurements.compile_peak_bytes.unwrap_or(0);
        let graph = self.keep(key, compiled.loaded, &record, payload_bytes);
        Ok(Obtained {
            compile_seconds: seconds,
            compile_peak_bytes,
            ..Obtained::found(graph, Source::Compiled, Match::Compiled)
        })
    }

    /// Waits until no other thread of this process compiles the graph. Other processes are kept away by the key's lock, which
    /// a store that cannot be written does not have.
    fn turn(&self, asked: &Asked<'_>, key: GraphKey) -> Result<Turn<'_>, Error> {
        let began = Instant::now();
        let mut awaited: Option<Arc<Flight>> = None;
        loop {
            if let Some(failed) = awaited.as_ref().and_then(|flight| flight.failure(asked.graph.stage_name())) {
                return Err(failed);
            }
            let flight = match self.compiling().entry(key) {
                Entry::Vacant(free) => {
                    let flight = Arc::clone(free.insert(Arc::default()));
                    return Ok(Turn { inner: self, key, flight });
                }
                Entry::Occupied(taken) => Arc::clone(taken.get()),
            };
            if awaited.replace(flight).is_none()
                && let Some(cache) = &self.cache
            {
                cache.count(|counters| counters.single_flight_waits += 1);
            }
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let holder = Some(format!("process {}", std::process::id()));
            asked.tell(self, EventKind::Waiting { holder, compiling: None, waited: began.elapsed() });
            std::thread::sleep(TURN_POLL);
        }
    }

    fn compiling(&self) -> MutexGuard<'_, HashMap<GraphKey, Arc<Flight>>> {
        self.compiling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an executable into memory.
    fn keep(
        &self,
        graph_key: GraphKey,
        loaded: crate::pjrt::LoadedExecutable,
        record: &GraphRecord,
        payload_bytes: u64,
    ) -> Arc<LoadedGraph> {
        let interface = record.interface.as_ref().and_then(|interface| {
            Some(Interface::new(xla::types(&interface.inputs)?, &xla::types(&interface.outputs)?))
        });
        let measurements = Measurements { load_seconds: None, ..record.measurements.clone() };
        let backend = Arc::clone(&self.backend);
        // Options may have put it on another device than the first.
        let its_device = loaded.addressable_devices().ok().and_then(|devices| devices.into_iter().next());
        let device = its_device.unwrap_or_else(|| backend.device.clone());
        let graph =
            Arc::new(LoadedGraph { graph_key, loaded, backend, device, interface, payload_bytes, measurements });
        if self.reuse {
            // Dropped after the table is free again: a plugin takes its time to give an executable up.
            let gone = self.memory().insert(Arc::clone(&graph));
            drop(gone);
        }
        graph
    }

    fn note_use(&self, asked: &Asked<'_>, report: &StageReport) {
        let known = report.matched == Match::Exact;
        let in_memory = known && report.source == Source::Memory;
        if self.reuse && !in_memory {
            self.memory().learn(asked.exact, asked.projection_key, report.graph_key);
        }
        let Some(cache) = &self.cache else { return };
        let compiled = report.matched == Match::Compiled;
        let is_due = cache.used(report.graph_key, in_memory, || Use {
            graph_key: report.graph_key,
            device: self.backend.name.as_str().to_owned(),
            matched: report.matched,
            source: report.source,
            signature: (!known).then(|| recorded(asked)),
            load_seconds: matches!(report.source, Source::Disk | Source::Fallback).then_some(report.load_seconds),
            compile_seconds: compiled.then_some(report.compile_seconds),
            times: 1,
        });
        if is_due {
            // On a thread of its own: a transaction takes milliseconds, and whoever asked has a step to run.
            let (cache, warnings) = (Arc::clone(cache), Arc::clone(&self.warnings));
            let flush = move || cache.flush(&warnings);
            if let Err(error) = std::thread::Builder::new().name("preheat-statistics".to_owned()).spawn(flush) {
                tracing::debug!(%error, "statistics wait for the next occasion");
            }
        }
    }

    pub(super) fn digests(&self) -> MutexGuard<'_, Digests> {
        // Nothing in there can panic half-way through a change.
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // A panic elsewhere leaves the table whole: each of its methods changes it in one go.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Would it hit? Level 1 first; the graph is built only where that has no answer.
    pub(super) fn look_up(&self, asked: &Asked<'_>) -> Result<StageLookup, Error> {
        let cache = self.cache()?;
        let known = cache.resolve(asked.projection_key, asked.exact, LEVEL_ONE_PATIENCE, &self.warnings);
        let hit = |graph_key, matched, compile_seconds: Option<f64>| StageLookup {
            model_id: asked.signature.model_id.clone(),
            stage: asked.graph.stage_name().to_owned(),
            verdict: Verdict::Hit,
            matched: Some(matched),
            graph_key: Some(graph_key),
            expected_compile_seconds: compile_seconds,
            nearest: None,
        };
        if let Some(known) = known.as_ref().filter(|known| cache.has_object(&known.graph_key)) {
            return Ok(hit(known.graph_key, known.matched, Some(known.compile_seconds)));
        }
        let program = asked.graph.build().map_err(|cause| {
            let stage = asked.graph.stage_name().to_owned();
            Error::Build { stage, cause }
        })?;
        let options = asked.graph.compile_options().clone();
        let inputs = KeyInputs { program, options, environment: Arc::clone(&self.backend.environment) };
        let key = inputs.graph_key();
        let nearest = self.nearest(asked, &inputs);
        if cache.has_object(&key) {
            let seconds = nearest.as_ref().and_then(|(_, seconds)| *seconds);
            return Ok(hit(key, matched(known.as_ref(), &key), seconds));
        }
        Ok(missing(asked, key, nearest))
    }

    /// Every stage that was run under this exact signature, and whether its executable for this environment is there. A stage
    /// that was only run in other environments is a miss, with what differs.
    pub(super) fn lookup_signature(&self, signature: &Signature) -> Result<Lookup, Error> {
        let cache = self.cache()?;
        let mut stages: BTreeMap<String, StageLookup> = BTreeMap::new();
        for record in cache.main().records_of_signature(&signature.digest())? {
            let differences = record.environment.differences(&self.backend.environment);
            let here = differences.is_empty() && record.environment.digest() == self.environment_digest;
            let there = here && cache.has_object(&record.graph_key);
            let answer = StageLookup {
                model_id: signature.model_id.clone(),
                stage: record.stage.clone(),
                verdict: if there { Verdict::Hit } else { Verdict::Miss },
                matched: there.then_some(Match::Exact),
                graph_key: here.then_some(record.graph_key),
                expected_compile_seconds: Some(record.measurements.compile_seconds),
                nearest: (!here).then_some(Nearest { graph_key: record.graph_key, differences }),
            };
            let better = stages.get(&record.stage).is_none_or(|other| answer.likeness() > other.likeness());
            if better {
                stages.insert(record.stage, answer);
            }
        }
        Ok(Lookup::of(stages.into_values().collect()))
    }

    /// The nearest entry in the cache, and the seconds that a compile is expected to take.
    fn nearest(&self, asked: &Asked<'_>, inputs: &KeyInputs) -> Option<(Nearest, Option<f64>)> {
        let wanted = Wanted {
            program: Some(inputs.program.digest()),
            stage: asked.graph.stage_name(),
            signature: Some(asked.signature),
            environment: &self.backend.environment,
            options: asked.graph.compile_options(),
        };
        let found = self.cache.as_ref()?.nearest(&wanted, &self.warnings)?;
        let nearest = Nearest { graph_key: found.record.graph_key, differences: found.differences };
        // Programs without a model have their stage's name in common, and nothing else.
        let unlike =
            asked.graph.program_at_hand().is_some() && nearest.differences.iter().any(|d| d.field == "program");
        Some((nearest, found.expected_compile_seconds.filter(|_| !unlike)))
    }
}

/// The right to compile a graph in this process, until it is dropped.
struct Turn<'a> {
    inner: &'a Inner,
    key: GraphKey,
    flight: Arc<Flight>,
}

/// A compile that is under way: whoever waited for it is told if it fails, once. Whoever comes later compiles again.
#[derive(Debug, Default)]
pub(super) struct Flight {
    failed: OnceLock<Failure>,
}

/// Why a compile failed.
#[derive(Debug)]
enum Failure {
    Here { graph_key: GraphKey, device: XlaDevice, cause: Arc<PjrtError> },
    Elsewhere { graph_key: GraphKey, pid: u32, reason: String },
}

impl Flight {
    /// Notes that the compile failed; any other error is that of one request alone.
    fn fail(&self, error: &Error) {
        let failure = match error {
            Error::Compile { graph_key, device, cause, .. } => {
                Failure::Here { graph_key: *graph_key, device: *device, cause: Arc::clone(cause) }
            }
            Error::CompileElsewhere { graph_key, pid, reason, .. } => {
                Failure::Elsewhere { graph_key: *graph_key, pid: *pid, reason: reason.clone() }
            }
            _ => return,
        };
        // Only its one turn can fail, once.
        let _ = self.failed.set(failure);
    }

    fn failure(&self, stage: &str) -> Option<Error> {
        let stage = stage.to_owned();
        Some(match self.failed.get()? {
            Failure::Here { graph_key, device, cause } => {
                Error::Compile { stage, graph_key: *graph_key, device: *device, cause: Arc::clone(cause) }
            }
            Failure::Elsewhere { graph_key, pid, reason } => {
                Error::CompileElsewhere { stage, graph_key: *graph_key, pid: *pid, reason: reason.clone() }
            }
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.inner.compiling().remove(&self.key);
    }
}

/// Whether a load failed for what the device or its memory is doing just now, rather than for the executable.
fn is_passing(error: &PjrtError) -> bool {
    use ErrorCode::{Cancelled, DeadlineExceeded, ResourceExhausted, Unavailable};
    matches!(error.code(), Some(ResourceExhausted | Unavailable | DeadlineExceeded | Cancelled))
}

fn recorded(asked: &Asked<'_>) -> RecordedSignature {
    RecordedSignature {
        signature: asked.signature.clone(),
        projection_key: asked.projection_key,
        first_used: Timestamp::now(),
    }
}

/// How an object that was found by its key matched: as level 1 says where it leads to the same graph.
fn matched(known: Option<&Resolved>, key: &GraphKey) -> Match {
    known.filter(|known| known.graph_key == *key).map_or(Match::Graph, |known| known.matched)
}

fn missing(asked: &Asked<'_>, graph_key: GraphKey, nearest: Option<(Nearest, Option<f64>)>) -> StageLookup {
    let (nearest, seconds) = nearest.unzip();
    StageLookup {
        model_id: asked.signature.model_id.clone(),
        stage: asked.graph.stage_name().to_owned(),
        verdict: Verdict::Miss,
        matched: None,
        graph_key: Some(graph_key),
        expected_compile_seconds: seconds.flatten(),
        nearest,
    }
}

/// Logs why this has to be compiled: in what the nearest entry differs.
fn explain_miss(stage: &str, key: &GraphKey, nearest: Option<&(Nearest, Option<f64>)>) {
    let Some((nearest, _)) = nearest else {
        tracing::info!(stage, graph_key = %key, "miss: the cache has nothing like it");
        return;
    };
    tracing::info!(stage, graph_key = %key, nearest = %nearest.graph_key, "miss");
    for difference in &nearest.differences {
        let (field, have, want) = (&difference.field, &difference.have, &difference.want);
        tracing::info!(%field, %have, %want, "miss: the nearest entry differs");
    }
}
