//! How is a stage offloaded after its device ran out of memory?
//!
//! The estimate decides first. If a stage runs out of memory nevertheless, more of it is offloaded
//! from then on, until its model is unloaded or closed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use preheat_runtime::device::StageKind;
use preheat_runtime::device::fallback::{Decode, Strategy};
use preheat_runtime::device::offload::Mode;

/// The stages that ran out of memory on a device, each with the mode in which it is offloaded from
/// then on, unless the estimate chooses a stronger mode.
#[derive(Debug, Default)]
pub(super) struct Learned(Mutex<BTreeMap<&'static str, Mode>>);

impl Learned {
    fn modes(&self) -> MutexGuard<'_, BTreeMap<&'static str, Mode>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mode of a stage for which the estimate chose `planned`.
    pub(super) fn mode(&self, stage: &str, planned: Mode) -> Mode {
        planned.max(self.modes().get(stage).copied().unwrap_or(Mode::None))
    }

    /// Remembers that a stage needs this mode.
    pub(super) fn note(&self, stage: &'static str, mode: Mode) {
        self.modes().insert(stage, mode);
    }

    /// The strongest mode that any stage needed because it ran out of memory.
    pub(super) fn most(&self) -> Mode {
        self.modes().values().copied().max().unwrap_or(Mode::None)
    }

    /// Forgets which stages ran out of memory, so that the estimate decides again.
    pub(super) fn forget(&self) {
        self.modes().clear();
    }
}

/// The mode that is tried next. The stage ran out of memory in `mode`, although everything that is
/// not in use had been dropped. `None` if nothing is left to try.
pub(super) fn next(kind: StageKind, decode: Decode, mode: Mode, on_cpu: bool) -> Option<Strategy> {
    // Pictures are decoded one by one in any case, and the decoder itself handles tiles, so neither
    // is tried here. The weights of other stages have been dropped by now, so moving this stage's
    // weights in and out as a whole would gain nothing.
    let tried = Strategy { decode: Decode::Tiles, offload: mode.max(Mode::Model) };
    let next = tried.after_out_of_memory(kind, 1, on_cpu)?;
    Some(Strategy { decode, ..next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_counts_where_it_is_stronger_than_the_plan() {
        let learned = Learned::default();
        assert_eq!(learned.mode("denoiser", Mode::Model), Mode::Model);
        assert_eq!(learned.most(), Mode::None);
        learned.note("denoiser", Mode::Sequential);
        assert_eq!(learned.mode("denoiser", Mode::Model), Mode::Sequential);
        assert_eq!(learned.mode("vae_decoder", Mode::None), Mode::None, "another stage");
        learned.note("vae_decoder", Mode::Model);
        assert_eq!(learned.mode("vae_decoder", Mode::Sequential), Mode::Sequential);
        assert_eq!(learned.most(), Mode::Sequential);
        learned.forget();
        assert_eq!(learned.most(), Mode::None);
        assert_eq!(learned.mode("denoiser", Mode::None), Mode::None);
    }

    #[test]
    fn only_moving_weights_op_by_op_is_left_to_try() {
        let next = |mode, on_cpu| next(StageKind::Denoiser, Decode::Slices, mode, on_cpu);
        let sequential = Strategy { decode: Decode::Slices, offload: Mode::Sequential };
        assert_eq!(next(Mode::None, false), Some(sequential));
        assert_eq!(next(Mode::Model, false), Some(sequential));
        assert_eq!(next(Mode::Sequential, false), None);
        assert_eq!(next(Mode::None, true), None, "the CPU has no other memory");
    }
}
