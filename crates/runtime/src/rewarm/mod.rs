//! How does a cache become warm again after an upgrade of the plugin?
//!
//! The graphs that the cache holds for other plugin builds are compiled for this one, from the
//! programs in their records. Neither a model nor a pipeline is needed. A record has the program
//! and its compile options. It also has the inputs of level 1's key for each request that led to
//! it, so that the same requests find the new executable without lowering a graph.

mod graphs;
mod targets;

use preheat_cache::{GraphKey, GraphRecord};

use self::graphs::{Origin, Renewal};
pub use self::targets::RewarmedTarget;
use super::Runtime;
use super::compile_slots::{Room, UNMEASURED_PEAK_BYTES, locked};
use super::error::Error;
use super::survival::Survival;
use crate::progress::{Event, EventKind};

/// Which graphs are rewarmed.
#[derive(Debug, Clone, Default)]
pub struct Rewarm {
    /// Only graphs that one of these models led to; an empty list stands for all graphs.
    pub models: Vec<String>,
    /// Whether graphs for other hardware of the same platform are included. If not, only graphs for
    /// the same hardware are included, compiled by another build of the plugin or with other flags.
    pub from_other_hardware: bool,
    /// How many compiles may run at once, if memory allows; `None` stands for one compile for every
    /// two processors.
    pub jobs: Option<usize>,
}

impl Rewarm {
    /// Whether a graph belongs to one of the models, if any is named.
    fn wants(&self, record: &GraphRecord) -> bool {
        let leads = |model: &String| {
            record.signatures.iter().any(|recorded| recorded.signature.model_id == *model)
        };
        self.models.is_empty() || self.models.iter().any(leads)
    }
}

/// One graph, and the result of rewarming it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rewarmed {
    /// The model of the latest request that led to it; empty if none is known.
    pub model_id: String,
    /// The graph's stage.
    pub stage: String,
    /// The graph that the cache held.
    pub from: GraphKey,
    /// Its key for this plugin and hardware; `None` if its program could not be read from the
    /// cache, or cannot run here as it is written.
    pub graph_key: Option<GraphKey>,
    /// How the graph's executable got into the cache, or why it is not there.
    pub outcome: Result<Renewed, Error>,
}

/// How an executable got into the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Renewed {
    /// It was compiled from its program.
    Recompiled {
        /// Seconds the compile took.
        compile_seconds: f64,
        /// The most memory that the compile held; 0 if the system does not report it.
        compile_peak_bytes: u64,
    },
    /// The older build's machine code was kept, because the plugin says that it accepts this code.
    Kept,
    /// The executable was already there.
    AlreadyThere,
}

impl Runtime {
    /// Makes the graphs that the cache holds for other environments warm for this runtime's plugin
    /// and hardware, from the programs in the records.
    ///
    /// Machine code that differs in the plugin's build alone is not compiled again if this build
    /// says that it accepts the code (the `AbiVersion` extension). The code is then stored
    /// unchanged under its new key. Each result is stored, whatever happens to the others.
    ///
    /// # Errors
    /// If there is no cache, if it is read-only or its records cannot be read, or if the caller
    /// asked to stop. A graph that cannot be compiled is not an error here: it is listed with the
    /// others.
    pub fn rewarm(&self, how: &Rewarm) -> Result<Vec<Rewarmed>, Error> {
        let inner = &self.inner;
        let cache = inner.cache()?;
        if cache.main().is_read_only() {
            return Err(preheat_cache::StoreError::ReadOnly { path: cache.dir().to_owned() }.into());
        }
        let mut origins = graphs::origins(cache.records()?, how, inner.site.environment());
        // The longest compiles come first, so that none of them runs alone at the end.
        origins.sort_by(|one, other| other.expected_seconds().total_cmp(&one.expected_seconds()));
        let may_outlive = origins
            .iter()
            .flat_map(Origin::records)
            .any(|record| graphs::may_outlive(record, &inner.site));
        let survival =
            if may_outlive { Survival::of(&inner.site, &self.control)? } else { Survival::Unknown };
        let renewal = Renewal {
            control: &self.control,
            recorder: inner.recorder.as_ref(),
            counting: inner.counting(),
            precompiling: inner.precompiling()?,
            survival,
        };
        let room = Room::here(how.jobs);
        let done = std::sync::Mutex::new(Vec::with_capacity(origins.len()));
        self.tell_rewarmed(&origins, &[], &room);
        room.work_through(
            &origins,
            || self.is_cancelled(),
            |origin| {
                let one = renewal.renew(origin, || {
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

    /// Reports how many graphs are done, and how long the others may take.
    fn tell_rewarmed(&self, origins: &[Origin], done: &[Rewarmed], room: &Room) {
        let left = origins.iter().filter(|origin| !done.iter().any(|one| one.from == origin.key()));
        let seconds = left.fold(0.0, |sum, origin| sum + origin.expected_seconds());
        #[expect(clippy::cast_precision_loss, reason = "a handful of jobs")]
        let seconds_left = Some(seconds / room.jobs as f64).filter(|&seconds| seconds > 0.0);
        let (done, total) = (done.len(), origins.len());
        let kind = EventKind::Precompiled { done, total, seconds_left, effort: None };
        self.control.tell(Event {
            model_id: self.device().selected.clone(),
            stage: String::new(),
            kind,
        });
    }
}
