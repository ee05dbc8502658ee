//! How does long work run without the interpreter's lock, and how does Ctrl-C stop it?
//!
//! The work runs on a thread of its own. The thread that called waits without the lock, so that
//! other Python threads go on, and looks for signals every [`POLL`]. After Ctrl-C the work is asked
//! to stop, and given [`GRACE`]; then the call raises `KeyboardInterrupt`, even if a compile inside
//! the plugin, which nothing can interrupt, is still going on. Events of the work are handed to the
//! caller's thread, which calls the Python function for them.
//!
//! Work can outlive its call, and the thread of the call may be a daemon. A process must not end
//! while a plugin computes: it would free what the plugin uses, and the process would crash. So
//! [`end`] runs before the interpreter ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use preheat_runtime::progress::{Cancel, Control, Event, Progress};
use pyo3::prelude::*;

use crate::errors::{Failure, Kind, raise};
use crate::reports::to_python;

/// How often the waiting thread looks for signals and for a cancellation.
const POLL: Duration = Duration::from_millis(50);
/// How long work may take to stop before the caller goes on without it.
const GRACE: Duration = Duration::from_millis(300);
/// How long the end of the interpreter waits for work that was asked to stop. A step of a model may
/// take seconds, and nothing can stop it.
const GRACE_AT_END: Duration = Duration::from_secs(10);
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
    let Some(at_work) = AtWork::begin(&own) else {
        return Err(raise(py, Kind::Interrupted, "the interpreter is about to end"));
    };
    let job = move || {
        let done = catch_unwind(AssertUnwindSafe(|| work(&control)))
            .unwrap_or_else(|_| Err(Failure::Panicked));
        drop(control);
        drop(at_work);
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

/// Asks all work to stop, refuses new work, and waits until no work is left, for [`GRACE_AT_END`]
/// at most or until Ctrl-C. The package registers it with `atexit`.
#[pyfunction]
pub(crate) fn end(py: Python<'_>) {
    let until = Instant::now() + GRACE_AT_END;
    {
        let mut threads = threads();
        threads.is_ending = true;
        for (_, cancel) in &threads.at_work {
            cancel.cancel();
        }
    }
    while !py.detach(|| none_at_work_within(POLL)) {
        if Instant::now() >= until || py.check_signals().is_err() {
            return;
        }
    }
}

fn none_at_work_within(limit: Duration) -> bool {
    let is_busy = |threads: &mut Threads| !threads.at_work.is_empty();
    let waited = WORK_ENDED.wait_timeout_while(threads(), limit, is_busy);
    !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
}

/// Work that is under way, from before it is handed to a thread until it is done.
struct AtWork {
    id: u64,
}

impl AtWork {
    /// `cancel` asks the work to stop. `None` if the interpreter is about to end.
    fn begin(cancel: &Cancel) -> Option<Self> {
        let mut threads = threads();
        if threads.is_ending {
            return None;
        }
        let id = threads.next_id;
        threads.next_id += 1;
        threads.at_work.push((id, cancel.clone()));
        Some(Self { id })
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        threads().at_work.retain(|(id, _)| *id != self.id);
        WORK_ENDED.notify_all();
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The threads that work for this process.
struct Threads {
    /// The process that they belong to. A fork has none of its parent's threads.
    process: u32,
    /// Threads that wait for work. Starting one for each call would take longer than a small call.
    idle: Vec<Sender<Job>>,
    /// The work that is under way, with the flag that asks it to stop.
    at_work: Vec<(u64, Cancel)>,
    next_id: u64,
    /// Whether the interpreter is about to end, so that no work may begin.
    is_ending: bool,
}

impl Threads {
    const fn of(process: u32) -> Self {
        Self { process, idle: Vec::new(), at_work: Vec::new(), next_id: 0, is_ending: false }
    }
}

static THREADS: Mutex<Threads> = Mutex::new(Threads::of(0));
static WORK_ENDED: Condvar = Condvar::new();

fn threads() -> MutexGuard<'static, Threads> {
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if threads.process != process {
        *threads = Threads::of(process);
    }
    threads
}

/// Gives `job` to an idle thread, or to a new one.
fn hand_over(mut job: Job) -> std::io::Result<()> {
    while let Some(thread) = { threads().idle.pop() } {
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
                let mut threads = threads();
                if threads.idle.len() >= MOST_IDLE {
                    return;
                }
                threads.idle.push(sender);
            }
            let Ok(next) = receiver.recv() else { return };
            next();
        }
    };
    std::thread::Builder::new().name("preheat".to_owned()).spawn(work).map(drop)
}
