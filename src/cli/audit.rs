//! Would the requests of a log hit? `preheat audit` answers, and says which shapes are missing and
//! how much time their compiles cost.

use indicatif::HumanBytes;

use super::args::EvidenceArgs;
use super::context::Context;
use super::output::{document, line, seconds, table};
use super::{CliError, Status, run};
use preheat_diffusion::evidence::log::DamagedLine;
use preheat_diffusion::evidence::survey::AtLowerEffort;
use preheat_diffusion::evidence::{Audit, Demands, Efforts, RequestLog, Rules, Shape, Survey};
use preheat_diffusion::pipeline::Pipeline;
use preheat_runtime::{Percent, Verdict};

/// How many missing shapes, other models and damaged lines the text output shows; JSON has more.
const SHOWN: usize = 20;

pub(super) fn audit(context: &Context, args: &EvidenceArgs) -> Result<Status, CliError> {
    let rules = Rules::of_audit(snap_percent(context), per_store(args));
    let (log, pipeline, survey) = survey(context, args, rules)?;
    let audit = Audit::of(&survey, pipeline.model_id(), &log);
    context.shown.finish();
    if context.json {
        document(&audit)?;
    } else {
        print(&audit)?;
    }
    Ok(if audit.verdict == Verdict::Hit { Status::Done } else { Status::NotWarm })
}

/// Reads the log, and looks up every graph that its requests need.
pub(super) fn survey(
    context: &Context,
    args: &EvidenceArgs,
    rules: Rules,
) -> Result<(RequestLog, Pipeline, Survey), CliError> {
    let log = RequestLog::read(&args.requests)?;
    context.warn_of_missing_cache();
    let (runtime, pipeline) = run::open(context, &args.model, None, args.target.as_ref())?;
    let records = runtime.records();
    let demands = Demands::of(&log, &pipeline, &records)?;
    let (target, efforts) = (runtime.target(), Efforts::of(&runtime));
    let survey = Survey::of(demands, &pipeline, &records, (&target, efforts), rules)?;
    Ok((log, pipeline, survey))
}

/// How many per cent of a larger size's area may be wasted, if `--snap-to-warm` gives a limit.
pub(super) fn snap_percent(context: &Context) -> Option<f64> {
    context.args.snap_to_warm.map(Percent::value)
}

/// How many requests a store serves, if the flag gives it.
pub(super) fn per_store(args: &EvidenceArgs) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "requests")]
    args.requests_per_store.map(|requests| requests as f64)
}

fn print(audit: &Audit) -> Result<(), CliError> {
    let Audit { requests, hits, snapped, .. } = audit;
    let shapes =
        if audit.shapes == 1 { "1 shape".to_owned() } else { format!("{} shapes", audit.shapes) };
    line(&format!("{requests} requests for {shapes} of {} on {}", audit.model_id, audit.target))?;
    print_left_out(audit)?;
    let at_larger =
        if *snapped > 0 { format!(", {snapped} of them at a larger size") } else { String::new() };
    line(&format!("{:.1} % hit: {hits}{at_larger}", audit.hit_rate * 100.0))?;
    print_lower(audit.at_lower_effort)?;
    if !audit.missing.is_empty() {
        let mut rows = table(&["size", "batch", "guided", "requests", "missing", "compile"]);
        for missing in audit.missing.iter().take(SHOWN) {
            rows.add_row([
                sized(missing.shape),
                missing.shape.batch_size.to_string(),
                yes(missing.shape.guided).to_owned(),
                missing.requests.to_string(),
                missing.stages.join(", "),
                seconds(missing.compile_seconds),
            ]);
        }
        rows.print()?;
        if let Some(more) = audit.missing.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            line(&format!("and {more} more; --json lists all of them"))?;
        }
        line(&format!(
            "at risk: {} of compiles if each of the {} missing graphs is compiled once per store; \
             {} if every cold request compiles for itself",
            seconds(audit.compile_seconds_at_risk),
            audit.graphs_at_risk,
            seconds(audit.compile_seconds_if_each_waited)
        ))?;
    }
    line(&format!(
        "expected in a store's life of {:.0} requests: users wait {} for compiles, and {} for \
         padding",
        audit.requests_per_store,
        seconds(audit.expected.compile_wait_seconds),
        seconds(audit.expected.padding_seconds)
    ))?;
    print_bases(audit.bases.measured, audit.bases.alike, audit.bases.guessed)
}

fn print_left_out(audit: &Audit) -> Result<(), CliError> {
    for (model, requests) in audit.other_models.iter().take(SHOWN) {
        line(&format!("left out: {requests} requests of {model}"))?;
    }
    if let Some(more) = audit.other_models.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        line(&format!("left out: those of {more} more models; --json lists all of them"))?;
    }
    for refused in &audit.refused {
        line(&format!(
            "left out: {} requests as in line {}: {}",
            refused.requests, refused.line, refused.why
        ))?;
    }
    print_damaged(&audit.damaged_lines, audit.more_damaged_lines)
}

/// Prints which part is served at a lower compile effort, if there is one.
pub(super) fn print_lower(lower: AtLowerEffort) -> Result<(), CliError> {
    if lower.graphs == 0 {
        return Ok(());
    }
    line(&format!(
        "{} of them by executables of a lower compile effort: `preheat warmup --finish` compiles \
         their {} graphs in full, which takes {} and {}",
        lower.requests,
        lower.graphs,
        seconds(lower.full_compile_seconds),
        HumanBytes(lower.full_stored_bytes)
    ))
}

/// Prints the lines of a log that hold no request.
pub(super) fn print_damaged(lines: &[DamagedLine], more: usize) -> Result<(), CliError> {
    for damaged in lines.iter().take(SHOWN) {
        line(&format!("left out: line {}: {}", damaged.line, damaged.why))?;
    }
    match lines.len().saturating_sub(SHOWN) + more {
        0 => Ok(()),
        more => line(&format!(
            "left out: {more} more lines; `preheat --json audit` lists the first hundred"
        )),
    }
}

/// Prints how the compile times are known.
pub(super) fn print_bases(measured: usize, alike: usize, guessed: usize) -> Result<(), CliError> {
    line(&format!(
        "compile times: {measured} graphs measured, {alike} taken from a like graph, {guessed} guessed (docs/evidence.md)"
    ))
}

pub(super) fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// The size of a shape, with the number of chunks if a prompt has more than one, and whether runs
/// begin with a picture.
pub(super) fn sized(shape: Shape) -> String {
    let ([width, height], chunks) = (shape.size, shape.prompt_chunks);
    let chunks = if chunks == 1 { String::new() } else { format!(", {chunks} chunks") };
    let image = if shape.image_to_image { ", image to image" } else { "" };
    format!("{width}x{height}{chunks}{image}")
}
