//! Would a request hit? Nothing is compiled to answer this question.

use std::collections::BTreeMap;

use preheat_cache::{
    GraphKey, GraphRecord, KeyInputs, Match, RemotePointer, RemoteQuery, Signature, WantedEntry,
};

use super::asked::{Asked, LEVEL_ONE_PATIENCE, matched};
use super::cache::Cache;
use super::digests::RequestDigests;
use super::effort::CompileEffort;
use super::error::Error;
use super::parts::Inner;
use super::report::{Lookup, Nearest, StageLookup, Verdict};
use super::site::Site;
use super::source::Graph;
use super::takeover::Takeover;
use super::warnings::Warnings;

/// The parts of a runtime that answer questions about its cache without compiling or loading
/// anything.
#[derive(Clone, Copy)]
pub(super) struct Lookups<'a> {
    pub(super) site: &'a Site,
    pub(super) cache: Option<&'a Cache>,
    pub(super) warnings: &'a Warnings,
}

impl Inner {
    /// The parts that answer questions without compiling or loading anything.
    pub(crate) fn lookups(&self) -> Lookups<'_> {
        Lookups { site: &self.site, cache: self.cache.as_deref(), warnings: &self.warnings }
    }
}

impl<'a> Lookups<'a> {
    fn cache(&self) -> Result<&'a Cache, Error> {
        self.cache.ok_or(Error::NO_CACHE)
    }

    /// Would this request hit, in any of the efforts that serve it? Level 1 is looked up first. The
    /// graph is built only if level 1 misses.
    pub(super) fn stage(&self, asked: &Asked<'_>) -> Result<StageLookup, Error> {
        let cache = self.cache()?;
        let hit =
            |asked: &Asked<'_>, graph_key, matched, compile_seconds: Option<f64>| StageLookup {
                model_id: asked.signature.model_id.clone(),
                stage: asked.graph.stage_name().to_owned(),
                verdict: Verdict::Hit,
                matched: Some(matched),
                graph_key: Some(graph_key),
                expected_compile_seconds: compile_seconds,
                effort: Some(asked.effort(self.site)),
                nearest: None,
                remote: None,
            };
        let known = |asked: &Asked<'_>| {
            cache.resolve(asked.projection_key, asked.exact, LEVEL_ONE_PATIENCE, self.warnings)
        };
        let known: Vec<_> = asked.tiers().map(known).collect();
        for (asked, known) in asked.tiers().zip(&known) {
            if let Some(known) = known.as_ref().filter(|known| cache.has_object(&known.graph_key)) {
                return Ok(hit(asked, known.graph_key, known.matched, Some(known.compile_seconds)));
            }
        }
        let queries = asked.tiers().map(|asked| RemoteQuery::Projection(asked.projection_key));
        if let Some((index, pointer, remote)) = self.remotely(&queries.collect::<Vec<_>>())? {
            let asked = asked.tiers().nth(index).unwrap_or(asked);
            let matched = super::remotes::matched(&pointer, &asked.exact);
            let found = hit(asked, pointer.graph_key, matched, Some(pointer.compile_seconds));
            return Ok(StageLookup { remote: Some(remote), ..found });
        }
        let inputs = asked.key_inputs(self.site)?;
        for ((asked, inputs), known) in asked.with_inputs(&inputs).zip(&known) {
            let key = inputs.graph_key();
            if cache.has_object(&key) {
                let nearest = self.nearest(asked, &inputs);
                let seconds = nearest.as_ref().and_then(|(_, seconds)| *seconds);
                return Ok(hit(asked, key, matched(known.as_ref(), &key), seconds));
            }
            if let Some(record) = self.of_this_hardware(asked, &inputs)? {
                let seconds = record.measurements.compile_seconds;
                return Ok(hit(asked, record.graph_key, Match::Graph, Some(seconds)));
            }
        }
        let tiers: Vec<_> =
            asked.with_inputs(&inputs).map(|(asked, inputs)| (asked, inputs.graph_key())).collect();
        let queries: Vec<_> = tiers.iter().map(|(_, key)| RemoteQuery::Graph(*key)).collect();
        if let Some((index, pointer, remote)) = self.remotely(&queries)? {
            let asked = tiers.get(index).map_or(asked, |(asked, _)| asked);
            let seconds = Some(pointer.compile_seconds);
            let found = hit(asked, pointer.graph_key, Match::Graph, seconds);
            return Ok(StageLookup { remote: Some(remote), ..found });
        }
        let nearest = self.nearest(asked, &inputs);
        let effort = Some(asked.effort(self.site));
        Ok(StageLookup { effort, ..missing(asked, inputs.graph_key(), nearest) })
    }

    /// Asks the remotes for pointers, if look-ups may do that. The pointers of all efforts are read
    /// at the same time. Whether their objects are still there is not asked.
    fn remotely(
        &self,
        wanted: &[RemoteQuery],
    ) -> Result<Option<(usize, RemotePointer, String)>, Error> {
        let cache = self.cache()?;
        if !cache.remotes().answer_lookups() {
            return Ok(None);
        }
        let found = cache.remotes().find(&self.site.environment_digest, wanted, self.warnings);
        cache.count_remotes();
        found
    }

    /// Asks the remotes for the pointers of several stages at the same time, so that the look-up of
    /// each stage finds the answer without a round trip of its own.
    pub(super) fn ask_ahead(&self, graphs: &[(&Signature, &Graph)]) -> Result<(), Error> {
        let wanted: Vec<RemoteQuery> = graphs
            .iter()
            .map(|(signature, graph)| {
                let digests = RequestDigests::of(signature, graph, &self.site.environment_digest);
                RemoteQuery::Projection(digests.projection_key)
            })
            .collect();
        self.remotely(&wanted).map(drop)
    }

    /// Every stage that was run under this exact signature, and whether its executable for this
    /// environment is cached. A stage that was run in other environments only is a miss, with the
    /// fields that differ.
    pub(super) fn signature(&self, signature: &Signature) -> Result<Lookup, Error> {
        let cache = self.cache()?;
        let mut stages: BTreeMap<String, StageLookup> = BTreeMap::new();
        for record in cache.main().records_of_signature(&signature.digest())? {
            let differences = record.environment.differences(self.site.environment());
            let here = differences.is_empty() && self.site.fits(&record);
            let there = here && cache.has_object(&record.graph_key);
            let effort = CompileEffort::of_record(&record);
            let answer = StageLookup {
                model_id: signature.model_id.clone(),
                stage: record.stage.clone(),
                verdict: if there { Verdict::Hit } else { Verdict::Miss },
                matched: there.then_some(Match::Exact),
                graph_key: here.then_some(record.graph_key),
                expected_compile_seconds: Some(record.measurements.compile_seconds),
                effort: Some(effort),
                nearest: (!here).then_some(Nearest { graph_key: record.graph_key, differences }),
                remote: None,
            };
            let better =
                stages.get(&record.stage).is_none_or(|other| answer.likeness() > other.likeness());
            if better {
                stages.insert(record.stage, answer);
            }
        }
        Ok(Lookup::of(stages.into_values().collect()))
    }

    /// Looks graphs up in level 1, in one transaction, by their declarations. The answer for a
    /// graph is `None` if level 1 leads to no object. The graph then has to be built to find out
    /// whether it would hit.
    pub(super) fn declared(
        &self,
        graphs: &[(&Signature, &Graph)],
    ) -> Result<Vec<Option<StageLookup>>, Error> {
        let cache = self.cache()?;
        let keys = graphs.iter().map(|(signature, graph)| {
            let digests = RequestDigests::of(signature, graph, &self.site.environment_digest);
            (digests.projection_key, digests.exact)
        });
        let known =
            cache.resolve_each(&keys.collect::<Vec<_>>(), LEVEL_ONE_PATIENCE, self.warnings);
        let answers = known.into_iter().zip(graphs).map(|(known, (signature, graph))| {
            let known = known.filter(|known| cache.has_object(&known.graph_key))?;
            Some(StageLookup {
                verdict: Verdict::Hit,
                matched: Some(known.matched),
                graph_key: Some(known.graph_key),
                expected_compile_seconds: Some(known.compile_seconds),
                effort: Some(CompileEffort::of(
                    graph.compile_options(),
                    &self.site.environment().platform,
                )),
                ..StageLookup::unknown(&signature.model_id, graph.stage_name())
            })
        });
        Ok(answers.collect())
    }

    /// Looks up the executable of a graph by its key alone, in each of the efforts that serve it.
    pub(super) fn by_key(&self, asked: &Asked<'_>) -> Result<StageLookup, Error> {
        let inputs = asked.key_inputs(self.site)?;
        let unknown = StageLookup::unknown(&asked.signature.model_id, asked.graph.stage_name());
        for (asked, inputs) in asked.with_inputs(&inputs) {
            let key = inputs.graph_key();
            let found = if self.cache()?.has_object(&key) {
                Some(key)
            } else {
                self.of_this_hardware(asked, &inputs)?.map(|record| record.graph_key)
            };
            if let Some(key) = found {
                return Ok(StageLookup {
                    verdict: Verdict::Hit,
                    matched: Some(Match::Graph),
                    graph_key: Some(key),
                    effort: Some(asked.effort(self.site)),
                    ..unknown
                });
            }
        }
        let effort = Some(asked.effort(self.site));
        Ok(StageLookup { graph_key: Some(inputs.graph_key()), effort, ..unknown })
    }

    /// An entry of the same program that differs only in the description of the hardware, and that
    /// the plugin accepts.
    fn of_this_hardware(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
    ) -> Result<Option<GraphRecord>, Error> {
        let Some(cache) = self.cache else { return Ok(None) };
        Takeover { site: self.site, cache }.of_this_hardware(asked, inputs)
    }

    /// The entry of the cache that is most like the request.
    fn nearest_entry(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
    ) -> Option<preheat_cache::NearestRecord> {
        let wanted = WantedEntry {
            program: Some(inputs.program.digest()),
            stage: asked.graph.stage_name(),
            signature: Some(asked.signature),
            projection: Some(asked.graph.declared_projection()),
            environment: self.site.environment(),
            options: asked.graph.compile_options(),
        };
        self.cache?.nearest(&wanted, self.warnings)
    }

    /// The nearest entry of the cache, and the seconds that a compile is expected to take.
    pub(super) fn nearest(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
    ) -> Option<(Nearest, Option<f64>)> {
        let found = self.nearest_entry(asked, inputs)?;
        let nearest = Nearest { graph_key: found.record.graph_key, differences: found.differences };
        // Programs without a model usually have the same stage name, which says nothing about their
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
