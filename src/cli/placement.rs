//! Where did each stage and its weights go on libtorch's devices? This module prints the answer as
//! text; for `--json`, the plan itself is serialised.

use super::CliError;
use super::output::line;
use preheat_runtime::device::placement::PlacementPlan;

/// Prints one line for each device.
pub(super) fn print(plan: &PlacementPlan) -> Result<(), CliError> {
    plan.devices.iter().try_for_each(|decision| line(&decision.to_string()))
}
