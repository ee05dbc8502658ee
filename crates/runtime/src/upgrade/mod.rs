//! When does the full executable take over from one of a lower effort?
//!
//! A tiered request (`EffortChoice::Tiered`) is served by any warm executable, or else by one that
//! is compiled with a lower effort. Each executable of a lower effort that serves such a request is
//! upgraded once:
//!
//! 1. A note in the store says that its full executable is wanted (`note.rs`). If the process ends
//!    during this step or a later one, the note stays. The next process that gets a request for the
//!    same graph continues the upgrade, and so does [`Runtime::finish_upgrades`].
//! 2. The full executable is compiled in a child process at low priority (`full.rs`), one at a time
//!    for each runtime. The lock of its key lets only one process compile it.
//! 3. The full executable is loaded beside the lower one and compared with it, on zeros and on
//!    noise (`agreement.rs`). If its results differ too much, it is moved to the quarantine.
//! 4. The full executable replaces the lower one in memory. Work that holds the lower one continues
//!    with it: a pipeline obtains the executables of a picture once, so that no picture is made by
//!    both.
//!
//! After a request, a separate thread does all this, and dropping the runtime ends its work. While
//! a child compiles, the thread does not hold the runtime. A request waits for that thread if
//! measured times say that it then ends sooner (`timing.rs`, `wait.rs`).

mod agreement;
mod finish;
mod full;
mod note;
pub(super) mod queue;
#[cfg(test)]
mod tests;
mod timing;
mod wait;

use std::sync::{Arc, Weak};

use preheat_cache::GraphKey;

pub use self::finish::{Finished, Upgrade};
use self::full::Outcome;
use self::note::{UpgradeNote, UpgradeState};
use self::queue::{Found, Progress};
use super::asked::Asked;
use super::cache::Cache;
use super::compile_slots::locked;
use super::effort::{CompileEffort, EffortChoice};
use super::error::Error;
use super::parts::{Inner, Runtime};
use crate::progress::Control;

impl Inner {
    /// Whether executables of a lower effort can be upgraded here: there is a device, a store that
    /// keeps what is compiled, and a program that can be started to compile.
    pub(super) fn can_upgrade(&self) -> bool {
        self.rules.reuse
            && self.site.here().is_ok()
            && self.cache.as_ref().is_some_and(|cache| cache.remembers().is_some())
            && (self.site.has_compiler() || self.site.named_hardware().is_none())
    }

    /// Whether `lower` is in the store and its upgrade is not complete. In that case `lower` serves
    /// tiered requests even if the full executable is in the store, because the two were not
    /// compared yet.
    pub(super) fn is_being_upgraded(&self, lower: &GraphKey) -> bool {
        let Some(store) = self.cache.as_ref().and_then(|cache| cache.remembers()) else {
            return false;
        };
        let is_wanted = |note: UpgradeNote| note.state == UpgradeState::Wanted;
        store.has_object(lower) && UpgradeNote::read(store, *lower).is_some_and(is_wanted)
    }

    /// Starts to upgrade the executable `lower`, which has just served `asked`, unless its upgrade
    /// is done or under way. A warmup only writes the note. The program that warms up either
    /// finishes the upgrades when everything is ready, or leaves them to the first request.
    ///
    /// Returns whether `lower` is being upgraded or was upgraded here.
    pub(super) fn upgrade_later(&self, asked: &Asked<'_>, lower: GraphKey) -> bool {
        let Some(full) = asked.better.first() else { return false };
        if !asked.tiered || self.rules.require_warm || !self.can_upgrade() {
            return false;
        }
        let request = (full.exact, full.projection_key);
        match self.upgrades.find(lower, request) {
            Found::Known => return self.upgrades.is_going(lower),
            // The full executable has taken over for other requests. This request gets it from now
            // on, too.
            Found::Done(key) => {
                self.memory().learn(request.0, request.1, key);
                return true;
            }
            Found::New => {}
        }
        let store = self.cache.as_ref().and_then(|cache| cache.remembers());
        let Some(store) = store else { return false };
        if let Some(UpgradeState::Failed { reason }) =
            UpgradeNote::read(store, lower).map(|note| note.state)
        {
            tracing::info!(graph_key = %lower, reason, "it was tried before, so it is not \
                                                        upgraded");
            self.upgrades.end(lower, Progress::GivenUp);
            return false;
        }
        // If this process ends after the note is written, the next process continues the upgrade.
        let environment = self.site.environment_digest;
        UpgradeNote::new(asked.graph.stage_name(), environment, UpgradeState::Wanted)
            .write(store, lower);
        if !asked.warming && self.upgrades.enqueue(lower, request) {
            self.start_upgrading();
        }
        true
    }

    fn start_upgrading(&self) {
        let (owner, at_work) = (self.upgrades.owner.clone(), Arc::clone(&self.upgrades.at_work));
        let work = move || {
            let _at_work = locked(&at_work);
            while upgrade_next(&owner) {}
        };
        let started = std::thread::Builder::new().name("preheat-upgrade".to_owned()).spawn(work);
        if let Err(error) = started {
            tracing::debug!(%error, "no thread can be started, so the upgrade is left to a later \
                                     process");
        }
    }

    /// Reports once that an upgrade has ended, and records it.
    fn upgrade_ended(&self, lower: GraphKey, outcome: Result<Outcome, Error>) -> Finished {
        let (progress, finished) = match outcome {
            Ok(Outcome::TookOver(full)) => (Progress::Done(full), Finished::TookOver),
            Ok(Outcome::Refused { stage, reason }) => {
                let text = format!(
                    "stage `{stage}` keeps its executable of a lower compile effort, because the \
                     full one cannot be used: {reason}"
                );
                self.warnings.warn(text);
                (Progress::GivenUp, Finished::Refused(reason))
            }
            Err(Error::Cancelled) => (Progress::GivenUp, Finished::Stopped),
            Err(error) => {
                self.remember_failure(lower, &error);
                let reason = in_words(&error);
                self.warnings.warn(format!(
                    "an executable of a lower compile effort stays in use, because the full one \
                     could not be made: {reason}"
                ));
                (Progress::GivenUp, Finished::Refused(reason))
            }
        };
        let full = if let Progress::Done(full) = progress { Some(full) } else { None };
        let requests = self.upgrades.end(lower, progress);
        if let Some(full) = full {
            let mut memory = self.memory();
            for (exact, projection_key) in requests {
                memory.learn(exact, projection_key, full);
            }
            // Work that runs the lower executable holds it. No later request gets it from memory.
            let gone = memory.take(&[lower].into());
            drop(memory);
            drop(gone);
            tracing::info!(graph_key = %full, %lower, "the full executable has taken over");
        }
        finished
    }
}

/// Upgrades the next executable in the queue of a runtime, unless the runtime is gone or the queue
/// is empty. Returns whether there may be more.
fn upgrade_next(owner: &Weak<Inner>) -> bool {
    let Some(inner) = owner.upgrade() else { return false };
    let Some(lower) = inner.upgrades.next() else { return false };
    let control = Control::default().cancel(inner.upgrades.stop.clone());
    let made = Inner::make_full(inner, &control, lower);
    let Some(inner) = owner.upgrade() else { return false };
    let outcome = made.and_then(|()| inner.take_over_full(&control, lower, false));
    inner.upgrade_ended(lower, outcome);
    true
}

/// An error with its causes, in one line.
fn in_words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl Runtime {
    /// Stops the upgrades in the background, and waits until their thread has stopped. Their notes
    /// stay. A program calls this before its process ends, because no plugin may be working while
    /// the process ends. Dropping the runtime stops the upgrades, too, but does not wait. Returns
    /// how many upgrades are left to a later process.
    pub fn stop_upgrades(&self) -> usize {
        let left = self.inner.upgrades.going();
        self.inner.upgrades.stop();
        drop(locked(&self.inner.upgrades.at_work));
        left
    }

    /// The efforts that a warmup makes ready here, the first one first. If a tiered effort was set
    /// and the platform has one, these are the effort that is compiled first, and the full one.
    /// Otherwise it is only the effort with which a warmup compiles.
    pub fn waves(&self) -> Vec<CompileEffort> {
        let platform = &self.inner.site.environment().platform;
        let effort = self.inner.rules.effort.unwrap_or(EffortChoice::if_none_is_named(true));
        if effort.is_tiered_on(platform) {
            vec![effort.first_on(platform), CompileEffort::Full]
        } else {
            vec![effort.first_on(platform)]
        }
    }

    /// The effort with which a request on this platform is compiled first, if it has to be compiled
    /// while somebody waits for it.
    pub fn first_effort(&self) -> CompileEffort {
        let effort = self.inner.rules.effort.unwrap_or(EffortChoice::if_none_is_named(false));
        effort.first_on(&self.inner.site.environment().platform)
    }
}
