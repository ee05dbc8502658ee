//! How is each graph compiled by only one thread of one process at a time?

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use preheat_cache::{CompileLock, GraphKey, GraphRecord, KeyInputs};

use super::Inner;
use super::cache::Right;
use super::error::Error;
use super::lookup::{explain_miss, missing};
use super::obtain::recorded;
use super::request::Asked;
use crate::backend::xla::Compiled;
use crate::backend::{AheadError, CompileError};
use crate::device::DeviceName;
use crate::progress::EventKind;

/// How often a thread checks whether another has finished its compile.
const TURN_POLL: Duration = Duration::from_millis(25);

/// A request for a graph that was looked for and not found.
pub(super) struct Wanting<'a> {
    pub(super) inputs: &'a KeyInputs,
    pub(super) key: GraphKey,
    /// Whether the cached executable is known to be of no use.
    pub(super) refused: bool,
}

/// Where to look again when it is this thread's turn to compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// In memory. Another thread may have compiled the graph meanwhile; without a store, memory is
    /// the only place where its executable can be.
    Memory,
    /// In the store. Another process may have compiled the graph meanwhile.
    Store,
}

/// How a missing graph was obtained.
pub(super) enum Made<L, F> {
    /// Another thread or process compiled it meanwhile.
    Found(F),
    /// This thread compiled it.
    Compiled(Box<Fresh<L>>),
}

/// A graph that was just compiled.
pub(super) struct Fresh<L> {
    pub(super) loaded: L,
    pub(super) record: GraphRecord,
    pub(super) payload_bytes: u64,
    /// Whether it could be stored.
    pub(super) is_stored: bool,
}

impl Inner {
    /// Has `run_compiler` compile a graph, unless `look_again` finds that another thread or process
    /// has done so meanwhile.
    pub(super) fn compile<L, F>(
        &self,
        asked: &Asked<'_>,
        wanting: &Wanting<'_>,
        look_again: impl Fn(Again) -> Result<Option<F>, Error>,
        run_compiler: impl FnOnce() -> Result<(L, Compiled), CompileError>,
    ) -> Result<Made<L, F>, Error> {
        let (stage, key) = (asked.graph.stage_name(), wanting.key);
        let nearest = self.nearest(asked, wanting.inputs);
        if asked.require_warm {
            return Err(Error::NotWarm(vec![missing(asked, key, nearest)]));
        }
        let expected_seconds = nearest.as_ref().and_then(|(_, seconds)| *seconds);
        if self.manual_warmup && !asked.warming {
            self.warnings
                .warn(format!("not warm: stage `{stage}` has to be compiled (`preheat warmup` does it ahead of time)"));
        }
        if !asked.force_recompile {
            explain_miss(stage, &key, nearest.as_ref());
        }
        let turn = self.turn(asked, key)?;
        let looks = self.reuse && !asked.force_recompile;
        if looks && let Some(found) = look_again(Again::Memory)? {
            return Ok(Made::Found(found));
        }
        let mut waits_for_object = looks && !wanting.refused;
        let mut lock = loop {
            match self.right_to_compile(asked, &turn, waits_for_object)? {
                Right::Held(lock) => break Some(lock),
                Right::Without => break None,
                Right::IsThere => {}
            }
            if let Some(found) = look_again(Again::Store)? {
                return Ok(Made::Found(found));
            }
            // The stored executable cannot be used, so the graph is compiled again after the other
            // process has finished.
            waits_for_object = false;
        };
        let replaced = lock.as_ref().is_some_and(|lock| lock.waited().is_some());
        if looks
            && (!wanting.refused || replaced)
            && let Some(found) = look_again(Again::Store)?
        {
            return Ok(Made::Found(found));
        }
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        asked.tell(self, EventKind::Compiling { expected_seconds });
        let compiling = asked.trace(self, "compile");
        let (loaded, compiled) = run_compiler()
            .map_err(|cause| self.not_compiled(asked, &turn, lock.as_mut(), cause))?;
        drop(compiling);
        asked.tell(self, EventKind::Compiled { seconds: compiled.measurements.compile_seconds });
        Ok(Made::Compiled(Box::new(self.store(asked, wanting.inputs, loaded, compiled))))
    }

    /// Takes the right to compile the graph, which processes share.
    fn right_to_compile(
        &self,
        asked: &Asked<'_>,
        turn: &Turn<'_>,
        looks: bool,
    ) -> Result<Right, Error> {
        let Some(cache) = &self.cache else { return Ok(Right::Without) };
        let tell = |waiting| asked.tell(self, waiting);
        let right = cache.lock(
            asked.graph.stage_name(),
            &turn.key,
            looks,
            &tell,
            &self.cancel,
            &self.warnings,
        );
        right.inspect_err(|error| turn.flight.fail(error))
    }

    /// Notes that a compile failed, and tells those who wait for it.
    fn not_compiled(
        &self,
        asked: &Asked<'_>,
        turn: &Turn<'_>,
        lock: Option<&mut CompileLock>,
        cause: CompileError,
    ) -> Error {
        if matches!(cause, CompileError::Ahead(AheadError::Cancelled)) {
            return Error::Cancelled;
        }
        if let Some(cache) = &self.cache {
            cache.count(|counters| counters.failed_compiles += 1);
        }
        // A failure that comes from the present state of this process's device or memory says
        // nothing about the graph: others try for themselves.
        let is_of_the_graph = !cause.is_passing();
        if let Some(lock) = lock.filter(|_| is_of_the_graph) {
            lock.fail(&cause.to_string());
        }
        let (stage, device) = (asked.graph.stage_name().to_owned(), self.backend.device());
        let error = Error::Compile { stage, graph_key: turn.key, device, cause: Arc::new(cause) };
        if is_of_the_graph {
            turn.flight.fail(&error);
        }
        error
    }

    fn store<L>(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
        loaded: L,
        compiled: Compiled,
    ) -> Fresh<L> {
        let stage = asked.graph.stage_name();
        let mut record = GraphRecord::new(stage, self.backend.device().to_string(), inputs);
        record.interface = compiled.interface;
        record.abi_version = compiled.abi_version;
        record.measurements = compiled.measurements;
        for leading in asked.leading {
            record.add_signature(leading.clone());
        }
        if asked.leading.is_empty() {
            record.add_signature(recorded(asked));
        }
        let mut is_stored = false;
        let payload_bytes = match &compiled.payload {
            Ok(payload) => {
                if let Some(cache) = &self.cache {
                    is_stored = cache.put(&record, &inputs.program, payload, &self.warnings);
                }
                payload.len() as u64
            }
            Err(error) => {
                self.warnings.warn(format!(
                    "stage `{stage}` cannot be kept, the plugin does not serialise it: {error}"
                ));
                // The size of the machine code is not known. The program's size stands in for it,
                // so that the limit of memory takes the executable into account.
                inputs.program.bytes().len() as u64
            }
        };
        Fresh { loaded, record, payload_bytes, is_stored }
    }

    /// Waits until no other thread of this process is compiling the graph. Other processes are kept
    /// out by the key's lock, which does not exist in a store that cannot be written.
    fn turn(&self, asked: &Asked<'_>, key: GraphKey) -> Result<Turn<'_>, Error> {
        let began = Instant::now();
        let mut awaited: Option<Arc<Flight>> = None;
        loop {
            if let Some(failed) =
                awaited.as_ref().and_then(|flight| flight.failure(asked.graph.stage_name()))
            {
                return Err(failed);
            }
            let flight = match self.compiling().entry(key) {
                Entry::Vacant(free) => {
                    let flight = Arc::clone(free.insert(Arc::default()));
                    return Ok(Turn { inner: self, key, flight });
                }
                Entry::Occupied(taken) => Arc::clone(taken.get()),
            };
            if awaited.replace(flight).is_none()
                && let Some(cache) = &self.cache
            {
                cache.count(|counters| counters.single_flight_waits += 1);
            }
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let holder = Some(format!("process {}", std::process::id()));
            asked.tell(
                self,
                EventKind::Waiting { holder, compiling: None, waited: began.elapsed() },
            );
            std::thread::sleep(TURN_POLL);
        }
    }

    fn compiling(&self) -> MutexGuard<'_, HashMap<GraphKey, Arc<Flight>>> {
        self.compiling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to compile a graph in this process, until it is dropped.
struct Turn<'a> {
    inner: &'a Inner,
    key: GraphKey,
    flight: Arc<Flight>,
}

/// A compile that is under way. If it fails, everyone who is waiting for it is told. A later
/// request compiles again.
#[derive(Debug, Default)]
pub(super) struct Flight {
    failed: OnceLock<Failure>,
}

/// Why a compile failed.
#[derive(Debug)]
enum Failure {
    Here { graph_key: GraphKey, device: DeviceName, cause: Arc<CompileError> },
    Elsewhere { graph_key: GraphKey, pid: u32, reason: String },
}

impl Flight {
    /// Notes that the compile failed. An error of another kind concerns one request alone.
    fn fail(&self, error: &Error) {
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
        let _ = self.failed.set(failure);
    }

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

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.inner.compiling().remove(&self.key);
    }
}
