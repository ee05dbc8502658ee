//! Progress for a person: a spinner or bar on a terminal, a line for each long thing where standard error goes elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::seconds;
use crate::plugins;
use crate::progress::{Event, EventKind, Progress};
use crate::runtime::Graph;

/// How often a bar is redrawn while nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// Shows what takes long on standard error.
#[derive(Clone)]
pub(super) struct Shown(Arc<Inner>);

struct Inner {
    quiet: bool,
    terminal: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Shown {
    pub(super) fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self(Arc::new(Inner { quiet, terminal, bar: Mutex::new(None) }))
    }

    /// Runs `write` with any bar out of the way, so that a log line does not land in the middle of it.
    pub(super) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        let bar = self.0.bar.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the bar down.
    pub(super) fn finish(&self) {
        if let Some(bar) = self.0.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }

    /// What the download and unpacking of a plugin tells.
    pub(super) fn install(&self, progress: &plugins::Progress) {
        match *progress {
            plugins::Progress::Download { done_bytes, total_bytes } => {
                self.bytes("downloading", done_bytes, total_bytes);
            }
            plugins::Progress::Verify { done_bytes, total_bytes } => self.bytes("checking", done_bytes, total_bytes),
            plugins::Progress::Unpack { done_bytes, total_bytes, .. } => {
                self.bytes("unpacking", done_bytes, total_bytes);
            }
            plugins::Progress::Waiting => self.long("waiting for another process that installs it", None),
        }
    }

    /// So many of something are done.
    pub(super) fn count(&self, doing: &'static str, done: u64, total: u64) {
        self.bar(doing, done, total, "{prefix} {bar:30} {pos}/{len}, {eta} left", &total.to_string());
    }

    fn bytes(&self, doing: &'static str, done: u64, total: u64) {
        let template = "{prefix} {bar:30} {bytes}/{total_bytes}, {eta} left";
        self.bar(doing, done, total, template, &HumanBytes(total).to_string());
    }

    fn bar(&self, doing: &'static str, done: u64, total: u64, template: &str, all: &str) {
        if self.0.quiet {
            return;
        }
        let mut slot = self.0.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = slot.as_ref().is_none_or(|bar| bar.length() != Some(total) || bar.prefix() != doing);
        if fresh {
            if let Some(old) = slot.take() {
                old.finish_and_clear();
            }
            if !self.0.terminal {
                line(&format!("{doing} {all}"));
            }
            let bar = ProgressBar::with_draw_target(Some(total), self.target());
            bar.set_style(style(template));
            bar.set_prefix(doing);
            *slot = Some(bar);
        }
        if let Some(bar) = slot.as_ref() {
            bar.set_position(done);
        }
    }

    /// One long thing begins; with `expected` seconds it is a bar, without them a spinner.
    fn long(&self, doing: &str, expected: Option<f64>) {
        if self.0.quiet {
            return;
        }
        let mut slot = self.0.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = slot.take() {
            old.finish_and_clear();
        }
        let expectation =
            expected.map(|expected| format!(", about {} expected", seconds(expected))).unwrap_or_default();
        if !self.0.terminal {
            line(&format!("{doing}{expectation}"));
        }
        let bar = ProgressBar::with_draw_target(None, self.target());
        bar.set_style(style("{spinner} {msg}, {elapsed}"));
        bar.set_message(format!("{doing}{expectation}"));
        bar.enable_steady_tick(TICK);
        *slot = Some(bar);
    }

    /// Whether the bar says this already.
    fn shows(&self, doing: &str) -> bool {
        self.0.bar.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|bar| bar.message() == doing)
    }

    fn target(&self) -> ProgressDrawTarget {
        if self.0.terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
    }
}

impl Progress for Shown {
    fn event(&self, Event { model_id, stage, kind }: Event) {
        // A program is its model's only stage.
        let what = if stage == Graph::DEFAULT_STAGE { model_id } else { format!("{model_id}, {stage}") };
        match kind {
            EventKind::Compiling { expected_seconds } => self.long(&format!("compiling {what}"), expected_seconds),
            EventKind::Waiting { holder, .. } => {
                let holder = holder.unwrap_or_else(|| "another process".to_owned());
                let doing = format!("waiting for {holder}, which compiles {what}");
                // A waiter reports every time it looks; the bar itself counts the seconds.
                if !self.shows(&doing) {
                    self.long(&doing, None);
                }
            }
            // Quick as it is, a line for it would be noise where no bar can be taken back.
            EventKind::Loading { payload_bytes } if self.0.terminal => {
                self.long(&format!("loading {what} ({})", HumanBytes(payload_bytes)), None);
            }
            EventKind::Loading { .. } => {}
            EventKind::Compiled { .. } | EventKind::Ready => self.finish(),
        }
    }
}

fn line(text: &str) {
    // Progress that cannot be shown is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
