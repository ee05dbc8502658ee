//! Which weights are on the device, and which can be dropped?
//!
//! The weights of each component are loaded once, for all requests that read them in the same way.
//! Weights are in use while their stage runs and holds them. All other weights can be dropped if
//! the device has no room. `carry.rs` moves weights.
//!
//! If a request has other LoRAs than the request before it, only the weights that differ between
//! the two are replaced; all others stay where they are. A request that is still running keeps the
//! set of weights that it began with, so requests with different LoRAs never mix.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use preheat_runtime::device::offload::Mode;
use preheat_runtime::{DeviceTensor, Dropped, Holder};
use preheat_tensor::Dtype;

use super::error::PipelineError;
use super::stage::Stage;
use crate::lora::ComponentAdapters;
use crate::weights::WantedWeight;

/// The weights of one component, in the order in which its graph takes them. Two sets for different
/// LoRAs share the weights that are equal in both.
pub(super) type Weights<T = DeviceTensor> = Arc<Vec<Arc<T>>>;

/// Moves the weights of a stage.
pub(super) trait Carrier {
    /// A weight, on the device or in the host's memory.
    type Tensor;

    /// Reads the weights at these positions from where the model keeps them, and changes them by
    /// the stage's LoRAs.
    fn read(
        &self,
        stage: &Stage,
        positions: &[usize],
        to: To,
    ) -> Result<Vec<Self::Tensor>, PipelineError>;

    /// Copies weights that rest in the host's memory to the device.
    fn move_in(
        &self,
        stage: &Stage,
        resting: &[Arc<Self::Tensor>],
    ) -> Result<Vec<Self::Tensor>, PipelineError>;

    /// Makes room on the device for this number of bytes, as far as possible.
    fn make_room(&self, bytes: u64);
}

/// The place into which weights are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Device,
    /// The host's memory, in the form of the device's back end.
    Host,
}

/// The weights that are on the device, or rest in the host's memory for it.
#[derive(Debug)]
pub(super) struct Resident<T = DeviceTensor> {
    /// One place for each stage and dtype. A thread that brings weights holds the place's lock, so
    /// that another thread that needs the same weights waits for them.
    places: Mutex<HashMap<(&'static str, Dtype), Place<T>>>,
    /// Counts the uses, to find the weights that were not used for the longest time.
    clock: AtomicU64,
}

impl<T> Default for Resident<T> {
    fn default() -> Self {
        Self { places: Mutex::default(), clock: AtomicU64::default() }
    }
}

type Place<T> = Arc<Mutex<Option<Loaded<T>>>>;

#[derive(Debug)]
struct Loaded<T> {
    /// The layout and dtype in which the weights were read.
    wanted: Arc<[WantedWeight]>,
    /// The LoRAs that the weights were changed by.
    adapters: Arc<ComponentAdapters>,
    /// Sets for other LoRAs, which share weights with this set and which requests may still hold.
    earlier: Vec<Weak<Vec<Arc<T>>>>,
    /// The weights in the host's memory, if the device offloads.
    resting: Option<Weights<T>>,
    /// The weights on the device.
    here: Option<Weights<T>>,
    bytes: u64,
    last_used: u64,
}

impl<T> Loaded<T> {
    /// Whether someone holds the weights, or some of them. A thread takes the place's lock before
    /// it begins to use them, so the answer stays true while that lock is held.
    fn is_in_use(&self) -> bool {
        [&self.resting, &self.here]
            .into_iter()
            .flatten()
            .any(|weights| Arc::strong_count(weights) > 1)
            || self.earlier.iter().any(|weights| weights.strong_count() > 0)
    }

    /// Bytes on the device, if nobody is using these weights.
    fn droppable_bytes(&self) -> Option<u64> {
        self.here.as_ref().filter(|_| !self.is_in_use()).map(|_| self.bytes)
    }
}

impl<T> Loaded<T> {
    /// Replaces the weights that have other values with the stage's LoRAs. If that fails, there are
    /// no weights left, and the next load reads all of them.
    fn exchange(
        &mut self,
        carrier: &impl Carrier<Tensor = T>,
        stage: &Stage,
    ) -> Result<(), PipelineError> {
        if self.adapters == stage.adapters {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.adapters, Arc::clone(&stage.adapters));
        let differs = |weight: &WantedWeight| !before.agree_on(&stage.adapters, &weight.name);
        let positions: Vec<usize> = (0..)
            .zip(stage.wanted.iter())
            .filter(|(_, weight)| differs(weight))
            .map(|(at, _)| at)
            .collect();
        if positions.is_empty() {
            return Ok(());
        }
        self.earlier.retain(|weights| weights.strong_count() > 0);
        let (resting, here) = (self.resting.take(), self.here.take());
        if let Some(resting) = resting {
            let fresh = || carrier.read(stage, &positions, To::Host);
            self.resting = Some(self.replaced(resting, &positions, fresh)?);
        }
        if let Some(here) = here {
            let resting = self.resting.clone();
            let fresh = || {
                carrier.make_room(stage.bytes_of(&positions));
                let Some(resting) = resting else {
                    return carrier.read(stage, &positions, To::Device);
                };
                let chosen: Vec<_> =
                    positions.iter().filter_map(|&at| resting.get(at).cloned()).collect();
                carrier.move_in(stage, &chosen)
            };
            self.here = Some(self.replaced(here, &positions, fresh)?);
        }
        Ok(())
    }

    /// A set with the weights from `fresh` at these positions and the weights from `weights` at all
    /// other positions. If nobody else holds `weights`, its weights at these positions are freed
    /// before `fresh` is called.
    fn replaced(
        &mut self,
        weights: Weights<T>,
        positions: &[usize],
        fresh: impl FnOnce() -> Result<Vec<T>, PipelineError>,
    ) -> Result<Weights<T>, PipelineError> {
        let mut kept: Vec<Option<Arc<T>>> = match Arc::try_unwrap(weights) {
            Ok(own) => own.into_iter().map(Some).collect(),
            Err(shared) => {
                self.earlier.push(Arc::downgrade(&shared));
                shared.iter().cloned().map(Some).collect()
            }
        };
        for &at in positions {
            kept[at] = None;
        }
        for (&at, weight) in positions.iter().zip(fresh()?) {
            kept[at] = Some(Arc::new(weight));
        }
        Ok(Arc::new(kept.into_iter().flatten().collect()))
    }
}

fn set_of<T>(weights: Vec<T>) -> Weights<T> {
    Arc::new(weights.into_iter().map(Arc::new).collect())
}

impl<T> Resident<T> {
    fn place(&self, stage: &Stage) -> Place<T> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry((stage.name, stage.dtype.dtype)).or_default())
    }

    fn all_places(&self) -> Vec<Place<T>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Whether the weights of `stage` are in memory: on the device or, if the device offloads, in
    /// the host's memory. Some of them may have to be replaced, if the request has other LoRAs.
    pub(super) fn has(&self, stage: &Stage) -> bool {
        let place = self.place(stage);
        // If the place is locked, another thread is still bringing the weights.
        let Some(loaded) = at_once(&place) else { return false };
        let there = |loaded: &Loaded<T>| loaded.here.is_some() || loaded.resting.is_some();
        loaded.as_ref().is_some_and(|loaded| *loaded.wanted == *stage.wanted && there(loaded))
    }

    /// The weights of `stage` in the place where its executable reads them: the device or the
    /// host's memory, as `mode` decides. If the weights are in neither place, they are read from
    /// the files.
    pub(super) fn load(
        &self,
        carrier: &impl Carrier<Tensor = T>,
        stage: &Stage,
        mode: Mode,
    ) -> Result<Weights<T>, PipelineError> {
        let place = self.place(stage);
        let mut loaded = place.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        // If the weights are now read in another layout or dtype, the old ones are dropped first.
        if loaded.as_ref().is_some_and(|loaded| *loaded.wanted != *stage.wanted) {
            *loaded = None;
        }
        let loaded = loaded.get_or_insert_with(|| Loaded {
            wanted: Arc::clone(&stage.wanted),
            adapters: Arc::clone(&stage.adapters),
            earlier: Vec::new(),
            resting: None,
            here: None,
            bytes: stage.weight_bytes(),
            last_used: now,
        });
        loaded.last_used = now;
        let all: Vec<usize> = (0..stage.wanted.len()).collect();
        let read = |to| carrier.read(stage, &all, to).map(set_of);
        if mode == Mode::Sequential {
            loaded.here = None;
        }
        loaded.exchange(carrier, stage)?;
        if mode != Mode::None && loaded.resting.is_none() {
            loaded.resting = Some(read(To::Host)?);
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
        carrier.make_room(loaded.bytes);
        let here = match &loaded.resting {
            Some(resting) => set_of(carrier.move_in(stage, resting)?),
            None => read(To::Device)?,
        };
        if mode == Mode::None {
            loaded.resting = None;
        }
        loaded.here = Some(Arc::clone(&here));
        Ok(here)
    }

    /// Drops the device's copy of all weights that also rest in the host's memory and are not in
    /// use, except those in the place `stays`.
    fn move_out(&self, stays: &Place<T>) {
        for place in self.all_places().iter().filter(|place| !Arc::ptr_eq(place, stays)) {
            if let Some(loaded) = at_once(place).as_mut().and_then(|loaded| loaded.as_mut())
                && loaded.resting.is_some()
                && !loaded.is_in_use()
            {
                loaded.here = None;
            }
        }
    }

    /// Drops all weights; weights that are in use stay in memory until nobody holds them. Returns
    /// the bytes that became free at once.
    pub(super) fn forget(&self) -> u64 {
        let gone = self
            .all_places()
            .into_iter()
            .filter_map(|place| place.lock().unwrap_or_else(PoisonError::into_inner).take());
        gone.filter_map(|loaded| loaded.droppable_bytes()).fold(0, u64::saturating_add)
    }
}

impl<T: Send + Sync> Holder for Resident<T> {
    fn drop_one(&self) -> Option<Dropped> {
        let places = self.all_places();
        let unused = |loaded: &Option<Loaded<T>>| {
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
        let bytes = |place: &Place<T>| at_once(place)?.as_ref()?.droppable_bytes();
        self.all_places().iter().filter_map(bytes).fold(0, u64::saturating_add)
    }
}

/// The contents of a place; `None` while another thread is bringing weights into it.
fn at_once<T>(place: &Mutex<Option<Loaded<T>>>) -> Option<MutexGuard<'_, Option<Loaded<T>>>> {
    match place.try_lock() {
        Ok(loaded) => Some(loaded),
        Err(TryLockError::Poisoned(loaded)) => Some(loaded.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use safetensors::tensor::TensorView;

    use super::*;
    use crate::pipeline::request::{Lora, TextToImage};
    use crate::pipeline::stage::Stages;
    use crate::pipeline::test_model;

    /// A weight of a test: where it came from.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Weight {
        Read(To),
        MovedIn,
    }

    /// Records what is moved, and moves nothing.
    #[derive(Default)]
    struct Fake {
        done: RefCell<Vec<String>>,
        fails: bool,
    }

    impl Fake {
        fn note(&self, what: String) {
            self.done.borrow_mut().push(what);
        }

        fn taken(&self) -> Vec<String> {
            self.done.take()
        }
    }

    impl Carrier for Fake {
        type Tensor = Weight;

        fn read(
            &self,
            stage: &Stage,
            positions: &[usize],
            to: To,
        ) -> Result<Vec<Weight>, PipelineError> {
            if self.fails {
                return Err(preheat_runtime::Error::Cancelled.into());
            }
            let how_many = how_many(positions.len(), stage);
            self.note(format!("read {how_many}{} to {to:?}", stage.name));
            Ok(vec![Weight::Read(to); positions.len()])
        }

        fn move_in(
            &self,
            stage: &Stage,
            resting: &[Arc<Weight>],
        ) -> Result<Vec<Weight>, PipelineError> {
            assert!(resting.iter().all(|weight| **weight == Weight::Read(To::Host)));
            self.note(format!("move {}{} in", how_many(resting.len(), stage), stage.name));
            Ok(vec![Weight::MovedIn; resting.len()])
        }

        fn make_room(&self, _bytes: u64) {}
    }

    /// `{count} of `, or nothing if `count` is the number of all weights of the stage.
    fn how_many(count: usize, stage: &Stage) -> String {
        if count == stage.wanted.len() { String::new() } else { format!("{count} of ") }
    }

    fn stages() -> Stages {
        let request = TextToImage::new("seven");
        test_model::planner(8).prepare(&request, |_| None).unwrap().stages
    }

    /// A failed load leaves a place without weights. `has` returns false for it, so that the next
    /// request checks again whether there is room for the weights.
    #[test]
    fn a_place_with_nothing_in_it_has_nothing() {
        let (resident, stages) = (Resident::<Weight>::default(), stages());
        let stage = &stages.all[stages.decoder.unwrap()];
        let failing = Fake { fails: true, ..Fake::default() };
        assert!(resident.load(&failing, stage, Mode::None).is_err());
        assert!(!resident.has(stage));
        assert_eq!(resident.droppable_bytes(), 0, "nothing is on the device");
        assert!(resident.drop_one().is_none());
        resident.load(&Fake::default(), stage, Mode::Sequential).unwrap();
        assert!(resident.has(stage), "it rests in the host's memory");
        assert_eq!(resident.droppable_bytes(), 0, "nothing is on the device");
        assert!(resident.drop_one().is_none());
    }

    #[test]
    fn weights_are_read_once_and_dropped_by_the_time_of_their_last_use() {
        let (resident, fake, stages) = (Resident::default(), Fake::default(), stages());
        let [text, denoiser, vae] = [0, 1, 2].map(|at| &stages.all[at]);
        for stage in [text, denoiser, vae, text] {
            resident.load(&fake, stage, Mode::None).unwrap();
        }
        let read = ["text_encoder", "denoiser", "vae_decoder"];
        assert_eq!(fake.taken(), read.map(|name| format!("read {name} to Device")));
        let held = resident.load(&fake, denoiser, Mode::None).unwrap();
        let free = text.weight_bytes() + vae.weight_bytes();
        assert_eq!(resident.droppable_bytes(), free, "what is held is in use");
        assert_eq!(resident.drop_one(), Some(Dropped::weights(vae.weight_bytes())));
        assert_eq!(resident.drop_one(), Some(Dropped::weights(text.weight_bytes())));
        assert_eq!(resident.drop_one(), None);
        drop(held);
        assert_eq!(resident.drop_one(), Some(Dropped::weights(denoiser.weight_bytes())));
        assert!(!resident.has(denoiser) && resident.droppable_bytes() == 0);
    }

    #[test]
    fn offloaded_stages_take_turns_on_the_device_and_stay_in_the_hosts_memory() {
        let (resident, fake, stages) = (Resident::default(), Fake::default(), stages());
        let (text, denoiser) = (&stages.all[0], &stages.all[1]);
        for stage in [text, denoiser, text] {
            let weights = resident.load(&fake, stage, Mode::Model).unwrap();
            assert!(weights.iter().all(|weight| **weight == Weight::MovedIn));
            drop(weights);
            assert_eq!(resident.droppable_bytes(), stage.weight_bytes(), "the other moved out");
        }
        let read = |name| [format!("read {name} to Host"), format!("move {name} in")];
        let mut all = [read("text_encoder"), read("denoiser")].concat();
        all.push("move text_encoder in".to_owned());
        assert_eq!(fake.taken(), all);
        resident.drop_one().unwrap();
        assert!(resident.has(text), "its copy in the host's memory stays");
    }

    #[test]
    fn the_mode_may_change_between_two_uses() {
        let (resident, fake, stages) = (Resident::default(), Fake::default(), stages());
        let stage = &stages.all[0];
        let weights = |mode| *resident.load(&fake, stage, mode).unwrap()[0];
        assert_eq!(weights(Mode::None), Weight::Read(To::Device));
        assert_eq!(weights(Mode::Sequential), Weight::Read(To::Host), "off the device");
        assert_eq!(resident.droppable_bytes(), 0);
        assert_eq!(weights(Mode::None), Weight::MovedIn, "not read again");
        resident.drop_one().unwrap();
        assert!(!resident.has(stage), "it no longer rests in the host's memory");
    }

    #[test]
    fn weights_in_another_layout_are_read_again() {
        let (resident, fake, mut stages) = (Resident::default(), Fake::default(), stages());
        let stage = &mut stages.all[0];
        resident.load(&fake, stage, Mode::None).unwrap();
        let mut wanted = stage.wanted.to_vec();
        wanted[0].order.reverse();
        stage.wanted = wanted.into();
        assert!(!resident.has(stage));
        resident.load(&fake, stage, Mode::None).unwrap();
        assert_eq!(fake.taken().len(), 2);
        assert_eq!(resident.forget(), stage.weight_bytes());
        assert!(!resident.has(stage));
    }

    /// The stages of three requests: without a LoRA, with a LoRA that changes one linear weight of
    /// the denoiser, and with a LoRA that changes two of them.
    fn stages_with_loras(folder: &std::path::Path) -> [Stages; 3] {
        let planner = test_model::planner(8);
        let own = planner.prepare(&TextToImage::new("seven"), |_| None).unwrap().stages;
        let linear = own.all[1].wanted.iter().filter(|weight| weight.dims.len() == 2);
        let weights: Vec<_> = linear.take(2).cloned().collect();
        let lora = |count: usize| -> Lora {
            let mut tensors = Vec::new();
            for weight in &weights[..count] {
                let layer = weight.name.strip_suffix(".weight").unwrap();
                let [rows, columns] =
                    [weight.dims[0], weight.dims[1]].map(|side| usize::try_from(side).unwrap());
                tensors.push((format!("unet.{layer}.lora_B.weight"), [rows, 1], vec![0; 4 * rows]));
                tensors.push((
                    format!("unet.{layer}.lora_A.weight"),
                    [1, columns],
                    vec![0; 4 * columns],
                ));
            }
            let views = tensors.iter().map(|(name, dims, bytes)| {
                let view = TensorView::new(safetensors::Dtype::F32, dims.to_vec(), bytes);
                (name.as_str(), view.unwrap())
            });
            let path = folder.join(format!("{count}.safetensors"));
            std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
            Lora::new(path)
        };
        let with = |loras: Vec<Lora>| {
            let request = TextToImage { loras, ..TextToImage::new("seven") };
            planner.prepare(&request, |_| None).unwrap().stages
        };
        let (one, two) = (lora(1), lora(2));
        [own, with(vec![one]), with(vec![two])]
    }

    #[test]
    fn another_lora_replaces_the_weights_that_it_changes_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let all = stages_with_loras(folder.path());
        let [own, one, two] = [0, 1, 2].map(|at| &all[at].all[1]);
        for (mode, read, again) in [
            (Mode::None, vec!["read denoiser to Device"], vec!["read 1 of denoiser to Device"]),
            (Mode::Sequential, vec!["read denoiser to Host"], vec!["read 1 of denoiser to Host"]),
            (
                Mode::Model,
                vec!["read denoiser to Host", "move denoiser in"],
                vec!["read 1 of denoiser to Host", "move 1 of denoiser in"],
            ),
        ] {
            let (resident, fake) = (Resident::default(), Fake::default());
            resident.load(&fake, own, mode).unwrap();
            assert_eq!(fake.taken(), read);
            resident.load(&fake, one, mode).unwrap();
            assert_eq!(fake.taken(), again, "{mode:?}");
            resident.load(&fake, one, mode).unwrap();
            assert_eq!(fake.taken(), [""; 0], "{mode:?}");
            resident.load(&fake, two, mode).unwrap();
            let both: Vec<_> = again.iter().map(|what| what.replace('1', "2")).collect();
            assert_eq!(fake.taken(), both, "the first comes from another file now");
            resident.load(&fake, own, mode).unwrap();
            assert_eq!(fake.taken(), both, "taken away");
            assert!(resident.has(own) && resident.has(two));
        }
    }

    #[test]
    fn a_request_keeps_its_weights_while_another_one_has_other_loras() {
        let folder = tempfile::tempdir().unwrap();
        let all = stages_with_loras(folder.path());
        let (own, one) = (&all[0].all[1], &all[1].all[1]);
        let (resident, fake) = (Resident::default(), Fake::default());
        let held = resident.load(&fake, own, Mode::None).unwrap();
        let changed = resident.load(&fake, one, Mode::None).unwrap();
        let differ: Vec<usize> =
            (0..held.len()).filter(|&at| !Arc::ptr_eq(&held[at], &changed[at])).collect();
        assert_eq!((differ.len(), held.len()), (1, changed.len()));
        assert!(one.adapters.change(&one.wanted[differ[0]].name, 1).unwrap().is_some());
        drop(changed);
        assert_eq!(resident.droppable_bytes(), 0, "the first request still holds most of them");
        drop(held);
        assert_eq!(resident.droppable_bytes(), own.weight_bytes());
    }

    #[test]
    fn after_a_failed_exchange_all_weights_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let all = stages_with_loras(folder.path());
        let (own, one) = (&all[0].all[1], &all[1].all[1]);
        let (resident, fake) = (Resident::default(), Fake::default());
        resident.load(&fake, own, Mode::None).unwrap();
        let failing = Fake { fails: true, ..Fake::default() };
        assert!(resident.load(&failing, one, Mode::None).is_err());
        assert!(!resident.has(one));
        fake.taken();
        resident.load(&fake, one, Mode::None).unwrap();
        assert_eq!(fake.taken(), ["read denoiser to Device"]);
    }
}
