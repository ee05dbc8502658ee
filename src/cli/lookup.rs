//! Would a request hit the cache? `preheat lookup` answers without compiling anything, and explains
//! a miss by the nearest entry.

use preheat_cache::Difference;

use super::args::LookupArgs;
use super::output::{document, line, seconds, table};
use super::program::{program_name, read_program};
use super::{CliError, Context, Status, run};
use crate::pipeline::TextToImage;
use crate::runtime::{Lookup, SnappedSize, StageLookup, Verdict};

pub(super) fn lookup(context: &Context, args: &LookupArgs) -> Result<Status, CliError> {
    if args.model.model.is_some() {
        args.signature.program.refuse_for_models()?;
    }
    context.warn_of_missing_cache();
    let answer = if args.program.is_empty() && args.signature.program.model_id.is_none() {
        of_model(context, args)?
    } else {
        of_programs(context, args)?
    };
    if context.json {
        document(&answer)?;
    } else {
        print(&answer)?;
    }
    Ok(if answer.verdict == Verdict::Hit { Status::Done } else { Status::NotWarm })
}

fn of_model(context: &Context, args: &LookupArgs) -> Result<Lookup, CliError> {
    args.signature.program.refuse_for_models()?;
    args.signature.picture.one_batch()?;
    let mut request = TextToImage::default();
    args.signature.picture.refine(&mut request);
    let (_, pipeline) = run::open(context, &args.model, None, args.target.as_ref())?;
    args.signature.picture.fit_batch(&pipeline, &mut request)?;
    Ok(pipeline.lookup(&request)?)
}

fn of_programs(context: &Context, args: &LookupArgs) -> Result<Lookup, CliError> {
    let programs = args
        .program
        .iter()
        .map(|path| Ok((path, read_program(path)?)))
        .collect::<Result<Vec<_>, CliError>>()?;
    let runtime = context.builder_for(args.target.as_ref())?.build()?;
    if programs.is_empty() {
        let asked = args.signature.signature(context, "")?;
        return Ok(runtime.lookup_signature(&asked.signature)?);
    }
    let mut stages = Vec::with_capacity(programs.len());
    for (path, program) in &programs {
        let asked = args.signature.signature(context, &program_name(path))?;
        stages.extend(runtime.lookup(&asked.signature, program)?.stages);
    }
    Ok(Lookup::of(stages))
}

fn print(answer: &Lookup) -> Result<(), CliError> {
    let mut rows = table(&["model", "stage", "verdict", "match", "graph", "compile"]);
    for stage in &answer.stages {
        rows.add_row([
            stage.model_id.clone(),
            stage.stage.clone(),
            word(stage.verdict).to_owned(),
            stage.matched.map(|matched| matched.to_string()).unwrap_or_default(),
            stage.graph_key.map(|key| key.short()).unwrap_or_default(),
            stage
                .expected_compile_seconds
                .map(|s| format!("about {}", seconds(s)))
                .unwrap_or_default(),
        ]);
    }
    if answer.stages.is_empty() {
        return line("miss: nothing was recorded for this signature");
    }
    rows.print()?;
    if let Some(SnappedSize {
        padded_size: [width, height],
        snapped_from: [own_width, own_height],
        wasted_percent,
    }) = answer.snapped
    {
        line(&format!(
            "served at {width}x{height}, which is warm where {own_width}x{own_height} is not; {wasted_percent} of it is wasted"
        ))?;
    }
    for text in explain(&answer.stages) {
        line(&text)?;
    }
    Ok(())
}

/// Why each stage misses: the nearest entry, and one line for each field in which it differs.
pub(super) fn explain(stages: &[StageLookup]) -> Vec<String> {
    let mut lines = Vec::new();
    for (stage, nearest) in stages.iter().filter_map(|stage| Some((stage, stage.nearest.as_ref()?)))
    {
        let (what, short) =
            (format!("{}, {}", stage.model_id, stage.stage), nearest.graph_key.short());
        if nearest.differences.is_empty() {
            lines.push(format!(
                "{what}: graph {short} was compiled before, and its executable is gone (removed or damaged)"
            ));
            continue;
        }
        lines.push(format!("{what}: the nearest entry is graph {short}, which differs in"));
        let shown =
            |value: &str| if value.is_empty() { "(none)".to_owned() } else { value.to_owned() };
        for Difference { field, have, want } in &nearest.differences {
            lines.push(format!("  {field}: have {}, want {}", shown(have), shown(want)));
        }
    }
    lines
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Hit => "hit",
        Verdict::Partial => "partial",
        Verdict::Miss => "miss",
    }
}
