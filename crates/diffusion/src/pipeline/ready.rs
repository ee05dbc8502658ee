//! How do executables and weights become ready before a run?
//!
//! Executables are obtained in parallel, while weights are brought to the device.

use std::collections::BTreeMap;
use std::time::Instant;

use preheat_runtime::device::offload::Mode;
use preheat_runtime::progress::Cancel;
use preheat_runtime::threads;
use preheat_runtime::{Executable, Request, StageReport};

use super::checked_request::Prepared;
use super::error::PipelineError;
use super::obtain::{Used, collect, obtain};
use super::on_stage::StageRunner;
use super::resident::Weights;
use super::room::Admission;
use super::snap::Snapping;
use super::stage::Stage;

/// The executables that a request runs, in the order of its stages. Weights are not held here: each
/// stage takes its own while it runs.
pub(super) struct Ready {
    pub(super) executables: Vec<Executable>,
    /// When the last executable was loaded.
    pub(super) executables_since: Instant,
    /// When the weights were on the device, or as many of them as fit.
    pub(super) weights_since: Instant,
}

/// How executables are requested from the runtime.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking {
    pub(super) force_recompile: bool,
    /// Whether this is a warmup, in which compiling is expected and gives no warning.
    pub(super) warming: bool,
}

impl Asking {
    /// How a warmup requests executables.
    pub(super) fn to_warm(force_recompile: bool) -> Self {
        Self { force_recompile, warming: true }
    }

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

/// Makes requests ready.
#[derive(Debug, Clone, Copy)]
pub(super) struct Getting<'a> {
    pub(super) runner: StageRunner<'a>,
    pub(super) used: &'a Used,
    /// Serves a request at a larger size if its own size is not warm. `None` if requests are not
    /// snapped.
    pub(super) snapping: Option<Snapping<'a>>,
}

impl Getting<'_> {
    /// Gets every stage's executable, and brings the weights to the device meanwhile. If a larger
    /// size than the request's own was made ready, the request at that size is returned as well:
    /// see [`PipelineBuilder::snap_to_warm`](super::builder::PipelineBuilder::snap_to_warm).
    pub(super) fn ready<'r>(
        &self,
        own: &Prepared<'r>,
        how: Asking,
    ) -> Result<(Option<Prepared<'r>>, Ready), PipelineError> {
        let StageRunner { model, homes, .. } = self.runner;
        Admission { model, homes }.check(own)?;
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
        // A model reads the same weights at every size, so they can be brought before a size is
        // chosen.
        let bring_weights = || (self.bring_ahead(own, &stop_weights), Instant::now());
        let (found, weights) = std::thread::scope(|scope| {
            let weights = threads::start(scope, &bring_weights);
            let found = self.executables(own, how, get).inspect_err(|_| stop_weights.cancel());
            (found, weights.join())
        });
        // A tokenizer's error is returned first: no stage can be compiled without the tokenizers
        // (`stage.rs`), so it can be the cause of the other errors.
        model.tokenizers()?;
        let Found { larger, executables, mut since } = found?;
        // While weights were being brought, they were in use and could not be dropped. Now the
        // weights of other stages can be dropped to make room for an executable.
        let again =
            |(executable, stage): (Result<_, preheat_runtime::Error>, &Stage)| match executable {
                Err(error) if error.is_out_of_memory() => {
                    let runtime = &homes.of_stage(stage).runtime;
                    let executable = get(runtime.request(&own.plan.signature, &stage.graph));
                    since = Instant::now();
                    executable
                }
                other => other,
            };
        let executables = collect(executables.into_iter().zip(&own.stages.all).map(again))?;
        self.used.note(&executables);
        let (weights, weights_since) = weights;
        weights?;
        Ok((larger, Ready { executables, executables_since: since, weights_since }))
    }

    /// Gets every stage's executable through `get`, or the executables of a larger size if that
    /// size serves the request.
    fn executables<'r>(
        &self,
        own: &Prepared<'r>,
        how: Asking,
        get: impl Fn(Request<'_>) -> Result<Executable, preheat_runtime::Error> + Sync,
    ) -> Result<Found<'r>, PipelineError> {
        let homes = self.runner.homes;
        let mut kept = Vec::new();
        if let Some(snapping) = self.snapping.filter(|_| !how.force_recompile) {
            // The request's own size is tried first; if it is warm, no other size is looked up.
            let found = obtain(homes, own, &[], |request| request.require_warm(true).get());
            kept = found.iter().map(|found| found.as_ref().ok().cloned()).collect();
            let is_cold =
                found.iter().any(|found| matches!(found, Err(preheat_runtime::Error::NotWarm(_))));
            if is_cold && let Some((larger, executables)) = snapping.find(own, &kept)? {
                let executables = executables.into_iter().map(Ok).collect();
                return Ok(Found { larger: Some(larger), executables, since: Instant::now() });
            }
        }
        let executables = obtain(homes, own, &kept, get);
        Ok(Found { larger: None, executables, since: Instant::now() })
    }

    /// Brings weights to the device as long as they fit there together. The other weights are
    /// brought when their stage runs. If a device offloads, all weights are read into the host's
    /// memory, and moved to the device when their stage runs.
    fn bring_ahead(&self, prepared: &Prepared<'_>, stop: &Cancel) -> Result<(), PipelineError> {
        // Weights that are held here are in use, so they are not dropped to make room for the next.
        let mut held: Vec<Weights> = Vec::new();
        for stage in prepared.stages.iter() {
            let home = self.runner.home(stage);
            let (runtime, resident) = (&home.runtime, home.resident());
            if self.runner.mode(stage) != Mode::None {
                if !resident.has(stage) {
                    held.push(self.runner.bring(stage, Mode::Sequential, stop)?);
                }
                continue;
            }
            let has_room = || {
                runtime.bytes_that_can_be_had().is_none_or(|bytes| stage.weight_bytes() <= bytes)
            };
            let is_first = held.is_empty();
            let weights = if is_first || resident.has(stage) || has_room() {
                self.runner.bring(stage, Mode::None, stop)
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
}
