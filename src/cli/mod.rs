//! What does a person type, and what is printed? Each subcommand has a file of its own here. The
//! command line calls the library crates and prints the results. It opens no store, plugin or
//! device itself.

mod advice;
mod args;
mod audit;
mod cache;
#[cfg(feature = "remote")]
mod cache_remote;
mod cache_rewarm;
mod cache_stats;
mod cache_upkeep;
mod cache_verify;
mod comfyui;
mod commands;
mod context;
mod demo_model;
mod devices;
mod devices_bench;
mod devices_measure;
mod devices_tune;
mod doctor;
mod doctor_report;
mod errors;
mod exec;
mod logging;
mod lookup;
mod metrics;
mod misses;
mod number;
mod output;
mod parse;
mod placement;
mod plan;
mod plugins;
mod program;
mod progress;
mod request_log;
mod run;
mod runtime_args;
mod shell;
mod signals;
mod size;
mod warm_command;
mod warmup;
mod warmup_ahead;
mod warmup_finish;
mod warmup_here;
mod warmup_manifest;
mod warmup_one;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub use commands::Cli;
pub use errors::{CliError, Status};
pub use parse::parse;
use preheat_runtime::threads;
pub use runtime_args::{RuntimeArgs, TorchArgs};
pub use signals::end_now;
pub use size::Size;

use self::commands::{check_trace, dispatch, share_standard_output};
use self::context::Context;
use self::logging::start_logging;
use self::progress::Shown;
use self::signals::RunningProgram;
use preheat_runtime::progress::Cancel;
use preheat_runtime::trace::Trace;

/// How long the process waits for work to stop after an interrupt, before it ends anyway. The end
/// of the process leaves no half-written file, because a finished file gets its name by one rename.
const GRACE: Duration = Duration::from_millis(500);

/// How many threads must be available when a command begins. sled waits for ever, and a plugin
/// aborts, if it cannot start its own threads.
const LEAST_THREADS: usize = 16;

/// Runs the command. `started` is the earliest moment that the process could record.
///
/// The command runs on a thread of its own, so that Ctrl-C ends the process within a second even
/// while the plugin compiles, which nothing can interrupt.
///
/// # Errors
/// The reason why the command failed. [`CliError::describe`] gives it as text, and
/// [`CliError::status`] says how the process should end.
pub fn run(cli: Cli, started: Instant) -> Result<Status, CliError> {
    let shown = Shown::new(cli.output.quiet);
    start_logging(&cli.output, &shown);
    let cancel = Cancel::default();
    let (sender, receiver) = mpsc::channel();
    let interrupt = sender.clone();
    let interrupted = cancel.clone();
    let program = RunningProgram::default();
    let watching = signals::watch(program.clone(), move || {
        interrupted.cancel();
        let _ = interrupt.send(Err(CliError::Interrupted));
    });
    if let Err(error) = watching {
        tracing::warn!("Ctrl-C cannot be handled, it will end the process at once: {error}");
    }
    share_standard_output(&cli)?;
    let (runtime, command) = (cli.runtime, cli.command);
    check_trace(&runtime, command.as_ref())?;
    let trace = runtime.trace.clone().map(|path| (Trace::since(started), path));
    let context = Context {
        command_line: <Cli as clap::CommandFactory>::command,
        args: runtime,
        json: cli.output.json,
        shown: shown.clone(),
        cancel,
        program,
        trace: trace.as_ref().map(|(trace, _)| trace.clone()),
        started,
        look_up_remotely: false,
        collected: None,
    };
    threads::available(LEAST_THREADS).map_err(|cause| CliError::NoThread { cause })?;
    let worker = std::thread::Builder::new().name("preheat".to_owned()).spawn(move || {
        // The panic hook has printed the panic. Without `catch_unwind`, the main thread would wait
        // for a message that never comes.
        let result = catch_unwind(AssertUnwindSafe(|| dispatch(&context, command)))
            .unwrap_or(Ok(Status::Failed));
        context.shown.finish();
        let _ = sender.send(result);
    });
    if let Err(cause) = worker {
        return Err(CliError::NoThread { cause });
    }
    let outcome = match receiver.recv() {
        Ok(Err(CliError::Interrupted)) => {
            let _ = receiver.recv_timeout(GRACE);
            shown.finish();
            Err(CliError::Interrupted)
        }
        Ok(result) => result,
        Err(mpsc::RecvError) => Ok(Status::Failed),
    };
    let Some((trace, path)) = trace else { return outcome };
    match (metrics::write_trace(&trace, &path), outcome) {
        (Err(error), Ok(_)) => Err(error),
        (Err(error), outcome) => {
            tracing::warn!("{}", error.describe());
            outcome
        }
        (Ok(()), outcome) => outcome,
    }
}
