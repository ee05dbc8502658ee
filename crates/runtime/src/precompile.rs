//! How is a graph compiled without being loaded?
//!
//! Programs do so for hardware that is not here, and to fill a store that is to be shipped.

use std::time::Instant;

use preheat_cache::{GraphKey, KeyInputs, Match, Measurements, Source};

use super::Inner;
use super::cache::Cache;
use super::compile::{Again, Made, Wanting};
use super::error::Error;
use super::obtain::{LEVEL_ONE_PATIENCE, matched};
use super::report::StageReport;
use super::request::Asked;
use crate::backend::Backend;
use crate::progress::EventKind;

/// The result of precompiling a graph.
pub(super) struct Kept {
    key: GraphKey,
    pub(super) source: Source,
    matched: Match,
    pub(super) compile_seconds: f64,
    pub(super) compile_peak_bytes: u64,
    /// Only if it was compiled just now.
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
    /// Makes sure that the store has the executable. A stored executable is not read here: `cache
    /// verify` reads it, and so does every load.
    pub(super) fn precompile(&self, asked: &Asked<'_>) -> Result<StageReport, Error> {
        self.cache()?;
        let began = Instant::now();
        let _request = asked.trace(self, "request");
        let kept = self.keep_or_compile(asked)?;
        let load_seconds = (began.elapsed().as_secs_f64() - kept.compile_seconds).max(0.0);
        let report = StageReport {
            model_id: asked.signature.model_id.clone(),
            stage: asked.graph.stage_name().to_owned(),
            graph_key: kept.key,
            source: kept.source,
            matched: kept.matched,
            compile_seconds: kept.compile_seconds,
            compile_peak_bytes: kept.compile_peak_bytes,
            load_seconds,
        };
        self.note_use(asked, &report);
        tracing::info!(
            stage = report.stage, graph_key = %report.graph_key, source = ?report.source, matched = ?report.matched,
            compile_seconds = report.compile_seconds, "in the store"
        );
        asked.tell(self, EventKind::Ready);
        if let Some(recorder) = &self.recorder {
            recorder.obtained(&report, kept.measurements.as_ref());
        }
        Ok(report)
    }

    fn keep_or_compile(&self, asked: &Asked<'_>) -> Result<Kept, Error> {
        let cache = self.cache()?;
        let known =
            cache.resolve(asked.projection_key, asked.exact, LEVEL_ONE_PATIENCE, &self.warnings);
        let looks = !asked.force_recompile && self.reuse;
        let there = |known: &preheat_cache::Resolved| {
            cache
                .source_of(&known.graph_key)
                .map(|source| Kept::there(known.graph_key, source, known.matched))
        };
        if looks && let Some(there) = known.as_ref().and_then(there) {
            return Ok(there);
        }
        let inputs = self.key_inputs(asked)?;
        let key = inputs.graph_key();
        let matching = |key: &GraphKey| matched(known.as_ref(), key);
        if looks && let Some(source) = cache.source_of(&key) {
            return Ok(Kept::there(key, source, matching(&key)));
        }
        self.compile_and_keep(asked, &inputs, &matching)
    }

    /// Compiles a graph that is not in the store, unless another thread or process compiles it
    /// meanwhile; in that case `matched` tells how the stored executable matched.
    pub(super) fn compile_and_keep(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
        matched: &dyn Fn(&GraphKey) -> Match,
    ) -> Result<Kept, Error> {
        let (cache, key) = (self.cache()?, inputs.graph_key());
        cache.check_writable()?;
        let there = || cache.source_of(&key).map(|source| Kept::there(key, source, matched(&key)));
        let again = |again| Ok(if again == Again::Store { there() } else { None });
        let compiler = || match &self.backend {
            // The executable was loaded as a part of compiling it. It is dropped, because nobody is
            // about to run it.
            Backend::Here(here) => Ok(((), here.compile(inputs)?.1)),
            Backend::Ahead(ahead) => Ok((
                (),
                ahead.compile(
                    inputs,
                    self.cache.as_deref().and_then(Cache::remembers),
                    &self.cancel,
                )?,
            )),
        };
        let fresh =
            match self.compile(asked, &Wanting { inputs, key, refused: false }, again, compiler)? {
                Made::Found(kept) => return Ok(kept),
                Made::Compiled(fresh) => fresh,
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
