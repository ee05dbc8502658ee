//! How is a request refined before it is made?

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

/// A request whose graph is known, with the digests by which it is looked up.
pub(super) struct Asked<'a> {
    pub(super) signature: &'a Signature,
    pub(super) graph: &'a Graph,
    /// The digest of the exact signature.
    pub(super) exact: Digest,
    /// The key of level 1: stage, projected signature, environment, builder and options.
    pub(super) projection_key: Digest,
    /// Recorded requests that lead to the same graph. What is compiled is recorded under
    /// each of them, and not under this request.
    pub(super) leading: &'a [RecordedSignature],
    pub(super) force_recompile: bool,
    pub(super) require_warm: bool,
    /// Whether this is a warmup. A compile during a warmup causes no warning.
    pub(super) warming: bool,
}

impl Asked<'_> {
    /// The name under which this request's figures are listed: the stage of a model, or the name of
    /// a program.
    pub(super) fn subject(&self) -> &str {
        metrics::subject(&self.signature.model_id, self.graph.stage_name())
    }

    /// Begins a span on this request's row of the trace, if there is a trace.
    pub(super) fn trace(&self, inner: &Inner, name: &'static str) -> Option<Going> {
        inner.recorder.as_ref()?.begin(self.subject(), name)
    }

    /// Sends an event about this request to the receiver that `inner` has.
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

    /// Sets whether to compile even if the executable is cached. The new one then replaces the old
    /// one in one step.
    pub fn force_recompile(mut self, force: bool) -> Self {
        self.force_recompile = force;
        self
    }

    /// Sets whether the request fails if it would have to compile.
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

    /// Makes the request as a part of a warmup: a compile causes no warning.
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

    /// Makes sure that the cache has the executable, and loads nothing. For hardware that is not
    /// here, this is all that can be done.
    ///
    /// # Errors
    /// Where the graph cannot be built, compiled or stored.
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

    /// Looks the request's graph up by its key alone.
    pub(super) fn look_up_by_key(self) -> Result<StageLookup, Error> {
        self.ask(false, Inner::look_up_by_key)
    }

    fn ask<T>(
        self,
        warming: bool,
        then: impl FnOnce(&Inner, &Asked<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // The signature's fields are public. A number that is not valid would be recorded, and the
        // record could never be read back.
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
