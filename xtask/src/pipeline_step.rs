//! `cargo xtask bench pipeline-step`: a denoising step as `preheat run` takes it, against the bare executable and against eager
//! `PyTorch`.
//!
//! Two processes live through the whole bench, each with the model loaded, and work in turns: one runs the steps of preheat's pipeline
//! and, when told so, the same executable back to back; the other runs diffusers' `UNet` with as many threads as there are
//! processors. Each turn runs all steps of one side; its figure is the mean of all but the first.

use std::path::Path;

use crate::bench_process::{Resident, bench_program, median};
use crate::command::{Failure, Outcome, command, run as run_command};
use crate::model::{Model, Size};
use crate::peers::{self, Peers};
use crate::preheat::number;
use crate::setup::{Profile, install};
use crate::{machine, table};

/// Of a step in eager `PyTorch`.
const STEP_TARGET: f64 = 1.15;
/// Of a call of the bare executable.
const LOOP_TARGET: f64 = 1.02;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Loop,
    Bare,
    Torch,
}

const SIDES: [Side; 3] = [Side::Loop, Side::Bare, Side::Torch];

pub fn run(rounds: u32, steps: u32, model: Option<&Path>, torch_python: Option<&Path>, size: Size) -> Outcome {
    run_command(&mut install("xla-cpu", Profile::Release))?;
    let program = bench_program("pipeline-steps")?;
    let model = Model::given_or_made(model)?;
    let python = torch_python.map_or_else(|| peers::python(Peers::Torch), |python| Ok(python.to_owned()))?;
    let work = tempfile::tempdir().map_err(Failure::context("no temporary folder"))?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);

    let mut preheat = command(&program, [work.path()]);
    preheat.arg(model.folder());
    preheat.args([u64::from(size.width), u64::from(size.height), u64::from(steps)].map(|number| number.to_string()));
    eprintln!("loading preheat's side");
    let (mut preheat, _) = Resident::start(&mut preheat)?;
    let mut torch = command(&python, ["benches/peers/torch_unet.py", "--unet"]);
    torch.arg(model.folder().join("unet"));
    // The size that preheat computes: rounded up to a multiple of 64.
    torch.args(["--height", &latent(size.height), "--width", &latent(size.width), "--threads", &threads.to_string()]);
    eprintln!("loading PyTorch's side");
    let (mut torch, versions) = Resident::start(&mut torch)?;

    println!("{}; {versions}", machine::description());
    let mut seconds = [const { Vec::new() }; SIDES.len()];
    for round in 0..rounds as usize {
        eprintln!("round {} of {rounds}", round + 1);
        for turn in 0..SIDES.len() {
            let index = (round + turn) % SIDES.len();
            let answer = match SIDES[index] {
                Side::Loop => preheat.ask("loop")?,
                Side::Bare => preheat.ask("bare")?,
                Side::Torch => torch.ask(&steps.to_string())?,
            };
            seconds[index].push(number(&answer, "/seconds_per_step")?);
        }
    }
    print(&model, size, steps, &seconds);
    Ok(())
}

fn latent(pixels: u32) -> String {
    (pixels.next_multiple_of(64) / 8).to_string()
}

fn print(model: &Model, size: Size, steps: u32, seconds: &[Vec<f64>; SIDES.len()]) {
    println!(
        "\n{} at {size}, guided, float32: seconds a step, {} rounds of {steps} steps, the first of each left out",
        model.name(),
        seconds[0].len()
    );
    let titles = ["preheat, in its loop", "preheat's executable alone", "eager PyTorch"];
    let rows: Vec<[String; 4]> = std::iter::zip(titles, seconds)
        .map(|(title, seconds)| {
            let least = seconds.iter().copied().fold(f64::INFINITY, f64::min);
            let most = seconds.iter().copied().fold(0.0, f64::max);
            [
                title.to_owned(),
                format!("{:.3}", median(seconds.iter().copied())),
                format!("{least:.3}"),
                format!("{most:.3}"),
            ]
        })
        .collect();
    table::print(["", "median", "least", "most"], &rows);
    // Sides of one round ran right after each other, so a machine that slows down for a while does so for both.
    let ratio = |a: usize, b: usize| median(std::iter::zip(&seconds[a], &seconds[b]).map(|(a, b)| a / b));
    println!();
    table::print(
        ["median of the rounds' ratios", "", "target", ""],
        &[
            table::verdict("preheat / eager PyTorch", ratio(0, 2), Some(STEP_TARGET)),
            table::verdict("loop / executable alone", ratio(0, 1), Some(LOOP_TARGET)),
        ],
    );
}
