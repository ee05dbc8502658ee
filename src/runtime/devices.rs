//! What this machine has: finds plugins and device files, and describes each device for `preheat devices`.

use std::path::{Path, PathBuf};

use preheat_cache::{Notes, PluginBuild};
use serde::Serialize;

use crate::backend::BackendError;
use crate::backend::xla::XlaBackend;
use crate::device::{DeviceName, Inventory, XlaDevice};
use crate::plugins::{self, Lookup, PluginName};

/// One device of this machine, as `preheat devices` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceInfo {
    /// Its name on the command line.
    pub name: String,
    /// What the hardware calls itself, where it can be asked.
    pub kind: Option<String>,
    /// Whether it can be used.
    pub available: bool,
    /// Why it can or cannot be used.
    pub reason: String,
    /// The plugin that drives it.
    pub plugin: Option<PathBuf>,
    /// The version that the plugin reports.
    pub platform_version: Option<String>,
    /// Kind, bounds and number of cores.
    pub topology: Option<String>,
    /// The device's memory in bytes, as the plugin tells it; never the host's.
    pub memory_total_bytes: Option<u64>,
    /// What of it is free.
    pub memory_free_bytes: Option<u64>,
    /// What `--precision auto` means on it.
    pub default_dtype: &'static str,
}

/// Describes every device, those that cannot be used too, with the reason.
pub fn describe_devices() -> Vec<DeviceInfo> {
    let everything = inventory(DeviceName::Auto);
    let mut devices: Vec<_> = XlaDevice::ALL.into_iter().map(|device| describe(device, &everything)).collect();
    devices.extend(["cuda", "mps", "cpu"].map(|name| DeviceInfo {
        reason: "runs through libtorch, and that backend is not built into this release".to_owned(),
        ..blank(name, if name == "cpu" { "float32" } else { "bfloat16" })
    }));
    devices
}

fn blank(name: &str, default_dtype: &'static str) -> DeviceInfo {
    DeviceInfo {
        name: name.to_owned(),
        kind: None,
        available: false,
        reason: String::new(),
        plugin: None,
        platform_version: None,
        topology: None,
        memory_total_bytes: None,
        memory_free_bytes: None,
        default_dtype,
    }
}

fn describe(device: XlaDevice, everything: &Inventory) -> DeviceInfo {
    let default_dtype = if device == XlaDevice::XlaCpu { "float32" } else { "bfloat16" };
    let info = blank(device.as_str(), default_dtype);
    let path = match everything.plugin(device) {
        Ok(path) => path,
        Err(reason) => return DeviceInfo { reason, ..info },
    };
    let info = DeviceInfo { plugin: Some(path.to_owned()), ..info };
    match XlaBackend::open(device, path, || identify(path)) {
        Ok(backend) => {
            let memory = backend.device.memory_stats().ok().flatten();
            let used = memory.as_ref().map(|memory| memory.bytes_in_use);
            let total = memory.as_ref().and_then(|memory| memory.bytes_limit);
            DeviceInfo {
                kind: Some(backend.environment.device_kind.clone()),
                available: true,
                reason: "its plugin loads and offers a device".to_owned(),
                platform_version: Some(backend.environment.platform_version.clone()),
                topology: Some(backend.environment.topology.to_string()),
                memory_total_bytes: total.and_then(|bytes| u64::try_from(bytes).ok()),
                memory_free_bytes: total.zip(used).and_then(|(total, used)| u64::try_from(total - used).ok()),
                ..info
            }
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            DeviceInfo { reason: format!("{error}{cause}"), ..info }
        }
    }
}

/// The identity of a plugin's build, remembered nowhere: there may be no cache.
fn identify(path: &Path) -> Result<String, BackendError> {
    let unreadable = |cause| BackendError::Identity { path: path.to_owned(), cause };
    Ok(PluginBuild::of(path, Notes::None).map_err(unreadable)?.to_string())
}

/// Where the plugin of `device` is, or why it is nowhere.
pub(super) fn find_plugin(device: XlaDevice) -> Result<PathBuf, String> {
    let name = match device {
        XlaDevice::Tpu => PluginName::Tpu,
        XlaDevice::XlaCuda => PluginName::XlaCuda,
        XlaDevice::XlaCpu => PluginName::XlaCpu,
    };
    let found = plugins::find(name, &Lookup::from_process()).require();
    found.map(|plugin| plugin.path).map_err(|error| error.to_string())
}

/// What is there, as far as `wanted` makes it worth looking.
pub(super) fn inventory(wanted: DeviceName) -> Inventory {
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
        tpu_device_files: tpu_device_files(Path::new("/dev")),
        tpu_answers_at_once: std::env::var_os("TPU_SKIP_MDS_QUERY")
            .is_some_and(|value| value == "1" || value == "true"),
        xla_cpu_plugin: find(XlaDevice::XlaCpu),
        xla_cuda_plugin: find(XlaDevice::XlaCuda),
    }
}

/// The files under which Linux offers TPU chips: `accel0`, ... of the older driver, the numbered groups of vfio of the newer.
fn tpu_device_files(dev: &Path) -> Vec<PathBuf> {
    let numbered = |folder: &Path, prefix: &str| {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        entries
            .flatten()
            .filter(|entry| {
                let name = entry.file_name();
                let digits = name.to_str().and_then(|name| name.strip_prefix(prefix));
                digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
            })
            .map(|entry| entry.path())
            .collect()
    };
    let mut files: Vec<PathBuf> = numbered(dev, "accel");
    files.extend(numbered(&dev.join("vfio"), ""));
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_both_drivers_are_found_and_others_are_not() {
        let dev = tempfile::tempdir().unwrap();
        std::fs::create_dir(dev.path().join("vfio")).unwrap();
        for name in ["accel0", "accel12", "accel", "accelx", "vfio/0", "vfio/vfio"] {
            std::fs::write(dev.path().join(name), "").unwrap();
        }
        let found = tpu_device_files(dev.path());
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(dev.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["accel0", "accel12", "vfio/0"]);
        assert!(tpu_device_files(&dev.path().join("none")).is_empty());
    }
}
