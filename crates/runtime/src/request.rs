//! How is a request refined before it is made?

use std::borrow::Cow;
use std::time::Instant;

use preheat_cache::Signature;

use super::asked::{Asked, Waited};
use super::digests::RequestDigests;
use super::effort::EffortChoice;
use super::error::Error;
use super::executable::Executable;
use super::open_request::Counts;
use super::parts::{Inner, Rules, Runtime};
use super::report::{Lookup, StageLookup, StageReport, WarmupReport, warmup_summary};
use super::source::{BuildError, Graph};
use crate::progress::Control;

/// A request for one executable.
#[must_use = "a request does nothing until it is made, with get, warmup or lookup"]
pub struct Request<'a> {
    inner: &'a Inner,
    control: Control,
    signature: &'a Signature,
    graph: Result<Cow<'a, Graph>, BuildError>,
    force_recompile: bool,
    require_warm: bool,
    /// `None` if neither the request nor its runtime names an effort.
    effort: Option<EffortChoice>,
    counts: Counts<'a>,
}

impl<'a> Request<'a> {
    pub(super) fn new(
        runtime: &'a Runtime,
        signature: &'a Signature,
        graph: Result<Cow<'a, Graph>, BuildError>,
    ) -> Self {
        let inner = &*runtime.inner;
        let Rules { require_warm, effort, .. } = inner.rules;
        Self {
            inner,
            control: runtime.control.clone(),
            signature,
            graph,
            force_recompile: false,
            require_warm,
            effort,
            counts: runtime.part_of.as_deref().map_or(Counts::Alone, Counts::AsPartOf),
        }
    }

    /// Sets the control of this request, in place of the runtime's own. It receives the request's
    /// progress and can stop the request.
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    /// Makes this request only a check: if it is not warm, it fails and is not counted.
    pub(super) fn only_if_warm(mut self) -> Self {
        (self.require_warm, self.counts) = (true, Counts::AloneIfWarm);
        self
    }

    /// Sets whether to compile even if the executable is cached. The new executable then replaces
    /// the old one in one step.
    pub fn force_recompile(mut self, force: bool) -> Self {
        self.force_recompile = force;
        self
    }

    /// Sets whether the request fails if it would have to compile.
    pub fn require_warm(mut self, require: bool) -> Self {
        self.require_warm = require;
        self
    }

    /// Sets how much work the compiler puts into the graph, in place of the runtime's own setting
    /// ([`RuntimeBuilder::compile_effort`](crate::RuntimeBuilder::compile_effort)).
    pub fn effort(mut self, effort: impl Into<EffortChoice>) -> Self {
        self.effort = Some(effort.into());
        self
    }

    /// Makes the request.
    ///
    /// # Errors
    /// The errors of [`Runtime::get_or_compile`](super::Runtime::get_or_compile).
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
    /// The errors of [`Runtime::warmup`](super::Runtime::warmup).
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
    /// If the signature is not valid, if the program cannot run as it is written, if the graph
    /// cannot be built, compiled or stored, or if the caller asked to stop.
    pub fn precompile(self) -> Result<StageReport, Error> {
        self.ask(true, Inner::precompile)
    }

    /// Tells whether the request would hit.
    ///
    /// # Errors
    /// The errors of [`Runtime::lookup`](super::Runtime::lookup).
    pub fn lookup(self) -> Result<Lookup, Error> {
        self.ask(false, |inner, asked| Ok(Lookup::of(vec![inner.lookups().stage(asked)?])))
    }

    /// Looks the request's graph up by its key alone.
    pub(super) fn look_up_by_key(self) -> Result<StageLookup, Error> {
        self.ask(false, |inner, asked| inner.lookups().by_key(asked))
    }

    fn ask<T>(
        self,
        warming: bool,
        then: impl FnOnce(&Inner, &Asked<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Self {
            inner,
            control,
            signature,
            graph,
            force_recompile,
            require_warm,
            effort,
            counts,
        } = self;
        // The signature's fields are public. A number that is not valid would be recorded, and the
        // record could never be read back.
        signature.validate()?;
        let graph = graph
            .map_err(|cause| Error::Build { stage: Graph::DEFAULT_STAGE.to_owned(), cause })?;
        let graph = graph.as_ref();
        let options = graph.compile_options();
        if let Some(program) = graph.program_at_hand() {
            inner.site.check_as_written(graph.stage_name(), program, options)?;
        }
        let effort = effort.unwrap_or(EffortChoice::if_none_is_named(warming));
        let platform = &inner.site.environment().platform;
        // At the full effort there is only one graph, so nothing is allocated.
        let (mut graphs, mut position) = (Vec::new(), 0);
        if !effort.is_full_on(platform) {
            let (tiers, first) = effort.tiers(options, platform);
            graphs.extend(tiers.into_iter().map(|options| graph.clone().options(options)));
            position = first;
        }
        let tiered = effort.is_tiered_on(platform);
        if tiered && (force_recompile || !inner.can_upgrade()) {
            // No full executable could take over later, so it is compiled now. A forced compile
            // replaces the full executable, too: otherwise the old one would serve again.
            position = 0;
        }
        let asked = |graph, better, worse| {
            let RequestDigests { exact, projection_key } = inner.digests.of(signature, graph);
            Asked {
                control: &control,
                recorder: inner.recorder.as_ref(),
                signature,
                graph,
                better,
                worse,
                tiered,
                exact,
                projection_key,
                leading: &[],
                force_recompile,
                require_warm,
                warming,
                counts,
                waited: Waited::default(),
            }
        };
        let higher = graphs.get(..position).unwrap_or_default();
        let better: Vec<Asked<'_>> = higher.iter().map(|graph| asked(graph, &[], &[])).collect();
        let lower = graphs.get(position + 1..).unwrap_or_default();
        let worse: Vec<Asked<'_>> = lower.iter().map(|graph| asked(graph, &[], &[])).collect();
        then(inner, &asked(graphs.get(position).unwrap_or(graph), &better, &worse))
    }
}

impl Inner {
    /// Runs an executable once on zeros: the last part of a warmup, after the executable was
    /// obtained.
    pub(crate) fn run_once(&self, executable: &Executable) -> Result<WarmupReport, Error> {
        let began = Instant::now();
        executable.run_on_zeros()?;
        let first_run_seconds = began.elapsed().as_secs_f64();
        let report = WarmupReport {
            stage: executable.report().clone(),
            first_run_seconds,
            kept: self.keeps(executable),
        };
        let (model, summary) =
            (&report.stage.model_id, warmup_summary(std::slice::from_ref(&report)));
        tracing::info!(stage = report.stage.stage, graph_key = %report.stage.graph_key, "warmup complete: {model}, {summary}");
        Ok(report)
    }

    /// Whether the cache has this executable.
    pub(super) fn keeps(&self, executable: &Executable) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.has_object(&executable.graph_key()))
    }
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("signature", &self.signature).finish_non_exhaustive()
    }
}
