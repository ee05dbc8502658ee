//! How do executables and weights become ready before a run?
//!
//! Executables are obtained in parallel, while weights are brought to the device. A warmup also
//! runs each stage once.

use std::collections::BTreeMap;
use std::time::Instant;

use preheat_runtime::device::StageKind;
use preheat_runtime::device::fallback::Decode;
use preheat_runtime::device::offload::Mode;
use preheat_runtime::progress::{Cancel, EventKind};
use preheat_runtime::threads;
use preheat_runtime::{
    self, DeviceTensor, Dropped, Executable, Percent, Request, StageReport, WarmupReport,
    warmup_summary,
};

use super::Pipeline;
use super::checked_request::Prepared;
use super::error::PipelineError;
use super::home::Home;
use super::make::zeros_on_the_host;
use super::resident::Weights;
use super::stage::Stage;

/// What a request runs, in the order of its stages. It holds no weights: each stage takes its own
/// while it runs.
pub(super) struct Ready {
    pub(super) executables: Vec<Executable>,
    /// When the last executable was loaded.
    pub(super) executables_since: Instant,
    /// When the weights were on the device, or as many of them as fit.
    pub(super) weights_since: Instant,
}

/// How the runtime is asked for executables.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asking {
    pub(super) force_recompile: bool,
    /// Whether this is a warmup, in which compiling is expected and gives no warning.
    pub(super) warming: bool,
    /// The largest share of a larger, warm size that may be wasted, where the request's own size is
    /// cold; `None` where requests are not snapped.
    pub(super) snap: Option<Percent>,
}

impl Asking {
    fn get(self, request: Request<'_>) -> Result<Executable, preheat_runtime::Error> {
        let request = request.force_recompile(self.force_recompile);
        if self.warming { request.get_for_warmup() } else { request.get() }
    }
}

/// The executables that were found, stage by stage.
struct Found<'a> {
    /// The request at a larger size, if that size serves it.
    larger: Option<Prepared<'a>>,
    executables: Vec<Result<Executable, preheat_runtime::Error>>,
    /// When the last of the executables was found.
    since: Instant,
}

impl Ready {
    pub(super) fn metrics(&self) -> BTreeMap<String, f64> {
        let of_one = |executable: &Executable| -> Vec<(String, f64)> {
            let stage = &executable.report().stage;
            executable
                .metrics()
                .into_iter()
                .map(|(name, value)| (format!("{stage}.{name}"), value))
                .collect()
        };
        self.executables.iter().flat_map(of_one).collect()
    }

    pub(super) fn reports(&self) -> Vec<StageReport> {
        self.executables.iter().map(|executable| executable.report().clone()).collect()
    }
}

impl Pipeline {
    /// Gets every stage's executable, and brings the weights to the device meanwhile. If a larger
    /// size than the request's own was made ready, the request at that size is returned as well:
    /// see [`Builder::snap_to_warm`](super::Builder::snap_to_warm).
    pub(super) fn ready<'a>(
        &self,
        own: &Prepared<'a>,
        how: Asking,
    ) -> Result<(Option<Prepared<'a>>, Ready), PipelineError> {
        self.check(own)?;
        if let Some(plan) = &own.placement {
            plan.devices.iter().for_each(|decision| tracing::info!("{decision}"));
            plan.stages.iter().for_each(|stage| tracing::debug!("{stage}"));
        }
        // If an executable is not available, reading the weights is stopped, since nothing could
        // use them.
        let stop_weights = Cancel::default();
        let get = |request: Request<'_>| {
            let executable = how.get(request);
            if executable.as_ref().is_err_and(|error| !error.is_out_of_memory()) {
                stop_weights.cancel();
            }
            executable
        };
        // A model reads the same weights at every size, so this need not wait for the choice of a
        // size.
        let bring_weights = || (self.bring_ahead(own, &stop_weights), Instant::now());
        let (found, weights) = std::thread::scope(|scope| {
            let weights = threads::start(scope, &bring_weights);
            let found = self.executables(own, how, get).inspect_err(|_| stop_weights.cancel());
            (found, weights.join())
        });
        // Of several errors, that of the tokenizers is returned first, because it causes the
        // others.
        self.model.tokenizers()?;
        let Found { larger, executables, mut since } = found?;
        // While weights were being brought, they were in use and could not be dropped. Now those of
        // other stages can be dropped to make room for an executable.
        let again =
            |(executable, stage): (Result<_, preheat_runtime::Error>, &Stage)| match executable {
                Err(error) if error.is_out_of_memory() => {
                    let executable =
                        get(self.home(stage).runtime.request(&own.plan.signature, &stage.graph));
                    since = Instant::now();
                    executable
                }
                other => other,
            };
        let executables =
            collect(executables.into_iter().zip(&own.stages.all).map(again).collect())?;
        self.note_executables(&executables);
        let (weights, weights_since) = weights;
        weights?;
        Ok((larger, Ready { executables, executables_since: since, weights_since }))
    }

    /// Gets the executable of every stage through `get`; at a larger size, if that serves the
    /// request.
    fn executables<'a>(
        &self,
        own: &Prepared<'a>,
        how: Asking,
        get: impl Fn(Request<'_>) -> Result<Executable, preheat_runtime::Error> + Sync,
    ) -> Result<Found<'a>, PipelineError> {
        let mut kept = Vec::new();
        if let Some(most_waste) = how.snap.filter(|_| !how.force_recompile) {
            // The request's own size is tried first; if it is warm, no other size is looked up.
            let found = self.obtain(own, &[], |request| request.require_warm(true).get());
            kept = found.iter().map(|found| found.as_ref().ok().cloned()).collect();
            let is_cold =
                found.iter().any(|found| matches!(found, Err(preheat_runtime::Error::NotWarm(_))));
            if is_cold && let Some((larger, executables)) = self.snap(own, &kept, most_waste)? {
                let executables = executables.into_iter().map(Ok).collect();
                return Ok(Found { larger: Some(larger), executables, since: Instant::now() });
            }
        }
        Ok(Found { larger: None, executables: self.obtain(own, &kept, get), since: Instant::now() })
    }

    /// Asks for the executable of each stage for which `kept` has none.
    pub(super) fn obtain(
        &self,
        prepared: &Prepared<'_>,
        kept: &[Option<Executable>],
        ask: impl Fn(Request<'_>) -> Result<Executable, preheat_runtime::Error> + Sync,
    ) -> Vec<Result<Executable, preheat_runtime::Error>> {
        in_parallel(&prepared.stages.all, |index, stage| match kept.get(index) {
            Some(Some(executable)) => Ok(executable.clone()),
            _ => ask(self.home(stage).runtime.request(&prepared.plan.signature, &stage.graph)),
        })
    }

    /// Brings weights to the device as long as they fit there together; the other weights are
    /// brought when their stage runs. Where a device offloads, all weights are read into the host's
    /// memory, and moved to the device when their stage runs.
    fn bring_ahead(&self, prepared: &Prepared<'_>, stop: &Cancel) -> Result<(), PipelineError> {
        // Weights that are held here are in use, so they are not dropped to make room for the next.
        let mut held: Vec<Weights> = Vec::new();
        for stage in prepared.stages.iter() {
            let Home { runtime, resident, .. } = self.home(stage);
            if self.mode(prepared, stage) != Mode::None {
                if !resident.has(stage) {
                    held.push(self.bring(stage, Mode::Sequential, stop)?);
                }
                continue;
            }
            let has_room = || {
                runtime.bytes_that_can_be_had().is_none_or(|bytes| stage.weight_bytes() <= bytes)
            };
            let is_first = held.is_empty();
            let weights = if is_first || resident.has(stage) || has_room() {
                self.bring(stage, Mode::None, stop)
            } else {
                tracing::info!(
                    stage = stage.name,
                    "its weights do not fit beside the others, and are loaded when the stage runs"
                );
                return Ok(());
            };
            match weights {
                // On libtorch's devices, more is offloaded later if not even the first weights fit.
                Err(PipelineError::Runtime(error))
                    if error.is_out_of_memory()
                        && (!is_first || runtime.torch_device().is_some()) =>
                {
                    tracing::info!(stage = stage.name, %error, "its weights are loaded when the stage runs");
                    return Ok(());
                }
                weights => held.push(weights?),
            }
        }
        Ok(())
    }

    fn bring(&self, stage: &Stage, mode: Mode, stop: &Cancel) -> Result<Weights, PipelineError> {
        let home = self.home(stage);
        let from = (self.model_id(), self.model.checkpoint(stage.component));
        home.resident.load(&home.runtime, from, stage, mode, stop)
    }

    /// Calls `work` with the weights of a stage. If its device runs out of memory, everything that
    /// is not in use is dropped, and then more is offloaded, until nothing is left to try. `decode`
    /// says how pictures are being decoded; it is used in the error's message.
    pub(super) fn on_stage<T>(
        &self,
        prepared: &Prepared<'_>,
        (stage, executable): (&Stage, &Executable),
        decode: Decode,
        work: impl Fn(&[DeviceTensor]) -> Result<T, PipelineError>,
    ) -> Result<T, PipelineError> {
        let mut tried = Vec::new();
        loop {
            let mode = self.mode(prepared, stage);
            let error = match self.in_mode(stage, executable, mode, &work) {
                Err(error) if error.is_out_of_memory() => error,
                done => return done,
            };
            match self.offload_more(stage, decode, mode) {
                Some(strategy) => tried.push(strategy),
                None => return Err(self.out_of_memory(prepared, stage, error, tried)),
            }
        }
    }

    /// Calls `work` with the weights of a stage, and makes room by dropping what is not in use:
    /// before the call, by the executable's own figures, and again each time that the device runs
    /// out of memory.
    pub(super) fn on_stage_as_it_is<T>(
        &self,
        prepared: &Prepared<'_>,
        (stage, executable): (&Stage, &Executable),
        work: impl Fn(&[DeviceTensor]) -> Result<T, PipelineError>,
    ) -> Result<T, PipelineError> {
        self.in_mode(stage, executable, self.mode(prepared, stage), work)
    }

    fn in_mode<T>(
        &self,
        stage: &Stage,
        executable: &Executable,
        mode: Mode,
        work: impl Fn(&[DeviceTensor]) -> Result<T, PipelineError>,
    ) -> Result<T, PipelineError> {
        let runtime = &self.home(stage).runtime;
        let weights = self.bring(stage, mode, &Cancel::default())?;
        runtime.make_room(executable.footprint().of_execution());
        let mut dropped = Dropped::default();
        loop {
            let error = match work(&weights) {
                Err(PipelineError::Runtime(error)) if error.is_out_of_memory() => error,
                done => return done,
            };
            match runtime.drop_one() {
                Some(one) => dropped += one,
                None => return Err(executable.with_figures(error, dropped).into()),
            }
        }
    }

    /// Gets every stage ready and runs each once on zeros. Returns a report for each.
    pub(super) fn warm(
        &self,
        prepared: &Prepared<'_>,
        force_recompile: bool,
    ) -> Result<Vec<WarmupReport>, PipelineError> {
        let (_, ready) =
            self.ready(prepared, Asking { force_recompile, warming: true, snap: None })?;
        let mut reports = Vec::with_capacity(ready.executables.len());
        // The stages run one after another, so that each report has the time of its own stage only.
        for (stage, executable) in prepared.stages.iter().zip(&ready.executables) {
            let began = Instant::now();
            self.run_on_zeros(prepared, stage, executable)?;
            let first_run_seconds = began.elapsed().as_secs_f64();
            let kept = self.home(stage).runtime.keeps(executable);
            reports.push(WarmupReport {
                stage: executable.report().clone(),
                first_run_seconds,
                kept,
            });
        }
        tracing::info!("warmup complete: {}, {}", self.model_id(), warmup_summary(&reports));
        Ok(reports)
    }

    /// Runs freshly compiled stages on zeros, so that the first execution is not a step of a user's
    /// run.
    pub(super) fn warm_up_automatically(
        &self,
        prepared: &Prepared<'_>,
        ready: &Ready,
    ) -> Result<(), PipelineError> {
        let fresh =
            |executable: &Executable| executable.report().source == preheat_cache::Source::Compiled;
        let steps = self.settings.warmup_steps;
        // libtorch compiles nothing, so a step on zeros would only delay the first real one.
        let by_libtorch = self.runtime.torch_device().is_some();
        if steps == 0
            || by_libtorch
            || self.runtime.warms_by_hand()
            || !ready.executables.iter().any(fresh)
        {
            return Ok(());
        }
        let mut done = 0;
        let total = prepared.stages.all.len() as u64 - 1 + u64::from(steps);
        for (at, stage) in prepared.stages.iter().enumerate() {
            let times = if at == prepared.stages.denoiser { steps } else { 1 };
            for _ in 0..times {
                self.tell(stage, EventKind::WarmingUp { done, total });
                done += 1;
                self.run_on_zeros(prepared, stage, &ready.executables[at])?;
            }
        }
        if let Some(stage) = prepared.stages.all.last() {
            self.tell(stage, EventKind::WarmingUp { done: total, total });
        }
        let of = if steps == 1 { "step" } else { "steps" };
        tracing::info!(
            "warmup complete: {}, {steps} {of} and each other stage once on zeros",
            self.model_id()
        );
        Ok(())
    }

    /// Runs a stage on zeros, but with its real weights, since zeros in their place would take as
    /// much memory again. If a decoder has no room for a whole picture, it runs in tiles, as it
    /// will for the real picture.
    pub(super) fn run_on_zeros(
        &self,
        prepared: &Prepared<'_>,
        stage: &Stage,
        executable: &Executable,
    ) -> Result<(), PipelineError> {
        if self.runtime.is_cancelled() {
            return Err(preheat_runtime::Error::Cancelled.into());
        }
        let failed = |cause| {
            let stage = stage.name.to_owned();
            preheat_runtime::Error::Run { stage, doing: "warming it up", cause }
        };
        let run = |weights: &[DeviceTensor]| {
            let zeros = self.zeros(stage)?;
            for output in executable.run(zeros.iter().chain(weights))? {
                output.wait().map_err(failed)?;
            }
            Ok(())
        };
        if let (StageKind::Vae { .. }, Some(latents)) =
            (stage.kind, stage.function.inputs().first())
        {
            match self.on_stage_as_it_is(prepared, (stage, executable), run) {
                Err(error) if error.is_out_of_memory() => {
                    if self
                        .decode_in_tiles(prepared, stage, &zeros_on_the_host(&latents.kind)?)?
                        .is_some()
                    {
                        return Ok(());
                    }
                }
                done => return done,
            }
        }
        self.on_stage(prepared, (stage, executable), Decode::Slices, run)
    }
}

/// Calls `work` for each stage on a thread of its own, as far as threads can be started.
fn in_parallel<T: Send>(
    stages: &[Stage],
    work: impl Fn(usize, &Stage) -> Result<T, preheat_runtime::Error> + Sync,
) -> Vec<Result<T, preheat_runtime::Error>> {
    let work = &work;
    let each: Vec<_> =
        stages.iter().enumerate().map(|(index, stage)| move || work(index, stage)).collect();
    std::thread::scope(|scope| {
        let started: Vec<_> = each.iter().map(|one| threads::start(scope, one)).collect();
        started.into_iter().map(threads::Started::join).collect()
    })
}

/// Returns all results, or one error: if stages are not warm, an error that lists all of them,
/// otherwise the first error.
fn collect<T>(results: Vec<Result<T, preheat_runtime::Error>>) -> Result<Vec<T>, PipelineError> {
    let (mut done, mut cold, mut first) = (Vec::new(), Vec::new(), None);
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(preheat_runtime::Error::NotWarm(stages)) => cold.extend(stages),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    match first {
        Some(error) => Err(error.into()),
        None if !cold.is_empty() => Err(preheat_runtime::Error::NotWarm(cold).into()),
        None => Ok(done),
    }
}
