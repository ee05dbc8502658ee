//! How is a cache warmed before anyone waits? `preheat warmup` compiles every stage of a model, or
//! programs, and runs each once on zeros.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use preheat_cache::Source;
use serde::Serialize;

use super::args::WarmupArgs;
use super::output::{document, line, seconds, table};
use super::program::{
    Asked, FailedStage, OneRequest, RunReport, SignatureReport, SizeReport, Timings, program_name,
    read_program,
};
use super::warmup_ahead::peak;
use super::{CliError, Context, Status, metrics, run, warmup_ahead, warmup_manifest};
use crate::evidence::Shape;
use crate::pipeline::{Plan, TextToImage, Warmed};
use crate::runtime::{Metrics, Runtime, StageReport};

pub(super) fn warmup(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    context.args.refuse_warmup()?;
    match &args.manifest {
        Some(path) => warmup_manifest::of_manifest(context, args, path),
        None => warm_one(context, args),
    }
}

/// Warms one model, or programs, here or for one target.
pub(super) fn warm_one(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    match (args.program.is_empty(), &args.aot) {
        (true, None) => warm_model(context, args),
        (true, Some(_)) => warmup_ahead::of_model(context, args),
        (false, None) => warm_programs(context, args),
        (false, Some(target)) => warmup_ahead::of_programs(context, args, target),
    }
}

/// Every request that is to be warmed: each size with each batch.
pub(super) fn requests(args: &WarmupArgs) -> Result<Vec<TextToImage>, CliError> {
    args.signature.program.refuse_for_models()?;
    let mut request = TextToImage::default();
    args.signature.picture.refine(&mut request);
    if args.negative_prompt {
        request.negative_prompt = Some(Shape::ANY_PROMPT.to_owned());
    }
    let sizes = match args.preset {
        Some(preset) => preset.resolutions(),
        None => &args.resolutions,
    };
    let each: Vec<TextToImage> = if sizes.is_empty() {
        vec![request]
    } else {
        let at = |&[width, height]: &[u64; 2]| TextToImage {
            width: Some(width),
            height: Some(height),
            ..request.clone()
        };
        sizes.iter().map(at).collect()
    };
    let in_batches = |request: TextToImage| {
        let batches = args.signature.picture.batches(&request);
        batches.into_iter().map(move |batch_size| TextToImage { batch_size, ..request.clone() })
    };
    Ok(each.into_iter().flat_map(in_batches).collect())
}

fn warm_model(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    let mut requests = requests(args)?;
    let (runtime, pipeline) = run::open(context, &args.model, None, None)?;
    for request in &mut requests {
        args.signature.picture.fit_batch(&pipeline, request)?;
    }
    // Every request is checked before anything is compiled, so that a wrong size is reported
    // before time is spent on the others.
    for request in &requests {
        pipeline.plan(request)?;
    }
    let warm = |request: &TextToImage| pipeline.warmup(request, args.force_recompile);
    let warmed = requests.iter().map(warm).collect::<Result<Vec<Warmed>, _>>()?;
    runtime.flush();
    context.shown.finish();
    if context.json {
        let plans =
            warmed.iter().map(|warmed| (&warmed.plan, warmed.stages.iter().collect())).collect();
        print_requests(context, &runtime, plans, Vec::new())?;
    } else {
        let mut rows =
            table(&["size", "batch", "stage", "graph", "how", "peak memory", "first run"]);
        for warmed in &warmed {
            let [width, height] = warmed.plan.sizes.padded;
            for report in &warmed.stages {
                rows.add_row([
                    format!("{width}x{height}"),
                    warmed.plan.signature.batch_size.to_string(),
                    report.stage.stage.clone(),
                    report.stage.graph_key.short(),
                    run::how(&report.stage),
                    peak(&report.stage),
                    seconds(report.first_run_seconds),
                ]);
            }
        }
        rows.print()?;
        let stages: usize = warmed.iter().map(|warmed| warmed.stages.len()).sum();
        line(&format!(
            "{} is warm on {}: {stages} stages",
            pipeline.model_id(),
            runtime.device().selected
        ))?;
        print_metrics(
            context,
            &runtime,
            warmed.iter().flat_map(|warmed| &warmed.stages).map(|report| &report.stage),
        )?;
    }
    // A plugin is slow to free executables and weights. If no other warmup follows, the end of the
    // process frees them at once.
    if context.collected.is_none() {
        std::mem::forget((runtime, pipeline));
    }
    Ok(Status::Done)
}

/// Prints the JSON of requests that were warmed, each with the reports of its stages.
pub(super) fn print_requests<S: Serialize + Clone>(
    context: &Context,
    runtime: &Runtime,
    requests: Vec<(&Plan, Vec<S>)>,
    failed: Vec<FailedStage>,
) -> Result<(), CliError> {
    let Some((first, _)) = requests.first() else { return Ok(()) };
    let (signature, size) = (SignatureReport::new(&first.signature), run::sizes(first));
    let stages = requests.iter().flat_map(|(_, stages)| stages).cloned().collect();
    let mut several = Vec::with_capacity(requests.len());
    if requests.len() > 1 {
        for (plan, stages) in requests {
            several.push(OneRequest {
                signature: SignatureReport::new(&plan.signature),
                size: run::sizes(plan),
                stages,
            });
        }
    }
    let metrics = context.metrics(runtime).as_ref().map(Metrics::flat);
    print_json(
        context,
        runtime,
        Document { signature, size, stages, requests: several, failed, metrics },
    )
}

/// Prints the JSON of programs that were warmed.
pub(super) fn print_reports<S: Serialize>(
    context: &Context,
    runtime: &Runtime,
    first: &Asked,
    reports: &[S],
    failed: Vec<FailedStage>,
) -> Result<(), CliError> {
    let stages = reports.iter().collect();
    let (signature, size, requests) = (first.report(), first.size, Vec::new());
    let metrics = context.metrics(runtime).map(metrics::of_programs);
    print_json(context, runtime, Document { signature, size, stages, requests, failed, metrics })
}

/// What a warmup did.
struct Document<'a, S> {
    signature: SignatureReport<'a>,
    size: SizeReport,
    stages: Vec<S>,
    requests: Vec<OneRequest<'a, S>>,
    failed: Vec<FailedStage>,
    metrics: Option<BTreeMap<String, f64>>,
}

fn warm_programs(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    // Every file is read before anything is compiled, so that a misspelt name is reported before
    // time is spent on the others.
    let programs = args
        .program
        .iter()
        .map(|path| {
            Ok((path, args.signature.signature(context, &program_name(path))?, read_program(path)?))
        })
        .collect::<Result<Vec<(_, Asked, _)>, CliError>>()?;
    let Some((_, first, _)) = programs.first() else { return Ok(Status::Done) };
    let runtime = context.builder()?.build()?;
    let mut reports = Vec::with_capacity(programs.len());
    for (path, asked, program) in &programs {
        let request =
            runtime.request(&asked.signature, program).force_recompile(args.force_recompile);
        reports.push(request.warmup().map_err(CliError::about(path))?.1);
    }
    runtime.flush();
    let lost = reports.iter().filter(|report| !report.kept).count();
    if context.json {
        print_reports(context, &runtime, first, &reports, Vec::new())?;
        return if lost == 0 {
            Ok(Status::Done)
        } else {
            Err(CliError::NotKept { lost, of: programs.len() })
        };
    }
    let mut rows = table(&["program", "graph", "how", "seconds", "peak memory", "first run"]);
    for ((_, asked, _), report) in programs.iter().zip(&reports) {
        let (how, took) = match report.stage.source {
            Source::Compiled => ("compiled", report.stage.compile_seconds),
            Source::Disk | Source::Fallback => ("loaded", report.stage.load_seconds),
            Source::Memory => ("already there", 0.0),
        };
        rows.add_row([
            asked.signature.model_id.clone(),
            report.stage.graph_key.short(),
            how.to_owned(),
            seconds(took),
            peak(&report.stage),
            seconds(report.first_run_seconds),
        ]);
    }
    rows.print()?;
    if lost > 0 {
        return Err(CliError::NotKept { lost, of: reports.len() });
    }
    line(&format!(
        "warm on {}: {} of {}",
        runtime.device().selected,
        reports.len(),
        programs.len()
    ))?;
    print_metrics(context, &runtime, reports.iter().map(|report| &report.stage))?;
    Ok(Status::Done)
}

/// Prints the output of `--tpu-debug-metrics` as text.
pub(super) fn print_metrics<'a>(
    context: &Context,
    runtime: &Runtime,
    stages: impl IntoIterator<Item = &'a StageReport>,
) -> Result<(), CliError> {
    let Some(metrics) = context.metrics(runtime) else { return Ok(()) };
    metrics::print(&timings(context), &stages.into_iter().collect::<Vec<_>>(), &metrics)
}

fn timings(context: &Context) -> Timings {
    let ready = context.started.elapsed().as_secs_f64();
    Timings { executables_ready_seconds: ready, total_seconds: ready, ..Timings::default() }
}

fn print_json<S: Serialize>(
    context: &Context,
    runtime: &Runtime,
    done: Document<'_, S>,
) -> Result<(), CliError> {
    let report = RunReport {
        device: runtime.device(),
        signature: done.signature,
        size: done.size,
        seed: None,
        stages: done.stages,
        requests: done.requests,
        failed: done.failed,
        placement: None,
        timings: timings(context),
        images: Vec::new(),
        warnings: runtime.warnings(),
        metrics: done.metrics,
    };
    let Some(collected) = &context.collected else { return document(&report) };
    let value = serde_json::to_value(&report).map_err(|error| CliError::Output(error.into()))?;
    collected.lock().unwrap_or_else(PoisonError::into_inner).push(value);
    Ok(())
}
