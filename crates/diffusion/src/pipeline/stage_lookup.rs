//! Would a request hit the cache, and which of many requests would?
//!
//! Graphs that requests share are looked up once. Level 1 is looked up in one transaction for all
//! graphs of a kind of stage. A graph is built only if the cache has a record that may describe it.

use std::collections::{HashMap, HashSet};

use preheat_cache::{Digest, GraphRecord, Signature};
use preheat_runtime::device::StageKind;
use preheat_runtime::{Graph, Lookup, StageLookup};
use serde::Serialize;

use super::checked_request::{Plan, Prepared, RequestPlanner, Sketch};
use super::error::PipelineError;
use super::home::Homes;
use super::model::Model;
use super::request::TextToImage;
use super::stage::{Outline, Stages};

/// A request that was looked up.
#[derive(Debug, Clone, Serialize)]
pub struct LookedUp {
    /// The signature and sizes of the request.
    pub plan: Plan,
    /// The stages of the request.
    pub stages: Vec<LookedUpStage>,
}

/// A stage of a request that was looked up.
#[derive(Debug, Clone, Serialize)]
pub struct LookedUpStage {
    /// Identifies the graph among the graphs of this kind of stage, even if no graph was built.
    pub projection: Digest,
    /// Whether the stage would hit. A graph that is not in the cache has no key if it did not have
    /// to be built for this answer.
    #[serde(flatten)]
    pub lookup: StageLookup,
}

/// Looks the request up at its own padded size.
pub(super) fn look_up(homes: &Homes, prepared: &Prepared<'_>) -> Result<Lookup, PipelineError> {
    let mut answers = Vec::new();
    // One round trip for all stages of a device, if remotes are asked.
    let graphs: Vec<_> =
        prepared.stages.iter().map(|stage| (&prepared.plan.signature, &stage.graph)).collect();
    if let Some(stage) = prepared.stages.iter().next() {
        homes.of_stage(stage).runtime.look_up_ahead(&graphs)?;
    }
    for stage in prepared.stages.iter() {
        let runtime = &homes.of_stage(stage).runtime;
        answers.extend(runtime.lookup(&prepared.plan.signature, &stage.graph)?.stages);
    }
    Ok(Lookup::of(answers))
}

/// Looks many requests up.
#[derive(Debug, Clone, Copy)]
pub(super) struct LookUps<'a> {
    pub(super) planner: &'a RequestPlanner,
    pub(super) homes: &'a Homes,
}

/// A graph that several requests may share.
struct Shared<'a> {
    /// The position of the first request that needs it.
    request: usize,
    signature: &'a Signature,
    kind: StageKind,
    graph: Graph,
    answer: Option<StageLookup>,
}

/// The graphs of several requests, each once.
struct Graphs<'a> {
    shared: Vec<Shared<'a>>,
    /// For each request the positions of its graphs, with the digests that identify them; empty for
    /// a request that the model cannot serve.
    of_each: Vec<Vec<(usize, Digest)>>,
}

impl<'a> Graphs<'a> {
    fn of(model: &Model, sketches: &'a [Result<Sketch, PipelineError>]) -> Self {
        let (mut shared, mut places) = (Vec::new(), HashMap::new());
        let mut of_each = Vec::with_capacity(sketches.len());
        for (request, sketch) in sketches.iter().enumerate() {
            let Ok(sketch) = sketch else {
                of_each.push(Vec::new());
                continue;
            };
            let signature = &sketch.plan.signature;
            let place = |outline: Outline<'_>| {
                let projection = signature.project(&outline.projection).digest();
                let place = *places.entry((outline.name, projection)).or_insert_with(|| {
                    let (kind, graph) = (outline.kind, outline.never_built());
                    shared.push(Shared { request, signature, kind, graph, answer: None });
                    shared.len() - 1
                });
                (place, projection)
            };
            let outlines = Stages::outlines(model, &sketch.shape);
            of_each.push(outlines.into_iter().map(place).collect());
        }
        Self { shared, of_each }
    }
}

impl LookUps<'_> {
    /// Looks each of these requests up at its own padded size. `records` are the records of the
    /// runtime's stores.
    pub(super) fn each(
        &self,
        requests: &[TextToImage],
        records: &[GraphRecord],
    ) -> Result<Vec<Result<LookedUp, PipelineError>>, PipelineError> {
        let model = &self.planner.model;
        let sketches: Vec<_> =
            requests.iter().map(|request| self.planner.sketch(request)).collect();
        let Graphs { mut shared, of_each } = Graphs::of(model, &sketches);
        self.ask_level_one(&mut shared)?;
        let recorded = Recorded::of(records);
        let (graphs, mut built) = (shared.len(), 0);
        let mut answers = Vec::with_capacity(shared.len());
        for Shared { request, signature, kind, graph, answer } in shared {
            let runtime = &self.homes.of_kind(kind).runtime;
            answers.push(match (answer, &sketches[request]) {
                (Some(answer), _) => answer,
                (None, Ok(sketch))
                    if recorded.may_have(&graph, kind, sketch.shape.latent_sides) =>
                {
                    built += 1;
                    let stages = Stages::of(model, &sketch.shape)?;
                    let stage = stages.iter().find(|stage| stage.name == graph.stage_name());
                    runtime.look_up_by_key(signature, stage.map_or(&graph, |stage| &stage.graph))?
                }
                (None, _) => StageLookup::unknown(&signature.model_id, graph.stage_name()),
            });
        }
        tracing::debug!(requests = requests.len(), graphs, built, "looked up");
        let look_up = |(sketch, stages): (Result<Sketch, _>, Vec<(usize, Digest)>)| {
            let stages = stages.into_iter().map(|(place, projection)| LookedUpStage {
                projection,
                lookup: answers[place].clone(),
            });
            let stages = stages.collect();
            sketch.map(|sketch| LookedUp { plan: sketch.plan, stages })
        };
        Ok(sketches.into_iter().zip(of_each).map(look_up).collect())
    }

    /// Looks up the graphs in level 1, all graphs of one kind of stage at once.
    fn ask_level_one(&self, shared: &mut [Shared<'_>]) -> Result<(), PipelineError> {
        let is_text = |kind: StageKind| matches!(kind, StageKind::TextEncoder);
        let is_vae = |kind: StageKind| matches!(kind, StageKind::Vae { .. });
        let is_denoiser = |kind: StageKind| matches!(kind, StageKind::Denoiser);
        let kinds: [&dyn Fn(StageKind) -> bool; 3] = [&is_text, &is_denoiser, &is_vae];
        for is_wanted in kinds {
            let mut wanted: Vec<&mut Shared<'_>> =
                shared.iter_mut().filter(|one| is_wanted(one.kind)).collect();
            let Some(first) = wanted.first() else { continue };
            let runtime = &self.homes.of_kind(first.kind).runtime;
            let graphs: Vec<_> = wanted.iter().map(|one| (one.signature, &one.graph)).collect();
            let answers = runtime.look_up_declared(&graphs)?;
            wanted.iter_mut().zip(answers).for_each(|(one, answer)| one.answer = answer);
        }
        Ok(())
    }
}

/// The stages and sizes of which the store has records. The store may have the graph of such a
/// stage although level 1 misses, for example because another release built it.
struct Recorded<'a>(HashSet<(&'a str, Option<[u64; 2]>)>);

impl<'a> Recorded<'a> {
    fn of(records: &'a [GraphRecord]) -> Self {
        let of_one = |record: &'a GraphRecord| {
            let sides = record.signatures.iter().map(|one| match one.signature.input_shape[..] {
                [_, _, height, width] => Some([height, width]),
                _ => None,
            });
            let stage = record.stage.as_str();
            sides.chain([None]).map(move |sides| (stage, sides))
        };
        Self(records.iter().flat_map(of_one).collect())
    }

    fn may_have(&self, graph: &Graph, kind: StageKind, latent_sides: [u64; 2]) -> bool {
        let sides = if matches!(kind, StageKind::TextEncoder) { None } else { Some(latent_sides) };
        self.0.contains(&(graph.stage_name(), sides))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::test_model;

    #[test]
    fn requests_share_the_graphs_that_do_not_differ_between_them() {
        let planner = test_model::planner(8);
        let at = |width, steps| TextToImage {
            width: Some(width),
            height: Some(32),
            steps,
            ..TextToImage::new("seven")
        };
        let requests = [at(32, 20), at(64, 20), at(32, 30), at(0, 20)];
        let sketches: Vec<_> = requests.iter().map(|request| planner.sketch(request)).collect();
        let Graphs { shared, of_each } = Graphs::of(&planner.model, &sketches);
        let places: Vec<Vec<usize>> =
            of_each.iter().map(|places| places.iter().map(|(place, _)| *place).collect()).collect();
        // The second request has another size, so it shares only its text encoder. The number of
        // steps shapes no graph. The last request cannot be served.
        assert_eq!(places, [vec![0, 1, 2], vec![0, 3, 4], vec![0, 1, 2], vec![]]);
        let stages: Vec<_> = shared.iter().map(|one| one.graph.stage_name()).collect();
        let by_size = ["denoiser", "vae_decoder"];
        assert_eq!(stages, [&["text_encoder"][..], &by_size, &by_size].concat());
        assert_eq!(shared.iter().map(|one| one.request).collect::<Vec<_>>(), [0, 0, 0, 1, 1]);
    }
}
