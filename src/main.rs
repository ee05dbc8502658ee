//! The `preheat` command: parses, calls [`preheat::cli`], maps the outcome to an exit status; nothing else.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use preheat::cli::{Cli, Status, run};

/// jemalloc for the whole process, the plugin that is loaded into it included: a deserialise spends a good part of its
/// time in malloc. Only the binary does this; a program that links the library chooses its own allocator. Its defaults
/// stand: huge pages would win a tenth where free ones are at hand, and lose half where the kernel has to find them first
/// (docs/performance.md).
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let started = Instant::now();
    preheat::serve_compiler();
    let status = run(Cli::parse(), started).unwrap_or_else(|error| {
        // A standard error that cannot be written leaves the exit status to tell.
        let _ = writeln!(std::io::stderr(), "{}", error.describe());
        error.status()
    });
    ExitCode::from(match status {
        Status::Done => 0,
        Status::Failed => 1,
        Status::Usage => 2,
        Status::NotWarm => 3,
        Status::Damage => 4,
        Status::Interrupted => 130,
    })
}
