//! Which devices does this machine have?
//!
//! This module finds plugins and device files, and describes each device for `preheat devices`. It
//! does not choose the device for a run; `device/` does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use preheat_cache::PluginBuild;
use preheat_io::printable::optional_path_as_text;
use preheat_pjrt::PjrtValue;
use preheat_plugins::{PluginName, PluginSearch};
use preheat_torch_abi::LIBTORCH_VERSION;
use serde::Serialize;

use super::tpu_hardware::{self, Surroundings};
use crate::backend::BackendError;
use crate::backend::ahead::{check_flags, this_program_serves};
use crate::backend::torch::{Torch, TorchLookup, TorchOptions};
use crate::backend::xla::XlaBackend;
use crate::device::{
    Arithmetic, DeviceError, DeviceName, DeviceRequest, Inventory, OperatingSystem, Precisions,
    StageDevices, StageKind, TorchDevice, TpuSwitch, XlaDevice,
};
use crate::progress::Cancel;

/// One device of this machine, as `preheat devices` shows it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// The device's name on the command line.
    pub name: String,
    /// The name that the hardware reports, if the device can be used.
    pub kind: Option<String>,
    /// Whether it can be used.
    pub available: bool,
    /// Why it can or cannot be used.
    pub reason: String,
    /// The plugin that drives it.
    #[serde(serialize_with = "optional_path_as_text")]
    pub plugin: Option<PathBuf>,
    /// The version of the wheel that the plugin came in, if a file beside the plugin tells it.
    pub plugin_version: Option<String>,
    /// The version that the plugin reports.
    pub platform_version: Option<String>,
    /// The version of the PJRT C API that the plugin implements.
    pub pjrt_api_version: Option<String>,
    /// The newest version of StableHLO that the plugin reads.
    pub stablehlo_version: Option<String>,
    /// The version of XLA, if the plugin reports it.
    pub xla_version: Option<String>,
    /// Kind, bounds and number of cores.
    pub topology: Option<String>,
    /// The device's memory in bytes, as the plugin reports it; never the host's memory.
    pub memory_total_bytes: Option<u64>,
    /// The free part of that memory.
    pub memory_free_bytes: Option<u64>,
    /// The compute capability of a CUDA card.
    pub compute_capability: Option<String>,
    /// The dtype that [`Precision::Auto`](crate::device::Precision::Auto) selects for a denoiser on
    /// the device.
    pub default_dtype: &'static str,
}

/// Describes every device. Devices that cannot be used are included, with the reason.
pub fn describe_devices() -> Vec<DeviceInfo> {
    let mut everything = plugins_of(DeviceName::Auto);
    let torch = open_torch();
    everything.torch = torch.as_ref().map(|torch| torch.devices().to_vec()).map_err(Clone::clone);
    everything.mlx = preheat_plugins::find_mlx(&PluginSearch::from_process());
    let library = torch.as_ref().ok().map(|torch| torch.libraries().backend.as_path());
    let mut devices: Vec<_> =
        XlaDevice::ALL.into_iter().map(|device| describe(device, &everything)).collect();
    devices.extend(describe_torch(&everything, library));
    devices
}

/// Describes libtorch's devices, and MLX if it was found. If libtorch cannot be used, there is a
/// row for each kind of its devices that says why.
fn describe_torch(everything: &Inventory, library: Option<&Path>) -> Vec<DeviceInfo> {
    let absent = |name, on, why: &String| DeviceInfo {
        reason: format!("runs through libtorch, which cannot be used: {why}"),
        ..blank(name, default_dtype(on))
    };
    let mut rows = match &everything.torch {
        Ok(offered) => {
            offered.iter().map(|device| describe_torch_device(device, library)).collect()
        }
        Err(why) => {
            let cuda = Arithmetic::Cuda { native_bfloat16: true, breaks_in_float16: false };
            vec![
                absent("cuda", cuda, why),
                absent("mps", Arithmetic::Mps, why),
                absent("cpu", Arithmetic::Cpu, why),
            ]
        }
    };
    if let Some(found) = &everything.mlx {
        let reason = format!("{found}; {}", DeviceError::Mlx);
        rows.push(DeviceInfo { reason, ..blank("mlx", "") });
    }
    rows
}

fn describe_torch_device(device: &TorchDevice, library: Option<&Path>) -> DeviceInfo {
    let [major, minor, patch] = LIBTORCH_VERSION;
    DeviceInfo {
        plugin: library.map(Path::to_owned),
        platform_version: Some(format!("libtorch {major}.{minor}.{patch}")),
        compute_capability: device
            .compute_capability
            .map(|(major, minor)| format!("{major}.{minor}")),
        kind: Some(if device.rocm {
            format!("{} (ROCm)", device.name)
        } else {
            device.name.clone()
        }),
        available: device.is_usable(),
        reason: device.problem.clone().unwrap_or_else(|| "libtorch offers it".to_owned()),
        memory_total_bytes: device.total_bytes,
        memory_free_bytes: device.free_bytes,
        ..blank(&device.id.to_string(), default_dtype(device.into()))
    }
}

/// The dtype that [`Precisions::default`] selects.
fn default_dtype(on: Arithmetic) -> &'static str {
    Precisions::default().of(StageKind::Denoiser, on).dtype.name()
}

fn blank(name: &str, default_dtype: &'static str) -> DeviceInfo {
    DeviceInfo {
        name: name.to_owned(),
        kind: None,
        available: false,
        reason: String::new(),
        plugin: None,
        plugin_version: None,
        platform_version: None,
        pjrt_api_version: None,
        stablehlo_version: None,
        xla_version: None,
        topology: None,
        memory_total_bytes: None,
        memory_free_bytes: None,
        compute_capability: None,
        default_dtype,
    }
}

fn describe(device: XlaDevice, everything: &Inventory) -> DeviceInfo {
    let on = Arithmetic::Xla { native_bfloat16: device != XlaDevice::XlaCpu };
    let info = blank(device.as_str(), default_dtype(on));
    // A plugin is shown even if this machine does not have the plugin's hardware.
    let info =
        match preheat_plugins::find(plugin_name(device), &PluginSearch::from_process()).plugin {
            Some(plugin) => {
                DeviceInfo { plugin: Some(plugin.path), plugin_version: plugin.version, ..info }
            }
            None => info,
        };
    let path = match everything.plugin(device) {
        Ok(path) => path,
        Err(reason) => return DeviceInfo { reason, ..info },
    };
    // The flags in the environment must not end the process that only describes its devices.
    let checked = if this_program_serves() {
        check_flags(device, path, None, None, &Cancel::default())
    } else {
        Ok(())
    };
    match checked.and_then(|()| XlaBackend::open(device, path, || identify(path))) {
        Ok(backend) => {
            let memory = backend.device.memory_stats().ok().flatten();
            let used = memory.as_ref().map(|memory| memory.bytes_in_use);
            let total = memory.as_ref().and_then(|memory| memory.bytes_limit);
            let plugin = backend.client.plugin();
            let attributes = plugin.attributes().unwrap_or_default();
            DeviceInfo {
                kind: Some(backend.environment.device_kind.clone()),
                available: true,
                reason: "its plugin loads and offers a device".to_owned(),
                platform_version: Some(backend.environment.platform_version.clone()),
                pjrt_api_version: Some(plugin.api_version().to_string()),
                stablehlo_version: version(&attributes, "stablehlo_current_version"),
                xla_version: version(&attributes, "xla_version"),
                topology: Some(backend.environment.topology.to_string()),
                memory_total_bytes: total.and_then(|bytes| u64::try_from(bytes).ok()),
                memory_free_bytes: total
                    .zip(used)
                    .and_then(|(total, used)| u64::try_from(total - used).ok()),
                ..info
            }
        }
        Err(error) => {
            let cause = std::error::Error::source(&error)
                .map(|cause| format!(": {cause}"))
                .unwrap_or_default();
            DeviceInfo { reason: format!("{error}{cause}"), ..info }
        }
    }
}

/// A version among a plugin's attributes, which is a list of numbers, one number, or a text.
fn version(attributes: &BTreeMap<String, PjrtValue>, name: &str) -> Option<String> {
    match attributes.get(name)? {
        PjrtValue::IntList(parts) => {
            Some(parts.iter().map(i64::to_string).collect::<Vec<_>>().join("."))
        }
        PjrtValue::Int(number) => Some(number.to_string()),
        PjrtValue::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// The identity of a plugin's build. It is not stored, because there may be no cache.
fn identify(path: &Path) -> Result<String, BackendError> {
    let unreadable = |cause| BackendError::Identity { path: path.to_owned(), cause };
    Ok(PluginBuild::of(path, None).map_err(unreadable)?.to_string())
}

fn plugin_name(device: XlaDevice) -> PluginName {
    match device {
        XlaDevice::Tpu => PluginName::Tpu,
        XlaDevice::XlaCuda => PluginName::XlaCuda,
        XlaDevice::XlaCpu => PluginName::XlaCpu,
    }
}

/// The path of the plugin for `device`, or why it was not found.
pub(super) fn find_plugin(device: XlaDevice) -> Result<PathBuf, String> {
    let found = preheat_plugins::find(plugin_name(device), &PluginSearch::from_process()).require();
    found.map(|plugin| plugin.path).map_err(|error| error.to_string())
}

/// The devices that were found, and libtorch's session if it was opened to find them.
pub(super) struct Found {
    pub(super) inventory: Inventory,
    pub(super) torch: Option<Torch>,
}

/// Finds the devices that matter to the request. Loading libtorch takes a third of a second, so it
/// is left out if another device is used anyway.
pub(super) fn find_devices(
    request: DeviceRequest,
    stages: StageDevices,
    for_programs: bool,
) -> Found {
    let mut inventory = plugins_of(request.device);
    let for_stages =
        [stages.text_encoder, stages.vae].into_iter().flatten().any(runs_through_libtorch);
    let looks = match request.device {
        DeviceName::Auto if for_programs => false,
        DeviceName::Auto => request.tpu != TpuSwitch::Enabled && !tpu_is_taken(request, &inventory),
        device if runs_through_libtorch(device) => true,
        // Of libtorch's devices, only the CPU can be used in place of a device that is missing.
        _ => !request.strict && !for_programs && inventory.xla_cpu_plugin.is_err(),
    };
    if !looks && !for_stages {
        let why = if for_programs {
            "it runs the graphs of models only"
        } else {
            "it was not looked for"
        };
        inventory.torch = Err(why.to_owned());
        return Found { inventory, torch: None };
    }
    let torch = open_torch();
    inventory.torch = torch.as_ref().map(|torch| torch.devices().to_vec()).map_err(Clone::clone);
    Found { inventory, torch: torch.ok() }
}

fn tpu_is_taken(request: DeviceRequest, inventory: &Inventory) -> bool {
    request.tpu != TpuSwitch::Disabled && inventory.plugin(XlaDevice::Tpu).is_ok()
}

fn runs_through_libtorch(device: DeviceName) -> bool {
    matches!(device, DeviceName::Cuda(_) | DeviceName::Mps | DeviceName::Cpu | DeviceName::Fake(_))
}

/// Opens libtorch, or says why it cannot be used.
fn open_torch() -> Result<Torch, String> {
    Torch::open(&TorchLookup::from_process(), &TorchOptions::default()).map_err(|error| {
        let first = std::error::Error::source(&error);
        let causes = std::iter::successors(first, |cause| cause.source());
        causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
    })
}

/// Finds the plugin for the wanted device, and XLA's CPU plugin, whose device may replace it. For
/// `auto`, all plugins are looked for.
fn plugins_of(wanted: DeviceName) -> Inventory {
    let looks_at = |device: XlaDevice| match wanted {
        DeviceName::Auto => true,
        DeviceName::Tpu => device != XlaDevice::XlaCuda,
        DeviceName::XlaCuda => device != XlaDevice::Tpu,
        _ => device == XlaDevice::XlaCpu,
    };
    let find = |device| {
        if looks_at(device) { find_plugin(device) } else { Err("it was not looked for".to_owned()) }
    };
    Inventory {
        tpu_plugin: find(XlaDevice::Tpu),
        tpu_hardware: tpu_hardware::find(&Surroundings::of_this_machine()),
        tpu_answers_at_once: std::env::var_os("TPU_SKIP_MDS_QUERY")
            .is_some_and(|value| value == "1" || value == "true"),
        xla_cpu_plugin: find(XlaDevice::XlaCpu),
        xla_cuda_plugin: find(XlaDevice::XlaCuda),
        torch: Err("it was not looked for".to_owned()),
        mlx: None,
        system: OperatingSystem::of_this_machine(),
    }
}
