//! Which executable serves this graph on this device, and how is it obtained?
//!
//! A [`Runtime`] is a device, the cache, and the executables in memory. Each request for an
//! executable goes through `obtain.rs`, which looks in memory and at level 1, then builds the graph
//! and looks at level 2. It compiles the graph if all of these miss.

mod as_written;
mod asked;
pub mod backend;
mod builder;
mod cache;
mod compile;
mod compile_here;
mod compile_slots;
mod counting;
pub mod device;
mod devices;
mod digests;
mod effort;
mod error;
mod executable;
mod exposition;
mod fit;
mod flights;
mod for_pipeline;
mod lookup;
mod memory;
mod metrics;
mod obtain;
mod on_device;
mod open_request;
mod out_of_memory;
mod padding;
mod parts;
mod peak_memory;
mod percent;
mod precompile;
pub mod progress;
mod publish;
mod recorded;
mod remake;
mod remote_exchange;
mod remotes;
mod report;
mod request;
mod rewarm;
mod site;
mod snap;
mod source;
mod step;
mod survival;
mod takeover;
#[cfg(test)]
mod tests;
pub mod threads;
mod tpu_hardware;
pub mod trace;
mod trial;
mod upgrade;
mod upkeep;
mod warnings;
#[cfg(feature = "xla-rs")]
mod xla_rs;

use std::collections::HashSet;
use std::sync::Arc;

pub use as_written::NotAsWritten;
pub use backend::ahead::serve_compiler;
pub use builder::RuntimeBuilder;
pub use cache::Cache;
pub use compile_slots::{Room, UNMEASURED_PEAK_BYTES, locked};
pub use devices::{DeviceInfo, describe_devices};
pub use effort::{CompileEffort, EffortChoice, ParseEffortError};
pub use error::{Error, NoCache};
pub use executable::{DeviceTensor, Executable, Input};
pub use exposition::{PROMETHEUS_MEDIA_TYPE, prometheus};
pub use metrics::{Metric, Metrics, Summary};
pub use on_device::Holder;
pub use open_request::OpenRequest;
pub use out_of_memory::human;
pub use out_of_memory::{Dropped, Footprint, OutOfMemory};
pub use padding::{Padding, Scaled};
pub use parts::Runtime;
pub use peak_memory::{MemoryOf, PeakMemory};
pub use percent::{ParsePercentError, Percent};
pub use preheat_cache::{Purpose, RequestOutcome};
use preheat_cache::{Signature, Statistics};
use preheat_ir::lower::LoweringTarget;
use preheat_tensor::Tensor;
pub use publish::{PublishTo, Publisher};
pub use remake::Remade;
pub use remote_exchange::{RefusedObject, RemoteExchange};
pub use report::warmup_summary;
pub use report::{Lookup, Nearest, SnappedSize, StageLookup, StageReport, Verdict, WarmupReport};
pub use request::Request;
pub use rewarm::{Renewed, Rewarm, Rewarmed, RewarmedTarget};
pub use site::{DeviceReport, target_of};
pub use snap::Snapped;
pub use source::{AsGraph, BuildError, Graph};
pub use step::{Step, StepBoundary, StepTimes};
pub use upgrade::{Finished, Upgrade};
pub use upkeep::{CacheInfo, PruneRule};
pub use warnings::{Warning, WarningKind};

use self::on_device::{Doing, Failure};
use self::parts::Inner;
use crate::device::{Arithmetic, DeviceName, StageKind, TorchDevice};
use crate::progress::Control;
use crate::trace::Trace;

impl Runtime {
    /// Begins to set up a runtime.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// The device that this runtime runs on, and why it was chosen.
    pub fn device(&self) -> &DeviceReport {
        &self.inner.site.report
    }

    /// The name of that device.
    pub fn device_name(&self) -> DeviceName {
        self.inner.site.device()
    }

    /// The runtime that runs a stage. It is another runtime than this one if the stage was given a
    /// device of its own ([`RuntimeBuilder::stage_devices`]).
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
        self.inner.site.here().ok()?.torch()
    }

    /// The facts about this device that decide which dtypes are used on it.
    pub fn arithmetic(&self) -> Arithmetic {
        match self.torch_device() {
            Some(device) => device.into(),
            None => Arithmetic::Xla {
                native_bfloat16: self.lowering_target() == LoweringTarget::Accelerator,
            },
        }
    }

    /// The target that graphs are compiled for here, named as [`target_of`] names it.
    pub fn target(&self) -> String {
        self.inner.site.target()
    }

    /// Returns the executable of `graph` for `signature`: from memory, from the cache, or newly
    /// compiled and then stored.
    ///
    /// # Errors
    /// If the signature is not valid, if the device would not run the program as it is written, or
    /// if the graph cannot be built, compiled or loaded. A request also fails if the device is not
    /// here, if a compile is needed and [`RuntimeBuilder::require_warm`] forbids it, or if the
    /// caller asked to stop. A fault of the cache is never an error here.
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
        Request::new(self, signature, graph.as_graph())
    }

    /// Makes sure that `graph` is compiled, and runs it once on zeros.
    ///
    /// # Errors
    /// The errors of [`Self::get_or_compile`], and an error if the executable cannot be run.
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
    /// If there is no cache, if the signature is not valid, if the device would not run the program
    /// as it is written, or if the graph has to be built and cannot be.
    pub fn lookup<G: AsGraph + ?Sized>(
        &self,
        signature: &Signature,
        graph: &G,
    ) -> Result<Lookup, Error> {
        self.request(signature, graph).lookup()
    }

    /// Would the stages that were once run under this exact signature hit? This function is for
    /// callers that have the signature but no graph.
    ///
    /// # Errors
    /// If there is no cache, or its index cannot be read.
    pub fn lookup_signature(&self, signature: &Signature) -> Result<Lookup, Error> {
        self.inner.lookups().signature(signature)
    }

    /// Whether everything that was run under this exact signature is still cached for this device
    /// and plugin.
    ///
    /// # Errors
    /// The errors of [`Self::lookup_signature`].
    pub fn is_cached(&self, signature: &Signature) -> Result<bool, Error> {
        Ok(self.lookup_signature(signature)?.verdict == Verdict::Hit)
    }

    /// Moves a tensor to the device that this runtime runs on.
    ///
    /// # Errors
    /// If the device is not here, if it has no room, or if the transfer fails.
    pub fn to_device(&self, tensor: &Tensor) -> Result<DeviceTensor, Error> {
        self.inner.upload(tensor, None, "moving a tensor to the device")
    }

    /// The target that graphs should be lowered for.
    pub fn lowering_target(&self) -> LoweringTarget {
        if self.inner.site.environment().platform == "cpu" {
            LoweringTarget::Cpu
        } else {
            LoweringTarget::Accelerator
        }
    }

    /// The device's free memory in bytes, as the device or the system reports it; `None` if neither
    /// reports it.
    pub fn free_memory_bytes(&self) -> Option<u64> {
        self.inner.site.here().ok()?.free_memory_bytes()
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

    /// Checks that the cache can be written, for work that is useless if nothing is stored.
    pub fn check_cache_is_writable(&self) -> Result<(), Error> {
        self.inner.cache()?.check_writable()
    }

    /// Whether the device is here, so that executables can be loaded and run. If not, this runtime
    /// only compiles them ahead of time.
    pub fn is_here(&self) -> bool {
        self.inner.site.here().is_ok()
    }

    /// The metrics of this runtime so far. They are empty unless [`RuntimeBuilder::metrics`] or
    /// [`RuntimeBuilder::trace`] was set. This waits up to a tenth of a second for work in flight
    /// to end.
    pub fn metrics(&self) -> Metrics {
        let Some(recorder) = &self.inner.recorder else { return Metrics::default() };
        recorder.metrics(self.inner.site.here().ok().and_then(|here| here.memory_use()))
    }

    /// The trace that this runtime adds to, for callers that want to add to it, too.
    pub fn trace(&self) -> Option<&Trace> {
        self.inner.recorder.as_ref()?.trace()
    }

    /// Returns a handle of this runtime under another control. Work through this handle reports its
    /// progress to that control, and stops when the control says so. Everything else is shared.
    #[must_use]
    pub fn controlled_by(&self, control: &Control) -> Self {
        Self { control: control.clone(), ..self.clone() }
    }

    /// Returns a handle of this runtime for the parts of a request that has begun. The statistics
    /// count what is requested through this handle as stages of that request, and not as requests
    /// of their own. Everything else is shared.
    #[must_use]
    pub fn part_of(&self, open: &Arc<OpenRequest>) -> Self {
        Self { part_of: Some(Arc::clone(open)), ..self.clone() }
    }

    /// The control that the work of this handle reports to and is stopped by.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Whether the work was asked to stop. A pipeline checks this between its steps.
    pub fn is_cancelled(&self) -> bool {
        self.control.is_cancelled()
    }

    /// Whether the user warms up by hand ([`RuntimeBuilder::manual_warmup`]).
    pub fn warms_by_hand(&self) -> bool {
        self.inner.rules.manual_warmup
    }

    /// Records a warning: something that went wrong without being an error. Each warning is
    /// reported once.
    pub fn warn(&self, warning: impl Into<Warning>) {
        self.inner.warnings.warn(warning);
    }

    /// The cache's statistics, summed over all processes that use it. They include what this
    /// process has done so far.
    ///
    /// # Errors
    /// If there is no cache, or its index cannot be read.
    pub fn stats(&self) -> Result<Statistics, Error> {
        self.flush();
        self.inner.cache()?.statistics()
    }

    /// Waits for the uploads to remotes that are under way: half a minute at most. Dropping the
    /// last clone of a runtime does this as well. What is left is uploaded by the next process.
    pub fn finish_uploads(&self) {
        self.inner.finish_uploads();
    }

    /// The warnings so far: faults that are not errors, each listed once.
    pub fn warnings(&self) -> Vec<Warning> {
        let stages =
            [&self.inner.stages.text_encoder, &self.inner.stages.vae].into_iter().flatten();
        let all = std::iter::once(self).chain(stages);
        let mut warnings = self.inner.warnings.all();
        for here in all.filter_map(|runtime| runtime.inner.site.here().ok()) {
            warnings.extend(here.lacking().into_iter().map(Warning::from));
        }
        // Devices of several stages may lack the same ops.
        let mut seen = HashSet::new();
        warnings.retain(|warning| seen.insert(warning.clone()));
        warnings
    }

    /// Writes the statistics that have not been written yet.
    pub fn flush(&self) {
        self.inner.flush();
    }
}

impl Inner {
    fn upload(
        &self,
        tensor: &Tensor,
        stage: Option<&str>,
        what: &str,
    ) -> Result<DeviceTensor, Error> {
        let here = self.site.here()?;
        let kind = Arc::new(tensor.kind().clone());
        let doing =
            Doing { stage, what, needed_bytes: Some(tensor.bytes().len() as u64), footprint: None };
        let recorder = self.recorder.as_ref();
        let upload =
            || DeviceTensor::upload(|| here.put(tensor), tensor, Arc::clone(&kind), recorder);
        self.on_device.with_room(&doing, upload).map_err(|failure| match failure {
            Failure::OutOfMemory(error) => error.into(),
            Failure::Other(cause) => Error::Upload { kind: kind.to_string(), cause },
        })
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("device", self.device()).finish_non_exhaustive()
    }
}
