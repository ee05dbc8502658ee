//! Which facts about libtorch's devices are known, although the devices do not report them?

use std::fmt;

use preheat_torch_abi::{TorchDevice, TorchId};

/// The kind of a device of libtorch, without its index.
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

/// Whether a card's hardware computes bfloat16.
///
/// NVIDIA's cards do from compute capability 8.0 (Ampere) on; on older cards libtorch emulates it.
/// AMD's cards do on CDNA 2 and 3 and from RDNA 3 on, which ROCm numbers 9.x and 11.0 upwards; RDNA
/// 1 and 2 are 10.x. A card that does not report a number is assumed to be a recent one.
pub(super) fn computes_bfloat16(card: &TorchDevice) -> bool {
    match card.compute_capability {
        Some((major, _)) if card.rocm => major == 9 || major >= 11,
        Some((major, _)) => major >= 8,
        None => true,
    }
}

/// Whether convolutions in float16 make pictures black on this card, even if all other ops compute
/// in float32.
///
/// NVIDIA's GTX 16 cards return NaN from float16 convolutions (pytorch/pytorch#58123,
/// huggingface/diffusers#2153).
pub(super) fn breaks_in_float16(card: &TorchDevice) -> bool {
    !card.rocm && card.name.contains("GTX 16")
}

/// An operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatingSystem {
    /// Linux, including WSL2.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
    /// Another system.
    Other,
}

impl OperatingSystem {
    /// The system that this program was built for.
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
