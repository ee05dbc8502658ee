//! Which flags do the commands for models and programs have? clap parses them from these structs.
//! The flags that decide what runs where are in `runtime_args.rs`, because other programs use them
//! too.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{CliError, number};
use preheat_diffusion::pipeline::schedulers::Prediction;
use preheat_diffusion::pipeline::{
    LatentInterpolation, Pipeline, PipelineBuilder, PipelineError, PromptSyntax, TextToImage,
    parse_resolution,
};
use preheat_runtime::device::Target;

#[derive(Debug, Args)]
pub(super) struct ExecArgs {
    /// The caching plugin [default: `libpreheat_pjrt.so` beside this binary]
    #[arg(long, value_name = "FILE")]
    pub(super) plugin: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct ComfyuiArgs {
    /// The command that starts ComfyUI. preheat's own flags may stand in it, too, behind `main.py`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct EnvArgs {
    /// The caching plugin [default: `libpreheat_pjrt.so` beside this binary]
    #[arg(long, value_name = "FILE")]
    pub(super) plugin: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub(super) env: EnvArgs,
    /// Also try, on the hardware of this machine, each claim of the documentation that was not
    /// verified there, and write what came out to this file, without names or paths; - is standard
    /// output
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ProgramArgs {
    /// StableHLO text or bytecode, or a serialised `HloModuleProto`
    #[arg(required_unless_present = "key")]
    pub(super) file: Option<PathBuf>,
    /// The key of a graph in the cache, or the beginning of the key, in place of a file
    #[arg(long, value_name = "KEY", conflicts_with_all = ["file", "model_id", "dtype", "width", "batch", "cfg_scale",
          "scheduler", "steps", "clip_skip", "prompt_chunks"])]
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
    /// What the second text encoder of Stable Diffusion XL reads in place of the prompt
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) prompt_2: Option<String>,
    /// What the second text encoder reads in place of the negative prompt
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) negative_prompt_2: Option<String>,
    /// How prompts are read: plain as in diffusers, which cuts off what is longer than 75 tokens;
    /// a1111 as in the AUTOMATIC1111 web UI, or comfy as in `ComfyUI`, with weights such as
    /// (cat:1.3) and chunks of 75 tokens [default: plain]
    #[arg(long, value_name = "NAME")]
    pub(super) prompt_syntax: Option<PromptSyntax>,
    /// A PNG file with which the run begins, in place of noise alone. Without --width and --height,
    /// its size is that of the picture
    #[arg(long, value_name = "FILE")]
    pub(super) image: Option<PathBuf>,
    /// How much of --image is made anew, above 0 and up to 1: this share of the steps is run
    /// [default: 0.8, or 1 with --mask]
    #[arg(long, value_name = "X", value_parser = number::fraction, allow_negative_numbers = true)]
    pub(super) strength: Option<f64>,
    /// A PNG file of the size of --image, white where the picture is made anew; the rest is kept
    #[arg(long, value_name = "FILE")]
    pub(super) mask: Option<PathBuf>,
    /// Make the picture in two passes: the latents of the first are enlarged by this factor, above
    /// 1 and up to 8, and --upscale-strength of them is made anew
    #[arg(long, value_name = "FACTOR", value_parser = number::fraction,
          conflicts_with = "image")]
    pub(super) upscale_latents: Option<f64>,
    /// How much is made anew in the second pass, above 0 and up to 1 [default: 0.7]
    #[arg(long, value_name = "X", value_parser = number::fraction, requires = "upscale_latents",
          allow_negative_numbers = true)]
    pub(super) upscale_strength: Option<f64>,
    /// How latents are enlarged: bilinear or nearest [default: bilinear]
    #[arg(long, value_name = "NAME", requires = "upscale_latents")]
    pub(super) upscale_mode: Option<LatentInterpolation>,
    /// A LoRA file that changes the model's weights, and how strongly [default: 1]. The flag may be
    /// given several times; nothing is compiled for it, and a warmup does not need it
    #[arg(long, value_name = "FILE[:WEIGHT]")]
    pub(super) lora: Vec<OsString>,
    /// How much of the noise that a step of ddim or tcd takes away is added again, from 0 to 1
    /// [default: 0]
    #[arg(long, value_name = "X", value_parser = number::fraction, allow_negative_numbers = true)]
    pub(super) eta: Option<f64>,
    /// The timesteps to visit, such as 999,759,499,259, in place of a number of steps
    #[arg(long, value_name = "N,...", value_parser = number::whole(0..=u32::MAX),
          value_delimiter = ',', allow_negative_numbers = true, conflicts_with = "steps")]
    pub(super) timesteps: Vec<u32>,
    /// The noise levels to visit and the one that is left, such as 14.6,3.1,0.9,0, in place of a
    /// number of steps; for euler
    #[arg(long, value_name = "X,...", value_parser = number::fraction, value_delimiter = ',',
          allow_negative_numbers = true, conflicts_with_all = ["steps", "timesteps"])]
    pub(super) sigmas: Vec<f64>,
    /// The seed of the first picture; each further picture of a batch takes the next number
    /// [default: a random seed]
    #[arg(long, value_name = "N", value_parser = number::from(0), allow_negative_numbers = true)]
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
    #[arg(long, value_name = "N", value_parser = number::from(1))]
    pub(super) requests_per_store: Option<u64>,
    /// Judge the requests for other hardware, such as tpu:v5e:1x1, which this machine need not have
    #[arg(long, value_name = "TARGET")]
    pub(super) target: Option<Target>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
}

/// The model that a command works on.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ModelArgs {
    /// A model folder in the diffusers layout, or a model in a single safetensors file [default:
    /// the demo model, which draws digits]
    #[arg(long, value_name = "DIR|FILE")]
    pub(super) model: Option<PathBuf>,
    /// Which weights to read if the folder has several variants, such as fp16
    #[arg(long, value_name = "NAME")]
    pub(super) variant: Option<String>,
    /// A folder in the diffusers layout that has the configs and tokenizers of a model in a single
    /// file [default: those of the public release of its shape]
    #[arg(long, value_name = "DIR")]
    pub(super) config: Option<PathBuf>,
    /// The VAE to use in place of the model's own: a safetensors file, or a folder
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) vae: Option<PathBuf>,
    /// The text encoder to use in place of the model's own: a safetensors file, or a folder. Give
    /// it twice for the two text encoders of Stable Diffusion XL
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) text_encoder: Vec<PathBuf>,
    /// What the model predicts, if preheat detects it wrongly: epsilon, `v_prediction` or sample
    #[arg(long, value_name = "NAME")]
    pub(super) prediction_type: Option<Prediction>,
}

impl ModelArgs {
    /// Adds the settings that these flags give to `builder`.
    pub(super) fn apply(&self, mut builder: PipelineBuilder) -> PipelineBuilder {
        if let Some(variant) = &self.variant {
            builder = builder.variant(variant);
        }
        if let Some(folder) = &self.config {
            builder = builder.config(folder);
        }
        if let Some(vae) = &self.vae {
            builder = builder.vae(vae);
        }
        for text_encoder in &self.text_encoder {
            builder = builder.text_encoder(text_encoder);
        }
        if let Some(prediction) = self.prediction_type {
            builder = builder.prediction(prediction);
        }
        builder
    }

    /// Refuses the flags that a manifest has no fields for.
    pub(super) fn refuse_for_manifest(&self) -> Result<(), CliError> {
        let given = [
            ("--config", self.config.is_some()),
            ("--vae", self.vae.is_some()),
            ("--text-encoder", !self.text_encoder.is_empty()),
            ("--prediction-type", self.prediction_type.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(CliError::Usage(format!(
                "leave {flag} or --output out: a manifest has no field for {flag}, so a warmup from \
                 it would warm another model"
            ))),
            None => Ok(()),
        }
    }
}

/// The size, batch, guidance and schedule of a request for pictures.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Picture")]
pub(super) struct PictureArgs {
    /// Width in pixels. The picture is computed at the next padding multiple and cropped [default:
    /// the model's]
    #[arg(long, value_name = "PX", requires = "height", value_parser = number::from(0), allow_negative_numbers = true)]
    pub(super) width: Option<u64>,
    /// Height in pixels. The picture is computed at the next padding multiple and cropped [default:
    /// the model's]
    #[arg(long, value_name = "PX", requires = "width", value_parser = number::from(0), allow_negative_numbers = true)]
    pub(super) height: Option<u64>,
    /// How many pictures are made at once. A warmup takes several numbers, such as 1,2,4; auto
    /// takes as many as fit on a libtorch device [default: 1]
    #[arg(long, value_name = "N", value_parser = batch, value_delimiter = ',', allow_negative_numbers = true)]
    pub(super) batch: Vec<BatchSize>,
    /// Classifier-free guidance scale; 1 means no guidance, and takes half the time [default: 7.5
    /// for a model, 1 for a program]
    #[arg(long, value_name = "X", value_parser = number::fraction, allow_negative_numbers = true)]
    pub(super) cfg_scale: Option<f64>,
    /// The scheduler: `ddim`, `euler`, `euler_a`, `dpm++_2m`, `dpm++_2m_sde`, `pndm`, `heun`,
    /// `unipc`, `dpm++_2s`, `deis`, `dpm2`, `dpm2_a`, `lms`, `ddpm`, `lcm`, `tcd`, `edm_euler`,
    /// `edm_dpm++_2m`, `ipndm`, many of them with `_karras`, `_exponential` or `_beta` at the end,
    /// their names in other programs such as "DPM++ 2M Karras", or a class of diffusers [default:
    /// the model's]
    #[arg(long, value_name = "NAME")]
    pub(super) scheduler: Option<String>,
    /// Denoising steps [default: 20 for a model, 1 for a program]
    #[arg(long, value_name = "N", value_parser = number::from(0), allow_negative_numbers = true)]
    pub(super) steps: Option<u64>,
    /// How many of the text encoder's last layers are left out, as diffusers counts them
    /// [default: 0]
    #[arg(long, value_name = "N", value_parser = number::from(0), allow_negative_numbers = true)]
    pub(super) clip_skip: Option<u64>,
    /// How many chunks of 75 tokens the denoiser reads of each prompt. In a run, it is a multiple
    /// of what the prompts need, and they are repeated [default: as many as the prompts need; 1
    /// without a prompt]
    #[arg(long, value_name = "N", value_parser = number::from(0), allow_negative_numbers = true)]
    pub(super) prompt_chunks: Option<u64>,
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

    /// Refuses `--batch auto` for a command that opens no device, because the free memory of the
    /// device decides the batch.
    pub(super) fn refuse_automatic_batch(&self) -> Result<(), CliError> {
        if !self.batch.contains(&BatchSize::Auto) {
            return Ok(());
        }
        Err(CliError::Usage(
            "--batch auto cannot be used here: it chooses the batch by the memory of a device of \
             this machine, and works only \
             with run, warmup and lookup of a model on that device"
                .to_owned(),
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
        request.prompt_chunks = self.prompt_chunks.or(request.prompt_chunks);
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
        _ => number::from(0)(text)
            .map(BatchSize::Of)
            .map_err(|_| "give a whole number, or auto".to_owned()),
    }
}

#[derive(Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
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
    /// Compile ahead of time for other hardware, such as tpu:v5e:1x1, which this machine need not
    /// have; nothing is run
    #[arg(long, value_name = "TARGET", group = "ahead")]
    pub(super) aot: Option<Target>,
    /// How many compiles run at once, if memory allows [default: one for every two processors]
    #[arg(long, value_name = "N", value_parser = number::whole(1..=1024_u16))]
    pub(super) jobs: Option<u16>,
    /// Complete what earlier commands left behind under --compile-effort tiered: compile the full
    /// executables, for this machine or for the hardware that --aot names, and let them take over
    #[arg(long, conflicts_with_all = ["program", "model", "variant", "config", "vae",
          "text_encoder", "prediction_type", "manifest", "preset", "resolutions", "width",
          "batch", "cfg_scale", "clip_skip", "prompt_chunks", "image_to_image", "force_recompile"])]
    pub(super) finish: bool,
    /// Warm the models, targets, sizes, batches and precisions that a manifest lists; `preheat
    /// plan` writes such a file
    #[arg(long, value_name = "FILE", group = "ahead", conflicts_with_all = ["program", "model", "variant", "config",
          "vae", "text_encoder", "prediction_type", "preset", "resolutions",
          "width", "batch", "cfg_scale", "clip_skip", "prompt_chunks"])]
    pub(super) manifest: Option<PathBuf>,
    /// Also warm what runs with --image and --mask need: the VAE's encoder, and the blend that
    /// keeps a part of a picture
    #[arg(long, conflicts_with_all = ["program", "manifest"])]
    pub(super) image_to_image: bool,
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
    /// Look up for other hardware, such as tpu:v5e:1x1, which this machine need not have
    #[arg(long, value_name = "TARGET")]
    pub(super) target: Option<Target>,
    /// Also look up what runs with --image and --mask need
    #[arg(long, conflicts_with = "program")]
    pub(super) image_to_image: bool,
    /// Ask the remotes, too. Nothing is fetched: a small file of a remote has the answer
    #[cfg(feature = "remote")]
    #[arg(long)]
    pub(super) remote: bool,
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

/// The parts of a signature that the user gives for a program. For a model, preheat reads them from
/// its folder.
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
    /// Refuses these flags for a model, because preheat reads its id and its dtypes from the
    /// folder.
    pub(super) fn refuse_for_models(&self) -> Result<(), CliError> {
        let why = match (&self.model_id, &self.dtype) {
            (Some(_), _) => {
                "--model-id names the model of a program; --model takes a model's folder"
            }
            (_, Some(_)) => "--dtype is for programs; for a model, use --precision",
            _ => return Ok(()),
        };
        Err(CliError::Usage(why.to_owned()))
    }
}
