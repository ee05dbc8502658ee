//! The commands and their flags, as clap sees them; those that decide what runs where are in
//! `runtime_args.rs`.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::cache_rewarm::RewarmArgs;
use super::cache_upkeep::{ExportArgs, FilterArgs, PinArgs, PruneArgs};
use super::devices_bench::BenchArgs;
use super::devices_tune::TuneArgs;
use super::{CliError, RuntimeArgs};
use crate::device::Target;
use crate::evidence::planner::Budget;
use crate::pipeline::{Pipeline, PipelineError, TextToImage, parse_resolution};

/// Compiles a diffusion pipeline's graphs with XLA once, keeps them, and loads them in a fraction
/// of a second ever after.
#[derive(Debug, Parser)]
#[command(
    name = "preheat",
    version,
    max_term_width = 110,
    disable_help_subcommand = true,
    args_override_self = true
)]
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
    /// Text to image
    Run(RunArgs),
    /// Compile every stage of a model, or programs, ahead of use, and run each once on zeros
    Warmup(WarmupArgs),
    /// Would it hit? Exit status 3 where it would not
    Lookup(LookupArgs),
    /// Would the requests of a log hit? What is missing, and what that costs. Exit status 3 where
    /// not all would
    Audit(EvidenceArgs),
    /// Which sizes to warm, so that the requests of a log cost least within a budget
    Plan(PlanArgs),
    /// Any StableHLO or HLO program through the cache
    #[command(subcommand)]
    Program(ProgramCommand),
    /// What the cache holds
    #[command(subcommand)]
    Cache(CacheCommand),
    /// What this machine can run on, and why not; how fast and how exactly, and in which batches
    Devices {
        #[command(subcommand)]
        command: Option<DevicesCommand>,
    },
    /// The native libraries: where each was found, and installing them
    #[command(subcommand)]
    Plugins(PluginsCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum ProgramCommand {
    /// Make sure that the program's executable is in the cache, and load it
    Compile(ProgramArgs),
    /// Run the program
    Run(ProgramRunArgs),
}

#[derive(Debug, Args)]
pub(super) struct ProgramArgs {
    /// StableHLO text or bytecode, or a serialised `HloModuleProto`
    #[arg(required_unless_present = "key")]
    pub(super) file: Option<PathBuf>,
    /// A graph of the cache, by its key or the beginning of it, in place of a file
    #[arg(long, value_name = "KEY", conflicts_with_all = ["file", "model_id", "dtype", "width", "batch", "cfg_scale",
          "scheduler", "steps", "clip_skip"])]
    pub(super) key: Option<String>,
    /// Compile although the cache has it, and replace what it has
    #[arg(long)]
    pub(super) force_recompile: bool,
    #[command(flatten)]
    pub(super) signature: SignatureArgs,
}

impl ProgramArgs {
    /// What is said of it in an error: the file, or the key.
    pub(super) fn subject(&self) -> &Path {
        self.file.as_deref().or(self.key.as_deref().map(Path::new)).unwrap_or(Path::new("program"))
    }
}

#[derive(Debug, Args)]
pub(super) struct ProgramRunArgs {
    /// Inputs, named arg0, arg1, ...; zeros where not given. Complex numbers have a last dimension
    /// of two
    #[arg(long, value_name = "F.safetensors")]
    pub(super) inputs: Option<PathBuf>,
    /// Where to write the outputs, named out0, out1, ...; - is standard output
    #[arg(long, value_name = "F.safetensors")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) program: ProgramArgs,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// What the picture should show
    #[arg(
        long,
        value_name = "TEXT",
        required_unless_present = "request",
        allow_hyphen_values = true
    )]
    pub(super) prompt: Option<String>,
    /// What it should not show
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) negative_prompt: Option<String>,
    /// The seed of the first picture, the others of a batch take the numbers after it [default:
    /// any]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) seed: Option<u64>,
    /// Where the picture goes, - is standard output; in a batch `out.png` becomes `out-0.png`,
    /// `out-1.png`, ...
    #[arg(long, value_name = "FILE", default_value = "out.png")]
    pub(super) output: PathBuf,
    /// A request as JSON, `tpu_warmup` block included; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(super) request: Option<PathBuf>,
    /// Append the request, without its prompts, to a log that `audit` and `plan` read
    #[arg(long, value_name = "FILE")]
    pub(super) log_requests: Option<PathBuf>,
    /// Compile although the cache has it, and replace what it has
    #[arg(long)]
    pub(super) force_recompile: bool,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) picture: PictureArgs,
}

/// A log of requests, and the model that they are set against.
#[derive(Debug, Args)]
pub(super) struct EvidenceArgs {
    /// The log, a JSON object a line, as `run --log-requests` writes it
    #[arg(long, value_name = "FILE")]
    pub(super) requests: PathBuf,
    /// How many requests a cache serves until everything is cold again: an upgrade, a new machine
    /// [default: as many as the log has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) requests_per_store: Option<u64>,
    /// Set the requests against hardware that is not here, such as tpu:v5e:1x1
    #[arg(long, value_name = "TARGET")]
    pub(super) target: Option<Target>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// What warming may take beyond what is warm: seconds of compiles, bytes on disk or both, such
    /// as 2h,20GiB
    #[arg(long, value_name = "TIME,SIZE", value_parser = super::plan::budget)]
    pub(super) budget: Budget,
    /// Where the manifest goes that lists the sizes; - is standard output
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) evidence: EvidenceArgs,
}

/// Which model.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ModelArgs {
    /// A model folder in the diffusers layout [default: the demo model, which draws digits]
    #[arg(long, value_name = "DIR")]
    pub(super) model: Option<PathBuf>,
    /// Which weights are read where the folder has several, such as fp16
    #[arg(long, value_name = "NAME")]
    pub(super) variant: Option<String>,
}

/// What shapes a request for pictures.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Picture")]
pub(super) struct PictureArgs {
    /// Width in pixels; computed rounded up to the padding multiple, and cropped [default: the
    /// model's]
    #[arg(long, value_name = "PX", requires = "height", allow_negative_numbers = true)]
    pub(super) width: Option<u64>,
    /// Height in pixels; computed rounded up to the padding multiple, and cropped [default: the
    /// model's]
    #[arg(long, value_name = "PX", requires = "width", allow_negative_numbers = true)]
    pub(super) height: Option<u64>,
    /// Pictures at once; a warmup takes several numbers, such as 1,2,4; auto is as many as fit on a
    /// device of libtorch [default: 1]
    #[arg(long, value_name = "N", value_parser = batch, value_delimiter = ',', allow_negative_numbers = true)]
    pub(super) batch: Vec<BatchSize>,
    /// Classifier-free guidance scale; 1 is unguided, and takes half the time [default: 7.5 for a
    /// model, 1 for a program]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(super) cfg_scale: Option<f64>,
    /// The scheduler: `ddim`, `euler`, `euler_karras`, `euler_a`, `dpm++_2m`, `dpm++_2m_karras`,
    /// `pndm`, their names in other programs such as "DPM++ 2M Karras", or a class of diffusers
    /// [default: the model's]
    #[arg(long, value_name = "NAME")]
    pub(super) scheduler: Option<String>,
    /// Denoising steps [default: 20 for a model, 1 for a program]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) steps: Option<u64>,
    /// Last layers of the text encoder that are left out, as diffusers counts them [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) clip_skip: Option<u64>,
}

impl PictureArgs {
    /// The batch sizes that were given, or that of `request`.
    pub(super) fn batches(&self, request: &TextToImage) -> Vec<u64> {
        let given = self.batch.iter().map(|size| match size {
            BatchSize::Of(size) => *size,
            BatchSize::Auto => request.batch_size,
        });
        if self.batch.is_empty() { vec![request.batch_size] } else { given.collect() }
    }

    /// Puts as many pictures into `request` as fit, where that was asked for.
    pub(super) fn fit_batch(
        &self,
        pipeline: &Pipeline,
        request: &mut TextToImage,
    ) -> Result<(), PipelineError> {
        if self.batch.contains(&BatchSize::Auto) {
            let batch = pipeline.automatic_batch(request)?;
            tracing::info!(size = batch.size, "batch: {}", batch.reason);
            request.batch_size = batch.size;
        }
        Ok(())
    }

    /// Refuses a batch of as many as fit where nothing is there that they could fit on.
    pub(super) fn refuse_automatic_batch(&self) -> Result<(), CliError> {
        if !self.batch.contains(&BatchSize::Auto) {
            return Ok(());
        }
        Err(CliError::Usage(
            "--batch auto goes by the memory of the device that is here, for a model that is run, warmed or looked up on it".to_owned(),
        ))
    }

    /// Refuses several batch sizes where one thing is asked for.
    pub(super) fn one_batch(&self) -> Result<(), CliError> {
        if self.batch.len() <= 1 {
            return Ok(());
        }
        Err(CliError::Usage(
            "--batch takes one number here; only a warmup takes several".to_owned(),
        ))
    }

    /// Puts what was given into `request`.
    pub(super) fn refine(&self, request: &mut TextToImage) {
        request.width = self.width.or(request.width);
        request.height = self.height.or(request.height);
        request.batch_size = self.batches(request)[0];
        request.cfg_scale = self.cfg_scale.unwrap_or(request.cfg_scale);
        request.steps = self.steps.unwrap_or(request.steps);
        request.clip_skip = self.clip_skip.unwrap_or(request.clip_skip);
        if self.scheduler.is_some() {
            request.scheduler.clone_from(&self.scheduler);
        }
    }
}

/// The sizes that a family of models is most used at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// 512x512, 512x768, 768x512 and 768x768
    Sd15,
    /// 1024x1024 and the six shapes of the same area that Stable Diffusion XL was trained at most
    Sdxl,
}

impl Preset {
    /// Sizes in pixels, `[width, height]`. SDXL's are from appendix I of its report, arXiv
    /// 2307.01952.
    pub(super) fn resolutions(self) -> &'static [[u64; 2]] {
        match self {
            Self::Sd15 => &[[512, 512], [512, 768], [768, 512], [768, 768]],
            Self::Sdxl => &[
                [1024, 1024],
                [1152, 896],
                [896, 1152],
                [1216, 832],
                [832, 1216],
                [1344, 768],
                [768, 1344],
            ],
        }
    }
}

/// How many pictures are made at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchSize {
    Of(u64),
    /// As many as fit.
    Auto,
}

fn batch(text: &str) -> Result<BatchSize, String> {
    match text {
        "auto" => Ok(BatchSize::Auto),
        _ => text.parse().map(BatchSize::Of).map_err(|error| format!("{error}, and not auto")),
    }
}

#[derive(Debug, Default, Args)]
pub(super) struct WarmupArgs {
    /// A program to warm in place of a model; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub(super) program: Vec<PathBuf>,
    /// Compile although the cache has it, and replace what it has
    #[arg(long)]
    pub(super) force_recompile: bool,
    /// Sizes to warm a model for, such as 512x512,768x512
    #[arg(long, value_name = "SIZES", value_delimiter = ',', conflicts_with_all = ["width", "program"],
          value_parser = parse_resolution)]
    pub(super) resolutions: Vec<[u64; 2]>,
    /// The sizes that a family of models is most used at, in place of --resolutions
    #[arg(long, value_name = "NAME", requires = "model", conflicts_with_all = ["resolutions", "width", "program"])]
    pub(super) preset: Option<Preset>,
    /// Compile for hardware that is not here, such as tpu:v5e:1x1, and run nothing
    #[arg(long, value_name = "TARGET", group = "ahead")]
    pub(super) aot: Option<Target>,
    /// Compiles at once ahead of time, memory allowing [default: one for every two processors]
    #[arg(long, value_name = "N", requires = "ahead", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) jobs: Option<u16>,
    /// Warm what a manifest lists, as `preheat plan` writes one: models, targets, sizes, batches
    /// and precisions
    #[arg(long, value_name = "FILE", group = "ahead", conflicts_with_all = ["program", "model", "variant", "preset", "resolutions",
          "width", "batch", "cfg_scale", "clip_skip"])]
    pub(super) manifest: Option<PathBuf>,
    /// Whether graphs of a negative prompt are warmed, too, where it has its own: only a manifest
    /// tells.
    #[arg(skip)]
    pub(super) negative_prompt: bool,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) signature: SignatureArgs,
}

#[derive(Debug, Args)]
pub(super) struct LookupArgs {
    /// A program to look up in place of a model; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub(super) program: Vec<PathBuf>,
    /// Look up for hardware that is not here, such as tpu:v5e:1x1
    #[arg(long, value_name = "TARGET")]
    pub(super) target: Option<Target>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) signature: SignatureArgs,
}

/// An execution signature: what is recorded and looked up.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct SignatureArgs {
    #[command(flatten)]
    pub(super) picture: PictureArgs,
    #[command(flatten)]
    pub(super) program: ProgramSignatureArgs,
}

/// What only the signature of a program is told: a model knows it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Signature of a program")]
pub(super) struct ProgramSignatureArgs {
    /// The model the program belongs to [default: the file's name]
    #[arg(long, value_name = "ID")]
    pub(super) model_id: Option<String>,
    /// The dtype the program computes in: float32, bfloat16, float16, ... [default: float32]
    #[arg(long, value_name = "DTYPE")]
    pub(super) dtype: Option<String>,
}

impl ProgramSignatureArgs {
    /// Refuses what a model knows by itself.
    pub(super) fn refuse_for_models(&self) -> Result<(), CliError> {
        let why = match (&self.model_id, &self.dtype) {
            (Some(_), _) => {
                "--model-id names the model of a program; --model takes a model's folder"
            }
            (_, Some(_)) => {
                "--dtype is told of programs; --precision says what a model computes in"
            }
            _ => return Ok(()),
        };
        Err(CliError::Usage(why.to_owned()))
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    /// Hits, misses, compiles and sizes, over all processes
    Stats,
    /// The compiled graphs, one a line
    List {
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// All that is known of one graph
    Show {
        /// The graph key, or the beginning of it
        key: String,
        /// Print the program itself
        #[arg(long)]
        program: bool,
    },
    /// Remove every compiled graph
    Clear {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Where the cache is, and what it takes on disk
    Info,
    /// Check everything: objects, records and what lies beside them. Exit status 4 where something
    /// is damaged
    Verify {
        /// Put right what can be: damaged objects go to quarantine, the index is made anew from the
        /// objects
        #[arg(long)]
        repair: bool,
    },
    /// Remove compiled graphs by size, age, or because their plugin is gone. Pinned ones stay
    Prune(PruneArgs),
    /// Keep a compiled graph, or all that a request leads to, out of eviction
    Pin(PinArgs),
    /// Let go of what was pinned
    Unpin(PinArgs),
    /// Write compiled graphs to one portable file
    Export(ExportArgs),
    /// Take in the compiled graphs of an exported file: machine code that preheat then runs, each
    /// checked for damage
    Import {
        /// The file
        file: PathBuf,
        /// Run what is in the file, though no signature says who made it
        #[arg(long)]
        trust: bool,
    },
    /// Compile what the cache holds for another plugin build or other hardware, from the programs
    /// in it; no model is needed
    Rewarm(RewarmArgs),
    /// Set the counters back and keep the entries
    ZeroStats,
}

#[derive(Debug, Subcommand)]
pub(super) enum DevicesCommand {
    /// Find the batch that makes most pictures a second, by making some
    Tune(TuneArgs),
    /// Devices side by side: how soon, how fast, in how much memory, and how near to float32 on the
    /// CPU
    Bench(BenchArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum PluginsCommand {
    /// Where each plugin was looked for and found
    List,
    /// Download a plugin's wheel with pip, check it and unpack it
    Install {
        /// xla-cpu, tpu, or torch: libtorch, with CUDA where a card is seen (torch-cpu, torch-cuda:
        /// one of the two)
        name: String,
        /// A wheel that is already here, checked the same way
        #[arg(long, value_name = "FILE")]
        wheel: Option<PathBuf>,
        /// Install although it is installed
        #[arg(long)]
        force: bool,
        /// Install libtorch even if the library that calls it is missing, for example to build that
        /// library
        #[arg(long)]
        libtorch_alone: bool,
    },
}

/// How results and logs are shown.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// The result as one JSON document on standard output
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: ColorWhen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorWhen {
    Auto,
    Always,
    Never,
}
