//! `preheat warmup --aot`: compiles for hardware that is not here, and runs nothing.

use preheat_cache::Source;

use super::args::WarmupArgs;
use super::output::{line, seconds, table};
use super::program::{program_name, read_program};
use super::warmup::{print_metrics, print_reports, print_requests, requests};
use super::{CliError, Context, Status, run};
use crate::device::Target;
use crate::pipeline::{Precompile, Precompiled};
use crate::runtime::{Runtime, StageReport};

pub(super) fn of_model(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    let requests = requests(args)?;
    let (runtime, pipeline) = run::open(context, &args.model, None, args.aot.as_ref())?;
    let how = Precompile { jobs: args.jobs.map(usize::from), force_recompile: args.force_recompile };
    let done = pipeline.precompile(&requests, how)?;
    runtime.flush();
    context.shown.finish();
    let failed: usize = done.iter().map(|one| one.failed.len()).sum();
    if context.json {
        print_requests(context, &runtime, done.iter().map(|one| (&one.plan, one.stages.clone())).collect())?;
    } else {
        print(&runtime, pipeline.model_id(), &done)?;
        print_metrics(context, &runtime, done.iter().flat_map(|one| &one.stages))?;
    }
    if failed == 0 { Ok(Status::Done) } else { Err(not_compiled(done)) }
}

pub(super) fn of_programs(context: &Context, args: &WarmupArgs, target: &Target) -> Result<Status, CliError> {
    let mut programs = Vec::with_capacity(args.program.len());
    for path in &args.program {
        programs.push((path, args.signature.signature(context, &program_name(path))?, read_program(path)?));
    }
    let runtime = context.builder_for(Some(target))?.build()?;
    let mut reports = Vec::with_capacity(programs.len());
    for (path, asked, program) in &programs {
        let request = runtime.request(&asked.signature, program).force_recompile(args.force_recompile);
        reports.push(request.precompile().map_err(CliError::about(path))?);
    }
    runtime.flush();
    let Some((_, first, _)) = programs.first() else { return Ok(Status::Done) };
    if context.json {
        print_reports(context, &runtime, first, &reports)?;
        return Ok(Status::Done);
    }
    let mut rows = table(&["program", "graph", "how", "peak memory"]);
    for report in &reports {
        rows.add_row([report.model_id.clone(), report.graph_key.short(), how(report), peak(report)]);
    }
    line(&rows.to_string())?;
    line(&summary(&runtime, &reports.iter().collect::<Vec<_>>()))?;
    print_metrics(context, &runtime, &reports)?;
    Ok(Status::Done)
}

fn print(runtime: &Runtime, model_id: &str, done: &[Precompiled]) -> Result<(), CliError> {
    let mut rows = table(&["size", "batch", "stage", "graph", "how", "peak memory"]);
    for one in done {
        let [width, height] = one.plan.sizes.padded;
        let (size, batch) = (format!("{width}x{height}"), one.plan.signature.batch_size.to_string());
        for report in &one.stages {
            let (stage, graph) = (report.stage.clone(), report.graph_key.short());
            rows.add_row([size.clone(), batch.clone(), stage, graph, how(report), peak(report)]);
        }
        for (stage, _) in &one.failed {
            rows.add_row([
                size.clone(),
                batch.clone(),
                stage.clone(),
                String::new(),
                "failed".to_owned(),
                String::new(),
            ]);
        }
    }
    line(&rows.to_string())?;
    let reports: Vec<&StageReport> = done.iter().flat_map(|one| &one.stages).collect();
    line(&format!("{model_id}, {}", summary(runtime, &reports)))
}

fn how(report: &StageReport) -> String {
    match report.source {
        Source::Compiled => format!("compiled in {}", seconds(report.compile_seconds)),
        Source::Memory | Source::Disk => "already there".to_owned(),
        Source::Fallback => "already there, in a fallback".to_owned(),
    }
}

/// The most memory that the compile held, where something was compiled and the system tells.
pub(super) fn peak(report: &StageReport) -> String {
    if report.compile_peak_bytes == 0 {
        return String::new();
    }
    indicatif::HumanBytes(report.compile_peak_bytes).to_string()
}

/// How many graphs were compiled for the target, how long that took, and how many were there.
fn summary(runtime: &Runtime, reports: &[&StageReport]) -> String {
    let compiled: Vec<f64> = reports.iter().map(|report| report.compile_seconds).filter(|&took| took > 0.0).collect();
    let there = reports.len() - compiled.len();
    let took = compiled.iter().fold(0.0, |sum, took| sum + took);
    format!("{}: {} compiled in {}, {there} already there", runtime.device().selected, compiled.len(), seconds(took))
}

/// The first error stands for all: most often they have one cause.
fn not_compiled(done: Vec<Precompiled>) -> CliError {
    let of = done.iter().map(|one| one.stages.len() + one.failed.len()).sum();
    let mut errors = done.into_iter().flat_map(|one| one.failed).map(|(_, error)| error);
    let Some(first) = errors.next() else { return CliError::Interrupted };
    CliError::NotCompiled { failed: 1 + errors.count(), of, cause: Box::new(first) }
}
