//! How are requests counted, with the stages that were obtained for them?
//!
//! If a program obtains a single executable without opening a request, that counts as a request by
//! itself.

use std::sync::Arc;

use jiff::Timestamp;
use preheat_cache::{
    Counters, FinishedRequest, GraphKey, Match, Purpose, RequestGroup, RequestOutcome, Source,
    StageUse, Use,
};

use super::asked::{Asked, Waited};
use super::cache::Cache;
use super::error::Error;
use super::open_request::{Counts, OpenRequest};
use super::parts::{Inner, Runtime};
use super::report::StageReport;
use super::site::Site;
use super::warnings::Warnings;

impl Runtime {
    /// Begins a request, which the cache's statistics count. `size` tells the requests of one model
    /// apart, such as `512x512`. The handle that [`Runtime::part_of`] returns obtains executables
    /// as parts of this request.
    pub fn open_request(&self, purpose: Purpose, model_id: &str, size: &str) -> OpenRequest {
        self.inner.counting().open(purpose, model_id, size)
    }
}

/// Where requests are counted.
#[derive(Clone, Copy)]
pub(super) struct Counting<'a> {
    pub(super) site: &'a Site,
    pub(super) cache: Option<&'a Arc<Cache>>,
    pub(super) warnings: &'a Arc<Warnings>,
}

impl Counting<'_> {
    fn open(&self, purpose: Purpose, model_id: &str, size: &str) -> OpenRequest {
        OpenRequest::begin(self.cache, self.warnings, || self.group(purpose, model_id, size))
    }

    fn group(&self, purpose: Purpose, model_id: &str, size: &str) -> RequestGroup {
        let device = self.site.device().to_string();
        RequestGroup { purpose, model_id: model_id.to_owned(), size: size.to_owned(), device }
    }

    /// Calls `work` as a part of the request to which `asked` belongs, or as a request of its own
    /// if there is none.
    pub(super) fn counted<T>(
        &self,
        asked: &Asked<'_>,
        work: impl FnOnce(&Asked<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if matches!(asked.counts, Counts::AsPartOf(_)) {
            return work(asked);
        }
        let (model_id, size) = (&asked.signature.model_id, size_of(&asked.signature.input_shape));
        let own = self.open(asked.purpose(), model_id, &size);
        let counts = Counts::AsPartOf(&own);
        let result = work(&Asked { counts, waited: Waited::default(), ..*asked });
        match &result {
            Ok(_) => own.close(None),
            Err(Error::NotWarm(_)) if matches!(asked.counts, Counts::AloneIfWarm) => own.discard(),
            Err(error) => own.close(Some(error.outcome())),
        }
        result
    }

    /// Counts a compile of a recorded graph. The requests in the graph's record do not change.
    pub(super) fn note_compile(&self, asked: &Asked<'_>, graph_key: GraphKey, seconds: f64) {
        let Counts::AsPartOf(open) = asked.counts else { return };
        open.was_not_warm();
        open.stage(|| StageUse {
            used: Use {
                graph_key,
                device: self.site.device().to_string(),
                matched: Match::Compiled,
                source: Source::Compiled,
                signature: None,
                load_seconds: None,
                compile_seconds: Some(seconds),
                times: 1,
            },
            wait_seconds: asked.waited.get().map(|waited| waited.as_secs_f64()),
        });
    }
}

impl Inner {
    pub(super) fn counting(&self) -> Counting<'_> {
        Counting { site: &self.site, cache: self.cache.as_ref(), warnings: &self.warnings }
    }

    /// Counts a stage that is ready for `asked`. `served` is the same request at the effort of the
    /// stage's executable.
    pub(super) fn note_use(&self, asked: &Asked<'_>, served: &Asked<'_>, report: &StageReport) {
        let known = report.matched == Match::Exact;
        if self.rules.reuse && !(known && report.source == Source::Memory) {
            self.memory().learn(served.exact, served.projection_key, report.graph_key);
        }
        let compiled = report.matched == Match::Compiled;
        // The remotes may not know yet that this request leads to the graph.
        if let (Match::Graph, Source::Disk | Source::Remote, Some(cache)) =
            (report.matched, report.source, &self.cache)
        {
            let (projection, exact) = (&served.projection_key, &served.exact);
            cache.upload_later(&report.graph_key, projection, exact, &self.warnings);
        }
        let wait_seconds = asked.waited.get().map(|waited| waited.as_secs_f64());
        let stage = || StageUse {
            used: Use {
                graph_key: report.graph_key,
                device: self.site.device().to_string(),
                matched: report.matched,
                source: report.source,
                signature: (!known).then(|| served.recorded()),
                load_seconds: matches!(
                    report.source,
                    Source::Disk | Source::Fallback | Source::Remote
                )
                .then_some(report.load_seconds),
                compile_seconds: compiled.then_some(report.compile_seconds),
                times: 1,
            },
            wait_seconds,
        };
        if let Counts::AsPartOf(open) = asked.counts {
            if compiled || wait_seconds.is_some() {
                open.was_not_warm();
            }
            return open.stage(stage);
        }
        // Only an executable that was found in memory gets here without an open request.
        let Some(cache) = &self.cache else { return };
        cache.served((report.graph_key, asked.exact, asked.purpose()), || {
            let model_id = &asked.signature.model_id;
            FinishedRequest {
                group: self.counting().group(
                    asked.purpose(),
                    model_id,
                    &size_of(&asked.signature.input_shape),
                ),
                outcome: RequestOutcome::ServedWarm,
                times: 1,
                seconds: None,
                at: Timestamp::now(),
                stages: vec![stage()],
                counters: Counters::default(),
            }
        });
        cache.flush_if_due(&self.warnings);
    }
}

/// The size of a request for a single executable: the shape of its input.
fn size_of(shape: &[u64]) -> String {
    shape.iter().map(u64::to_string).collect::<Vec<_>>().join("x")
}
