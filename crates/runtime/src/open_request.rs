//! How does a request of a person or a program get counted, however it ends?
//!
//! An [`OpenRequest`] is a request that has begun. Its stages are obtained as parts of the request,
//! and the request is closed with its outcome. If it is dropped without being closed, it counts as
//! interrupted, or as failed if its thread panics. If its process is killed, it counts as
//! interrupted too: the next process reads this from the store's journals. `counting.rs` counts the
//! stages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use preheat_cache::{Counters, RequestEvent, RequestGroup, RequestOutcome, StageUse};

use super::cache::Cache;
use super::error::Error;
use super::warnings::Warnings;

/// A request that has begun and is counted when it ends.
#[derive(Debug)]
#[must_use = "a request that is dropped counts as interrupted"]
pub struct OpenRequest {
    /// Where the request is counted; `None` without a cache.
    counted_in: Option<(Arc<Cache>, Arc<Warnings>)>,
    number: u64,
    began: Instant,
    /// Whether a stage was compiled, or waited for a compile of another thread or process.
    after_compile: AtomicBool,
    is_closed: AtomicBool,
}

impl OpenRequest {
    /// Begins a request, which is counted in `cache`, if there is one.
    pub(super) fn begin(
        cache: Option<&Arc<Cache>>,
        warnings: &Arc<Warnings>,
        group: impl FnOnce() -> RequestGroup,
    ) -> Self {
        let open = Self {
            counted_in: cache.map(|cache| (Arc::clone(cache), Arc::clone(warnings))),
            number: cache.map_or(0, |cache| cache.number_request()),
            began: Instant::now(),
            after_compile: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        };
        open.note(|| RequestEvent::Begun {
            request: open.number,
            group: group(),
            at: Timestamp::now(),
        });
        open
    }

    /// Notes that a stage was compiled for the request, or waited for a compile of another thread
    /// or process.
    pub(super) fn was_not_warm(&self) {
        self.after_compile.store(true, Ordering::Relaxed);
    }

    /// Ends the request. If `failure` is `None`, it counts as served: as warm, unless a stage was
    /// compiled for it or waited for a compile.
    pub fn close(&self, failure: Option<RequestOutcome>) {
        let served = || {
            if self.after_compile.load(Ordering::Relaxed) {
                RequestOutcome::ServedAfterCompile
            } else {
                RequestOutcome::ServedWarm
            }
        };
        if self.is_closed.swap(true, Ordering::Relaxed) {
            return;
        }
        let (outcome, seconds) =
            (failure.unwrap_or_else(served), self.began.elapsed().as_secs_f64());
        let (request, at) = (self.number, Timestamp::now());
        self.note(|| RequestEvent::Ended { request, outcome, seconds, at });
        if let Some((cache, warnings)) = &self.counted_in {
            cache.flush_if_due(warnings);
        }
    }

    /// Ends the request without counting it, because it only checked whether an executable is warm.
    pub(super) fn discard(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.note(|| RequestEvent::Dropped { request: self.number });
    }

    pub(super) fn stage(&self, stage: impl FnOnce() -> StageUse) {
        self.note(|| RequestEvent::Stage { request: self.number, stage: Box::new(stage()) });
    }

    /// Counts an event during the request, such as a failed compile.
    pub(super) fn count(&self, counters: Counters) {
        self.note(|| RequestEvent::Counted { request: self.number, counters });
    }

    fn note(&self, event: impl FnOnce() -> RequestEvent) {
        if let Some((cache, _)) = &self.counted_in {
            cache.note(event());
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let panics = std::thread::panicking();
        self.close(Some(if panics { RequestOutcome::Failed } else { RequestOutcome::Interrupted }));
    }
}

impl Error {
    /// The outcome of a request that ended with this error.
    pub fn outcome(&self) -> RequestOutcome {
        match self {
            Self::NotWarm(_) => RequestOutcome::Refused,
            Self::Cancelled => RequestOutcome::Interrupted,
            _ => RequestOutcome::Failed,
        }
    }
}

/// How a request for one executable is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counts<'a> {
    /// As a part of a request that has begun.
    AsPartOf(&'a OpenRequest),
    /// As a request of its own.
    Alone,
    /// As a request of its own if it is warm. If it is not warm, it is not counted, because it only
    /// asked whether the executable is there.
    AloneIfWarm,
}
