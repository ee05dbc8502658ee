//! Would a request hit? Nothing is compiled to answer.

use std::collections::BTreeMap;

use preheat_cache::{GraphKey, KeyInputs, Match, Signature, Wanted};

use super::Inner;
use super::error::Error;
use super::obtain::{LEVEL_ONE_PATIENCE, matched};
use super::report::{Lookup, Nearest, StageLookup, Verdict};
use super::request::Asked;

impl Inner {
    /// Would this request hit? Level 1 is asked first. The graph is built only if level 1 has no
    /// answer.
    pub(super) fn look_up(&self, asked: &Asked<'_>) -> Result<StageLookup, Error> {
        let cache = self.cache()?;
        let known =
            cache.resolve(asked.projection_key, asked.exact, LEVEL_ONE_PATIENCE, &self.warnings);
        let hit = |graph_key, matched, compile_seconds: Option<f64>| StageLookup {
            model_id: asked.signature.model_id.clone(),
            stage: asked.graph.stage_name().to_owned(),
            verdict: Verdict::Hit,
            matched: Some(matched),
            graph_key: Some(graph_key),
            expected_compile_seconds: compile_seconds,
            nearest: None,
        };
        if let Some(known) = known.as_ref().filter(|known| cache.has_object(&known.graph_key)) {
            return Ok(hit(known.graph_key, known.matched, Some(known.compile_seconds)));
        }
        let inputs = self.key_inputs(asked)?;
        let key = inputs.graph_key();
        let nearest = self.nearest(asked, &inputs);
        if cache.has_object(&key) {
            let seconds = nearest.as_ref().and_then(|(_, seconds)| *seconds);
            return Ok(hit(key, matched(known.as_ref(), &key), seconds));
        }
        if let Some(record) = self.of_this_hardware(asked, &inputs)? {
            return Ok(hit(
                record.graph_key,
                Match::Graph,
                Some(record.measurements.compile_seconds),
            ));
        }
        Ok(missing(asked, key, nearest))
    }

    /// Every stage that was run under this exact signature, and whether its executable for this
    /// environment is cached. A stage that was run in other environments only is a miss, with the
    /// fields that differ.
    pub(super) fn lookup_signature(&self, signature: &Signature) -> Result<Lookup, Error> {
        let cache = self.cache()?;
        let mut stages: BTreeMap<String, StageLookup> = BTreeMap::new();
        for record in cache.main().records_of_signature(&signature.digest())? {
            let differences = record.environment.differences(self.backend.environment());
            let here =
                differences.is_empty() && record.environment.digest() == self.environment_digest;
            let there = here && cache.has_object(&record.graph_key);
            let answer = StageLookup {
                model_id: signature.model_id.clone(),
                stage: record.stage.clone(),
                verdict: if there { Verdict::Hit } else { Verdict::Miss },
                matched: there.then_some(Match::Exact),
                graph_key: here.then_some(record.graph_key),
                expected_compile_seconds: Some(record.measurements.compile_seconds),
                nearest: (!here).then_some(Nearest { graph_key: record.graph_key, differences }),
            };
            let better =
                stages.get(&record.stage).is_none_or(|other| answer.likeness() > other.likeness());
            if better {
                stages.insert(record.stage, answer);
            }
        }
        Ok(Lookup::of(stages.into_values().collect()))
    }

    /// The entry of the cache that is most like the request.
    pub(super) fn nearest_entry(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
    ) -> Option<preheat_cache::Nearest> {
        let wanted = Wanted {
            program: Some(inputs.program.digest()),
            stage: asked.graph.stage_name(),
            signature: Some(asked.signature),
            environment: self.backend.environment(),
            options: asked.graph.compile_options(),
        };
        self.cache.as_ref()?.nearest(&wanted, &self.warnings)
    }

    /// The nearest entry of the cache, and the seconds that a compile is expected to take.
    pub(super) fn nearest(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
    ) -> Option<(Nearest, Option<f64>)> {
        let found = self.nearest_entry(asked, inputs)?;
        let nearest = Nearest { graph_key: found.record.graph_key, differences: found.differences };
        // Programs without a model always have the same stage name, which says nothing about their
        // likeness.
        let unlike = asked.graph.program_at_hand().is_some()
            && nearest.differences.iter().any(|d| d.field == "program");
        Some((nearest, found.expected_compile_seconds.filter(|_| !unlike)))
    }
}

pub(super) fn missing(
    asked: &Asked<'_>,
    graph_key: GraphKey,
    nearest: Option<(Nearest, Option<f64>)>,
) -> StageLookup {
    let (nearest, seconds) = nearest.unzip();
    let unknown = StageLookup::unknown(&asked.signature.model_id, asked.graph.stage_name());
    StageLookup {
        graph_key: Some(graph_key),
        expected_compile_seconds: seconds.flatten(),
        nearest,
        ..unknown
    }
}

/// Logs why the graph has to be compiled: the fields in which the nearest entry differs.
pub(super) fn explain_miss(stage: &str, key: &GraphKey, nearest: Option<&(Nearest, Option<f64>)>) {
    let Some((nearest, _)) = nearest else {
        tracing::info!(stage, graph_key = %key, "miss: the cache has nothing like it");
        return;
    };
    tracing::info!(stage, graph_key = %key, nearest = %nearest.graph_key, "miss");
    for difference in &nearest.differences {
        let (field, have, want) = (&difference.field, &difference.have, &difference.want);
        tracing::info!(%field, %have, %want, "miss: the nearest entry differs");
    }
}
