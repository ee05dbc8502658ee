//! How much memory does the binary's allocator cost over 200 steps, and how much time does it save?
//! `cargo xtask bench allocator` measures both.
//!
//! The same steps run on the system's malloc, as in a program that links the library, on jemalloc
//! with the binary's settings, and on jemalloc with huge pages.

use std::process::Command;

use serde_json::Value;

use crate::bench_process::{bench_program, measured, median, megabytes};
use crate::command::{Failure, Outcome, command, root};
use crate::figure::Figure;
use crate::preheat::number;
use crate::{machine, table};

/// The sides: for each, a title, the bench that runs, and the options that override jemalloc's
/// settings.
const SIDES: [(&str, &str, &str); 3] = [
    ("the system's malloc", "allocator-system", ""),
    ("jemalloc, as the binary has it", "allocator-jemalloc", ""),
    (
        "  with huge pages, freed ones kept",
        "allocator-jemalloc",
        "thp:always,metadata_thp:always,dirty_decay_ms:-1",
    ),
];

pub fn run(rounds: u32) -> Outcome<Vec<Figure>> {
    let benches = [bench_program("allocator-system")?, bench_program("allocator-jemalloc")?];
    let work = tempfile::tempdir().map_err(Failure::context("no temporary folder"))?;
    let side = |bench: &str, settings: &str| -> Command {
        let executable = &benches[usize::from(bench == "allocator-jemalloc")];
        let mut command = command(executable, [work.path()]);
        command.arg(root().join("examples/programs/unet_step.mlir"));
        if !settings.is_empty() {
            // jemalloc reads its options from this variable if its functions were built without a
            // prefix.
            command.env("MALLOC_CONF", settings);
        }
        command
    };
    measured(&mut side("allocator-system", ""))?;
    let mut results = [const { Vec::new() }; SIDES.len()];
    for round in 0..rounds as usize {
        eprintln!("round {} of {rounds}", round + 1);
        for turn in 0..SIDES.len() {
            let index = (round + turn) % SIDES.len();
            let (_, bench, settings) = SIDES[index];
            let result = measured(&mut side(bench, settings))?.result;
            if result["hit"] != Value::Bool(true) {
                return Err(Failure::new(format!(
                    "{bench} did not load from its cache:\n{result:#}"
                )));
            }
            results[index].push(result);
        }
    }
    print(&results)
}

fn print(results: &[Vec<Value>; SIDES.len()]) -> Outcome<Vec<Figure>> {
    println!("{}", machine::description());
    println!("\nunet_step.mlir, 200 steps: resident MB, medians of {} rounds", results[0].len());
    let (mut rows, mut figures) = (Vec::new(), Vec::new());
    for ((title, ..), results) in std::iter::zip(SIDES, results) {
        let bytes =
            |name: &str| megabytes(results.iter().map(|result| result[name].as_u64().unwrap_or(0)));
        let seconds = |name: &str| {
            results.iter().map(|result| number(result, name)).collect::<Outcome<Vec<f64>>>()
        };
        let step = median(seconds("/seconds_per_step")?) * 1e3;
        figures.push(Figure::of(format!("{}: a step", title.trim()), step, "ms", None));
        rows.push([
            title.to_owned(),
            bytes("start_bytes"),
            bytes("loaded_bytes"),
            bytes("end_bytes"),
            bytes("peak_bytes"),
            format!("{:.3}", median(seconds("/load_seconds")?)),
            format!("{step:.2}"),
        ]);
    }
    table::print(
        ["allocator", "at start", "loaded", "at the end", "peak", "load s", "step ms"],
        &rows,
    );
    Ok(figures)
}
