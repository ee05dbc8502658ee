//! How does a developer set preheat up, test it and measure it? `cargo xtask --help` lists the
//! tasks.
//!
//! Every task runs commands that a person could type. The important ones are printed before they
//! run, so that they can be repeated alone. Each subcommand has its own file. [`command`] runs
//! commands, and [`preheat`] runs the built binary and reads its JSON.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program prints text for people"
)]

mod bench;
mod bench_ahead;
mod bench_all;
mod bench_allocator;
mod bench_effort;
mod bench_evidence;
mod bench_plugin;
mod bench_process;
mod comfyui;
mod command;
mod demo;
mod figure;
mod frameworks;
mod machine;
mod model;
mod peers;
mod pipeline_ready;
mod pipeline_sizes;
mod pipeline_step;
mod pipeline_sync;
mod preheat;
mod prerequisites;
mod python;
mod remote_servers;
mod setup;
mod storm;
mod table;
mod test;
mod torch;
mod warm_start;
mod xla_rs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Set-up, tests, benches and the demo of preheat.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install native plugins into the user's data folder, where every clone finds them.
    Setup(setup::Arguments),
    /// Run all checks of continuous integration: format, clippy, tests, documentation.
    Test(test::Arguments),
    /// Compile example programs and the demo model, run them again in new processes, and show both
    /// side by side.
    Demo,
    /// Let many processes work on one store, kill many of them at any moment, and check that
    /// nothing is damaged, lost or left over.
    Storm(storm::Arguments),
    /// Run a benchmark, or all of them with one table at the end.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Setup(arguments) => setup::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Demo => demo::run(),
        Task::Storm(arguments) => storm::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nerror: {failure}");
            ExitCode::FAILURE
        }
    }
}
