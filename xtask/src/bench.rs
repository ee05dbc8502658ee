//! `cargo xtask bench NAME`: one function a bench.

use clap::ValueEnum;

use crate::command::{Outcome, cargo, run as run_command};
use crate::{bench_allocator, prerequisites, warm_start};

#[derive(clap::Args)]
pub struct Arguments {
    /// Which bench.
    name: Bench,
    /// For warm-start and allocator: how often each side is run.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// For warm-start: only this `UNet`.
    #[arg(long)]
    unet: Option<warm_start::UnetName>,
    /// For micro and scale: passed to the bench program; for scale, how many entries the store is to hold.
    #[arg(last = true)]
    passed_on: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// A fresh process until a compiled `UNet` is ready: the plugin alone, preheat, JAX, pypjrt.
    WarmStart,
    /// Keys, look-ups in memory, the cost of a call.
    Micro,
    /// The store with 1,000 and with 100,000 entries.
    Scale,
    /// What the binary's allocator costs in memory while an executable is loaded and run.
    Allocator,
}

pub fn run(arguments: &Arguments) -> Outcome {
    match arguments.name {
        Bench::WarmStart => {
            prerequisites::check(prerequisites::PEERS)?;
            warm_start::run(arguments.rounds, arguments.unet)
        }
        Bench::Micro => micro(&arguments.passed_on),
        Bench::Scale => scale(&arguments.passed_on),
        Bench::Allocator => {
            prerequisites::check(prerequisites::BUILD)?;
            bench_allocator::run(arguments.rounds)
        }
    }
}

fn micro(passed_on: &[String]) -> Outcome {
    prerequisites::check(prerequisites::BUILD)?;
    run_command(cargo(["bench", "--package", "preheat", "--bench", "micro", "--"]).args(passed_on))
}

fn scale(passed_on: &[String]) -> Outcome {
    prerequisites::check(prerequisites::BUILD)?;
    run_command(cargo(["run", "--release", "--package", "preheat-cache", "--example", "scale", "--"]).args(passed_on))
}
