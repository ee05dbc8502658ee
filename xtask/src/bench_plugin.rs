//! How much time does the caching plugin save a JAX program, compared with JAX's own persistent
//! cache? `cargo xtask bench plugin` measures it.
//!
//! Three sides run the same Python programs over the same XLA:CPU plugin, each in a fresh process:
//! without a cache, with JAX's cache warm, and with the caching plugin warm. The sides take turns,
//! and each round starts with another side. All sides trace and lower each `UNet` in the same way.
//! So the bench compares `compile_or_load`, and the processor time of the whole process.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bench_process::{Measured, measured, median};
use crate::command::{Failure, Outcome, command, root};
use crate::figure::{Figure, Target};
use crate::frameworks::SetUp;
use crate::setup::Profile;
use crate::warm_start::UnetName;
use crate::{machine, table};

/// The largest allowed ratio of `compile_or_load` with the caching plugin to that with JAX's cache.
const TARGET: f64 = 0.7;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    NoCache,
    Jax,
    Ours,
}

const SIDES: [Side; 3] = [Side::NoCache, Side::Jax, Side::Ours];

impl Side {
    fn title(self) -> &'static str {
        match self {
            Self::NoCache => "no cache",
            Self::Jax => "JAX's cache, warm",
            Self::Ours => "preheat's plugin, warm",
        }
    }
}

/// Builds and installs everything, fills the caches, then measures.
pub fn run(rounds: u32, only: Option<UnetName>) -> Outcome<Vec<Figure>> {
    let set_up = SetUp::make(Profile::Release)?;
    let work = tempfile::tempdir().map_err(Failure::context("no temporary folder"))?;
    println!("{}", machine::description());
    let mut figures = Vec::new();
    for (name, config, side) in
        [(UnetName::Small, "unet_small.json", "32"), (UnetName::Sd15, "unet_sd15.json", "64")]
    {
        if only.is_none_or(|only| only == name) {
            let subject =
                Subject { set_up: &set_up, config, side, folder: work.path().join(config) };
            figures.extend(subject.measure(rounds)?);
        }
    }
    Ok(figures)
}

struct Subject<'a> {
    set_up: &'a SetUp,
    config: &'static str,
    /// The side length of the latents, in pixels of the latents.
    side: &'static str,
    folder: PathBuf,
}

impl Subject<'_> {
    fn command(&self, side: Side) -> Command {
        let peers = root().join("benches/peers");
        let mut command = command(&self.set_up.python, [peers.join("jax_unet.py")]);
        command
            .arg("--config")
            .arg(peers.join("configs").join(self.config))
            .args(["--height", self.side, "--width", self.side])
            .env("JAX_PLATFORMS", "bench");
        let plugin: &Path = if side == Side::Ours {
            command
                .env("PREHEAT_REAL_PLUGIN", &self.set_up.xla_cpu)
                .env("PREHEAT_CACHE_DIR", self.folder.join("ours"));
            &self.set_up.plugin
        } else {
            &self.set_up.xla_cpu
        };
        command.env("PJRT_NAMES_AND_LIBRARY_PATHS", format!("bench:{}", plugin.display()));
        if side == Side::Jax {
            command.arg("--cache-dir").arg(self.folder.join("jax"));
        } else {
            command.arg("--no-cache");
        }
        command
    }

    fn measure(&self, rounds: u32) -> Outcome<Vec<Figure>> {
        eprintln!("\n{}: filling the caches", self.config);
        for side in [Side::Jax, Side::Ours] {
            measured(&mut self.command(side))?;
        }
        let mut all: Vec<(Side, Measured)> = Vec::new();
        for round in 0..rounds as usize {
            for turn in 0..SIDES.len() {
                let side = SIDES[(turn + round) % SIDES.len()];
                // A compile of the large `UNet` takes minutes, so it is measured once.
                if side != Side::NoCache || round == 0 {
                    all.push((side, measured(&mut self.command(side))?));
                }
            }
        }
        let of = |side: Side, figure: &dyn Fn(&Measured) -> f64| {
            let figures = all.iter().filter(|(of, _)| *of == side);
            median(figures.map(|(_, measured)| figure(measured)))
        };
        let load = |measured: &Measured| seconds(&measured.result, "compile_or_load");
        let rows = SIDES.map(|side| {
            [
                side.title().to_owned(),
                table::seconds(of(side, &load)),
                table::seconds(of(side, &|measured| measured.wall_seconds)),
                table::seconds(of(side, &|measured| measured.cpu_seconds)),
            ]
        });
        println!("\n{}, medians of {rounds}", self.config);
        table::print(["side", "compile_or_load", "process", "processor time"], &rows);
        let ratio = of(Side::Ours, &load) / of(Side::Jax, &load);
        let processor = |side| of(side, &|measured| measured.cpu_seconds);
        let at_most = |name: &str, value, most| {
            Figure::ratio(format!("{}: {name}", self.config), value, Some(Target::AtMost(most)))
        };
        Ok(vec![
            at_most("compile_or_load, ours to JAX's", ratio, TARGET),
            at_most(
                "processor time, ours to JAX's",
                processor(Side::Ours) / processor(Side::Jax),
                1.0,
            ),
        ])
    }
}

/// The first number in the program's JSON whose name begins with `name`.
fn seconds(result: &Value, name: &str) -> f64 {
    let fields = result.as_object().into_iter().flatten();
    let mut found = fields.filter(|(field, _)| field.starts_with(name));
    found.find_map(|(_, value)| value.as_f64()).unwrap_or(f64::NAN)
}
