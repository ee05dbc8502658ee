//! How long does a fresh process take until a compiled `UNet` can be called? `cargo xtask bench
//! warm-start` measures it.
//!
//! Four sides work on the same two graphs: the floor (a C program that only loads the plugin and
//! deserialises), preheat, JAX with its persistent cache, and pypjrt with its compile cache. Each
//! side fills its cache once. Then every round runs each side once, in a new process, and each
//! round starts with another side. The bench compares two medians: the seconds that each side
//! counts from its start until its executable is ready, and the seconds that its whole process
//! takes.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use serde_json::Value;

use crate::bench_process::{measured, median, megabytes};
use crate::command::{Failure, Outcome, command, run as run_command, spelled};
use crate::figure::{Figure, Target};
use crate::peers::{self, Peers};
use crate::preheat::{Preheat, number, sources};
use crate::setup::{Profile, install};
use crate::{machine, table};

/// The graphs that are measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnetName {
    /// The small `UNet`: 5.8 million parameters, 32x32 latents.
    Small,
    /// The shape of Stable Diffusion 1.5, 64x64 latents.
    Sd15,
}

struct Unet {
    name: UnetName,
    title: &'static str,
    config: &'static str,
    latent_side: &'static str,
    /// The target: how many times faster than JAX preheat should be.
    jax_target: f64,
}

const UNETS: [Unet; 2] = [
    Unet {
        name: UnetName::Small,
        title: "small UNet",
        config: "unet_small.json",
        latent_side: "32",
        jax_target: 6.0,
    },
    Unet {
        name: UnetName::Sd15,
        title: "UNet of Stable Diffusion 1.5",
        config: "unet_sd15.json",
        latent_side: "64",
        jax_target: 3.3,
    },
];

/// The most time that preheat may take, as a share of the floor's. It is below 1 because slimmed
/// executables and the binary's allocator save more time than preheat's other work costs.
const FLOOR_TARGET: f64 = 0.9;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Floor,
    Preheat,
    Jax,
    Pypjrt,
}

const SIDES: [Side; 4] = [Side::Floor, Side::Preheat, Side::Jax, Side::Pypjrt];

impl Side {
    fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor (plugin alone)",
            Self::Preheat => "preheat",
            Self::Jax => "JAX, persistent cache",
            Self::Pypjrt => "pypjrt, CompileCache",
        }
    }
}

/// Builds and installs all sides, then measures.
pub fn run(rounds: u32, only: Option<UnetName>) -> Outcome<Vec<Figure>> {
    let preheat = Preheat::build()?;
    run_command(&mut install("xla-cpu", Profile::Release))?;
    let plugin = preheat.plugin("xla-cpu")?;
    let python = peers::python(Peers::WarmStart)?;
    let work = tempfile::tempdir().map_err(Failure::context("no temporary folder"))?;
    let floor = peers::floor(&plugin, work.path())?;
    println!("{}", machine::description());
    let mut figures = Vec::new();
    for unet in UNETS.iter().filter(|unet| only.is_none_or(|only| only == unet.name)) {
        let folder = work.path().join(unet.config).with_extension("");
        std::fs::create_dir(&folder)
            .map_err(Failure::context("cannot create a folder for the caches"))?;
        let subject = Subject {
            unet,
            preheat: &preheat,
            plugin: &plugin,
            python: &python,
            floor: &floor,
            folder,
        };
        subject.fill_caches()?;
        figures.extend(subject.print(&subject.measure(rounds)?)?);
    }
    Ok(figures)
}

/// One `UNet`, and the folder with the caches of all sides for it.
struct Subject<'a> {
    unet: &'a Unet,
    preheat: &'a Preheat,
    plugin: &'a Path,
    python: &'a Path,
    floor: &'a Path,
    folder: PathBuf,
}

impl Subject<'_> {
    /// Exports the program from JAX, and lets every side compile it once.
    fn fill_caches(&self) -> Outcome {
        eprintln!("\n{}: filling the caches", self.unet.title);
        let fill = |command: &mut Command| {
            eprintln!("$ {}", spelled(command));
            measured(command).map(|_| ())
        };
        fill(self.jax().arg("--stablehlo").arg(self.program()))?;
        let mut floor = command(self.floor, ["--compile"]);
        fill(floor.arg(self.plugin).arg(self.program()).arg(self.executable()))?;
        fill(&mut self.command(Side::Preheat))?;
        fill(&mut self.command(Side::Pypjrt))
    }

    fn program(&self) -> PathBuf {
        self.folder.join("program.mlir")
    }

    fn executable(&self) -> PathBuf {
        self.folder.join("executable")
    }

    fn jax(&self) -> Command {
        let side = self.unet.latent_side;
        let mut command = command(self.python, ["benches/peers/jax_unet.py", "--config"]);
        command
            .arg(Path::new("benches/peers/configs").join(self.unet.config))
            .args(["--batch", "2", "--dtype", "float32", "--height", side, "--width", side])
            .arg("--cache-dir")
            .arg(self.folder.join("jax"))
            .arg("--shapes")
            .arg(self.folder.join("shapes.json"))
            .env("JAX_PLATFORMS", "cpu");
        command
    }

    /// The measured command of a side: a process that ends once its executable is ready.
    fn command(&self, side: Side) -> Command {
        match side {
            Side::Floor => {
                let mut command = command(self.floor, [self.plugin]);
                command.arg(self.executable());
                command
            }
            Side::Preheat => {
                let mut command = self.preheat.command(["--device", "xla-cpu", "--cache-dir"]);
                command
                    .arg(self.folder.join("preheat"))
                    .args(["--json", "program", "compile"])
                    .arg(self.program());
                command
            }
            Side::Jax => self.jax(),
            Side::Pypjrt => {
                let mut command =
                    command(self.python, ["benches/peers/pypjrt_warm.py", "--plugin"]);
                command.arg(self.plugin).arg("--program").arg(self.program());
                command.arg("--cache-dir").arg(self.folder.join("pypjrt"));
                command
            }
        }
    }

    /// The times of every side in every round, in the order of [`SIDES`].
    fn measure(&self, rounds: u32) -> Outcome<[Vec<Round>; SIDES.len()]> {
        let mut sides = [const { Vec::new() }; SIDES.len()];
        for round in 0..rounds as usize {
            eprintln!("{}: round {} of {rounds}", self.unet.title, round + 1);
            for turn in 0..SIDES.len() {
                let index = (round + turn) % SIDES.len();
                sides[index].push(self.round(SIDES[index])?);
            }
        }
        Ok(sides)
    }

    /// Runs a side once. It is an error if the side compiled instead of loading, because the
    /// comparison would be worthless.
    fn round(&self, side: Side) -> Outcome<Round> {
        let mut command = self.command(side);
        let process = measured(&mut command)?;
        let result = &process.result;
        let (hit, pointer) = match side {
            Side::Floor => (true, "/ready_seconds"),
            Side::Preheat => (sources(result)? == "disk", "/timings/executables_ready_seconds"),
            Side::Jax | Side::Pypjrt => (result["hit"] == Value::Bool(true), "/ready_seconds"),
        };
        if !hit {
            let spelled = spelled(&command);
            return Err(Failure::new(format!(
                "{} did not load from its cache: `{spelled}`\n{result:#}",
                side.title()
            )));
        }
        Ok(Round {
            ready_seconds: number(result, pointer)?,
            wall_seconds: process.wall_seconds,
            cpu_seconds: process.cpu_seconds,
            peak_bytes: process.peak_bytes,
        })
    }

    /// The bytes that a side keeps for this program: the executable and, for preheat, also the
    /// program.
    fn stored_bytes(&self, side: Side) -> Outcome<u64> {
        let path = match side {
            Side::Floor => self.executable(),
            Side::Preheat => self.folder.join("preheat/objects-v1"),
            Side::Jax => self.folder.join("jax"),
            Side::Pypjrt => self.folder.join("pypjrt"),
        };
        bytes_under(&path).map_err(Failure::context(format!("cannot measure {}", path.display())))
    }

    fn print(&self, sides: &[Vec<Round>; SIDES.len()]) -> Outcome<Vec<Figure>> {
        println!("\n{}, batch 2, float32: medians of {} rounds", self.unet.title, sides[0].len());
        let mut rows = Vec::new();
        for (side, rounds) in std::iter::zip(SIDES, sides) {
            let ready = || rounds.iter().map(|round| round.ready_seconds);
            rows.push([
                side.title().to_owned(),
                format!("{:.3}", median(ready())),
                format!("{:.3}", ready().fold(f64::INFINITY, f64::min)),
                format!("{:.3}", ready().fold(0.0, f64::max)),
                format!("{:.3}", median(rounds.iter().map(|round| round.wall_seconds))),
                format!("{:.3}", median(rounds.iter().map(|round| round.cpu_seconds))),
                megabytes(rounds.iter().map(|round| round.peak_bytes)),
                megabytes([self.stored_bytes(side)?]),
            ]);
        }
        table::print(
            ["side", "ready s", "least", "most", "process s", "CPU s", "peak MB", "stored MB"],
            &rows,
        );

        let ready =
            sides.each_ref().map(|rounds| median(rounds.iter().map(|round| round.ready_seconds)));
        let wall =
            sides.each_ref().map(|rounds| median(rounds.iter().map(|round| round.wall_seconds)));
        let [floor, preheat, jax, pypjrt] = ready;
        let title = |ratio: &str| format!("{}: {ratio}", self.unet.title);
        let jax_target = Some(Target::AtLeast(self.unet.jax_target));
        let figures = vec![
            Figure::ratio(
                title("preheat / floor"),
                preheat / floor,
                Some(Target::AtMost(FLOOR_TARGET)),
            ),
            Figure::ratio(title("JAX / preheat"), jax / preheat, jax_target),
            Figure::ratio(title("pypjrt / preheat"), pypjrt / preheat, None),
        ];
        let processes = [wall[1] / wall[0], wall[2] / wall[1], wall[3] / wall[1]];
        let rows: Vec<[String; 5]> = std::iter::zip(&figures, processes)
            .map(|(figure, process)| {
                let [name, ready, target, holds] = figure.row();
                [name, ready, format!("{process:.3}"), target, holds]
            })
            .collect();
        println!();
        table::print(["ratio of medians", "ready", "process", "target", ""], &rows);
        Ok(figures)
    }
}

/// The times of one process of a side.
struct Round {
    ready_seconds: f64,
    wall_seconds: f64,
    cpu_seconds: f64,
    peak_bytes: u64,
}

/// The bytes of a file, or of all files below a folder.
fn bytes_under(path: &Path) -> std::io::Result<u64> {
    if !path.is_dir() {
        return Ok(path.metadata()?.len());
    }
    std::fs::read_dir(path)?.map(|entry| bytes_under(&entry?.path())).sum()
}
