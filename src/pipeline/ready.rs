//! Getting ready: executables and weights, side by side; and warming up.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::Pipeline;
use super::error::PipelineError;
use super::plan::Prepared;
use super::resident::Weights;
use super::stage::Stage;
use crate::progress::{Cancel, EventKind};
use crate::runtime::{self, Executable, StageReport, WarmupReport};

/// Everything that a request runs, each list in the order of its stages.
pub(super) struct Ready {
    pub(super) executables: Vec<Executable>,
    pub(super) weights: Vec<Weights>,
    /// When the last executable was loaded.
    pub(super) executables_since: Instant,
    /// When the last weight was on the device.
    pub(super) weights_since: Instant,
}

impl Ready {
    pub(super) fn metrics(&self) -> BTreeMap<String, f64> {
        let of_one = |executable: &Executable| -> Vec<(String, f64)> {
            let stage = &executable.report().stage;
            executable.metrics().into_iter().map(|(name, value)| (format!("{stage}.{name}"), value)).collect()
        };
        self.executables.iter().flat_map(of_one).collect()
    }

    pub(super) fn reports(&self) -> Vec<StageReport> {
        self.executables.iter().map(|executable| executable.report().clone()).collect()
    }
}

impl Pipeline {
    /// Loads or compiles every stage, and brings the weights to the device meanwhile.
    pub(super) fn ready(&self, prepared: &Prepared<'_>, force_recompile: bool) -> Result<Ready, PipelineError> {
        self.check(prepared)?;
        let signature = &prepared.plan.signature;
        // Weights that nothing can run on are not worth reading to the end.
        let stop_weights = Cancel::default();
        let executables_ready = Mutex::new(Instant::now());
        let get = |stage: &Stage| {
            let request = self.runtime.request(signature, &stage.graph).force_recompile(force_recompile);
            let executable = request.get().inspect_err(|_| stop_weights.cancel())?;
            let now = Instant::now();
            let mut last = executables_ready.lock().unwrap_or_else(PoisonError::into_inner);
            *last = now.max(*last);
            Ok(executable)
        };
        let (executables, weights) = std::thread::scope(|scope| {
            let weights = scope.spawn(|| (self.weights(prepared, &stop_weights), Instant::now()));
            let executables = in_parallel(&prepared.stages.all, get);
            (executables, weights.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        // Of several errors, the first of these is the cause of the others.
        self.model.tokenizers()?;
        let executables = collect(executables)?;
        let (weights, weights_ready) = weights;
        Ok(Ready {
            executables,
            weights: weights?,
            executables_since: executables_ready.into_inner().unwrap_or_else(PoisonError::into_inner),
            weights_since: weights_ready,
        })
    }

    fn weights(&self, prepared: &Prepared<'_>, stop: &Cancel) -> Result<Vec<Weights>, PipelineError> {
        let model_id = self.model_id();
        let load = |stage: &Stage| {
            let checkpoint = self.model.checkpoint(stage.component);
            self.resident.load(&self.runtime, model_id, checkpoint, stage, stop)
        };
        prepared.stages.iter().map(load).collect()
    }

    /// Warms every stage, and gives a report for each.
    pub(super) fn warm(
        &self,
        prepared: &Prepared<'_>,
        force_recompile: bool,
    ) -> Result<Vec<WarmupReport>, PipelineError> {
        self.check(prepared)?;
        let signature = &prepared.plan.signature;
        let compile = |stage: &Stage| {
            let request = self.runtime.request(signature, &stage.graph).force_recompile(force_recompile);
            request.get_for_warmup()
        };
        let executables = in_parallel(&prepared.stages.all, compile);
        self.model.tokenizers()?;
        // One by one: each takes memory for its weights, and its seconds should be its own.
        collect(executables)?.iter().map(|executable| Ok(self.runtime.run_once(executable)?)).collect()
    }

    /// Runs on zeros what was freshly compiled, so that no user's step is the first.
    pub(super) fn warm_up_automatically(&self, prepared: &Prepared<'_>, ready: &Ready) -> Result<(), PipelineError> {
        let fresh = |executable: &Executable| executable.report().source == preheat_cache::Source::Compiled;
        let steps = self.settings.warmup_steps;
        if steps == 0 || self.runtime.warms_by_hand() || !ready.executables.iter().any(fresh) {
            return Ok(());
        }
        let mut done = 0;
        let total = prepared.stages.all.len() as u64 - 1 + u64::from(steps);
        for (at, stage) in prepared.stages.iter().enumerate() {
            let (executable, weights) = (&ready.executables[at], &ready.weights[at]);
            let times = if at == prepared.stages.denoiser { steps } else { 1 };
            for _ in 0..times {
                if self.runtime.is_cancelled() {
                    return Err(runtime::Error::Cancelled.into());
                }
                self.tell(stage, EventKind::WarmingUp { done, total });
                done += 1;
                // With the weights that are on the device already: zeros of their size would take as much again.
                let zeros = self.zeros(stage)?;
                for output in executable.run(zeros.iter().chain(weights.iter()))? {
                    output.wait().map_err(|cause| runtime::Error::Run {
                        stage: stage.name.to_owned(),
                        doing: "warming it up",
                        cause,
                    })?;
                }
            }
        }
        if let Some(stage) = prepared.stages.all.last() {
            self.tell(stage, EventKind::WarmingUp { done: total, total });
        }
        tracing::info!(model = self.model_id(), steps, "warmed up");
        Ok(())
    }
}

/// Does `work` for each stage on a thread of its own.
fn in_parallel<T: Send>(
    stages: &[Stage],
    work: impl Fn(&Stage) -> Result<T, runtime::Error> + Sync,
) -> Vec<Result<T, runtime::Error>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = stages.iter().map(|stage| scope.spawn(|| work(stage))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// All results, or what went wrong: everything that is not warm in one error, else the first.
fn collect<T>(results: Vec<Result<T, runtime::Error>>) -> Result<Vec<T>, PipelineError> {
    let (mut done, mut cold, mut first) = (Vec::new(), Vec::new(), None);
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(runtime::Error::NotWarm(stages)) => cold.extend(stages),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    match first {
        Some(error) => Err(error.into()),
        None if !cold.is_empty() => Err(runtime::Error::NotWarm(cold).into()),
        None => Ok(done),
    }
}
