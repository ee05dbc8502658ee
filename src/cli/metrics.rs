//! What did a command do, and how long did each part take? `--tpu-debug-metrics` prints it as
//! numbers, and `--trace` writes it as spans of time.

use std::collections::BTreeMap;
use std::path::Path;

use indicatif::HumanBytes;
use serde::Serialize;

use super::CliError;
use super::context::Context;
use super::output::{self, line, seconds, table};
use preheat_runtime::trace::Trace;
use preheat_runtime::{Graph, Metric, Metrics, Runtime, StageReport, Summary};

/// The figures of an executable that the text output shows, in this order; `--json` has all.
const FIGURES: [&str; 9] = [
    "flops",
    "bytes accessed",
    "instructions",
    "fusions",
    "generated_code_bytes",
    "arguments_bytes",
    "outputs_bytes",
    "aliases_bytes",
    "temporaries_bytes",
];

impl Context {
    /// The metrics of `runtime`, if `--tpu-debug-metrics` asks for them. With `--trace` the call
    /// also waits for events that the device has yet to report, so that they are in the trace.
    pub(super) fn metrics(&self, runtime: &Runtime) -> Option<Metrics> {
        let metrics =
            (self.args.tpu_debug_metrics || self.trace.is_some()).then(|| runtime.metrics());
        metrics.filter(|_| self.args.tpu_debug_metrics)
    }
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Timings {
    pub(super) executables_ready_seconds: f64,
    /// From the start of the process until the inputs were where the executable reads them; 0 if
    /// nothing ran.
    pub(super) weights_ready_seconds: f64,
    pub(super) first_step_seconds: f64,
    pub(super) seconds_per_step: f64,
    pub(super) total_seconds: f64,
}

/// The metrics of programs for `--json`. The figures of a single program carry no name, because
/// there is no other program.
pub(super) fn of_programs(mut metrics: Metrics) -> BTreeMap<String, f64> {
    let single = metrics.executables.len() == 1;
    let own = if single { std::mem::take(&mut metrics.executables) } else { BTreeMap::new() };
    let mut flat = metrics.flat();
    flat.extend(own.into_values().flatten());
    flat
}

/// Prints timings and metrics as text.
pub(super) fn print(
    timings: &Timings,
    stages: &[&StageReport],
    metrics: &Metrics,
) -> Result<(), CliError> {
    for (name, value) in timing_rows(timings, stages) {
        line(&format!("  {name:<36} {value}"))?;
    }
    let mut rows = table(&["", "metric", "of", "samples", "total", "p50", "p99"]);
    for ((metric, of), summary) in &metrics.measured {
        let Summary { samples, total, p50, p99, .. } = *summary;
        let [total, p50, p99] = [total, p50, p99].map(|value| amount(*metric, value));
        rows.add_row([
            "",
            metric.name(),
            of.as_deref().unwrap_or("all"),
            &samples.to_string(),
            &total,
            &p50,
            &p99,
        ]);
    }
    for (counter, count) in &metrics.counters {
        rows.add_row(["", counter, "all", &count.to_string()]);
    }
    rows.print()?;
    let mut header = vec!["", "executable"];
    header.extend(metrics.executables.keys().map(String::as_str));
    let mut rows = table(&header);
    for figure in FIGURES {
        if metrics.executables.values().any(|figures| figures.contains_key(figure)) {
            let shown = |figures: &BTreeMap<String, f64>| {
                figures.get(figure).map_or_else(String::new, f64::to_string)
            };
            let row = [String::new(), figure.to_owned()].into_iter();
            rows.add_row(row.chain(metrics.executables.values().map(shown)));
        }
    }
    rows.print()?;
    for (name, &bytes) in &metrics.device_memory {
        line(&format!("  device {:<29} {}", name.replace('_', " "), HumanBytes(bytes)))?;
    }
    Ok(())
}

fn timing_rows(timings: &Timings, stages: &[&StageReport]) -> Vec<(String, String)> {
    let mut rows =
        vec![("executables ready".to_owned(), seconds(timings.executables_ready_seconds))];
    for stage in stages {
        let of = if stages.len() == 1 { String::new() } else { format!("{}: ", stage.stage) };
        rows.push((format!("{of}compile"), seconds(stage.compile_seconds)));
        rows.push((format!("{of}load"), seconds(stage.load_seconds)));
    }
    let mut push = |name: &str, value: f64| rows.push((name.to_owned(), seconds(value)));
    if timings.first_step_seconds > 0.0 {
        if stages.iter().all(|stage| stage.stage == Graph::DEFAULT_STAGE) {
            push(
                "warmup and transfer",
                timings.weights_ready_seconds - timings.executables_ready_seconds,
            );
            push("run, results read back", timings.first_step_seconds);
        } else {
            push("weights ready", timings.weights_ready_seconds);
            push("first step", timings.first_step_seconds);
            push("each step after it", timings.seconds_per_step);
        }
    }
    rows.push(("total".to_owned(), seconds(timings.total_seconds)));
    rows
}

fn amount(metric: Metric, value: f64) -> String {
    if metric.unit() == "bytes" {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a sum of lengths"
        )]
        let bytes = value as u64;
        return HumanBytes(bytes).to_string();
    }
    if value < 0.001 { format!("{:.0} us", value * 1e6) } else { seconds(value) }
}

/// Writes the trace, even if the command failed, because the trace shows what led to the failure.
/// An empty trace is not written.
pub(super) fn write_trace(trace: &Trace, path: &Path) -> Result<(), CliError> {
    if trace.is_empty() {
        return Ok(());
    }
    let failed =
        |cause| CliError::File { doing: "writing the trace to", path: path.to_owned(), cause };
    output::write(path, &trace.to_json()).map_err(failed)
}
