//! One request to a runtime, refined before it is made.

use std::borrow::Cow;

use preheat_cache::{Digest, RecordedSignature, Signature};

use super::Inner;
use super::digests::RequestDigests;
use super::error::Error;
use super::executable::Executable;
use super::metrics;
use super::report::StageLookup;
use super::report::{Lookup, StageReport, WarmupReport};
use super::source::{BuildError, Graph};
use crate::progress::{Event, EventKind};
use crate::trace::Going;

/// A request for one executable.
#[must_use = "a request does nothing until it is made, with get, warmup or lookup"]
pub struct Request<'a> {
    inner: &'a Inner,
    signature: &'a Signature,
    graph: Result<Cow<'a, Graph>, BuildError>,
    force_recompile: bool,
    require_warm: bool,
}

/// A request whose graph is known, with the digests that it is found by.
pub(super) struct Asked<'a> {
    pub(super) signature: &'a Signature,
    pub(super) graph: &'a Graph,
    /// The digest of the exact signature.
    pub(super) exact: Digest,
    /// The key of level 1: stage, projected signature, environment, builder and options.
    pub(super) projection_key: Digest,
    /// Requests that lead to the graph and were not made here; what is compiled for them is
    /// recorded under each, and not under this one.
    pub(super) leading: &'a [RecordedSignature],
    pub(super) force_recompile: bool,
    pub(super) require_warm: bool,
    /// Whether this is a warmup, of which nobody needs to be warned that it compiles.
    pub(super) warming: bool,
}

impl Asked<'_> {
    /// What figures of this request stand under: the stage; of a program, its name.
    pub(super) fn subject(&self) -> &str {
        metrics::subject(&self.signature.model_id, self.graph.stage_name())
    }

    /// Begins a span on its row of the trace, where there is a trace.
    pub(super) fn trace(&self, inner: &Inner, name: &'static str) -> Option<Going> {
        inner.recorder.as_ref()?.begin(self.subject(), name)
    }

    /// Tells whoever watches `inner` what happens to this request.
    pub(super) fn tell(&self, inner: &Inner, kind: EventKind) {
        let (model_id, stage) =
            (self.signature.model_id.clone(), self.graph.stage_name().to_owned());
        inner.progress.event(Event { model_id, stage, kind });
    }
}

impl<'a> Request<'a> {
    pub(super) fn new(
        inner: &'a Inner,
        signature: &'a Signature,
        graph: Result<Cow<'a, Graph>, BuildError>,
    ) -> Self {
        let require_warm = inner.require_warm;
        Self { inner, signature, graph, force_recompile: false, require_warm }
    }

    /// Compile it although it is there, and replace what is there in one step.
    pub fn force_recompile(mut self, force: bool) -> Self {
        self.force_recompile = force;
        self
    }

    /// Whether having to compile it is an error.
    pub fn require_warm(mut self, require: bool) -> Self {
        self.require_warm = require;
        self
    }

    /// Makes the request.
    ///
    /// # Errors
    /// As [`Runtime::get_or_compile`](super::Runtime::get_or_compile).
    pub fn get(self) -> Result<Executable, Error> {
        self.ask(false, Inner::obtain)
    }

    /// Makes the request as a warmup does: nobody is warned that it compiles.
    pub fn get_for_warmup(self) -> Result<Executable, Error> {
        self.ask(true, Inner::obtain)
    }

    /// Makes the request, and runs the executable once on zeros.
    ///
    /// # Errors
    /// As [`Runtime::warmup`](super::Runtime::warmup).
    pub fn warmup(self) -> Result<(Executable, WarmupReport), Error> {
        let inner = self.inner;
        let executable = self.get_for_warmup()?;
        let report = inner.run_once(&executable)?;
        Ok((executable, report))
    }

    /// Makes sure that the cache has the executable, and loads nothing: all that can be done for
    /// hardware that is not here.
    ///
    /// # Errors
    /// Where the graph cannot be built, compiled or kept.
    pub fn precompile(self) -> Result<StageReport, Error> {
        self.ask(true, Inner::precompile)
    }

    /// Asks whether the request would hit.
    ///
    /// # Errors
    /// As [`Runtime::lookup`](super::Runtime::lookup).
    pub fn lookup(self) -> Result<Lookup, Error> {
        self.ask(false, |inner, asked| Ok(Lookup::of(vec![inner.look_up(asked)?])))
    }

    /// Asks for it by its key alone.
    pub(super) fn look_up_by_key(self) -> Result<StageLookup, Error> {
        self.ask(false, Inner::look_up_by_key)
    }

    fn ask<T>(
        self,
        warming: bool,
        then: impl FnOnce(&Inner, &Asked<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // Its fields are public: a number that is none would be recorded and could never be read
        // back.
        self.signature.validate()?;
        let graph = self
            .graph
            .map_err(|cause| Error::Build { stage: Graph::DEFAULT_STAGE.to_owned(), cause })?;
        let graph = graph.as_ref();
        if let Some(program) = graph.program_at_hand() {
            self.inner.check_as_written(graph.stage_name(), program, graph.compile_options())?;
        }
        let RequestDigests { exact, projection_key } =
            self.inner.digests().of(self.signature, graph);
        let asked = Asked {
            signature: self.signature,
            graph,
            exact,
            projection_key,
            leading: &[],
            force_recompile: self.force_recompile,
            require_warm: self.require_warm,
            warming,
        };
        then(self.inner, &asked)
    }
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("signature", &self.signature).finish_non_exhaustive()
    }
}
