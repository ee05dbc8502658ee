//! What does each compile effort cost, and how fast does its code run? `cargo xtask bench effort`
//! compiles the demo model at each effort, for XLA:CPU and for a TPU that this machine does not
//! have. With `--full` it also compiles models with the shapes of Stable Diffusion 1.5 and XL.
//!
//! Each compile runs once. On XLA:CPU, a run on the warm cache then gives the time of a load and of
//! a step. For the TPU, neither is measured.

use std::path::Path;
use std::process::Command;

use crate::bench_process::{Measured, measured};
use crate::command::{Failure, Outcome, root, run as run_command};
use crate::figure::{Figure, Target};
use crate::model::{Model, Size};
use crate::preheat::{Preheat, json, number, stages};
use crate::{machine, table};

const TPU: &str = "tpu:v5e:1x1";
const CPU: &str = "xla-cpu";

/// The efforts that differ on a TPU. The others are compared with the last one.
const ON_TPU: [&str; 3] = ["fast", "balanced", "full"];
/// The efforts that differ on XLA:CPU.
const ON_CPU: [&str; 2] = ["fast", "full"];

/// The largest allowed ratio of the fast effort's processor time to the full effort's, for models
/// of real size on a TPU.
const FAST_TARGET: f64 = 1.0 / 7.0;

pub fn run(
    model: Option<&Path>,
    preheat: Option<&Path>,
    full: bool,
    steps: u32,
) -> Outcome<Vec<Figure>> {
    let preheat = Preheat::given_or_built(preheat)?;
    for plugin in ["tpu", "xla-cpu"] {
        run_command(&mut preheat.command(["plugins", "install", plugin]))?;
    }
    println!("{}", machine::description());
    let mut models = Vec::new();
    let of = |model, on_tpu, on_cpu| (model, Some(square(on_tpu)), Some(square(on_cpu)));
    if model.is_some() {
        models.push(of(Model::given_or_made(model)?, 512, 256));
    } else {
        let demo = Model::given_or_made(Some(&root().join("examples/demo-model")))?;
        models.push((demo, None, None));
    }
    if full {
        models.push(of(Model::made("sd15")?, 512, 256));
        models.push(of(Model::made("sdxl")?, 1024, 256));
    }
    let mut rows = Vec::new();
    for (model, on_tpu, on_cpu) in &models {
        for effort in ON_TPU {
            rows.push(Bench { preheat: &preheat, model, effort }.ahead(*on_tpu)?);
        }
        for effort in ON_CPU {
            rows.push(Bench { preheat: &preheat, model, effort }.here(*on_cpu, steps)?);
        }
    }
    println!("\nall stages of a guided request, each compiled once, one after the other");
    table::print(
        ["model", "for", "effort", "wall s", "CPU s", "peak GB", "stored MB", "load s", "step s"],
        &rows.iter().map(Row::cells).collect::<Vec<_>>(),
    );
    Ok(figures(&rows))
}

fn square(side_px: u32) -> Size {
    Size { width: side_px, height: side_px }
}

/// The time, memory and bytes that one effort took for all stages of a model.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    model: String,
    target: &'static str,
    effort: &'static str,
    wall_seconds: f64,
    cpu_seconds: f64,
    peak_bytes: f64,
    stored_bytes: f64,
    /// The time to load all stages in a later process; `None` if this machine lacks the hardware.
    load_seconds: Option<f64>,
    step_seconds: Option<f64>,
}

impl Row {
    fn cells(&self) -> [String; 9] {
        let known = |seconds: Option<f64>| seconds.map_or_else(String::new, |s| format!("{s:.3}"));
        [
            self.model.clone(),
            self.target.to_owned(),
            self.effort.to_owned(),
            format!("{:.1}", self.wall_seconds),
            format!("{:.1}", self.cpu_seconds),
            format!("{:.2}", self.peak_bytes / 1e9),
            format!("{:.1}", self.stored_bytes / 1e6),
            known(self.load_seconds),
            known(self.step_seconds),
        ]
    }
}

/// The ratios of each effort to the full one.
fn figures(rows: &[Row]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for row in rows.iter().filter(|row| row.effort != "full") {
        let is_like = |other: &&Row| {
            (&other.model, other.target, other.effort) == (&row.model, row.target, "full")
        };
        let Some(full) = rows.iter().find(is_like) else { continue };
        let name = format!("{} for {}, {} over full", row.model, row.target, row.effort);
        let of_a_real_model = row.model.starts_with("sd") && row.target == TPU;
        let target = (of_a_real_model && row.effort == "fast").then_some(FAST_TARGET);
        let ratio = row.cpu_seconds / full.cpu_seconds;
        figures.push(Figure::ratio(format!("{name}: CPU"), ratio, target.map(Target::AtMost)));
        if let Some((own, full)) = row.step_seconds.zip(full.step_seconds) {
            figures.push(Figure::ratio(format!("{name}: step"), own / full, None));
        }
    }
    figures
}

/// One effort of one model.
struct Bench<'a> {
    preheat: &'a Preheat,
    model: &'a Model,
    effort: &'static str,
}

impl Bench<'_> {
    /// Compiles every stage for a TPU that this machine does not have.
    fn ahead(&self, size: Option<Size>) -> Outcome<Row> {
        let cache = folder()?;
        let mut warm = self.command(cache.path());
        warm.args(["warmup", "--aot", TPU, "--jobs", "1", "--model"]).arg(self.model.folder());
        if let Some(size) = size {
            warm.args(["--resolutions", &size.to_string()]);
        }
        self.row(TPU, cache.path(), &measured(&mut warm)?)
    }

    /// Warms a request on XLA:CPU, which compiles every stage, and then runs it from the cache.
    fn here(&self, size: Option<Size>, steps: u32) -> Outcome<Row> {
        let cache = folder()?;
        let warm = || {
            let mut warm = self.command(cache.path());
            warm.args(["--device", CPU, "warmup", "--model"]).arg(self.model.folder());
            if let Some(Size { width, height }) = size {
                warm.args(["--width", &width.to_string(), "--height", &height.to_string()]);
            }
            warm
        };
        let row = self.row(CPU, cache.path(), &measured(&mut warm())?)?;
        let mut run = self.command(cache.path());
        run.args(["--device", CPU, "run", "--prompt", "seven", "--scheduler", "euler"]);
        run.args(["--steps", &steps.to_string(), "--output"]).arg(cache.path().join("out.png"));
        run.arg("--model").arg(self.model.folder());
        if let Some(Size { width, height }) = size {
            run.args(["--width", &width.to_string(), "--height", &height.to_string()]);
        }
        let ran = measured(&mut run)?.result;
        Ok(Row {
            load_seconds: Some(sum(&ran, "/load_seconds")?),
            step_seconds: Some(number(&ran, "/timings/seconds_per_step")?),
            ..row
        })
    }

    fn command(&self, cache: &Path) -> Command {
        let mut command = self.preheat.command(["--json", "--quiet", "--cache-dir"]);
        command.arg(cache).args(["--compile-effort", self.effort]);
        command
    }

    fn row(&self, target: &'static str, cache: &Path, done: &Measured) -> Outcome<Row> {
        let mut stored_bytes = 0.0;
        for stage in stages(&done.result)? {
            if stage["source"] != "compiled" {
                return Err(Failure::new(format!(
                    "the stage should have been compiled:\n{stage:#}"
                )));
            }
            let key = stage["graph_key"].as_str().unwrap_or_default();
            let record = json(self.command(cache).args(["cache", "show", key]))?;
            stored_bytes += number(&record, "/object/stored_bytes")?;
        }
        #[expect(clippy::cast_precision_loss, reason = "a figure for reading")]
        let peak_bytes = done.peak_bytes as f64;
        Ok(Row {
            model: self.model.name(),
            target,
            effort: self.effort,
            wall_seconds: done.wall_seconds,
            cpu_seconds: done.cpu_seconds,
            peak_bytes,
            stored_bytes,
            load_seconds: None,
            step_seconds: None,
        })
    }
}

/// The sum of one figure over all stages.
fn sum(document: &serde_json::Value, pointer: &str) -> Outcome<f64> {
    stages(document)?.iter().map(|stage| number(stage, pointer)).sum()
}

fn folder() -> Outcome<tempfile::TempDir> {
    tempfile::tempdir().map_err(Failure::context("no temporary folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(target: &'static str, effort: &'static str, cpu_seconds: f64) -> Row {
        let step_seconds = (target == CPU).then_some(cpu_seconds / 10.0);
        Row {
            model: "sd15".to_owned(),
            target,
            effort,
            wall_seconds: 1.0,
            cpu_seconds,
            peak_bytes: 2e9,
            stored_bytes: 3e6,
            load_seconds: None,
            step_seconds,
        }
    }

    #[test]
    fn each_effort_is_compared_with_the_full_one_of_the_same_target() {
        let rows = [
            row(TPU, "fast", 28.0),
            row(TPU, "full", 240.0),
            row(CPU, "fast", 8.0),
            row(CPU, "full", 10.0),
        ];
        let figures = figures(&rows);
        let told: Vec<_> =
            figures.iter().map(|figure| (&*figure.name, figure.value, figure.holds())).collect();
        assert_eq!(
            told,
            [
                ("sd15 for tpu:v5e:1x1, fast over full: CPU", 28.0 / 240.0, Some(true)),
                ("sd15 for xla-cpu, fast over full: CPU", 0.8, None),
                ("sd15 for xla-cpu, fast over full: step", 0.8, None),
            ]
        );
    }

    #[test]
    fn a_row_tells_what_is_known() {
        let cells = row(TPU, "fast", 28.0).cells();
        assert_eq!(cells[2..], ["fast", "1.0", "28.0", "2.00", "3.0", "", ""].map(str::to_owned));
    }
}
