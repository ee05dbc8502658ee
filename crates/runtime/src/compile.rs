//! How is each graph compiled by only one thread of one process at a time?
//!
//! Threads of this process take turns (`flights.rs`). Between processes, the store has a lock for
//! each graph key.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use preheat_cache::{CompileLock, Counters, GraphKey, GraphRecord, KeyInputs};

use super::asked::Asked;
use super::cache::{Cache, Right};
use super::error::Error;
use super::flights::{Flights, Turn};
use super::lookup::{Lookups, explain_miss, missing};
use super::parts::{Inner, Rules};
use super::site::Site;
use super::warnings::{Warning, WarningKind, Warnings};
use crate::backend::contract::Compiled;
use crate::backend::{AheadError, CompileError};
use crate::progress::EventKind;

/// A request for a graph that was not found.
pub(super) struct Wanting<'a> {
    pub(super) inputs: &'a KeyInputs,
    pub(super) key: GraphKey,
    /// Whether the cached executable was found to be unusable.
    pub(super) refused: bool,
}

/// Where a thread looks again for the graph when it is its turn to compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// In memory. Another thread may have compiled the graph meanwhile; without a store, memory is
    /// the only place where its executable can be.
    Memory,
    /// In the store. Another process may have compiled the graph meanwhile.
    Store,
}

/// How a missing graph was obtained.
pub(super) enum Made<'a, L, F> {
    /// Another thread or process compiled it meanwhile.
    Found(F),
    /// This thread compiled it. No other thread compiles the graph until the turn is dropped. So
    /// the caller can put the executable into memory first.
    Compiled(Box<Fresh<L>>, Turn<'a>),
}

/// A graph that was just compiled.
pub(super) struct Fresh<L> {
    pub(super) loaded: L,
    pub(super) record: GraphRecord,
    pub(super) payload_bytes: u64,
    /// Whether it could be stored.
    pub(super) is_stored: bool,
}

/// The parts of a runtime that a compile needs.
#[derive(Clone, Copy)]
pub(super) struct Compiling<'a> {
    pub(super) site: &'a Site,
    pub(super) rules: Rules,
    pub(super) flights: &'a Flights,
    pub(super) cache: Option<&'a Cache>,
    pub(super) warnings: &'a Warnings,
}

impl Inner {
    /// The parts of this runtime that a compile needs.
    pub(crate) fn compiling(&self) -> Compiling<'_> {
        Compiling {
            site: &self.site,
            rules: self.rules,
            flights: &self.flights,
            cache: self.cache.as_deref(),
            warnings: &self.warnings,
        }
    }
}

impl<'a> Compiling<'a> {
    /// Compiles a graph with `run_compiler`, unless `look_again` finds that another thread or
    /// process has compiled it meanwhile.
    pub(super) fn compile<L, F>(
        &self,
        asked: &Asked<'_>,
        wanting: &Wanting<'_>,
        look_again: impl Fn(Again) -> Result<Option<F>, Error>,
        run_compiler: impl FnOnce() -> Result<(L, Compiled), CompileError>,
    ) -> Result<Made<'a, L, F>, Error> {
        let (stage, key) = (asked.graph.stage_name(), wanting.key);
        let nearest = self.lookups().nearest(asked, wanting.inputs);
        if asked.require_warm {
            return Err(Error::NotWarm(vec![missing(asked, key, nearest)]));
        }
        let expected_seconds = nearest.as_ref().and_then(|(_, seconds)| *seconds);
        if self.rules.manual_warmup && !asked.warming {
            let text = format!("not warm: stage `{stage}` has to be compiled");
            self.warnings.warn(Warning::new(WarningKind::NotWarm, text));
        }
        if !asked.force_recompile {
            explain_miss(stage, &key, nearest.as_ref());
        }
        let turn = self.turn(asked, key)?;
        let looks = self.rules.reuse && !asked.force_recompile;
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
        if asked.control.is_cancelled() {
            return Err(Error::Cancelled);
        }
        asked.tell(EventKind::Compiling { expected_seconds });
        let compiling = asked.trace("compile");
        let (loaded, compiled) = run_compiler()
            .map_err(|cause| self.not_compiled(asked, &turn, lock.as_mut(), cause))?;
        drop(compiling);
        asked.tell(EventKind::Compiled { seconds: compiled.measurements.compile_seconds });
        let fresh = self.store(asked, wanting.inputs, loaded, compiled);
        Ok(Made::Compiled(Box::new(fresh), turn))
    }

    fn lookups(&self) -> Lookups<'_> {
        Lookups { site: self.site, cache: self.cache, warnings: self.warnings }
    }

    /// Takes the right to compile the graph, which only one process has at a time.
    fn right_to_compile(
        &self,
        asked: &Asked<'_>,
        turn: &Turn<'_>,
        looks: bool,
    ) -> Result<Right, Error> {
        let Some(cache) = self.cache else { return Ok(Right::Without) };
        let began = Instant::now();
        let waits = Cell::new(false);
        let tell = |waiting| {
            waits.set(true);
            asked.tell(waiting);
        };
        let right = cache.lock(
            asked.graph.stage_name(),
            &turn.key,
            looks,
            &tell,
            asked.control.flag(),
            self.warnings,
        );
        if waits.get() && !matches!(right, Err(Error::Cancelled)) {
            asked.has_waited(began.elapsed());
        }
        right.inspect_err(|error| turn.fail(error))
    }

    /// Counts a failed compile. If the graph is the reason, the error is passed on to the threads
    /// and processes that wait for the compile.
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
        asked.count(Counters { failed_compiles: 1, ..Counters::default() });
        // If the compile failed because of the present state of this process's device or memory,
        // that says nothing about the graph. So those who wait try to compile it themselves.
        let is_of_the_graph = !cause.is_passing();
        if let Some(lock) = lock.filter(|_| is_of_the_graph) {
            lock.fail(&cause.to_string());
        }
        let (stage, device) = (asked.graph.stage_name().to_owned(), self.site.device());
        let error = Error::Compile { stage, graph_key: turn.key, device, cause: Arc::new(cause) };
        if is_of_the_graph {
            turn.fail(&error);
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
        let mut record = GraphRecord::new(stage, self.site.device().to_string(), inputs);
        record.interface = compiled.interface;
        record.abi_version = compiled.abi_version;
        record.measurements = compiled.measurements;
        for leading in asked.leading {
            record.add_signature(leading.clone());
        }
        if asked.leading.is_empty() {
            record.add_signature(asked.recorded());
        }
        let mut is_stored = false;
        let payload_bytes = match &compiled.payload {
            Ok(payload) => {
                if let Some(cache) = self.cache {
                    is_stored = cache.put(&record, &inputs.program, payload, self.warnings);
                    if is_stored {
                        let (key, warnings) = (&record.graph_key, self.warnings);
                        cache.upload_later(key, &asked.projection_key, &asked.exact, warnings);
                    }
                }
                payload.len() as u64
            }
            Err(error) => {
                self.warnings.warn(format!(
                    "the executable of stage `{stage}` cannot be kept, because the plugin does not \
                     serialise it: {error}"
                ));
                // The size of the machine code is not known. The program's size is used instead, so
                // that the executable counts towards the limit of memory.
                inputs.program.bytes().len() as u64
            }
        };
        Fresh { loaded, record, payload_bytes, is_stored }
    }

    /// Waits until no other thread of this process is compiling the graph.
    fn turn(&self, asked: &Asked<'_>, key: GraphKey) -> Result<Turn<'a>, Error> {
        let waits = Cell::new(None);
        let turn = self.flights.turn(asked.graph.stage_name(), key, |waited| {
            waits.set(Some(waited));
            if asked.control.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let holder = Some(format!("process {}", std::process::id()));
            asked.tell(EventKind::Waiting { holder, compiling: None, waited });
            Ok(())
        });
        if let Some(waited) = waits.get().filter(|_| !matches!(turn, Err(Error::Cancelled))) {
            asked.has_waited(waited);
        }
        turn
    }
}
