//! How does the cache become warm for another plugin build or other hardware? `preheat cache
//! rewarm` compiles the programs that it holds again, without their models.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::errors::with_causes;
use super::output::{document, line, seconds, table};
use super::{CliError, Status, number};
use preheat_runtime::device::Target;
use preheat_runtime::{Renewed, Rewarm, Rewarmed, RewarmedTarget};

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("destination").required(true).multiple(true)))]
pub(super) struct RewarmArgs {
    /// Compile for this plugin build, whatever --libtpu says: for every target in the cache that
    /// it can compile for, or for the device that is here
    #[arg(long, value_name = "PATH", group = "destination")]
    plugin: Option<PathBuf>,
    /// Compile for this hardware, such as tpu:v6e:1x1, which this machine need not have
    #[arg(long, value_name = "TARGET", group = "destination")]
    target: Option<Target>,
    /// Only graphs of this model; may be given several times
    #[arg(long, value_name = "ID")]
    model: Vec<String>,
    /// How many compiles run at once, if memory allows [default: one for every two processors]
    #[arg(long, value_name = "N", value_parser = number::whole(1..=1024_u16))]
    jobs: Option<u16>,
}

/// How many graphs had each outcome.
#[derive(Debug, Default)]
struct Counts {
    recompiled: usize,
    kept: usize,
    already_there: usize,
    failed: usize,
    compile_seconds: f64,
}

impl Counts {
    fn of(graphs: &[Rewarmed]) -> Self {
        let mut counts = Self::default();
        for one in graphs {
            match &one.outcome {
                Ok(Renewed::Recompiled { compile_seconds, .. }) => {
                    counts.recompiled += 1;
                    counts.compile_seconds += compile_seconds;
                }
                Ok(Renewed::Kept) => counts.kept += 1,
                Ok(Renewed::AlreadyThere) => counts.already_there += 1,
                Err(_) => counts.failed += 1,
            }
        }
        counts
    }
}

pub(super) fn rewarm(context: &Context, args: &RewarmArgs) -> Result<Status, CliError> {
    context.refuse_missing_cache()?;
    let builder = match &args.plugin {
        Some(plugin) => {
            // An unreadable plugin is reported once here, instead of once for each target.
            preheat_io::input::open(plugin).map_err(|cause| CliError::File {
                doing: "reading the plugin",
                path: plugin.clone(),
                cause,
            })?;
            let builder = context.builder()?.plugin(plugin);
            args.target.iter().fold(builder, |builder, target| builder.target(target.clone()))
        }
        None => context.builder_for(args.target.as_ref())?,
    };
    let jobs = args.jobs.map(usize::from);
    let done = builder.rewarm(&Rewarm { models: args.model.clone(), jobs, ..Rewarm::default() })?;
    context.shown.finish();
    if context.json {
        document(&done.iter().map(as_json).collect::<Vec<_>>())?;
    } else {
        print(&done)?;
    }
    let all_done = |one: &RewarmedTarget| {
        one.graphs.as_ref().is_ok_and(|graphs| Counts::of(graphs).failed == 0)
    };
    Ok(if done.iter().all(all_done) { Status::Done } else { Status::Failed })
}

fn print(done: &[RewarmedTarget]) -> Result<(), CliError> {
    if done.iter().all(|one| one.graphs.as_ref().is_ok_and(Vec::is_empty)) {
        return line(
            "nothing to rewarm: no graph in the cache was compiled by another build, or for other hardware of this kind",
        );
    }
    let mut rows = table(&["target", "model", "stage", "was", "is", "how"]);
    let mut reasons = Vec::new();
    for one in done {
        match &one.graphs {
            Ok(graphs) => {
                for graph in graphs {
                    let is = graph.graph_key.map(|key| key.short()).unwrap_or_default();
                    let (model, stage) = (graph.model_id.clone(), graph.stage.clone());
                    rows.add_row([
                        one.target.clone(),
                        model,
                        stage,
                        graph.from.short(),
                        is,
                        how(graph),
                    ]);
                    if let Err(error) = &graph.outcome {
                        reasons.push(format!(
                            "{}, {}: {}",
                            one.target,
                            graph.from.short(),
                            with_causes(error)
                        ));
                    }
                }
            }
            Err(error) => reasons.push(format!("{}: {}", one.target, with_causes(error))),
        }
    }
    rows.print()?;
    for one in done {
        let Ok(graphs) = &one.graphs else { continue };
        let Counts { recompiled, kept, already_there, failed, compile_seconds } =
            Counts::of(graphs);
        let took = seconds(compile_seconds);
        line(&format!(
            "{}: {recompiled} recompiled in {took}, {kept} kept, {already_there} already there, {failed} failed",
            one.target
        ))?;
    }
    reasons.iter().try_for_each(|reason| line(reason))
}

fn how(graph: &Rewarmed) -> String {
    match &graph.outcome {
        Ok(Renewed::Recompiled { compile_seconds, .. }) => {
            format!("recompiled in {}", seconds(*compile_seconds))
        }
        Ok(Renewed::Kept) => "kept: the plugin accepts the older build's executable".to_owned(),
        Ok(Renewed::AlreadyThere) => "already there".to_owned(),
        Err(_) => "failed".to_owned(),
    }
}

fn as_json(one: &RewarmedTarget) -> serde_json::Value {
    let graphs = one.graphs.as_deref().unwrap_or_default();
    let counts = Counts::of(graphs);
    json!({
        "target": one.target,
        "recompiled": counts.recompiled,
        "kept": counts.kept,
        "already_there": counts.already_there,
        "failed": counts.failed,
        "compile_seconds": counts.compile_seconds,
        "reason": one.graphs.as_ref().err().map(|error| with_causes(error)),
        "graphs": graphs.iter().map(graph_as_json).collect::<Vec<_>>(),
    })
}

fn graph_as_json(graph: &Rewarmed) -> serde_json::Value {
    let (outcome, compile_seconds, compile_peak_bytes) = match &graph.outcome {
        Ok(Renewed::Recompiled { compile_seconds, compile_peak_bytes }) => {
            ("recompiled", *compile_seconds, *compile_peak_bytes)
        }
        Ok(Renewed::Kept) => ("kept", 0.0, 0),
        Ok(Renewed::AlreadyThere) => ("already_there", 0.0, 0),
        Err(_) => ("failed", 0.0, 0),
    };
    json!({
        "model_id": graph.model_id,
        "stage": graph.stage,
        "from": graph.from,
        "graph_key": graph.graph_key,
        "outcome": outcome,
        "compile_seconds": compile_seconds,
        "compile_peak_bytes": compile_peak_bytes,
        "reason": graph.outcome.as_ref().err().map(|error| with_causes(error)),
    })
}
