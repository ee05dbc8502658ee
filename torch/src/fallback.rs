//! Which ops does a device lack? They run on the CPU; each is counted, and reported the first time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use preheat_torch_abi::TorchFallback;
use preheat_torch_abi::TorchId;
use tch::Kind;

/// The ops that ran on the CPU in place of a device.
#[derive(Default)]
pub struct Fallbacks {
    /// In the order in which they occurred. There are only a few, and none on most devices.
    known: Mutex<Vec<(Lack, Seen)>>,
}

/// An op that a device lacks for operands of a dtype. The device may have the op for other dtypes.
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
    /// Whether it is already known that the device lacks the op, so that it need not be tried
    /// again.
    pub fn is_known(&self, lack: Lack) -> bool {
        self.known().iter().any(|known| known.0 == lack)
    }

    /// Counts a run on the CPU. Returns a report if this is the first time that this device is
    /// found to lack this op.
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

    /// Every op of every device that ran on the CPU, with the number of runs.
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
        // The list is valid after every change, so a panic elsewhere does not damage it.
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
