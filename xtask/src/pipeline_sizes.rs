//! How much faster is a later run of a size than the first? `cargo xtask bench pipeline-sizes`
//! compares the first run, which compiles, with a later one in a fresh process, which loads.
//!
//! In each round, every size gets a new cache and runs twice: on the empty cache, then on the
//! filled one. Both runs are `preheat run` with its default settings for warmup, so the first run
//! includes the automatic warmup.

use std::path::Path;

use serde_json::Value;

use crate::bench_process::{Measured, measured, median};
use crate::command::{Failure, Outcome, run as run_command};
use crate::figure::Figure;
use crate::model::{Model, Size};
use crate::preheat::{Preheat, number, sources};
use crate::{machine, table};

/// The times of one run, in seconds.
struct Run {
    /// Seconds until executables and weights were ready.
    ready: f64,
    /// Seconds until the process had written its picture and ended.
    done: f64,
    step: f64,
    peak_bytes: u64,
}

pub fn run(
    rounds: u32,
    steps: u32,
    model: Option<&Path>,
    preheat: Option<&Path>,
    sizes: &[Size],
) -> Outcome<Vec<Figure>> {
    let preheat = Preheat::given_or_built(preheat)?;
    run_command(&mut preheat.command(["plugins", "install", "xla-cpu"]))?;
    let model = Model::given_or_made(model)?;
    println!("{}", machine::description());
    let mut all: Vec<Vec<[Run; 2]>> = sizes.iter().map(|_| Vec::new()).collect();
    // The rounds are the outer loop, so that a machine that slows down for a while slows every
    // size.
    for round in 0..rounds {
        for (&size, runs) in std::iter::zip(sizes, &mut all) {
            eprintln!("round {} of {rounds}, {size}", round + 1);
            let work = tempfile::tempdir().map_err(Failure::context("no temporary folder"))?;
            let run = |wanted: &str| {
                let mut command =
                    model.run(&preheat, &work.path().join("cache"), size, steps, work.path());
                read(&measured(&mut command)?, wanted)
            };
            runs.push([run("compiled")?, run("disk")?]);
        }
    }
    Ok(print(&model, steps, sizes, &all))
}

fn read(process: &Measured, wanted: &str) -> Outcome<Run> {
    let result: &Value = &process.result;
    if !sources(result)?.split(", ").all(|source| source == wanted) {
        return Err(Failure::new(format!(
            "every stage should have come from {wanted}:\n{result:#}"
        )));
    }
    let seconds = |name: &str| number(result, &format!("/timings/{name}"));
    Ok(Run {
        ready: seconds("executables_ready_seconds")?.max(seconds("weights_ready_seconds")?),
        done: process.wall_seconds,
        step: seconds("seconds_per_step")?,
        peak_bytes: process.peak_bytes,
    })
}

fn print(model: &Model, steps: u32, sizes: &[Size], all: &[Vec<[Run; 2]>]) -> Vec<Figure> {
    let mut figures = Vec::new();
    let rounds = all.first().map_or(0, Vec::len);
    let plural = if steps == 1 { "" } else { "s" };
    println!(
        "\n{}, guided, float32, {steps} step{plural}: medians of {rounds} rounds",
        model.name()
    );
    let rows: Vec<[String; 9]> = std::iter::zip(sizes, all)
        .map(|(size, runs)| {
            let middle =
                |side: usize, of: fn(&Run) -> f64| median(runs.iter().map(|run| of(&run[side])));
            let (cold_ready, warm_ready) = (middle(0, |run| run.ready), middle(1, |run| run.ready));
            let (cold_done, warm_done) = (middle(0, |run| run.done), middle(1, |run| run.done));
            let ready = format!("{size}: ready, first run / cached run");
            figures.push(Figure::ratio(ready, cold_ready / warm_ready, None));
            let peak = runs.iter().flatten().map(|run| run.peak_bytes).max().unwrap_or(0);
            [
                size.to_string(),
                format!("{cold_ready:.2}"),
                format!("{warm_ready:.2}"),
                format!("{:.1} x", cold_ready / warm_ready),
                format!("{cold_done:.2}"),
                format!("{warm_done:.2}"),
                format!("{:.1} x", cold_done / warm_done),
                format!("{:.2}", middle(1, |run| run.step)),
                format!("{:.1}", table::gigabytes(peak)),
            ]
        })
        .collect();
    table::print(
        [
            "size",
            "first run: ready s",
            "cached run: ready s",
            "speed-up",
            "first run: done s",
            "cached run: done s",
            "speed-up",
            "step s",
            "peak GB",
        ],
        &rows,
    );
    figures
}
