//! How is a graph compiled without being loaded?
//!
//! A child process compiles the graph. If this process has to compile for its own device, it also
//! loads the executable, which is then dropped. In both cases only the store keeps the executable:
//! this is for hardware that is not here, and for a store that is shipped to other machines.

use std::time::Instant;

use preheat_cache::{GraphKey, GraphRecord, KeyInputs, Match, Measurements, RemoteQuery, Source};

use super::asked::{Asked, LEVEL_ONE_PATIENCE, matched};
use super::cache::Cache;
use super::compile::{Again, Compiling, Made, Wanting};
use super::error::Error;
use super::parts::Inner;
use super::remotes::Wanted;
use super::report::StageReport;
use crate::backend::Backend;
use crate::progress::EventKind;

/// The result of precompiling a graph.
pub(super) struct Kept {
    key: GraphKey,
    pub(super) source: Source,
    matched: Match,
    pub(super) compile_seconds: f64,
    pub(super) compile_peak_bytes: u64,
    /// `None` unless the graph was compiled just now.
    measurements: Option<Measurements>,
}

impl Kept {
    fn there(key: GraphKey, source: Source, matched: Match) -> Self {
        Self {
            key,
            source,
            matched,
            compile_seconds: 0.0,
            compile_peak_bytes: 0,
            measurements: None,
        }
    }
}

impl Inner {
    /// The parts of this runtime that compile a graph and store it without loading it.
    pub(super) fn precompiling(&self) -> Result<Precompiling<'_>, Error> {
        Ok(Precompiling { compiling: self.compiling(), cache: self.cache()? })
    }

    /// Makes sure that the store has the executable. A stored executable is not read here: `cache
    /// verify` reads it, and so does every load.
    pub(super) fn precompile(&self, asked: &Asked<'_>) -> Result<StageReport, Error> {
        let _request = asked.trace("request");
        self.counting().counted(asked, |asked| self.precompile_now(asked))
    }

    fn precompile_now(&self, asked: &Asked<'_>) -> Result<StageReport, Error> {
        let began = Instant::now();
        let (served, kept) = self.precompiling()?.keep_or_compile(asked)?;
        let wait_seconds = asked.waited.get().map_or(0.0, |waited| waited.as_secs_f64());
        let elsewhere_seconds = kept.compile_seconds + wait_seconds;
        let load_seconds = (began.elapsed().as_secs_f64() - elsewhere_seconds).max(0.0);
        let report = StageReport {
            model_id: asked.signature.model_id.clone(),
            stage: asked.graph.stage_name().to_owned(),
            graph_key: kept.key,
            source: kept.source,
            matched: kept.matched,
            compile_seconds: kept.compile_seconds,
            compile_peak_bytes: kept.compile_peak_bytes,
            load_seconds,
            wait_seconds,
            effort: served.effort(&self.site),
        };
        self.note_use(asked, served, &report);
        tracing::info!(
            stage = report.stage, graph_key = %report.graph_key, source = ?report.source, matched = ?report.matched,
            compile_seconds = report.compile_seconds, "in the store"
        );
        asked.tell(EventKind::Ready);
        if let Some(recorder) = &self.recorder {
            recorder.obtained(&report, kept.measurements.as_ref());
        }
        Ok(report)
    }
}

/// The parts that make sure that a store has an executable.
#[derive(Clone, Copy)]
pub(super) struct Precompiling<'a> {
    pub(super) compiling: Compiling<'a>,
    pub(super) cache: &'a Cache,
}

impl Precompiling<'_> {
    /// Finds the executable of the highest effort in the store, or compiles one with the effort of
    /// the request. Also returns the request with the effort of that executable.
    fn keep_or_compile<'a, 'r>(
        &self,
        asked: &'r Asked<'a>,
    ) -> Result<(&'r Asked<'a>, Kept), Error> {
        let cache = self.cache;
        let known = |asked: &Asked<'_>| {
            let patience = LEVEL_ONE_PATIENCE;
            cache.resolve(asked.projection_key, asked.exact, patience, self.compiling.warnings)
        };
        let known: Vec<_> = asked.tiers().map(known).collect();
        let looks = !asked.force_recompile && self.compiling.rules.reuse;
        if looks {
            for (asked, known) in asked.tiers().zip(&known) {
                let Some(known) = known else { continue };
                if let Some(source) = cache.source_of(&known.graph_key) {
                    return Ok((asked, Kept::there(known.graph_key, source, known.matched)));
                }
            }
        }
        if looks && let Some((asked, kept)) = self.bring_by_projection(asked)? {
            return Ok((asked, kept));
        }
        let inputs = asked.key_inputs(self.compiling.site)?;
        if looks {
            for ((asked, inputs), known) in asked.with_inputs(&inputs).zip(&known) {
                let key = inputs.graph_key();
                if let Some(source) = cache.source_of(&key) {
                    let matched = matched(known.as_ref(), &key);
                    return Ok((asked, Kept::there(key, source, matched)));
                }
            }
            if let Some((asked, kept)) = self.bring_by_inputs(asked, &inputs)? {
                return Ok((asked, kept));
            }
        }
        let known = known.get(asked.better.len()).and_then(Option::as_ref);
        let kept = self.compile_and_keep(asked, &inputs, &|key| matched(known, key))?;
        Ok((asked, kept))
    }

    /// Asks the remotes for level 1, for all efforts at once. What they have is stored.
    fn bring_by_projection<'a, 'r>(
        &self,
        asked: &'r Asked<'a>,
    ) -> Result<Option<(&'r Asked<'a>, Kept)>, Error> {
        let site = self.compiling.site;
        let tiers: Vec<_> = asked.tiers().collect();
        let fits: Vec<_> = tiers
            .iter()
            .map(|asked| {
                let (stage, options) = (asked.graph.stage_name(), asked.graph.compile_options());
                move |record: &GraphRecord| record.answers(stage, options, &site.environment_digest)
            })
            .collect();
        let wanted: Vec<Wanted<'_>> = tiers
            .iter()
            .zip(&fits)
            .map(|(asked, fits)| Wanted {
                query: RemoteQuery::Projection(asked.projection_key),
                fits,
            })
            .collect();
        let warnings = self.compiling.warnings;
        let brought = self.cache.bring(&site.environment_digest, &wanted, warnings)?;
        Ok(brought.and_then(|brought| {
            let (asked, key) = (*tiers.get(brought.index)?, brought.pointer.graph_key);
            let source = self.cache.source_of(&key)?;
            Some((asked, Kept::there(key, source, brought.matched(&asked.exact))))
        }))
    }

    /// Asks the remotes for exactly this graph, for all efforts at once. What they have is stored.
    fn bring_by_inputs<'a, 'r>(
        &self,
        asked: &'r Asked<'a>,
        inputs: &KeyInputs,
    ) -> Result<Option<(&'r Asked<'a>, Kept)>, Error> {
        let tiers: Vec<_> =
            asked.with_inputs(inputs).map(|(asked, inputs)| (asked, inputs.graph_key())).collect();
        let query =
            |(_, key): &(_, GraphKey)| Wanted { query: RemoteQuery::Graph(*key), fits: &|_| true };
        let wanted: Vec<Wanted<'_>> = tiers.iter().map(query).collect();
        let (site, warnings) = (self.compiling.site, self.compiling.warnings);
        let brought = self.cache.bring(&site.environment_digest, &wanted, warnings)?;
        Ok(brought.and_then(|brought| {
            let (asked, key) = *tiers.get(brought.index)?;
            Some((asked, Kept::there(key, self.cache.source_of(&key)?, Match::Graph)))
        }))
    }

    /// Compiles a graph that is not in the store, unless another thread or process compiles it
    /// meanwhile; in that case `matched` tells how the stored executable matched.
    pub(super) fn compile_and_keep(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
        matched: &dyn Fn(&GraphKey) -> Match,
    ) -> Result<Kept, Error> {
        let (cache, key) = (self.cache, inputs.graph_key());
        cache.check_writable()?;
        let there = || cache.source_of(&key).map(|source| Kept::there(key, source, matched(&key)));
        let again = |again| Ok(if again == Again::Store { there() } else { None });
        let compiler = || match &self.compiling.site.backend {
            Backend::Here(here) => {
                Ok(((), self.compiling.for_device(&**here, inputs, asked.control.flag())?))
            }
            Backend::Ahead(ahead) => {
                Ok(((), ahead.compile(inputs, cache.remembers(), asked.control.flag())?))
            }
        };
        let fresh = match self.compiling.compile(
            asked,
            &Wanting { inputs, key, refused: false },
            again,
            compiler,
        )? {
            Made::Found(kept) => return Ok(kept),
            Made::Compiled(fresh, _turn) => fresh,
        };
        if !fresh.is_stored {
            return Err(Error::NotKept {
                stage: asked.graph.stage_name().to_owned(),
                graph_key: key,
            });
        }
        Ok(Kept {
            key,
            source: Source::Compiled,
            matched: Match::Compiled,
            compile_seconds: fresh.record.measurements.compile_seconds,
            compile_peak_bytes: fresh.record.measurements.compile_peak_bytes.unwrap_or(0),
            measurements: Some(fresh.record.measurements),
        })
    }
}
