//! Which options does the torch library take, and what does it report? Both are JSON.

use serde::{Deserialize, Serialize};

/// The environment variable that adds fake devices, as a JSON list of [`FakeDevice`]s.
pub const FAKE_DEVICES_VARIABLE: &str = "PREHEAT_TORCH_FAKE_DEVICES";

/// The options for opening a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TorchOptions {
    /// How many threads an op may use on the CPU; `None` leaves the number to libtorch.
    pub threads: Option<u32>,
    /// Devices that compute on the CPU, each counted and limited as a separate device.
    pub fake_devices: Vec<FakeDevice>,
}

/// A device that computes on the CPU, for tests of decisions about devices. It counts the bytes of
/// its tensors, can have a limit for them, refuses tensors of other devices as a real device does,
/// and can lack ops.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeDevice {
    /// How many bytes of tensors it can hold; a tensor that takes more fails as "out of memory".
    /// `None` means no limit.
    pub memory_bytes: Option<u64>,
    /// The ops that it claims not to implement, by `Op::name` of `preheat-ir`.
    pub lacks: Vec<String>,
}

/// An op that a device lacks, so that it ran on the CPU instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TorchFallback {
    /// The op's name.
    pub op: String,
    /// The device, in the form in which [`TorchDevice`](crate::TorchDevice) is displayed.
    pub device: String,
    /// How often it ran on the CPU.
    pub count: u64,
    /// The error that libtorch reported the first time.
    pub reason: String,
}
