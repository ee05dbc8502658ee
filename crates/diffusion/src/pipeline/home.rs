//! On which device does a stage run, and how do its weights get there?
//!
//! A home is a runtime with the weights that it has loaded. Stages on the same device share a home.
//! `resident.rs` holds the weights themselves, and `learned.rs` remembers the stages for which a
//! device was too small. Homes are handles: each request gets homes with its own control, and all
//! of them share the same weights.

use std::sync::{Arc, Weak};

use preheat_runtime::device::offload::{Decision, Offload};
use preheat_runtime::device::placement::{self, PlacementPlan};
use preheat_runtime::device::{StageKind, TorchDevice, TorchId};
use preheat_runtime::{Runtime, Warning, WarningKind};

use super::learned::Learned;
use super::resident::Resident;
use super::stage::{Stage, Stages};

/// A device that stages run on, with its weights.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) runtime: Runtime,
    holds: Arc<Holds>,
}

/// The weights that were loaded for a device. They are dropped with the last handle of the home, or
/// earlier if the device needs the room or the pipeline is unloaded.
#[derive(Debug)]
struct Holds {
    runtime: Runtime,
    resident: Arc<Resident>,
    learned: Learned,
}

/// The homes of all stages; usually all stages share one.
#[derive(Debug, Clone)]
pub(super) struct Homes {
    denoiser: Home,
    text_encoder: Home,
    vae: Home,
    placing: Placing,
}

/// The settings that decide where weights are kept for devices of libtorch.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Placing {
    pub(super) offload: Offload,
    /// The bytes of each device's free memory that are not used; `None` for the default.
    pub(super) reserve_bytes: Option<u64>,
}

impl Placing {
    /// Where the weights of these stages are kept and where they are read. `devices` has the device
    /// of each stage.
    pub(super) fn place(self, stages: &Stages, devices: &[TorchDevice]) -> PlacementPlan {
        let stages = stages.iter().zip(devices).map(|(stage, device)| placement::Stage {
            name: stage.name,
            kind: stage.kind,
            function: &stage.function,
            device,
            dtype: stage.dtype.clone(),
        });
        PlacementPlan::of(&stages.collect::<Vec<_>>(), self.offload, self.reserve_bytes)
    }
}

/// The plan's decision about a device.
pub(super) fn decision(plan: Option<&PlacementPlan>, device: TorchId) -> Option<&Decision> {
    plan?.devices.iter().find(|decision| decision.device.id == device)
}

impl Home {
    fn new(runtime: &Runtime) -> Self {
        let resident = Arc::new(Resident::default());
        let holder: Weak<Resident> = Arc::downgrade(&resident);
        runtime.add_holder(holder);
        let holds = Holds { runtime: runtime.clone(), resident, learned: Learned::default() };
        Self { runtime: runtime.clone(), holds: Arc::new(holds) }
    }

    /// The weights that were loaded for this device.
    pub(super) fn resident(&self) -> &Resident {
        &self.holds.resident
    }

    /// The stages that ran out of memory.
    pub(super) fn learned(&self) -> &Learned {
        &self.holds.learned
    }

    /// Whether this and `other` are handles of the same home.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.holds, &other.holds)
    }

    /// The same home with another handle of its runtime.
    fn through(&self, handle: impl Fn(&Runtime) -> Runtime) -> Self {
        Self { runtime: handle(&self.runtime), holds: Arc::clone(&self.holds) }
    }

    /// The device as it is now. Its free bytes include the weights that could be dropped because no
    /// stage is running on them.
    fn torch_device(&self) -> Option<TorchDevice> {
        let free_bytes = self.runtime.bytes_that_can_be_had();
        self.runtime.torch_device().map(|device| TorchDevice { free_bytes, ..device.clone() })
    }

    /// The plan's decision about this device.
    pub(super) fn decision<'p>(&self, plan: Option<&'p PlacementPlan>) -> Option<&'p Decision> {
        decision(plan, self.runtime.torch_device()?.id)
    }
}

/// Returns the memory to the device, so that others can use it: libtorch would keep it for itself.
impl Drop for Holds {
    fn drop(&mut self) {
        self.resident.forget();
        self.runtime.give_memory_back();
    }
}

impl Homes {
    pub(super) fn of(runtime: &Runtime, placing: Placing) -> Self {
        let denoiser = Home::new(runtime);
        let mut all = vec![denoiser.clone()];
        // Stages on the same device share a home, and with it its weights.
        let mut of_stage = |stage| {
            let its = runtime.for_stage(stage);
            if let Some(home) = all.iter().find(|home| home.runtime.is(its)) {
                return home.clone();
            }
            let home = Home::new(its);
            all.push(home.clone());
            home
        };
        let text_encoder = of_stage(StageKind::TextEncoder);
        let vae = of_stage(StageKind::Vae { force_upcast: false });
        Self { denoiser, text_encoder, vae, placing }
    }

    /// The same homes, each with another handle of its runtime.
    pub(super) fn through(&self, handle: impl Fn(&Runtime) -> Runtime) -> Self {
        let [denoiser, text_encoder, vae] =
            [&self.denoiser, &self.text_encoder, &self.vae].map(|home| home.through(&handle));
        Self { denoiser, text_encoder, vae, placing: self.placing }
    }

    pub(super) fn of_kind(&self, stage: StageKind) -> &Home {
        match stage {
            StageKind::TextEncoder => &self.text_encoder,
            StageKind::Denoiser => &self.denoiser,
            StageKind::Vae { .. } => &self.vae,
        }
    }

    pub(super) fn of_stage(&self, stage: &Stage) -> &Home {
        self.of_kind(stage.kind)
    }

    /// Each home once.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Home> {
        let text_encoder = Some(&self.text_encoder).filter(|home| !home.is(&self.denoiser));
        let known = |home: &Home| home.is(&self.denoiser) || home.is(&self.text_encoder);
        let vae = Some(&self.vae).filter(|home| !known(home));
        [Some(&self.denoiser), text_encoder, vae].into_iter().flatten()
    }

    /// Where the weights of these stages are kept and where they are read. `None` if a device is
    /// one of XLA's: these read all weights from their own memory.
    pub(super) fn place(&self, stages: &Stages) -> Option<PlacementPlan> {
        let devices: Option<Vec<TorchDevice>> =
            stages.iter().map(|stage| self.of_stage(stage).torch_device()).collect();
        if let Some(devices) = devices {
            return Some(self.placing.place(stages, &devices));
        }
        if self.placing.offload != Offload::Auto {
            let runtime = &self.denoiser.runtime;
            let text = format!(
                "offload {} has an effect on libtorch's devices only; on {}, weights are dropped \
                 automatically where memory is short",
                self.placing.offload,
                runtime.device().selected
            );
            runtime.warn(Warning::new(WarningKind::OffloadIgnored, text));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use preheat_runtime::device::offload::Mode;

    use super::*;
    use crate::pipeline::request::TextToImage;
    use crate::pipeline::test_model;

    #[test]
    fn weights_rest_where_the_free_memory_and_the_settings_say() {
        let request = TextToImage::new("seven");
        let prepared = test_model::planner(64).prepare(&request, |_| None).unwrap();
        let place = |placing: Placing, free_bytes| {
            let devices = vec![test_model::card(free_bytes); prepared.stages.all.len()];
            placing.place(&prepared.stages, &devices)
        };
        let offload = |mode| Placing { offload: Offload::Always(mode), reserve_bytes: None };
        let auto = |reserve_bytes| Placing { offload: Offload::Auto, reserve_bytes };
        assert_eq!(place(auto(Some(0)), 1 << 40).mode(), Mode::None);
        assert_eq!(place(auto(Some(0)), 0).mode(), Mode::Sequential);
        assert_eq!(place(auto(Some(1 << 40)), 1 << 40).mode(), Mode::Sequential, "all reserved");
        assert_eq!(place(offload(Mode::Model), 1 << 40).mode(), Mode::Model);
        let plan = place(auto(Some(0)), 1 << 40);
        let names: Vec<_> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, ["text_encoder", "denoiser", "vae_decoder"]);
        assert!(decision(Some(&plan), TorchId::Cuda(0)).is_some());
        assert!(decision(Some(&plan), TorchId::Cuda(1)).is_none(), "another device");
        assert!(decision(None, TorchId::Cuda(0)).is_none());
    }
}
