//! Does a request wait for a full compile that is on its way?
//!
//! A lower effort is ready to serve the request, so nothing is compiled for it here. The upgrade
//! thread makes the full executable, or waits for the process that makes it (`full.rs`). If the
//! measured times say that the request ends sooner with the full executable, the request waits for
//! that thread. It never waits longer than its steps could save.

use std::sync::Arc;
use std::time::{Duration, Instant};

use preheat_cache::GraphKey;

use super::timing::executions_of;
use crate::asked::Asked;
use crate::error::Error;
use crate::executable::LoadedGraph;
use crate::parts::Inner;
use crate::progress::EventKind;

/// How often a waiting request looks whether the full executable has taken over.
const LOOK_EVERY: Duration = Duration::from_millis(25);

impl Inner {
    /// The full executable of a graph whose executable `lower` is about to serve the request, after
    /// waiting for it. `None` if the request does not wait, or waited in vain.
    pub(crate) fn awaited_full(
        &self,
        asked: &Asked<'_>,
        lower: GraphKey,
    ) -> Result<Option<Arc<LoadedGraph>>, Error> {
        if asked.warming || asked.require_warm || !self.upgrade_later(asked, lower) {
            return Ok(None);
        }
        let Some(most) = self.worth_waiting(asked, lower) else { return Ok(None) };
        let stage = asked.graph.stage_name();
        tracing::info!(stage, most_seconds = most.as_secs_f64(), "waiting for the full executable");
        let began = Instant::now();
        let mut full = None;
        while self.upgrades.is_going(lower) && began.elapsed() < most {
            if asked.control.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let (waited, holder) =
                (began.elapsed(), Some(format!("process {}", std::process::id())));
            asked.tell(EventKind::Waiting { holder, compiling: None, waited });
            std::thread::sleep(LOOK_EVERY);
        }
        if let Some(key) = self.upgrades.taken_over(lower) {
            full = self.memory().by_key(&key);
        }
        asked.has_waited(began.elapsed());
        Ok(full)
    }

    /// How long the request may wait for the full executable: the time that its steps save, if that
    /// is more than the full compile still takes. `None` if that is not so or not known.
    fn worth_waiting(&self, asked: &Asked<'_>, lower: GraphKey) -> Option<Duration> {
        let timing = self.timing_of(asked.graph.stage_name())?;
        let saved_seconds = timing.saved_seconds(executions_of(asked))?;
        let compiling = self.upgrades.working_on(lower)?;
        let left_seconds = timing.full.compile - compiling.as_secs_f64();
        let most = Duration::try_from_secs_f64(saved_seconds).ok()?;
        (saved_seconds > left_seconds).then_some(most)
    }
}
