//! Which version of libtorch is installed, and which of its libraries?

use std::fmt;
use std::path::Path;

/// libtorch's version; tch requires exactly this one.
pub(super) const VERSION: &str = "2.11.0";

/// Which of libtorch's libraries are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LibtorchSet {
    /// The libraries for the CPU; on a Mac they include those for Apple's GPU.
    Cpu,
    /// The libraries for the CPU and for NVIDIA's cards.
    Cuda,
}

impl LibtorchSet {
    /// Both sets, the larger one first.
    pub const ALL: [Self; 2] = [Self::Cuda, Self::Cpu];

    /// The set for this machine: with CUDA if the driver of an NVIDIA card is found.
    pub fn for_this_machine() -> Self {
        let has_card = Path::new("/proc/driver/nvidia/version").exists()
            || Path::new("/dev/nvidiactl").exists();
        if has_card || Path::new("/dev/dxg").exists() && wsl_has_cuda() {
            Self::Cuda
        } else {
            Self::Cpu
        }
    }

    pub(super) fn folder_name(self) -> String {
        match self {
            Self::Cpu => format!("{VERSION}-cpu"),
            Self::Cuda => format!("{VERSION}-cuda13"),
        }
    }
}

impl fmt::Display for LibtorchSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cpu => "the CPU",
            Self::Cuda => "CUDA",
        })
    }
}

/// Whether CUDA exists under WSL, where the driver's libraries come from Windows.
fn wsl_has_cuda() -> bool {
    Path::new("/usr/lib/wsl/lib/libcuda.so.1").exists()
}
