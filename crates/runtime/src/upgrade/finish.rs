//! How are upgrades completed if earlier processes left them behind?

use std::sync::{Arc, Mutex, PoisonError};

use preheat_cache::GraphKey;
use serde::Serialize;

use super::note::{UpgradeNote, UpgradeState};
use crate::compile_slots::{Room, UNMEASURED_PEAK_BYTES, locked};
use crate::effort::CompileEffort;
use crate::error::Error;
use crate::parts::{Inner, Runtime};
use crate::progress::{Event, EventKind};

/// The full compile is assumed to take this many times the memory of the compile at the lower
/// effort. For the denoiser of Stable Diffusion 1.5, it took 2.4 times the memory of the compile at
/// the lowest effort (docs/tpu.md).
const FULL_TAKES_TIMES: u64 = 3;

/// An upgrade that was left behind, and how it ended now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Upgrade {
    /// The stage.
    pub stage: String,
    /// The key of the executable of a lower effort.
    pub graph_key: GraphKey,
    /// How it ended.
    #[serde(flatten)]
    pub finished: Finished,
}

/// How an upgrade ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "upgrade", content = "reason", rename_all = "snake_case")]
pub enum Finished {
    /// The full executable serves from now on.
    TookOver,
    /// The full executable is in the cache. The hardware is not here, so the next process that runs
    /// there compares it with the other one.
    Compiled,
    /// The full executable cannot be made or cannot be used, for this reason.
    Refused(String),
    /// Somebody asked to stop.
    Stopped,
}

impl Runtime {
    /// Completes the upgrades to the full effort that this process or earlier ones left behind for
    /// this hardware, and those that failed before. `jobs` compiles run at once, as far as memory
    /// allows; `None` stands for one for every two processors.
    ///
    /// # Errors
    /// If there is no cache that can be written, or the caller asked to stop. An upgrade that fails
    /// is not an error here: it is listed with the others.
    pub fn finish_upgrades(&self, jobs: Option<usize>) -> Result<Vec<Upgrade>, Error> {
        self.check_cache_is_writable()?;
        let inner = &self.inner;
        let store = inner.cache()?.main();
        let wanted: Vec<(GraphKey, UpgradeNote)> = store
            .upgrades()
            .into_iter()
            .filter_map(|lower| Some((lower, UpgradeNote::read(store, lower)?)))
            .filter(|(_, note)| {
                note.environment == inner.site.environment_digest
                    && !matches!(note.state, UpgradeState::Done(_))
            })
            .collect();
        let (room, done) = (Room::here(jobs), Mutex::new(Vec::with_capacity(wanted.len())));
        self.tell_upgraded(0, wanted.len());
        room.work_through(
            &wanted,
            || self.is_cancelled(),
            |(lower, note)| {
                let peak_bytes = inner.peak_bytes_of(*lower).unwrap_or(UNMEASURED_PEAK_BYTES);
                let _place = room.enter(peak_bytes);
                let finished = self.finish(*lower);
                let mut done = locked(&done);
                done.push(Upgrade { stage: note.stage.clone(), graph_key: *lower, finished });
                self.tell_upgraded(done.len(), wanted.len());
            },
        );
        self.flush();
        if self.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|upgrade| upgrade.graph_key);
        Ok(done)
    }

    fn finish(&self, lower: GraphKey) -> Finished {
        let inner = &self.inner;
        if let Err(error) = Inner::make_full(Arc::clone(inner), &self.control, lower) {
            return inner.upgrade_ended(lower, Err(error));
        }
        if inner.site.here().is_err() {
            return Finished::Compiled;
        }
        inner.upgrade_ended(lower, inner.take_over_full(&self.control, lower, true))
    }

    fn tell_upgraded(&self, done: usize, total: usize) {
        let (seconds_left, effort) = (None, Some(CompileEffort::Full));
        let kind = EventKind::Precompiled { done, total, seconds_left, effort };
        self.control.tell(Event::new(self.device().selected.clone(), "", kind));
    }
}

impl Inner {
    /// The memory in bytes that a full compile is expected to take. It is computed from the memory
    /// of the compile at the lower effort; `None` if that was not measured.
    fn peak_bytes_of(&self, lower: GraphKey) -> Option<u64> {
        let record = self.cache.as_ref()?.main().record(&lower).ok()??;
        let peak_bytes = record.measurements.compile_peak_bytes.filter(|&bytes| bytes > 0)?;
        Some(peak_bytes.saturating_mul(FULL_TAKES_TIMES))
    }
}
