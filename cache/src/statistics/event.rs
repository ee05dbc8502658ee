//! What happens to a request, and when is it over?
//!
//! A process writes each [`RequestEvent`] of a request when it happens (`store/requests.rs`).
//! [`Open`] turns the events back into requests, each of which is a [`FinishedRequest`]. A request
//! that began and never ended, because its process died, counts as interrupted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Counters, RequestGroup, RequestOutcome, Use};

/// Something that happened to a request. Requests are numbered by the process that serves them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RequestEvent {
    /// It began.
    Begun {
        /// The request.
        request: u64,
        /// The group in which it is counted.
        group: RequestGroup,
        /// When it began.
        at: Timestamp,
    },
    /// One of its stages became ready.
    Stage {
        /// The request.
        request: u64,
        /// The stage.
        stage: Box<StageUse>,
    },
    /// Something else was counted.
    Counted {
        /// The request.
        request: u64,
        /// What was counted.
        counters: Counters,
    },
    /// It is over.
    Ended {
        /// The request.
        request: u64,
        /// How it ended.
        outcome: RequestOutcome,
        /// How long it took.
        seconds: f64,
        /// When it ended.
        at: Timestamp,
    },
    /// It turned out not to be a request, so it is not counted.
    Dropped {
        /// The request.
        request: u64,
    },
}

/// One stage that became ready for a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageUse {
    /// How and where the executable was found.
    pub used: Use,
    /// How long the stage waited for a compile in another thread or process, if it waited.
    pub wait_seconds: Option<f64>,
}

/// A request that has ended, or several equal ones.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedRequest {
    /// The group in which it is counted.
    pub group: RequestGroup,
    /// How it ended.
    pub outcome: RequestOutcome,
    /// How many requests this value stands for.
    pub times: u64,
    /// How long it took; `None` if that is not known.
    pub seconds: Option<f64>,
    /// When it ended. If its process died, this is when the request began.
    pub at: Timestamp,
    /// Its stages.
    pub stages: Vec<StageUse>,
    /// What else was counted.
    pub counters: Counters,
}

/// A request that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Begun {
    group: RequestGroup,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stages: Vec<StageUse>,
    #[serde(default)]
    counters: Counters,
}

impl Begun {
    fn finish(
        self,
        outcome: RequestOutcome,
        seconds: Option<f64>,
        at: Timestamp,
    ) -> FinishedRequest {
        // The look-ups of a refused request served nobody, so they do not count as hits.
        let refused = outcome == RequestOutcome::Refused;
        let (stages, counters) =
            if refused { Default::default() } else { (self.stages, self.counters) };
        FinishedRequest { group: self.group, outcome, times: 1, seconds, at, stages, counters }
    }
}

/// The requests of one process that have begun and not ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Open(BTreeMap<u64, Begun>);

impl Open {
    /// Applies the next event. Returns the request if this event ended it.
    pub(crate) fn take(&mut self, event: RequestEvent) -> Option<FinishedRequest> {
        match event {
            RequestEvent::Begun { request, group, at } => {
                let begun = Begun { group, at, stages: Vec::new(), counters: Counters::default() };
                self.0.insert(request, begun);
                None
            }
            RequestEvent::Stage { request, stage } => {
                self.0.get_mut(&request)?.stages.push(*stage);
                None
            }
            RequestEvent::Counted { request, counters } => {
                self.0.get_mut(&request)?.counters.merge(&counters);
                None
            }
            RequestEvent::Ended { request, outcome, seconds, at } => {
                Some(self.0.remove(&request)?.finish(outcome, Some(seconds), at))
            }
            RequestEvent::Dropped { request } => {
                self.0.remove(&request);
                None
            }
        }
    }

    /// Ends the requests of a process that is dead.
    pub(crate) fn interrupt(&mut self) -> Vec<FinishedRequest> {
        let begun = std::mem::take(&mut self.0).into_values();
        begun
            .map(|begun| {
                let at = begun.at;
                begun.finish(RequestOutcome::Interrupted, None, at)
            })
            .collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The groups of the requests that are under way.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &RequestGroup> {
        self.0.values().map(|begun| &begun.group)
    }
}
