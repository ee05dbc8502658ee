//! `cargo xtask demo`: compiles the example programs in one set of processes, loads them in another, compares.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{Failure, Outcome, root, run as run_command};
use crate::preheat::{Preheat, json, number, sources, stages};
use crate::setup::{Profile, install};
use crate::{prerequisites, table};

pub fn run() -> Outcome {
    prerequisites::check(prerequisites::BUILD)?;
    let preheat = Preheat::build()?;
    run_command(&mut install("xla-cpu", Profile::Release))?;
    let programs = programs()?;
    let cache_dir = tempfile::tempdir().map_err(Failure::context("no temporary folder for the cache"))?;
    let demo = Demo { preheat, cache_dir: cache_dir.path() };

    eprintln!("\ncold: each program in a process of its own, into an empty cache");
    let cold = programs.iter().map(|program| demo.run_program(program)).collect::<Outcome<Vec<_>>>()?;
    let compiles_cold = demo.compiles()?;
    eprintln!("warm: the same again, in new processes");
    let warm = programs.iter().map(|program| demo.run_program(program)).collect::<Outcome<Vec<_>>>()?;
    let compiles_warm = demo.compiles()? - compiles_cold;

    println!();
    print_comparison(&programs, &cold, &warm)?;
    println!();
    run_command(&mut demo.command(&["cache", "stats"]))?;
    println!("\n{compiles_cold} compiles in the cold processes, {compiles_warm} in the warm ones.");
    if compiles_warm != 0.0 {
        return Err(Failure::new("a warm process compiled: the cache did not do its work"));
    }
    if let Some(compiled) = warm.iter().find(|run| sources(run).is_ok_and(|sources| sources.contains("compiled"))) {
        return Err(Failure::new(format!("a warm process says that it compiled:\n{compiled:#}")));
    }
    Ok(())
}

/// The example programs, by name.
fn programs() -> Outcome<Vec<PathBuf>> {
    let folder = root().join("examples/programs");
    let entries = std::fs::read_dir(&folder).map_err(Failure::context(format!("cannot read {}", folder.display())))?;
    let mut programs: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    programs.retain(|path| path.extension().is_some_and(|extension| extension == "mlir"));
    programs.sort();
    if programs.is_empty() {
        return Err(Failure::new(format!("there are no .mlir programs in {}", folder.display())));
    }
    Ok(programs)
}

struct Demo<'a> {
    preheat: Preheat,
    cache_dir: &'a Path,
}

impl Demo<'_> {
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.preheat.command(["--cache-dir"]);
        command.arg(self.cache_dir).args(arguments);
        command
    }

    fn run_program(&self, program: &Path) -> Outcome<Value> {
        let mut command = self.command(&["--device", "xla-cpu", "--json", "program", "run"]);
        json(command.arg(program))
    }

    /// How often the processes so far compiled, from the statistics that outlive them.
    fn compiles(&self) -> Outcome<f64> {
        number(&json(&mut self.command(&["--json", "cache", "stats"]))?, "/compiles")
    }
}

fn print_comparison(programs: &[PathBuf], cold: &[Value], warm: &[Value]) -> Outcome {
    let mut rows = Vec::new();
    for ((program, cold), warm) in programs.iter().zip(cold).zip(warm) {
        let cold_seconds = number(cold, "/timings/executables_ready_seconds")?;
        let warm_seconds = number(warm, "/timings/executables_ready_seconds")?;
        let compile_seconds: f64 = stages(cold)?.iter().filter_map(|stage| stage["compile_seconds"].as_f64()).sum();
        rows.push([
            program.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            table::seconds(compile_seconds),
            table::seconds(cold_seconds),
            sources(cold)?,
            table::seconds(warm_seconds),
            sources(warm)?,
            format!("{:.1} x", cold_seconds / warm_seconds),
        ]);
    }
    table::print(["program", "compile", "cold start", "from", "warm start", "from", "faster"], &rows);
    println!("A start runs from the beginning of the process's main until the executable can be called.");
    Ok(())
}
