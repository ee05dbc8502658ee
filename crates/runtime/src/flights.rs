//! Which thread of this process compiles a graph that several threads ask for?
//!
//! The first one does, and the others wait. Other processes are kept out by the store's lock for
//! the graph's key (`compile.rs`). If there is no store that can be written, only this module
//! prevents a graph from being compiled twice.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use preheat_cache::GraphKey;

use super::error::Error;
use crate::backend::CompileError;
use crate::device::DeviceName;

/// How often a thread checks whether another has finished its compile.
const TURN_POLL: Duration = Duration::from_millis(25);

/// The graphs that threads of this process are compiling.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<GraphKey, Arc<Flight>>>);

/// The right to compile a graph in this process, until it is dropped. The thread that has it keeps
/// it until other threads can find the executable.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    flights: &'a Flights,
    pub(super) key: GraphKey,
    flight: Arc<Flight>,
}

/// A compile that is under way. If it fails because of the graph, each thread that is waiting for
/// it gets its error. If it fails for another reason, the waiting threads compile the graph
/// themselves. A later request always compiles again.
#[derive(Debug, Default)]
struct Flight {
    failed: OnceLock<Failure>,
}

/// Why a compile failed.
#[derive(Debug)]
enum Failure {
    Here { graph_key: GraphKey, device: DeviceName, cause: Arc<CompileError> },
    Elsewhere { graph_key: GraphKey, pid: u32, reason: String },
}

impl Flights {
    /// Waits until no other thread of this process is compiling the graph. `waiting` is called
    /// repeatedly meanwhile, with the time waited so far. If it returns an error, the wait ends.
    ///
    /// # Errors
    /// The error that `waiting` returned, or the error of the compile that this thread waited for.
    /// The error of that compile names `stage` as the stage that failed.
    pub(super) fn turn(
        &self,
        stage: &str,
        key: GraphKey,
        mut waiting: impl FnMut(Duration) -> Result<(), Error>,
    ) -> Result<Turn<'_>, Error> {
        let began = Instant::now();
        let mut awaited: Option<Arc<Flight>> = None;
        loop {
            if let Some(failed) = awaited.as_ref().and_then(|flight| flight.failure(stage)) {
                return Err(failed);
            }
            awaited = Some(match self.table().entry(key) {
                Entry::Vacant(free) => {
                    let flight = Arc::clone(free.insert(Arc::default()));
                    return Ok(Turn { flights: self, key, flight });
                }
                Entry::Occupied(taken) => Arc::clone(taken.get()),
            });
            waiting(began.elapsed())?;
            std::thread::sleep(TURN_POLL);
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<GraphKey, Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Passes the error of this compile on to the threads that wait for it. An error that is not
    /// about the compile is not passed on, because it concerns this request alone.
    pub(super) fn fail(&self, error: &Error) {
        let failure = match error {
            Error::Compile { graph_key, device, cause, .. } => {
                Failure::Here { graph_key: *graph_key, device: *device, cause: Arc::clone(cause) }
            }
            Error::CompileElsewhere { graph_key, pid, reason, .. } => {
                Failure::Elsewhere { graph_key: *graph_key, pid: *pid, reason: reason.clone() }
            }
            _ => return,
        };
        // Each compile has one turn, which can fail only once.
        let _ = self.flight.failed.set(failure);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.flights.table().remove(&self.key);
    }
}

impl Flight {
    fn failure(&self, stage: &str) -> Option<Error> {
        let stage = stage.to_owned();
        Some(match self.failed.get()? {
            Failure::Here { graph_key, device, cause } => Error::Compile {
                stage,
                graph_key: *graph_key,
                device: *device,
                cause: Arc::clone(cause),
            },
            Failure::Elsewhere { graph_key, pid, reason } => Error::CompileElsewhere {
                stage,
                graph_key: *graph_key,
                pid: *pid,
                reason: reason.clone(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use preheat_cache::Digest;

    use super::*;
    use crate::backend::{DeviceFault, FaultKind};

    fn key(name: &str) -> GraphKey {
        GraphKey(Digest::of(name.as_bytes()))
    }

    #[test]
    fn one_thread_has_a_key_s_turn_and_other_keys_wait_for_nobody() {
        let (flights, inside, most) = (Flights::default(), AtomicU32::new(0), AtomicU32::new(0));
        let _other = flights.turn("vae", key("other"), |_| panic!("it is free")).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let _turn = flights.turn("unet", key("one"), |_| Ok(())).unwrap();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn who_waits_is_told_of_a_failure_and_a_later_request_is_not() {
        let flights = Flights::default();
        let turn = flights.turn("unet", key("one"), |_| Ok(())).unwrap();
        std::thread::scope(|scope| {
            let (sender, waits) = std::sync::mpsc::channel();
            let waiting = scope.spawn(|| {
                let told = move |_| {
                    sender.send(()).unwrap();
                    Ok(())
                };
                flights.turn("the waiter's stage", key("one"), told).map(drop)
            });
            waits.recv().unwrap();
            turn.fail(&Error::Compile {
                stage: "unet".to_owned(),
                graph_key: key("one"),
                device: DeviceName::XlaCpu,
                cause: Arc::new(DeviceFault::new(FaultKind::Failed, "no").into()),
            });
            drop(turn);
            let error = waiting.join().unwrap().unwrap_err();
            assert!(
                matches!(&error, Error::Compile { stage, .. } if stage == "the waiter's stage"),
                "{error}"
            );
        });
        assert!(flights.turn("unet", key("one"), |_| panic!("nobody has it")).is_ok());
    }

    #[test]
    fn a_wait_ends_when_its_caller_says_so_and_the_turn_goes_on() {
        let flights = Flights::default();
        let turn = flights.turn("unet", key("one"), |_| Ok(())).unwrap();
        let stopped = flights.turn("unet", key("one"), |_| Err(Error::Cancelled));
        assert!(matches!(stopped, Err(Error::Cancelled)));
        assert_eq!(flights.table().len(), 1);
        drop(turn);
        assert!(flights.table().is_empty());
    }
}
