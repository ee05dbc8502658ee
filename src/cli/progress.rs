//! How does a person see that long work goes on? On a terminal there is a spinner or a bar for each
//! piece of work. If standard error goes elsewhere, there is a line for each long piece of work.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use preheat_io::printable::{printable, printable_lines};
use preheat_runtime::threads;

use super::output::seconds;
use preheat_runtime::progress::{Event, EventKind, Progress};
use preheat_runtime::{CompileEffort, Graph};

/// How often a bar is redrawn while nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// Shows long work on standard error, with one line for each piece of work that is going on.
#[derive(Clone)]
pub(super) struct Shown(Arc<Inner>);

struct Inner {
    quiet: bool,
    terminal: bool,
    bars: MultiProgress,
    /// The bars, by their subject, such as a stage.
    going_on: Mutex<BTreeMap<String, ProgressBar>>,
    /// The texts that [`Shown::note_once`] has shown.
    said: Mutex<BTreeSet<String>>,
}

impl Shown {
    pub(super) fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target =
            if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        Self(Arc::new(Inner {
            quiet,
            terminal,
            bars,
            going_on: Mutex::default(),
            said: Mutex::default(),
        }))
    }

    /// Runs `write` with all bars out of the way, so that a log line does not land in the middle of
    /// them.
    pub(super) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.bars.suspend(write)
    }

    /// Takes every bar down.
    pub(super) fn finish(&self) {
        std::mem::take(&mut *self.going_on()).values().for_each(ProgressBar::finish_and_clear);
    }

    /// Takes the bar of `subject` down.
    fn done(&self, subject: &str) {
        if let Some(bar) = self.going_on().remove(subject) {
            bar.finish_and_clear();
        }
    }

    fn going_on(&self) -> MutexGuard<'_, BTreeMap<String, ProgressBar>> {
        self.0.going_on.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows how far the download and unpacking of a plugin is.
    pub(super) fn install(&self, progress: &preheat_plugins::InstallProgress) {
        match *progress {
            preheat_plugins::InstallProgress::Download { done_bytes, total_bytes: Some(total) } => {
                self.bytes("downloading", done_bytes, total);
            }
            preheat_plugins::InstallProgress::Download { .. } => {
                self.long("install", "downloading", None);
            }
            preheat_plugins::InstallProgress::Verify { done_bytes, total_bytes } => {
                self.bytes("checking", done_bytes, total_bytes);
            }
            preheat_plugins::InstallProgress::Unpack { done_bytes, total_bytes, .. } => {
                self.bytes("unpacking", done_bytes, total_bytes);
            }
            preheat_plugins::InstallProgress::Waiting => {
                self.long("install", "waiting for another process that installs it", None);
            }
            _ => {}
        }
    }

    /// Says what happens next, in a line that stays on the terminal.
    pub(super) fn note(&self, text: &str) {
        if !self.0.quiet {
            self.suspend(|| line(text));
        }
    }

    /// Shows a text in the same way as [`Self::note`], but shows the same text only once.
    pub(super) fn note_once(&self, text: &str) {
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.insert(text.to_owned()) {
            self.note(text);
        }
    }

    /// Shows that `done` of `total` pieces of one kind of work are done.
    pub(super) fn count(&self, doing: &'static str, done: u64, total: u64) {
        self.counted(
            doing,
            doing,
            "{prefix} {bar:30} {pos}/{len}, {eta} left",
            (done, total),
            || {
                if !self.0.terminal {
                    line(&format!("{doing} {total}"));
                }
            },
        );
    }

    fn bytes(&self, doing: &'static str, done: u64, total: u64) {
        let begin = || {
            if !self.0.terminal {
                line(&format!("{doing} {}", HumanBytes(total)));
            }
        };
        self.counted(
            "install",
            doing,
            "{prefix} {bar:30} {bytes}/{total_bytes}, {eta} left",
            (done, total),
            begin,
        );
    }

    /// Shows a bar for work whose total is known. `begin` is called when the bar first appears.
    fn counted(
        &self,
        subject: &str,
        doing: &str,
        look: &str,
        (done, total): (u64, u64),
        begin: impl FnOnce(),
    ) {
        if self.0.quiet {
            return;
        }
        let mut going_on = self.going_on();
        let shown = printable(doing).into_owned();
        let same = going_on
            .get(subject)
            .filter(|bar| bar.length() == Some(total) && bar.prefix() == shown);
        let bar = if let Some(bar) = same {
            bar.clone()
        } else {
            begin();
            let bar = self
                .0
                .bars
                .add(ProgressBar::new(total).with_style(style(look)).with_prefix(shown.clone()));
            if let Some(old) = going_on.insert(subject.to_owned(), bar.clone()) {
                old.finish_and_clear();
            }
            bar
        };
        bar.set_position(done);
        if done == total {
            going_on.remove(subject);
            bar.finish_and_clear();
        }
    }

    /// Shows a bar for graphs that are compiled ahead of time, with an estimate of the time left.
    /// If they are compiled at several efforts, the bar counts all compiles and names the present
    /// effort.
    fn ahead(
        &self,
        model: &str,
        (done, total): (u64, u64),
        seconds_left: Option<f64>,
        effort: Option<CompileEffort>,
    ) {
        let doing = format!("graphs of {model}");
        self.counted(
            &doing,
            &doing,
            "{prefix} {bar:30} {pos}/{len}{msg}, {elapsed}",
            (done, total),
            || (),
        );
        if let Some(bar) = self.going_on().get(&doing) {
            let left = seconds_left.filter(|&left| left > 0.0);
            let left =
                left.map(|left| format!(", about {} left", seconds(left))).unwrap_or_default();
            let at = effort.map(|effort| format!(" at {effort}")).unwrap_or_default();
            bar.set_message(at + &left);
        }
    }

    /// Shows a spinner for one long piece of work, which begins now or began some time ago. The
    /// spinner counts the seconds since then.
    fn long(&self, subject: &str, message: &str, going_on_for: Option<Duration>) {
        if self.0.quiet {
            return;
        }
        let message = printable(message);
        let mut going_on = self.going_on();
        // A waiting process reports on every poll. The spinner shown already counts the seconds.
        if going_on.get(subject).is_some_and(|bar| bar.message() == message) {
            return;
        }
        if !self.0.terminal {
            let so_far =
                going_on_for.map(|time| format!(", for {} so far", seconds(time.as_secs_f64())));
            line(&format!("{message}{}", so_far.unwrap_or_default()));
        }
        let bar = ProgressBar::new_spinner().with_style(style("{spinner} {msg}, {elapsed}"));
        let bar =
            bar.with_message(message.into_owned()).with_elapsed(going_on_for.unwrap_or_default());
        let bar = self.0.bars.add(bar);
        // Ticks come from a thread, and indicatif does not check whether the thread can be started.
        if self.0.terminal && threads::available(1).is_ok() {
            bar.enable_steady_tick(TICK);
        }
        if let Some(old) = going_on.insert(subject.to_owned(), bar) {
            old.finish_and_clear();
        }
    }
}

impl Progress for Shown {
    fn event(&self, Event { model_id, stage, kind, .. }: Event) {
        // A program has only one stage, so the stage is not named.
        let what = if stage == Graph::DEFAULT_STAGE || stage.is_empty() {
            model_id
        } else {
            format!("{model_id}, {stage}")
        };
        match kind {
            EventKind::Compiling { expected_seconds } => {
                let expected = expected_seconds
                    .map(|expected| format!(", about {} expected", seconds(expected)));
                self.long(
                    &what,
                    &format!("compiling {what}{}", expected.unwrap_or_default()),
                    None,
                );
            }
            EventKind::Precompiled { done, total, seconds_left, effort } => {
                self.ahead(&what, (done as u64, total as u64), seconds_left, effort);
            }
            EventKind::Waiting { holder, compiling, .. } => {
                let holder = holder.unwrap_or_else(|| "another process".to_owned());
                self.long(
                    &what,
                    &format!("waiting for {holder}, which compiles {what}"),
                    compiling,
                );
            }
            EventKind::Trying => {
                self.long(
                    &what,
                    &format!("trying {what} in a child: an earlier process died loading it"),
                    None,
                );
            }
            // These pieces of work are short. Without a terminal, each of them would leave a line
            // that cannot be removed.
            EventKind::Loading { .. }
            | EventKind::Weights { .. }
            | EventKind::Step { .. }
            | EventKind::WarmingUp { .. }
            | EventKind::Decoding { .. }
                if !self.0.terminal => {}
            EventKind::Loading { payload_bytes } => {
                self.long(&what, &format!("loading {what} ({})", HumanBytes(payload_bytes)), None);
            }
            EventKind::Weights { done, total } => {
                let doing = format!("weights of {what}");
                let look = "{prefix} {bar:30} {pos}/{len}";
                self.counted(&doing, &doing, look, (done as u64, total as u64), || ());
            }
            EventKind::Step { done, total } => {
                let look = "{prefix} {bar:30} {pos}/{len}, {per_sec}, {eta} left";
                self.counted(&what, "denoising", look, (done as u64, total as u64), || ());
            }
            EventKind::WarmingUp { done, total } => {
                self.counted(
                    "warming up",
                    "warming up",
                    "{prefix} {bar:30} {pos}/{len}",
                    (done, total),
                    || (),
                );
            }
            EventKind::Decoding { done, total } => {
                self.counted(
                    "decoding",
                    "decoding",
                    "{prefix} {bar:30} {pos}/{len}",
                    (done, total),
                    || (),
                );
            }
            EventKind::Compiled { .. } | EventKind::Ready => self.done(&what),
            _ => {}
        }
    }
}

fn line(text: &str) {
    // The command does not fail only because its progress cannot be shown.
    let _ = writeln!(std::io::stderr(), "{}", printable_lines(text));
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
