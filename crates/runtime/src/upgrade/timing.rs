//! Does a request end sooner if it waits for the full compile?
//!
//! How fast the code of a lower effort runs is not known in advance. Once an executable of a stage
//! was compared with its full one (`full.rs`), the times of both are known. They decide for later
//! requests of the same stage. Until then, the lower effort serves first. `wait.rs` asks the same
//! about a full compile that is on its way.

use super::note::{Timing, UpgradeNote, UpgradeState};
use crate::asked::Asked;
use crate::parts::Inner;

/// The stage that a request executes once for each of its steps. It executes any other stage once.
const STEPPED: &str = "denoiser";

/// How often a request executes its executable.
pub(super) fn executions_of(asked: &Asked<'_>) -> u64 {
    if asked.graph.stage_name() == STEPPED { asked.signature.steps } else { 1 }
}

impl Timing {
    /// Whether a request of this many executions ends sooner with the full executable, which will
    /// be ready `later_seconds` after the lower one.
    pub(super) fn full_is_sooner(&self, executions: u64, later_seconds: f64) -> bool {
        self.saved_seconds(executions).is_some_and(|saved_seconds| saved_seconds > later_seconds)
    }

    /// How many seconds less this many executions take with the full executable. `None` if an
    /// execution of one of the two was not measured.
    pub(super) fn saved_seconds(&self, executions: u64) -> Option<f64> {
        let (lower, full) = self.lower.run.zip(self.full.run)?;
        #[expect(clippy::cast_precision_loss, reason = "steps of a picture")]
        let saved_seconds = executions as f64 * (lower - full);
        Some(saved_seconds)
    }
}

impl Inner {
    /// The request at the effort that is compiled first: its own effort, or the full one if the
    /// measured times say that the request ends sooner with it.
    pub(crate) fn compiled_first<'r, 'a>(&self, asked: &'r Asked<'a>) -> &'r Asked<'a> {
        let Some(full) = asked.better.first().filter(|_| asked.tiered) else { return asked };
        let (stage, executions) = (asked.graph.stage_name(), executions_of(asked));
        let sooner = self.timing_of(stage).is_some_and(|timing| {
            timing.full_is_sooner(executions, timing.full.compile - timing.lower.compile)
        });
        if sooner {
            tracing::info!(stage, executions, "the full executable is worth waiting for");
            return full;
        }
        asked
    }

    /// The measured times of a stage in this environment. If several graphs of the stage were
    /// measured, the times are those of the graph whose full compile took longest.
    pub(super) fn timing_of(&self, stage: &str) -> Option<Timing> {
        let store = self.cache.as_ref()?.remembers()?;
        let notes = store.upgrades().into_iter().filter_map(|key| UpgradeNote::read(store, key));
        let here = notes
            .filter(|note| note.stage == stage && note.environment == self.site.environment_digest);
        let timings = here.filter_map(|note| match note.state {
            UpgradeState::Done(timing) => Some(timing),
            _ => None,
        });
        timings.max_by(|one, other| one.full.compile.total_cmp(&other.full.compile))
    }
}

#[cfg(test)]
mod tests {
    use super::super::note::Seconds;
    use super::*;
    use crate::CompileEffort;

    #[test]
    fn waiting_is_worth_it_where_the_steps_save_more_than_the_compile_takes() {
        let seconds = |compile, run| Seconds { compile, run: Some(run) };
        let timing = Timing {
            effort: CompileEffort::Balanced,
            lower: seconds(28.0, 1.5),
            full: seconds(130.0, 0.5),
        };
        assert!(!timing.full_is_sooner(20, 102.0), "20 seconds are saved");
        assert!(timing.full_is_sooner(103, 102.0));
        assert!(timing.full_is_sooner(20, 19.0), "most of the compile is over");
        let unmeasured = Timing { full: Seconds { compile: 130.0, run: None }, ..timing };
        assert!(!unmeasured.full_is_sooner(u64::MAX, 0.0));
    }
}
