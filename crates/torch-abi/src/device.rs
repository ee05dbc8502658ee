//! Which devices does libtorch have, and what is known of each?

use std::fmt;

use preheat_io::printable::byte_count;
use serde::{Deserialize, Serialize};

/// Which device of libtorch, as it numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TorchId {
    /// A card, NVIDIA's or, under ROCm, AMD's.
    Cuda(u32),
    /// Apple's GPU.
    Mps,
    /// The CPU.
    Cpu,
    /// A device that computes on the CPU and is counted and bounded as one of its own, for tests
    /// ([`FakeDevice`](crate::FakeDevice)).
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

/// A device of libtorch, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TorchDevice {
    /// Its position in libtorch's list, by which calls name it.
    pub position: u32,
    /// Which one.
    pub id: TorchId,
    /// What it calls itself, such as `NVIDIA GeForce RTX 3060`.
    pub name: String,
    /// Its memory in bytes: on mps and the CPU the machine's, which is shared with everything else.
    pub total_bytes: Option<u64>,
    /// What of it is free.
    pub free_bytes: Option<u64>,
    /// Major and minor: of a card.
    pub compute_capability: Option<(u32, u32)>,
    /// Whether libtorch reaches it through ROCm.
    pub rocm: bool,
    /// Why it cannot be used although it is there, such as a card that is older than the kernels of
    /// this libtorch.
    pub problem: Option<String>,
}

impl fmt::Display for TorchDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl TorchDevice {
    /// Whether nothing is known against it.
    pub fn is_usable(&self) -> bool {
        self.problem.is_none()
    }

    /// Its name with what it is, such as `cuda:1 (NVIDIA GeForce RTX 3060, 12.0 GiB)`; what runs
    /// through ROCm says so.
    pub fn label(&self) -> String {
        let rocm = self.rocm.then(|| "ROCm".to_owned());
        let known = [Some(self.name.clone()), rocm, self.total_bytes.map(byte_count)];
        let known: Vec<String> = known.into_iter().flatten().collect();
        format!("{} ({})", self.id, known.join(", "))
    }
}
