//! What libtorch offers, described.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::words::bytes;

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
    /// ([`FakeDevice`](crate::backend::torch::FakeDevice)).
    Fake(u32),
}

impl TorchId {
    pub(super) fn backend(self) -> Backend {
        match self {
            Self::Cuda(_) => Backend::Cuda,
            Self::Mps => Backend::Mps,
            Self::Cpu => Backend::Cpu,
            Self::Fake(_) => Backend::Fake,
        }
    }
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

/// A device of libtorch without its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    Cuda,
    Mps,
    Cpu,
    Fake,
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
    /// Why it cannot be used although it is there, such as a card that is older than the kernels of this libtorch.
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

    /// Its name with what it is, such as `cuda:1 (NVIDIA GeForce RTX 3060, 12.0 GiB)`; what runs through ROCm says so.
    pub fn label(&self) -> String {
        let rocm = self.rocm.then(|| "ROCm".to_owned());
        let known = [Some(self.name.clone()), rocm, self.total_bytes.map(bytes)];
        let known: Vec<String> = known.into_iter().flatten().collect();
        format!("{} ({})", self.id, known.join(", "))
    }

    /// Whether a card computes bfloat16 itself.
    ///
    /// NVIDIA's do from compute capability 8.0 (Ampere); below it libtorch emulates. AMD's do on CDNA 2 and 3 and from RDNA 3,
    /// which ROCm numbers 9.x and from 11.0; RDNA 1 and 2 are 10.x. A card that tells nothing is taken for a recent one.
    pub(super) fn computes_bfloat16(&self) -> bool {
        match self.compute_capability {
            Some((major, _)) if self.rocm => major == 9 || major >= 11,
            Some((major, _)) => major >= 8,
            None => true,
        }
    }

    /// Whether float16 gives pictures that are black on this card, whatever is computed in float32 around it.
    ///
    /// NVIDIA's GTX 16 cards return NaN from float16 convolutions (pytorch/pytorch#58123, huggingface/diffusers#2153).
    pub(super) fn breaks_in_float16(&self) -> bool {
        !self.rocm && self.name.contains("GTX 16")
    }
}

/// What a machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatingSystem {
    /// Linux, WSL2 among it.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
    /// Something else.
    Other,
}

impl OperatingSystem {
    /// What this program was built for.
    pub fn of_this_machine() -> Self {
        match std::env::consts::OS {
            "linux" => Self::Linux,
            "macos" => Self::MacOs,
            "windows" => Self::Windows,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for OperatingSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linux => "Linux",
            Self::MacOs => "macOS",
            Self::Windows => "Windows",
            Self::Other => "another system",
        })
    }
}
