//! Getting ready: executables and weights, side by side; and warming up.

use std::collections::BTreeMap;
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
    /// Loads or compiles every stage, and brings the weights to the device meanwhile. What is then ready may be a larger size than the
    /// request's own: see [`Builder::snap_to_warm`](super::Builder::snap_to_warm).
    pub(super) fn ready<'a>(
        &self,
        own: Prepared<'a>,
        force_recompile: bool,
    ) -> Result<(Prepared<'a>, Ready), PipelineError> {
        self.check(&own)?;
        // Weights that nothing can run on are not worth reading to the end.
        let stop_weights = Cancel::default();
        let (executables, weights) = std::thread::scope(|scope| {
            // A model reads the same weights at every size.
            let weights = scope.spawn(|| (self.weights(&own, &stop_weights), Instant::now()));
            let executables = self.executables(&own, force_recompile).inspect_err(|_| stop_weights.cancel());
            (executables, weights.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        // Of several errors, the first of these is the cause of the others.
        self.model.tokenizers()?;
        let (larger, executables, executables_since) = executables?;
        let (weights, weights_since) = weights;
        Ok((larger.unwrap_or(own), Ready { executables, weights: weights?, executables_since, weights_since }))
    }

    /// The executable of every stage, and when the last of them was loaded; with the request at a larger size where that serves it.
    fn executables<'a>(
        &self,
        own: &Prepared<'a>,
        force_recompile: bool,
    ) -> Result<(Option<Prepared<'a>>, Vec<Executable>, Instant), PipelineError> {
        let mut kept = Vec::new();
        if let Some(most_waste) = self.settings.snap_to_warm.filter(|_| !force_recompile) {
            // Its own size first: where that is warm, nothing else is looked at.
            let found = self.obtain(own, &[], |request| request.require_warm(true).get());
            kept = found.iter().map(|found| found.as_ref().ok().cloned()).collect();
            let is_cold = found.iter().any(|found| matches!(found, Err(runtime::Error::NotWarm(_))));
            if is_cold && let Some((larger, executables)) = self.snap(own, &kept, most_waste)? {
                return Ok((Some(larger), executables, Instant::now()));
            }
        }
        let found = self.obtain(own, &kept, |request| request.force_recompile(force_recompile).get());
        Ok((None, collect(found)?, Instant::now()))
    }

    /// Asks for the executable of each stage that is not kept from before.
    pub(super) fn obtain(
        &self,
        prepared: &Prepared<'_>,
        kept: &[Option<Executable>],
        ask: impl Fn(runtime::Request<'_>) -> Result<Executable, runtime::Error> + Sync,
    ) -> Vec<Result<Executable, runtime::Error>> {
        in_parallel(&prepared.stages.all, |index, stage| match kept.get(index) {
            Some(Some(executable)) => Ok(executable.clone()),
            _ => ask(self.runtime.request(&prepared.plan.signature, &stage.graph)),
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
        let compile = |request: runtime::Request<'_>| request.force_recompile(force_recompile).get_for_warmup();
        let executables = self.obtain(prepared, &[], compile);
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
    work: impl Fn(usize, &Stage) -> Result<T, runtime::Error> + Sync,
) -> Vec<Result<T, runtime::Error>> {
    std::thread::scope(|scope| {
        let work = &work;
        let one = |(index, stage)| scope.spawn(move || work(index, stage));
        let threads: Vec<_> = stages.iter().enumerate().map(one).collect();
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
