//! Weights on the device: each component's once, for every request that reads them in the same way.
//!
//! They are in use while someone holds them, which is while their stage runs. The others go where the device has no room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use preheat_cache::Dtype;

use super::error::PipelineError;
use super::stage::Stage;
use crate::progress::{Cancel, Event, EventKind};
use crate::runtime::{DeviceTensor, Dropped, Holder, Runtime};
use crate::weights::{self, Checkpoint, LoadError, Wanted};

/// The weights of one component, in the order in which its graph takes them.
pub(super) type Weights = Arc<Vec<DeviceTensor>>;

/// The weights that are on the device.
#[derive(Debug, Default)]
pub(super) struct Resident {
    /// One place a stage and dtype. Who brings weights holds it, so that whoever wants the same ones meanwhile waits for them.
    places: Mutex<HashMap<(&'static str, Dtype), Place>>,
    /// Counts the uses.
    clock: AtomicU64,
}

type Place = Arc<Mutex<Option<Loaded>>>;

#[derive(Debug)]
struct Loaded {
    /// How they were read.
    wanted: Arc<[Wanted]>,
    weights: Weights,
    bytes: u64,
    last_used: u64,
}

impl Loaded {
    /// Whoever begins to use them has the place first.
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.weights) > 1
    }
}

impl Resident {
    fn place(&self, stage: &Stage) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry((stage.name, stage.dtype)).or_default())
    }

    fn all_places(&self) -> Vec<Place> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Whether the weights of `stage` are on the device.
    pub(super) fn has(&self, stage: &Stage) -> bool {
        let place = self.place(stage);
        // Someone who is just bringing some has not done so yet.
        let Some(loaded) = at_once(&place) else { return false };
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
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        if let Some(loaded) = loaded.as_mut().filter(|loaded| *loaded.wanted == *stage.wanted) {
            loaded.last_used = now;
            return Ok(Arc::clone(&loaded.weights));
        }
        // What is read in another way from now on makes room first.
        *loaded = None;
        let bytes = stage.weight_bytes();
        runtime.make_room(bytes);
        let weights = Arc::new(bring(runtime, model_id, checkpoint, stage, cancel)?);
        let (wanted, kept) = (Arc::clone(&stage.wanted), Arc::clone(&weights));
        *loaded = Some(Loaded { wanted, weights: kept, bytes, last_used: now });
        Ok(weights)
    }

    /// Lets go of all weights; those that are in use live until nobody holds them. Gives the bytes that are free at once.
    pub(super) fn forget(&self) -> u64 {
        let gone = self
            .all_places()
            .into_iter()
            .filter_map(|place| place.lock().unwrap_or_else(PoisonError::into_inner).take());
        gone.filter(|loaded| !loaded.is_in_use()).map(|loaded| loaded.bytes).fold(0, u64::saturating_add)
    }
}

impl Holder for Resident {
    fn drop_one(&self) -> Option<Dropped> {
        let places = self.all_places();
        let unused =
            |loaded: &Option<Loaded>| loaded.as_ref().filter(|loaded| !loaded.is_in_use()).map(|it| it.last_used);
        let mut oldest_first: Vec<_> =
            places.iter().filter_map(|place| Some((unused(&*at_once(place)?)?, place))).collect();
        oldest_first.sort_by_key(|(last_used, _)| *last_used);
        oldest_first.into_iter().find_map(|(_, place)| {
            // Someone may have begun to use them since.
            let mut loaded = at_once(place)?;
            unused(&loaded)?;
            loaded.take().map(|loaded| Dropped::weights(loaded.bytes))
        })
    }

    fn droppable_bytes(&self) -> u64 {
        let bytes = |place: &Place| at_once(place)?.as_ref().filter(|loaded| !loaded.is_in_use()).map(|it| it.bytes);
        self.all_places().iter().filter_map(bytes).fold(0, u64::saturating_add)
    }
}

/// What is in a place, unless someone is just bringing something there.
fn at_once(place: &Mutex<Option<Loaded>>) -> Option<MutexGuard<'_, Option<Loaded>>> {
    match place.try_lock() {
        Ok(loaded) => Some(loaded),
        Err(TryLockError::Poisoned(loaded)) => Some(loaded.into_inner()),
        Err(TryLockError::WouldBlock) => None,
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
        let on_device = runtime.bring(stage.name, &tensor)?;
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
