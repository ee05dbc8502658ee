//! How much time does it cost if the host waits for the device between steps? `cargo xtask bench
//! pipeline-sync` runs the denoising loop without waiting, with a wait after every step, and with a
//! wait after every fifth step.
//!
//! Three processes run during the whole bench, each with the model loaded. They run the loop in
//! turns.

use std::path::Path;

use crate::bench_process::{Resident, bench_program, median};
use crate::command::{Failure, Outcome, command, root, run as run_command};
use crate::figure::Figure;
use crate::model::{Model, Size};
use crate::preheat::number;
use crate::setup::{Profile, install};
use crate::{machine, table};

/// The host waits after this number of steps; with 0 it never waits.
const EVERY: [u32; 3] = [0, 1, 5];

pub fn run(rounds: u32, steps: u32, model: Option<&Path>, size: Size) -> Outcome<Vec<Figure>> {
    run_command(&mut install("xla-cpu", Profile::Release))?;
    let program = bench_program("pipeline-sync")?;
    // The demo model's steps are short, so that the cost of waiting shows.
    let demo = root().join("examples/demo-model");
    let model = Model::given_or_made(Some(model.unwrap_or(&demo)))?;
    let work = tempfile::tempdir().map_err(Failure::context("no temporary folder"))?;
    let load = |every: u32| {
        let mut start = command(&program, [work.path(), model.folder()]);
        start.args([size.width, size.height, steps, every].map(|number| number.to_string()));
        eprintln!(
            "loading the model for the loop that waits after every {every} steps (0: it never \
             waits)"
        );
        Ok(Resident::start(&mut start)?.0)
    };
    // A process that has compiled holds more memory than one that has loaded. So a separate process
    // fills the cache first.
    drop(load(0)?);
    let mut sides = EVERY.into_iter().map(load).collect::<Outcome<Vec<_>>>()?;
    let mut measured = [const { Vec::new() }; EVERY.len()];
    for round in 0..rounds as usize {
        eprintln!("round {} of {rounds}", round + 1);
        for turn in 0..EVERY.len() {
            let index = (round + turn) % EVERY.len();
            let answer = sides[index].ask("loop")?;
            let figure = |name: &str| number(&answer, name);
            measured[index].push([
                figure("/seconds_per_step")?,
                figure("/p99_seconds")?,
                figure("/held_bytes")?,
                figure("/resident_bytes")?,
            ]);
        }
    }
    println!("{}", machine::description());
    println!(
        "\n{} at {size}, guided, float32, {rounds} rounds of {steps} steps; medians",
        model.name()
    );
    Ok(print(&measured))
}

fn print(measured: &[Vec<[f64; 4]>; EVERY.len()]) -> Vec<Figure> {
    let mut figures = Vec::new();
    let middle =
        |side: &[[f64; 4]], figure: usize| median(side.iter().map(|figures| figures[figure]));
    let rows: Vec<[String; 6]> = std::iter::zip(EVERY, measured)
        .map(|(every, side)| {
            let step = middle(side, 0);
            // The sides of one round ran right after each other, so a machine that slows down for a
            // while slows all of them.
            let ratio =
                median(std::iter::zip(side, &measured[0]).map(|(side, never)| side[0] / never[0]));
            if every > 0 {
                let title = format!(
                    "time of a step, waiting after every {every} steps, relative to never waiting"
                );
                figures.push(Figure::ratio(title, ratio, None));
            }
            [
                every.to_string(),
                format!("{:.2}", 1.0 / step),
                format!("{ratio:.3}"),
                format!("{:.2} ms", middle(side, 1) * 1e3),
                format!("{:.1} MB", middle(side, 2) / 1e6),
                format!("{:.0} MB", (middle(side, 2) + middle(side, 3)) / 1e6),
            ]
        })
        .collect();
    let header = [
        "--tpu-sync-steps",
        "steps/s",
        "step time, relative to 0",
        "p99",
        "the loop adds",
        "process peak",
    ];
    table::print(header, &rows);
    figures
}
