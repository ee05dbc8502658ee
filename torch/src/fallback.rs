//! Ops that a device lacks: run on the CPU, counted, and told of once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use preheat_torch_abi::TorchFallback;
use preheat_torch_abi::TorchId;
use tch::Kind;

/// What ran on the CPU in place of a device.
#[derive(Default)]
pub struct Fallbacks {
    /// In the order in which they were met: a handful at most, and none on most devices.
    known: Mutex<Vec<(Lack, Seen)>>,
}

/// An op that a device lacks for operands of a dtype: it may well have it for those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lack {
    pub device: TorchId,
    pub op: &'static str,
    pub kind: Option<Kind>,
}

struct Seen {
    count: u64,
    reason: String,
}

impl Fallbacks {
    /// Whether the device was found to lack it, so that it need not be asked again.
    pub fn is_known(&self, lack: Lack) -> bool {
        self.known().iter().any(|known| known.0 == lack)
    }

    /// Counts a run on the CPU. Gives what is to be told where this device is seen to lack this op
    /// for the first time.
    pub fn count(&self, lack: Lack, reason: Option<String>) -> Option<TorchFallback> {
        let mut known = self.known();
        if let Some((_, seen)) = known.iter_mut().find(|known| known.0 == lack) {
            seen.count += 1;
            return None;
        }
        let is_first =
            !known.iter().any(|(other, _)| other.device == lack.device && other.op == lack.op);
        let seen = Seen { count: 1, reason: reason.unwrap_or_default() };
        let told = is_first.then(|| told(lack, &seen));
        known.push((lack, seen));
        told
    }

    /// Every op of every device, with how often it ran on the CPU.
    pub fn list(&self) -> Vec<TorchFallback> {
        let mut all: Vec<TorchFallback> = Vec::new();
        for (lack, seen) in &*self.known() {
            let fallback = told(*lack, seen);
            match all
                .iter_mut()
                .find(|other| other.device == fallback.device && other.op == fallback.op)
            {
                Some(other) => other.count += fallback.count,
                None => all.push(fallback),
            }
        }
        all
    }

    fn known(&self) -> MutexGuard<'_, Vec<(Lack, Seen)>> {
        // It is right after every change, so a panic elsewhere takes nothing from it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(lack: Lack, seen: &Seen) -> TorchFallback {
    TorchFallback {
        op: lack.op.to_owned(),
        device: lack.device.to_string(),
        count: seen.count,
        reason: seen.reason.clone(),
    }
}
