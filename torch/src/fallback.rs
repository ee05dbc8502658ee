//! Ops that a device lacks: run on the CPU, counted, and told of once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use preheat::backend::torch::TorchFallback;
use tch::Kind;

/// What ran on the CPU in place of a device.
#[derive(Default)]
pub struct Fallbacks {
    known: Mutex<BTreeMap<Lack, Seen>>,
}

/// An op that a device lacks for operands of a dtype: it may well have it for those of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lack {
    pub device: String,
    pub op: &'static str,
    pub kind: String,
}

impl Lack {
    pub fn new(device: String, op: &'static str, kind: Option<Kind>) -> Self {
        Self { device, op, kind: format!("{kind:?}") }
    }
}

struct Seen {
    count: u64,
    reason: String,
}

impl Fallbacks {
    /// Whether the device was found to lack it, so that it need not be asked again.
    pub fn is_known(&self, lack: &Lack) -> bool {
        self.known().contains_key(lack)
    }

    /// Counts a run on the CPU. Gives what is to be told where this device is seen to lack this op for the first time.
    pub fn count(&self, lack: &Lack, reason: Option<String>) -> Option<TorchFallback> {
        let mut known = self.known();
        let same_op = |other: &Lack| other.device == lack.device && other.op == lack.op;
        let is_first = !known.keys().any(same_op);
        let seen = known.entry(lack.clone()).or_insert_with(|| Seen { count: 0, reason: reason.unwrap_or_default() });
        seen.count += 1;
        is_first.then(|| told(lack, seen))
    }

    /// Every op of every device, with how often it ran on the CPU.
    pub fn list(&self) -> Vec<TorchFallback> {
        let mut all: Vec<TorchFallback> = Vec::new();
        for (lack, seen) in &*self.known() {
            match all.iter_mut().find(|told| told.device == lack.device && told.op == lack.op) {
                Some(told) => told.count += seen.count,
                None => all.push(told(lack, seen)),
            }
        }
        all
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Lack, Seen>> {
        // It is right after every change, so a panic elsewhere takes nothing from it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(lack: &Lack, seen: &Seen) -> TorchFallback {
    TorchFallback {
        op: lack.op.to_owned(),
        device: lack.device.clone(),
        count: seen.count,
        reason: seen.reason.clone(),
    }
}
