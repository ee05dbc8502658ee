//! Where did each stage and its weights go on libtorch's devices? This module reports that as text
//! and as JSON.

use serde::Serialize;

use super::CliError;
use super::output::line;
use crate::device::placement::Plan;

#[derive(Debug, Serialize)]
pub(super) struct PlacementReport {
    devices: Vec<DevicePlacement>,
    stages: Vec<StagePlacement>,
}

/// How weights come to a device, with the estimate that decided it.
#[derive(Debug, Serialize)]
struct DevicePlacement {
    device: String,
    offload: String,
    reason: String,
    estimated_bytes: Estimate,
    free_bytes: Option<u64>,
    reserve_bytes: u64,
}

/// The peak memory, in bytes, that each way to offload would take.
#[derive(Debug, Serialize)]
struct Estimate {
    none: u64,
    model: u64,
    sequential: u64,
}

#[derive(Debug, Serialize)]
struct StagePlacement {
    stage: String,
    device: String,
    weights_rest: String,
    dtype: String,
    attention_in_float32: bool,
    reason: &'static str,
    weight_bytes: u64,
    activation_bytes: u64,
}

impl PlacementReport {
    pub(super) fn of(plan: &Plan) -> Self {
        let devices = plan.devices.iter().map(|decision| DevicePlacement {
            device: decision.device.id.to_string(),
            offload: decision.mode.to_string(),
            reason: decision.reason.clone(),
            estimated_bytes: Estimate {
                none: decision.figures.none,
                model: decision.figures.model,
                sequential: decision.figures.sequential,
            },
            free_bytes: decision.device.free_bytes,
            reserve_bytes: decision.reserve_bytes,
        });
        let stages = plan.stages.iter().map(|stage| StagePlacement {
            stage: stage.name.clone(),
            device: stage.executes.to_string(),
            weights_rest: stage.weights_rest.to_string(),
            dtype: stage.dtype.dtype.to_string(),
            attention_in_float32: stage.dtype.attention_in_float32,
            reason: stage.dtype.reason,
            weight_bytes: stage.need.weight_bytes,
            activation_bytes: stage.need.activation_bytes,
        });
        Self { devices: devices.collect(), stages: stages.collect() }
    }
}

/// Prints one line for each device.
pub(super) fn print(plan: &Plan) -> Result<(), CliError> {
    plan.devices.iter().try_for_each(|decision| line(&decision.to_string()))
}
