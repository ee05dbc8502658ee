//! Which sizes are worth warming? `preheat plan` chooses sizes within a budget so that the users of
//! a log's requests wait least, and writes the sizes to a manifest for `preheat warmup`.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::HumanBytes;
use jiff::Timestamp;
use preheat_io::printable::printable;
use preheat_io::result_file::Existing;
use serde::Serialize;

use super::args::EvidenceArgs;
use super::audit::{
    per_store, print_bases, print_damaged, print_lower, sized, snap_percent, survey, yes,
};
use super::context::Context;
use super::output::{self, document, is_standard_output, line, seconds, table};
use super::size::{Age, Size};
use super::{CliError, Status};
use preheat_diffusion::evidence::audit::Bases;
use preheat_diffusion::evidence::planner::{Budget, Choice, Cost, Server, Spent};
use preheat_diffusion::evidence::survey::{AtLowerEffort, PixelSeconds};
use preheat_diffusion::evidence::{Efforts, Manifest, ManifestModel, Rules, Shape, Survey};
use preheat_runtime::RuntimeBuilder;

/// The chosen sizes, as the JSON output has them.
#[derive(Serialize)]
struct PlanReport {
    model_id: String,
    target: String,
    requests: u64,
    /// How many requests are served at their own size once the plan is warm. The next two fields
    /// count those that are served at a larger size and those that stay cold.
    served: u64,
    snapped: u64,
    cold: u64,
    shapes: Vec<ChosenShape>,
    /// How long users are expected to wait over the life of one store: as the store is now, and, in
    /// the next field, once the plan is warm.
    before: Cost,
    after: Cost,
    requests_per_store: f64,
    budget: Budget,
    spent: Spent,
    /// Whether every possible choice of shapes was tried.
    exact: bool,
    candidates: usize,
    pixel_seconds: PixelSeconds,
    bases: Bases,
    /// The compile efforts that the figures are for.
    efforts: Efforts,
    /// What executables of a lower effort serve once the plan is warm.
    at_lower_effort: AtLowerEffort,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
}

#[derive(Serialize)]
struct ChosenShape {
    #[serde(flatten)]
    shape: Shape,
    /// How many requests ask for exactly this shape. The next field counts the requests for smaller
    /// shapes that it serves.
    requests: u64,
    snapped: u64,
    /// The compile time and, in the next field, the bytes that the shape adds to those before it.
    compile_seconds: f64,
    stored_bytes: u64,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The most that warming may cost, beyond the sizes that are already warm: compile time, bytes
    /// on disk or both, such as 2h,20GiB
    #[arg(long, value_name = "TIME,SIZE", value_parser = budget)]
    pub(super) budget: Budget,
    /// The file for the manifest, which lists the chosen sizes; - is standard output
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) evidence: EvidenceArgs,
}

pub(super) fn plan(context: &Context, args: &PlanArgs) -> Result<Status, CliError> {
    let rules = Rules {
        most_waste_percent: snap_percent(context),
        requests_per_store: per_store(&args.evidence),
        joins: Rules::JOINS,
        budget: args.budget,
    };
    if let Some(path) = &args.output {
        args.evidence.model.refuse_for_manifest()?;
        check_output(path, args.evidence.model.model.as_deref())?;
    }
    let (log, pipeline, survey) = survey(context, &args.evidence, rules)?;
    let choice = survey.problem.choose();
    if choice.chosen.is_empty() {
        return Err(nothing_fits(&survey));
    }
    let mut report = report(pipeline.model_id(), &survey, &choice);
    if let Some(path) = &args.output {
        let model = ManifestModel {
            folder: args.evidence.model.model.clone(),
            variant: args.evidence.model.variant.clone(),
            targets: args.evidence.target.iter().cloned().collect(),
            precisions: context.args.precisions(),
            // The budget was counted for this effort, so the manifest names it.
            compile_effort: context.args.compile_effort,
            ..ManifestModel::default()
        };
        let head = head(context, &report, rules, &args.evidence.requests);
        write(path, &head, &model, &report)?;
        report.manifest = Some(path.display().to_string());
    }
    context.shown.finish();
    if context.json {
        document(&report)?;
    } else {
        print_damaged(&log.damaged, log.more_damaged)?;
        print(&report)?;
    }
    Ok(Status::Done)
}

/// Refuses, before anything is computed, a manifest that could not be written, or one that could
/// not name the model.
fn check_output(path: &Path, model: Option<&Path>) -> Result<(), CliError> {
    if let Some(model) = model.filter(|model| model.to_str().is_none()) {
        return Err(CliError::Usage(format!(
            "a manifest is UTF-8 text, which cannot name the folder {}: give the folder a UTF-8 name, or a link that has one",
            model.display()
        )));
    }
    output::check(path, Existing::Replace).map_err(failed(path))
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> CliError {
    |cause| CliError::File { doing: "writing the manifest to", path: path.to_owned(), cause }
}

fn report(model_id: &str, survey: &Survey, choice: &Choice) -> PlanReport {
    let problem = &survey.problem;
    let servers = problem.servers(&choice.chosen);
    let mut by_shape = vec![(0, 0); problem.candidates.len()];
    let (mut served, mut snapped, mut cold) = (0, 0, 0);
    for (wanted, server) in problem.wanted.iter().zip(&servers) {
        match server {
            Server::Own => {
                served += wanted.requests;
                by_shape[wanted.candidate].0 += wanted.requests;
            }
            Server::Larger(larger) => {
                snapped += wanted.requests;
                by_shape[*larger].1 += wanted.requests;
            }
            Server::Cold => cold += wanted.requests,
        }
    }
    let mut order = choice.chosen.clone();
    // A chosen shape that serves no request is not worth a line.
    order.retain(|at| by_shape[*at] != (0, 0));
    order.sort_by_key(|at| {
        (std::cmp::Reverse(by_shape[*at].0 + by_shape[*at].1), problem.candidates[*at].shape)
    });
    let mut shapes = Vec::new();
    let mut so_far = Spent::default();
    for (candidate, spent) in order.iter().zip(problem.spent_so_far(&order)) {
        let (requests, snapped) = by_shape[*candidate];
        shapes.push(ChosenShape {
            shape: problem.candidates[*candidate].shape,
            requests,
            snapped,
            compile_seconds: spent.compile_seconds - so_far.compile_seconds,
            stored_bytes: spent.stored_bytes - so_far.stored_bytes,
        });
        so_far = spent;
    }
    PlanReport {
        model_id: model_id.to_owned(),
        target: survey.target.clone(),
        requests: survey.demands.requests(),
        served,
        snapped,
        cold,
        shapes,
        before: problem.evaluate(&[]).0,
        after: choice.cost,
        requests_per_store: problem.requests_per_store,
        budget: problem.budget,
        spent: choice.spent,
        exact: choice.is_exact,
        candidates: problem.candidates.len(),
        pixel_seconds: survey.pixel_seconds,
        bases: Bases::of(survey),
        efforts: survey.efforts.clone(),
        at_lower_effort: survey.at_lower_effort(&choice.chosen),
        manifest: None,
    }
}

/// The error for a budget that is too small for any shape.
fn nothing_fits(survey: &Survey) -> CliError {
    let problem = &survey.problem;
    let each = (0..problem.candidates.len()).map(|candidate| problem.spent_alone(candidate));
    let least = each
        .min_by(|one, other| one.compile_seconds.total_cmp(&other.compile_seconds))
        .unwrap_or_default();
    CliError::Usage(format!(
        "the budget holds no shape that is worth warming: the one that is compiled fastest takes {} and {}",
        seconds(least.compile_seconds),
        HumanBytes(least.stored_bytes)
    ))
}

/// The comment at the top of the manifest: where its tables come from, and which flags they were
/// chosen for.
fn head(context: &Context, report: &PlanReport, rules: Rules, log: &Path) -> String {
    // A newline in the name of the log would end the comment, so the name is made printable.
    let log = log.to_string_lossy();
    let log = printable(&log);
    let chosen = format!(
        "# Chosen by `preheat plan` on {} from the {} requests in {log}, for {}.\n",
        Timestamp::now(),
        report.requests,
        report.target
    );
    let snapping = rules.most_waste_percent.map_or_else(String::new, |percent| {
        format!(
            "# A run with --snap-to-warm {percent} serves smaller requests at these sizes, too.\n"
        )
    });
    let padding = match context.args.padding_multiple_px() {
        RuntimeBuilder::DEFAULT_PADDING_MULTIPLE_PX => String::new(),
        multiple => {
            format!(
                "# Warm and run with --tpu-shape-padding-multiple {multiple}: the sizes are padded to that.\n"
            )
        }
    };
    chosen + &snapping + &padding
}

fn write(
    path: &Path,
    head: &str,
    model: &ManifestModel,
    report: &PlanReport,
) -> Result<(), CliError> {
    let shapes: Vec<Shape> = report.shapes.iter().map(|chosen| chosen.shape).collect();
    let text = format!("{head}\n{}", Manifest::of_shapes(model, &shapes));
    output::write(path, text.as_bytes()).map_err(failed(path))
}

fn print(report: &PlanReport) -> Result<(), CliError> {
    let PlanReport { requests, served, snapped, cold, .. } = report;
    line(&format!("{requests} requests of {} on {}", report.model_id, report.target))?;
    let mut rows =
        table(&["size", "batch", "guided", "requests", "and smaller", "compile", "on disk"]);
    for chosen in &report.shapes {
        rows.add_row([
            sized(chosen.shape),
            chosen.shape.batch_size.to_string(),
            yes(chosen.shape.guided).to_owned(),
            chosen.requests.to_string(),
            chosen.snapped.to_string(),
            seconds(chosen.compile_seconds),
            HumanBytes(chosen.stored_bytes).to_string(),
        ]);
    }
    rows.print()?;
    line(&format!(
        "{served} requests are served at their own size, {snapped} at a larger one, {cold} stay cold"
    ))?;
    print_lower(report.at_lower_effort)?;
    line(&format!(
        "expected in a store's life of {:.0} requests: users wait {} as things are, and {} once \
         these sizes are warm ({} for compiles, {} for padding)",
        report.requests_per_store,
        seconds(report.before.total_seconds()),
        seconds(report.after.total_seconds()),
        seconds(report.after.compile_wait_seconds),
        seconds(report.after.padding_seconds)
    ))?;
    let Budget { compile_seconds, stored_bytes } = report.budget;
    let of = |most: Option<String>| most.map_or_else(String::new, |most| format!(" of {most}"));
    line(&format!(
        "warming these sizes{} takes {}{} of compiles, and {}{} on disk",
        in_waves(&report.efforts),
        seconds(report.spent.compile_seconds),
        of(compile_seconds.map(seconds)),
        HumanBytes(report.spent.stored_bytes),
        of(stored_bytes.map(|bytes| HumanBytes(bytes).to_string()))
    ))?;
    print_bases(report.bases.measured, report.bases.alike, report.bases.guessed)?;
    if !report.exact {
        line(&format!(
            "chosen among {} shapes by search, which may miss the best by a little",
            report.candidates
        ))?;
    }
    match &report.manifest {
        Some(path) if is_standard_output(Path::new(path)) => Ok(()),
        Some(path) => line(&format!("{path}: `preheat warmup --manifest {path}` warms these")),
        None => line("--output FILE writes these to a manifest for `preheat warmup`"),
    }
}

/// The efforts of a warmup, if it has several.
fn in_waves(efforts: &Efforts) -> String {
    match &efforts.warming[..] {
        [first, last] => format!(" at {first} and then at {last}"),
        _ => String::new(),
    }
}

/// Reads `2h,20GiB`, or one of the two alone.
pub(super) fn budget(text: &str) -> Result<Budget, String> {
    const WORDS: &str = "a budget is a time, a size or both, such as 2h,20GiB: s, m, h and d are times, MB and GiB sizes";
    let mut budget = Budget { compile_seconds: None, stored_bytes: None };
    for part in text.split(',').map(str::trim) {
        let has_unit = part.chars().any(char::is_alphabetic);
        match (part.parse::<Age>(), part.parse::<Size>()) {
            (Ok(Age(time)), _) if budget.compile_seconds.is_none() => {
                if time.is_zero() {
                    return Err("a budget of no time warms nothing".to_owned());
                }
                budget.compile_seconds = Some(time.as_secs_f64());
            }
            (Err(_), Ok(size)) if has_unit && budget.stored_bytes.is_none() => {
                if size.bytes() == 0 {
                    return Err("a budget of no bytes warms nothing".to_owned());
                }
                budget.stored_bytes = Some(size.bytes());
            }
            _ => return Err(WORDS.to_owned()),
        }
    }
    Ok(budget)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_time_a_size_or_both() {
        let read = |text: &str| {
            budget(text).map(|budget| (budget.compile_seconds, budget.stored_bytes)).ok()
        };
        assert_eq!(read("2h,20GiB"), Some((Some(7200.0), Some(20 << 30))));
        assert_eq!(read("500MB, 30m"), Some((Some(1800.0), Some(500_000_000))));
        assert_eq!(read("2h"), Some((Some(7200.0), None)));
        assert_eq!(read("20GiB"), Some((None, Some(20 << 30))));
        for text in [
            "",
            ",",
            "2h,",
            "0h",
            "0GiB",
            "2h,0MB",
            "2",
            "20",
            "2h,3h",
            "1GiB,2GiB",
            "-2h",
            "2 hours",
            "cheap",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
