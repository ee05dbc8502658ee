//! How much time and memory does one device need for a request? `preheat devices bench` measures
//! this in a child process. This module has the code of the parent and of the child.
//!
//! The parent starts this program again with its own arguments followed by `--child JOB`, so that
//! every flag means the same in the child. The parent keeps the child's standard input open for as
//! long as it needs the answer. The child writes its figures to a file in a folder, and after a run
//! the tensors to a second file.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use preheat_cache::Source;
use preheat_tensor::Dtype;
use preheat_tensor::Tensor;
use preheat_tensor::TensorType;
use serde::{Deserialize, Serialize};

use super::advice::{advised, all_advised};
use super::args::{ModelArgs, PictureArgs};
use super::context::Context;
use super::{CliError, RuntimeArgs, Status, number, run};
use preheat_diffusion::pipeline::{GotReady, Made, Picture, Pipeline, Precision, TextToImage};
use preheat_runtime::device::DeviceName;
use preheat_runtime::progress::Cancel;
use preheat_runtime::{PeakMemory, Runtime};

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// The devices to compare, such as cpu,xla-cpu; each must be available [default: --device; if
    /// that is auto, every device that can be used]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) devices: Vec<DeviceName>,
    /// The least PSNR, in decibels, of a picture against the one in float32 on the CPU [default: 45
    /// in float32, 35 in bfloat16 and float16]
    #[arg(long, value_name = "DB", value_parser = decibels, allow_negative_numbers = true)]
    pub(super) min_psnr: Option<f64>,
    /// What the picture should show
    #[arg(long, value_name = "TEXT", default_value = "the digit seven")]
    pub(super) prompt: String,
    /// The seed of the first picture
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = number::from(0))]
    pub(super) seed: u64,
    /// The job of a child process: what it measures.
    #[arg(long, hide = true, value_parser = parse_job)]
    pub(super) child: Option<Job>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) picture: PictureArgs,
}

/// How often the parent checks whether a child has ended.
const POLL: Duration = Duration::from_millis(10);
/// The first part of the names of an answer's tensors. A number follows: 0 for the latents, and the
/// next numbers for the pictures.
const TENSORS: &str = "made";

/// The job of a child.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) device: String,
    pub(super) part: Part,
    /// The folder for the answer.
    pub(super) folder: PathBuf,
}

/// Which part of the comparison a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// Load or compile everything, with the cache as it is, and run nothing.
    Start,
    /// Load or compile everything, and run the request.
    Run,
    /// The same as `Run`, but in float32, whatever the flags say.
    Reference,
}

/// The measurements of a child.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) model_id: String,
    pub(super) requested_size: [u64; 2],
    pub(super) device: String,
    pub(super) kind: String,
    /// The dtype of each stage, by the stage's name.
    pub(super) dtypes: Vec<(String, String)>,
    pub(super) ready_seconds: f64,
    pub(super) stages: usize,
    pub(super) compiled_stages: usize,
    /// The figures of the run; `None` for [`Part::Start`].
    pub(super) ran: Option<RanFigures>,
    pub(super) warnings: Vec<String>,
}

/// The figures of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RanFigures {
    pub(super) seconds_per_step: f64,
    pub(super) seconds_per_image: f64,
    pub(super) peak_memory: Option<PeakMemory>,
}

/// An answer, with the latents and pictures of the run.
#[derive(Clone)]
pub(super) struct Measured {
    pub(super) answer: Answer,
    pub(super) latents: Vec<f32>,
    /// Red, green and blue of each picture.
    pub(super) pictures: Vec<Vec<u8>>,
}

pub(super) fn parse_job(text: &str) -> Result<Job, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The child's side: does its job and writes the answer.
pub(super) fn measure(
    context: &Context,
    args: &BenchArgs,
    job: &Job,
    request: &TextToImage,
) -> Result<Status, CliError> {
    end_with_the_parent(job)?;
    let mut context = context.on(&job.device);
    if job.part == Part::Reference {
        compute_in_float32(&mut context.args);
    }
    let (runtime, pipeline) = run::open(&context, &args.model, None, None)?;
    let got_ready = pipeline.get_ready(request)?;
    let requested_size = pipeline.plan(request)?.sizes.requested;
    let mut answer = answer(&context, &runtime, &pipeline, requested_size, &got_ready);
    if job.part != Part::Start {
        let began = Instant::now();
        let made = pipeline.run(request)?;
        #[expect(clippy::cast_precision_loss, reason = "pictures")]
        let images = made.pictures.len() as f64;
        answer.ran = Some(RanFigures {
            seconds_per_step: made.steps.mean_seconds,
            seconds_per_image: began.elapsed().as_secs_f64() / images,
            peak_memory: runtime.peak_memory(),
        });
        answer.warnings.extend(made.warnings.iter().map(advised));
        write_made(&made, &job.folder)?;
    }
    let path = figures_of(&job.folder);
    let text = serde_json::to_vec(&answer).map_err(|error| CliError::Output(error.into()))?;
    std::fs::write(&path, text).map_err(|cause| CliError::File {
        doing: "writing the figures to",
        path,
        cause,
    })?;
    runtime.flush();
    context.shown.finish();
    // A plugin is slow to free executables and weights; the end of the process frees them at once.
    std::mem::forget((runtime, pipeline));
    Ok(Status::Done)
}

/// Makes every stage run on the job's device in float32, whatever the flags and the device's own
/// rule say.
fn compute_in_float32(args: &mut RuntimeArgs) {
    (args.torch.text_encoder_device, args.torch.vae_device) = (None, None);
    args.precision = Precision::Fp32;
    args.torch.force_precision = true;
    (args.text_encoder_precision, args.denoiser_precision, args.vae_precision) = (None, None, None);
}

fn write_made(made: &Made, folder: &Path) -> Result<(), CliError> {
    let as_tensor = |picture: &Picture| {
        let dims = [picture.height.into(), picture.width.into(), 3];
        Tensor::new(TensorType::new(Dtype::UInt8, dims), &picture.rgb)
    };
    let path = tensors_of(folder);
    let written =
        made.pictures.iter().map(as_tensor).collect::<Result<Vec<_>, _>>().and_then(|pictures| {
            let tensors = std::iter::once(&made.latents).chain(&pictures).enumerate();
            Tensor::write_safetensors(
                &path,
                tensors.map(|(index, tensor)| (format!("{TENSORS}{index}"), tensor)),
            )
        });
    written.map_err(|cause| CliError::Tensors { doing: "writing what was made to", path, cause })
}

fn answer(
    context: &Context,
    runtime: &Runtime,
    pipeline: &Pipeline,
    requested_size: [u64; 2],
    got_ready: &GotReady,
) -> Answer {
    let compiled = got_ready.stages.iter().filter(|stage| stage.source == Source::Compiled);
    Answer {
        model_id: pipeline.model_id().to_owned(),
        requested_size,
        device: runtime.device().selected.clone(),
        kind: runtime.device().kind.clone(),
        dtypes: got_ready
            .dtypes
            .iter()
            .map(|(stage, dtype)| ((*stage).to_owned(), dtype.to_string()))
            .collect(),
        ready_seconds: got_ready.ready.saturating_duration_since(context.started).as_secs_f64(),
        stages: got_ready.stages.len(),
        compiled_stages: compiled.count(),
        ran: None,
        warnings: all_advised(runtime),
    }
}

/// Makes this process end when its parent does, even in the middle of a compile, and remove the
/// files that it wrote.
fn end_with_the_parent(job: &Job) -> Result<(), CliError> {
    let folder = job.folder.clone();
    let watch = move || {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::Interrupted)
        {
        }
        // Only the files that this process writes are removed, because the path is an argument and
        // could name any folder.
        for path in [figures_of(&folder), tensors_of(&folder)] {
            let _ = std::fs::remove_file(path);
        }
        let _ = std::fs::remove_dir(folder);
        std::process::exit(1);
    };
    let started = std::thread::Builder::new().name("preheat-parent".to_owned()).spawn(watch);
    started
        .map(drop)
        .map_err(|cause| CliError::Started { doing: format!("measuring {}", job.device), cause })
}

/// The parent's side: has a child measure a device.
pub(super) fn in_a_child(
    device: DeviceName,
    part: Part,
    cancel: &Cancel,
) -> Result<Measured, CliError> {
    let folder = tempfile::Builder::new()
        .prefix("preheat-bench-")
        .tempdir()
        .map_err(|cause| failed_to_start(device, cause))?;
    let job = Job { device: device.to_string(), part, folder: folder.path().to_owned() };
    let job = serde_json::to_string(&job).map_err(|error| CliError::Output(error.into()))?;
    let mut command =
        Command::new(std::env::current_exe().map_err(|cause| failed_to_start(device, cause))?);
    command.args(std::env::args_os().skip(1)).arg("--child").arg(job);
    // The child's progress and errors go to the same standard error as the parent's.
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let status = Running::start(&mut command).and_then(|mut child| child.wait(cancel));
    match status.map_err(|cause| failed_to_start(device, cause))? {
        None => Err(CliError::Interrupted),
        Some(status) if status.success() => read(folder.path()),
        Some(status) => Err(CliError::NotMeasured { device, status: status.code() }),
    }
}

/// Runs `preheat devices` in a child and reads its output. A process that opens a device to
/// describe it may take some or all of the memory there.
pub(super) fn list_devices(cancel: &Cancel) -> Result<Vec<Listed>, CliError> {
    let failed = |cause| CliError::Started { doing: "listing the devices".to_owned(), cause };
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    let mut listing = tempfile::tempfile().map_err(failed)?;
    let output = listing.try_clone().map_err(failed)?;
    command.args(["--json", "devices"]).stdin(Stdio::null()).stdout(output);
    match Running::start(&mut command).and_then(|mut child| child.wait(cancel)).map_err(failed)? {
        None => return Err(CliError::Interrupted),
        Some(status) if status.success() => {}
        Some(status) => return Err(CliError::NotListed { status: status.code() }),
    }
    let mut text = String::new();
    std::io::Seek::rewind(&mut listing).map_err(failed)?;
    listing.read_to_string(&mut text).map_err(failed)?;
    serde_json::from_str(&text).map_err(|error| failed(error.into()))
}

/// A device as it is listed.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) available: bool,
    pub(super) reason: String,
}

fn failed_to_start(device: DeviceName, cause: std::io::Error) -> CliError {
    CliError::Started { doing: format!("measuring {device}"), cause }
}

fn read(folder: &Path) -> Result<Measured, CliError> {
    let path = figures_of(folder);
    let doing = "reading the figures from";
    let text = std::fs::read(&path).map_err(|cause| CliError::File {
        doing,
        path: path.clone(),
        cause,
    })?;
    let answer = serde_json::from_slice(&text).map_err(|error| CliError::File {
        doing,
        path,
        cause: error.into(),
    })?;
    let path = tensors_of(folder);
    if !path.is_file() {
        return Ok(Measured { answer, latents: Vec::new(), pictures: Vec::new() });
    }
    let tensors = Tensor::read_safetensors(&path, TENSORS, None);
    let tensors = tensors.map_err(|cause| CliError::Tensors {
        doing: "reading what was made from",
        path,
        cause,
    })?;
    let (latents, pictures) =
        tensors.split_first().map_or((None, &[][..]), |(first, others)| (first.to_f32(), others));
    let pictures = pictures.iter().map(|picture| picture.bytes().to_vec()).collect();
    Ok(Measured { answer, latents: latents.unwrap_or_default(), pictures })
}

fn figures_of(folder: &Path) -> PathBuf {
    folder.join("figures.json")
}

fn tensors_of(folder: &Path) -> PathBuf {
    folder.join("made.safetensors")
}

/// A child process that is killed when this is dropped, unless it has ended before.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn start(command: &mut Command) -> std::io::Result<Self> {
        command.spawn().map(Self)
    }

    /// Waits until the child has ended. Returns `None` if the user asked to stop.
    pub(super) fn wait(&mut self, cancel: &Cancel) -> std::io::Result<Option<ExitStatus>> {
        // `Child::wait` would close the child's standard input, which tells it to end.
        loop {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // If the child has already ended, these calls change nothing. An error cannot be handled
        // here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn decibels(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "give a number of decibels, 0 or more".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_number_of_decibels() {
        assert_eq!(decibels("38.5"), Ok(38.5));
        for wrong in ["NaN", "inf", "-1", "many", ""] {
            assert!(decibels(wrong).is_err(), "{wrong}");
        }
    }
}
