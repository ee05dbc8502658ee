//! Upgrade day: what the cache holds for other plugin builds, made ready for this one from the
//! programs in its records.
//!
//! Neither a model nor a pipeline is asked. A record tells the program, how it was compiled, and
//! for each request that led to it what the key of level 1 was made of, so that the same requests
//! find the new executable without a lowering.

mod graphs;
mod targets;

use preheat_cache::{GraphKey, GraphRecord};

use self::graphs::Origin;
pub use self::targets::RewarmedTarget;
use super::Runtime;
use super::compile_slots::{Room, UNMEASURED_PEAK_BYTES, locked};
use super::error::Error;
use super::survival::Survival;
use crate::progress::{Event, EventKind};

/// What is made ready.
#[derive(Debug, Clone, Default)]
pub struct Rewarm {
    /// Only graphs that one of these models led to; where none is named, all.
    pub models: Vec<String>,
    /// Whether graphs for other hardware of the same platform are taken as well, and not only those
    /// that another build of the plugin, or other flags, compiled for the same hardware.
    pub from_other_hardware: bool,
    /// How many compiles may run at once, memory allowing; `None`: one for every two processors.
    pub jobs: Option<usize>,
}

impl Rewarm {
    /// Whether a graph is of one of the models, where any is named.
    fn wants(&self, record: &GraphRecord) -> bool {
        let leads = |model: &String| {
            record.signatures.iter().any(|recorded| recorded.signature.model_id == *model)
        };
        self.models.is_empty() || self.models.iter().any(leads)
    }
}

/// One graph, and what became of it.
#[derive(Debug)]
pub struct Rewarmed {
    /// The model of the latest request that led to it; empty where none is known.
    pub model_id: String,
    /// Its stage.
    pub stage: String,
    /// The graph that the cache held.
    pub from: GraphKey,
    /// Its key for this plugin and hardware; `None` where its program is gone.
    pub graph_key: Option<GraphKey>,
    /// How it came to be in the cache, or why it is not.
    pub outcome: Result<Renewed, Error>,
}

/// How a graph came to be in the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Renewed {
    /// It was compiled from its program.
    Recompiled {
        /// Seconds the compile took.
        compile_seconds: f64,
        /// The most memory it held; 0 where the system does not tell.
        compile_peak_bytes: u64,
    },
    /// Its machine code is that of the older build: the plugin says that it takes it.
    Kept,
    /// It was there before.
    AlreadyThere,
}

impl Runtime {
    /// Makes ready for this runtime's plugin and hardware what its cache holds for others, from the
    /// programs in the records.
    ///
    /// Machine code that differs in nothing but the plugin's build, and which that build says it
    /// takes (the `AbiVersion` extension), is not compiled anew but kept under its new key. What is
    /// done is kept, whatever becomes of the rest.
    ///
    /// # Errors
    /// Where there is no cache that can be written, and where someone asked to stop. A graph that
    /// cannot be compiled is told with the others.
    pub fn rewarm(&self, how: &Rewarm) -> Result<Vec<Rewarmed>, Error> {
        let inner = &self.inner;
        let cache = inner.cache()?;
        if cache.main().is_read_only() {
            return Err(preheat_cache::StoreError::ReadOnly { path: cache.dir().to_owned() }.into());
        }
        let mut origins = graphs::origins(cache.records()?, how, inner.backend.environment());
        // The longest first, so that none of them is left alone at the end.
        origins.sort_by(|one, other| other.expected_seconds().total_cmp(&one.expected_seconds()));
        let may_outlive = origins
            .iter()
            .flat_map(Origin::records)
            .any(|record| graphs::may_outlive(record, inner));
        let survival = if may_outlive { Survival::of(inner)? } else { Survival::Unknown };
        let room = Room::here(how.jobs);
        let done = std::sync::Mutex::new(Vec::with_capacity(origins.len()));
        self.tell_rewarmed(&origins, &[], &room);
        room.work_through(
            &origins,
            || self.is_cancelled(),
            |origin| {
                let one = inner.renew(origin, &survival, || {
                    room.enter(origin.peak_bytes().unwrap_or(UNMEASURED_PEAK_BYTES))
                });
                let mut done = locked(&done);
                done.push(one);
                self.tell_rewarmed(&origins, &done, &room);
            },
        );
        self.flush();
        if self.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if let Err(cause) = cache.main().tidy() {
            tracing::debug!(%cause, "the index is not made smaller");
        }
        Ok(done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// How much is done, and how long the rest may take.
    fn tell_rewarmed(&self, origins: &[Origin], done: &[Rewarmed], room: &Room) {
        let left = origins.iter().filter(|origin| !done.iter().any(|one| one.from == origin.key()));
        let seconds = left.fold(0.0, |sum, origin| sum + origin.expected_seconds());
        #[expect(clippy::cast_precision_loss, reason = "a handful of jobs")]
        let seconds_left = Some(seconds / room.jobs as f64).filter(|&seconds| seconds > 0.0);
        let kind = EventKind::Precompiled { done: done.len(), total: origins.len(), seconds_left };
        self.progress().event(Event {
            model_id: self.device().selected.clone(),
            stage: String::new(),
            kind,
        });
    }
}
