//! Which devices can this machine run on, and why not on the others? `preheat devices` answers.

use indicatif::HumanBytes;

use super::context::Context;
use super::output::{document, table};
use super::{CliError, Status};
use preheat_runtime::describe_devices;
use preheat_runtime::device::in_short;

pub(super) fn devices(context: &Context) -> Result<Status, CliError> {
    let devices = describe_devices();
    if context.json {
        document(&devices)?;
        return Ok(Status::Done);
    }
    let mut rows =
        table(&["device", "available", "kind", "plugin", "memory", "default dtype", "why"]);
    for device in &devices {
        let version = device.plugin_version.clone().unwrap_or_default();
        rows.add_row([
            device.name.clone(),
            if device.available { "yes" } else { "no" }.to_owned(),
            device.kind.clone().unwrap_or_default(),
            version,
            device
                .memory_total_bytes
                .map(|bytes| HumanBytes(bytes).to_string())
                .unwrap_or_default(),
            device.default_dtype.to_owned(),
            // `--json` and `preheat plugins list` list every place that was searched.
            in_short(&device.reason),
        ]);
    }
    rows.print()?;
    Ok(Status::Done)
}
