//! How do weights get from a model's files to a device?
//!
//! Weights are read on several threads, changed by the LoRAs of a request if it has some, and
//! handed to the runtime one by one. If a device offloads, the weights first go to the host's
//! memory, and are copied to the device from there.

use std::sync::{Arc, Mutex, PoisonError};

use preheat_runtime::progress::{Cancel, EventKind};
use preheat_runtime::{DeviceTensor, Runtime};
use preheat_tensor::Tensor;

use super::error::PipelineError;
use super::resident::{Carrier, To};
use super::stage::Stage;
use super::watch::Watch;
use crate::weights::{self, Checkpoint, LoadError, WantedWeight};

/// Moves weights from a checkpoint to the device of a runtime.
pub(super) struct FromCheckpoint<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) watch: Watch<'a>,
    /// Stops the reading when nothing can use the weights any more.
    pub(super) stop: &'a Cancel,
}

impl Carrier for FromCheckpoint<'_> {
    type Tensor = DeviceTensor;

    fn read(
        &self,
        stage: &Stage,
        positions: &[usize],
        to: To,
    ) -> Result<Vec<DeviceTensor>, PipelineError> {
        let _row = self.runtime.trace().map(|trace| trace.begin("weights", stage.name));
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let total = positions.len();
        let at = |index: usize| &stage.wanted[positions[index]];
        let wanted: Vec<WantedWeight> = (0..total).map(|index| at(index).clone()).collect();
        let slots: Mutex<(Vec<Option<DeviceTensor>>, usize)> =
            Mutex::new(((0..total).map(|_| None).collect(), 0));
        let ready = |index: usize, tensor: Tensor| -> Result<(), PipelineError> {
            self.watch.go_on()?;
            let brought = match to {
                To::Device => self.runtime.bring(stage.name, &tensor)?,
                To::Host => self.runtime.bring_to_host(stage.name, &tensor)?,
            };
            let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.0[index] = Some(brought);
            slots.1 += 1;
            // The progress is reported under the lock, so that the counts arrive in order.
            self.watch.tell(stage.name, EventKind::Weights { done: slots.1, total });
            Ok(())
        };
        let change = |index: usize| {
            let weight = at(index);
            let columns = weight.dims.iter().skip(1).product::<u64>();
            Ok(stage.adapters.change(&weight.name, usize::try_from(columns).unwrap_or(0))?)
        };
        weights::load_changed(self.checkpoint, &wanted, threads, self.stop, change, ready)
            .map_err(|error: LoadError<PipelineError>| match error {
                LoadError::Weights(error) => error.into(),
                LoadError::Cancelled => preheat_runtime::Error::Cancelled.into(),
                LoadError::Ready(error) => error,
            })?;
        let (slots, _) = slots.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(slots.into_iter().flatten().collect())
    }

    fn move_in(
        &self,
        stage: &Stage,
        resting: &[Arc<DeviceTensor>],
    ) -> Result<Vec<DeviceTensor>, PipelineError> {
        let _row = self.runtime.trace().map(|trace| trace.begin("weights", stage.name));
        let total = resting.len();
        let one = |(done, weight): (usize, &Arc<DeviceTensor>)| {
            self.watch.go_on()?;
            let what = "moving its weights to the device";
            let here = self.runtime.copy_here(stage.name, what, weight)?;
            self.watch.tell(stage.name, EventKind::Weights { done: done + 1, total });
            Ok(here)
        };
        resting.iter().enumerate().map(one).collect()
    }

    fn make_room(&self, bytes: u64) {
        self.runtime.make_room(bytes);
    }
}
