//! What does the runtime report about its work? The names are those of the command line's JSON.

use preheat_cache::{Difference, GraphKey, Match, Source as Origin};
use serde::Serialize;

use super::effort::CompileEffort;
use super::percent::Percent;

/// How the executable of one stage was obtained.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StageReport {
    /// The model, or the program's name.
    pub model_id: String,
    /// The stage of the model, such as `denoiser`.
    pub stage: String,
    /// The key of the executable.
    pub graph_key: GraphKey,
    /// Where the executable came from.
    pub source: Origin,
    /// How it was found.
    #[serde(rename = "match")]
    pub matched: Match,
    /// Seconds that the compile took in this call; 0 if nothing was compiled.
    pub compile_seconds: f64,
    /// The largest resident size of the process that compiled, up to the end of the compile, in
    /// bytes; 0 if nothing was compiled or the system does not report it.
    pub compile_peak_bytes: u64,
    /// Seconds from the look-up until the executable was ready, without the compile and without
    /// waiting for the compile of another thread or process.
    pub load_seconds: f64,
    /// Seconds that the request waited for another thread or process to compile; 0 if it did not
    /// wait.
    pub wait_seconds: f64,
    /// How much work the compiler put into the executable.
    pub effort: CompileEffort,
}

impl StageReport {
    /// The report of a stage whose executable came from `source` and was found as `matched` says.
    /// All times are 0, and the effort is the full one.
    pub fn new(
        model_id: &str,
        stage: &str,
        graph_key: GraphKey,
        (source, matched): (Origin, Match),
    ) -> Self {
        Self {
            model_id: model_id.to_owned(),
            stage: stage.to_owned(),
            graph_key,
            source,
            matched,
            compile_seconds: 0.0,
            compile_peak_bytes: 0,
            load_seconds: 0.0,
            wait_seconds: 0.0,
            effort: CompileEffort::Full,
        }
    }
}

/// The result of a warmup for one stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WarmupReport {
    /// How the stage's executable was obtained.
    #[serde(flatten)]
    pub stage: StageReport,
    /// Seconds that the execution on zeros took.
    pub first_run_seconds: f64,
    /// Whether the cache has the executable now. If it could not be stored, the next process
    /// compiles it again.
    pub kept: bool,
}

impl WarmupReport {
    /// The report of a stage whose executable was obtained as `stage` says.
    pub fn new(stage: StageReport, first_run_seconds: f64, kept: bool) -> Self {
        Self { stage, first_run_seconds, kept }
    }
}

/// A summary of a warmup, in one line for the log.
pub fn warmup_summary(reports: &[WarmupReport]) -> String {
    let count = |pick: fn(&Origin) -> bool| {
        reports.iter().filter(|report| pick(&report.stage.source)).count()
    };
    let seconds: f64 = reports.iter().map(|report| report.stage.compile_seconds).sum();
    let compiled = count(|source| matches!(source, Origin::Compiled));
    let loaded = count(|source| matches!(source, Origin::Disk | Origin::Fallback));
    let there = count(|source| matches!(source, Origin::Memory));
    let stages = if reports.len() == 1 { "stage" } else { "stages" };
    format!(
        "{} {stages}: {compiled} compiled in {seconds:.1} s, {loaded} loaded, {there} already there",
        reports.len()
    )
}

/// Whether a request would have to compile something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing would be compiled.
    Hit,
    /// Some stages would be compiled, others not.
    Partial,
    /// Everything would be compiled.
    Miss,
}

/// The answer to "would this hit?".
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Lookup {
    /// The verdict for all stages together.
    pub verdict: Verdict,
    /// The answer for each stage.
    pub stages: Vec<StageLookup>,
    /// The size at which a model would be served, if it is not the request's own.
    #[serde(flatten)]
    pub snapped: Option<SnappedSize>,
}

/// A warm size of pictures that is larger than the request's own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SnappedSize {
    /// The size that would be computed, in pixels, `[width, height]`.
    pub padded_size: [u64; 2],
    /// The request's own padded size, which is not warm, in pixels, `[width, height]`.
    pub snapped_from: [u64; 2],
    /// The part of the computed area that lies beyond the request's own size, in percent.
    pub wasted_percent: Percent,
}

impl SnappedSize {
    /// The padded size `larger`, which serves a request of the padded size `own`.
    pub fn new(larger: [u64; 2], own: [u64; 2], wasted_percent: Percent) -> Self {
        Self { padded_size: larger, snapped_from: own, wasted_percent }
    }
}

impl Lookup {
    /// The same answer for a request that a larger size serves.
    #[must_use]
    pub fn snapped_to(self, size: SnappedSize) -> Self {
        Self { snapped: Some(size), ..self }
    }

    /// The verdict for `stages`; a look-up that found no stage at all is a miss.
    pub fn of(stages: Vec<StageLookup>) -> Self {
        let hits = stages.iter().filter(|stage| stage.verdict == Verdict::Hit).count();
        let verdict = match hits {
            0 => Verdict::Miss,
            all if all == stages.len() => Verdict::Hit,
            _ => Verdict::Partial,
        };
        Self { verdict, stages, snapped: None }
    }
}

/// The answer for one stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StageLookup {
    /// The model, or the program's name.
    pub model_id: String,
    /// The stage of the model.
    pub stage: String,
    /// Hit or miss.
    pub verdict: Verdict,
    /// How it would match; `None` on a miss.
    #[serde(rename = "match")]
    pub matched: Option<Match>,
    /// The key of the executable; `None` if a miss was found without building the graph.
    pub graph_key: Option<GraphKey>,
    /// Seconds that a compile of this graph, or of the one most like it, took; `None` if no such
    /// compile was measured.
    pub expected_compile_seconds: Option<f64>,
    /// How much work the compiler put into the executable that would serve, or would put into the
    /// one that is missing; `None` if nothing is known of the graph.
    pub effort: Option<CompileEffort>,
    /// On a miss, the entry that comes nearest.
    pub nearest: Option<Nearest>,
    /// The remote that has the executable, if it is not on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
}

impl StageLookup {
    /// A miss, if nothing else is known about the graph.
    pub fn unknown(model_id: &str, stage: &str) -> Self {
        Self {
            model_id: model_id.to_owned(),
            stage: stage.to_owned(),
            verdict: Verdict::Miss,
            matched: None,
            graph_key: None,
            expected_compile_seconds: None,
            effort: None,
            nearest: None,
            remote: None,
        }
    }

    /// A measure of how near this answer is to a hit: first a hit, then the fewest differences.
    pub(super) fn likeness(&self) -> (bool, std::cmp::Reverse<usize>) {
        let differences = self.nearest.as_ref().map_or(0, |nearest| nearest.differences.len());
        (self.verdict == Verdict::Hit, std::cmp::Reverse(differences))
    }
}

/// The entry of the cache that is most like the one that is missing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Nearest {
    /// Its key.
    pub graph_key: GraphKey,
    /// Each field in which it differs from the wanted entry.
    pub differences: Vec<Difference>,
}
