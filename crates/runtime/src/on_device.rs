//! What does a runtime keep on its device, and what does it drop when there is no room?
//!
//! It keeps executables and weights. Executables that nobody holds, and weights that no running
//! stage uses, can be dropped. If the device has no room for something new, these are dropped one
//! after the other until there is room, beginning with what is cheapest to load again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use preheat_cache::GraphKey;

use super::memory::{Held, Memory};
use super::out_of_memory::{Dropped, Footprint, OutOfMemory};
use crate::backend::DeviceFault;
use crate::backend::contract::Device;

/// An owner of things on the device that can be dropped and loaded again.
pub trait Holder: Send + Sync {
    /// Drops the least recently used of its things that are not in use, and returns a description
    /// of it. `None` if all are in use.
    ///
    /// It must not wait for another thread, because the caller may hold locks that other threads
    /// wait for.
    fn drop_one(&self) -> Option<Dropped>;

    /// The bytes that [`Self::drop_one`] would free if it were called until it returns `None`.
    fn droppable_bytes(&self) -> u64;
}

/// The things that a runtime keeps on its device.
pub(super) struct OnDevice<T> {
    /// `None` for hardware that is not here, where nothing is ever kept.
    here: Option<Arc<dyn Device>>,
    executables: Mutex<Memory<T>>,
    holders: Mutex<Vec<Weak<dyn Holder>>>,
}

/// Work that is about to be done on the device, for messages.
pub(super) struct Doing<'a> {
    pub(super) stage: Option<&'a str>,
    pub(super) what: &'a str,
    /// The bytes that it takes at once, if they are known.
    pub(super) needed_bytes: Option<u64>,
    pub(super) footprint: Option<Footprint>,
}

impl<T: Held> OnDevice<T> {
    pub(super) fn new(here: Option<Arc<dyn Device>>, executables: Memory<T>) -> Self {
        Self { here, executables: executables.into(), holders: Mutex::default() }
    }

    pub(super) fn executables(&self) -> MutexGuard<'_, Memory<T>> {
        // A panic elsewhere leaves the table whole, because each of its methods makes one complete
        // change.
        self.executables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a holder, whose contents may be dropped.
    pub(super) fn add_holder(&self, holder: Weak<dyn Holder>) {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.retain(|holder| holder.strong_count() > 0);
        holders.push(holder);
    }

    fn holders(&self) -> Vec<Arc<dyn Holder>> {
        self.holders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Drops one thing that is not in use. Executables go before weights, because they are loaded
    /// from disk again in a fraction of a second.
    pub(super) fn drop_one(&self) -> Option<Dropped> {
        // The executable is dropped after the table is unlocked, because a plugin can take long to
        // unload it.
        let executable = self.executables().take_unused();
        let dropped = match executable {
            Some(graph) => Some(Dropped::executable(graph.footprint().code)),
            None => self.holders().iter().find_map(|holder| holder.drop_one()),
        };
        if let Some(Dropped { executables, weights, bytes }) = dropped {
            self.give_memory_back();
            tracing::info!(
                executables,
                weights,
                bytes,
                "dropped what is not in use, to make room on the device"
            );
        }
        dropped
    }

    /// Returns to the device the freed memory that its back end's allocator keeps for later use.
    /// Some memory is needed outside of this allocator, such as for kernels.
    pub(super) fn give_memory_back(&self) {
        if let Some(here) = &self.here {
            here.give_memory_back();
        }
    }

    /// Drops everything that is not in use.
    pub(super) fn drop_all(&self) -> Dropped {
        self.drop_until(|_| false)
    }

    /// Removes these executables. Those that are in use live until nobody holds them. Returns the
    /// bytes that become free at once.
    pub(super) fn forget(&self, keys: &HashSet<GraphKey>) -> u64 {
        let gone = self.executables().take(keys);
        let unused = gone.iter().filter(|graph| Arc::strong_count(graph) == 1);
        unused.map(|graph| graph.footprint().code).fold(0, u64::saturating_add)
    }

    /// The bytes that could be freed by dropping everything that is not in use.
    pub(super) fn droppable_bytes(&self) -> u64 {
        let executables = self.executables().unused_bytes();
        self.holders()
            .iter()
            .map(|holder| holder.droppable_bytes())
            .fold(executables, u64::saturating_add)
    }

    pub(super) fn free_bytes(&self) -> Option<u64> {
        self.here.as_ref()?.free_memory_bytes()
    }

    fn total_bytes(&self) -> Option<u64> {
        self.here.as_ref()?.total_memory_bytes()
    }

    /// Drops things that are not in use until this number of bytes is free, or nothing is left to
    /// drop. If the device does not report its free memory, nothing is dropped.
    ///
    /// Only the plugin knows whether the work then fits. It may already have reserved memory for an
    /// execution, and the host's allocator may hold free memory that the system counts as used.
    pub(super) fn make_room(&self, needed_bytes: u64) {
        let Some(free_at_first) = self.free_bytes() else { return };
        self.drop_until(|dropped| {
            needed_bytes <= free_at_first.saturating_add(dropped.bytes)
                || self.free_bytes().is_none_or(|free| needed_bytes <= free)
        });
    }

    /// Refuses an executable that does not fit on the device even if everything else is dropped.
    pub(super) fn check_fits_at_all(&self, doing: &Doing<'_>) -> Result<(), Box<OutOfMemory>> {
        // For a device of libtorch the figure is an estimate, and not all weights need to be on the
        // device at once.
        let by_the_compiler = self.here.as_ref().is_none_or(|here| here.knows_footprints());
        let needed = doing.footprint.filter(|_| by_the_compiler).map(|footprint| footprint.total());
        if needed.zip(self.total_bytes()).is_none_or(|(needed, total)| needed <= total) {
            return Ok(());
        }
        let doing = Doing { needed_bytes: needed, ..*doing };
        Err(self.out_of_memory(&doing, Dropped::default(), None))
    }

    /// Refuses work that takes more memory than is free after everything that is not in use was
    /// dropped.
    pub(super) fn check_fits_now(&self, doing: &Doing<'_>) -> Result<(), Box<OutOfMemory>> {
        let Some(needed) = doing.needed_bytes else { return Ok(()) };
        let fits = || self.free_bytes().is_none_or(|free| needed <= free);
        if fits() {
            return Ok(());
        }
        let dropped = self.drop_until(|_| fits());
        if fits() { Ok(()) } else { Err(self.out_of_memory(doing, dropped, None)) }
    }

    /// Does `work`, and repeats it after each thing that is dropped, as long as the device is out
    /// of memory.
    pub(super) fn with_room<D>(
        &self,
        doing: &Doing<'_>,
        mut work: impl FnMut() -> Result<D, DeviceFault>,
    ) -> Result<D, Failure> {
        let first = match work() {
            Err(cause) if cause.is_out_of_memory() => cause,
            other => return other.map_err(Failure::Other),
        };
        let mut dropped = Dropped::default();
        while let Some(one) = self.drop_one() {
            dropped += one;
            match work() {
                Ok(done) => return Ok(done),
                Err(again) if again.is_out_of_memory() => {}
                // For example, the first try may have used up a donated input. The first error is
                // the cause that is reported.
                Err(_) => break,
            }
        }
        Err(Failure::OutOfMemory(self.out_of_memory(doing, dropped, Some(first))))
    }

    /// Drops one thing after the other until `fits` returns true or nothing is left to drop. `fits`
    /// gets the sum of what was dropped.
    fn drop_until(&self, fits: impl Fn(Dropped) -> bool) -> Dropped {
        let mut dropped = Dropped::default();
        while !fits(dropped) {
            match self.drop_one() {
                Some(one) => dropped += one,
                None => break,
            }
        }
        dropped
    }

    pub(super) fn out_of_memory(
        &self,
        doing: &Doing<'_>,
        dropped: Dropped,
        cause: Option<DeviceFault>,
    ) -> Box<OutOfMemory> {
        let what = match doing.stage {
            Some(stage) => format!("stage `{stage}`: {}", doing.what),
            None => doing.what.to_owned(),
        };
        Box::new(OutOfMemory {
            doing: what,
            needed_bytes: doing.needed_bytes,
            footprint: doing.footprint,
            free_bytes: self.free_bytes(),
            total_bytes: self.total_bytes(),
            dropped,
            cause,
        })
    }
}

impl<T> std::fmt::Debug for OnDevice<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnDevice").finish_non_exhaustive()
    }
}

/// Why some work was not done.
pub(super) enum Failure {
    /// Memory ran out, and dropping what is not in use did not help.
    OutOfMemory(Box<OutOfMemory>),
    /// Another error.
    Other(DeviceFault),
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::backend::FaultKind;

    use super::*;

    /// A holder of this number of things of ten bytes each.
    struct Keeps(AtomicU64);

    impl Holder for Keeps {
        fn drop_one(&self) -> Option<Dropped> {
            let taken = self
                .0
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
            taken.ok().map(|_| Dropped::weights(10))
        }

        fn droppable_bytes(&self) -> u64 {
            self.0.load(Ordering::SeqCst) * 10
        }
    }

    /// A type of executable without values, because these tests need no executable.
    enum NoExecutable {}

    impl Held for NoExecutable {
        fn graph_key(&self) -> GraphKey {
            match *self {}
        }

        fn payload_bytes(&self) -> u64 {
            match *self {}
        }

        fn footprint(&self) -> Footprint {
            match *self {}
        }
    }

    fn with(holders: &[Arc<Keeps>]) -> OnDevice<NoExecutable> {
        let on_device = OnDevice::new(None, Memory::new(0));
        for holder in holders {
            let holder: Weak<dyn Holder> = Arc::downgrade(holder) as Weak<dyn Holder>;
            on_device.add_holder(holder);
        }
        on_device
    }

    fn keeps(count: u64) -> Arc<Keeps> {
        Arc::new(Keeps(count.into()))
    }

    fn failed(kind: FaultKind) -> DeviceFault {
        DeviceFault::new(kind, "no")
    }

    const DOING: Doing<'static> =
        Doing { stage: Some("denoiser"), what: "running it", needed_bytes: None, footprint: None };

    #[test]
    fn one_thing_after_the_other_is_dropped_until_it_fits() {
        let (one, other) = (keeps(2), keeps(3));
        let on_device = with(&[Arc::clone(&one), Arc::clone(&other)]);
        let left = || one.droppable_bytes() + other.droppable_bytes();
        assert_eq!(
            on_device.drop_until(|_| left() <= 50),
            Dropped::default(),
            "what fits drops nothing"
        );
        assert_eq!(on_device.drop_until(|dropped| dropped.bytes >= 25).bytes, 30);
        assert_eq!(left(), 20);
        let dropped = on_device.drop_until(|_| false);
        assert_eq!((dropped.weights, dropped.bytes, left()), (2, 20, 0));
        assert_eq!(on_device.drop_all(), Dropped::default());
    }

    #[test]
    fn out_of_memory_tries_again_after_each_and_fails_with_what_was_dropped() {
        let tries = AtomicU64::new(0);
        let work_at = |success: u64| {
            tries.store(0, Ordering::SeqCst);
            let tries = &tries;
            move || match tries.fetch_add(1, Ordering::SeqCst) + 1 {
                now if now >= success => Ok(now),
                _ => Err(failed(FaultKind::OutOfMemory)),
            }
        };
        let holder = keeps(3);
        let on_device = with(&[Arc::clone(&holder)]);
        assert!(matches!(on_device.with_room(&DOING, work_at(3)), Ok(3)));
        assert_eq!(holder.droppable_bytes(), 10);
        let Err(Failure::OutOfMemory(error)) = on_device.with_room(&DOING, work_at(9)) else {
            panic!("it worked")
        };
        assert_eq!(
            (error.dropped.weights, error.dropped.bytes, tries.load(Ordering::SeqCst)),
            (1, 10, 2)
        );
        assert!(
            error.to_string().starts_with("stage `denoiser`: running it: out of memory"),
            "{error}"
        );
        assert!(error.cause.is_some());
    }

    #[test]
    fn any_other_error_drops_nothing_and_one_on_the_way_does_not_hide_the_first() {
        let holder = keeps(2);
        let on_device = with(&[Arc::clone(&holder)]);
        let internal = || Err::<(), _>(failed(FaultKind::Failed));
        assert!(matches!(on_device.with_room(&DOING, internal), Err(Failure::Other(_))));
        assert_eq!(holder.droppable_bytes(), 20);
        let mut codes = [FaultKind::OutOfMemory, FaultKind::BadInput].into_iter();
        let then_gone = || Err::<(), _>(failed(codes.next().unwrap()));
        let Err(Failure::OutOfMemory(error)) = on_device.with_room(&DOING, then_gone) else {
            panic!("it worked")
        };
        assert_eq!(error.cause.unwrap().kind(), FaultKind::OutOfMemory);
        assert_eq!(holder.droppable_bytes(), 10);
    }

    #[test]
    fn a_holder_that_is_gone_is_forgotten() {
        let holder = keeps(1);
        let on_device = with(&[Arc::clone(&holder), keeps(7)]);
        assert_eq!(on_device.drop_all().weights, 1);
        drop(holder);
        assert_eq!(on_device.drop_all(), Dropped::default());
    }
}
