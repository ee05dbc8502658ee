//! Which devices does libtorch have, and what is known of each?

use std::fmt;

use preheat_io::printable::byte_count;
use serde::{Deserialize, Serialize};

/// A device of libtorch, by its kind and libtorch's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TorchId {
    /// A graphics card of NVIDIA or, under ROCm, of AMD.
    Cuda(u32),
    /// Apple's GPU.
    Mps,
    /// The CPU.
    Cpu,
    /// A device for tests that computes on the CPU, and that is counted and limited as a separate
    /// device ([`FakeDevice`](crate::FakeDevice)).
    Fake(u32),
}

impl fmt::Display for TorchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Mps => f.write_str("mps"),
            Self::Cpu => f.write_str("cpu"),
            Self::Fake(index) => write!(f, "fake:{index}"),
        }
    }
}

/// A device of libtorch, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TorchDevice {
    /// Its position in libtorch's list, by which calls name the device.
    pub position: u32,
    /// Its kind and number.
    pub id: TorchId,
    /// The name that it reports, such as `NVIDIA GeForce RTX 3060`.
    pub name: String,
    /// Its memory in bytes. On mps and the CPU this is the machine's memory, which everything else
    /// shares.
    pub total_bytes: Option<u64>,
    /// How many of those bytes are free.
    pub free_bytes: Option<u64>,
    /// The compute capability (major, minor) of a graphics card; `None` for other devices.
    pub compute_capability: Option<(u32, u32)>,
    /// Whether libtorch reaches it through ROCm.
    pub rocm: bool,
    /// The reason why the device exists but cannot be used, such as a card that is too old for the
    /// kernels of this libtorch.
    pub problem: Option<String>,
}

impl fmt::Display for TorchDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl TorchDevice {
    /// Whether no problem of it is known.
    pub fn is_usable(&self) -> bool {
        self.problem.is_none()
    }

    /// Its id and its name, such as `cuda:1 (NVIDIA GeForce RTX 3060, 12.0 GiB)`; a device that is
    /// reached through ROCm is marked as such.
    pub fn label(&self) -> String {
        let rocm = self.rocm.then(|| "ROCm".to_owned());
        let known = [Some(self.name.clone()), rocm, self.total_bytes.map(byte_count)];
        let known: Vec<String> = known.into_iter().flatten().collect();
        format!("{} ({})", self.id, known.join(", "))
    }
}
