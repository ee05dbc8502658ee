//! Weights on the device: each component's once, for every request that reads them in the same way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use super::error::PipelineError;
use super::stage::Stage;
use crate::progress::{Cancel, Event, EventKind};
use crate::runtime::{DeviceTensor, Runtime};
use crate::weights::{self, Checkpoint, LoadError, Wanted};

/// The weights of one component, in the order in which its graph takes them.
pub(super) type Weights = Arc<Vec<DeviceTensor>>;

/// The weights that are on the device.
#[derive(Debug, Default)]
pub(super) struct Resident {
    /// One place a stage. Who brings weights holds it, so that whoever wants the same ones meanwhile waits for them.
    places: Mutex<HashMap<&'static str, Place>>,
}

type Place = Arc<Mutex<Option<Loaded>>>;

#[derive(Debug)]
struct Loaded {
    /// How they were read.
    wanted: Arc<[Wanted]>,
    weights: Weights,
}

impl Resident {
    fn place(&self, stage: &Stage) -> Place {
        Arc::clone(self.places.lock().unwrap_or_else(PoisonError::into_inner).entry(stage.name).or_default())
    }

    /// Whether the weights of `stage` are on the device.
    pub(super) fn has(&self, stage: &Stage) -> bool {
        let place = self.place(stage);
        // Someone who is just bringing some has not done so yet.
        let loaded = match place.try_lock() {
            Ok(loaded) => loaded,
            Err(TryLockError::Poisoned(loaded)) => loaded.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        loaded.as_ref().is_some_and(|loaded| *loaded.wanted == *stage.wanted)
    }

    /// The weights of `stage`, brought to the device where they are not there yet. `cancel` stops it in between.
    pub(super) fn load(
        &self,
        runtime: &Runtime,
        model_id: &str,
        checkpoint: &Checkpoint,
        stage: &Stage,
        cancel: &Cancel,
    ) -> Result<Weights, PipelineError> {
        let place = self.place(stage);
        let mut loaded = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = loaded.as_ref().filter(|loaded| *loaded.wanted == *stage.wanted) {
            return Ok(Arc::clone(&loaded.weights));
        }
        // What is read in another way from now on makes room first.
        *loaded = None;
        let weights = Arc::new(bring(runtime, model_id, checkpoint, stage, cancel)?);
        *loaded = Some(Loaded { wanted: Arc::clone(&stage.wanted), weights: Arc::clone(&weights) });
        Ok(weights)
    }
}

fn bring(
    runtime: &Runtime,
    model_id: &str,
    checkpoint: &Checkpoint,
    stage: &Stage,
    cancel: &Cancel,
) -> Result<Vec<DeviceTensor>, PipelineError> {
    let _row = runtime.trace().map(|trace| trace.begin("weights", stage.name));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let total = stage.wanted.len();
    let slots: Mutex<(Vec<Option<DeviceTensor>>, usize)> = Mutex::new(((0..total).map(|_| None).collect(), 0));
    let ready = |index: usize, tensor: crate::Tensor| {
        if runtime.is_cancelled() {
            return Err(crate::runtime::Error::Cancelled);
        }
        let on_device = runtime.to_device(&tensor)?;
        let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.0[index] = Some(on_device);
        slots.1 += 1;
        let kind = EventKind::Weights { done: slots.1, total };
        // Told under the lock, so that no later count overtakes it.
        runtime.progress().event(Event { model_id: model_id.to_owned(), stage: stage.name.to_owned(), kind });
        Ok(())
    };
    weights::load(checkpoint, &stage.wanted, threads, cancel, ready).map_err(|error| match error {
        LoadError::Weights(error) => error.into(),
        LoadError::Cancelled => crate::runtime::Error::Cancelled.into(),
        LoadError::Ready(error) => PipelineError::from(error),
    })?;
    let (slots, _) = slots.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(slots.into_iter().flatten().collect())
}
