//! The `preheat` command: parses, calls [`preheat::cli`], maps the outcome to an exit status;
//! nothing else.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use preheat::cli::{Cli, Status, end_now, run};

/// jemalloc for the whole process, the plugin that is loaded into it included: a deserialise spends
/// a good part of its time in malloc. Only the binary does this; a program that links the library
/// chooses its own allocator. Huge pages would win a tenth where free ones are at hand, and lose
/// half where the kernel has to find them first (docs/performance.md).
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What jemalloc reads of the program at its start. Memory of 8 MiB and more goes back to the
/// system the moment it is freed unless told otherwise, and the rest after ten seconds, which a few
/// steps on a CPU take; a step through libtorch takes and frees gigabytes, and a quarter of its
/// time went into page faults (docs/performance.md).
#[cfg(not(target_env = "msvc"))]
#[expect(unsafe_code, reason = "jemalloc looks for this name; nothing else has it")]
#[unsafe(export_name = "malloc_conf")]
static JEMALLOC_OPTIONS: Option<&std::ffi::c_char> = {
    const OPTIONS: &std::ffi::CStr = c"oversize_threshold:0,dirty_decay_ms:60000";
    // SAFETY: the first character of a text that lives as long as the program.
    Some(unsafe { &*OPTIONS.as_ptr() })
};

fn main() -> ExitCode {
    let started = Instant::now();
    preheat::serve_compiler();
    let status = run(Cli::parse(), started).unwrap_or_else(|error| {
        // A standard error that cannot be written leaves the exit status to tell.
        let _ = writeln!(std::io::stderr(), "{}", error.describe());
        error.status()
    });
    // Executables live until the process ends, and it does not end because of them.
    preheat_cache::remove_load_marks();
    ExitCode::from(match status {
        Status::Done => 0,
        Status::Failed => 1,
        Status::Usage => 2,
        Status::NotWarm => 3,
        Status::Damage => 4,
        Status::Interrupted => end_now(),
    })
}
