//! How is every stage of many requests compiled without loading anything?
//!
//! Each graph is compiled once, and as many compiles run at the same time as memory allows.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock, PoisonError};

use preheat_cache::{Digest, Program, Signature};
use preheat_runtime::progress::{Event, EventKind};
use preheat_runtime::{Room, Runtime, StageReport, UNMEASURED_PEAK_BYTES, locked};

use super::checked_request::Prepared;
use super::error::PipelineError;
use super::stage::Stage;
use super::{Pipeline, Plan, TextToImage};

/// Options for compiling many requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Precompile {
    /// How many compiles may run at once, as far as memory allows; `None` for one compile per two
    /// processors.
    pub jobs: Option<usize>,
    /// Whether graphs that the cache already has are compiled again.
    pub force_recompile: bool,
}

/// The result for one request.
#[derive(Debug)]
pub struct Precompiled {
    /// The signature and the sizes.
    pub plan: Plan,
    /// Each stage, and how it came to be in the cache.
    pub stages: Vec<StageReport>,
    /// The stages that could not be compiled, by name. The others are kept.
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

impl Pipeline {
    /// Makes sure that the cache has every stage of every request, and loads nothing. Finished
    /// compiles are kept whatever happens later, and a stage that cannot be compiled does not keep
    /// the others from being compiled.
    ///
    /// # Errors
    /// Where this model cannot serve one of the requests, which is found out before anything
    /// is compiled; and where someone asked to stop.
    pub fn precompile(
        &self,
        requests: &[TextToImage],
        how: Precompile,
    ) -> Result<Vec<Precompiled>, PipelineError> {
        let prepared =
            requests.iter().map(|request| self.prepare(request)).collect::<Result<Vec<_>, _>>()?;
        self.runtime.check_cache_is_writable()?;
        for prepared in &prepared {
            self.check_weights(&prepared.stages)?;
        }
        let (first, again) = in_order(&prepared);
        let measured = Measured::of(&self.runtime);
        let room = Room::here(how.jobs);
        let mut outcomes = Vec::with_capacity(first.len() + again.len());
        let work = Work { pipeline: self, how, measured, room, total: first.len() };
        outcomes.extend(work.run(&first)?);
        // These tasks share the executables of the first ones, so only their requests are recorded.
        let once = Precompile { force_recompile: false, ..how };
        outcomes.extend(
            again
                .iter()
                .map(|task| (task.request, task.stage.name, self.precompile_one(task, once))),
        );
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

    fn precompile_one(
        &self,
        task: &Task<'_>,
        how: Precompile,
    ) -> Result<StageReport, preheat_runtime::Error> {
        let request =
            self.home(task.stage).runtime.request(&task.prepared.plan.signature, &task.stage.graph);
        request.force_recompile(how.force_recompile).precompile()
    }
}

/// Makes sure that the cache of a runtime has these programs, and loads nothing. A program that
/// cannot be compiled does not keep the others from being compiled.
///
/// # Errors
/// Where someone asked to stop; compiles that had finished by then are kept.
pub fn precompile_programs(
    runtime: &Runtime,
    programs: &[(&Signature, &Program)],
    how: Precompile,
) -> Result<Vec<Result<StageReport, preheat_runtime::Error>>, preheat_runtime::Error> {
    runtime.check_cache_is_writable()?;
    let room = Room::here(how.jobs);
    let outcomes: Vec<OnceLock<_>> = programs.iter().map(|_| OnceLock::new()).collect();
    let tasks: Vec<_> = programs.iter().zip(&outcomes).collect();
    room.work_through(
        &tasks,
        || runtime.is_cancelled(),
        |((signature, program), outcome)| {
            let _place = room.enter(UNMEASURED_PEAK_BYTES);
            let request = runtime.request(signature, *program).force_recompile(how.force_recompile);
            outcome.get_or_init(|| request.precompile());
        },
    );
    if runtime.is_cancelled() {
        return Err(preheat_runtime::Error::Cancelled);
    }
    Ok(outcomes.into_iter().filter_map(OnceLock::into_inner).collect())
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

/// Compiles that are in progress.
struct Work<'a> {
    pipeline: &'a Pipeline,
    how: Precompile,
    measured: Measured,
    room: Room,
    total: usize,
}

impl Work<'_> {
    fn run(&self, tasks: &[Task<'_>]) -> Result<Vec<Outcome>, PipelineError> {
        let outcomes = Mutex::new(Vec::new());
        self.tell(tasks, &[]);
        let stop = || self.pipeline.runtime.is_cancelled();
        self.room.work_through(tasks, stop, |task| {
            let outcome = self.one(task);
            let mut outcomes = locked(&outcomes);
            outcomes.push((task.request, task.stage.name, outcome));
            self.tell(tasks, &outcomes);
        });
        if self.pipeline.runtime.is_cancelled() {
            return Err(preheat_runtime::Error::Cancelled.into());
        }
        Ok(outcomes.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn one(&self, task: &Task<'_>) -> Result<StageReport, preheat_runtime::Error> {
        let _place = self.room.enter(self.measured.peak_bytes(task.stage.name));
        let report = self.pipeline.precompile_one(task, self.how)?;
        self.measured.learn(&report);
        Ok(report)
    }

    /// Reports how many compiles are done, and how long the rest may take.
    fn tell(&self, tasks: &[Task<'_>], outcomes: &[Outcome]) {
        let done: HashSet<(usize, &str)> =
            outcomes.iter().map(|(request, stage, _)| (*request, *stage)).collect();
        let left = tasks.iter().filter(|task| !done.contains(&(task.request, task.stage.name)));
        // If the time of one stage is unknown, so is the sum.
        let seconds: Option<f64> = left.map(|task| self.measured.seconds(task.stage.name)).sum();
        #[expect(clippy::cast_precision_loss, reason = "a handful of jobs")]
        let seconds_left = seconds.map(|seconds| seconds / self.room.jobs as f64);
        let kind = EventKind::Precompiled { done: outcomes.len(), total: self.total, seconds_left };
        let model_id = self.pipeline.model_id().to_owned();
        self.pipeline.runtime.progress().event(Event { model_id, stage: String::new(), kind });
    }
}

/// For each stage, the largest memory peak in bytes and the longest time in seconds of its compiles
/// for this target so far.
struct Measured(Mutex<HashMap<String, (u64, f64)>>);

impl Measured {
    /// Reads what the cache has recorded; nothing is known where the cache cannot be read.
    fn of(runtime: &preheat_runtime::Runtime) -> Self {
        let measured = Self(Mutex::default());
        for record in runtime.records_of_this_environment() {
            let peak = record.measurements.compile_peak_bytes.unwrap_or(0);
            measured.note(&record.stage, peak, record.measurements.compile_seconds);
        }
        measured
    }

    fn learn(&self, report: &StageReport) {
        if report.compile_seconds > 0.0 {
            self.note(&report.stage, report.compile_peak_bytes, report.compile_seconds);
        }
    }

    fn note(&self, stage: &str, peak_bytes: u64, seconds: f64) {
        let mut known = locked(&self.0);
        let (peak, longest) = known.entry(stage.to_owned()).or_default();
        *peak = peak_bytes.max(*peak);
        *longest = seconds.max(*longest);
    }

    fn peak_bytes(&self, stage: &str) -> u64 {
        let peak = locked(&self.0).get(stage).map(|(peak, _)| *peak).filter(|peak| *peak > 0);
        peak.unwrap_or(UNMEASURED_PEAK_BYTES)
    }

    fn seconds(&self, stage: &str) -> Option<f64> {
        locked(&self.0).get(stage).map(|(_, seconds)| *seconds)
    }
}
