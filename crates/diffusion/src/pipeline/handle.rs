//! What can a caller do with a model on a device?
//!
//! The methods of a [`Pipeline`] only bring its parts together. Each part holds only what it needs,
//! and no part uses the pipeline. `open.rs` opens pipelines, and `batches.rs` chooses a batch.

mod batches;
mod two_passes;

use std::sync::Arc;
use std::time::Instant;

use preheat_cache::{GraphRecord, Purpose};
use preheat_runtime::progress::Control;
use preheat_runtime::{Lookup, OpenRequest, Percent, Runtime, Verdict};

use super::builder::PipelineBuilder;
use super::checked_request::{Machine, Plan, Prepared, RequestPlanner, Sizes};
use super::error::PipelineError;
use super::home::{Home, Homes, Placing};
use super::made::{Made, Warmed};
use super::make::Making;
use super::measure::GotReady;
use super::model::Model;
use super::obtain::Used;
use super::on_stage::StageRunner;
use super::precompile_stages::{Precompile, Precompiled, Precompiling};
use super::prompts::Prompts;
use super::ready::{Asking, Getting, Ready};
use super::request::TextToImage;
use super::room::Admission;
use super::snap::Snapping;
use super::stage_lookup::{LookUps, LookedUp, look_up};
use super::tiles::LatentDecoder;
use super::warm::{Automatic, Warming, lost};
use super::watch::Watch;

/// A model on a device. It keeps what it has loaded: weights, executables and the prompts that it
/// encoded last. A clone shares all of that.
#[derive(Debug, Clone)]
pub struct Pipeline {
    runtime: Runtime,
    planner: Arc<RequestPlanner>,
    homes: Homes,
    prompts: Arc<Prompts>,
    /// The executables that its requests used, which [`Pipeline::unload`] drops.
    used: Arc<Used>,
    warmup_steps: u32,
    snap_to_warm: Option<Percent>,
}

impl Pipeline {
    pub(super) fn of(runtime: &Runtime, model: Model, settings: &PipelineBuilder) -> Self {
        let PipelineBuilder { padding_multiple_px, precisions, offload, reserve_bytes, .. } =
            *settings;
        let (model, machine) = (Arc::new(model), Machine::of(runtime));
        Self {
            runtime: runtime.clone(),
            planner: Arc::new(RequestPlanner { model, padding_multiple_px, precisions, machine }),
            homes: Homes::of(runtime, Placing { offload, reserve_bytes }),
            prompts: Arc::default(),
            used: Arc::default(),
            warmup_steps: settings.warmup_steps,
            snap_to_warm: settings.snap_to_warm,
        }
    }

    /// Returns a handle of this pipeline under another control. A request through this handle
    /// reports its progress to that control, and stops when the control says so. Other requests go
    /// on. Everything else is shared.
    ///
    /// ```no_run
    /// use preheat_diffusion::pipeline::{Pipeline, TextToImage};
    /// use preheat_runtime::progress::{Cancel, Control};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = preheat_runtime::Runtime::builder().build()?;
    /// let pipeline = Pipeline::open(&runtime, "examples/demo-model")?;
    /// let cancel = Cancel::default(); // a clone of it may be given to another thread
    /// let control = Control::default().cancel(cancel.clone());
    /// let made = pipeline.controlled_by(&control).run(&TextToImage::new("the digit seven"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn controlled_by(&self, control: &Control) -> Self {
        self.through(|runtime| runtime.controlled_by(control))
    }

    /// The same pipeline with other handles of its runtimes.
    fn through(&self, handle: impl Fn(&Runtime) -> Runtime) -> Self {
        Self { runtime: handle(&self.runtime), homes: self.homes.through(&handle), ..self.clone() }
    }

    /// Begins a request, which the statistics count by its outcome. A request that the model cannot
    /// serve is refused before this, and is not counted.
    fn begin(&self, purpose: Purpose, [width, height]: [u64; 2]) -> Arc<OpenRequest> {
        Arc::new(self.runtime.open_request(purpose, self.model_id(), &format!("{width}x{height}")))
    }

    /// Begins a request, and calls `work` with a pipeline whose stages count as parts of that
    /// request. However many stages `work` needs, one request is counted, by the outcome of `work`.
    fn counted<T>(
        &self,
        purpose: Purpose,
        padded: [u64; 2],
        work: impl FnOnce(&Self) -> Result<T, PipelineError>,
    ) -> Result<T, PipelineError> {
        let open = self.begin(purpose, padded);
        let result = work(&self.through(|runtime| runtime.part_of(&open)));
        open.close(result.as_ref().err().map(PipelineError::outcome));
        result
    }

    /// The model's name.
    pub fn model_id(&self) -> &str {
        self.planner.model.folder.id()
    }

    /// The class of diffusers that makes pictures from text with such a model.
    pub fn class_name(&self) -> &'static str {
        self.planner.model.folder.family().class()
    }

    /// The size that a request asks for and the size that is computed for it, in pixels, `[width,
    /// height]`.
    ///
    /// # Errors
    /// If the model cannot serve the request.
    pub fn sizes(&self, request: &TextToImage) -> Result<Sizes, PipelineError> {
        self.planner.sizes(request)
    }

    /// Plans a request: its signature, its sizes, its seed. Nothing is loaded or compiled.
    ///
    /// # Errors
    /// If this model cannot serve the request, or the request does not fit into memory.
    pub fn plan(&self, request: &TextToImage) -> Result<Plan, PipelineError> {
        let prepared = self.prepare(request)?;
        self.admission().check(&prepared)?;
        Ok(prepared.plan)
    }

    /// Returns whether the request would hit. Nothing is compiled, and no graph is lowered if level
    /// 1 has the answer.
    ///
    /// # Errors
    /// If this model cannot serve the request, or a look-up in the cache fails.
    pub fn lookup(&self, request: &TextToImage) -> Result<Lookup, PipelineError> {
        let prepared = self.prepare(request)?;
        let own = look_up(&self.homes, &prepared)?;
        match self.snapping().filter(|_| own.verdict != Verdict::Hit) {
            Some(snapping) => Ok(snapping.look_up(&prepared)?.unwrap_or(own)),
            None => Ok(own),
        }
    }

    /// Returns for each of these requests whether it would hit at its own padded size. `records`
    /// are the records of this runtime's stores.
    ///
    /// Each graph is looked up once, however many of the requests share it: usually all of them
    /// share their text encoder, and those of one size share their VAE. The answers are in the
    /// order of the requests. If the model cannot serve a request, the others are answered
    /// nevertheless.
    ///
    /// # Errors
    /// If a look-up in the cache fails.
    pub fn look_up_each(
        &self,
        requests: &[TextToImage],
        records: &[GraphRecord],
    ) -> Result<Vec<Result<LookedUp, PipelineError>>, PipelineError> {
        self.warn_of_dtypes();
        LookUps { planner: &self.planner, homes: &self.homes }.each(requests, records)
    }

    /// Makes every stage of the request ready and runs each once on zeros. Afterwards the
    /// executables and, as far as there is room, the weights are on the device, and the next run
    /// begins at once. The report says for each stage whether it was compiled, loaded or already in
    /// memory. With `force_recompile` every stage is compiled again.
    ///
    /// # Errors
    /// If this model cannot serve the request, or a stage cannot be compiled, run or kept.
    pub fn warmup(
        &self,
        request: &TextToImage,
        force_recompile: bool,
    ) -> Result<Warmed, PipelineError> {
        self.warm(request, force_recompile, |lost| {
            if lost.is_empty() { Ok(()) } else { Err(PipelineError::NotKept(lost)) }
        })
    }

    /// Makes every stage of the request ready and runs each once on zeros, as [`Self::warmup`]
    /// does. The next run of the request then measures the device without the time of getting
    /// ready. It is no error if the cache does not keep the executables.
    ///
    /// # Errors
    /// If this model cannot serve the request, or a stage cannot be compiled or run.
    pub fn get_ready(&self, request: &TextToImage) -> Result<GotReady, PipelineError> {
        let prepared = self.prepare(request)?;
        self.counted(Purpose::Warming, prepared.plan.sizes.padded, |this| {
            let getting = this.getting(&prepared, None);
            let (_, ready) = getting.ready(&prepared, Asking::to_warm(false))?;
            this.warming(&prepared, &ready).warm()?;
            Ok(GotReady::of(&prepared, &ready))
        })
    }

    /// Makes sure that the cache has every stage of every request, and loads nothing. Finished
    /// compiles are kept whatever happens later, and if a stage cannot be compiled, the others are
    /// compiled nevertheless.
    ///
    /// # Errors
    /// Before anything is compiled: if this model cannot serve one of the requests, its files do
    /// not have the weights that the graphs read, or the cache cannot be written. Later, only if
    /// someone asked to stop.
    pub fn precompile(
        &self,
        requests: &[TextToImage],
        how: Precompile,
    ) -> Result<Vec<Precompiled>, PipelineError> {
        let prepared =
            requests.iter().map(|request| self.prepare(request)).collect::<Result<Vec<_>, _>>()?;
        self.runtime.check_cache_is_writable()?;
        for prepared in &prepared {
            self.admission().check_weights(&prepared.stages)?;
        }
        let open = prepared
            .iter()
            .map(|prepared| self.begin(Purpose::Warming, prepared.plan.sizes.padded));
        let open: Vec<_> = open.collect();
        let (runtime, homes, watch) = (&self.runtime, &self.homes, self.watch());
        let done = Precompiling { runtime, homes, watch, how, open: &open }.all(prepared)?;
        for (open, done) in open.iter().zip(&done) {
            open.close(done.failed.first().map(|(_, error)| error.outcome()));
        }
        Ok(done)
    }

    /// Makes pictures. If the request has a `tpu_warmup` block that is enabled, the size and batch
    /// in it are warmed first.
    ///
    /// # Errors
    /// If this model cannot serve the request, or any step of the run fails.
    pub fn run(&self, request: &TextToImage) -> Result<Made, PipelineError> {
        self.run_with(request, false)
    }

    /// Makes pictures. With `force_recompile` every stage is compiled again, and the results
    /// replace those in the cache.
    ///
    /// # Errors
    /// The same as those of [`Self::run`].
    pub fn run_with(
        &self,
        request: &TextToImage,
        force_recompile: bool,
    ) -> Result<Made, PipelineError> {
        let began = Instant::now();
        if let Some(upscale) = request.upscale_latents {
            return self.run_twice(request, upscale, force_recompile, began);
        }
        let own = self.prepare(request)?;
        let warmed = match request.to_warm() {
            Some(first) => {
                // A request that cannot be run is refused before it costs a warmup.
                self.admission().check(&own)?;
                self.warm_first(&first, force_recompile)?
            }
            None => Vec::new(),
        };
        // The executables that the warmup has just recompiled are not compiled a second time.
        let force_recompile = force_recompile && warmed != own.plan.signature.input_shape;
        let asking = Asking { force_recompile, warming: false };
        let padded = own.plan.sizes.padded;
        self.counted(Purpose::Serving, padded, |this| this.serve(&own, asking, began))
    }

    /// Obtains what a run needs, and makes its pictures.
    fn serve(
        &self,
        own: &Prepared<'_>,
        asking: Asking,
        began: Instant,
    ) -> Result<Made, PipelineError> {
        let (larger, ready) = self.getting(own, self.snapping()).ready(own, asking)?;
        let prepared = larger.as_ref().unwrap_or(own);
        self.making(prepared, &ready)?.make(began)
    }

    /// What makes the pictures of a request that is ready, after a warmup on zeros if that is due.
    fn making<'a>(
        &'a self,
        prepared: &'a Prepared<'_>,
        ready: &'a Ready,
    ) -> Result<Making<'a>, PipelineError> {
        let warming = self.warming(prepared, ready);
        warming.before_run(Automatic {
            steps: self.warmup_steps,
            by_libtorch: self.runtime.torch_device().is_some(),
            by_hand: self.runtime.warms_by_hand(),
        })?;
        let decoder = warming.decoder;
        Ok(Making { decoder, prompts: &self.prompts, prepared, ready })
    }

    /// Drops everything that this model has on the device: weights, encoded prompts and
    /// executables. What a run is using is dropped when that run ends. Returns the bytes that
    /// became free at once; the next request loads what it needs again.
    pub fn unload(&self) -> u64 {
        self.prompts.forget();
        let executables = self.used.take();
        let forget = |home: &Home| {
            let bytes = home.resident().forget().saturating_add(home.runtime.forget(&executables));
            home.learned().forget();
            home.runtime.give_memory_back();
            bytes
        };
        self.homes.iter().map(forget).fold(0, u64::saturating_add)
    }

    fn prepare<'r>(&self, request: &'r TextToImage) -> Result<Prepared<'r>, PipelineError> {
        let prepared = self.planner.prepare(request, |stages| self.homes.place(stages));
        self.warn_of_dtypes();
        prepared
    }

    fn warn_of_dtypes(&self) {
        let dtypes = self.planner.dtypes();
        dtypes.warnings().for_each(|warning| self.runtime.warn(warning.clone()));
    }

    fn watch(&self) -> Watch<'_> {
        Watch { model_id: self.model_id(), control: self.runtime.control() }
    }

    fn admission(&self) -> Admission<'_> {
        Admission { model: &self.planner.model, homes: &self.homes }
    }

    fn snapping(&self) -> Option<Snapping<'_>> {
        let (runtime, planner, homes) = (&self.runtime, &*self.planner, &self.homes);
        self.snap_to_warm.map(|most_waste| Snapping { runtime, planner, homes, most_waste })
    }

    fn runner<'a>(&'a self, prepared: &'a Prepared<'_>) -> StageRunner<'a> {
        let (model, homes, watch) = (&*self.planner.model, &self.homes, self.watch());
        StageRunner { model, homes, placement: prepared.placement.as_ref(), watch }
    }

    fn getting<'a>(
        &'a self,
        prepared: &'a Prepared<'_>,
        snapping: Option<Snapping<'a>>,
    ) -> Getting<'a> {
        Getting { runner: self.runner(prepared), used: &self.used, snapping }
    }

    fn warming<'a>(&'a self, prepared: &'a Prepared<'_>, ready: &'a Ready) -> Warming<'a> {
        let decoder = LatentDecoder { runner: self.runner(prepared), used: &self.used };
        Warming { decoder, prepared, ready }
    }

    /// Gets every stage ready and runs each once on zeros. `check` is given the names of the stages
    /// that the cache did not keep.
    fn warm(
        &self,
        request: &TextToImage,
        force: bool,
        check: impl FnOnce(Vec<String>) -> Result<(), PipelineError>,
    ) -> Result<Warmed, PipelineError> {
        let prepared = self.prepare(request)?;
        let stages = self.counted(Purpose::Warming, prepared.plan.sizes.padded, |this| {
            let getting = this.getting(&prepared, None);
            let (_, ready) = getting.ready(&prepared, Asking::to_warm(force))?;
            let stages = this.warming(&prepared, &ready).warm()?;
            check(lost(&stages))?;
            Ok(stages)
        })?;
        Ok(Warmed { plan: prepared.plan, stages })
    }

    /// Warms up before a run. If the cache cannot keep an executable, that is only a warning here.
    /// Returns the shape that was warmed.
    fn warm_first(&self, first: &TextToImage, force: bool) -> Result<Vec<u64>, PipelineError> {
        let warmed = self.warm(first, force, |lost| {
            if !lost.is_empty() {
                self.runtime.warn(PipelineError::NotKept(lost).to_string());
            }
            Ok(())
        })?;
        Ok(warmed.plan.signature.input_shape)
    }
}
