//! On which device does a stage run, and how do its weights get there?
//!
//! A home is a runtime with the weights that it has loaded. Stages on the same device share one.
//! `resident.rs` holds the weights themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use preheat_runtime::Runtime;
use preheat_runtime::device::fallback::{Decode, OutOfMemory, Strategy};
use preheat_runtime::device::offload::{Decision, Mode, Offload};
use preheat_runtime::device::placement::{self, HOST, Plan};
use preheat_runtime::device::{StageKind, TorchDevice};

use super::Pipeline;
use super::checked_request::Prepared;
use super::error::PipelineError;
use super::resident::Resident;
use super::stage::{Stage, Stages};

/// A device that stages run on, with its weights.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) runtime: Runtime,
    pub(super) resident: Arc<Resident>,
    /// The stages that ran out of memory, and the mode in which each has been offloaded since then,
    /// whatever the estimate says.
    learned: Mutex<BTreeMap<&'static str, Mode>>,
}

/// The homes of all stages; usually all stages share one.
#[derive(Debug)]
pub(super) struct Homes {
    denoiser: Arc<Home>,
    text_encoder: Arc<Home>,
    vae: Arc<Home>,
}

impl Home {
    fn new(runtime: &Runtime) -> Self {
        let resident = Arc::new(Resident::default());
        let holder: Weak<Resident> = Arc::downgrade(&resident);
        runtime.add_holder(holder);
        Self { runtime: runtime.clone(), resident, learned: Mutex::default() }
    }

    fn learned(&self) -> MutexGuard<'_, BTreeMap<&'static str, Mode>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The strongest mode of offloading that any stage needed because it ran out of memory.
    pub(super) fn most_learned(&self) -> Mode {
        self.learned().values().copied().max().unwrap_or(Mode::None)
    }

    /// Forgets what running out of memory has taught, so that the estimate decides again.
    pub(super) fn forget_learned(&self) {
        self.learned().clear();
    }

    /// The device as it is now. Its free bytes include the weights that could be dropped because no
    /// stage is running on them.
    fn torch_device(&self) -> Option<TorchDevice> {
        let free_bytes = self.runtime.bytes_that_can_be_had();
        self.runtime.torch_device().map(|device| TorchDevice { free_bytes, ..device.clone() })
    }
}

/// Returns the memory to the device, so that others can use it: libtorch would keep it for itself.
impl Drop for Home {
    fn drop(&mut self) {
        self.resident.forget();
        self.runtime.give_memory_back();
    }
}

impl Homes {
    pub(super) fn of(runtime: &Runtime) -> Self {
        let denoiser = Arc::new(Home::new(runtime));
        let mut all = vec![Arc::clone(&denoiser)];
        // Stages on the same device share a home, and with it its weights.
        let mut of_stage = |stage| {
            let its = runtime.for_stage(stage);
            if let Some(home) = all.iter().find(|home| home.runtime.is(its)) {
                return Arc::clone(home);
            }
            let home = Arc::new(Home::new(its));
            all.push(Arc::clone(&home));
            home
        };
        let text_encoder = of_stage(StageKind::TextEncoder);
        let vae = of_stage(StageKind::Vae { force_upcast: false });
        Self { denoiser, text_encoder, vae }
    }

    pub(super) fn of_stage(&self, stage: StageKind) -> &Home {
        match stage {
            StageKind::TextEncoder => &self.text_encoder,
            StageKind::Denoiser => &self.denoiser,
            StageKind::Vae { .. } => &self.vae,
        }
    }

    /// Each home once.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Home> {
        let text_encoder =
            Some(&self.text_encoder).filter(|home| !Arc::ptr_eq(home, &self.denoiser));
        let known = |home: &Arc<Home>| {
            Arc::ptr_eq(home, &self.denoiser) || Arc::ptr_eq(home, &self.text_encoder)
        };
        let vae = Some(&self.vae).filter(|home| !known(home));
        [Some(&self.denoiser), text_encoder, vae].into_iter().flatten().map(Arc::as_ref)
    }
}

impl Pipeline {
    pub(super) fn home(&self, stage: &Stage) -> &Home {
        self.homes.of_stage(stage.kind)
    }

    /// Where the weights of these stages rest and where they are read; `None` on devices of XLA,
    /// where all weights are resident.
    pub(super) fn placement(&self, stages: &Stages) -> Option<Plan> {
        let devices: Option<Vec<TorchDevice>> =
            stages.iter().map(|stage| self.home(stage).torch_device()).collect();
        let Some(devices) = devices else {
            if self.settings.offload != Offload::Auto {
                let device = &self.runtime.device().selected;
                self.runtime.warn(format!(
                    "--offload {} has an effect on libtorch's devices only; on {device}, weights are dropped automatically where memory is short",
                    self.settings.offload
                ));
            }
            return None;
        };
        let stages = stages.iter().zip(&devices).map(|(stage, device)| placement::Stage {
            name: stage.name,
            kind: stage.kind,
            function: &stage.function,
            device,
            dtype: stage.dtype.clone(),
        });
        Some(Plan::of(
            &stages.collect::<Vec<_>>(),
            self.settings.offload,
            self.settings.reserve_bytes,
        ))
    }

    /// How the weights of a stage come to its device: as decided for the request, or with more
    /// offloading if the stage has run out of memory since.
    pub(super) fn mode(&self, prepared: &Prepared<'_>, stage: &Stage) -> Mode {
        let planned = self.decision(prepared, stage).map_or(Mode::None, |decision| decision.mode);
        planned.max(self.home(stage).learned().get(stage.name).copied().unwrap_or(Mode::None))
    }

    /// What was decided about the device of a stage.
    fn decision<'p>(&self, prepared: &'p Prepared<'_>, stage: &Stage) -> Option<&'p Decision> {
        let own = self.home(stage).runtime.torch_device()?.id;
        prepared.placement.as_ref()?.devices.iter().find(|decision| decision.device.id == own)
    }

    /// What is tried next for a stage that ran out of memory in `mode` after everything that is not
    /// in use was dropped. `None` where nothing is left to try.
    pub(super) fn offload_more(
        &self,
        stage: &Stage,
        decode: Decode,
        mode: Mode,
    ) -> Option<Strategy> {
        let home = self.home(stage);
        let on_cpu = home.runtime.torch_device().is_none_or(|device| device.id == HOST);
        // Pictures are decoded one by one in any case, and the decoder itself handles tiles, so
        // neither is tried here. The weights of other stages have been dropped by now, so moving
        // this stage's weights in and out as a whole would gain nothing.
        let tried = Strategy { decode: Decode::Tiles, offload: mode.max(Mode::Model) };
        let next = tried.after_out_of_memory(stage.kind, 1, on_cpu)?;
        let device = &home.runtime.device().selected;
        home.runtime.warn(format!(
            "stage `{}` ran out of memory on {device}: trying again with offload {}",
            stage.name, next.offload
        ));
        home.learned().insert(stage.name, next.offload);
        home.runtime.give_memory_back();
        Some(Strategy { decode, ..next })
    }

    /// The error for a stage that ran out of memory and has nothing left to try.
    pub(super) fn out_of_memory(
        &self,
        prepared: &Prepared<'_>,
        stage: &Stage,
        error: PipelineError,
        tried: Vec<Strategy>,
    ) -> PipelineError {
        let decision = self.decision(prepared, stage).filter(|decision| decision.device.id != HOST);
        let Some(decision) = decision else { return error };
        let (stage, decision) = (stage.name.to_owned(), Box::new(decision.clone()));
        PipelineError::OutOfMemory {
            cause: OutOfMemory { stage, decision, tried },
            source: Box::new(error),
        }
    }
}
