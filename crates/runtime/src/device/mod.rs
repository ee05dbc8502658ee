//! Which device, dtype, place and batch does each part of a run get?
//!
//! These are pure decisions over described hardware, so that every case can be tested on any
//! machine; nothing here runs on a device. docs/devices.md has the decisions as tables.
//!
//! | question | answered in |
//! |---|---|
//! | which device | `choose.rs`, from an [`Inventory`] |
//! | which dtype | `precision.rs`, one table over device, precision and stage |
//! | how much memory a stage takes | `estimate.rs`, from the graph's own shapes |
//! | what is offloaded, and where each tensor goes | `offload.rs`, `placement.rs` |
//! | which tensors an execution gets | `arguments.rs` |
//! | what is tried after memory ran out | `fallback.rs` |
//! | how many pictures at once | `batch.rs` |

pub mod arguments;
pub mod batch;
mod choose;
pub mod estimate;
pub mod fallback;
pub mod offload;
pub mod placement;
mod precision;
pub(crate) mod target;
mod torch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use choose::{StageChoices, StageDevices, choose, choose_for_stages, in_short};
pub use precision::{
    Arithmetic, ParsePrecisionError, Precision, Precisions, StageDtype, StageKind, carried,
};
pub use preheat_torch_abi::{TorchDevice, TorchId};
pub use target::{Target, TargetError};
pub use torch::OperatingSystem;

use crate::Warning;

/// A device as the user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceName {
    /// The best device of the machine: tpu, cuda, mps or cpu, in this order (on a Mac, mps before
    /// cuda); xla-cpu if libtorch cannot be used.
    #[default]
    Auto,
    /// A TPU, through libtpu.
    Tpu,
    /// A CUDA card through libtorch, by index; `cuda` alone is index 0. ROCm's cards have this
    /// name, too, as in libtorch.
    Cuda(u32),
    /// Apple's GPU through libtorch.
    Mps,
    /// The CPU through libtorch.
    Cpu,
    /// The CPU through XLA.
    XlaCpu,
    /// A CUDA card through XLA.
    XlaCuda,
    /// A pretended device of libtorch: `PREHEAT_TORCH_FAKE_DEVICES` adds such devices for tests.
    Fake(u32),
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
            Self::Fake(index) => write!(f, "fake:{index}"),
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
            "mlx" => return Err(DeviceError::Mlx),
            other => {
                let numbered = |kind: &str| other.strip_prefix(kind)?.parse().ok();
                let named =
                    numbered("cuda:").map(Self::Cuda).or_else(|| numbered("fake:").map(Self::Fake));
                named.ok_or_else(|| DeviceError::UnknownName { name: other.to_owned() })?
            }
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
    /// Every device that this release can run compiled graphs on.
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

impl From<XlaDevice> for DeviceName {
    fn from(device: XlaDevice) -> Self {
        match device {
            XlaDevice::Tpu => Self::Tpu,
            XlaDevice::XlaCuda => Self::XlaCuda,
            XlaDevice::XlaCpu => Self::XlaCpu,
        }
    }
}

impl From<TorchId> for DeviceName {
    fn from(id: TorchId) -> Self {
        match id {
            TorchId::Cuda(index) => Self::Cuda(index),
            TorchId::Mps => Self::Mps,
            TorchId::Cpu => Self::Cpu,
            TorchId::Fake(index) => Self::Fake(index),
        }
    }
}

/// Whether the TPU is forced on, forced off, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TpuSwitch {
    /// Neither was asked for.
    #[default]
    Unset,
    /// The run uses a TPU or fails.
    Enabled,
    /// The run never uses a TPU.
    Disabled,
}

/// The device that was asked for, and how strictly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceRequest {
    /// The device, or [`DeviceName::Auto`].
    pub device: DeviceName,
    /// Whether the run fails if the device cannot be used, instead of warning and using the CPU.
    pub strict: bool,
    /// Whether the TPU is forced on or off.
    pub tpu: TpuSwitch,
}

/// The devices that were found on this machine. No PJRT plugin is loaded to find them.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The path of libtpu, or why it was not found.
    pub tpu_plugin: Result<PathBuf, String>,
    /// A description of the TPU that is attached, or of the places where one was looked for.
    pub tpu_hardware: Result<String, String>,
    /// Whether `TPU_SKIP_MDS_QUERY` is `1` or `true`. libtpu then does not query the metadata
    /// server, and is asked for a TPU even if `tpu_hardware` found none.
    pub tpu_answers_at_once: bool,
    /// The path of XLA's CPU plugin, or why it was not found.
    pub xla_cpu_plugin: Result<PathBuf, String>,
    /// The path of XLA's CUDA plugin, or why it was not found.
    pub xla_cuda_plugin: Result<PathBuf, String>,
    /// The devices that libtorch offers, in its order, or why it cannot be used.
    pub torch: Result<Vec<TorchDevice>, String>,
    /// Where MLX was found, if it was. It is reported, never chosen.
    pub mlx: Option<String>,
    /// The operating system of this machine.
    pub system: OperatingSystem,
}

impl Inventory {
    /// The inventory in which one file serves as every plugin, for a caller who names the file.
    pub fn of_one_plugin(path: &Path) -> Self {
        Self {
            tpu_plugin: Ok(path.to_owned()),
            tpu_hardware: Ok("named by its plugin".to_owned()),
            tpu_answers_at_once: true,
            xla_cpu_plugin: Ok(path.to_owned()),
            xla_cuda_plugin: Ok(path.to_owned()),
            torch: Err("a PJRT plugin was named, which does not use libtorch".to_owned()),
            mlx: None,
            system: OperatingSystem::of_this_machine(),
        }
    }

    /// The plugin that drives `device`, or the reason why `device` cannot be used.
    pub fn plugin(&self, device: XlaDevice) -> Result<&Path, String> {
        let plugin = match device {
            XlaDevice::Tpu => &self.tpu_plugin,
            XlaDevice::XlaCuda => &self.xla_cuda_plugin,
            XlaDevice::XlaCpu => &self.xla_cpu_plugin,
        };
        let path = plugin.as_deref().map_err(Clone::clone)?;
        // On a machine without a TPU, libtpu queries a metadata server that does not exist, 30
        // times for each variable, and seems to hang for minutes.
        if device == XlaDevice::Tpu && !self.tpu_answers_at_once {
            self.tpu_hardware.as_ref().map_err(Clone::clone)?;
        }
        Ok(path)
    }
}

/// A device that a run can go to, and what drives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    /// A device that runs compiled graphs, through PJRT.
    Xla {
        /// The device.
        device: XlaDevice,
        /// The plugin that drives it.
        plugin: PathBuf,
    },
    /// A device that runs libtorch's operations one by one.
    Torch(TorchDevice),
}

impl Selected {
    /// The device, if it runs compiled graphs.
    pub fn xla(&self) -> Option<XlaDevice> {
        match self {
            Self::Xla { device, .. } => Some(*device),
            Self::Torch(_) => None,
        }
    }

    /// The device, if it runs through libtorch.
    pub fn torch(&self) -> Option<&TorchDevice> {
        match self {
            Self::Torch(device) => Some(device),
            Self::Xla { .. } => None,
        }
    }
}

impl fmt::Display for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xla { device, .. } => device.fmt(f),
            Self::Torch(device) => device.id.fmt(f),
        }
    }
}

/// The device that a run goes to, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceChoice {
    /// The device that was asked for.
    pub requested: DeviceName,
    /// The device that was chosen.
    pub selected: Selected,
    /// Why, in a phrase.
    pub reason: String,
    /// What the user should know: that the device that was asked for cannot be used.
    pub warnings: Vec<Warning>,
}

/// Why a TPU is not used under [`TpuSwitch::Disabled`].
const SWITCHED_OFF: &str = "the use of TPUs is switched off";

/// Why no device could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// preheat knows no device of this name.
    #[error(
        "unknown device `{name}`: it is one of auto, tpu, cuda, cuda:N, mps, cpu, xla-cpu, xla-cuda"
    )]
    UnknownName {
        /// What was given.
        name: String,
    },
    /// MLX was asked for.
    #[error(
        "device `mlx` cannot be chosen: MLX is a framework of its own, and no graph of preheat runs on it; mps drives the same GPU"
    )]
    Mlx,
    /// The device runs through libtorch, which cannot be used.
    #[error(
        "device `{device}` runs through libtorch, which cannot be used: {why}\nxla-cpu, xla-cuda and tpu do without it"
    )]
    NoTorch {
        /// The device that was asked for.
        device: DeviceName,
        /// Why libtorch cannot be used.
        why: String,
    },
    /// The device of one stage cannot be combined with the device of the others.
    #[error(
        "device `{device}` of {stage} does not go with `{others}`, on which the other stages run: \
         {why}"
    )]
    Stage {
        /// The stage: `the text encoders` or `the VAE`.
        stage: &'static str,
        /// The device that was asked for.
        device: DeviceName,
        /// The device of the other stages.
        others: String,
        /// Why.
        why: &'static str,
    },
    /// The device that was asked for cannot be used, and no other may replace it.
    #[error("device `{device}` cannot be used: {why}")]
    Unavailable {
        /// The device that was asked for.
        device: DeviceName,
        /// Why, and what to do.
        why: String,
    },
    /// A TPU was required ([`TpuSwitch::Enabled`]), and another device was named.
    #[error("a TPU is required, but device `{device}` is asked for, which is not a TPU")]
    Contradiction {
        /// The device that was named.
        device: DeviceName,
    },
    /// The TPU was named, and the use of TPUs is switched off ([`TpuSwitch::Disabled`]).
    #[error("device `tpu` cannot be used: {SWITCHED_OFF}")]
    TpuSwitchedOff,
    /// This machine has no device that can be used.
    #[error("no device can be used: {why}")]
    None {
        /// What each device lacks, and what to do.
        why: String,
    },
}

#[cfg(test)]
mod tests;
