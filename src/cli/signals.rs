//! Which signals end the command, and does it end although a plugin does not let go?
//!
//! The first SIGHUP, SIGINT or SIGTERM asks the work to stop. Where the main thread has not ended
//! the process a moment later, the thread that waits for signals does; a second signal ends it at
//! once, from within the handler. All three ways are allowed to happen anywhere: what is written to
//! disk becomes visible by one rename.
//!
//! A signal that was ignored when the process started stays ignored: `nohup` ignores SIGHUP, and a
//! shell without job control ignores SIGINT for what it runs in the background.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

/// The exit status of an interrupted command. `main.rs` has the others.
const INTERRUPTED: u8 = 130;

/// How long after the first signal the process ends, whatever its main thread is doing.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Calls `stop` at the first signal, from a thread of its own, and sees to it that the process ends
/// soon after.
pub(super) fn watch(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel::<Signals>();
    // Before any handler is set: without this thread, nothing would come of a signal.
    std::thread::Builder::new().name("preheat-signals".to_owned()).spawn(move || {
        let Ok(mut signals) = receiver.recv() else { return };
        if signals.forever().next().is_some() {
            stop();
            std::thread::sleep(PATIENCE);
            end_now();
        }
    })?;
    let watched = watched();
    let signals = Signals::new(&watched)?;
    let came = Arc::new(AtomicBool::new(false));
    for signal in watched {
        // Handlers run in the order of their registration: the first signal passes this one, and
        // sets the flag that stops the second.
        flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(&came))?;
        flag::register(signal, Arc::clone(&came))?;
    }
    // Its receiver waits for it, and lives as long as the process.
    let _ = sender.send(signals);
    Ok(())
}

/// Ends an interrupted process without its exit handlers: those of a plugin may wait for threads
/// that go on compiling.
pub fn end_now() -> ! {
    preheat_cache::remove_load_marks();
    low_level::exit(INTERRUPTED.into())
}

/// The signals that are not ignored. Where the system does not tell, SIGHUP is left as it is: by
/// default it ends the process, too. Only Linux tells in a file; elsewhere nothing but `unsafe`
/// code can ask, so that an ignored SIGINT or SIGTERM is taken over there (docs/status.md).
fn watched() -> Vec<i32> {
    let Some(ignored) = ignored() else { return vec![SIGINT, SIGTERM] };
    [SIGHUP, SIGINT, SIGTERM]
        .into_iter()
        .filter(|signal| ignored >> (signal - 1) & 1 == 0)
        .collect()
}

/// The signals that this process ignores, as proc(5) has them: bit 0 stands for signal 1.
fn ignored() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}
