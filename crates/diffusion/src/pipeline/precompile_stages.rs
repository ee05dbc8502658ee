//! How is every stage of many requests compiled without loading anything?
//!
//! Each graph is compiled once, and as many compiles run at the same time as the settings and the
//! memory allow. For a tiered runtime there are two waves. First every graph is compiled at the
//! lower effort, the quickest graphs first, so that all of them can serve soon. Then every graph is
//! compiled at the full effort.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use preheat_cache::{Digest, Program, Signature};
use preheat_runtime::progress::EventKind;
use preheat_runtime::{
    CompileEffort, OpenRequest, Room, Runtime, StageReport, UNMEASURED_PEAK_BYTES, locked,
};
use serde::{Serialize, Serializer};

use super::checked_request::{Plan, Prepared};
use super::error::PipelineError;
use super::home::Homes;
use super::made::in_one_line;
use super::stage::Stage;
use super::watch::Watch;

/// Options for compiling many requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Precompile {
    /// How many compiles may run at once, as far as memory allows; `None` for one compile per two
    /// processors.
    pub jobs: Option<usize>,
    /// Whether graphs that the cache already has are compiled again.
    pub force_recompile: bool,
}

/// The result for one request. In the serialised form, an error is its text.
#[derive(Debug, Serialize)]
pub struct Precompiled {
    /// The signature and the sizes.
    pub plan: Plan,
    /// How each stage came to be in the cache. With a tiered runtime, there is a report for each
    /// effort.
    pub stages: Vec<StageReport>,
    /// The stages that could not be compiled, by name. The compiled ones are kept nevertheless.
    #[serde(serialize_with = "as_texts")]
    pub failed: Vec<(String, preheat_runtime::Error)>,
}

/// One stage of one request.
struct Task<'a> {
    request: usize,
    prepared: &'a Prepared<'a>,
    stage: &'a Stage,
}

impl Task<'_> {
    /// Identifies the graph: tasks with the same value share an executable.
    fn graph(&self) -> (&'static str, Digest) {
        let projected =
            self.prepared.plan.signature.project(self.stage.graph.declared_projection());
        (self.stage.name, projected.digest())
    }
}

/// Serialises errors as an object with the name of each stage and the text of its error.
fn as_texts<S: Serializer>(
    failed: &[(String, preheat_runtime::Error)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(failed.iter().map(|(stage, error)| (stage, in_one_line(error))))
}

/// Compiles the stages of many requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Precompiling<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) homes: &'a Homes,
    pub(super) watch: Watch<'a>,
    pub(super) how: Precompile,
    /// For each request, the open request that the statistics count.
    pub(super) open: &'a [Arc<OpenRequest>],
}

impl Precompiling<'_> {
    /// Makes sure that the cache has every stage of every request, and loads nothing. Finished
    /// compiles are kept whatever happens later, and if a stage cannot be compiled, the others are
    /// compiled nevertheless.
    pub(super) fn all(
        &self,
        prepared: Vec<Prepared<'_>>,
    ) -> Result<Vec<Precompiled>, PipelineError> {
        let (mut first, again) = in_order(&prepared);
        let (measured, room) = (Measured::of(self.runtime), Room::here(self.how.jobs));
        let waves = self.runtime.waves();
        let total = first.len() * waves.len();
        let mut outcomes = Vec::with_capacity(total + again.len() * waves.len());
        // These tasks share the executables of the first ones, so only their requests are recorded.
        let once = Precompile { force_recompile: false, ..self.how };
        let once = Self { how: once, ..*self };
        for (wave, &effort) in waves.iter().enumerate() {
            if waves.len() > 1 {
                measured.quickest_first(&mut first, effort);
            }
            let before = wave * first.len();
            let work = Work {
                precompiling: self,
                measured: &measured,
                room: &room,
                effort,
                before,
                total,
            };
            outcomes.extend(work.run(&first)?);
            let again =
                again.iter().map(|task| (task.request, task.stage.name, once.one(task, effort)));
            outcomes.extend(again);
        }
        let mut done: Vec<Precompiled> = prepared
            .into_iter()
            .map(|prepared| Precompiled {
                plan: prepared.plan,
                stages: Vec::new(),
                failed: Vec::new(),
            })
            .collect();
        for (request, stage, outcome) in outcomes {
            match outcome {
                Ok(report) => done[request].stages.push(report),
                Err(preheat_runtime::Error::Cancelled) => {
                    return Err(preheat_runtime::Error::Cancelled.into());
                }
                Err(error) => done[request].failed.push((stage.to_owned(), error)),
            }
        }
        Ok(done)
    }

    fn one(
        &self,
        task: &Task<'_>,
        effort: CompileEffort,
    ) -> Result<StageReport, preheat_runtime::Error> {
        let runtime = &self.homes.of_stage(task.stage).runtime.part_of(&self.open[task.request]);
        let request = runtime.request(&task.prepared.plan.signature, &task.stage.graph);
        let request = request.effort(effort);
        request.force_recompile(self.how.force_recompile).precompile()
    }
}

/// Makes sure that the cache of a runtime has these programs, and loads nothing. If a program
/// cannot be compiled, the others are compiled nevertheless. With a tiered runtime, all programs
/// are compiled at the lower effort, and then at the full effort. The results are those of the full
/// effort.
///
/// # Errors
/// If the cache cannot be written, or if someone asked to stop; compiles that had finished by then
/// are kept.
pub fn precompile_programs(
    runtime: &Runtime,
    programs: &[(&Signature, &Program)],
    how: Precompile,
) -> Result<Vec<Result<StageReport, preheat_runtime::Error>>, preheat_runtime::Error> {
    runtime.check_cache_is_writable()?;
    let room = Room::here(how.jobs);
    let mut done = Vec::new();
    for effort in runtime.waves() {
        let outcomes: Vec<OnceLock<_>> = programs.iter().map(|_| OnceLock::new()).collect();
        let tasks: Vec<_> = programs.iter().zip(&outcomes).collect();
        room.work_through(
            &tasks,
            || runtime.is_cancelled(),
            |((signature, program), outcome)| {
                let _place = room.enter(UNMEASURED_PEAK_BYTES);
                let request = runtime.request(signature, *program).effort(effort);
                let request = request.force_recompile(how.force_recompile);
                outcome.get_or_init(|| request.precompile());
            },
        );
        if runtime.is_cancelled() {
            return Err(preheat_runtime::Error::Cancelled);
        }
        done = outcomes.into_iter().filter_map(OnceLock::into_inner).collect();
    }
    Ok(done)
}

/// Splits the tasks into those that may have to be compiled, one for each graph, and those that
/// share a graph with one of these.
fn in_order<'a>(prepared: &'a [Prepared<'a>]) -> (Vec<Task<'a>>, Vec<Task<'a>>) {
    let mut seen = HashSet::new();
    let tasks = prepared.iter().enumerate().flat_map(|(request, prepared)| {
        prepared.stages.iter().map(move |stage| Task { request, prepared, stage })
    });
    tasks.partition(|task| seen.insert(task.graph()))
}

/// An outcome with the position of its request and the name of its stage.
type Outcome = (usize, &'static str, Result<StageReport, preheat_runtime::Error>);

/// One wave of compiles.
struct Work<'a> {
    precompiling: &'a Precompiling<'a>,
    measured: &'a Measured,
    room: &'a Room,
    effort: CompileEffort,
    /// The number of compiles of earlier waves.
    before: usize,
    /// The number of compiles of all waves.
    total: usize,
}

impl Work<'_> {
    fn run(&self, tasks: &[Task<'_>]) -> Result<Vec<Outcome>, PipelineError> {
        let outcomes = Mutex::new(Vec::new());
        self.tell(tasks, &[]);
        let control = self.precompiling.watch.control;
        self.room.work_through(
            tasks,
            || control.is_cancelled(),
            |task| {
                let outcome = self.one(task);
                let mut outcomes = locked(&outcomes);
                outcomes.push((task.request, task.stage.name, outcome));
                self.tell(tasks, &outcomes);
            },
        );
        self.precompiling.watch.go_on()?;
        Ok(outcomes.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn one(&self, task: &Task<'_>) -> Result<StageReport, preheat_runtime::Error> {
        let _place = self.room.enter(self.measured.peak_bytes(task.stage.name, self.effort));
        let report = self.precompiling.one(task, self.effort)?;
        self.measured.learn(&report);
        Ok(report)
    }

    /// Reports how many compiles are done, and how long the rest may take.
    fn tell(&self, tasks: &[Task<'_>], outcomes: &[Outcome]) {
        let done: HashSet<(usize, &str)> =
            outcomes.iter().map(|(request, stage, _)| (*request, *stage)).collect();
        let left = tasks.iter().filter(|task| !done.contains(&(task.request, task.stage.name)));
        // If the time of one stage is unknown, so is the sum.
        let seconds = left.map(|task| self.measured.seconds(task.stage.name, self.effort));
        let later = (self.before + tasks.len() < self.total).then_some(CompileEffort::Full);
        let waves = tasks.iter().filter_map(|task| later.map(|effort| (task.stage.name, effort)));
        let later = waves.map(|(stage, effort)| self.measured.seconds(stage, effort));
        let seconds: Option<f64> = seconds.chain(later).sum();
        #[expect(clippy::cast_precision_loss, reason = "a handful of jobs")]
        let seconds_left = seconds.map(|seconds| seconds / self.room.jobs as f64);
        let done = self.before + outcomes.len();
        let effort = (tasks.len() < self.total).then_some(self.effort);
        let kind = EventKind::Precompiled { done, total: self.total, seconds_left, effort };
        self.precompiling.watch.tell("", kind);
    }
}

/// For each stage and effort, the largest memory peak in bytes and the longest time in seconds of
/// its compiles for this target so far.
struct Measured(Mutex<HashMap<(String, CompileEffort), (u64, f64)>>);

impl Measured {
    /// Reads these figures from the records in the cache. Nothing is known if the cache cannot be
    /// read.
    fn of(runtime: &Runtime) -> Self {
        let measured = Self(Mutex::default());
        for record in runtime.records_of_this_environment() {
            let peak = record.measurements.compile_peak_bytes.unwrap_or(0);
            let effort = CompileEffort::of_record(&record);
            measured.note((&record.stage, effort), peak, record.measurements.compile_seconds);
        }
        measured
    }

    fn learn(&self, report: &StageReport) {
        if report.compile_seconds > 0.0 {
            let (peak, seconds) = (report.compile_peak_bytes, report.compile_seconds);
            self.note((&report.stage, report.effort), peak, seconds);
        }
    }

    fn note(&self, (stage, effort): (&str, CompileEffort), peak_bytes: u64, seconds: f64) {
        let mut known = locked(&self.0);
        let (peak, longest) = known.entry((stage.to_owned(), effort)).or_default();
        *peak = peak_bytes.max(*peak);
        *longest = seconds.max(*longest);
    }

    fn of_stage(&self, stage: &str, effort: CompileEffort) -> Option<(u64, f64)> {
        locked(&self.0).get(&(stage.to_owned(), effort)).copied()
    }

    fn peak_bytes(&self, stage: &str, effort: CompileEffort) -> u64 {
        let peak = self.of_stage(stage, effort).map(|(peak, _)| peak).filter(|peak| *peak > 0);
        peak.unwrap_or(UNMEASURED_PEAK_BYTES)
    }

    fn seconds(&self, stage: &str, effort: CompileEffort) -> Option<f64> {
        self.of_stage(stage, effort).map(|(_, seconds)| seconds)
    }

    /// Sorts the tasks by the time that their compiles took so far. If it is not known for all of
    /// them, sorts by the size of their weights instead: stages with fewer weights have fewer ops.
    fn quickest_first(&self, tasks: &mut [Task<'_>], effort: CompileEffort) {
        let seconds = |task: &Task<'_>| self.seconds(task.stage.name, effort);
        if tasks.iter().all(|task| seconds(task).is_some()) {
            let took = |task: &Task<'_>| seconds(task).unwrap_or(0.0);
            tasks.sort_by(|one, other| took(one).total_cmp(&took(other)));
        } else {
            tasks.sort_by_key(|task| task.stage.weight_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pipeline::request::TextToImage;
    use crate::pipeline::test_model;

    #[test]
    fn a_graph_that_requests_share_is_compiled_for_the_first_of_them() {
        let planner = test_model::planner(8);
        let at = |width| TextToImage {
            width: Some(width),
            height: Some(32),
            ..TextToImage::new("seven")
        };
        let requests = [at(32), at(64), at(32)];
        let prepared: Vec<_> =
            requests.iter().map(|request| planner.prepare(request, |_| None).unwrap()).collect();
        let (first, again) = in_order(&prepared);
        let named = |tasks: &[Task<'_>]| -> Vec<(usize, &str)> {
            tasks.iter().map(|task| (task.request, task.stage.name)).collect()
        };
        let (text, denoiser, vae) = ("text_encoder", "denoiser", "vae_decoder");
        assert_eq!(named(&first), [(0, text), (0, denoiser), (0, vae), (1, denoiser), (1, vae)]);
        assert_eq!(named(&again), [(1, text), (2, text), (2, denoiser), (2, vae)]);
    }

    #[test]
    fn what_compiles_took_is_the_worst_that_was_seen() {
        let measured = Measured(Mutex::default());
        let full = CompileEffort::Full;
        assert_eq!(measured.peak_bytes("denoiser", full), UNMEASURED_PEAK_BYTES);
        assert_eq!(measured.seconds("denoiser", full), None);
        measured.note(("denoiser", full), 0, 2.0);
        let peak = measured.peak_bytes("denoiser", full);
        assert_eq!(peak, UNMEASURED_PEAK_BYTES, "0 is not a figure");
        measured.note(("denoiser", full), 7, 1.0);
        assert_eq!(measured.peak_bytes("denoiser", full), 7);
        assert_eq!(measured.seconds("denoiser", full), Some(2.0));
        assert_eq!(measured.seconds("denoiser", CompileEffort::Fast), None);
        assert_eq!(measured.seconds("vae_decoder", full), None);
    }

    #[test]
    fn failed_stages_serialise_with_the_text_of_their_errors() {
        let planner = test_model::planner(8);
        let request = TextToImage { seed: Some(7), ..TextToImage::new("seven") };
        let plan = planner.sketch(&request).unwrap().plan;
        let failed = vec![("denoiser".to_owned(), preheat_runtime::Error::Cancelled)];
        let done = Precompiled { plan, stages: Vec::new(), failed };
        let json = serde_json::to_value(&done).unwrap();
        let text = preheat_runtime::Error::Cancelled.to_string();
        assert_eq!(json["failed"], json!({"denoiser": text}));
        assert_eq!(json["plan"]["seed"], 7);
    }
}
