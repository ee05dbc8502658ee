//! Which executable serves this graph on this device, and how is it obtained?
//!
//! A [`Runtime`] is a device, the cache, and the executables in memory. Each request goes through
//! `obtain.rs`, which asks the memory, level 1, the graph and level 2 in this order, and compiles
//! where all of them miss.

mod as_written;
pub mod backend;
mod builder;
mod cache;
mod compile;
mod compile_slots;
pub mod device;
mod devices;
mod digests;
mod error;
mod executable;
mod for_pipeline;
mod lookup;
mod memory;
mod metrics;
mod obtain;
mod on_device;
mod out_of_memory;
mod padding;
mod peak_memory;
mod precompile;
pub mod progress;
mod recorded;
mod remake;
mod report;
mod request;
mod rewarm;
mod snap;
mod source;
mod step;
mod survival;
mod takeover;
pub mod threads;
mod tpu_hardware;
pub mod trace;
mod trial;
mod upkeep;
mod warnings;
#[cfg(feature = "xla-rs")]
mod xla_rs;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

pub use as_written::NotAsWritten;
pub use backend::ahead::serve_compiler;
pub use builder::Builder;
pub use cache::Cache;
pub use compile_slots::{Room, UNMEASURED_PEAK_BYTES, locked};
pub use devices::{DeviceInfo, describe_devices};
pub use error::Error;
pub use executable::{DeviceTensor, Executable, Input};
pub use metrics::{Metric, Metrics, Summary};
pub use on_device::Holder;
pub use out_of_memory::human;
pub use out_of_memory::{Dropped, Footprint, OutOfMemory};
pub use padding::{Padding, Scaled};
pub use peak_memory::{MemoryOf, PeakMemory};
use preheat_cache::{Digest, Environment, GraphKey, GraphRecord, Signature, Statistics};
use preheat_ir::lower::Target;
use preheat_tensor::Tensor;
pub use remake::Remade;
pub use report::warmup_summary;
pub use report::{Lookup, Nearest, SnappedSize, StageLookup, StageReport, Verdict, WarmupReport};
pub use request::Request;
pub use rewarm::{Renewed, Rewarm, Rewarmed, RewarmedTarget};
use serde::Serialize;
pub use snap::{ParsePercentError, Percent, Snapped};
pub use source::{AsGraph, BuildError, Graph};
pub use step::{Step, StepBoundary, StepTimes};
pub use upkeep::{CacheInfo, PruneRule};

use self::digests::Digests;
use self::metrics::Recorder;
use self::on_device::{Doing, Failure, OnDevice};
use self::warnings::Warnings;
use crate::backend::Backend;
use crate::backend::here::Here;
use crate::device::target::topology_name;
use crate::device::{Arithmetic, Choice, DeviceName, StageKind, TorchDevice};
use crate::progress::{Cancel, Progress};
use crate::trace::Trace;

/// The device that a runtime runs on, as the command line's JSON has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceReport {
    /// What was asked for.
    pub requested: String,
    /// What was chosen.
    pub selected: String,
    /// Why.
    pub reason: String,
    /// What the hardware calls itself.
    pub kind: String,
}

/// A device and everything that was compiled for it. A pipeline holds nothing else. A clone shares
/// it.
///
/// When the last clone is dropped, the statistics that are still in memory are written.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    device: DeviceReport,
    /// The runtimes of the stages that run on devices of their own.
    stages: StageRuntimes,
    backend: Backend,
    /// The program that is started to try an executable. If there is none, this program itself is
    /// started, provided that it calls [`serve_compiler`].
    compiler_program: Option<PathBuf>,
    environment_digest: Digest,
    digests: Mutex<Digests>,
    /// Graphs that threads of this process are compiling.
    compiling: Mutex<HashMap<GraphKey, Arc<compile::Flight>>>,
    /// Whether compiled executables may be used again. If not, every request compiles.
    reuse: bool,
    /// `None` where the cache was turned off or could not be opened.
    cache: Option<Arc<Cache>>,
    on_device: Arc<OnDevice>,
    require_warm: bool,
    manual_warmup: bool,
    /// The host waits for the device after this number of steps; 0: it does not wait.
    sync_steps: usize,
    /// `None` where neither metrics nor a trace are wanted.
    recorder: Option<Arc<Recorder>>,
    progress: Arc<dyn Progress>,
    cancel: Cancel,
    warnings: Arc<Warnings>,
}

/// The runtimes of the stages that run on another device than the rest of the pipeline.
#[derive(Default)]
struct StageRuntimes {
    text_encoder: Option<Runtime>,
    vae: Option<Runtime>,
}

impl Runtime {
    fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Begins to set up a runtime.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The device that this runtime runs on, and why it was chosen.
    pub fn device(&self) -> &DeviceReport {
        &self.inner.device
    }

    /// The name of that device.
    pub fn device_name(&self) -> DeviceName {
        self.inner.backend.device()
    }

    /// The runtime that runs a stage. It is another runtime than this one if the stage was given a
    /// device of its own ([`Builder::stage_devices`]).
    pub fn for_stage(&self, stage: StageKind) -> &Runtime {
        let own = match stage {
            StageKind::TextEncoder => &self.inner.stages.text_encoder,
            StageKind::Denoiser => &None,
            StageKind::Vae { .. } => &self.inner.stages.vae,
        };
        own.as_ref().unwrap_or(self)
    }

    /// Whether this runtime and `other` are clones of one runtime.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The device, if it runs through libtorch.
    pub fn torch_device(&self) -> Option<&TorchDevice> {
        Some(self.inner.here().ok()?.torch()?.device())
    }

    /// The facts about this device that decide which dtypes are used on it.
    pub fn arithmetic(&self) -> Arithmetic {
        match self.torch_device() {
            Some(device) => device.into(),
            None => {
                Arithmetic::Xla { native_bfloat16: self.lowering_target() == Target::Accelerator }
            }
        }
    }

    /// The target that graphs are compiled for here, named as [`target_of`] names it.
    pub fn target(&self) -> String {
        target_name(&self.inner.backend.device().to_string(), self.inner.backend.environment())
    }

    /// Returns the executable of `graph` for `signature`: from memory, from the cache, or newly
    /// compiled and then stored.
    ///
    /// # Errors
    /// Where the graph cannot be built or compiled. A fault of the cache is never an error here.
    pub fn get_or_compile<G: AsGraph + ?Sized>(
        &self,
        signature: &Signature,
        graph: &G,
    ) -> Result<Executable, Error> {
        self.request(signature, graph).get()
    }

    /// A request that can be refined before it is made.
    pub fn request<'a, G: AsGraph + ?Sized>(
        &'a self,
        signature: &'a Signature,
        graph: &'a G,
    ) -> Request<'a> {
        Request::new(&self.inner, signature, graph.as_graph())
    }

    /// Makes sure that `graph` is compiled, and runs it once on zeros.
    ///
    /// # Errors
    /// As [`Self::get_or_compile`], and where it cannot be run.
    pub fn warmup<G: AsGraph + ?Sized>(
        &self,
        signature: &Signature,
        graph: &G,
    ) -> Result<(Executable, WarmupReport), Error> {
        self.request(signature, graph).warmup()
    }

    /// Would a request for this graph hit? Nothing is compiled, and the graph is not built if level
    /// 1 knows the answer.
    ///
    /// # Errors
    /// Where the graph has to be built and cannot be.
    pub fn lookup<G: AsGraph + ?Sized>(
        &self,
        signature: &Signature,
        graph: &G,
    ) -> Result<Lookup, Error> {
        self.request(signature, graph).lookup()
    }

    /// Would the stages that were once run under this exact signature hit? For callers that have
    /// the signature but no graph.
    ///
    /// # Errors
    /// Where there is no cache, or its index cannot be read.
    pub fn lookup_signature(&self, signature: &Signature) -> Result<Lookup, Error> {
        self.inner.lookup_signature(signature)
    }

    /// Whether everything that was run under this exact signature is still cached for this device
    /// and plugin.
    ///
    /// # Errors
    /// As [`Self::lookup_signature`].
    pub fn is_cached(&self, signature: &Signature) -> Result<bool, Error> {
        Ok(self.lookup_signature(signature)?.verdict == Verdict::Hit)
    }

    /// Moves a tensor to the device that this runtime runs on.
    ///
    /// # Errors
    /// Where the device has no room.
    pub fn to_device(&self, tensor: &Tensor) -> Result<DeviceTensor, Error> {
        self.inner.upload(tensor, None, "moving a tensor to the device")
    }

    /// The target that graphs should be lowered for.
    pub fn lowering_target(&self) -> Target {
        if self.inner.backend.environment().platform == "cpu" {
            Target::Cpu
        } else {
            Target::Accelerator
        }
    }

    /// The device's free memory in bytes, as the device or the system reports it; `None` where
    /// neither does.
    pub fn free_memory_bytes(&self) -> Option<u64> {
        self.inner.here().ok()?.free_memory_bytes()
    }

    /// Frees device memory that is not in use: executables in memory that nobody holds, and weights
    /// of pipelines that no run is using. Later requests can load them again. Returns the number of
    /// bytes that were freed on the device.
    ///
    /// The runtime does this by itself when the device runs out of memory. A program calls it to
    /// leave the device to other programs for a while.
    pub fn free_memory(&self) -> u64 {
        let bytes = self.inner.on_device.drop_all().bytes;
        self.inner.on_device.give_memory_back();
        bytes
    }

    /// Checks that the cache can be written, for work whose only result is what it stores.
    pub fn check_cache_is_writable(&self) -> Result<(), Error> {
        self.inner.cache()?.check_writable()
    }

    /// Whether the device is here, so that executables can be loaded and run. If not, this runtime
    /// only compiles them ahead of time.
    pub fn is_here(&self) -> bool {
        self.inner.here().is_ok()
    }

    /// What this runtime has done so far, in numbers. They are empty unless [`Builder::metrics`] or
    /// [`Builder::trace`] asked for them. Work in flight is given a tenth of a second to end.
    pub fn metrics(&self) -> Metrics {
        let Some(recorder) = &self.inner.recorder else { return Metrics::default() };
        let memory = self.inner.here().ok().and_then(Here::memory_stats);
        recorder.metrics(memory.as_ref())
    }

    /// The trace that this runtime adds to, for callers that want to add to it, too.
    pub fn trace(&self) -> Option<&Trace> {
        self.inner.recorder.as_ref()?.trace()
    }

    /// Whether the work was asked to stop. A pipeline checks this between its steps.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancel.is_cancelled()
    }

    /// Whether warmup is done by hand (`--tpu-manual-warmup`).
    pub fn warms_by_hand(&self) -> bool {
        self.inner.manual_warmup
    }

    /// The receiver of events about work that takes long.
    pub fn progress(&self) -> &Arc<dyn Progress> {
        &self.inner.progress
    }

    /// Records a warning: something that went wrong without being an error. Each is said once.
    pub fn warn(&self, text: impl Into<String>) {
        self.inner.warnings.warn(text.into());
    }

    /// The cache's statistics, summed over all processes that use it. They include what this
    /// process has done so far.
    ///
    /// # Errors
    /// Where there is no cache, or its index cannot be read.
    pub fn stats(&self) -> Result<Statistics, Error> {
        self.flush();
        self.inner.cache()?.statistics()
    }

    /// The warnings so far: what went wrong without being an error, each listed once.
    pub fn warnings(&self) -> Vec<String> {
        let stages =
            [&self.inner.stages.text_encoder, &self.inner.stages.vae].into_iter().flatten();
        let all = std::iter::once(self).chain(stages);
        let mut texts = self.inner.warnings.texts();
        for backend in all.filter_map(|runtime| runtime.inner.here().ok()?.torch()) {
            texts.extend(backend.lacking());
        }
        // Devices of several stages may lack the same ops.
        let mut seen = HashSet::new();
        texts.retain(|text| seen.insert(text.clone()));
        texts
    }

    /// Writes the statistics that have not been written yet.
    pub fn flush(&self) {
        self.inner.flush();
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("device", &self.inner.device).finish_non_exhaustive()
    }
}

impl Inner {
    /// The device, for work that has to be done on it.
    fn here(&self) -> Result<&Here, Error> {
        match &self.backend {
            Backend::Here(here) => Ok(here),
            Backend::Ahead(ahead) => Err(Error::NotHere { target: ahead.target.clone() }),
        }
    }

    fn upload(
        &self,
        tensor: &Tensor,
        stage: Option<&str>,
        what: &str,
    ) -> Result<DeviceTensor, Error> {
        let here = self.here()?;
        let kind = Arc::new(tensor.kind().clone());
        let doing =
            Doing { stage, what, needed_bytes: Some(tensor.bytes().len() as u64), footprint: None };
        let recorder = self.recorder.as_ref();
        let upload =
            || DeviceTensor::upload(|| here.upload(tensor), tensor, Arc::clone(&kind), recorder);
        self.on_device.with_room(&doing, upload).map_err(|failure| match failure {
            Failure::OutOfMemory(error) => error.into(),
            Failure::Other(cause) => Error::Upload { kind: kind.to_string(), cause },
        })
    }

    /// Runs an executable once on zeros: the last part of a warmup, after the executable was
    /// obtained.
    fn run_once(&self, executable: &Executable) -> Result<WarmupReport, Error> {
        let began = Instant::now();
        executable.run_on_zeros()?;
        let first_run_seconds = began.elapsed().as_secs_f64();
        let report = WarmupReport {
            stage: executable.report().clone(),
            first_run_seconds,
            kept: self.keeps(executable),
        };
        let (model, summary) =
            (&report.stage.model_id, warmup_summary(std::slice::from_ref(&report)));
        tracing::info!(stage = report.stage.stage, graph_key = %report.stage.graph_key, "warmup complete: {model}, {summary}");
        Ok(report)
    }

    fn keeps(&self, executable: &Executable) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.has_object(&executable.graph_key()))
    }

    fn cache(&self) -> Result<&Cache, Error> {
        self.cache.as_deref().ok_or(Error::NoCache("it was turned off, or could not be opened"))
    }

    fn flush(&self) {
        if let Some(cache) = &self.cache {
            cache.flush(&self.warnings);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.flush();
    }
}

impl DeviceReport {
    fn new(choice: &Choice, kind: &str) -> Self {
        Self {
            requested: choice.requested.to_string(),
            selected: choice.selected.to_string(),
            reason: choice.reason.clone(),
            kind: kind.to_owned(),
        }
    }
}

/// The target of a compiled graph as the command line names it: the device, and the shape of the
/// hardware where it has one.
pub fn target_of(record: &GraphRecord) -> String {
    target_name(&record.device, &record.environment)
}

/// The target of a device that runs through libtorch, such as `torch:cpu` or
/// `torch:cuda:nvidia-h200`. The name has the model of the card, which decides whether a prepared
/// graph fits, and not the card's number, which does not matter.
fn torch_target(environment: &Environment) -> Option<String> {
    let backend = environment.platform.strip_prefix("torch-")?;
    if backend == environment.device_kind {
        return Some(format!("torch:{backend}"));
    }
    let kind = environment.device_kind.to_lowercase();
    let words: Vec<&str> =
        kind.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    Some(format!("torch:{backend}:{}", words.join("-")))
}

fn target_name(device: &str, environment: &Environment) -> String {
    if environment.platform == "cpu" {
        return device.to_owned();
    }
    if let Some(torch) = torch_target(environment) {
        return torch;
    }
    format!("{device}:{}", topology_name(&environment.topology))
}
