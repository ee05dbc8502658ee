//! Where stages run: a runtime, what of their weights is there, and how weights come to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Pipeline;
use super::error::PipelineError;
use super::plan::Prepared;
use super::resident::Resident;
use super::stage::Stage;
use crate::device::fallback::{Decode, OutOfMemory, Strategy};
use crate::device::offload::{Decision, Mode, Offload};
use crate::device::placement::{self, HOST, Plan};
use crate::device::{StageKind, TorchDevice};
use crate::runtime::Runtime;

/// A device that stages run on.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) runtime: Runtime,
    pub(super) resident: Arc<Resident>,
    placement: Mutex<Placement>,
}

/// How weights come to a device.
#[derive(Debug, Clone)]
struct Placement {
    mode: Mode,
    /// The estimate that led there, where the device is libtorch's.
    decision: Option<Decision>,
}

/// The homes of all stages: mostly one.
#[derive(Debug)]
pub(super) struct Homes {
    denoiser: Home,
    text_encoder: Option<Home>,
    vae: Option<Home>,
}

impl Home {
    fn new(runtime: &Runtime) -> Self {
        let resident = Arc::new(Resident::default());
        let holder: Weak<Resident> = Arc::downgrade(&resident);
        runtime.add_holder(holder);
        Self {
            runtime: runtime.clone(),
            resident,
            placement: Mutex::new(Placement { mode: Mode::None, decision: None }),
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.placement().mode
    }

    fn placement(&self) -> MutexGuard<'_, Placement> {
        self.placement.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device as it is now: what is free, and what would be without the weights that no stage is running on.
    fn torch_device(&self) -> Option<TorchDevice> {
        let free_bytes = self.runtime.bytes_that_can_be_had();
        self.runtime.torch_device().map(|device| TorchDevice { free_bytes, ..device.clone() })
    }
}

/// What a model held goes back to the device, for others to use: libtorch would keep it for later.
impl Drop for Home {
    fn drop(&mut self) {
        self.resident.forget();
        self.runtime.give_memory_back();
    }
}

impl Homes {
    pub(super) fn of(runtime: &Runtime) -> Self {
        let own = |stage| {
            let its = runtime.for_stage(stage);
            (its.device() != runtime.device()).then(|| Home::new(its))
        };
        Self {
            denoiser: Home::new(runtime),
            text_encoder: own(StageKind::TextEncoder),
            vae: own(StageKind::Vae { force_upcast: false }),
        }
    }

    pub(super) fn of_stage(&self, stage: StageKind) -> &Home {
        let own = match stage {
            StageKind::TextEncoder => self.text_encoder.as_ref(),
            StageKind::Denoiser => None,
            StageKind::Vae { .. } => self.vae.as_ref(),
        };
        own.unwrap_or(&self.denoiser)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Home> {
        [Some(&self.denoiser), self.text_encoder.as_ref(), self.vae.as_ref()].into_iter().flatten()
    }
}

impl Pipeline {
    pub(super) fn home(&self, stage: &Stage) -> &Home {
        self.homes.of_stage(stage.kind)
    }

    /// What goes where; `None` on devices of XLA, on which everything is resident.
    pub(super) fn placement(&self, prepared: &Prepared<'_>) -> Option<Plan> {
        let devices: Option<Vec<TorchDevice>> =
            prepared.stages.iter().map(|stage| self.home(stage).torch_device()).collect();
        let devices = devices?;
        let stages: Vec<placement::Stage<'_>> = prepared
            .stages
            .iter()
            .zip(&devices)
            .map(|(stage, device)| placement::Stage {
                name: stage.name,
                kind: stage.kind,
                function: &stage.function,
                device,
                dtype: stage.dtype.clone(),
            })
            .collect();
        Some(Plan::of(&stages, self.settings.offload, self.settings.reserve_bytes))
    }

    /// Decides what goes where, and has each device do so.
    pub(super) fn place(&self, prepared: &Prepared<'_>) -> Option<Plan> {
        let Some(plan) = self.placement(prepared) else {
            if self.settings.offload != Offload::Auto {
                let device = &self.runtime.device().selected;
                self.runtime.warn(format!(
                    "--offload {} acts on libtorch's devices; on {device} weights go by themselves where it has no room",
                    self.settings.offload
                ));
            }
            return None;
        };
        for home in self.homes.iter() {
            let own = home.runtime.torch_device().map(|device| device.id);
            let Some(decision) = plan.devices.iter().find(|decision| Some(decision.device.id) == own) else { continue };
            tracing::info!("{decision}");
            *home.placement() = Placement { mode: decision.mode, decision: Some(decision.clone()) };
        }
        for stage in &plan.stages {
            tracing::debug!("{stage}");
        }
        Some(plan)
    }

    /// What is tried next for a stage that ran out of memory although everything was dropped that is not in use: its device offloads
    /// more. `None` where nothing is left to try.
    pub(super) fn offload_more(&self, stage: &Stage, decode: Decode) -> Option<Strategy> {
        let home = self.home(stage);
        let on_cpu = home.runtime.torch_device().is_none_or(|device| device.id == HOST);
        let tried = Strategy { decode, offload: home.mode() };
        // Pictures are decoded one by one anyway, and tiles are the decoder's own affair.
        let next = Strategy { decode: Decode::Tiles, ..tried }.after_out_of_memory(stage.kind, 1, on_cpu)?;
        let device = &home.runtime.device().selected;
        home.runtime.warn(format!(
            "stage `{}` ran out of memory on {device}: trying again with offload {}",
            stage.name, next.offload
        ));
        home.placement().mode = next.offload;
        home.runtime.give_memory_back();
        Some(Strategy { decode, ..next })
    }

    /// The error of a stage that ran out of memory with nothing left to try.
    pub(super) fn out_of_memory(&self, stage: &Stage, error: PipelineError, tried: Vec<Strategy>) -> PipelineError {
        let decision = self.home(stage).placement().decision.clone();
        let Some(decision) = decision.filter(|decision| decision.device.id != HOST) else { return error };
        let stage = stage.name.to_owned();
        PipelineError::OutOfMemory {
            cause: OutOfMemory { stage, decision: Box::new(decision), tried },
            source: Box::new(error),
        }
    }
}
