//! Which signals end the command, and does it end even while a plugin is busy?
//!
//! The first SIGHUP, SIGINT or SIGTERM asks the work to stop. If the main thread has not ended the
//! process a moment later, the thread that waits for signals ends it; at a second signal, that
//! thread ends it at once. This is safe at any moment, because a file that is written becomes
//! visible by one rename. No handler ends the process by itself: the marks of loads have to be
//! removed first, or the next process would assume that these loads ended the process.
//!
//! While `preheat exec` runs a program, signals are passed on to that program. The command ends
//! when the program does, however long that takes: a server may finish its requests first.
//!
//! A signal that was ignored when the process started stays ignored: `nohup` ignores SIGHUP, and a
//! shell without job control ignores SIGINT for what it runs in the background.

use std::io;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use shared_child::SharedChild;
use shared_child::unix::SharedChildExt as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

/// The exit status of an interrupted command. `main.rs` has the others.
const INTERRUPTED: u8 = 130;

/// How long after the first signal the process ends, whatever its main thread is doing.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How often a second signal is looked for.
const POLL: Duration = Duration::from_millis(5);

/// The program that `preheat exec` runs, if one is running. Signals are passed on to it.
#[derive(Clone, Default)]
pub(super) struct RunningProgram(Arc<Mutex<Option<Arc<SharedChild>>>>);

impl RunningProgram {
    /// Runs a program until it ends.
    ///
    /// # Errors
    /// The program cannot be started, or the system does not say how it ended.
    pub(super) fn run(&self, command: &mut Command) -> io::Result<ExitStatus> {
        // The thread that handles signals waits for this lock while the program is being started.
        let mut running = self.lock();
        let child = Arc::new(SharedChild::spawn(command)?);
        *running = Some(Arc::clone(&child));
        drop(running);
        let status = child.wait();
        *self.lock() = None;
        status
    }

    /// Passes a signal on to the program. Returns whether a program is running.
    fn takes(&self, signal: i32) -> bool {
        let Some(child) = self.lock().clone() else { return false };
        // At Ctrl-C, the terminal sends SIGINT to the program, too. A second SIGINT could end it
        // before it has cleaned up.
        if signal != SIGINT {
            // An error means that the program has just ended, which `run` is about to notice.
            let _ = child.send_signal(signal);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<SharedChild>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a thread that calls `stop` at the first signal that comes while no program runs, and
/// makes sure that the process ends soon after.
pub(super) fn watch(
    program: RunningProgram,
    stop: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel::<Signals>();
    // The thread is started before any handler is set: without it, a signal would have no effect.
    std::thread::Builder::new().name("preheat-signals".to_owned()).spawn(move || {
        let Ok(mut signals) = receiver.recv() else { return };
        if signals.forever().any(|signal| !program.takes(signal)) {
            stop();
            let began = Instant::now();
            while began.elapsed() < PATIENCE && signals.pending().next().is_none() {
                std::thread::sleep(POLL);
            }
            end_now();
        }
    })?;
    let signals = Signals::new(watched())?;
    // Sending does not fail: the receiving thread lives as long as the process.
    let _ = sender.send(signals);
    Ok(())
}

/// Ends an interrupted process without running exit handlers, because those of a plugin may wait
/// for threads that are still compiling.
pub fn end_now() -> ! {
    preheat_cache::remove_load_marks();
    low_level::exit(INTERRUPTED.into())
}

/// The signals to handle: those that this process does not ignore. Linux lists the ignored signals
/// in a file. On other systems only `unsafe` code could find them out. There, SIGINT and SIGTERM
/// are handled even if they were ignored. SIGHUP is not handled, and ends the process unless it is
/// ignored (docs/status.md).
fn watched() -> Vec<i32> {
    let Some(ignored) = ignored() else { return vec![SIGINT, SIGTERM] };
    [SIGHUP, SIGINT, SIGTERM]
        .into_iter()
        .filter(|signal| ignored >> (signal - 1) & 1 == 0)
        .collect()
}

/// The signals that this process ignores, as a mask in the form of proc(5): bit 0 stands for
/// signal 1.
fn ignored() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}
