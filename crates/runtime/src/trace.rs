//! What happened in a run, and when?
//!
//! The answer is a trace in the JSON that Perfetto (<https://ui.perfetto.dev>) and Chrome's
//! `about:tracing` read. A [`Trace`] is given to
//! [`RuntimeBuilder::trace`](crate::RuntimeBuilder::trace). The runtime and the pipeline then add
//! spans for their work, and so can any code that holds a clone. Each span is on a row, and the
//! code that adds a span names the row. These are the rows of the runtime and the pipeline:
//!
//! | row | holds |
//! |---|---|
//! | a stage, such as `denoiser`; for a program, its name | how its executable was obtained: `request`, and in it `lower`, `load`, `compile` |
//! | `weights` | how each stage's weights were read and moved to the device |
//! | `to device`, `from device` | each transfer; a transfer to the device ends when the device has the tensor |
//! | `host` | what the host did for each step, and where it waited for the device |
//! | `steps: NAME`, such as `steps: diffusion_step` | each step as the device took it, from its completion events |
//! | `device` | each execution, from when the device was free for it until it had finished |
//!
//! ```
//! use preheat_runtime::trace::{Span, Trace};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let trace = Trace::default();
//! let reading = trace.begin("disk", "read the prompts"); // until it is dropped
//! drop(reading);
//! let began = std::time::Instant::now();
//! // A span that another device reports after its end:
//! trace.add(Span::new("cuda:0", "denoiser", began, began.elapsed()).with("batch", 2));
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("trace.json");
//! trace.write(&path)?;
//! # Ok(())
//! # }
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The largest number of spans that are kept: a few hundred megabytes of JSON. A program that runs
/// for days should not run out of memory because of its trace.
const MOST_SPANS: usize = 1 << 20;

/// Spans of time, collected from any thread. A clone adds to the same trace.
#[derive(Debug, Clone)]
pub struct Trace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    spans: Mutex<Spans>,
}

#[derive(Debug, Default)]
struct Spans {
    all: Vec<Recorded>,
    /// The number of further spans, which were not kept.
    dropped: u64,
}

#[derive(Debug)]
struct Recorded {
    row: Cow<'static, str>,
    name: Cow<'static, str>,
    began: Instant,
    /// `None` while the span goes on.
    ended: Option<Instant>,
    details: Vec<(&'static str, Value)>,
}

/// A span of time that is over.
#[derive(Debug, Clone)]
pub struct Span {
    row: Cow<'static, str>,
    name: Cow<'static, str>,
    began: Instant,
    took: Duration,
    details: Vec<(&'static str, Value)>,
}

impl Span {
    /// Makes a span called `name` on the row `row`.
    pub fn new(
        row: impl Into<Cow<'static, str>>,
        name: impl Into<Cow<'static, str>>,
        began: Instant,
        took: Duration,
    ) -> Self {
        Self { row: row.into(), name: name.into(), began, took, details: Vec::new() }
    }

    /// Adds a detail, such as a number of bytes, which a viewer shows with the span.
    #[must_use]
    pub fn with(mut self, detail: &'static str, value: impl Into<Value>) -> Self {
        self.details.push((detail, value.into()));
        self
    }
}

/// A span that goes on until this is dropped. A span that still goes on when the trace is written
/// is marked as unfinished.
#[derive(Debug)]
#[must_use = "the span ends where this is dropped"]
pub struct Going {
    trace: Trace,
    /// `None` if the trace is full.
    at: Option<usize>,
}

impl Drop for Going {
    fn drop(&mut self) {
        let ended = Instant::now();
        let mut spans = self.trace.spans();
        if let Some(span) = self.at.and_then(|at| spans.all.get_mut(at)) {
            span.ended = Some(ended);
        }
    }
}

impl Default for Trace {
    /// A trace whose time starts now.
    fn default() -> Self {
        Self::since(Instant::now())
    }
}

impl Trace {
    /// A trace whose time starts at `began`, such as the start of the process.
    pub fn since(began: Instant) -> Self {
        Self(Arc::new(Inner { began, spans: Mutex::default() }))
    }

    /// Begins a span that ends when the returned value is dropped.
    pub fn begin(
        &self,
        row: impl Into<Cow<'static, str>>,
        name: impl Into<Cow<'static, str>>,
    ) -> Going {
        let (row, name) = (row.into(), name.into());
        let at = self.push(Recorded {
            row,
            name,
            began: Instant::now(),
            ended: None,
            details: Vec::new(),
        });
        Going { trace: self.clone(), at }
    }

    /// Adds a span that is over.
    pub fn add(&self, span: Span) {
        let Span { row, name, began, took, details } = span;
        self.push(Recorded { row, name, began, ended: Some(began + took), details });
    }

    /// Whether the trace has no spans.
    pub fn is_empty(&self) -> bool {
        self.spans().all.is_empty()
    }

    fn push(&self, span: Recorded) -> Option<usize> {
        let mut spans = self.spans();
        if spans.all.len() >= MOST_SPANS {
            spans.dropped += 1;
            return None;
        }
        spans.all.push(span);
        Some(spans.all.len() - 1)
    }

    fn spans(&self) -> MutexGuard<'_, Spans> {
        // No change of this state can panic before it is complete.
        self.0.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the spans so far, in the form of [`Self::to_json`]. A regular file appears whole or
    /// not at all; a device or a pipe is written into.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        preheat_io::result_file::write_whole(path, &self.to_json())
    }

    /// The spans so far, in the form that Perfetto and Chrome read.
    pub fn to_json(&self) -> Vec<u8> {
        self.document().to_string().into_bytes()
    }

    /// The trace in Chrome's format: complete events, in microseconds. The format has threads in
    /// place of rows, so each row becomes one or more threads of this process.
    fn document(&self) -> Value {
        let spans = self.spans();
        let pid = std::process::id();
        let mut events = vec![
            json!({"ph": "M", "pid": pid, "name": "process_name", "args": {"name": "preheat"}}),
        ];
        let lanes = lanes(&spans.all, Instant::now());
        for (tid, (row, number)) in lanes.threads.iter().enumerate() {
            let name =
                if *number == 0 { (*row).to_owned() } else { format!("{row} ({})", number + 1) };
            events.push(json!({"ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": {"name": name}}));
            events.push(
                json!({"ph": "M", "pid": pid, "tid": tid, "name": "thread_sort_index", "args": {"sort_index": tid}}),
            );
        }
        for (tid, ended, span) in &lanes.placed {
            let mut details: serde_json::Map<String, Value> = span
                .details
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect();
            if span.ended.is_none() {
                details.insert("unfinished".to_owned(), true.into());
            }
            let (began, ended) = (self.microseconds(span.began), self.microseconds(*ended));
            events.push(json!({
                "ph": "X", "pid": pid, "tid": tid, "cat": span.row, "name": span.name,
                "ts": began, "dur": ended - began, "args": details,
            }));
        }
        json!({"traceEvents": events, "displayTimeUnit": "ms", "otherData": {
            "version": env!("CARGO_PKG_VERSION"), "dropped_spans": spans.dropped,
        }})
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "whole nanoseconds of a process's life; exact for a hundred days"
    )]
    fn microseconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.0.began).as_nanos() as f64 / 1e3
    }
}

/// The spans, each with the thread that it is drawn on.
struct Lanes<'a> {
    /// For each thread, its row, and its position among the row's threads.
    threads: Vec<(&'a str, usize)>,
    /// Thread, end and span, in the order in which the spans began.
    placed: Vec<(usize, Instant, &'a Recorded)>,
}

/// Assigns each span to a thread of its row. A span may lie within another on the same thread, but
/// spans that overlap only in part cannot be drawn on one thread and get different ones.
fn lanes(spans: &[Recorded], now: Instant) -> Lanes<'_> {
    let mut sorted: Vec<(Instant, &Recorded)> =
        spans.iter().map(|span| (span.ended.unwrap_or(now), span)).collect();
    // If two spans begin at the same time, the longer one is the outer one.
    sorted.sort_by(|(a_ended, a), (b_ended, b)| a.began.cmp(&b.began).then(b_ended.cmp(a_ended)));
    let mut lanes = Lanes { threads: Vec::new(), placed: Vec::with_capacity(sorted.len()) };
    // For each row its threads, and for each thread the ends of the spans that go on there, the
    // innermost last.
    let mut rows: BTreeMap<&str, Vec<(usize, Vec<Instant>)>> = BTreeMap::new();
    for (ended, span) in sorted {
        let row = rows.entry(&span.row).or_default();
        let fitting = row.iter_mut().find_map(|(tid, open)| {
            while open.last().is_some_and(|end| *end <= span.began) {
                open.pop();
            }
            open.last().is_none_or(|end| *end >= ended).then_some((*tid, open))
        });
        let tid = if let Some((tid, open)) = fitting {
            open.push(ended);
            tid
        } else {
            let tid = lanes.threads.len();
            lanes.threads.push((&span.row, row.len()));
            row.push((tid, vec![ended]));
            tid
        };
        lanes.placed.push((tid, ended, span));
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(trace: &Trace, milliseconds: u64) -> Instant {
        trace.0.began + Duration::from_millis(milliseconds)
    }

    fn add(trace: &Trace, row: &'static str, name: &'static str, [began, ended]: [u64; 2]) {
        trace.add(Span::new(row, name, at(trace, began), Duration::from_millis(ended - began)));
    }

    /// Name, row, start and end of each event, in microseconds.
    fn drawn(trace: &Trace) -> Vec<(String, String, f64, f64)> {
        let document = trace.document();
        let events = document["traceEvents"].as_array().unwrap();
        let names: BTreeMap<u64, &str> = events
            .iter()
            .filter(|event| event["name"] == "thread_name")
            .map(|event| (event["tid"].as_u64().unwrap(), event["args"]["name"].as_str().unwrap()))
            .collect();
        let spans = events.iter().filter(|event| event["ph"] == "X").map(|event| {
            let (ts, dur) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
            let row = names[&event["tid"].as_u64().unwrap()];
            (event["name"].as_str().unwrap().to_owned(), row.to_owned(), ts, ts + dur)
        });
        spans.collect()
    }

    #[test]
    fn what_nests_shares_a_row_and_what_overlaps_does_not() {
        let trace = Trace::default();
        add(&trace, "work", "inner", [2, 5]);
        add(&trace, "work", "outer", [0, 10]);
        add(&trace, "work", "crossing", [8, 12]);
        add(&trace, "work", "after", [10, 11]);
        add(&trace, "other", "elsewhere", [1, 3]);
        let drawn = drawn(&trace);
        let row = |name: &str| drawn.iter().find(|span| span.0 == name).unwrap().1.clone();
        assert_eq!(["outer", "inner", "after"].map(row), ["work"; 3]);
        assert_eq!(row("crossing"), "work (2)");
        assert_eq!(row("elsewhere"), "other");
        assert_eq!(drawn[0], ("outer".to_owned(), "work".to_owned(), 0.0, 10_000.0));
    }

    #[test]
    fn what_goes_on_is_marked_and_what_ended_is_not() {
        let trace = Trace::default();
        assert!(trace.is_empty());
        let going = trace.begin("work", "compile");
        drop(trace.begin("work", "read"));
        let unfinished = |name: &str| {
            let document = trace.document();
            let events = document["traceEvents"].as_array().unwrap();
            events.iter().find(|event| event["name"] == name).unwrap()["args"]["unfinished"] == true
        };
        assert!(unfinished("compile") && !unfinished("read"));
        drop(going);
        assert!(!unfinished("compile"));
    }
}
