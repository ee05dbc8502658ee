//! `cargo xtask test`: every check in a row, each timed; the first failure ends it.

use std::process::Command;
use std::time::Instant;

use crate::command::{Failure, Outcome, cargo, run as run_command};
use crate::setup::{Profile, install};
use crate::{prerequisites, table};

#[derive(clap::Args)]
pub struct Arguments {
    /// Passed to the test programs, such as a part of a test's name.
    #[arg(last = true)]
    passed_on: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut steps = Steps::default();
    let outcome = all_steps(&mut steps, &arguments.passed_on);
    steps.print_summary();
    outcome
}

/// What is checked, cheapest first, so that a slip in the format does not wait for a download.
fn all_steps(steps: &mut Steps, test_arguments: &[String]) -> Outcome {
    steps.step("prerequisites", || prerequisites::check(prerequisites::TEST))?;
    steps.command("format", &mut cargo(["fmt", "--all", "--check"]))?;
    steps.command("clippy", &mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    steps.command("set-up xla-cpu", &mut install("xla-cpu", Profile::Debug))?;
    steps.command("set-up tpu", &mut install("tpu", Profile::Debug))?;
    let mut tests = cargo(["test", "--workspace"]);
    if !test_arguments.is_empty() {
        tests.arg("--").args(test_arguments);
    }
    steps.command("tests", &mut tests)?;
    steps.command("docs", cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// The steps so far, with their seconds and whether they passed.
#[derive(Default)]
struct Steps {
    done: Vec<[String; 3]>,
}

impl Steps {
    fn command(&mut self, name: &str, command: &mut Command) -> Outcome {
        self.step(name, || run_command(command))
    }

    fn step(&mut self, name: &str, work: impl FnOnce() -> Outcome) -> Outcome {
        eprintln!("\n== {name}");
        let began = Instant::now();
        let outcome = work();
        let seconds = format!("{:.1} s", began.elapsed().as_secs_f64());
        let verdict = if outcome.is_ok() { "passed" } else { "FAILED" };
        eprintln!("== {name}: {verdict} in {seconds}");
        self.done.push([name.to_owned(), seconds, verdict.to_owned()]);
        outcome.map_err(Failure::context(format!("step `{name}`")))
    }

    fn print_summary(&self) {
        println!();
        table::print(["step", "time", "outcome"], &self.done);
    }
}
