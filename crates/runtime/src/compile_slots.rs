//! May another compile start now, beside those that run?
//!
//! A limit on their number and the free memory of this machine decide.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::backend::host_memory::host_memory;
use crate::threads;

/// The memory in bytes that is assumed for a compile if no compile like it was measured. It is a
/// little more than the largest measurement: the denoiser of Stable Diffusion XL for a v5e
/// (docs/tpu.md).
pub const UNMEASURED_PEAK_BYTES: u64 = 4 << 30;

/// Admits compiles up to a limit of their number, and only as many at once as fit into memory.
pub struct Room {
    /// How many compiles may run at once, if memory allows.
    pub jobs: usize,
    /// The memory that all compiles together may take. `None` if it is not known; only the number
    /// of compiles is bounded then.
    bytes: Option<u64>,
    taken: Mutex<Taken>,
    freed: Condvar,
}

#[derive(Default)]
struct Taken {
    compiles: usize,
    bytes: u64,
}

/// The place of a compile in a [`Room`]. It becomes free when this is dropped.
pub struct CompilePlace<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Room {
    /// The room that this machine has now, for `jobs` compiles at once; `None` stands for one
    /// compile for every two processors.
    pub fn here(jobs: Option<usize>) -> Self {
        Self::new(jobs.unwrap_or_else(default_jobs), available_bytes())
    }

    fn new(jobs: usize, bytes: Option<u64>) -> Self {
        Self { jobs: jobs.max(1), bytes, taken: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits until there is room for a compile that may hold `bytes` of memory. A compile that
    /// would run alone is always admitted.
    pub fn enter(&self, bytes: u64) -> CompilePlace<'_> {
        let fits = |taken: &Taken| {
            let has_memory = self.bytes.is_none_or(|all| taken.bytes.saturating_add(bytes) <= all);
            taken.compiles == 0 || (taken.compiles < self.jobs && has_memory)
        };
        let taken = self.freed.wait_while(locked(&self.taken), |taken| !fits(taken));
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        taken.compiles += 1;
        taken.bytes = taken.bytes.saturating_add(bytes);
        CompilePlace { room: self, bytes }
    }

    /// Does `work` for each task, on as many threads as there may be compiles at once, until `stop`
    /// returns true. `work` has to call [`Self::enter`] before it compiles.
    pub fn work_through<T: Sync>(
        &self,
        tasks: &[T],
        stop: impl Fn() -> bool + Sync,
        work: impl Fn(&T) + Sync,
    ) {
        let queue = Mutex::new(tasks.iter());
        let next = || locked(&queue).next();
        threads::together(self.jobs.min(tasks.len()), || {
            while !stop()
                && let Some(task) = next()
            {
                work(task);
            }
        });
    }
}

impl Drop for CompilePlace<'_> {
    fn drop(&mut self) {
        let mut taken = locked(&self.room.taken);
        taken.compiles -= 1;
        taken.bytes = taken.bytes.saturating_sub(self.bytes);
        self.room.freed.notify_all();
    }
}

/// Locks a mutex, even if a thread panicked while it held the lock. A panic of a worker ends all of
/// the work, so nothing reads the value after a panic.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One compile for every two processors, because XLA keeps about two busy with one compile.
fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).max(1))
}

/// The memory that compiles may take: what programs can have now, less a tenth for other programs.
fn available_bytes() -> Option<u64> {
    host_memory().map(|memory| memory.available_bytes / 10 * 9)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// How many of eight compiles were in the room at once at most, if each of them takes `bytes`.
    fn most_at_once(room: &Room, bytes: u64) -> usize {
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _place = room.enter(bytes);
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        most.into_inner()
    }

    #[test]
    fn memory_bounds_what_is_compiled_at_once_and_one_always_fits() {
        assert_eq!(most_at_once(&Room::new(4, Some(10)), 1), 4);
        assert_eq!(most_at_once(&Room::new(4, Some(10)), 5), 2);
        assert_eq!(most_at_once(&Room::new(4, Some(10)), 11), 1);
        assert_eq!(most_at_once(&Room::new(4, None), u64::MAX), 4);
        assert_eq!(most_at_once(&Room::new(0, Some(10)), 1), 1);
    }
}
