//! How long does a denoising step of `preheat run` take? `cargo xtask bench pipeline-step` compares
//! a step through libtorch, and on the CPU also one through XLA, with eager `PyTorch`.
//!
//! Two or three processes run during the whole bench, each with the model loaded. They work in
//! turns, each with as many threads as there are processors. preheat's processes run the steps of
//! its pipeline or, as another side of the comparison, the same executable back to back. The last
//! process runs diffusers' `UNet`. In one turn, one side runs all its steps; the figure of the turn
//! is the mean of all steps except the first.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::bench_process::{Resident, bench_program, median};
use crate::command::{Failure, Outcome, command, run as run_command};
use crate::figure::{Figure, Target};
use crate::model::{Model, Size};
use crate::peers::{self, Peers};
use crate::preheat::number;
use crate::setup::{Profile, install};
use crate::{machine, prerequisites, table, torch};

/// The longest allowed time of a step through libtorch, as a multiple of one in eager `PyTorch`.
const LIBTORCH_TARGET: f64 = 1.05;
/// The longest allowed time of a step on XLA:CPU, as a multiple of one in eager `PyTorch`.
const XLA_TARGET: f64 = 1.15;
/// The longest allowed time of a step, as a multiple of a call of the bare executable.
const LOOP_TARGET: f64 = 1.02;

/// The options of the bench.
pub struct Bench<'a> {
    pub rounds: u32,
    pub steps: u32,
    /// The device that preheat's libtorch and `PyTorch` use.
    pub device: &'a str,
    /// The value of preheat's `--precision`; `PyTorch` then takes the dtype that preheat chose.
    pub precision: &'a str,
    pub size: Size,
    pub model: Option<&'a Path>,
    pub torch_python: Option<&'a Path>,
    /// The built bench program. If it is named, nothing is built, and the program looks for the
    /// plugin and the torch library itself.
    pub program: Option<&'a Path>,
}

/// A row of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Libtorch,
    LibtorchAlone,
    Xla,
    XlaAlone,
    Eager,
}

impl Side {
    /// The sides that run on a device. A side that calls the bare executable holds gigabytes of
    /// weights of its own, so only one such side is run.
    fn on(device: &str) -> &'static [Self] {
        match device {
            "cpu" => &[Self::Libtorch, Self::Xla, Self::XlaAlone, Self::Eager],
            _ => &[Self::Libtorch, Self::LibtorchAlone, Self::Eager],
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Libtorch => "preheat, libtorch",
            Self::LibtorchAlone => "its graph alone",
            Self::Xla => "preheat, XLA:CPU",
            Self::XlaAlone => "its executable alone",
            Self::Eager => "eager PyTorch",
        }
    }
}

/// The processes that hold the model.
struct Processes {
    libtorch: Resident,
    xla: Option<Resident>,
    eager: Resident,
    /// The folder of preheat's cache, which is removed after the processes have ended.
    _cache: TempDir,
}

impl Processes {
    /// The seconds of a step in one turn of `side`.
    fn turn(&mut self, side: Side, steps: u32) -> Outcome<f64> {
        let (process, line) = match side {
            Side::Libtorch => (Some(&mut self.libtorch), "loop".to_owned()),
            Side::LibtorchAlone => (Some(&mut self.libtorch), "bare".to_owned()),
            Side::Xla => (self.xla.as_mut(), "loop".to_owned()),
            Side::XlaAlone => (self.xla.as_mut(), "bare".to_owned()),
            Side::Eager => (Some(&mut self.eager), steps.to_string()),
        };
        let process =
            process.ok_or_else(|| Failure::new(format!("{} does not run here", side.title())))?;
        number(&process.ask(&line)?, "/seconds_per_step")
    }
}

pub fn run(bench: &Bench<'_>) -> Outcome<Vec<Figure>> {
    let sides = Side::on(bench.device);
    let program = Program::given_or_built(bench.program, sides)?;
    let model = Model::given_or_made(bench.model)?;
    let mut processes = start(bench, &program, &model, sides)?;
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); sides.len()];
    for round in 0..bench.rounds as usize {
        eprintln!("round {} of {}", round + 1, bench.rounds);
        for turn in 0..sides.len() {
            let index = (round + turn) % sides.len();
            let took = processes.turn(sides[index], bench.steps)?;
            eprintln!("  {}: {took:.4} s a step", sides[index].title());
            seconds[index].push(took);
        }
    }
    Ok(print(bench, &model, sides, &seconds))
}

/// The bench program, and what it needs in its environment.
struct Program {
    path: PathBuf,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Program {
    fn given_or_built(given: Option<&Path>, sides: &[Side]) -> Outcome<Self> {
        if let Some(given) = given {
            let path =
                given.canonicalize().map_err(Failure::context(given.display().to_string()))?;
            return Ok(Self { path, variables: Vec::new() });
        }
        prerequisites::check(prerequisites::PEERS)?;
        if sides.contains(&Side::Xla) {
            run_command(&mut install("xla-cpu", Profile::Release))?;
        }
        let variables = torch::variables(Profile::Release)?;
        Ok(Self { path: bench_program("pipeline-steps")?, variables })
    }

    fn command(&self, bench: &Bench<'_>, device: &str, model: &Model, cache: &Path) -> Command {
        let mut command = command(&self.path, [cache]);
        command.arg(model.folder()).args([device, bench.precision]);
        command.args(
            [bench.size.width, bench.size.height, bench.steps].map(|number| number.to_string()),
        );
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        // The same settings as in src/main.rs.
        command.env("MALLOC_CONF", "oversize_threshold:0,dirty_decay_ms:60000");
        command
    }
}

/// Starts the processes, and makes sure that they compute in the same dtype, with the same number
/// of threads.
fn start(
    bench: &Bench<'_>,
    program: &Program,
    model: &Model,
    sides: &[Side],
) -> Outcome<Processes> {
    let python = bench
        .torch_python
        .map_or_else(|| peers::python(Peers::Torch), |python| Ok(python.to_owned()))?;
    let threads =
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get).to_string();
    // By default libtorch uses one thread per core, and a core may have two processors. libtorch
    // reads this variable with and without Python.
    let start = |command: &mut Command| Resident::start(command.env("OMP_NUM_THREADS", &threads));
    let cache = tempfile::tempdir().map_err(Failure::context("no temporary folder"))?;

    eprintln!("loading the model through libtorch");
    let (libtorch, here) = start(&mut program.command(bench, bench.device, model, cache.path()))?;
    let mut lines = vec![format!("preheat: {here}")];
    let mut xla = None;
    if sides.contains(&Side::Xla) {
        eprintln!("loading it on XLA:CPU");
        let (process, there) = start(&mut program.command(bench, "xla-cpu", model, cache.path()))?;
        agree("dtype", &here, &there)?;
        lines.push(format!("preheat: {there}"));
        xla = Some(process);
    }
    eprintln!("loading it in eager PyTorch");
    let mut eager = command(&python, ["benches/peers/torch_unet.py", "--unet"]);
    eager.arg(model.folder().join("unet")).args(["--device", bench.device]);
    // The size that preheat computes: rounded up to a multiple of 64.
    eager.args(["--height", &latent(bench.size.height), "--width", &latent(bench.size.width)]);
    let (eager, there) =
        start(eager.args(["--dtype", here["dtype"].as_str().unwrap_or_default()]))?;
    if bench.device == "cpu" {
        agree("kind", &here, &there)?;
    }
    println!("{}\n{}\neager: {there}", machine::description(), lines.join("\n"));
    Ok(Processes { libtorch, xla, eager, _cache: cache })
}

/// Fails if two processes report different settings.
fn agree(what: &str, one: &Value, other: &Value) -> Outcome {
    if one[what] == other[what] {
        return Ok(());
    }
    Err(Failure::new(format!(
        "these sides cannot be compared, since {what} is not the same:\n  {one}\n  {other}"
    )))
}

fn latent(pixels: u32) -> String {
    (pixels.next_multiple_of(64) / 8).to_string()
}

fn print(bench: &Bench<'_>, model: &Model, sides: &[Side], seconds: &[Vec<f64>]) -> Vec<Figure> {
    let Bench { size, rounds, steps, .. } = bench;
    println!(
        "\n{} at {size}, guided: seconds a step, {rounds} rounds of {steps} steps, the first of each left out",
        model.name()
    );
    let rows: Vec<[String; 4]> = std::iter::zip(sides, seconds)
        .map(|(side, seconds)| {
            let least = seconds.iter().copied().fold(f64::INFINITY, f64::min);
            let most = seconds.iter().copied().fold(0.0, f64::max);
            let figure = |seconds: f64| format!("{seconds:.4}");
            [
                side.title().to_owned(),
                figure(median(seconds.iter().copied())),
                figure(least),
                figure(most),
            ]
        })
        .collect();
    table::print(["", "median", "least", "most"], &rows);
    // The sides of one round ran right after each other, so a machine that slows down for a while
    // slows both.
    let of = |side| {
        std::iter::zip(sides, seconds)
            .find(|(known, _)| **known == side)
            .map(|(_, seconds)| seconds)
    };
    let figure = |title: &str, one, other, target| {
        let ratios = std::iter::zip(of(one)?, of(other)?).map(|(one, other)| one / other);
        Some(Figure::ratio(title, median(ratios), Some(Target::AtMost(target))))
    };
    let ratios = [
        figure("preheat, libtorch / eager PyTorch", Side::Libtorch, Side::Eager, LIBTORCH_TARGET),
        figure("preheat, XLA:CPU / eager PyTorch", Side::Xla, Side::Eager, XLA_TARGET),
        figure("libtorch: loop / graph alone", Side::Libtorch, Side::LibtorchAlone, LOOP_TARGET),
        figure("XLA:CPU: loop / executable alone", Side::Xla, Side::XlaAlone, LOOP_TARGET),
    ];
    println!();
    let figures: Vec<Figure> = ratios.into_iter().flatten().collect();
    table::print_figures("median of the rounds' ratios", &figures);
    figures
}
