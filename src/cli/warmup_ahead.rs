//! How is a cache warmed for hardware that is not here? `preheat warmup --aot` compiles for it, and
//! runs nothing.

use preheat_cache::Source;

use super::args::WarmupArgs;
use super::cache::with_effort;
use super::context::Context;
use super::errors::with_causes;
use super::output::{line, peak, seconds, table};
use super::program::{FailedStage, program_name, read_program};
use super::warmup_here::{print_metrics, print_reports, print_requests, requests};
use super::{CliError, Status, run};
use preheat_diffusion::pipeline::{Precompile, Precompiled, precompile_programs};
use preheat_runtime::device::Target;
use preheat_runtime::{Graph, Runtime, StageReport};

pub(super) fn of_model(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    args.signature.picture.refuse_automatic_batch()?;
    let requests = requests(args)?;
    let (runtime, pipeline) = run::open(context, &args.model, None, args.aot.as_ref())?;
    let how =
        Precompile { jobs: args.jobs.map(usize::from), force_recompile: args.force_recompile };
    let done = pipeline.precompile(&requests, how)?;
    runtime.flush();
    context.shown.finish();
    let failed: Vec<FailedStage> = done.iter().flat_map(failures).collect();
    if context.json {
        let plans = done.iter().map(|one| (&one.plan, one.stages.clone())).collect();
        print_requests(context, &runtime, plans, failed, Vec::new())?;
    } else {
        print(&runtime, pipeline.model_id(), &done)?;
        print_failures(&failed)?;
        print_metrics(context, &runtime, done.iter().flat_map(|one| &one.stages))?;
    }
    let of = done.iter().map(|one| one.stages.len() + one.failed.len()).sum();
    let errors = done.into_iter().flat_map(|one| one.failed).map(|(_, error)| error);
    ended(errors.collect(), of)
}

pub(super) fn of_programs(
    context: &Context,
    args: &WarmupArgs,
    target: &Target,
) -> Result<Status, CliError> {
    let mut programs = Vec::with_capacity(args.program.len());
    for path in &args.program {
        programs.push((
            path,
            args.signature.signature(context, &program_name(path))?,
            read_program(path)?,
        ));
    }
    let Some((_, first, _)) = programs.first() else { return Ok(Status::Done) };
    let runtime = context.builder_for(Some(target))?.build()?;
    let graphs: Vec<_> =
        programs.iter().map(|(_, asked, program)| (&asked.signature, program)).collect();
    let how =
        Precompile { jobs: args.jobs.map(usize::from), force_recompile: args.force_recompile };
    let (mut reports, mut failed, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for ((path, asked, _), outcome) in
        programs.iter().zip(precompile_programs(&runtime, &graphs, how)?)
    {
        match outcome {
            Ok(report) => reports.push(report),
            Err(error) => {
                failed.push(FailedStage {
                    model_id: path.display().to_string(),
                    stage: Graph::DEFAULT_STAGE.to_owned(),
                    padded_size: asked.size.padded_size,
                    batch_size: asked.signature.batch_size,
                    reason: with_causes(&error),
                });
                errors.push(error);
            }
        }
    }
    runtime.flush();
    context.shown.finish();
    if context.json {
        print_reports(context, &runtime, first, &reports, failed, Vec::new())?;
    } else {
        let mut rows = table(&["program", "graph", "how", "peak memory"]);
        for report in &reports {
            rows.add_row([
                report.model_id.clone(),
                report.graph_key.short(),
                how_it_came(report),
                peak(report),
            ]);
        }
        rows.print()?;
        line(&summary(&runtime, &reports.iter().collect::<Vec<_>>()))?;
        print_failures(&failed)?;
        print_metrics(context, &runtime, &reports)?;
    }
    ended(errors, programs.len())
}

/// The stages of a request that could not be compiled.
fn failures(one: &Precompiled) -> impl Iterator<Item = FailedStage> + '_ {
    one.failed.iter().map(|(stage, error)| FailedStage {
        model_id: one.plan.signature.model_id.clone(),
        stage: stage.clone(),
        padded_size: Some(one.plan.sizes.padded),
        batch_size: one.plan.signature.batch_size,
        reason: with_causes(error),
    })
}

fn print_failures(failed: &[FailedStage]) -> Result<(), CliError> {
    for one in failed {
        let size = one
            .padded_size
            .map_or_else(String::new, |[width, height]| format!(", {width}x{height}"));
        let FailedStage { model_id, stage, batch_size, reason, .. } = one;
        line(&format!("failed: {model_id}, {stage}{size}, batch {batch_size}: {reason}"))?;
    }
    Ok(())
}

/// How the command ends. The first of several errors is reported, because they most often have the
/// same cause.
fn ended(errors: Vec<preheat_runtime::Error>, of: usize) -> Result<Status, CliError> {
    let failed = errors.len();
    match errors.into_iter().next() {
        None => Ok(Status::Done),
        Some(first) => Err(CliError::NotCompiled { failed, of, cause: Box::new(first) }),
    }
}

fn print(runtime: &Runtime, model_id: &str, done: &[Precompiled]) -> Result<(), CliError> {
    let mut rows = table(&["size", "batch", "stage", "graph", "how", "peak memory"]);
    for one in done {
        let [width, height] = one.plan.sizes.padded;
        let (size, batch) =
            (format!("{width}x{height}"), one.plan.signature.batch_size.to_string());
        for report in &one.stages {
            let stage = with_effort(&report.stage, Some(report.effort));
            let graph = report.graph_key.short();
            rows.add_row([
                size.clone(),
                batch.clone(),
                stage,
                graph,
                how_it_came(report),
                peak(report),
            ]);
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
    rows.print()?;
    let reports: Vec<&StageReport> = done.iter().flat_map(|one| &one.stages).collect();
    line(&format!("{model_id}, {}", summary(runtime, &reports)))
}

fn how_it_came(report: &StageReport) -> String {
    match report.source {
        Source::Compiled => format!("compiled in {}", seconds(report.compile_seconds)),
        Source::Memory | Source::Disk => "already there".to_owned(),
        Source::Fallback => "already there, in a fallback".to_owned(),
        Source::Remote => "fetched from a remote".to_owned(),
    }
}

/// How many graphs were compiled for the target, how long that took, and how many the cache had.
fn summary(runtime: &Runtime, reports: &[&StageReport]) -> String {
    let compiled: Vec<f64> =
        reports.iter().map(|report| report.compile_seconds).filter(|&took| took > 0.0).collect();
    let there = reports.len() - compiled.len();
    let took = compiled.iter().fold(0.0, |sum, took| sum + took);
    format!(
        "{}: {} compiled in {}, {there} already there",
        runtime.device().selected,
        compiled.len(),
        seconds(took)
    )
}
