//! How are log lines shown?

use std::io::{IsTerminal as _, Write};

use clap::{ArgAction, Args, ValueEnum};
use preheat_io::printable::printable_lines;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format;

use super::progress::Shown;

/// How results and logs are shown.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Print the result as one JSON document on standard output
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Log more; -vv logs more still, and -vvv everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// Print only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// When to colour the log
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: ColorWhen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorWhen {
    Auto,
    Always,
    Never,
}

/// Starts logging to standard error. Log lines do not disturb progress bars. `-v` and `-q` choose
/// the level, unless `PREHEAT_LOG` gives a filter.
pub(super) fn start_logging(args: &OutputArgs, shown: &Shown) {
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
