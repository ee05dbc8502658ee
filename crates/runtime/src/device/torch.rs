//! What is known of libtorch's devices beyond what they say of themselves.

use std::fmt;

use preheat_torch_abi::{TorchDevice, TorchId};

/// A device of libtorch without its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Cuda,
    Mps,
    Cpu,
    Fake,
}

impl Family {
    pub(super) fn of(device: &TorchDevice) -> Self {
        match device.id {
            TorchId::Cuda(_) => Self::Cuda,
            TorchId::Mps => Self::Mps,
            TorchId::Cpu => Self::Cpu,
            TorchId::Fake(_) => Self::Fake,
        }
    }
}

/// Whether a card computes bfloat16 itself.
///
/// NVIDIA's do from compute capability 8.0 (Ampere); below it libtorch emulates. AMD's do on CDNA 2
/// and 3 and from RDNA 3, which ROCm numbers 9.x and from 11.0; RDNA 1 and 2 are 10.x. A card that
/// tells nothing is taken for a recent one.
pub(super) fn computes_bfloat16(card: &TorchDevice) -> bool {
    match card.compute_capability {
        Some((major, _)) if card.rocm => major == 9 || major >= 11,
        Some((major, _)) => major >= 8,
        None => true,
    }
}

/// Whether float16 gives pictures that are black on this card, whatever is computed in float32
/// around it.
///
/// NVIDIA's GTX 16 cards return NaN from float16 convolutions (pytorch/pytorch#58123,
/// huggingface/diffusers#2153).
pub(super) fn breaks_in_float16(card: &TorchDevice) -> bool {
    !card.rocm && card.name.contains("GTX 16")
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
