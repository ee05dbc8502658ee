//! Which stages are run on zeros, so that a user's run does not pay for a first execution?
//!
//! A warmup runs every stage once. Before a run, all stages are run on zeros if one of them was
//! freshly compiled, unless the settings or the device rule this out ([`Automatic`]).

use std::sync::Arc;
use std::time::Instant;

use preheat_runtime::device::fallback::Decode;
use preheat_runtime::progress::EventKind;
use preheat_runtime::{DeviceTensor, Executable, WarmupReport, warmup_summary};

use super::checked_request::Prepared;
use super::error::PipelineError;
use super::on_stage::zeros_on_the_host;
use super::ready::Ready;
use super::stage::{Stage, Stages};
use super::tiles::LatentDecoder;

/// Runs the stages of one request on zeros.
#[derive(Clone, Copy)]
pub(super) struct Warming<'a> {
    pub(super) decoder: LatentDecoder<'a>,
    pub(super) prepared: &'a Prepared<'a>,
    pub(super) ready: &'a Ready,
}

/// The settings that decide whether there is a warmup before a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Automatic {
    /// How many steps of the denoiser are run; 0 for no warmup at all.
    pub(super) steps: u32,
    /// Whether the device runs through libtorch. libtorch compiles nothing, so a step on zeros
    /// would only delay the first real step.
    pub(super) by_libtorch: bool,
    /// Whether a warmup is made only if someone asks for it.
    pub(super) by_hand: bool,
}

impl Automatic {
    /// The stages to run, by their positions, if there is a warmup: each once, and the one at
    /// `denoiser` as often as there are steps. `fresh` says for each stage whether it was compiled
    /// just now.
    fn turns(self, fresh: &[bool], denoiser: usize) -> Vec<usize> {
        if self.steps == 0 || self.by_libtorch || self.by_hand || !fresh.contains(&true) {
            return Vec::new();
        }
        let times = |stage: usize| if stage == denoiser { self.steps as usize } else { 1 };
        (0..fresh.len()).flat_map(|stage| std::iter::repeat_n(stage, times(stage))).collect()
    }
}

/// The stages that were compiled but that the cache did not keep.
pub(super) fn lost(reports: &[WarmupReport]) -> Vec<String> {
    reports.iter().filter(|report| !report.kept).map(|report| report.stage.stage.clone()).collect()
}

impl Warming<'_> {
    /// Runs each stage once on zeros. Returns a report for each.
    pub(super) fn warm(&self) -> Result<Vec<WarmupReport>, PipelineError> {
        let runner = self.decoder.runner;
        let mut reports = Vec::with_capacity(self.ready.executables.len());
        // The stages run one after another, so that each report has the time of its own stage only.
        for (stage, executable) in self.prepared.stages.iter().zip(&self.ready.executables) {
            let began = Instant::now();
            self.run_on_zeros(stage, executable)?;
            let first_run_seconds = began.elapsed().as_secs_f64();
            let kept = runner.home(stage).runtime.keeps(executable);
            let stage = executable.report().clone();
            reports.push(WarmupReport::new(stage, first_run_seconds, kept));
        }
        tracing::info!("warmup complete: {}, {}", runner.watch.model_id, warmup_summary(&reports));
        Ok(reports)
    }

    /// Runs all stages on zeros if one of them was freshly compiled, so that its first execution is
    /// not a step of a user's run.
    pub(super) fn before_run(&self, automatic: Automatic) -> Result<(), PipelineError> {
        let stages = &self.prepared.stages;
        let watch = self.decoder.runner.watch;
        let is_fresh =
            |executable: &Executable| executable.report().source == preheat_cache::Source::Compiled;
        let fresh: Vec<bool> = self.ready.executables.iter().map(is_fresh).collect();
        let turns = automatic.turns(&fresh, stages.denoiser);
        let Some(&last) = turns.last() else { return Ok(()) };
        let total = turns.len() as u64;
        for (done, at) in (0..).zip(turns) {
            let stage = &stages.all[at];
            watch.tell(stage.name, EventKind::WarmingUp { done, total });
            self.run_on_zeros(stage, &self.ready.executables[at])?;
        }
        watch.tell(stages.all[last].name, EventKind::WarmingUp { done: total, total });
        let steps = automatic.steps;
        let of = if steps == 1 { "step" } else { "steps" };
        tracing::info!(
            "warmup complete: {}, {steps} {of} and each other stage once on zeros",
            watch.model_id
        );
        Ok(())
    }

    /// Runs a stage on zeros, but with its real weights, since zeros in their place would take as
    /// much memory again. If a decoder has no room for a whole picture, it runs in tiles, as it
    /// will for the real picture.
    fn run_on_zeros(&self, stage: &Stage, executable: &Executable) -> Result<(), PipelineError> {
        let runner = self.decoder.runner;
        runner.watch.go_on()?;
        let failed = |cause| {
            let stage = stage.name.to_owned();
            preheat_runtime::Error::Run { stage, doing: "warming it up", cause }
        };
        let run = |weights: &[Arc<DeviceTensor>]| {
            let zeros = runner.zeros(stage)?;
            for output in executable.run(zeros.iter().chain(weights.iter().map(AsRef::as_ref)))? {
                output.wait().map_err(failed)?;
            }
            Ok(())
        };
        let Stages { all, decoder, .. } = &self.prepared.stages;
        let is_decoder = decoder.is_some_and(|at| all[at].name == stage.name);
        if let (true, Some(latents)) = (is_decoder, stage.function.inputs().first()) {
            match runner.run_as_it_is((stage, executable), run) {
                Err(error) if error.is_out_of_memory() => {
                    let zeros = zeros_on_the_host(&latents.kind)?;
                    if self.decoder.decode_in_tiles(self.prepared, stage, &zeros)?.is_some() {
                        return Ok(());
                    }
                }
                done => return done,
            }
        }
        runner.run((stage, executable), Decode::Slices, run)
    }
}

#[cfg(test)]
mod tests {
    use preheat_cache::{Digest, GraphKey, Match, Source};
    use preheat_runtime::StageReport;

    use super::*;

    #[test]
    fn every_stage_runs_once_and_the_denoiser_for_each_step() {
        let automatic = Automatic { steps: 2, by_libtorch: false, by_hand: false };
        assert_eq!(automatic.turns(&[false, true, false], 1), [0, 1, 1, 2]);
        assert_eq!(Automatic { steps: 1, ..automatic }.turns(&[true; 4], 2), [0, 1, 2, 3]);
        let none: [usize; 0] = [];
        assert_eq!(automatic.turns(&[false; 3], 1), none, "nothing was compiled");
        assert_eq!(Automatic { steps: 0, ..automatic }.turns(&[true; 3], 1), none);
        assert_eq!(Automatic { by_libtorch: true, ..automatic }.turns(&[true; 3], 1), none);
        assert_eq!(Automatic { by_hand: true, ..automatic }.turns(&[true; 3], 1), none);
    }

    #[test]
    fn stages_that_the_cache_did_not_keep_are_lost() {
        let report = |stage: &str, kept| {
            let how = (Source::Compiled, Match::Compiled);
            let stage = StageReport::new("demo", stage, GraphKey(Digest::of(b"graph")), how);
            WarmupReport::new(stage, 0.1, kept)
        };
        let reports = [report("text_encoder", true), report("denoiser", false)];
        assert_eq!(lost(&reports), ["denoiser"]);
        assert!(lost(&reports[..1]).is_empty());
    }
}
