//! Who does the work that is meant for another thread, if no thread can be started?
//!
//! Containers and users have limits on threads, and the standard library's own functions panic when
//! a limit is reached. Here the calling thread does the work itself.

use std::panic::resume_unwind;
use std::sync::{Arc, RwLock};
use std::thread::Builder;
use std::thread::{Scope, ScopedJoinHandle};

/// Work that was given to another thread, or has already been done.
pub enum Started<'scope, T> {
    /// Another thread does it.
    Elsewhere(ScopedJoinHandle<'scope, T>),
    /// The calling thread has done it; this is the result.
    Done(T),
}

/// Starts `work` on another thread. If none can be started, the work is done before this returns.
pub fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: &'scope (impl Fn() -> T + Sync),
) -> Started<'scope, T> {
    match Builder::new().spawn_scoped(scope, work) {
        Ok(thread) => Started::Elsewhere(thread),
        Err(error) => {
            tracing::debug!(%error, "no thread can be started, so the work is done on this one");
            Started::Done(work())
        }
    }
}

impl<T> Started<'_, T> {
    /// Waits for the result. If the other thread panicked, this thread panics, too.
    pub fn join(self) -> T {
        match self {
            Self::Elsewhere(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Self::Done(value) => value,
        }
    }
}

/// Runs `worker` on this thread and on up to `threads - 1` others, and waits for all of them. All
/// calls share the work: each of them takes pieces of it until none is left.
pub fn together(threads: usize, worker: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        let others = (1..threads).map_while(|_| Builder::new().spawn_scoped(scope, &worker).ok());
        let others: Vec<_> = others.collect();
        worker();
        for other in others {
            other.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
}

/// Checks that this number of further threads can be started at this moment.
///
/// # Errors
/// The system's error for the first thread that cannot be started.
pub fn available(count: usize) -> std::io::Result<()> {
    let gate = Arc::new(RwLock::new(()));
    let closed = gate.write();
    let started: Vec<_> = (0..count)
        .map(|_| {
            let gate = Arc::clone(&gate);
            Builder::new().spawn(move || drop(gate.read()))
        })
        .collect();
    drop(closed);
    started.into_iter().try_for_each(|thread| thread.map(|thread| drop(thread.join())))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::{Barrier, Mutex};

    use super::*;

    #[test]
    fn work_is_done_once_on_each_thread() {
        let (met, seen) = (Barrier::new(3), Mutex::new(HashSet::new()));
        together(3, || {
            met.wait();
            seen.lock().unwrap().insert(std::thread::current().id());
        });
        assert_eq!(seen.into_inner().unwrap().len(), 3);
    }

    #[test]
    fn what_a_thread_gives_is_had_by_who_joins_it() {
        let three = || 3;
        assert_eq!(std::thread::scope(|scope| start(scope, &three).join()), 3);
    }
}
