//! What does a request ask for, once its graph is known?
//!
//! The answer is an [`Asked`], which `request.rs` makes. The parts of the runtime that look up,
//! compile and load get it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use preheat_cache::{
    Counters, Digest, GraphKey, KeyInputs, Match, Purpose, RecordedProjection, RecordedSignature,
    Resolved, Signature,
};

use super::effort::CompileEffort;
use super::error::Error;
use super::metrics::{self, Recorder};
use super::open_request::Counts;
use super::site::Site;
use super::source::Graph;
use crate::progress::{Control, Event, EventKind};
use crate::trace::Going;

/// How long to wait for a busy index if its answer can save building the graph.
pub(super) const LEVEL_ONE_PATIENCE: Duration = Duration::from_secs(1);

/// A request whose graph is known, with the digests by which it is looked up.
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
pub(super) struct Asked<'a> {
    pub(super) control: &'a Control,
    pub(super) recorder: Option<&'a Arc<Recorder>>,
    pub(super) signature: &'a Signature,
    pub(super) graph: &'a Graph,
    /// The same request at each higher effort, the highest first. A warm executable of any of them
    /// serves the request.
    pub(super) better: &'a [Asked<'a>],
    /// The same request at each lower effort, the highest first. A warm executable of any of them
    /// serves the request, too. The list is empty unless the request is tiered.
    pub(super) worse: &'a [Asked<'a>],
    /// Whether a lower effort serves the request until the full executable takes over.
    pub(super) tiered: bool,
    /// The digest of the exact signature.
    pub(super) exact: Digest,
    /// The key of level 1: stage, projected signature, environment, builder and options.
    pub(super) projection_key: Digest,
    /// Recorded requests that lead to the same graph. If there are any, a compiled graph is
    /// recorded with these requests, and not with this one.
    pub(super) leading: &'a [RecordedSignature],
    pub(super) force_recompile: bool,
    pub(super) require_warm: bool,
    /// Whether this is a warmup. A compile during a warmup causes no warning.
    pub(super) warming: bool,
    pub(super) counts: Counts<'a>,
    /// How long the request waited for a compile of another thread or process.
    pub(super) waited: Waited,
}

impl<'a> Asked<'a> {
    /// The name under which this request's figures are listed: the stage of a model, or the name of
    /// a program.
    pub(super) fn subject(&self) -> &str {
        metrics::subject(&self.signature.model_id, self.graph.stage_name())
    }

    /// Begins a span on this request's row of the trace, if there is a trace.
    pub(super) fn trace(&self, name: &'static str) -> Option<Going> {
        self.recorder?.begin(self.subject(), name)
    }

    /// The inputs of the executable's key at this site. The graph is built if its program is not at
    /// hand.
    pub(super) fn key_inputs(&self, site: &Site) -> Result<KeyInputs, Error> {
        let _lowering = self.trace("lower");
        let stage = self.graph.stage_name();
        let program =
            self.graph.build().map_err(|cause| Error::Build { stage: stage.to_owned(), cause })?;
        let options = self.graph.compile_options().clone();
        if self.graph.program_at_hand().is_none() {
            site.check_as_written(stage, &program, &options)?;
        }
        Ok(KeyInputs { program, options, environment: Arc::clone(site.environment()) })
    }

    /// The same request at each effort that serves it, the highest first, each with the inputs of
    /// its key. `inputs` are the inputs of this request's key. The program is the same for all.
    pub(super) fn with_inputs<'s, 'i>(
        &'s self,
        inputs: &'i KeyInputs,
    ) -> impl Iterator<Item = (&'s Asked<'a>, KeyInputs)> + use<'a, 's, 'i> {
        self.tiers().map(move |asked| (asked, asked.inputs_like(inputs)))
    }

    /// The inputs of this request's key, from those of the same request at another effort.
    pub(super) fn inputs_like(&self, other: &KeyInputs) -> KeyInputs {
        KeyInputs { options: self.graph.compile_options().clone(), ..other.clone() }
    }

    /// The same request at each effort that serves it, the highest first.
    pub(super) fn tiers(&self) -> impl Iterator<Item = &Asked<'a>> {
        self.better.iter().chain([self]).chain(self.worse)
    }

    /// The effort that this request's options stand for.
    pub(super) fn effort(&self, site: &Site) -> CompileEffort {
        CompileEffort::of(self.graph.compile_options(), &site.environment().platform)
    }

    /// This request, as it is recorded with the graph that it led to.
    pub(super) fn recorded(&self) -> RecordedSignature {
        let graph = self.graph;
        RecordedSignature {
            signature: self.signature.clone(),
            projection_key: self.projection_key,
            projection: Some(RecordedProjection {
                stage: graph.stage_name().to_owned(),
                signature: self.signature.project(graph.declared_projection()).digest(),
                builder: graph.builder_id().clone(),
            }),
            first_used: Timestamp::now(),
        }
    }

    /// Reports an event of this request to its control.
    pub(super) fn tell(&self, kind: EventKind) {
        let (model_id, stage) =
            (self.signature.model_id.clone(), self.graph.stage_name().to_owned());
        self.control.tell(Event { model_id, stage, kind });
    }

    /// The purpose under which the statistics count this request.
    pub(super) fn purpose(&self) -> Purpose {
        if self.warming { Purpose::Warming } else { Purpose::Serving }
    }

    /// Counts an event that happened while the executable was obtained, such as a failed compile.
    pub(super) fn count(&self, counters: Counters) {
        if let Counts::AsPartOf(open) = self.counts {
            open.count(counters);
        }
    }

    /// Notes that this request waited for a compile of another thread or process.
    pub(super) fn has_waited(&self, waited: Duration) {
        self.count(Counters { single_flight_waits: 1, ..Counters::default() });
        self.waited.add(waited);
    }
}

/// How long a stage waited for a compile of another thread or process.
#[derive(Debug, Default)]
pub(super) struct Waited(Mutex<Option<Duration>>);

impl Waited {
    pub(super) fn add(&self, waited: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all = Some(all.unwrap_or_default() + waited);
    }

    /// `None` if the stage did not wait.
    pub(super) fn get(&self) -> Option<Duration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kind of match for a request whose object was found by the graph key. If level 1 leads to the
/// same graph, this is the kind that level 1 found. Otherwise it is [`Match::Graph`].
pub(super) fn matched(known: Option<&Resolved>, key: &GraphKey) -> Match {
    known.filter(|known| known.graph_key == *key).map_or(Match::Graph, |known| known.matched)
}
