//! Which signals end the command, and does it end even while a plugin is busy?
//!
//! The first SIGHUP, SIGINT or SIGTERM asks the work to stop. If the main thread has not ended the
//! process a moment later, the thread that waits for signals ends it; at a second signal, that
//! thread ends it at once. This is safe at any moment, because a file that is written becomes
//! visible by one rename. No handler ends the process by itself: the marks of loads have to be
//! removed first, or the next process would take these loads for deadly.
//!
//! A signal that was ignored when the process started stays ignored: `nohup` ignores SIGHUP, and a
//! shell without job control ignores SIGINT for what it runs in the background.

use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

/// The exit status of an interrupted command. `main.rs` has the others.
const INTERRUPTED: u8 = 130;

/// How long after the first signal the process ends, whatever its main thread is doing.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How often a second signal is looked for.
const POLL: Duration = Duration::from_millis(5);

/// Calls `stop` at the first signal, from a thread of its own, and sees to it that the process ends
/// soon after.
pub(super) fn watch(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel::<Signals>();
    // The thread is started before any handler is set: without it, a signal would have no effect.
    std::thread::Builder::new().name("preheat-signals".to_owned()).spawn(move || {
        let Ok(mut signals) = receiver.recv() else { return };
        if signals.forever().next().is_some() {
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
/// in a file. On other systems only `unsafe` code could ask; there, SIGINT and SIGTERM are handled
/// even if they were ignored, and SIGHUP, which ends a process by default, is left as it is
/// (docs/status.md).
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
