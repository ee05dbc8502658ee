//! How are the executables of all stages obtained at the same time?
//!
//! Each stage's executable is obtained on a separate thread.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use preheat_cache::GraphKey;
use preheat_runtime::threads;
use preheat_runtime::{Executable, Request};

use super::checked_request::Prepared;
use super::error::PipelineError;
use super::home::Homes;

/// The executables that the requests of a model used.
#[derive(Debug, Default)]
pub(super) struct Used(Mutex<HashSet<GraphKey>>);

impl Used {
    pub(super) fn note<'a>(&self, executables: impl IntoIterator<Item = &'a Executable>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(executables.into_iter().map(Executable::graph_key));
    }

    /// Returns the set, and leaves it empty.
    pub(super) fn take(&self) -> HashSet<GraphKey> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the executable of each stage: the one in `kept`, or the result of `ask` for a request on
/// the stage's own device.
pub(super) fn obtain(
    homes: &Homes,
    prepared: &Prepared<'_>,
    kept: &[Option<Executable>],
    ask: impl Fn(Request<'_>) -> Result<Executable, preheat_runtime::Error> + Sync,
) -> Vec<Result<Executable, preheat_runtime::Error>> {
    let signature = &prepared.plan.signature;
    in_parallel(&prepared.stages.all, |index, stage| match kept.get(index) {
        Some(Some(executable)) => Ok(executable.clone()),
        _ => ask(homes.of_stage(stage).runtime.request(signature, &stage.graph)),
    })
}

/// Calls `work` for each stage on a separate thread, as far as threads can be started. The results
/// are in the order of the stages.
fn in_parallel<S: Sync, T: Send>(
    stages: &[S],
    work: impl Fn(usize, &S) -> Result<T, preheat_runtime::Error> + Sync,
) -> Vec<Result<T, preheat_runtime::Error>> {
    let work = &work;
    let each: Vec<_> =
        stages.iter().enumerate().map(|(index, stage)| move || work(index, stage)).collect();
    std::thread::scope(|scope| {
        let started: Vec<_> = each.iter().map(|one| threads::start(scope, one)).collect();
        started.into_iter().map(threads::Started::join).collect()
    })
}

/// Returns all results, or one error: the first error other than that a stage is not warm. If there
/// is no such error, one error lists all stages that are not warm.
pub(super) fn collect<T>(
    results: impl IntoIterator<Item = Result<T, preheat_runtime::Error>>,
) -> Result<Vec<T>, PipelineError> {
    let (mut done, mut cold, mut first) = (Vec::new(), Vec::new(), None);
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(preheat_runtime::Error::NotWarm(stages)) => cold.extend(stages),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    match first {
        Some(error) => Err(error.into()),
        None if !cold.is_empty() => Err(preheat_runtime::Error::NotWarm(cold).into()),
        None => Ok(done),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use preheat_runtime::{Error, StageLookup};

    use super::*;

    #[test]
    fn stages_are_asked_for_at_once_and_answered_in_order() {
        // Each call waits for the other two, so the test ends only if all three run at the same
        // time.
        let barrier = Barrier::new(3);
        let answers = in_parallel(&["a", "b", "c"], |index, stage| {
            barrier.wait();
            Ok(format!("{index}{stage}"))
        });
        assert_eq!(collect(answers).unwrap(), ["0a", "1b", "2c"]);
    }

    #[test]
    fn every_cold_stage_is_listed_unless_another_error_came_first() {
        let cold = |stage| Err(Error::NotWarm(vec![StageLookup::unknown("demo", stage)]));
        let Err(PipelineError::Runtime(Error::NotWarm(stages))) =
            collect([cold("text_encoder"), Ok(1), cold("vae_decoder")])
        else {
            panic!("two stages are cold")
        };
        let names: Vec<_> = stages.iter().map(|stage| stage.stage.as_str()).collect();
        assert_eq!(names, ["text_encoder", "vae_decoder"]);
        let failed = collect([cold("text_encoder"), Ok(1), Err(Error::Cancelled)]).unwrap_err();
        assert!(matches!(failed, PipelineError::Runtime(Error::Cancelled)));
    }
}
