//! Which weights are on the device, and which can be dropped?
//!
//! The weights of each component are loaded once, for every request that reads them in the same
//! way. They are in use while someone holds them, which is while their stage runs; all others can
//! be dropped if the device has no room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use preheat_runtime::device::offload::Mode;
use preheat_runtime::progress::{Cancel, Event, EventKind};
use preheat_runtime::{DeviceTensor, Dropped, Holder, Runtime};
use preheat_tensor::Dtype;

use super::error::PipelineError;
use super::stage::Stage;
use crate::weights::{self, Checkpoint, LoadError, Wanted};

/// The weights of one component, in the order in which its graph takes them.
pub(super) type Weights = Arc<Vec<DeviceTensor>>;

/// The weights that are on the device.
#[derive(Debug, Default)]
pub(super) struct Resident {
    /// One place for each stage and dtype. A thread that brings weights holds the place's lock, so
    /// that another thread that wants the same weights waits for them.
    places: Mutex<HashMap<(&'static str, Dtype), Place>>,
    /// Counts the uses, to find the weights that were not used for the longest time.
    clock: AtomicU64,
}

type Place = Arc<Mutex<Option<Loaded>>>;

#[derive(Debug)]
struct Loaded {
    /// The layout and dtype in which the weights were read.
    wanted: Arc<[Wanted]>,
    /// The weights in the host's memory, where the device offloads.
    resting: Option<Weights>,
    /// The weights on the device.
    here: Option<Weights>,
    bytes: u64,
    last_used: u64,
}

impl Loaded {
    /// Whether someone holds the weights. A thread takes the place's lock before it begins to use
    /// them, so the answer stays true while that lock is held.
    fn is_in_use(&self) -> bool {
        [&self.resting, &self.here]
            .into_iter()
            .flatten()
            .any(|weights| Arc::strong_count(weights) > 1)
    }

    /// Bytes on the device, if nobody is using these weights.
    fn droppable_bytes(&self) -> Option<u64> {
        self.here.as_ref().filter(|_| !self.is_in_use()).map(|_| self.bytes)
    }
}

impl Resident {
    fn place(&self, stage: &Stage) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry((stage.name, stage.dtype.dtype)).or_default())
    }

    fn all_places(&self) -> Vec<Place> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Whether the weights of `stage` are in memory: on the device or, where the device offloads,
    /// in the host's memory.
    pub(super) fn has(&self, stage: &Stage) -> bool {
        let place = self.place(stage);
        // If the place is locked, another thread is still bringing the weights.
        let Some(loaded) = at_once(&place) else { return false };
        let there = |loaded: &Loaded| loaded.here.is_some() || loaded.resting.is_some();
        loaded.as_ref().is_some_and(|loaded| *loaded.wanted == *stage.wanted && there(loaded))
    }

    /// The weights of `stage` in the place where its executable reads them, which `mode` decides:
    /// the device or the host's memory. They are read from the checkpoint if they are in neither.
    /// `cancel` stops that reading.
    pub(super) fn load(
        &self,
        runtime: &Runtime,
        (model_id, checkpoint): (&str, &Checkpoint),
        stage: &Stage,
        mode: Mode,
        cancel: &Cancel,
    ) -> Result<Weights, PipelineError> {
        let place = self.place(stage);
        let mut loaded = place.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        // If the weights are now read in another layout or dtype, the old ones are dropped first.
        if loaded.as_ref().is_some_and(|loaded| *loaded.wanted != *stage.wanted) {
            *loaded = None;
        }
        let loaded = loaded.get_or_insert_with(|| Loaded {
            wanted: Arc::clone(&stage.wanted),
            resting: None,
            here: None,
            bytes: stage.weight_bytes(),
            last_used: now,
        });
        loaded.last_used = now;
        let bring = |to| {
            Ok::<_, PipelineError>(Arc::new(bring(
                runtime, model_id, checkpoint, stage, to, cancel,
            )?))
        };
        if mode == Mode::Sequential {
            loaded.here = None;
        }
        if mode != Mode::None && loaded.resting.is_none() {
            loaded.resting = Some(bring(To::Host)?);
        }
        if let (Mode::Sequential, Some(resting)) = (mode, &loaded.resting) {
            return Ok(Arc::clone(resting));
        }
        if let Some(here) = &loaded.here {
            return Ok(Arc::clone(here));
        }
        if mode == Mode::Model {
            self.move_out(&place);
        }
        runtime.make_room(loaded.bytes);
        let here = match &loaded.resting {
            Some(resting) => Arc::new(move_in(runtime, model_id, stage, resting)?),
            None => bring(To::Device)?,
        };
        if mode == Mode::None {
            loaded.resting = None;
        }
        loaded.here = Some(Arc::clone(&here));
        Ok(here)
    }

    /// Drops the device's copy of all weights that also rest in the host's memory and are not in
    /// use, except those in the place `stays`.
    fn move_out(&self, stays: &Place) {
        for place in self.all_places().iter().filter(|place| !Arc::ptr_eq(place, stays)) {
            if let Some(loaded) = at_once(place).as_mut().and_then(|loaded| loaded.as_mut())
                && loaded.resting.is_some()
                && !loaded.is_in_use()
            {
                loaded.here = None;
            }
        }
    }

    /// Drops all weights; those that are in use live until nobody holds them. Returns the bytes
    /// that became free at once.
    pub(super) fn forget(&self) -> u64 {
        let gone = self
            .all_places()
            .into_iter()
            .filter_map(|place| place.lock().unwrap_or_else(PoisonError::into_inner).take());
        gone.filter_map(|loaded| loaded.droppable_bytes()).fold(0, u64::saturating_add)
    }
}

impl Holder for Resident {
    fn drop_one(&self) -> Option<Dropped> {
        let places = self.all_places();
        let unused = |loaded: &Option<Loaded>| {
            loaded
                .as_ref()
                .filter(|loaded| loaded.droppable_bytes().is_some())
                .map(|loaded| loaded.last_used)
        };
        let mut oldest_first: Vec<_> =
            places.iter().filter_map(|place| Some((unused(&*at_once(place)?)?, place))).collect();
        oldest_first.sort_by_key(|(last_used, _)| *last_used);
        oldest_first.into_iter().find_map(|(_, place)| {
            // Another thread may have begun to use the weights since they were chosen.
            let mut loaded = at_once(place)?;
            unused(&loaded)?;
            let weights = loaded.as_mut()?;
            weights.here = None;
            let bytes = weights.bytes;
            if weights.resting.is_none() {
                *loaded = None;
            }
            Some(Dropped::weights(bytes))
        })
    }

    fn droppable_bytes(&self) -> u64 {
        let bytes = |place: &Place| at_once(place)?.as_ref()?.droppable_bytes();
        self.all_places().iter().filter_map(bytes).fold(0, u64::saturating_add)
    }
}

/// The contents of a place; `None` while another thread is bringing weights into it.
fn at_once(place: &Mutex<Option<Loaded>>) -> Option<MutexGuard<'_, Option<Loaded>>> {
    match place.try_lock() {
        Ok(loaded) => Some(loaded),
        Err(TryLockError::Poisoned(loaded)) => Some(loaded.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// The place that weights are brought to.
#[derive(Debug, Clone, Copy)]
enum To {
    Device,
    /// The host's memory, as the device's back end holds it.
    Host,
}

/// Reads weights from the checkpoint.
fn bring(
    runtime: &Runtime,
    model_id: &str,
    checkpoint: &Checkpoint,
    stage: &Stage,
    to: To,
    cancel: &Cancel,
) -> Result<Vec<DeviceTensor>, PipelineError> {
    let _row = runtime.trace().map(|trace| trace.begin("weights", stage.name));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let total = stage.wanted.len();
    let slots: Mutex<(Vec<Option<DeviceTensor>>, usize)> =
        Mutex::new(((0..total).map(|_| None).collect(), 0));
    let ready = |index: usize, tensor: preheat_tensor::Tensor| {
        if runtime.is_cancelled() {
            return Err(preheat_runtime::Error::Cancelled);
        }
        let brought = match to {
            To::Device => runtime.bring(stage.name, &tensor)?,
            To::Host => runtime.bring_to_host(stage.name, &tensor)?,
        };
        let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.0[index] = Some(brought);
        slots.1 += 1;
        // The progress is reported under the lock, so that the counts arrive in order.
        tell(runtime, model_id, stage, EventKind::Weights { done: slots.1, total });
        Ok(())
    };
    weights::load(checkpoint, &stage.wanted, threads, cancel, ready).map_err(
        |error| match error {
            LoadError::Weights(error) => error.into(),
            LoadError::Cancelled => preheat_runtime::Error::Cancelled.into(),
            LoadError::Ready(error) => PipelineError::from(error),
        },
    )?;
    let (slots, _) = slots.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(slots.into_iter().flatten().collect())
}

/// Copies weights that rest in the host's memory to the device.
fn move_in(
    runtime: &Runtime,
    model_id: &str,
    stage: &Stage,
    resting: &[DeviceTensor],
) -> Result<Vec<DeviceTensor>, PipelineError> {
    let _row = runtime.trace().map(|trace| trace.begin("weights", stage.name));
    let total = resting.len();
    let one = |(done, weight): (usize, &DeviceTensor)| {
        if runtime.is_cancelled() {
            return Err(preheat_runtime::Error::Cancelled.into());
        }
        let here = runtime.copy_here(stage.name, "moving its weights to the device", weight)?;
        tell(runtime, model_id, stage, EventKind::Weights { done: done + 1, total });
        Ok(here)
    };
    resting.iter().enumerate().map(one).collect()
}

fn tell(runtime: &Runtime, model_id: &str, stage: &Stage, kind: EventKind) {
    runtime.progress().event(Event {
        model_id: model_id.to_owned(),
        stage: stage.name.to_owned(),
        kind,
    });
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use preheat_runtime::device::{Arithmetic, Precisions, StageKind};

    use super::*;
    use crate::pipeline::model::Model;
    use crate::pipeline::stage::{Dtypes, Form, Shape, Stages};

    fn decoder() -> Stage {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo-model");
        let of = |stage| Precisions::default().of(stage, Arithmetic::Cpu);
        let dtypes = Dtypes {
            text_encoder: of(StageKind::TextEncoder),
            denoiser: of(StageKind::Denoiser),
            vae: of(StageKind::Vae { force_upcast: false }),
        };
        let shape = Shape {
            guided: true,
            batch: 1,
            latent_sides: [8, 8],
            clip_skip: 0,
            dtypes,
            negative_is_zeros: false,
            form: Form::Graph,
        };
        Stages::of(&Model::open(&model, None).unwrap(), &shape).unwrap().all.pop().unwrap()
    }

    /// A failed load leaves a place that holds no weights. Such weights are checked again, and the
    /// memory that they need is counted again.
    #[test]
    fn a_place_with_nothing_in_it_has_nothing() {
        let (resident, stage) = (Resident::default(), decoder());
        let loaded = |there: bool| Loaded {
            wanted: Arc::clone(&stage.wanted),
            resting: there.then(Arc::default),
            here: None,
            bytes: stage.weight_bytes(),
            last_used: 0,
        };
        for there in [false, true] {
            *resident.place(&stage).lock().unwrap() = Some(loaded(there));
            assert_eq!(resident.has(&stage), there);
            assert_eq!(resident.droppable_bytes(), 0, "nothing is on the device");
            assert!(resident.drop_one().is_none());
        }
    }
}
