//! How does the process of the `preheat` command run? It parses the command line, calls
//! [`preheat::cli`] and maps the outcome to an exit status. It also uses its own allocator.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use preheat::cli::{Status, end_now, parse, run};

/// The whole process, including the plugin that it loads, uses jemalloc, because a plugin spends a
/// good part of a load in malloc. Only the binary does this; a program that links the library
/// chooses its own allocator. Huge pages save about a tenth of the time if the kernel has free
/// ones, but make the start much slower if it has to obtain them first (docs/performance.md).
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The options that jemalloc reads when the program starts. By default it returns blocks of 8 MiB
/// and more to the system as soon as they are freed. It returns smaller ones after ten seconds,
/// which is the time of a few steps on a CPU. A step through libtorch allocates and frees
/// gigabytes, and with these defaults it spent a quarter of its time in page faults
/// (docs/performance.md).
#[cfg(not(target_env = "msvc"))]
#[expect(unsafe_code, reason = "jemalloc looks for this name; nothing else has it")]
#[unsafe(export_name = "malloc_conf")]
static JEMALLOC_OPTIONS: Option<&std::ffi::c_char> = {
    const OPTIONS: &std::ffi::CStr = c"oversize_threshold:0,dirty_decay_ms:60000";
    // SAFETY: the pointer leads to the first character of a text that lives as long as the program.
    Some(unsafe { &*OPTIONS.as_ptr() })
};

fn main() -> ExitCode {
    let started = Instant::now();
    preheat::serve_compiler();
    let status = run(parse(), started).unwrap_or_else(|error| {
        // If standard error cannot be written, the exit status alone reports the failure.
        let _ = writeln!(std::io::stderr(), "{}", error.describe());
        error.status()
    });
    // Executables stay loaded until the process ends. It ends normally here, so none of them ended
    // it, and the marks of their loads are removed.
    preheat_cache::remove_load_marks();
    ExitCode::from(match status {
        Status::Done => 0,
        Status::Failed => 1,
        Status::Usage => 2,
        Status::NotWarm => 3,
        Status::Damage => 4,
        Status::Interrupted => end_now(),
        Status::OfProgram(code) => code,
    })
}
