//! Which commands are there, and what runs each of them?

use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand};
use preheat_io::result_file::Existing;

use super::args::{
    ComfyuiArgs, DoctorArgs, EnvArgs, EvidenceArgs, ExecArgs, LookupArgs, ProgramArgs,
    ProgramRunArgs, RunArgs, WarmupArgs,
};
use super::cache::FilterArgs;
#[cfg(feature = "remote")]
use super::cache_remote;
use super::cache_rewarm::RewarmArgs;
use super::cache_stats::StatsArgs;
use super::cache_upkeep::{ExportArgs, PinArgs, PruneArgs};
use super::context::Context;
use super::devices_measure::BenchArgs;
use super::devices_tune::TuneArgs;
use super::logging::OutputArgs;
use super::plan::PlanArgs;
use super::plugins::PluginsCommand;
use super::shell::{CompletionsArgs, ManArgs};
use super::{
    CliError, RuntimeArgs, Status, audit, cache, cache_rewarm, cache_stats, cache_upkeep,
    cache_verify, comfyui, devices, devices_bench, devices_tune, doctor, exec, lookup, output,
    plan, plugins, program, run, shell, warmup,
};

/// Compiles the graphs of a diffusion pipeline with XLA once, keeps the executables, and loads
/// them in a fraction of a second in every later process.
#[derive(Debug, Parser)]
#[command(name = "preheat", version, max_term_width = 110, args_override_self = true)]
pub struct Cli {
    #[command(flatten)]
    pub(super) runtime: RuntimeArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make pictures from a prompt (text to image)
    Run(Box<RunArgs>),
    /// Compile every stage of a model, or programs, ahead of use, and run each once on zeros
    Warmup(WarmupArgs),
    /// Tell whether the cache has the executables that a request needs. The exit status is 3 if one
    /// is missing
    Lookup(LookupArgs),
    /// Tell which requests of a log the cache can serve, which sizes are missing, and how much time
    /// their compiles cost. The exit status is 3 if anything is missing
    Audit(EvidenceArgs),
    /// Choose, within a budget, the sizes to warm with which the users of a log's requests wait
    /// least
    Plan(PlanArgs),
    /// Compile or run a StableHLO or HLO program through the cache
    #[command(subcommand)]
    Program(ProgramCommand),
    /// Inspect and maintain the cache
    #[command(subcommand)]
    Cache(CacheCommand),
    /// List the devices that this machine can use, and why it cannot use the others; subcommands
    /// compare their speed and accuracy and find the fastest batch
    Devices {
        #[command(subcommand)]
        command: Option<DevicesCommand>,
    },
    /// List the native libraries and where each was found, or install one
    #[command(subcommand)]
    Plugins(PluginsCommand),
    /// Run a program of JAX or another framework over the cache: `preheat exec -- python serve.py`
    Exec(ExecArgs),
    /// Start ComfyUI with preheat's flags, which its node pack then follows: `preheat comfyui --
    /// python main.py --tpu-manual-warmup`
    Comfyui(ComfyuiArgs),
    /// Print the variables that `exec` sets, for a shell: `eval "$(preheat env)"`
    Env(EnvArgs),
    /// Tell which frameworks this Python environment has, which plugin each would load, and whether
    /// it would use preheat's cache
    Doctor(DoctorArgs),
    /// Print the script that completes this command line in a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write the pages of all commands into a folder
    Man(ManArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum ProgramCommand {
    /// Make sure that the program's executable is in the cache, and load it
    Compile(ProgramArgs),
    /// Run the program
    Run(ProgramRunArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    /// Show the outcomes of requests, the hits, misses and compiles of all processes, and the sizes
    Stats(StatsArgs),
    /// List the entries, one per line
    List {
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Show everything that is recorded about one graph
    Show {
        /// The graph key, or the beginning of it
        key: String,
        /// Print the program itself as well
        #[arg(long)]
        program: bool,
    },
    /// Remove every entry
    Clear {
        /// Remove without asking first
        #[arg(long)]
        yes: bool,
    },
    /// Show where the cache is, and how much disk space it takes
    Info,
    /// Check every object, every record and the other files of the cache. The exit status is 4 if
    /// something is damaged or an executable is gone
    Verify {
        /// Repair what can be repaired: move damaged objects into quarantine, rebuild the index
        /// from the objects, and compile lost executables again
        #[arg(long)]
        repair: bool,
    },
    /// Remove entries by size, by age, or if their plugin is no longer installed. Pinned entries
    /// stay
    Prune(PruneArgs),
    /// Protect an entry, or all entries of a request, from eviction
    Pin(PinArgs),
    /// Remove the protection that `pin` gave
    Unpin(PinArgs),
    /// Write objects to one portable file
    Export(ExportArgs),
    /// Add the objects of an exported file to the cache. Each object is checked for damage. The
    /// objects are machine code that preheat then runs
    Import {
        /// The exported file
        file: PathBuf,
        /// Trust the machine code in the file, although no cryptographic signature says who made it
        #[arg(long)]
        trust: bool,
    },
    /// Upload entries to the remotes that --cache-remote names
    #[cfg(feature = "remote")]
    Push(cache_remote::PushArgs),
    /// Fetch entries from the remotes that --cache-remote names. Each object is checked for damage.
    /// The objects are machine code that preheat then runs
    #[cfg(feature = "remote")]
    Pull {
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Compile the programs in the cache again for another plugin build or other hardware; no model
    /// is needed
    Rewarm(RewarmArgs),
    /// Set the counters to zero and keep the entries
    ZeroStats,
}

#[derive(Debug, Subcommand)]
pub(super) enum DevicesCommand {
    /// Find the batch with the most pictures per second, by making some pictures
    Tune(TuneArgs),
    /// Compare devices: time to start, speed, memory, and the difference of their pictures from
    /// those in float32 on the CPU
    Bench(BenchArgs),
}

/// Runs a command.
pub(super) fn dispatch(context: &Context, command: Option<Command>) -> Result<Status, CliError> {
    if context.args.tpu_warmup_enable {
        tracing::warn!(
            "--tpu-warmup-enable is the older name of --tpu-manual-warmup, and is taken as that"
        );
    }
    // The publisher works until it is dropped at the end of the command. It then writes the metrics
    // file, if there is one, a last time.
    let _publisher = context.args.publish()?;
    match command {
        Some(Command::Run(args)) => run::run(context, &args),
        Some(Command::Program(ProgramCommand::Compile(args))) => program::compile(context, &args),
        Some(Command::Program(ProgramCommand::Run(args))) => program::run(context, &args),
        Some(Command::Warmup(args)) => warmup::warmup(context, &args),
        Some(Command::Lookup(args)) => lookup::lookup(context, &args),
        Some(Command::Audit(args)) => audit::audit(context, &args),
        Some(Command::Plan(args)) => plan::plan(context, &args),
        Some(Command::Cache(command)) => match command {
            CacheCommand::Stats(args) => cache_stats::stats(context, &args),
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
            #[cfg(feature = "remote")]
            CacheCommand::Push(args) => cache_remote::push(context, &args),
            #[cfg(feature = "remote")]
            CacheCommand::Pull { filter } => cache_remote::pull(context, &filter),
            CacheCommand::Rewarm(args) => cache_rewarm::rewarm(context, &args),
            CacheCommand::ZeroStats => cache::zero_stats(context),
        },
        Some(Command::Devices { command }) => match command {
            None => devices::devices(context),
            Some(DevicesCommand::Tune(args)) => devices_tune::tune(context, &args),
            Some(DevicesCommand::Bench(args)) => devices_bench::bench(context, &args),
        },
        Some(Command::Plugins(command)) => plugins::plugins(context, &command),
        Some(Command::Exec(args)) => exec::exec(context, &args),
        Some(Command::Comfyui(args)) => comfyui::comfyui(context, &args),
        Some(Command::Env(args)) => exec::env(context, &args),
        Some(Command::Doctor(args)) => doctor::doctor(context, &args),
        Some(Command::Completions(args)) => shell::completions(Cli::command(), &args),
        Some(Command::Man(args)) => shell::man(Cli::command(), &args),
        None if context.args.manual_warmup() => warmup::warmup(context, &WarmupArgs::default()),
        None => {
            Err(CliError::Usage("no command was given: `preheat --help` lists them".to_owned()))
        }
    }
}

/// Reserves standard output for a result, if one is to be written there. Lines for a person then go
/// to standard error.
pub(super) fn share_standard_output(cli: &Cli) -> Result<(), CliError> {
    let result = match &cli.command {
        Some(Command::Run(args)) => Some(("--output", &args.output)),
        Some(Command::Plan(args)) => args.output.as_ref().map(|path| ("--output", path)),
        Some(Command::Program(ProgramCommand::Run(args))) => {
            args.output.as_ref().map(|path| ("--output", path))
        }
        Some(Command::Doctor(args)) => args.report.as_ref().map(|path| ("--report", path)),
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

/// Refuses `--trace`, before anything is compiled, if the file cannot be written or if the command
/// records no trace.
pub(super) fn check_trace(args: &RuntimeArgs, command: Option<&Command>) -> Result<(), CliError> {
    let Some(path) = &args.trace else { return Ok(()) };
    let does_work =
        |command| matches!(command, &Command::Run(_) | &Command::Warmup(_) | &Command::Program(_));
    if !command.is_none_or(does_work) {
        return Err(CliError::Usage(
            "--trace records run, warmup and program only: leave it out".to_owned(),
        ));
    }
    let failed =
        |cause| CliError::File { doing: "writing the trace to", path: path.clone(), cause };
    output::check(path, Existing::Replace).map_err(failed)
}
