//! Would a request hit the cache? `preheat lookup` answers without compiling anything, and explains
//! a miss by the nearest entry.

use super::args::LookupArgs;
use super::cache::with_effort;
use super::context::Context;
use super::misses::explain;
use super::output::{document, line, seconds, table};
use super::program::{program_name, read_program};
use super::warm_command::{self, Needs};
use super::{CliError, Status, run};
use preheat_diffusion::pipeline::TextToImage;
use preheat_runtime::{Lookup, SnappedSize, Verdict};

pub(super) fn lookup(context: &Context, args: &LookupArgs) -> Result<Status, CliError> {
    if args.model.model.is_some() {
        args.signature.program.refuse_for_models()?;
    }
    context.warn_of_missing_cache();
    #[cfg(feature = "remote")]
    let context = &Context { look_up_remotely: args.remote, ..context.clone() };
    let answer = if args.program.is_empty() && args.signature.program.model_id.is_none() {
        of_model(context, args)?
    } else {
        of_programs(context, args)?
    };
    if context.json {
        document(&answer)?;
    } else {
        print(context, &answer)?;
    }
    Ok(if answer.verdict == Verdict::Hit { Status::Done } else { Status::NotWarm })
}

fn of_model(context: &Context, args: &LookupArgs) -> Result<Lookup, CliError> {
    args.signature.program.refuse_for_models()?;
    args.signature.picture.one_batch()?;
    let mut request = TextToImage::default();
    args.signature.picture.refine(&mut request);
    request.image_to_image = args.image_to_image;
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

fn print(context: &Context, answer: &Lookup) -> Result<(), CliError> {
    let mut rows = table(&["model", "stage", "verdict", "match", "graph", "compile"]);
    for stage in &answer.stages {
        rows.add_row([
            stage.model_id.clone(),
            with_effort(&stage.stage, stage.effort),
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
        ..
    }) = answer.snapped
    {
        line(&format!(
            "served at {width}x{height}, because {own_width}x{own_height} is not warm; {wasted_percent} of the computed area is wasted"
        ))?;
    }
    let is_at_a_remote = answer.stages.iter().any(|stage| stage.remote.is_some());
    for stage in &answer.stages {
        if let Some(remote) = &stage.remote {
            line(&format!("{} is at {remote}, and is fetched when it is used", stage.stage))?;
        }
    }
    for text in explain(&answer.stages, 1) {
        line(&text)?;
    }
    if answer.verdict != Verdict::Hit
        && !is_at_a_remote
        && let Some(command) =
            warm_command::of_this_process((context.command_line)(), &Needs::default())
    {
        line(&format!("`{command}` compiles what is missing"))?;
    }
    Ok(())
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Hit => "hit",
        Verdict::Partial => "partial",
        Verdict::Miss => "miss",
    }
}
