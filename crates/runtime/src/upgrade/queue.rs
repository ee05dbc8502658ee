//! Which executables of a lower effort does a runtime upgrade, and which requests wait for this?

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use preheat_cache::{Digest, GraphKey};

use crate::progress::Cancel;

/// How many requests are remembered for one upgrade. Others find the full executable in the store.
const REQUESTS_KEPT: usize = 64;

/// A request for the full executable, as memory looks it up: the digest of its signature, and its
/// key of level 1.
pub(super) type FullRequest = (Digest, Digest);

/// The upgrades of one runtime.
pub(crate) struct Upgrades<Owner> {
    /// The runtime that these upgrades belong to.
    pub(super) owner: Weak<Owner>,
    /// Set when the runtime is dropped or the work has to end.
    pub(super) stop: Cancel,
    /// Held by the thread that upgrades, as long as it works.
    pub(super) at_work: Arc<Mutex<()>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Every executable of a lower effort that served a tiered request here.
    known: HashMap<GraphKey, Progress>,
    queue: VecDeque<GraphKey>,
    is_working: bool,
    /// The executable that the thread works on, and since when.
    at: Option<(GraphKey, Instant)>,
}

pub(super) enum Progress {
    /// The executable is being upgraded, for these requests.
    Going(Vec<FullRequest>),
    /// The executable with this key has taken over.
    Done(GraphKey),
    /// This process does not upgrade the executable.
    GivenUp,
}

/// The state of an upgrade, for a request that the lower effort has just served.
pub(super) enum Found {
    New,
    Known,
    Done(GraphKey),
}

impl<Owner> Upgrades<Owner> {
    pub(crate) fn of(owner: Weak<Owner>) -> Self {
        Self { owner, stop: Cancel::default(), at_work: Arc::default(), state: Mutex::default() }
    }

    /// Ends the work that is under way. Its note stays.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change of the state can panic before it is complete.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, lower: GraphKey, request: FullRequest) -> Found {
        match self.state().known.get_mut(&lower) {
            None => Found::New,
            Some(Progress::Done(full)) => Found::Done(*full),
            Some(Progress::Going(requests)) => {
                if requests.len() < REQUESTS_KEPT && !requests.contains(&request) {
                    requests.push(request);
                }
                Found::Known
            }
            Some(Progress::GivenUp) => Found::Known,
        }
    }

    /// Puts an executable into the queue. Returns whether a thread has to be started for it.
    pub(super) fn enqueue(&self, lower: GraphKey, request: FullRequest) -> bool {
        let mut state = self.state();
        if state.known.contains_key(&lower) {
            return false;
        }
        state.known.insert(lower, Progress::Going(vec![request]));
        state.queue.push_back(lower);
        !std::mem::replace(&mut state.is_working, true)
    }

    /// The next executable in the queue. If there is none, the calling thread must end.
    pub(super) fn next(&self) -> Option<GraphKey> {
        let mut state = self.state();
        let next = state.queue.pop_front();
        state.is_working = next.is_some();
        state.at = next.map(|lower| (lower, Instant::now()));
        next
    }

    /// How long the thread has been working on an executable: no time if it is the next one. `None`
    /// if the thread has something else to do first.
    pub(super) fn working_on(&self, lower: GraphKey) -> Option<Duration> {
        let state = self.state();
        match state.at {
            Some((at, since)) => (at == lower).then(|| since.elapsed()),
            None => (state.queue.front() == Some(&lower)).then_some(Duration::ZERO),
        }
    }

    /// Whether an executable waits for its upgrade or is being upgraded.
    pub(super) fn is_going(&self, lower: GraphKey) -> bool {
        matches!(self.state().known.get(&lower), Some(Progress::Going(_)))
    }

    /// How many executables wait for their upgrade or are being upgraded.
    pub(super) fn going(&self) -> usize {
        let state = self.state();
        state.known.values().filter(|progress| matches!(progress, Progress::Going(_))).count()
    }

    /// The full executable that has taken over from `lower` here.
    pub(super) fn taken_over(&self, lower: GraphKey) -> Option<GraphKey> {
        match self.state().known.get(&lower) {
            Some(Progress::Done(full)) => Some(*full),
            _ => None,
        }
    }

    /// Notes how an upgrade ended, and returns the requests that waited for it.
    pub(super) fn end(&self, lower: GraphKey, progress: Progress) -> Vec<FullRequest> {
        match self.state().known.insert(lower, progress) {
            Some(Progress::Going(requests)) => requests,
            _ => Vec::new(),
        }
    }
}
