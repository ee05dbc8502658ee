//! Which commands and flags does the command line have? clap parses them from these structs. The
//! flags that decide what runs where are in `runtime_args.rs`, because other programs use them too.

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

/// Compiles the graphs of a diffusion pipeline with XLA once, keeps the executables, and loads
/// them in a fraction of a second in every later process.
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
    /// Make pictures from a prompt (text to image)
    Run(RunArgs),
    /// Compile every stage of a model, or programs, ahead of use, and run each once on zeros
    Warmup(WarmupArgs),
    /// Tell whether the cache has what a request needs. The exit status is 3 if it has not
    Lookup(LookupArgs),
    /// Tell which requests of a log the cache can serve, what is missing, and what that costs. The
    /// exit status is 3 if anything is missing
    Audit(EvidenceArgs),
    /// Choose the sizes to warm, so that the requests of a log cost least within a budget
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
    /// The key of a graph in the cache, or the beginning of the key, in place of a file
    #[arg(long, value_name = "KEY", conflicts_with_all = ["file", "model_id", "dtype", "width", "batch", "cfg_scale",
          "scheduler", "steps", "clip_skip"])]
    pub(super) key: Option<String>,
    /// Compile even if the cache has the executable, and replace the stored one
    #[arg(long)]
    pub(super) force_recompile: bool,
    #[command(flatten)]
    pub(super) signature: SignatureArgs,
}

impl ProgramArgs {
    /// The name of the program in an error message: the file or the key.
    pub(super) fn subject(&self) -> &Path {
        self.file.as_deref().or(self.key.as_deref().map(Path::new)).unwrap_or(Path::new("program"))
    }
}

#[derive(Debug, Args)]
pub(super) struct ProgramRunArgs {
    /// The inputs, named arg0, arg1, ... [default: zeros]. Complex numbers have a last dimension of
    /// two
    #[arg(long, value_name = "F.safetensors")]
    pub(super) inputs: Option<PathBuf>,
    /// The file for the outputs, named out0, out1, ...; - is standard output
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
    /// What the picture should not show
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) negative_prompt: Option<String>,
    /// The seed of the first picture; each further picture of a batch takes the next number
    /// [default: a random seed]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) seed: Option<u64>,
    /// The file for the picture; - is standard output. In a batch `out.png` becomes `out-0.png`,
    /// `out-1.png`, ...
    #[arg(long, value_name = "FILE", default_value = "out.png")]
    pub(super) output: PathBuf,
    /// A request as a JSON file, which may have a `tpu_warmup` block; flags override its fields
    #[arg(long, value_name = "FILE")]
    pub(super) request: Option<PathBuf>,
    /// Append the request, without its prompts, to a log that `audit` and `plan` read
    #[arg(long, value_name = "FILE")]
    pub(super) log_requests: Option<PathBuf>,
    /// Compile even if the cache has the executables, and replace the stored ones
    #[arg(long)]
    pub(super) force_recompile: bool,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) picture: PictureArgs,
}

/// A log of requests, and the model that serves them.
#[derive(Debug, Args)]
pub(super) struct EvidenceArgs {
    /// The log, with one JSON object per line, as `run --log-requests` writes it
    #[arg(long, value_name = "FILE")]
    pub(super) requests: PathBuf,
    /// How many requests a cache serves until an upgrade or a new machine makes everything cold
    /// again [default: as many as the log has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) requests_per_store: Option<u64>,
    /// Judge the requests for hardware that need not be here, such as tpu:v5e:1x1
    #[arg(long, value_name = "TARGET")]
    pub(super) target: Option<Target>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// What warming may cost in addition to what is already warm: compile time, bytes on disk or
    /// both, such as 2h,20GiB
    #[arg(long, value_name = "TIME,SIZE", value_parser = super::plan::budget)]
    pub(super) budget: Budget,
    /// The file for the manifest, which lists the chosen sizes; - is standard output
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) evidence: EvidenceArgs,
}

/// The model that a command works on.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ModelArgs {
    /// A model folder in the diffusers layout [default: the demo model, which draws digits]
    #[arg(long, value_name = "DIR")]
    pub(super) model: Option<PathBuf>,
    /// Which weights to read where the folder has several variants, such as fp16
    #[arg(long, value_name = "NAME")]
    pub(super) variant: Option<String>,
}

/// The size, batch, guidance and schedule of a request for pictures.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Picture")]
pub(super) struct PictureArgs {
    /// Width in pixels. The picture is computed at the next padding multiple and cropped [default:
    /// the model's]
    #[arg(long, value_name = "PX", requires = "height", allow_negative_numbers = true)]
    pub(super) width: Option<u64>,
    /// Height in pixels. The picture is computed at the next padding multiple and cropped [default:
    /// the model's]
    #[arg(long, value_name = "PX", requires = "width", allow_negative_numbers = true)]
    pub(super) height: Option<u64>,
    /// How many pictures are made at once. A warmup takes several numbers, such as 1,2,4; auto
    /// takes as many as fit on a libtorch device [default: 1]
    #[arg(long, value_name = "N", value_parser = batch, value_delimiter = ',', allow_negative_numbers = true)]
    pub(super) batch: Vec<BatchSize>,
    /// Classifier-free guidance scale; 1 means no guidance, and takes half the time [default: 7.5
    /// for a model, 1 for a program]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(super) cfg_scale: Option<f64>,
    /// The scheduler: `ddim`, `euler`, `euler_karras`, `euler_a`, `dpm++_2m`, `dpm++_2m_karras`,
    /// `pndm`, `heun`, `heun_karras`, their names in other programs such as "DPM++ 2M Karras", or a
    /// class of diffusers [default: the model's]
    #[arg(long, value_name = "NAME")]
    pub(super) scheduler: Option<String>,
    /// Denoising steps [default: 20 for a model, 1 for a program]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) steps: Option<u64>,
    /// How many of the text encoder's last layers are left out, as diffusers counts them
    /// [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) clip_skip: Option<u64>,
}

impl PictureArgs {
    /// The batch sizes that the flag gave, or else the one of `request`.
    pub(super) fn batches(&self, request: &TextToImage) -> Vec<u64> {
        let given = self.batch.iter().map(|size| match size {
            BatchSize::Of(size) => *size,
            BatchSize::Auto => request.batch_size,
        });
        if self.batch.is_empty() { vec![request.batch_size] } else { given.collect() }
    }

    /// With `--batch auto`, sets the batch of `request` to as many pictures as fit.
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

    /// Refuses `--batch auto` for a command that opens no device whose memory could decide.
    pub(super) fn refuse_automatic_batch(&self) -> Result<(), CliError> {
        if !self.batch.contains(&BatchSize::Auto) {
            return Ok(());
        }
        Err(CliError::Usage(
            "--batch auto goes by the memory of the device that is here, for a model that is run, warmed or looked up on it".to_owned(),
        ))
    }

    /// Refuses several batch sizes for a command that takes one.
    pub(super) fn one_batch(&self) -> Result<(), CliError> {
        if self.batch.len() <= 1 {
            return Ok(());
        }
        Err(CliError::Usage(
            "--batch takes one number here; only a warmup takes several".to_owned(),
        ))
    }

    /// Overrides the fields of `request` for which a flag was given.
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

/// The sizes that users of a model family ask for most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// 512x512, 512x768, 768x512 and 768x768
    Sd15,
    /// 1024x1024 and the six other shapes of about that area that Stable Diffusion XL was trained
    /// on most
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
    /// As many as fit in the device's memory.
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
    /// Compile even if the cache has the executables, and replace the stored ones
    #[arg(long)]
    pub(super) force_recompile: bool,
    /// Sizes to warm a model for, such as 512x512,768x512
    #[arg(long, value_name = "SIZES", value_delimiter = ',', conflicts_with_all = ["width", "program"],
          value_parser = parse_resolution)]
    pub(super) resolutions: Vec<[u64; 2]>,
    /// The sizes that users of a model family ask for most, in place of --resolutions
    #[arg(long, value_name = "NAME", requires = "model", conflicts_with_all = ["resolutions", "width", "program"])]
    pub(super) preset: Option<Preset>,
    /// Compile ahead of time for hardware that need not be here, such as tpu:v5e:1x1; nothing is
    /// run
    #[arg(long, value_name = "TARGET", group = "ahead")]
    pub(super) aot: Option<Target>,
    /// How many compiles ahead of time run at once, if memory allows [default: one for every two
    /// processors]
    #[arg(long, value_name = "N", requires = "ahead", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) jobs: Option<u16>,
    /// Warm the models, targets, sizes, batches and precisions that a manifest lists; `preheat
    /// plan` writes such a file
    #[arg(long, value_name = "FILE", group = "ahead", conflicts_with_all = ["program", "model", "variant", "preset", "resolutions",
          "width", "batch", "cfg_scale", "clip_skip"])]
    pub(super) manifest: Option<PathBuf>,
    /// Whether to warm the graphs that only a request with a negative prompt needs. Only a
    /// manifest sets it.
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
    /// Look up for hardware that need not be here, such as tpu:v5e:1x1
    #[arg(long, value_name = "TARGET")]
    pub(super) target: Option<Target>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) signature: SignatureArgs,
}

/// The flags of an execution signature, under which a graph is recorded and looked up.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct SignatureArgs {
    #[command(flatten)]
    pub(super) picture: PictureArgs,
    #[command(flatten)]
    pub(super) program: ProgramSignatureArgs,
}

/// The parts of a signature that a program has to be told. A model knows its own.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Signature of a program")]
pub(super) struct ProgramSignatureArgs {
    /// The model that the program belongs to [default: the file's name]
    #[arg(long, value_name = "ID")]
    pub(super) model_id: Option<String>,
    /// The dtype that the program computes in: float32, bfloat16, float16, ... [default: float32]
    #[arg(long, value_name = "DTYPE")]
    pub(super) dtype: Option<String>,
}

impl ProgramSignatureArgs {
    /// Refuses these flags for a model, which knows its id and its dtypes by itself.
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
    /// Show hits, misses, compiles and sizes, counted over all processes
    Stats,
    /// List the compiled graphs, one per line
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
    /// Remove every compiled graph
    Clear {
        /// Remove without asking first
        #[arg(long)]
        yes: bool,
    },
    /// Show where the cache is, and how much disk space it takes
    Info,
    /// Check every object, every record and the other files of the cache. The exit status is 4 if
    /// something is damaged
    Verify {
        /// Repair what can be repaired: move damaged objects into quarantine, and rebuild the index
        /// from the objects
        #[arg(long)]
        repair: bool,
    },
    /// Remove compiled graphs by size, by age, or because their plugin is gone. Pinned graphs stay
    Prune(PruneArgs),
    /// Protect a compiled graph, or all graphs of a request, from eviction
    Pin(PinArgs),
    /// Remove the protection that `pin` gave
    Unpin(PinArgs),
    /// Write compiled graphs to one portable file
    Export(ExportArgs),
    /// Add the compiled graphs of an exported file to the cache. Each is checked for damage. They
    /// are machine code that preheat then runs
    Import {
        /// The exported file
        file: PathBuf,
        /// Trust the machine code in the file, although no cryptographic signature says who made it
        #[arg(long)]
        trust: bool,
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
    /// Compare devices: time to start, speed, memory, and how near their pictures are to float32 on
    /// the CPU
    Bench(BenchArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum PluginsCommand {
    /// List each plugin, where it was looked for, and where it was found
    List,
    /// Download a plugin's wheel with pip, check it and unpack it
    Install {
        /// xla-cpu, tpu or torch. torch is libtorch, with CUDA if an NVIDIA card is found;
        /// torch-cpu and torch-cuda choose one of the two
        name: String,
        /// A wheel file that was downloaded before; it is checked in the same way
        #[arg(long, value_name = "FILE")]
        wheel: Option<PathBuf>,
        /// Install again even if it is installed
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
