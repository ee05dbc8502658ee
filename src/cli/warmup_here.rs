//! How is a cache warmed before anyone waits? `preheat warmup` compiles every stage of a model, or
//! programs, and runs each once on zeros.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use preheat_cache::Source;
use serde::Serialize;

use super::advice::all_advised;
use super::args::WarmupArgs;
use super::context::Context;
use super::metrics::Timings;
use super::output::{document, line, peak, seconds, table};
use super::program::{
    Asked, FailedStage, OneRequest, RunReport, SignatureReport, SizeReport, program_name,
    read_program,
};
use super::{CliError, Status, metrics, run, warmup_finish};
use preheat_diffusion::evidence::Shape;
use preheat_diffusion::pipeline::{Plan, TextToImage, Warmed};
use preheat_runtime::{Metrics, Runtime, StageReport, Upgrade};

/// Every request that is to be warmed: each size with each batch.
pub(super) fn requests(args: &WarmupArgs) -> Result<Vec<TextToImage>, CliError> {
    args.signature.program.refuse_for_models()?;
    let mut request = TextToImage::default();
    args.signature.picture.refine(&mut request);
    request.image_to_image = args.image_to_image;
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

pub(super) fn warm_model(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
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
    let upgrades = warmup_finish::of_tiered(&runtime)?;
    runtime.stop_upgrades();
    runtime.flush();
    context.shown.finish();
    if context.json {
        let plans =
            warmed.iter().map(|warmed| (&warmed.plan, warmed.stages.iter().collect())).collect();
        print_requests(context, &runtime, plans, Vec::new(), upgrades)?;
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
        warmup_finish::print(&upgrades)?;
        print_metrics(
            context,
            &runtime,
            warmed.iter().flat_map(|warmed| &warmed.stages).map(|report| &report.stage),
        )?;
    }
    // A plugin is slow to free executables and weights. If no other warmup follows, the end of the
    // process frees them at once.
    if context.collected.is_none() {
        runtime.finish_uploads();
        runtime.flush();
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
    upgrades: Vec<Upgrade>,
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
        Document { signature, size, stages, requests: several, failed, upgrades, metrics },
    )
}

/// Prints the JSON of programs that were warmed.
pub(super) fn print_reports<S: Serialize>(
    context: &Context,
    runtime: &Runtime,
    first: &Asked,
    reports: &[S],
    failed: Vec<FailedStage>,
    upgrades: Vec<Upgrade>,
) -> Result<(), CliError> {
    let stages = reports.iter().collect();
    let (signature, size, requests) = (first.report(), first.size, Vec::new());
    let metrics = context.metrics(runtime).map(metrics::of_programs);
    let done = Document { signature, size, stages, requests, failed, upgrades, metrics };
    print_json(context, runtime, done)
}

/// The result of a warmup, as the JSON output has it.
struct Document<'a, S> {
    signature: SignatureReport<'a>,
    size: SizeReport,
    stages: Vec<S>,
    requests: Vec<OneRequest<'a, S>>,
    failed: Vec<FailedStage>,
    upgrades: Vec<Upgrade>,
    metrics: Option<BTreeMap<String, f64>>,
}

pub(super) fn warm_programs(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
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
    let upgrades = warmup_finish::of_tiered(&runtime)?;
    runtime.stop_upgrades();
    runtime.flush();
    let lost = reports.iter().filter(|report| !report.kept).count();
    if context.json {
        print_reports(context, &runtime, first, &reports, Vec::new(), upgrades)?;
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
            Source::Disk | Source::Fallback | Source::Remote => {
                ("loaded", report.stage.load_seconds)
            }
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
    warmup_finish::print(&upgrades)?;
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
        upgrades: done.upgrades,
        placement: None,
        timings: timings(context),
        images: Vec::new(),
        loras: &[],
        warnings: all_advised(runtime),
        metrics: done.metrics,
    };
    let Some(collected) = &context.collected else { return document(&report) };
    let value = serde_json::to_value(&report).map_err(|error| CliError::Output(error.into()))?;
    collected.lock().unwrap_or_else(PoisonError::into_inner).push(value);
    Ok(())
}
