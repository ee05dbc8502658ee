//! How is work done when the process ends normally?

use std::ffi::c_int;
use std::sync::OnceLock;

/// The work that is done when the process ends.
static WORK: OnceLock<Box<dyn Fn() + Send + Sync>> = OnceLock::new();

/// Registers `work`, which is done when the process ends normally. Only the first call registers
/// its work; later calls do nothing.
#[expect(unsafe_code, reason = "C's atexit")]
pub(crate) fn at_exit(work: impl Fn() + Send + Sync + 'static) {
    unsafe extern "C" {
        fn atexit(function: extern "C" fn()) -> c_int;
    }
    if WORK.set(Box::new(work)).is_ok() {
        // SAFETY: the function stays in memory until it has run, because the C library runs it
        // before it unmaps this library.
        unsafe { atexit(end) };
    }
}

/// Runs when the process ends. The store needs thread-local values, and those of the thread that
/// ends the process may be gone, so the work runs on a new thread.
extern "C" fn end() {
    let work = || WORK.get().map(|work| work());
    let thread = std::thread::Builder::new().name("preheat-end".to_owned()).spawn(work);
    let _ = thread.map(std::thread::JoinHandle::join);
}
