//! Which device a run goes to: a pure decision over what was found, so that every case can be tested on any machine.

pub(crate) mod target;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use target::{Target, TargetError};

/// A device as the user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceName {
    /// The best that is there: tpu, cuda, mps, cpu, and xla-cpu where the torch library is not installed.
    #[default]
    Auto,
    /// A TPU, through libtpu.
    Tpu,
    /// A CUDA card through libtorch, by index.
    Cuda(u32),
    /// Apple's GPU through libtorch.
    Mps,
    /// The CPU through libtorch.
    Cpu,
    /// The CPU through XLA.
    XlaCpu,
    /// A CUDA card through XLA.
    XlaCuda,
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Tpu => f.write_str("tpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Mps => f.write_str("mps"),
            Self::Cpu => f.write_str("cpu"),
            Self::XlaCpu => f.write_str("xla-cpu"),
            Self::XlaCuda => f.write_str("xla-cuda"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        Ok(match text {
            "auto" => Self::Auto,
            "tpu" => Self::Tpu,
            "cuda" => Self::Cuda(0),
            "mps" => Self::Mps,
            "cpu" => Self::Cpu,
            "xla-cpu" => Self::XlaCpu,
            "xla-cuda" => Self::XlaCuda,
            other => match other.strip_prefix("cuda:").and_then(|index| index.parse().ok()) {
                Some(index) => Self::Cuda(index),
                None => return Err(DeviceError::UnknownName { name: other.to_owned() }),
            },
        })
    }
}

/// A device that runs compiled graphs through PJRT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum XlaDevice {
    /// A TPU, through libtpu.
    Tpu,
    /// A CUDA card, through XLA's plugin for it.
    XlaCuda,
    /// The CPU, through XLA's plugin for it.
    XlaCpu,
}

impl XlaDevice {
    /// Every device that this release can run on, in the order in which `auto` prefers them.
    pub const ALL: [Self; 3] = [Self::Tpu, Self::XlaCuda, Self::XlaCpu];

    /// The name on the command line and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tpu => "tpu",
            Self::XlaCuda => "xla-cuda",
            Self::XlaCpu => "xla-cpu",
        }
    }
}

impl fmt::Display for XlaDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the TPU backend is forced on, off, or neither (`--tpu-enable`, `--tpu-disable`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TpuSwitch {
    /// Neither flag was given.
    #[default]
    Unset,
    /// `--tpu-enable`: a TPU, or an error.
    Enabled,
    /// `--tpu-disable`: never a TPU.
    Disabled,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request {
    /// `--device`.
    pub device: DeviceName,
    /// `--strict-device`: an unavailable device is an error rather than a warning and the CPU.
    pub strict: bool,
    /// `--tpu-enable` or `--tpu-disable`.
    pub tpu: TpuSwitch,
}

/// What this machine has, as found; nothing is loaded to find it.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// Where libtpu is, or why it is nowhere.
    pub tpu_plugin: Result<PathBuf, String>,
    /// The TPU that is attached, in words; or where it was looked for.
    pub tpu_hardware: Result<String, String>,
    /// Whether `TPU_SKIP_MDS_QUERY` is set, in which case libtpu answers at once on a machine without a TPU.
    pub tpu_answers_at_once: bool,
    /// Where XLA's CPU plugin is, or why it is nowhere.
    pub xla_cpu_plugin: Result<PathBuf, String>,
    /// Where XLA's CUDA plugin is, or why it is nowhere.
    pub xla_cuda_plugin: Result<PathBuf, String>,
}

impl Inventory {
    /// The inventory in which one file is every plugin: for a caller who names the file.
    pub fn of_one_plugin(path: &Path) -> Self {
        Self {
            tpu_plugin: Ok(path.to_owned()),
            tpu_hardware: Ok("named by its plugin".to_owned()),
            tpu_answers_at_once: true,
            xla_cpu_plugin: Ok(path.to_owned()),
            xla_cuda_plugin: Ok(path.to_owned()),
        }
    }

    /// The plugin that drives `device`, or why `device` cannot be used, in words.
    pub fn plugin(&self, device: XlaDevice) -> Result<&Path, String> {
        let plugin = match device {
            XlaDevice::Tpu => &self.tpu_plugin,
            XlaDevice::XlaCuda => &self.xla_cuda_plugin,
            XlaDevice::XlaCpu => &self.xla_cpu_plugin,
        };
        let path = plugin.as_deref().map_err(Clone::clone)?;
        // Without a TPU libtpu asks a metadata server that is not there, 30 times per variable, and looks hung for minutes.
        if device == XlaDevice::Tpu && !self.tpu_answers_at_once {
            self.tpu_hardware.as_ref().map_err(Clone::clone)?;
        }
        Ok(path)
    }
}

/// The device that a run goes to, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What was asked for.
    pub requested: DeviceName,
    /// What was chosen.
    pub selected: XlaDevice,
    /// The plugin that drives it.
    pub plugin: PathBuf,
    /// Why, in a phrase.
    pub reason: String,
    /// What the user should know: the device that was asked for could not be had.
    pub warnings: Vec<String>,
}

/// Why no device could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The name is none that preheat knows.
    #[error("unknown device `{name}`: it is one of auto, tpu, cuda, cuda:N, mps, cpu, xla-cpu, xla-cuda")]
    UnknownName {
        /// What was given.
        name: String,
    },
    /// The device runs through libtorch, which this release does not do yet.
    #[error(
        "device `{device}` runs through libtorch, and that backend is not built into this release: use xla-cpu, xla-cuda or tpu"
    )]
    NotBuiltIn {
        /// The device that was asked for.
        device: DeviceName,
    },
    /// The device that was asked for cannot be used, and nothing may stand in for it.
    #[error("device `{device}` cannot be used: {why}")]
    Unavailable {
        /// The device that was asked for.
        device: DeviceName,
        /// Why, and what to do.
        why: String,
    },
    /// `--tpu-enable` and a flag that rules the TPU out.
    #[error("--tpu-enable and {other} contradict each other: give one of them")]
    Contradiction {
        /// The other flag.
        other: String,
    },
    /// No device at all can be used.
    #[error("no device can be used: {why}")]
    None {
        /// What is missing, device by device, and what to do.
        why: String,
    },
}

/// Chooses the device for `request` among what `inventory` has.
///
/// # Errors
/// Where a name cannot be served and nothing may stand in for it, or where nothing at all is there.
pub fn choose(request: Request, inventory: &Inventory) -> Result<Choice, DeviceError> {
    let requested = request.device;
    match (request.tpu, requested) {
        (TpuSwitch::Enabled, DeviceName::Auto | DeviceName::Tpu) => {
            return match inventory.plugin(XlaDevice::Tpu) {
                Ok(path) => Ok(chosen(requested, XlaDevice::Tpu, path, "--tpu-enable")),
                Err(why) => Err(DeviceError::Unavailable { device: DeviceName::Tpu, why }),
            };
        }
        (TpuSwitch::Enabled, other) => return Err(DeviceError::Contradiction { other: format!("--device {other}") }),
        (TpuSwitch::Disabled, DeviceName::Tpu) => {
            return Err(DeviceError::Unavailable { device: requested, why: "--tpu-disable rules it out".to_owned() });
        }
        _ => {}
    }
    match requested {
        DeviceName::Auto => automatic(request, inventory),
        DeviceName::Tpu => named(request, XlaDevice::Tpu, inventory),
        DeviceName::XlaCpu => named(request, XlaDevice::XlaCpu, inventory),
        DeviceName::XlaCuda => named(request, XlaDevice::XlaCuda, inventory),
        DeviceName::Cuda(_) | DeviceName::Mps | DeviceName::Cpu => Err(DeviceError::NotBuiltIn { device: requested }),
    }
}

fn chosen(requested: DeviceName, selected: XlaDevice, plugin: &Path, reason: &str) -> Choice {
    Choice { requested, selected, plugin: plugin.to_owned(), reason: reason.to_owned(), warnings: Vec::new() }
}

/// tpu, then xla-cpu. xla-cuda is never chosen on its own: a CUDA card is to run through libtorch.
fn automatic(request: Request, inventory: &Inventory) -> Result<Choice, DeviceError> {
    let tpu = match request.tpu {
        TpuSwitch::Disabled => Err("--tpu-disable rules it out".to_owned()),
        TpuSwitch::Unset | TpuSwitch::Enabled => inventory.plugin(XlaDevice::Tpu),
    };
    let no_tpu = match tpu {
        Ok(path) => return Ok(chosen(request.device, XlaDevice::Tpu, path, "auto: a TPU and libtpu are there")),
        Err(why) => why,
    };
    match inventory.plugin(XlaDevice::XlaCpu) {
        Ok(path) => {
            let first_line = no_tpu.lines().next().unwrap_or_default();
            let reason = format!("auto: no tpu ({first_line}), and the torch backend is not built in");
            Ok(chosen(request.device, XlaDevice::XlaCpu, path, &reason))
        }
        Err(why) => Err(DeviceError::None { why: format!("xla-cpu: {why}; tpu: {no_tpu}") }),
    }
}

fn named(request: Request, device: XlaDevice, inventory: &Inventory) -> Result<Choice, DeviceError> {
    let why = match inventory.plugin(device) {
        Ok(path) => return Ok(chosen(request.device, device, path, "named by --device or PREHEAT_DEVICE")),
        Err(why) => why,
    };
    let stand_in = inventory.plugin(XlaDevice::XlaCpu).ok().filter(|_| device != XlaDevice::XlaCpu && !request.strict);
    let Some(path) = stand_in else { return Err(DeviceError::Unavailable { device: request.device, why }) };
    let warning = format!(
        "device `{device}` cannot be used, running on xla-cpu instead: {why} (--strict-device makes this an error)"
    );
    let reason = format!("{device} cannot be used, xla-cpu stands in");
    Ok(Choice { warnings: vec![warning], ..chosen(request.device, XlaDevice::XlaCpu, path, &reason) })
}

#[cfg(test)]
mod tests;
