//! How is a program without a model compiled and run? `preheat program compile` and `preheat
//! program run` take any StableHLO or HLO program through the cache. The report that `run` and
//! `warmup` print as JSON is here, too.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use preheat_cache::{
    Program, Signature, create_execution_signature, latent_shape, normalize_shape,
};
use preheat_io::input;
use preheat_io::result_file::Existing;
use preheat_tensor::Dtype;
use preheat_tensor::{Tensor, TensorError};
use serde::Serialize;

use super::advice::all_advised;
use super::args::{ProgramArgs, ProgramRunArgs, SignatureArgs};
use super::cache::find;
use super::context::Context;
use super::metrics::Timings;
use super::output::{self, document, line, seconds};
use super::{CliError, Status, cache, metrics, warmup_finish};
use preheat_diffusion::pipeline::{AppliedLora, PlannedPicture, TextToImage};
use preheat_runtime::device::placement::PlacementPlan;
use preheat_runtime::{DeviceReport, Executable, Graph, Percent, Runtime, StageReport, Upgrade};

/// What `run`, `warmup` and `program` print under `--json`.
#[derive(Debug, Serialize)]
pub(super) struct RunReport<'a, S> {
    pub(super) device: &'a DeviceReport,
    pub(super) signature: SignatureReport<'a>,
    #[serde(flatten)]
    pub(super) size: SizeReport,
    /// The seed of the first picture; each further picture of a batch has the next number. Programs
    /// and warmups have no seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seed: Option<u64>,
    pub(super) stages: Vec<S>,
    /// The requests of a warmup one by one, if it was asked for several sizes or batches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) requests: Vec<OneRequest<'a, S>>,
    /// The stages that a warmup ahead of time could not compile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) failed: Vec<FailedStage>,
    /// The full executables that a tiered warmup completed, and how each ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) upgrades: Vec<Upgrade>,
    /// Where each stage and its weights went, on libtorch's devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) placement: Option<&'a PlacementPlan>,
    pub(super) timings: Timings,
    pub(super) images: Vec<String>,
    /// The LoRAs that changed the model's weights.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) loras: &'a [AppliedLora],
    pub(super) warnings: Vec<String>,
    /// With `--tpu-debug-metrics`: what was measured, and the plugin's figures for each executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metrics: Option<BTreeMap<String, f64>>,
}

/// A stage that could not be compiled.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FailedStage {
    pub(super) model_id: String,
    pub(super) stage: String,
    pub(super) padded_size: Option<[u64; 2]>,
    pub(super) batch_size: u64,
    pub(super) reason: String,
}

/// One request of several.
#[derive(Debug, Serialize)]
pub(super) struct OneRequest<'a, S> {
    pub(super) signature: SignatureReport<'a>,
    #[serde(flatten)]
    pub(super) size: SizeReport,
    pub(super) stages: Vec<S>,
}

#[derive(Debug, Serialize)]
pub(super) struct SignatureReport<'a> {
    #[serde(flatten)]
    signature: &'a Signature,
    digest: String,
}

impl<'a> SignatureReport<'a> {
    pub(super) fn new(signature: &'a Signature) -> Self {
        Self { signature, digest: signature.digest().to_string() }
    }
}

/// Sizes are [width, height] in pixels; all are null if the signature has no size.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct SizeReport {
    pub(super) requested_size: Option<[u64; 2]>,
    pub(super) padded_size: Option<[u64; 2]>,
    /// Where the requested size begins inside the padded one.
    pub(super) crop_origin: Option<[u64; 2]>,
    /// With `--snap-to-warm`: the request's own padded size, which was not warm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) snapped_from: Option<[u64; 2]>,
    /// How many per cent of the computed area lie outside the request's own padded size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) wasted_percent: Option<Percent>,
    /// How many chunks of tokens the denoiser reads of each prompt. Programs have no prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prompt_chunks: Option<u64>,
    /// How the run began with a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from_picture: Option<PlannedPicture>,
}

/// A signature with the sizes that it was made from.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) signature: Signature,
    pub(super) size: SizeReport,
}

impl Asked {
    pub(super) fn report(&self) -> SignatureReport<'_> {
        SignatureReport::new(&self.signature)
    }
}

impl SignatureArgs {
    /// The signature that the flags describe. Its model id is `name` unless a flag gives another.
    pub(super) fn signature(&self, context: &Context, name: &str) -> Result<Asked, CliError> {
        let (picture, own) = (&self.picture, &self.program);
        context.args.refuse_for_programs()?;
        if picture.clip_skip.is_some() {
            return Err(CliError::Usage("--clip-skip acts on models, not on programs".to_owned()));
        }
        picture.one_batch()?;
        picture.refuse_automatic_batch()?;
        let batch = picture.batches(&TextToImage::default())[0];
        let requested = picture.width.zip(picture.height).map(|(width, height)| [width, height]);
        let padded = requested
            .map(|size| normalize_shape(size, context.args.padding_multiple_px()))
            .transpose()
            .map_err(preheat_runtime::Error::from)?;
        let dtype = match &own.dtype {
            Some(name) => {
                name.parse().map_err(|error| CliError::Usage(format!("--dtype: {error}")))?
            }
            None => Dtype::Float32,
        };
        let signature = create_execution_signature(
            own.model_id.clone().unwrap_or_else(|| name.to_owned()),
            padded.map(|size| latent_shape(batch, size).to_vec()).unwrap_or_default(),
            batch,
            picture.cfg_scale.unwrap_or(1.0),
            picture.scheduler.clone().unwrap_or_default(),
            picture.steps.unwrap_or(1),
            dtype,
        )?;
        let crop_origin = padded.map(|_| [0, 0]);
        let size = SizeReport {
            requested_size: requested,
            padded_size: padded,
            crop_origin,
            ..SizeReport::default()
        };
        Ok(Asked { signature, size })
    }
}

pub(super) fn compile(context: &Context, args: &ProgramArgs) -> Result<Status, CliError> {
    let prepared = Prepared::new(context, args, true)?;
    prepared.report(context, Prepared::ready_timings(context), None)?;
    prepared.leave(context)?;
    Ok(Status::Done)
}

pub(super) fn run(context: &Context, args: &ProgramRunArgs) -> Result<Status, CliError> {
    check_files(args)?;
    let about = CliError::about(args.program.subject());
    let prepared = Prepared::new(context, &args.program, false)?;
    let mut timings = Prepared::ready_timings(context);
    let executable = &prepared.executable;
    executable.check_fits().map_err(&about)?;
    if executable.report().source == preheat_cache::Source::Compiled
        && !context.args.no_tpu_warmup
        && !context.args.manual_warmup()
    {
        for _ in 0..context.args.tpu_warmup_steps {
            executable.run_on_zeros().map_err(&about)?;
        }
        tracing::info!(
            "warmup complete: {}, {} times on zeros",
            args.program.subject().display(),
            context.args.tpu_warmup_steps
        );
    }
    let inputs = match &args.inputs {
        Some(path) => read_inputs(path, executable)?,
        None => executable.zeros().map_err(&about)?,
    };
    let inputs = inputs
        .iter()
        .map(|input| executable.to_device(input))
        .collect::<Result<Vec<_>, _>>()
        .map_err(&about)?;
    timings.weights_ready_seconds = context.started.elapsed().as_secs_f64();
    let began = Instant::now();
    let outputs = executable.run_to_host(&inputs).map_err(&about)?;
    timings.first_step_seconds = began.elapsed().as_secs_f64();
    timings.seconds_per_step = timings.first_step_seconds;
    if let Some(path) = &args.output {
        let named =
            outputs.iter().enumerate().map(|(index, tensor)| (format!("out{index}"), tensor));
        let failed = |cause| CliError::Tensors {
            doing: "writing the outputs to",
            path: path.clone(),
            cause,
        };
        let bytes = Tensor::to_safetensors(named).map_err(failed)?;
        output::write(path, &bytes).map_err(|cause| failed(TensorError::Io(cause)))?;
    }
    prepared.report(context, timings, Some(&outputs))?;
    prepared.leave(context)?;
    Ok(Status::Done)
}

/// A program whose executable is loaded.
struct Prepared {
    runtime: Runtime,
    asked: Asked,
    executable: Executable,
}

impl Prepared {
    /// Obtains the executable. With `warms`, the request counts as a warmup.
    fn new(context: &Context, args: &ProgramArgs, warms: bool) -> Result<Self, CliError> {
        context.args.refuse_force(args.force_recompile)?;
        let given = match &args.file {
            Some(file) => {
                let asked = args.signature.signature(context, &program_name(file))?;
                Some((asked, Graph::from_program(read_program(file)?)))
            }
            None => None,
        };
        let runtime = context.builder()?.for_programs().build()?;
        let (asked, graph) = match (given, &args.key) {
            (None, Some(key)) => recorded(context, &runtime, key)?,
            (Some(given), _) => given,
            (None, None) => return Err(CliError::Usage("give a file or --key".to_owned())),
        };
        let request =
            runtime.request(&asked.signature, &graph).force_recompile(args.force_recompile);
        let got = if warms { request.get_for_warmup() } else { request.get() };
        let executable = got.map_err(CliError::about(args.subject()))?;
        Ok(Self { runtime, asked, executable })
    }

    /// Writes the statistics, and leaves the rest to the end of the process: a plugin takes about
    /// 20 ms to free an executable and a client piece by piece.
    fn leave(self, context: &Context) -> Result<(), CliError> {
        let stopped = warmup_finish::leave_upgrades(context, &self.runtime);
        self.runtime.finish_uploads();
        self.runtime.flush();
        std::mem::forget(self);
        stopped
    }

    fn ready_timings(context: &Context) -> Timings {
        Timings {
            executables_ready_seconds: context.started.elapsed().as_secs_f64(),
            ..Timings::default()
        }
    }

    /// Prints the result. The statistics are written later, so that the result does not wait for
    /// them.
    fn report(
        &self,
        context: &Context,
        mut timings: Timings,
        outputs: Option<&[Tensor]>,
    ) -> Result<(), CliError> {
        timings.total_seconds = context.started.elapsed().as_secs_f64();
        let metrics = context.metrics(&self.runtime);
        let stage = self.executable.report();
        if context.json {
            return document(&RunReport {
                device: self.runtime.device(),
                signature: self.asked.report(),
                size: self.asked.size,
                seed: None,
                stages: vec![stage],
                requests: Vec::new(),
                failed: Vec::new(),
                upgrades: Vec::new(),
                placement: None,
                timings,
                images: Vec::new(),
                loras: &[],
                warnings: all_advised(&self.runtime),
                metrics: metrics.map(metrics::of_programs),
            });
        }
        line(&describe(&self.asked.signature.model_id, stage))?;
        for (index, tensor) in outputs.into_iter().flatten().enumerate() {
            line(&format!("  out{index}  {}", tensor.kind()))?;
        }
        if let Some(metrics) = metrics {
            metrics::print(&timings, &[stage], &metrics)?;
        }
        Ok(())
    }
}

/// The graph whose key begins with `key`, with its program from the cache, and the latest request
/// that led to it.
fn recorded(context: &Context, runtime: &Runtime, key: &str) -> Result<(Asked, Graph), CliError> {
    let record = find(&cache::open(context)?, key)?;
    let (signature, graph) = runtime.recorded(&record.graph_key)?;
    Ok((Asked { signature, size: SizeReport::default() }, graph))
}

/// One line on how a stage came to be ready.
pub(super) fn describe(name: &str, stage: &StageReport) -> String {
    use preheat_cache::Source;
    let how = match stage.source {
        Source::Compiled => format!("compiled in {}", seconds(stage.compile_seconds)),
        Source::Disk => format!("loaded from the cache in {}", seconds(stage.load_seconds)),
        Source::Fallback => {
            format!("loaded from a fallback cache in {}", seconds(stage.load_seconds))
        }
        Source::Remote => format!("fetched from a remote in {}", seconds(stage.load_seconds)),
        Source::Memory => "already in memory".to_owned(),
    };
    format!("{name}: {how}, graph {}", stage.graph_key.short())
}

/// The name of a program if no flag gives one: its file's name without the extension.
pub(super) fn program_name(path: &Path) -> String {
    path.file_stem()
        .map_or_else(|| "program".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

pub(super) fn read_program(path: &Path) -> Result<Program, CliError> {
    let failed = |cause| CliError::File { doing: "reading", path: path.to_owned(), cause };
    let bytes = input::small(path, Program::MOST_BYTES).map_err(failed)?;
    Program::sniff(bytes).map_err(|cause| CliError::NotAProgram { path: path.to_owned(), cause })
}

/// Reads arg0, arg1, ... in order.
fn read_inputs(path: &Path, executable: &Executable) -> Result<Vec<Tensor>, CliError> {
    Tensor::read_safetensors(path, "arg", executable.inputs()).map_err(|cause| CliError::Tensors {
        doing: "reading the inputs from",
        path: path.to_owned(),
        cause,
    })
}

/// Refuses, before anything is compiled, inputs that do not exist and an output that cannot be
/// written.
fn check_files(args: &ProgramRunArgs) -> Result<(), CliError> {
    if let Some(path) = &args.inputs {
        let failed =
            |cause| CliError::File { doing: "reading the inputs from", path: path.clone(), cause };
        input::open(path).map_err(failed)?;
    }
    let Some(path) = &args.output else { return Ok(()) };
    let failed =
        |cause| CliError::File { doing: "writing the outputs to", path: path.clone(), cause };
    output::check(path, Existing::Replace).map_err(failed)
}
