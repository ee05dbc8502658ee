//! How does long work run without the interpreter's lock, and how does Ctrl-C stop it?
//!
//! The work runs on a thread of its own. The thread that called waits without the lock, so that
//! other Python threads go on, and looks for signals every [`POLL`]. After Ctrl-C the work is asked
//! to stop, and given [`GRACE`]; then the call raises `KeyboardInterrupt`, even if a compile inside
//! the plugin, which nothing can interrupt, is still going on. Events of the work are handed to the
//! caller's thread, which calls the Python function for them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use preheat_runtime::progress::{Cancel, Control, Event, Progress};
use pyo3::prelude::*;

use crate::errors::{Failure, Kind, raise};
use crate::reports::to_python;

/// How often the waiting thread looks for signals and for a cancellation.
const POLL: Duration = Duration::from_millis(50);
/// How long work may take to stop before the caller goes on without it.
const GRACE: Duration = Duration::from_millis(300);
/// The most idle threads that wait for the next call.
const MOST_IDLE: usize = 8;

/// A flag that asks work to stop. One flag may be given to several calls.
///
/// With it, an `asyncio` program stops a call that runs in `asyncio.to_thread`. `when` is a
/// function that returns whether to stop; the thread that made the call calls it about twenty times
/// a second.
#[pyclass(name = "Cancel", module = "preheat", frozen)]
pub(crate) struct PyCancel {
    flag: Cancel,
    when: Option<Py<PyAny>>,
}

#[pymethods]
impl PyCancel {
    #[new]
    #[pyo3(signature = (when=None))]
    fn new(py: Python<'_>, when: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        if when.as_ref().is_some_and(|when| !when.is_callable()) {
            let words = "give a function as `when`: it returns whether to stop";
            return Err(raise(py, Kind::InvalidRequest, words));
        }
        Ok(Self { flag: Cancel::default(), when: when.map(Bound::unbind) })
    }

    /// Asks all work that was given this flag to stop. Each of the calls raises `Interrupted`.
    fn cancel(&self) {
        self.flag.cancel();
    }

    /// Whether `cancel()` was called.
    #[getter]
    fn cancelled(&self) -> bool {
        self.flag.is_cancelled()
    }
}

/// How one call reports its progress, and what stops it.
#[derive(Default)]
pub(crate) struct Ask {
    progress: Option<Py<PyAny>>,
    /// Whether `progress` is a bar of the package's own, which is closed at the end.
    is_own: bool,
    cancel: Option<Py<PyCancel>>,
}

impl Ask {
    /// The arguments of a call. `progress` is a function, `False` for no reports, or `None` for a
    /// bar on a terminal.
    pub(crate) fn of(
        py: Python<'_>,
        progress: Option<&Bound<'_, PyAny>>,
        cancel: Option<&Bound<'_, PyCancel>>,
    ) -> PyResult<Self> {
        let cancel = cancel.map(|cancel| cancel.clone().unbind());
        let (progress, is_own) = match progress {
            None => {
                let shown = py.import("preheat._progress")?.call_method0("shown")?;
                ((!shown.is_none()).then(|| shown.unbind()), true)
            }
            Some(given) if given.is_callable() => (Some(given.clone().unbind()), false),
            Some(given) if given.is(pyo3::types::PyBool::new(py, false)) => (None, false),
            Some(given) => {
                let words = format!(
                    "progress is a function that takes one event, False for none, or None for a \
                     bar on a terminal; {} was given",
                    given.get_type().name()?
                );
                return Err(raise(py, Kind::InvalidRequest, &words));
            }
        };
        Ok(Self { progress, is_own, cancel })
    }

    /// A call that reports nothing, and that only Ctrl-C stops.
    pub(crate) fn silent() -> Self {
        Self::default()
    }
}

/// A message from the working thread to the waiting one.
enum Message<T> {
    Event(Event),
    Done(Result<T, Failure>),
}

/// Hands events to the thread that waits.
struct Sending<T>(Sender<Message<T>>);

impl<T: Send> Progress for Sending<T> {
    fn event(&self, event: Event) {
        // If the caller was interrupted, nobody receives the event.
        let _ = self.0.send(Message::Event(event));
    }
}

/// Does `work` on a thread of its own, and waits for it.
pub(crate) fn run<T: Send + 'static>(
    py: Python<'_>,
    ask: &Ask,
    work: impl FnOnce(&Control) -> Result<T, Failure> + Send + 'static,
) -> PyResult<T> {
    let (sender, receiver) = mpsc::channel();
    let own = Cancel::default();
    // The flag of the caller may be shared by other calls, which an interrupt of this one must not
    // stop. So the work has a flag of its own.
    let mut control = Control::default().cancel(own.clone());
    if ask.progress.is_some() {
        control = control.progress(Arc::new(Sending(sender.clone())));
    }
    let job = move || {
        let done = catch_unwind(AssertUnwindSafe(|| work(&control)))
            .unwrap_or_else(|_| Err(Failure::Panicked));
        let _ = sender.send(Message::Done(done));
    };
    hand_over(Box::new(job)).map_err(|cause| {
        raise(py, Kind::PreheatError, &format!("no thread could be started for the work: {cause}"))
    })?;
    let outcome = wait(py, ask, receiver, &own);
    if let Some(bar) = ask.progress.as_ref().filter(|_| ask.is_own) {
        bar.call_method0(py, "close")?;
    }
    outcome
}

fn wait<T: Send>(
    py: Python<'_>,
    ask: &Ask,
    mut receiver: Receiver<Message<T>>,
    own: &Cancel,
) -> PyResult<T> {
    loop {
        let message;
        (message, receiver) = py.detach(move || (receiver.recv_timeout(POLL), receiver));
        match message {
            Ok(Message::Done(done)) => return done.map_err(|failure| failure.raised(py)),
            Ok(Message::Event(event)) => {
                if let Err(error) = tell(py, ask, &event) {
                    stop(py, receiver, own);
                    return Err(error);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::Panicked.raised(py));
            }
        }
        if let Err(interrupt) = py.check_signals() {
            stop(py, receiver, own);
            return Err(interrupt);
        }
        match is_to_stop(py, ask) {
            Ok(false) => {}
            Ok(true) => {
                stop(py, receiver, own);
                return Err(raise(py, Kind::Interrupted, "interrupted"));
            }
            Err(error) => {
                stop(py, receiver, own);
                return Err(error);
            }
        }
    }
}

/// Whether the flag of the caller is set, or its function `when` says to stop.
fn is_to_stop(py: Python<'_>, ask: &Ask) -> PyResult<bool> {
    let Some(cancel) = ask.cancel.as_ref().map(Py::get) else { return Ok(false) };
    if cancel.flag.is_cancelled() {
        return Ok(true);
    }
    match &cancel.when {
        Some(when) => when.call0(py)?.is_truthy(py),
        None => Ok(false),
    }
}

fn tell(py: Python<'_>, ask: &Ask, event: &Event) -> PyResult<()> {
    let Some(progress) = &ask.progress else { return Ok(()) };
    progress.call1(py, (to_python(py, event)?,)).map(drop)
}

/// Asks the work to stop, and waits for it for [`GRACE`] at most.
fn stop<T: Send>(py: Python<'_>, receiver: Receiver<Message<T>>, own: &Cancel) {
    own.cancel();
    py.detach(move || {
        let until = Instant::now() + GRACE;
        while let Ok(message) =
            receiver.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if matches!(message, Message::Done(_)) {
                return;
            }
        }
    });
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads that wait for work. Starting one for each call would take longer than a small call.
struct Idle {
    /// The process whose threads they are: a fork has none of them.
    process: u32,
    threads: Vec<Sender<Job>>,
}

static IDLE: Mutex<Idle> = Mutex::new(Idle { process: 0, threads: Vec::new() });

fn idle() -> std::sync::MutexGuard<'static, Idle> {
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if idle.process != process {
        *idle = Idle { process, threads: Vec::new() };
    }
    idle
}

/// Gives `job` to an idle thread, or to a new one.
fn hand_over(mut job: Job) -> std::io::Result<()> {
    while let Some(thread) = { idle().threads.pop() } {
        match thread.send(job) {
            Ok(()) => return Ok(()),
            Err(mpsc::SendError(back)) => job = back,
        }
    }
    let work = move || {
        job();
        loop {
            let (sender, receiver) = mpsc::channel::<Job>();
            {
                let mut idle = idle();
                if idle.threads.len() >= MOST_IDLE {
                    return;
                }
                idle.threads.push(sender);
            }
            let Ok(next) = receiver.recv() else { return };
            next();
        }
    };
    std::thread::Builder::new().name("preheat".to_owned()).spawn(work).map(drop)
}
