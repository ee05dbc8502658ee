//! Getting ready: executables and weights, side by side; and warming up.

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

/// What a request runs, in the order of its stages. Weights are held by the stage that runs alone.
pub(super) struct Ready {
    pub(super) executables: Vec<Executable>,
    /// When the last executable was loaded.
    pub(super) executables_since: Instant,
    /// When the weights were on the device, or as many of them as there was room for.
    pub(super) weights_since: Instant,
}

/// How executables are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asking {
    pub(super) force_recompile: bool,
    /// Whether it is a warmup, of which nobody needs to be warned that it compiles.
    pub(super) warming: bool,
    /// How much of a larger size that is warm may be wasted, where the request's own is cold.
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
    /// The request at a larger size, where that serves it.
    larger: Option<Prepared<'a>>,
    executables: Vec<Result<Executable, preheat_runtime::Error>>,
    /// When the last of them was there.
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
    /// Gets every stage's executable and brings the weights to the device meanwhile. What is then
    /// ready may be a larger size than the request's own, which is given then: see
    /// [`Builder::snap_to_warm`](super::Builder::snap_to_warm).
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
        // Weights that nothing can run on are not worth reading to the end.
        let stop_weights = Cancel::default();
        let get = |request: Request<'_>| {
            let executable = how.get(request);
            if executable.as_ref().is_err_and(|error| !error.is_out_of_memory()) {
                stop_weights.cancel();
            }
            executable
        };
        // A model reads the same weights at every size.
        let bring_weights = || (self.bring_ahead(own, &stop_weights), Instant::now());
        let (found, weights) = std::thread::scope(|scope| {
            let weights = threads::start(scope, &bring_weights);
            let found = self.executables(own, how, get).inspect_err(|_| stop_weights.cancel());
            (found, weights.join())
        });
        // Of several errors, the first of these is the cause of the others.
        self.model.tokenizers()?;
        let Found { larger, executables, mut since } = found?;
        // Weights that were being brought are not dropped; now those of other stages can make way
        // for an executable.
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

    /// The executable of every stage, as `get` makes the requests; at a larger size where that
    /// serves the request.
    fn executables<'a>(
        &self,
        own: &Prepared<'a>,
        how: Asking,
        get: impl Fn(Request<'_>) -> Result<Executable, preheat_runtime::Error> + Sync,
    ) -> Result<Found<'a>, PipelineError> {
        let mut kept = Vec::new();
        if let Some(most_waste) = how.snap.filter(|_| !how.force_recompile) {
            // Its own size first: where that is warm, nothing else is looked at.
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

    /// Asks for the executable of each stage that is not kept from before.
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

    /// Brings weights to the device as long as they have room beside each other; the others come
    /// when their stage runs. Where a device offloads, all are read into the host's memory, and
    /// move in when their stage runs.
    fn bring_ahead(&self, prepared: &Prepared<'_>, stop: &Cancel) -> Result<(), PipelineError> {
        // What is held is not dropped to make room for the next.
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
                    "its weights have no room beside the others, and come when it runs"
                );
                return Ok(());
            };
            match weights {
                // libtorch's devices offload more where even the first has no room.
                Err(PipelineError::Runtime(error))
                    if error.is_out_of_memory()
                        && (!is_first || runtime.torch_device().is_some()) =>
                {
                    tracing::info!(stage = stage.name, %error, "its weights come when it runs");
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

    /// Does `work` with the weights of a stage. Where its device runs out of memory, what is not in
    /// use is dropped, and then more is offloaded, as far as there is more to offload. `decode` is
    /// how pictures are being decoded, for the error's words.
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

    /// Does `work` with the weights of a stage, while the memory of what is not in use may be taken
    /// for it: before, by the executable's own figures, and once more each time that the device
    /// says it is out of memory.
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

    /// Gets every stage ready and runs each once on zeros. Gives a report for each.
    pub(super) fn warm(
        &self,
        prepared: &Prepared<'_>,
        force_recompile: bool,
    ) -> Result<Vec<WarmupReport>, PipelineError> {
        let (_, ready) =
            self.ready(prepared, Asking { force_recompile, warming: true, snap: None })?;
        let mut reports = Vec::with_capacity(ready.executables.len());
        // One by one: its seconds should be its own.
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

    /// Runs on zeros what was freshly compiled, so that no user's step is the first.
    pub(super) fn warm_up_automatically(
        &self,
        prepared: &Prepared<'_>,
        ready: &Ready,
    ) -> Result<(), PipelineError> {
        let fresh =
            |executable: &Executable| executable.report().source == preheat_cache::Source::Compiled;
        let steps = self.settings.warmup_steps;
        // libtorch compiled nothing: a step on zeros would only come before the first.
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

    /// Runs a stage on zeros, with its weights: zeros of their size would take as much again. A
    /// decoder that has no room for a whole picture runs in tiles, as it will for the picture.
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

/// Does `work` for each stage on a thread of its own, as far as threads can be had.
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

/// All results, or what went wrong: everything that is not warm in one error, else the first.
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
