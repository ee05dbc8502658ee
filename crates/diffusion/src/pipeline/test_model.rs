//! Which model and which machine do the tests of this folder use? The model is the demo model of
//! the repository. The machine is described by hand, so no test needs such devices.

use std::path::Path;

use preheat_runtime::device::{Arithmetic, Precisions, TorchDevice, TorchId};

use super::builder::PipelineBuilder;
use super::checked_request::{Machine, RequestPlanner};
use super::model::Model;
use super::stage::Form;

/// The demo model.
pub(super) fn demo() -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo-model");
    Model::open(&folder, &PipelineBuilder::default()).unwrap()
}

/// Plans requests for the demo model on a CPU of libtorch.
pub(super) fn planner(padding_multiple_px: u64) -> RequestPlanner {
    let on = Arithmetic::Cpu;
    RequestPlanner {
        model: demo().into(),
        padding_multiple_px,
        precisions: Precisions::default(),
        machine: Machine { form: Form::Graph, text_encoder: on, denoiser: on, vae: on },
    }
}

/// A card with this much free memory.
pub(super) fn card(free_bytes: u64) -> TorchDevice {
    TorchDevice {
        position: 0,
        id: TorchId::Cuda(0),
        name: "card".to_owned(),
        total_bytes: Some(free_bytes),
        free_bytes: Some(free_bytes),
        compute_capability: Some((8, 6)),
        rocm: false,
        problem: None,
    }
}
