//! Weights on the device: each component's once, for every request that reads them in the same way.

use std::sync::{Arc, Mutex, PoisonError};

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
    /// One entry a stage: to read its weights in another way is to give the old ones up.
    loaded: Mutex<Vec<Loaded>>,
}

#[derive(Debug)]
struct Loaded {
    stage: &'static str,
    /// How they were read.
    wanted: Arc<[Wanted]>,
    weights: Weights,
}

impl Resident {
    /// The weights of `stage`, if they are on the device.
    pub(super) fn get(&self, stage: &Stage) -> Option<Weights> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let found = loaded.iter().find(|loaded| loaded.stage == stage.name && *loaded.wanted == *stage.wanted);
        found.map(|loaded| Arc::clone(&loaded.weights))
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
        if let Some(weights) = self.get(stage) {
            return Ok(weights);
        }
        // What is read in another way from now on makes room first.
        self.forget(stage.name);
        let weights = Arc::new(bring(runtime, model_id, checkpoint, stage, cancel)?);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = Arc::clone(&stage.wanted);
        loaded.push(Loaded { stage: stage.name, wanted, weights: Arc::clone(&weights) });
        Ok(weights)
    }

    fn forget(&self, stage: &str) {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).retain(|loaded| loaded.stage != stage);
    }
}

fn bring(
    runtime: &Runtime,
    model_id: &str,
    checkpoint: &Checkpoint,
    stage: &Stage,
    cancel: &Cancel,
) -> Result<Vec<DeviceTensor>, PipelineError> {
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
        drop(slots);
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
