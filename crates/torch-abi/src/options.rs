//! What the torch library is told and what it tells, as JSON.

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

/// A device that computes on the CPU, for tests of what is decided over devices: it counts the
/// bytes that rest on it, has a bound if wanted, refuses tensors of other devices as a real one
/// does, and can lack ops.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeDevice {
    /// How many bytes of tensors it holds; a tensor more is "out of memory". No bound where it is
    /// `None`.
    pub memory_bytes: Option<u64>,
    /// The ops, by `Op::name` of `preheat-ir`, that it says it does not implement.
    pub lacks: Vec<String>,
}

/// An op that a device lacks, and that was run on the CPU in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TorchFallback {
    /// The op's name.
    pub op: String,
    /// The device, as [`TorchDevice`](crate::TorchDevice) is displayed.
    pub device: String,
    /// How often it ran on the CPU.
    pub count: u64,
    /// What libtorch said the first time.
    pub reason: String,
}
