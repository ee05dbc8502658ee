//! `preheat warmup`: compiles before anyone waits for it, and runs each graph once on zeros.

use preheat_cache::Source;

use super::args::WarmupArgs;
use super::output::{document, line, seconds, table};
use super::program::{Asked, RunReport, SignatureReport, SizeReport, Timings, program_name, read_program};
use super::{CliError, Context, Status, metrics, run};
use crate::pipeline::{TextToImage, Warmed};
use crate::runtime::{Runtime, WarmupReport};

pub(super) fn warmup(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    refuse_later(args)?;
    if args.program.is_empty() { warm_model(context, args) } else { warm_programs(context, args) }
}

fn warm_model(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    args.signature.program.refuse_for_models()?;
    let mut request = TextToImage::default();
    args.signature.picture.refine(&mut request);
    let (runtime, pipeline) = run::open(context, &args.model, None)?;
    let requests: Vec<TextToImage> = if args.resolutions.is_empty() {
        vec![request]
    } else {
        let at =
            |&[width, height]: &[u64; 2]| TextToImage { width: Some(width), height: Some(height), ..request.clone() };
        args.resolutions.iter().map(at).collect()
    };
    // Every request is checked before anything is compiled: a wrong size should not cost the compile before it.
    for request in &requests {
        pipeline.plan(request)?;
    }
    let warm = |request: &TextToImage| pipeline.warmup(request, args.force_recompile);
    let warmed = requests.iter().map(warm).collect::<Result<Vec<Warmed>, _>>()?;
    runtime.flush();
    context.shown.finish();
    let Some(first) = warmed.first() else { return Ok(Status::Done) };
    if context.json {
        let stages = warmed.iter().flat_map(|warmed| &warmed.stages).collect();
        print_json(context, &runtime, SignatureReport::new(&first.plan.signature), run::sizes(&first.plan), stages)?;
    } else {
        let mut rows = table(&["size", "stage", "graph", "how", "first run"]);
        for warmed in &warmed {
            let [width, height] = warmed.plan.sizes.padded;
            for report in &warmed.stages {
                rows.add_row([
                    format!("{width}x{height}"),
                    report.stage.stage.clone(),
                    report.stage.graph_key.short(),
                    run::how(&report.stage),
                    seconds(report.first_run_seconds),
                ]);
            }
        }
        line(&rows.to_string())?;
        let stages: usize = warmed.iter().map(|warmed| warmed.stages.len()).sum();
        line(&format!("{} is warm on {}: {stages} stages", pipeline.model_id(), runtime.device().selected))?;
        print_metrics(context, &runtime, warmed.iter().flat_map(|warmed| &warmed.stages).collect())?;
    }
    std::mem::forget((runtime, pipeline));
    Ok(Status::Done)
}

fn warm_programs(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    // Every file is read before anything is compiled: a misspelt name should not cost the compile before it.
    let programs = args
        .program
        .iter()
        .map(|path| Ok((path, args.signature.signature(context, &program_name(path))?, read_program(path)?)))
        .collect::<Result<Vec<(_, Asked, _)>, CliError>>()?;
    let Some((_, first, _)) = programs.first() else { return Ok(Status::Done) };
    let runtime = context.builder()?.build()?;
    let mut reports = Vec::with_capacity(programs.len());
    for (path, asked, program) in &programs {
        let request = runtime.request(&asked.signature, program).force_recompile(args.force_recompile);
        reports.push(request.warmup().map_err(CliError::about(path))?.1);
    }
    runtime.flush();
    let lost = reports.iter().filter(|report| !report.kept).count();
    if context.json {
        print_json(context, &runtime, first.report(), first.size, reports.iter().collect())?;
        return if lost == 0 { Ok(Status::Done) } else { Err(CliError::NotKept { lost, of: programs.len() }) };
    }
    let mut rows = table(&["program", "graph", "how", "seconds", "first run"]);
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
            seconds(report.first_run_seconds),
        ]);
    }
    line(&rows.to_string())?;
    if lost > 0 {
        return Err(CliError::NotKept { lost, of: reports.len() });
    }
    line(&format!("warm on {}: {} of {}", runtime.device().selected, reports.len(), programs.len()))?;
    print_metrics(context, &runtime, reports.iter().collect())?;
    Ok(Status::Done)
}

/// `--tpu-debug-metrics`, for a person.
fn print_metrics(context: &Context, runtime: &Runtime, stages: Vec<&WarmupReport>) -> Result<(), CliError> {
    let Some(metrics) = context.metrics(runtime) else { return Ok(()) };
    let stages: Vec<_> = stages.into_iter().map(|report| &report.stage).collect();
    metrics::print(&timings(context), &stages, &metrics)
}

fn timings(context: &Context) -> Timings {
    let ready = context.started.elapsed().as_secs_f64();
    Timings { executables_ready_seconds: ready, total_seconds: ready, ..Timings::default() }
}

fn print_json(
    context: &Context,
    runtime: &Runtime,
    signature: SignatureReport<'_>,
    size: SizeReport,
    stages: Vec<&WarmupReport>,
) -> Result<(), CliError> {
    let reports: Vec<_> = stages.iter().map(|report| &report.stage).collect();
    let metrics = context.metrics(runtime).map(|metrics| metrics::flat(metrics, &reports));
    document(&RunReport {
        device: runtime.device(),
        signature,
        size,
        seed: None,
        stages,
        timings: timings(context),
        images: Vec::new(),
        warnings: runtime.warnings(),
        metrics,
    })
}

/// Refuses in words what the contract has and this release does not.
fn refuse_later(args: &WarmupArgs) -> Result<(), CliError> {
    const WHY: &str = "this release warms the device that is here, size by size (--resolutions)";
    let given = [
        (args.aot.is_some(), "--aot"),
        (args.preset.is_some(), "--preset"),
        (args.manifest.is_some(), "--manifest"),
        (args.jobs.is_some(), "--jobs"),
    ];
    match given.into_iter().find(|(given, _)| *given) {
        Some((_, flag)) => Err(CliError::FlagNotBuiltIn { flag, why: WHY }),
        None => Ok(()),
    }
}
