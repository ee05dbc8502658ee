//! How do a model folder and a prompt become pictures?
//!
//! ```no_run
//! use preheat_runtime::Runtime;
//! use preheat_diffusion::pipeline::{Pipeline, TextToImage};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::builder().build()?;
//! let pipeline = Pipeline::open(&runtime, "examples/demo-model")?;
//! let made = pipeline.run(&TextToImage::new("the digit seven"))?;
//! made.pictures[0].save("seven.png".as_ref())?;
//! # Ok(())
//! # }
//! ```
//!
//! A request becomes stages (`stage.rs`): each text encoder, the denoiser, and the VAE's decoder.
//! The runtime is asked for their executables in parallel, while the weights are brought to the
//! device (`resident.rs`). Then prompts are encoded, each once (`prompts.rs`), the denoising steps
//! run without the latents leaving the device (`denoise.rs`), and pictures are decoded one by one
//! and cropped.
//!
//! The crop begins at the top left corner, `[0, 0]`: the part that padding added lies to the right
//! and below. The same holds for a larger size that serves a request because it is warm and the
//! request's own size is not (`snap.rs`).

mod agreement;
mod checked_request;
mod decode;
mod denoise;
mod error;
mod home;
mod image;
mod make;
mod measure;
mod model;
pub mod noise;
mod precompile_stages;
mod prompts;
mod ready;
mod request;
mod resident;
pub mod schedulers;
mod snap;
mod stage;
mod stage_lookup;
mod tiles;
pub mod tokenizer;
mod tune;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

pub use agreement::Agreement;
pub use checked_request::{Plan, Sizes};
pub use error::PipelineError;
pub use image::{Picture, Settings};
pub use measure::GotReady;
pub use precompile_stages::{Precompile, Precompiled, precompile_programs};
use preheat_cache::GraphKey;
pub use preheat_runtime::StepTimes;
use preheat_runtime::device::batch::{self, Batch};
use preheat_runtime::device::offload::Offload;
use preheat_runtime::device::placement;
pub use preheat_runtime::device::{ParsePrecisionError, Precision, Precisions};
use preheat_runtime::{Executable, Lookup, Percent, Runtime, StageReport, Verdict, WarmupReport};
use preheat_tensor::Tensor;
pub use request::{TextToImage, WarmupBlock, parse_resolution};
pub use stage_lookup::{LookedUp, LookedUpStage};
pub use tune::{Speed, Tried, Tuned};

use self::checked_request::Prepared;
use self::home::{Home, Homes};
use self::model::Model;
use self::prompts::Prompts;
use self::ready::Asking;

/// The settings of a pipeline, which are the same for all its requests.
#[derive(Debug, Clone)]
pub struct Builder {
    padding_multiple_px: u64,
    precisions: Precisions,
    warmup_steps: u32,
    variant: Option<String>,
    snap_to_warm: Option<Percent>,
    offload: Offload,
    reserve_bytes: Option<u64>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            padding_multiple_px: preheat_runtime::Builder::DEFAULT_PADDING_MULTIPLE_PX,
            precisions: Precisions::default(),
            warmup_steps: preheat_runtime::Builder::DEFAULT_WARMUP_STEPS,
            variant: None,
            snap_to_warm: None,
            offload: Offload::Auto,
            reserve_bytes: None,
        }
    }
}

impl Builder {
    /// The multiple that sizes are rounded up to, in pixels. It is a multiple of 8; 8 means no
    /// padding.
    #[must_use]
    pub fn padding_multiple_px(mut self, multiple: u64) -> Self {
        self.padding_multiple_px = multiple;
        self
    }

    /// Which dtype each stage computes in.
    #[must_use]
    pub fn precisions(mut self, precisions: Precisions) -> Self {
        self.precisions = precisions;
        self
    }

    /// How many steps are run on zeros before a run for which anything was freshly compiled
    /// (`--tpu-warmup-steps`); 0 for none.
    #[must_use]
    pub fn warmup_steps(mut self, steps: u32) -> Self {
        self.warmup_steps = steps;
        self
    }

    /// How weights are brought to a device of libtorch (`--offload`). On devices of XLA this has no
    /// effect: weights are on the device, as far as there is room.
    #[must_use]
    pub fn offload(mut self, offload: Offload) -> Self {
        self.offload = offload;
        self
    }

    /// How many bytes of a device's free memory are left unused when it is decided what is
    /// offloaded (`--reserve-memory`); by default
    /// [`default_reserve_bytes`](preheat_runtime::device::offload::default_reserve_bytes).
    #[must_use]
    pub fn reserve_memory_bytes(mut self, bytes: u64) -> Self {
        self.reserve_bytes = Some(bytes);
        self
    }

    /// Which weights are read where the folder has several variants, such as `fp16`.
    #[must_use]
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// If the padded size of a request is not warm, the smallest warm size that covers it serves
    /// the request instead, as long as at most this share of its area lies beyond the padded size
    /// (`--snap-to-warm`): at 50 percent, at most twice as many pixels are computed. The picture is
    /// cropped. It is not the picture that the request's own size would give, since noise is drawn
    /// at the size that is computed.
    ///
    /// This affects runs and look-ups. A warmup warms the size that it is given.
    #[must_use]
    pub fn snap_to_warm(mut self, most_waste: Percent) -> Self {
        self.snap_to_warm = Some(most_waste);
        self
    }

    /// Reads a model folder: configs, tokenizers and the headers of the weights, not their values.
    /// It needs no device yet.
    ///
    /// # Errors
    /// Where the folder is not a model that can be run.
    pub fn read(self, folder: impl AsRef<Path>) -> Result<ReadModel, PipelineError> {
        let model = Model::open(folder.as_ref(), self.variant.as_deref())?;
        Ok(ReadModel { model, settings: self })
    }

    /// Reads a model folder, to be run on the device of `runtime`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn open(
        self,
        runtime: &Runtime,
        folder: impl AsRef<Path>,
    ) -> Result<Pipeline, PipelineError> {
        Ok(self.read(folder)?.on(runtime))
    }

    /// Opens a model folder and warms the model for `request`. Returns the model, ready to run the
    /// request, and the warmup's report.
    ///
    /// # Errors
    /// As [`Self::read`] and [`Pipeline::warmup`].
    pub fn open_warm(
        self,
        runtime: &Runtime,
        folder: impl AsRef<Path>,
        request: &TextToImage,
    ) -> Result<(Pipeline, Warmed), PipelineError> {
        let pipeline = self.open(runtime, folder)?;
        let warmed = pipeline.warmup(request, false)?;
        Ok((pipeline, warmed))
    }
}

/// A model that was read but is not on a device yet.
#[derive(Debug)]
pub struct ReadModel {
    model: Model,
    settings: Builder,
}

impl ReadModel {
    /// Puts the model on the device of `runtime`.
    pub fn on(self, runtime: &Runtime) -> Pipeline {
        let folder = &self.model.folder;
        if let Some(other) = folder.other_pipeline() {
            runtime.warn(format!(
                "{}: `_class_name` is {other}, but preheat runs text-to-image, as {} does it",
                folder.index().display(),
                folder.family().class()
            ));
        }
        Pipeline {
            runtime: runtime.clone(),
            model: self.model,
            settings: self.settings,
            homes: Homes::of(runtime),
            prompts: Prompts::default(),
            executables: Mutex::default(),
        }
    }
}

/// A model on a device. It keeps what it has loaded: weights, executables and the prompts that it
/// encoded last.
#[derive(Debug)]
pub struct Pipeline {
    runtime: Runtime,
    model: Model,
    settings: Builder,
    homes: Homes,
    prompts: Prompts,
    /// The executables that its requests used, which [`Pipeline::unload`] drops.
    executables: Mutex<HashSet<GraphKey>>,
}

/// The pictures that a run made, and how it made them.
#[derive(Debug)]
pub struct Made {
    /// One picture for each seed.
    pub pictures: Vec<Picture>,
    /// The final latents, `f32[batch, channels, height, width]`, before the VAE.
    pub latents: Tensor,
    /// The signature and the sizes.
    pub plan: Plan,
    /// How each stage became ready. The decoder is there twice if pictures were decoded again in
    /// float32.
    pub stages: Vec<StageReport>,
    /// What may surprise a user about these pictures: for example that a prompt was too long, or
    /// that numbers are not finite.
    pub warnings: Vec<String>,
    /// When every stage's executable was loaded.
    pub executables_ready: Instant,
    /// When the weights were in the place where the graphs read them.
    pub weights_ready: Instant,
    /// How long the steps took.
    pub steps: StepTimes,
    /// How long decoding all pictures took, in seconds.
    pub decode_seconds: f64,
    /// Where weights were placed, and why; `None` on devices of XLA.
    pub placement: Option<placement::Plan>,
    /// The plugin's figures for each executable when it was compiled: `denoiser.flops` and so on.
    pub metrics: BTreeMap<String, f64>,
}

impl Pipeline {
    /// The settings that a pipeline can be opened with.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Opens a model folder with all settings at their defaults.
    ///
    /// # Errors
    /// As [`Builder::open`].
    pub fn open(runtime: &Runtime, folder: impl AsRef<Path>) -> Result<Self, PipelineError> {
        Self::builder().open(runtime, folder)
    }

    /// The model's name.
    pub fn model_id(&self) -> &str {
        self.model.folder.id()
    }

    /// Plans a request: its signature, its sizes, its seed. Nothing is loaded or compiled.
    ///
    /// # Errors
    /// Where this model cannot serve the request, or the request does not fit into memory.
    pub fn plan(&self, request: &TextToImage) -> Result<Plan, PipelineError> {
        let prepared = self.prepare(request)?;
        self.check(&prepared)?;
        Ok(prepared.plan)
    }

    /// How many pictures at once suit the device, according to the estimate of the memory that they
    /// take. The request's own number of pictures is ignored.
    ///
    /// # Errors
    /// Where this model cannot serve the request, and on devices of XLA, for which there is no such
    /// estimate.
    pub fn automatic_batch(&self, request: &TextToImage) -> Result<Batch, PipelineError> {
        let of_xla = || {
            let why = format!(
                "it needs a device of libtorch, and {} is not one",
                self.runtime.device().selected
            );
            PipelineError::request("batch", "auto", why)
        };
        let device = self.runtime.torch_device().ok_or_else(of_xla)?;
        batch::automatic(device.id, |batch_size| {
            let request = TextToImage { batch_size, ..request.clone() };
            let prepared = self.prepare(&request)?;
            prepared.placement.ok_or_else(of_xla)
        })
    }

    /// Would the request hit? Nothing is compiled, and no graph is lowered if level 1 has the
    /// answer.
    ///
    /// # Errors
    /// Where this model cannot serve the request.
    pub fn lookup(&self, request: &TextToImage) -> Result<Lookup, PipelineError> {
        let prepared = self.prepare(request)?;
        let own = self.look_up(&prepared)?;
        let Some(most_waste) = self.settings.snap_to_warm.filter(|_| own.verdict != Verdict::Hit)
        else {
            return Ok(own);
        };
        Ok(self.look_up_larger(&prepared, most_waste)?.unwrap_or(own))
    }

    fn look_up(&self, prepared: &Prepared<'_>) -> Result<Lookup, PipelineError> {
        let mut answers = Vec::new();
        for stage in prepared.stages.iter() {
            answers.extend(
                self.home(stage).runtime.lookup(&prepared.plan.signature, &stage.graph)?.stages,
            );
        }
        Ok(Lookup::of(answers))
    }

    /// Makes every stage of the request ready and runs each once on zeros. Afterwards the
    /// executables and, as far as there is room, the weights are on the device, and the next run
    /// begins at once. The report says for each stage whether it was compiled, loaded or already in
    /// memory.
    ///
    /// # Errors
    /// Where a stage cannot be compiled, run or kept.
    pub fn warmup(
        &self,
        request: &TextToImage,
        force_recompile: bool,
    ) -> Result<Warmed, PipelineError> {
        let prepared = self.prepare(request)?;
        let reports = self.warm(&prepared, force_recompile)?;
        let lost = lost(&reports);
        if lost.is_empty() {
            Ok(Warmed { plan: prepared.plan, stages: reports })
        } else {
            Err(PipelineError::NotKept(lost))
        }
    }

    /// Makes pictures. If the request has a `tpu_warmup` block, the size and batch in it are warmed
    /// first.
    ///
    /// # Errors
    /// Where this model cannot serve the request, or any step of the run fails.
    pub fn run(&self, request: &TextToImage) -> Result<Made, PipelineError> {
        self.run_with(request, false)
    }

    /// Makes pictures. With `force_recompile` every stage is compiled again, and the results
    /// replace those in the cache.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with(
        &self,
        request: &TextToImage,
        force_recompile: bool,
    ) -> Result<Made, PipelineError> {
        let prepared = self.prepare(request)?;
        let warmed = match request.to_warm() {
            Some(first) => {
                // A request that cannot be run is refused before it costs a warmup.
                self.check(&prepared)?;
                self.warm_first(&first, force_recompile)?
            }
            None => Vec::new(),
        };
        // What the warmup has just compiled by force is not compiled a second time.
        let force_recompile = force_recompile && warmed != prepared.plan.signature.input_shape;
        let how = Asking { force_recompile, snap: self.settings.snap_to_warm, ..Asking::default() };
        let (larger, ready) = self.ready(&prepared, how)?;
        let prepared = larger.unwrap_or(prepared);
        self.warm_up_automatically(&prepared, &ready)?;
        self.make(prepared, &ready)
    }

    /// Drops everything that this model has on the device: weights, encoded prompts and
    /// executables. What a run is using is dropped when that run ends. Returns the bytes that
    /// became free at once; the next request loads what it needs again.
    pub fn unload(&self) -> u64 {
        self.prompts.forget();
        let executables =
            std::mem::take(&mut *self.executables.lock().unwrap_or_else(PoisonError::into_inner));
        let forget = |home: &Home| {
            let bytes = home.resident.forget().saturating_add(home.runtime.forget(&executables));
            home.forget_learned();
            home.runtime.give_memory_back();
            bytes
        };
        self.homes.iter().map(forget).fold(0, u64::saturating_add)
    }

    fn note_executables(&self, executables: &[Executable]) {
        let mut known = self.executables.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(executables.iter().map(Executable::graph_key));
    }

    /// Warms up before a run. If the cache cannot keep an executable, that is only a warning here.
    /// Returns the shape that was warmed.
    fn warm_first(
        &self,
        first: &TextToImage,
        force_recompile: bool,
    ) -> Result<Vec<u64>, PipelineError> {
        let prepared = self.prepare(first)?;
        let lost = lost(&self.warm(&prepared, force_recompile)?);
        if !lost.is_empty() {
            self.runtime.warn(PipelineError::NotKept(lost).to_string());
        }
        Ok(prepared.plan.signature.input_shape)
    }
}

/// The stages that were compiled but that the cache did not keep.
fn lost(reports: &[WarmupReport]) -> Vec<String> {
    reports.iter().filter(|report| !report.kept).map(|report| report.stage.stage.clone()).collect()
}

/// The result of a warmup.
#[derive(Debug)]
pub struct Warmed {
    /// The signature and the sizes.
    pub plan: Plan,
    /// Each stage, how it became ready, and how long its execution on zeros took.
    pub stages: Vec<WarmupReport>,
}
