//! `preheat warmup`: compiles programs before anyone waits for them, and runs each once on zeros.

use preheat_cache::Source;

use super::args::WarmupArgs;
use super::output::{document, line, seconds, table};
use super::program::{Asked, RunReport, Timings, program_name, read_program};
use super::{CliError, Context, Status};

pub(super) fn warmup(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    refuse_models(args.model.is_some(), args.aot.as_deref().map(|_| "--aot"))?;
    // Every file is read before anything is compiled: a misspelt name should not cost the compile before it.
    let programs = args
        .program
        .iter()
        .map(|path| Ok((path, args.signature.signature(context, &program_name(path))?, read_program(path)?)))
        .collect::<Result<Vec<(_, Asked, _)>, CliError>>()?;
    let Some((_, first, _)) = programs.first() else {
        return Err(CliError::Usage("nothing to warm: give --program FILE, as often as there are programs".to_owned()));
    };
    let runtime = context.builder()?.build()?;
    let mut reports = Vec::with_capacity(programs.len());
    for (path, asked, program) in &programs {
        let request = runtime.request(&asked.signature, program).force_recompile(args.force_recompile);
        reports.push(request.warmup().map_err(CliError::about(path))?.1);
    }
    runtime.flush();
    let lost = reports.iter().filter(|report| !report.kept).count();
    let ready = context.started.elapsed().as_secs_f64();
    if context.json {
        document(&RunReport {
            device: runtime.device(),
            signature: first.report(),
            size: first.size,
            stages: reports,
            timings: Timings { executables_ready_seconds: ready, total_seconds: ready, ..Timings::default() },
            images: Vec::new(),
            warnings: runtime.warnings(),
            metrics: None,
        })?;
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
    Ok(Status::Done)
}

/// Refuses in words what the contract has and this release does not.
pub(super) fn refuse_models(model: bool, other: Option<&'static str>) -> Result<(), CliError> {
    const WHY: &str = "this release runs programs on the device that is here; give --program FILE";
    match (model, other) {
        (true, _) => Err(CliError::FlagNotBuiltIn { flag: "--model", why: WHY }),
        (_, Some(flag)) => Err(CliError::FlagNotBuiltIn { flag, why: WHY }),
        _ => Ok(()),
    }
}
