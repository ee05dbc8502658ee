//! How is the full executable made if the cache has a graph at a lower effort only, and how does
//! it take over?

use std::sync::Arc;
use std::time::Instant;

use preheat_cache::{
    GraphKey, GraphRecord, KeyInputs, Match, RecordedSignature, Signature, Source,
};
use preheat_tensor::{Tensor, TensorError, TensorType};

use super::agreement::{noise, strays, tolerance_of};
use super::note::{Seconds, Timing, UpgradeNote, UpgradeState};
use super::{Cache, in_words};
use crate::asked::{Asked, Waited};
use crate::backend::ahead::Ahead;
use crate::builder::RuntimeBuilder;
use crate::effort::CompileEffort;
use crate::error::Error;
use crate::executable::{Executable, LoadedGraph};
use crate::open_request::Counts;
use crate::parts::{Inner, Runtime};
use crate::progress::Control;
use crate::report::StageReport;
use crate::source::Graph;

/// How an upgrade ended.
pub(super) enum Outcome {
    /// The executable with this key serves.
    TookOver(GraphKey),
    /// The full executable cannot be used, for this reason.
    Refused { stage: String, reason: String },
}

/// A graph that the cache has at a lower effort, and the parts from which its full executable is
/// made.
struct FullGraph {
    /// The record of the lower effort.
    record: GraphRecord,
    signature: Signature,
    graph: Graph,
    inputs: KeyInputs,
    /// The requests that led to the lower effort, with the keys by which they lead to the full one.
    requests: Vec<RecordedSignature>,
}

impl FullGraph {
    fn asked<'a>(&'a self, inner: &'a Inner, control: &'a Control) -> Asked<'a> {
        let projection_key = self.requests.last().map(|request| request.projection_key);
        Asked {
            control,
            recorder: inner.recorder.as_ref(),
            signature: &self.signature,
            graph: &self.graph,
            better: &[],
            worse: &[],
            tiered: false,
            exact: self.signature.digest(),
            projection_key: projection_key.unwrap_or(self.inputs.graph_key().0),
            leading: &self.requests,
            force_recompile: false,
            require_warm: false,
            warming: true,
            counts: Counts::Alone,
            waited: Waited::default(),
        }
    }
}

impl Inner {
    /// Makes sure that the store has the full executable of the graph that it has under `lower`.
    ///
    /// The runtime is not held while a child compiles, so that dropping the runtime ends the
    /// compile.
    pub(super) fn make_full(
        self: Arc<Self>,
        control: &Control,
        lower: GraphKey,
    ) -> Result<(), Error> {
        match self.full_compiler(control)? {
            Some(ahead) => {
                drop(self);
                ahead.inner.compile_full(control, lower)
            }
            None => self.compile_full(control, lower),
        }
    }

    /// A runtime that compiles for this device in child processes. `None` if this runtime compiles
    /// by itself.
    fn full_compiler(&self, control: &Control) -> Result<Option<Runtime>, Error> {
        let Some((plugin, target)) = self.site.named_hardware() else { return Ok(None) };
        let (program, build) =
            (self.site.compiler_program.clone(), self.site.environment().plugin_build.clone());
        let notes = self.cache()?.remembers();
        let flag = control.flag();
        let ahead = Ahead::open(target, plugin.path, program, || Ok(build), notes, flag)?;
        let builder = RuntimeBuilder::default().cancel(flag.clone());
        Ok(Some(builder.beside(ahead.in_background(), self.cache.as_ref(), &self.warnings)))
    }

    fn compile_full(&self, control: &Control, lower: GraphKey) -> Result<(), Error> {
        let full = self.full_graph(lower)?;
        self.site.check_as_written(
            &full.record.stage,
            &full.inputs.program,
            &full.inputs.options,
        )?;
        let (asked, counting) = (full.asked(self, control), self.counting());
        let key = full.inputs.graph_key();
        let kept = counting.counted(&asked, |asked| {
            let kept =
                self.precompiling()?.compile_and_keep(asked, &full.inputs, &|_| Match::Graph)?;
            if kept.source == Source::Compiled {
                counting.note_compile(asked, key, kept.compile_seconds);
            }
            Ok(kept)
        })?;
        if kept.source != Source::Compiled {
            self.cache()?.main().add_signatures(&key, &full.requests)?;
        }
        Ok(())
    }

    /// The parts from which the full executable for this environment is made.
    fn full_graph(&self, lower: GraphKey) -> Result<FullGraph, Error> {
        let cache: &Cache = self.cache()?;
        let record = cache.main().record(&lower)?.ok_or(Error::Unrecorded { graph_key: lower })?;
        let gone = || Error::ProgramGone { stage: record.stage.clone(), graph_key: lower };
        let program = cache.program(&lower)?.ok_or_else(gone)?;
        let environment = self.site.environment();
        let options = CompileEffort::full_options(&record.options, &environment.platform);
        let requests = record.signatures.iter().filter_map(|recorded| {
            let projection = recorded.projection.as_ref()?;
            let projection_key = projection.key(&self.site.environment_digest, &options);
            Some(RecordedSignature { projection_key, ..recorded.clone() })
        });
        let requests: Vec<RecordedSignature> = requests.collect();
        let signature = record.signatures.last().map(|recorded| recorded.signature.clone());
        let signature = signature.ok_or(Error::Unrecorded { graph_key: lower })?;
        let inputs = KeyInputs { program, options, environment: Arc::clone(environment) };
        let graph = Graph::from_program(inputs.program.clone())
            .stage(record.stage.clone())
            .options(inputs.options.clone());
        Ok(FullGraph { record, signature, graph, inputs, requests })
    }

    /// Loads the full executable beside the one of `lower`, compares the two, and lets the full one
    /// take over. If the lower one is not in memory any more, it is loaded for the comparison only
    /// if `may_load_lower` is true.
    pub(super) fn take_over_full(
        &self,
        control: &Control,
        lower: GraphKey,
        may_load_lower: bool,
    ) -> Result<Outcome, Error> {
        if control.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let full = self.full_graph(lower)?;
        let stage = &full.record.stage;
        let asked = full.asked(self, control);
        let Some(loaded) = self.full_in_memory(&asked, &full.inputs)? else {
            let reason = "the device does not load it".to_owned();
            return Ok(self.refuse(lower, &full, reason));
        };
        let done =
            self.note_of(lower).is_some_and(|note| matches!(note.state, UpgradeState::Done(_)));
        if !done {
            let key = loaded.graph_key;
            // If the lower executable was dropped from memory, memory is short, and loading it
            // again would disturb running work. So the caller decides whether it is loaded.
            let serving = self.held_or_loaded(&asked, &lower, may_load_lower)?;
            match self.compare(&full, serving, Arc::clone(&loaded), control) {
                Ok(_) if control.is_cancelled() => return Err(Error::Cancelled),
                Ok(timing) => self.write_note(stage, lower, UpgradeState::Done(timing)),
                Err(reason) => {
                    drop(loaded);
                    self.set_full_aside(key, &reason);
                    return Ok(self.refuse(lower, &full, reason));
                }
            }
        }
        Ok(Outcome::TookOver(loaded.graph_key))
    }

    /// Writes into the note that a full executable cannot be used.
    fn refuse(&self, lower: GraphKey, full: &FullGraph, reason: String) -> Outcome {
        let stage = full.record.stage.clone();
        self.write_note(&stage, lower, UpgradeState::Failed { reason: reason.clone() });
        Outcome::Refused { stage, reason }
    }

    /// Writes into the note that an upgrade failed, if the graph itself is the reason.
    pub(super) fn remember_failure(&self, lower: GraphKey, error: &Error) {
        let is_of_the_graph = match error {
            Error::Compile { cause, .. } => !cause.is_passing(),
            Error::ProgramGone { .. } | Error::Unrecorded { .. } => true,
            _ => false,
        };
        if is_of_the_graph && let Some(note) = self.note_of(lower) {
            self.write_note(&note.stage, lower, UpgradeState::Failed { reason: in_words(error) });
        }
    }

    pub(super) fn note_of(&self, lower: GraphKey) -> Option<UpgradeNote> {
        UpgradeNote::read(self.cache.as_ref()?.remembers()?, lower)
    }

    fn write_note(&self, stage: &str, lower: GraphKey, reached: UpgradeState) {
        if let Some(store) = self.cache.as_ref().and_then(|cache| cache.remembers()) {
            UpgradeNote::new(stage, self.site.environment_digest, reached).write(store, lower);
        }
    }

    /// Moves a full executable to the quarantine, because its results differ too much, and removes
    /// it from memory, so that requests of the full effort do not find it.
    fn set_full_aside(&self, key: GraphKey, reason: &str) {
        let gone = self.memory().take(&[key].into());
        drop(gone);
        let Some(cache) = &self.cache else { return };
        if let Ok(preheat_cache::ObjectLookup::Hit(object)) = cache.main().load(&key) {
            cache.main().set_object_aside(&object, reason);
        }
    }

    /// Compares the full executable with the one that serves, if there is one. Returns the times of
    /// both, or why the full one is not used. If the work is asked to stop, the comparison ends
    /// early.
    fn compare(
        &self,
        full: &FullGraph,
        serving: Option<Arc<LoadedGraph>>,
        loaded: Arc<LoadedGraph>,
        control: &Control,
    ) -> Result<Timing, String> {
        let record = &full.record;
        let platform = &self.site.environment().platform;
        let seconds = |compile, run| Seconds { compile, run };
        let full_compile = loaded.measurements.compile_seconds;
        let mut timing = Timing {
            effort: CompileEffort::of(&record.options, platform),
            lower: seconds(record.measurements.compile_seconds, None),
            full: seconds(full_compile, None),
        };
        let Some(serving) = serving else { return Ok(timing) };
        let executable = |graph: Arc<LoadedGraph>| {
            let (model, source) = (&full.signature.model_id, (Source::Memory, Match::Graph));
            let stage = format!("{}, compared", record.stage);
            let report = StageReport::new(model, &stage, graph.graph_key, source);
            Executable { graph, report }
        };
        let (serving, loaded) = (executable(serving), executable(loaded));
        let Some(kinds) = loaded.inputs().filter(|kinds| self.has_room_for(kinds, &loaded)) else {
            tracing::info!(
                stage = record.stage,
                "the full executable is not compared: its inputs are not known, or there is no room"
            );
            return Ok(timing);
        };
        let outputs = record.interface.as_ref().and_then(|known| {
            known.outputs.iter().map(preheat_cache::TensorSpec::kind).collect::<Option<Vec<_>>>()
        });
        let all = kinds.iter().chain(outputs.iter().flatten());
        let tolerance = tolerance_of(all, platform);
        for fill in [Tensor::zeros, noise] {
            // The inputs are on the device only while one of the two executables runs.
            if control.is_cancelled() {
                return Ok(timing);
            }
            let (wanted, took) = run(&serving, kinds, fill).map_err(|error| in_words(&error))?;
            if control.is_cancelled() {
                return Ok(timing);
            }
            let (have, full_took) = run(&loaded, kinds, fill)
                .map_err(|error| format!("it does not run: {}", in_words(&error)))?;
            if let Some(how) = strays(&have, &wanted, tolerance) {
                return Err(format!("its numbers are not those of the other one: {how}"));
            }
            // The first run of each executable also warms it up, so the times of the second run
            // replace those of the first.
            (timing.lower.run, timing.full.run) = (Some(took), Some(full_took));
        }
        Ok(timing)
    }

    /// Whether the inputs fit on the device beside what is there, without dropping anything.
    fn has_room_for(&self, kinds: &[TensorType], executable: &Executable) -> bool {
        let bytes = kinds.iter().map(TensorType::bytes).fold(0, u64::saturating_add);
        let needed = bytes.saturating_add(executable.footprint().of_execution());
        self.on_device.free_bytes().is_none_or(|free| needed <= free)
    }
}

/// Runs an executable on inputs that `fill` makes. Returns the outputs, and the seconds that the
/// execution took.
fn run(
    executable: &Executable,
    kinds: &[TensorType],
    fill: fn(TensorType) -> Result<Tensor, TensorError>,
) -> Result<(Vec<Tensor>, f64), Error> {
    let mut inputs = Vec::with_capacity(kinds.len());
    for kind in kinds {
        inputs.push(executable.to_device(&fill(kind.clone())?)?);
    }
    for input in &inputs {
        input.wait().map_err(|cause| executable.failed("moving an input to the device", cause))?;
    }
    let began = Instant::now();
    let outputs = executable.run(&inputs)?;
    for output in &outputs {
        output.wait().map_err(|cause| executable.failed("running it", cause))?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let read = outputs.iter().map(|output| {
        output.to_host().map_err(|cause| executable.failed("reading a result", cause))
    });
    Ok((read.collect::<Result<_, _>>()?, seconds))
}
