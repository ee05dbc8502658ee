//! How long does a fresh `preheat run` with a warm cache take until its executables are loaded and
//! its weights are in place? `cargo xtask bench pipeline-ready` compares both times with the least
//! that each can take.
//!
//! The least times are those of two C programs, called floors. One loads the executables of all
//! stages side by side on glibc's malloc; they are compiled from the programs in preheat's cache
//! and not slimmed. The other one reads the same bytes of weights from the page cache into fresh
//! memory and does nothing with them. Every round runs each side once, in a new process, and each
//! round starts with another side.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bench_process::{measured, median};
use crate::command::{Failure, Outcome, command, output, run as run_command, spelled};
use crate::figure::{Figure, Target};
use crate::model::{Model, Size, byte_ranges};
use crate::preheat::{Preheat, number, sources, stages};
use crate::{machine, peers, table};

/// The longest time that preheat's executables may take, as a multiple of the time of the floor
/// that loads all stages side by side.
const EXECUTABLES_TARGET: f64 = 1.0;
/// The longest time that preheat's weights may take, as a multiple of the time to read the same
/// bytes with as many threads.
const WEIGHTS_TARGET: f64 = 1.2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Floor,
    ReadAlone,
    ReadTogether,
    Preheat,
}

const SIDES: [Side; 4] = [Side::Floor, Side::ReadAlone, Side::ReadTogether, Side::Preheat];

pub fn run(
    rounds: u32,
    model: Option<&Path>,
    preheat: Option<&Path>,
    size: Size,
) -> Outcome<Vec<Figure>> {
    let preheat = Preheat::given_or_built(preheat)?;
    run_command(&mut preheat.command(["plugins", "install", "xla-cpu"]))?;
    let plugin = preheat.plugin("xla-cpu")?;
    let model = Model::given_or_made(model)?;
    let work = tempfile::tempdir().map_err(Failure::context("no temporary folder"))?;
    let mut subject = Subject {
        floor: peers::floor(&plugin, work.path())?,
        read_bytes: peers::read_bytes(work.path())?,
        ranges: byte_ranges(&model)?,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        executables: Vec::new(),
        folder: work.path().to_owned(),
        preheat,
        plugin,
        model,
        size,
    };
    println!("{}", machine::description());
    subject.fill_caches()?;
    // The model and the caches may have just been written. While the system still writes them to
    // the disk, it would slow some of the measured sides.
    run_command(&mut command("sync", [""; 0]))?;
    let times = subject.measure(rounds)?;
    Ok(subject.print(&times))
}

struct Subject {
    preheat: Preheat,
    plugin: PathBuf,
    model: Model,
    size: Size,
    /// The folder with the caches and the executables.
    folder: PathBuf,
    floor: PathBuf,
    read_bytes: PathBuf,
    /// The whole executables of all stages.
    executables: Vec<PathBuf>,
    /// The weights that the stages read, as `read_bytes` takes them.
    ranges: Vec<String>,
    threads: usize,
}

/// Seconds of every round.
#[derive(Default)]
struct Times {
    floor: Vec<f64>,
    read_alone: Vec<f64>,
    read_together: Vec<f64>,
    executables: Vec<f64>,
    weights: Vec<f64>,
    both: Vec<f64>,
}

impl Subject {
    /// Lets preheat compile every stage, and compiles each stored program again for the floor.
    fn fill_caches(&mut self) -> Outcome {
        let mut first = self.run();
        eprintln!("$ {}", spelled(&first));
        let result = measured(&mut first)?.result;
        for stage in stages(&result)? {
            let text = |name: &str| {
                stage[name]
                    .as_str()
                    .ok_or_else(|| Failure::new(format!("a stage has no {name}:\n{stage:#}")))
            };
            let (name, key) = (text("stage")?, text("graph_key")?);
            let mut show = self.preheat.command(["--cache-dir"]);
            show.arg(self.cache()).args(["cache", "show", key, "--program"]);
            let (program, executable) =
                (self.folder.join(name).with_extension("mlir"), self.folder.join(name));
            std::fs::write(&program, output(&mut show)?)
                .map_err(Failure::context(format!("cannot write {}", program.display())))?;
            let mut compile = command(&self.floor, ["--compile"]);
            compile.arg(&self.plugin).arg(&program).arg(&executable);
            run_command(&mut compile)?;
            self.executables.push(executable);
        }
        Ok(())
    }

    fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    fn run(&self) -> Command {
        self.model.run(&self.preheat, &self.cache(), self.size, 1, &self.folder)
    }

    fn command(&self, side: Side) -> Command {
        let read = |threads: usize| {
            let mut read = command(&self.read_bytes, [threads.to_string()]);
            read.args(&self.ranges);
            read
        };
        match side {
            Side::Floor => {
                let mut floor = command(&self.floor, [&self.plugin]);
                floor.args(&self.executables);
                floor
            }
            Side::ReadAlone => read(1),
            Side::ReadTogether => read(self.threads),
            Side::Preheat => self.run(),
        }
    }

    fn measure(&self, rounds: u32) -> Outcome<Times> {
        let mut times = Times::default();
        // One read first brings the weights into the page cache.
        measured(&mut self.command(Side::ReadAlone))?;
        for round in 0..rounds as usize {
            eprintln!("round {} of {rounds}", round + 1);
            for turn in 0..SIDES.len() {
                let side = SIDES[(round + turn) % SIDES.len()];
                let mut command = self.command(side);
                let result = measured(&mut command)?.result;
                let seconds = |pointer: &str| number(&result, pointer);
                match side {
                    Side::Floor => times.floor.push(seconds("/ready_seconds")?),
                    Side::ReadAlone => times.read_alone.push(seconds("/ready_seconds")?),
                    Side::ReadTogether => times.read_together.push(seconds("/ready_seconds")?),
                    Side::Preheat => {
                        loaded(&command, &result)?;
                        let executables = seconds("/timings/executables_ready_seconds")?;
                        let weights = seconds("/timings/weights_ready_seconds")?;
                        times.executables.push(executables);
                        times.weights.push(weights);
                        times.both.push(executables.max(weights));
                    }
                }
            }
        }
        Ok(times)
    }

    fn print(&self, times: &Times) -> Vec<Figure> {
        let bytes: u64 = self
            .ranges
            .iter()
            .filter_map(|range| range.rsplit(':').next()?.parse::<u64>().ok())
            .sum();
        println!(
            "\n{} at {}, {} stages, {:.2} GB of weights: seconds since the process's start, {} rounds",
            self.model.name(),
            self.size,
            self.executables.len(),
            table::gigabytes(bytes),
            times.floor.len()
        );
        let row = |title: &str, seconds: &[f64]| {
            let (least, most) = seconds
                .iter()
                .fold((f64::INFINITY, 0.0_f64), |(least, most), &x| (least.min(x), most.max(x)));
            [
                title.to_owned(),
                format!("{:.3}", median(seconds.iter().copied())),
                format!("{least:.3}"),
                format!("{most:.3}"),
            ]
        };
        let together = format!("the bytes alone, {} threads", self.threads);
        table::print(
            ["", "median", "least", "most"],
            &[
                row("executables: plugin alone, side by side", &times.floor),
                row("executables: preheat", &times.executables),
                row("weights: the bytes alone, 1 thread", &times.read_alone),
                row(&format!("weights: {together}"), &times.read_together),
                row("weights: preheat", &times.weights),
                row("both: preheat", &times.both),
            ],
        );
        let middle = |seconds: &[f64]| median(seconds.iter().copied());
        let floors = middle(&times.floor) + middle(&times.read_together);
        let own = middle(&times.executables) + middle(&times.weights);
        let at_most = |most| Some(Target::AtMost(most));
        let figures = vec![
            Figure::ratio(
                "executables: preheat / plugin alone",
                middle(&times.executables) / middle(&times.floor),
                at_most(EXECUTABLES_TARGET),
            ),
            Figure::ratio(
                "weights: preheat / the bytes alone, 1 thread",
                middle(&times.weights) / middle(&times.read_alone),
                None,
            ),
            Figure::ratio(
                format!("weights: preheat / {together}"),
                middle(&times.weights) / middle(&times.read_together),
                at_most(WEIGHTS_TARGET),
            ),
            Figure::ratio(
                format!("both: preheat / (plugin alone + {together})"),
                middle(&times.both) / floors,
                None,
            ),
            Figure::ratio(
                "both: preheat / its executables + its weights",
                middle(&times.both) / own,
                None,
            ),
        ];
        println!();
        table::print_figures("ratio of medians", &figures);
        figures
    }
}

/// Checks that a run loaded from the cache: if it compiled instead, the comparison would be
/// worthless.
fn loaded(command: &Command, result: &Value) -> Outcome {
    if sources(result)?.split(", ").all(|source| source == "disk") {
        return Ok(());
    }
    Err(Failure::new(format!(
        "preheat did not load from its cache: `{}`\n{result:#}",
        spelled(command)
    )))
}
