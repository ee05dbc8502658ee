//! How much memory was in use at most, and whose memory is it?

use serde::{Deserialize, Serialize};

use super::Runtime;
use crate::backend::xla::peak_resident_bytes;
use crate::device::DeviceName;

/// The most memory that was in use at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PeakMemory {
    /// The amount, in bytes.
    pub bytes: u64,
    /// Whose memory it is.
    pub of: MemoryOf,
}

/// Whose memory a figure describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryOf {
    /// The device's own, as its plugin or libtorch's allocator counts it.
    Device,
    /// This process's resident memory: weights, results, libraries, and the pages of the model's
    /// files that were read.
    Process,
}

impl Runtime {
    /// The most memory that was in use at once so far. It is the device's if the device has memory
    /// of its own and reports it, or else this process's. `None` if neither is reported.
    pub fn peak_memory(&self) -> Option<PeakMemory> {
        let of_device =
            || self.inner.site.here().ok()?.memory_use()?.peak.filter(|&bytes| bytes > 0);
        let is_host = matches!(self.device_name(), DeviceName::Cpu | DeviceName::XlaCpu);
        match if is_host { None } else { of_device() } {
            Some(bytes) => Some(PeakMemory { bytes, of: MemoryOf::Device }),
            None => Some(PeakMemory { bytes: peak_resident_bytes()?, of: MemoryOf::Process }),
        }
    }
}
