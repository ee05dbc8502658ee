//! How much time and memory does a process of a bench take, and what does it print?

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use wait4::Wait4 as _;

use crate::command::{Failure, Outcome, cargo, output, spelled};
use crate::preheat::parse_json;

/// Builds a bench, and returns the path that cargo reports for it.
pub fn bench_program(bench: &str) -> Outcome<PathBuf> {
    let mut build = cargo(["bench", "--package", "preheat", "--no-run", "--bench", bench]);
    build.arg("--message-format=json-render-diagnostics");
    eprintln!("$ {}", spelled(&build));
    let messages = output(&mut build)?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == bench)
        .find_map(|message| message["executable"].as_str().map(|path| Path::new(path).to_owned()))
        .ok_or_else(|| {
            Failure::new(format!("cargo built {bench} and did not say where the program is"))
        })
}

/// The output of a process, and the resources that it used.
pub struct Measured {
    /// The JSON that it printed.
    pub result: Value,
    /// Seconds from the start of the process to its end, as its parent sees them.
    pub wall_seconds: f64,
    /// Processor time in user and system mode, over all threads.
    pub cpu_seconds: f64,
    /// The most memory that was resident at once.
    pub peak_bytes: u64,
}

/// Runs a command that prints JSON, and measures its process.
pub fn measured(command: &mut Command) -> Outcome<Measured> {
    let spelled = spelled(command);
    let failed = |what: &str| Failure::context(format!("`{spelled}` {what}"));
    let began = Instant::now();
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(failed("could not be started"))?;
    let mut text = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut text).map_err(failed("printed no text"))?;
    }
    let used = child.wait4().map_err(failed("could not be waited for"))?;
    let wall_seconds = began.elapsed().as_secs_f64();
    if !used.status.success() {
        return Err(Failure::new(format!(
            "this command failed ({}); to repeat it:\n  {spelled}\n{text}",
            used.status
        )));
    }
    Ok(Measured {
        result: parse_json(&text)
            .ok_or_else(|| Failure::new(format!("`{spelled}` printed no JSON:\n{text}")))?,
        wall_seconds,
        cpu_seconds: (used.rusage.utime + used.rusage.stime).as_secs_f64(),
        peak_bytes: used.rusage.maxrss,
    })
}

/// A process that runs during a whole bench, and works only when it receives a line. So programs
/// that take long to start can still be measured in turns. The process prints one line of JSON when
/// it is ready, and one for each line that it receives.
pub struct Resident {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    spelled: String,
}

impl Resident {
    /// Starts the process, waits until it is ready, and returns the JSON that it then prints.
    pub fn start(command: &mut Command) -> Outcome<(Self, Value)> {
        let spelled = spelled(command);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child =
            started.map_err(Failure::context(format!("`{spelled}` could not be started")))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) =
            pipes.ok_or_else(|| Failure::new(format!("`{spelled}` has no pipes")))?;
        let mut resident = Self { child, input, output: BufReader::new(output), spelled };
        let ready = resident.answer()?;
        Ok((resident, ready))
    }

    /// Sends a line, and waits for the answer.
    pub fn ask(&mut self, line: &str) -> Outcome<Value> {
        let sent = writeln!(self.input, "{line}").and_then(|()| self.input.flush());
        sent.map_err(Failure::context(format!("`{}` no longer reads its input", self.spelled)))?;
        self.answer()
    }

    fn answer(&mut self) -> Outcome<Value> {
        let mut line = String::new();
        while self.output.read_line(&mut line).map_err(Failure::context(self.spelled.clone()))? > 0
        {
            if let Some(value) = parse_json(&line).filter(Value::is_object) {
                return Ok(value);
            }
            line.clear();
        }
        Err(Failure::new(format!("`{}` ended without an answer", self.spelled)))
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        // A kill frees its gigabytes of memory at once, and the process has no data to lose.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The median: the middle value, or the mean of the two middle values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

/// A median of bytes, in megabytes.
pub fn megabytes(bytes: impl IntoIterator<Item = u64>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "figures for reading; exact up to 2^53 bytes")]
    let bytes = bytes.into_iter().map(|bytes| bytes as f64);
    format!("{:.1}", median(bytes) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median([]).is_nan());
    }
}
