//! What the torch library is told and what it tells, as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The environment variable that adds fake devices, as a JSON list of [`FakeDevice`]s.
pub const FAKE_DEVICES_VARIABLE: &str = "PREHEAT_TORCH_FAKE_DEVICES";

/// How a session is opened.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TorchOptions {
    /// How many threads an op may use on the CPU; as many as libtorch likes where it is `None`.
    pub threads: Option<u32>,
    /// Devices that compute on the CPU and are counted and bounded as devices of their own.
    pub fake_devices: Vec<FakeDevice>,
}

/// A device that computes on the CPU, for tests of what is decided over devices: it counts the bytes that rest on it, has a bound if
/// wanted, refuses tensors of other devices as a real one does, and can lack ops.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeDevice {
    /// How many bytes of tensors it holds; a tensor more is "out of memory". No bound where it is `None`.
    pub memory_bytes: Option<u64>,
    /// The ops, by [`crate::graph::Op::name`], that it says it does not implement.
    pub lacks: Vec<String>,
}

/// A device that a session runs graphs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TorchDevice {
    /// Its position in the session's list, by which calls name it.
    pub position: u32,
    /// What it is.
    pub kind: TorchDeviceKind,
    /// Which of that kind, from 0.
    pub index: u32,
    /// Its maker's name for it.
    pub name: String,
    /// Whether it is an AMD card, which torch calls cuda.
    pub rocm: bool,
    /// Its memory, where it is known.
    pub total_bytes: Option<u64>,
    /// What of it was free when the session asked.
    pub free_bytes: Option<u64>,
    /// CUDA's compute capability, major and minor.
    pub compute_capability: Option<[u32; 2]>,
}

/// A kind of device, named as `--device` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TorchDeviceKind {
    /// The host's processor.
    Cpu,
    /// A card of NVIDIA's, or of AMD's under `ROCm`.
    Cuda,
    /// Apple's GPU.
    Mps,
    /// A [`FakeDevice`].
    Fake,
}

impl fmt::Display for TorchDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TorchDeviceKind::Cpu => f.write_str("cpu"),
            TorchDeviceKind::Cuda => write!(f, "cuda:{}", self.index),
            TorchDeviceKind::Mps => f.write_str("mps"),
            TorchDeviceKind::Fake => write!(f, "fake:{}", self.index),
        }
    }
}

/// An op that a device lacks, and that was run on the CPU in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TorchFallback {
    /// The op's name.
    pub op: String,
    /// The device, as [`TorchDevice`] is displayed.
    pub device: String,
    /// How often it ran on the CPU.
    pub count: u64,
    /// What libtorch said the first time.
    pub reason: String,
}
