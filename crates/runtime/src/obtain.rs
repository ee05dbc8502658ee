//! How is one request answered at the least cost?
//!
//! The sources are tried from the cheapest to the dearest: memory, level 1, the graph, level 2, a
//! compile.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use preheat_cache::{
    GraphKey, GraphRecord, KeyInputs, Match, Measurements, RecordedProjection, RecordedSignature,
    Resolved, Source, Use,
};

use super::Inner;
use super::compile::{Again, Fresh, Made, Wanting};
use super::digests::Digests;
use super::error::Error;
use super::executable::{Executable, Interface, LoadedGraph};
use super::memory::Memory;
use super::on_device::{Doing, Failure};
use super::out_of_memory::Footprint;
use super::report::StageReport;
use super::request::Asked;
use super::trial::{Admission, FirstRun};
use crate::backend::here::Loaded;
use crate::backend::xla;
use crate::progress::EventKind;

/// How long to wait for a busy index if its answer can save building the graph.
pub(super) const LEVEL_ONE_PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait for a busy index if its answer only tells how a request matched.
const LABEL_PATIENCE: Duration = Duration::from_millis(100);

/// An executable that was found or compiled, and how.
struct Obtained {
    graph: Arc<LoadedGraph>,
    source: Source,
    matched: Match,
    compile_seconds: f64,
    compile_peak_bytes: u64,
}

/// The result of looking for an executable.
enum Found {
    Ready(Obtained),
    Nothing,
    /// The object is there and intact, but the plugin refuses it.
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
        let _request = asked.trace(self, "request");
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
        let executable = Executable { graph: obtained.graph, report };
        if let Some(recorder) = &self.recorder {
            recorder.obtained(&executable.report, Some(&executable.graph.measurements));
        }
        Ok(executable)
    }

    fn find_or_compile(&self, asked: &Asked<'_>) -> Result<Obtained, Error> {
        let look = !asked.force_recompile && self.reuse;
        let mut refused = None;
        if look {
            if let Some((graph, matched)) =
                self.memory().by_projection(&asked.projection_key, &asked.exact)
            {
                return Ok(Obtained::found(graph, Source::Memory, matched));
            }
            // If the program is at hand, its key is known at once. Level 1 is then asked only how
            // the request matched, while the object is loaded.
            if asked.graph.program_at_hand().is_none() {
                match self.find_by_projection(asked)? {
                    Found::Ready(obtained) => return Ok(obtained),
                    Found::Nothing => {}
                    Found::Refused(key) => refused = Some(key),
                }
            }
        }
        let inputs = self.key_inputs(asked)?;
        let key = inputs.graph_key();
        if look && refused != Some(key) {
            match self.find_by_key(asked, &key)? {
                Found::Ready(obtained) => return Ok(obtained),
                Found::Nothing => {}
                Found::Refused(key) => refused = Some(key),
            }
        }
        if look && refused.is_none() && self.take_over(asked, &inputs)? {
            match self.find_by_key(asked, &key)? {
                Found::Ready(obtained) => return Ok(obtained),
                Found::Nothing => {}
                Found::Refused(key) => refused = Some(key),
            }
        }
        let again = |again| match again {
            Again::Memory => {
                let graph = self.memory().by_key(&key);
                Ok(graph.map(|graph| Obtained::found(graph, Source::Memory, Match::Graph)))
            }
            Again::Store => Ok(match self.find_by_key(asked, &key)? {
                Found::Ready(obtained) => Some(obtained),
                Found::Nothing | Found::Refused(_) => None,
            }),
        };
        let here = self.here()?;
        let wanting = Wanting { inputs: &inputs, key, refused: refused == Some(key) };
        match self.compile(asked, &wanting, again, || here.compile(&inputs))? {
            Made::Found(obtained) => Ok(obtained),
            Made::Compiled(fresh) => self.freshly_compiled(key, *fresh),
        }
    }

    fn freshly_compiled(&self, key: GraphKey, fresh: Fresh<Loaded>) -> Result<Obtained, Error> {
        let Fresh { loaded, record, payload_bytes, .. } = fresh;
        let graph = self.keep(key, loaded, FirstRun::default(), &record, payload_bytes)?;
        Ok(Obtained {
            compile_seconds: record.measurements.compile_seconds,
            compile_peak_bytes: record.measurements.compile_peak_bytes.unwrap_or(0),
            ..Obtained::found(graph, Source::Compiled, Match::Compiled)
        })
    }

    /// The inputs of the executable's key. The graph is built if its program is not at hand.
    pub(super) fn key_inputs(&self, asked: &Asked<'_>) -> Result<KeyInputs, Error> {
        let _lowering = asked.trace(self, "lower");
        let program = asked.graph.build().map_err(|cause| {
            let stage = asked.graph.stage_name().to_owned();
            Error::Build { stage, cause }
        })?;
        let (options, environment) =
            (asked.graph.compile_options().clone(), self.backend.environment());
        if asked.graph.program_at_hand().is_none() {
            self.check_as_written(asked.graph.stage_name(), &program, &options)?;
        }
        Ok(KeyInputs { program, options, environment: Arc::clone(environment) })
    }

    /// Level 1: finds the executable of the graph that this projection led to before, without
    /// building the graph.
    fn find_by_projection(&self, asked: &Asked<'_>) -> Result<Found, Error> {
        let known = self.cache.as_ref().and_then(|cache| {
            cache.resolve(asked.projection_key, asked.exact, LEVEL_ONE_PATIENCE, &self.warnings)
        });
        let Some(known) = known else { return Ok(Found::Nothing) };
        if let Some(graph) = self.memory().by_key(&known.graph_key) {
            return Ok(Found::Ready(Obtained::found(graph, Source::Memory, known.matched)));
        }
        // The index is trusted to save work, but not to be right: the record that it leads to is
        // compared with the request.
        let (stage, options) = (asked.graph.stage_name(), asked.graph.compile_options());
        let fits = |record: &GraphRecord| record.answers(stage, options, &self.environment_digest);
        self.load(asked, &known.graph_key, fits, || known.matched)
    }

    /// Level 2: finds the executable of this very graph. How the request matched is read from the
    /// index while the plugin loads the executable.
    fn find_by_key(&self, asked: &Asked<'_>, key: &GraphKey) -> Result<Found, Error> {
        if let Some(graph) = self.memory().by_key(key) {
            return Ok(Found::Ready(Obtained::found(graph, Source::Memory, Match::Graph)));
        }
        let Some(cache) = self.cache.as_ref().filter(|cache| cache.has_object(key)) else {
            return Ok(Found::Nothing);
        };
        let resolve =
            || cache.resolve(asked.projection_key, asked.exact, LABEL_PATIENCE, &self.warnings);
        std::thread::scope(|scope| {
            // If no thread can be started, how the request matched is not looked up. No result
            // depends on it.
            let resolving = std::thread::Builder::new().spawn_scoped(scope, resolve).ok();
            let known = || resolving.and_then(|resolving| resolving.join().unwrap_or_default());
            self.load(asked, key, |_| true, || matched(known().as_ref(), key))
        })
    }

    /// Reads an object and, if its record `fits`, hands it to the plugin. `matched` is asked after
    /// the load.
    fn load(
        &self,
        asked: &Asked<'_>,
        key: &GraphKey,
        fits: impl FnOnce(&GraphRecord) -> bool,
        matched: impl FnOnce() -> Match,
    ) -> Result<Found, Error> {
        let began = Instant::now();
        let object = self.cache.as_ref().and_then(|cache| cache.load(key, &self.warnings));
        let Some((object, source)) = object.filter(|(object, _)| fits(&object.record)) else {
            return Ok(Found::Nothing);
        };
        let mark = match self.admit(asked, &object, source)? {
            Admission::Load(mark) => mark,
            Admission::Gone => return Ok(Found::Nothing),
            Admission::Refused => return Ok(Found::Refused(*key)),
        };
        let payload_bytes = object.payload.len() as u64;
        asked.tell(self, EventKind::Loading { payload_bytes });
        let footprint = Footprint::of(&object.record.measurements, payload_bytes);
        let doing = Doing {
            stage: Some(asked.graph.stage_name()),
            what: "loading its executable",
            needed_bytes: Some(footprint.code),
            footprint: Some(footprint),
        };
        // The weights and the other arguments may already be on the device, or may later replace
        // others there. Only the code needs room now.
        self.on_device.check_fits_at_all(&doing)?;
        self.on_device.make_room(footprint.code);
        let here = self.here()?;
        match self.on_device.with_room(&doing, || here.load(&object.payload)) {
            Ok(loaded) => {
                if let Some(recorder) = &self.recorder {
                    recorder.loaded(asked.subject(), began, payload_bytes);
                }
                let graph =
                    self.keep(*key, loaded, FirstRun::of(mark), &object.record, payload_bytes)?;
                Ok(Found::Ready(Obtained::found(graph, source, matched())))
            }
            // The executable is sound, so compiling it again would not help.
            Err(Failure::OutOfMemory(error)) => Err(error.into()),
            Err(Failure::Other(cause)) if cause.is_passing() => Err(Error::Run {
                stage: asked.graph.stage_name().to_owned(),
                doing: "loading its executable",
                cause,
            }),
            Err(Failure::Other(error)) => {
                self.warnings.warn(format!(
                    "the plugin refused the cached executable of graph {} ({error})",
                    key.short()
                ));
                Ok(Found::Refused(*key))
            }
        }
    }

    /// Adds an executable to the memory.
    fn keep(
        &self,
        graph_key: GraphKey,
        loaded: Loaded,
        first_run: FirstRun,
        record: &GraphRecord,
        payload_bytes: u64,
    ) -> Result<Arc<LoadedGraph>, Error> {
        let interface = record.interface.as_ref().and_then(|interface| {
            Some(Interface::new(xla::types(&interface.inputs)?, &xla::types(&interface.outputs)?))
        });
        let measurements = Measurements { load_seconds: None, ..record.measurements.clone() };
        let on_device = Arc::downgrade(&self.on_device);
        let graph = Arc::new(LoadedGraph {
            graph_key,
            loaded,
            first_run,
            here: self.here()?.clone(),
            interface,
            payload_bytes,
            footprint: Footprint::of(&record.measurements, payload_bytes),
            measurements,
            on_device,
            recorder: self.recorder.clone(),
        });
        if self.reuse {
            // The removed executables are dropped after the table is unlocked, because a plugin can
            // take long to unload one.
            let gone = self.memory().insert(Arc::clone(&graph));
            drop(gone);
        }
        Ok(graph)
    }

    pub(super) fn note_use(&self, asked: &Asked<'_>, report: &StageReport) {
        let known = report.matched == Match::Exact;
        let in_memory = known && report.source == Source::Memory;
        if self.reuse && !in_memory {
            self.memory().learn(asked.exact, asked.projection_key, report.graph_key);
        }
        let Some(cache) = &self.cache else { return };
        let compiled = report.matched == Match::Compiled;
        let is_due = cache.used(report.graph_key, in_memory, || Use {
            graph_key: report.graph_key,
            device: self.backend.device().to_string(),
            matched: report.matched,
            source: report.source,
            signature: (!known).then(|| recorded(asked)),
            load_seconds: matches!(report.source, Source::Disk | Source::Fallback)
                .then_some(report.load_seconds),
            compile_seconds: compiled.then_some(report.compile_seconds),
            times: 1,
        });
        if is_due {
            // The uses are written by a thread of their own: a transaction takes milliseconds, and
            // the caller has a step to run.
            let (cache, warnings) = (Arc::clone(cache), Arc::clone(&self.warnings));
            let flush = move || cache.flush(&warnings);
            if let Err(error) =
                std::thread::Builder::new().name("preheat-statistics".to_owned()).spawn(flush)
            {
                tracing::debug!(%error, "statistics wait for the next occasion");
            }
        }
    }

    pub(super) fn digests(&self) -> MutexGuard<'_, Digests> {
        // No change of this state can panic before it is complete.
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.on_device.executables()
    }
}

pub(super) fn recorded(asked: &Asked<'_>) -> RecordedSignature {
    let graph = asked.graph;
    RecordedSignature {
        signature: asked.signature.clone(),
        projection_key: asked.projection_key,
        projection: Some(RecordedProjection {
            stage: graph.stage_name().to_owned(),
            signature: asked.signature.project(graph.declared_projection()).digest(),
            builder: graph.builder_id().clone(),
        }),
        first_used: Timestamp::now(),
    }
}

/// How an object that was found by its key matched: as level 1 says, if level 1 leads to the same
/// graph.
pub(super) fn matched(known: Option<&Resolved>, key: &GraphKey) -> Match {
    known.filter(|known| known.graph_key == *key).map_or(Match::Graph, |known| known.matched)
}
