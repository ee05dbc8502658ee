//! What does a person type, and what is printed? Each subcommand has a file of its own here. The
//! command line asks the runtime and prints the answers; it never touches a store, a plugin or a
//! device itself.

mod args;
mod audit;
mod cache;
mod cache_rewarm;
mod cache_upkeep;
mod cache_verify;
mod demo_model;
mod devices;
mod devices_bench;
mod devices_measure;
mod devices_tune;
mod errors;
mod lookup;
mod metrics;
mod output;
mod placement;
mod plan;
mod plugins;
mod program;
mod progress;
mod request_log;
mod run;
mod runtime_args;
mod signals;
mod size;
mod warmup;
mod warmup_ahead;
mod warmup_manifest;

use std::io::{IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

pub use args::Cli;
pub use errors::{CliError, Status};
use preheat_io::printable::printable_lines;
use preheat_runtime::threads;
pub use runtime_args::{RuntimeArgs, TorchArgs};
pub use signals::end_now;
pub use size::Size;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format;

use self::args::{CacheCommand, ColorWhen, Command, DevicesCommand, OutputArgs, ProgramCommand};
use self::progress::Shown;
use crate::device::Target;
use crate::progress::Cancel;
use crate::runtime::Builder;
use crate::trace::Trace;

/// How long the process waits for work to stop after an interrupt, before it ends anyway. Ending
/// leaves nothing half done, because a file that is written becomes visible by one rename.
const GRACE: Duration = Duration::from_millis(500);

/// How many threads must be available when a command begins. sled waits for ever, and a plugin
/// aborts, if it cannot start its own threads.
const LEAST_THREADS: usize = 16;

/// What every command receives.
#[derive(Clone)]
struct Context {
    args: RuntimeArgs,
    /// Whether the result is to be one JSON document.
    json: bool,
    shown: Shown,
    cancel: Cancel,
    /// The trace, if `--trace` asks for one.
    trace: Option<Trace>,
    started: Instant,
    /// Collects the JSON of one warmup out of several; with `None` it goes to standard output.
    collected: Option<Arc<Mutex<Vec<serde_json::Value>>>>,
}

impl Context {
    /// The same context on `device`, which must be available.
    fn on(&self, device: &str) -> Self {
        let mut context = self.clone();
        device.clone_into(&mut context.args.device);
        context.args.strict_device = true;
        context
    }

    /// Refuses a named cache folder that does not exist, for a command that asks what is in it.
    fn refuse_missing_cache(&self) -> Result<(), CliError> {
        match self.args.named_cache_dir() {
            Some(path) if self.args.tpu_compilation_cache && !path.exists() => {
                Err(CliError::NoCacheFolder { path: path.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Only warns of such a folder, for a command that has a right answer without a cache, namely
    /// that nothing is warm.
    fn warn_of_missing_cache(&self) {
        if let Err(error) = self.refuse_missing_cache() {
            tracing::warn!("{error}, so only what --cache-fallback names can be warm");
        }
    }

    /// A builder of a runtime for `target`, which need not be here, or else for the device that the
    /// flags name.
    fn builder_for(&self, target: Option<&Target>) -> Result<Builder, CliError> {
        let builder = self.builder()?;
        Ok(match target {
            Some(target) => builder.target(target.clone()),
            None => builder,
        })
    }

    /// A builder set up as the flags say. It reports its progress to this command, and stops when
    /// the command is interrupted.
    fn builder(&self) -> Result<Builder, CliError> {
        let builder =
            self.args.builder()?.progress(Arc::new(self.shown.clone())).cancel(self.cancel.clone());
        Ok(match &self.trace {
            Some(trace) => builder.trace(trace.clone()),
            None => builder,
        })
    }
}

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
    let watching = signals::watch(move || {
        interrupted.cancel();
        let _ = interrupt.send(Err(CliError::Interrupted));
    });
    if let Err(error) = watching {
        tracing::warn!("Ctrl-C cannot be handled, it will end the process at once: {error}");
    }
    share_standard_output(&cli)?;
    let (runtime, command) = (cli.runtime, cli.command);
    metrics::check_trace(&runtime, command.as_ref())?;
    let trace = runtime.trace.clone().map(|path| (Trace::since(started), path));
    let context = Context {
        args: runtime,
        json: cli.output.json,
        shown: shown.clone(),
        cancel,
        trace: trace.as_ref().map(|(trace, _)| trace.clone()),
        started,
        collected: None,
    };
    threads::available(LEAST_THREADS).map_err(|cause| CliError::NoThread { cause })?;
    let worker = std::thread::Builder::new().name("preheat".to_owned()).spawn(move || {
        // The panic hook has printed the panic. Without `catch_unwind`, the main thread would not
        // be told that the work is over.
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

/// Reserves standard output for a result, if one is to be written there. Lines for a person then go
/// to standard error.
fn share_standard_output(cli: &Cli) -> Result<(), CliError> {
    let result = match &cli.command {
        Some(Command::Run(args)) => Some(("--output", &args.output)),
        Some(Command::Plan(args)) => args.output.as_ref().map(|path| ("--output", path)),
        Some(Command::Program(ProgramCommand::Run(args))) => {
            args.output.as_ref().map(|path| ("--output", path))
        }
        Some(Command::Cache(CacheCommand::Export(args))) => Some(("the export", &args.file)),
        _ => None,
    };
    let trace = cli.runtime.trace.as_ref().map(|path| ("--trace", path));
    let mut wanted: Vec<&str> = result
        .into_iter()
        .chain(trace)
        .filter(|(_, path)| output::is_standard_output(path))
        .map(|(what, _)| what)
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    if cli.output.json {
        wanted.push("--json");
    }
    if let [one, other, ..] = wanted[..] {
        return Err(CliError::Usage(format!(
            "{one} and {other} both want standard output: name a file for one of them"
        )));
    }
    output::leave_standard_output(cli.output.quiet);
    Ok(())
}

fn dispatch(context: &Context, command: Option<Command>) -> Result<Status, CliError> {
    if context.args.tpu_warmup_enable {
        tracing::warn!(
            "--tpu-warmup-enable is the older name of --tpu-manual-warmup, and is taken as that"
        );
    }
    match command {
        Some(Command::Run(args)) => run::run(context, &args),
        Some(Command::Program(ProgramCommand::Compile(args))) => program::compile(context, &args),
        Some(Command::Program(ProgramCommand::Run(args))) => program::run(context, &args),
        Some(Command::Warmup(args)) => warmup::warmup(context, &args),
        Some(Command::Lookup(args)) => lookup::lookup(context, &args),
        Some(Command::Audit(args)) => audit::audit(context, &args),
        Some(Command::Plan(args)) => plan::plan(context, &args),
        Some(Command::Cache(command)) => match command {
            CacheCommand::Stats => cache::stats(context),
            CacheCommand::List { filter } => cache::list(context, &filter),
            CacheCommand::Show { key, program } => cache::show(context, &key, program),
            CacheCommand::Clear { yes } => cache::clear(context, yes),
            CacheCommand::Info => cache_upkeep::info(context),
            CacheCommand::Verify { repair } => cache_verify::verify(context, repair),
            CacheCommand::Prune(args) => cache_upkeep::prune(context, &args),
            CacheCommand::Pin(args) => cache_upkeep::pin(context, &args, true),
            CacheCommand::Unpin(args) => cache_upkeep::pin(context, &args, false),
            CacheCommand::Export(args) => cache_upkeep::export(context, &args),
            CacheCommand::Import { file, trust } => cache_upkeep::import(context, &file, trust),
            CacheCommand::Rewarm(args) => cache_rewarm::rewarm(context, &args),
            CacheCommand::ZeroStats => cache::zero_stats(context),
        },
        Some(Command::Devices { command }) => match command {
            None => devices::devices(context),
            Some(DevicesCommand::Tune(args)) => devices_tune::tune(context, &args),
            Some(DevicesCommand::Bench(args)) => devices_bench::bench(context, &args),
        },
        Some(Command::Plugins(command)) => plugins::plugins(context, &command),
        None if context.args.manual_warmup() => {
            warmup::warmup(context, &args::WarmupArgs::default())
        }
        None => {
            Err(CliError::Usage("no command was given: `preheat --help` lists them".to_owned()))
        }
    }
}

/// Starts logging to standard error. Log lines do not disturb progress bars. `-v` and `-q` choose
/// the level, unless `PREHEAT_LOG` gives a filter.
fn start_logging(args: &OutputArgs, shown: &Shown) {
    let level = match (args.quiet, args.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "info,preheat=info",
        (_, 2) => "info,preheat=debug,preheat_cache=debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("PREHEAT_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let ansi = match args.color {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => {
            std::io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        }
    };
    let shown = shown.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(ansi)
        .with_target(false)
        .without_time()
        .fmt_fields(format::debug_fn(log_field).delimited(" "))
        .with_writer(move || AroundBars { shown: shown.clone() });
    if subscriber.try_init().is_err() {
        // A program that links the command line has already set up its own logging, which is used.
    }
}

/// Writes a field of a log line as printable text, because it may quote names and files that other
/// people chose.
fn log_field(
    writer: &mut format::Writer<'_>,
    field: &Field,
    value: &dyn std::fmt::Debug,
) -> std::fmt::Result {
    let value = format!("{value:?}");
    let value = printable_lines(&value);
    if field.name() == "message" {
        write!(writer, "{value}")
    } else {
        write!(writer, "{field}={value}")
    }
}

struct AroundBars {
    shown: Shown,
}

impl Write for AroundBars {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.shown.suspend(|| std::io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
