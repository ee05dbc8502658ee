//! Would many requests hit?
//!
//! Graphs that requests share are looked up once. Level 1 answers for all of them in one
//! transaction, and a graph is built only where the cache has a record that may be of it.

use std::collections::{HashMap, HashSet};

use preheat_cache::{Digest, GraphRecord, Signature};
use preheat_runtime::device::StageKind;
use preheat_runtime::{Graph, StageLookup};

use super::stage::{Outline, Stages};
use super::{Pipeline, PipelineError, Plan, TextToImage};

/// A request that was looked up.
#[derive(Debug, Clone)]
pub struct LookedUp {
    /// The signature and sizes of the request.
    pub plan: Plan,
    /// Its stages.
    pub stages: Vec<LookedUpStage>,
}

/// A stage of a request that was looked up.
#[derive(Debug, Clone)]
pub struct LookedUpStage {
    /// Identifies its graph among those of its stage, even where no graph was built.
    pub projection: Digest,
    /// Whether it would hit. A missing graph has no key if answering did not require building it.
    pub lookup: StageLookup,
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

impl Pipeline {
    /// Would each of these requests hit, at its own padded size? `records` are the records of this
    /// runtime's stores.
    ///
    /// Each graph is looked up once, however many of the requests share it: usually all of them
    /// share their text encoder, and those of one size share their VAE. The answers stand in the
    /// order of the requests. A request that the model cannot serve does not keep the others from
    /// being answered.
    ///
    /// # Errors
    /// Where the cache cannot be asked.
    pub fn look_up_each(
        &self,
        requests: &[TextToImage],
        records: &[GraphRecord],
    ) -> Result<Vec<Result<LookedUp, PipelineError>>, PipelineError> {
        let sketches: Vec<_> = requests.iter().map(|request| self.sketch(request)).collect();
        let (mut shared, mut places) = (Vec::new(), HashMap::new());
        let mut of_each = Vec::with_capacity(requests.len());
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
            let outlines = Stages::outlines(&self.model, &sketch.shape);
            of_each.push(outlines.into_iter().map(place).collect());
        }
        self.ask_level_one(&mut shared)?;
        let recorded = Recorded::of(records);
        let (graphs, mut built) = (shared.len(), 0);
        let mut answers = Vec::with_capacity(shared.len());
        for Shared { request, signature, kind, graph, answer } in shared {
            let runtime = self.runtime.for_stage(kind);
            answers.push(match (answer, &sketches[request]) {
                (Some(answer), _) => answer,
                (None, Ok(sketch))
                    if recorded.may_have(&graph, kind, sketch.shape.latent_sides) =>
                {
                    built += 1;
                    let stages = Stages::of(&self.model, &sketch.shape)?;
                    let stage = stages.iter().find(|stage| stage.name == graph.stage_name());
                    runtime.look_up_by_key(signature, stage.map_or(&graph, |stage| &stage.graph))?
                }
                (None, _) => StageLookup::unknown(&signature.model_id, graph.stage_name()),
            });
        }
        tracing::debug!(requests = requests.len(), graphs, built, "looked up");
        let look_up = |(sketch, stages): (
            Result<super::checked_request::Sketch, _>,
            Vec<(usize, Digest)>,
        )| {
            let stages = stages.into_iter().map(|(place, projection)| LookedUpStage {
                projection,
                lookup: answers[place].clone(),
            });
            let stages = stages.collect();
            sketch.map(|sketch| LookedUp { plan: sketch.plan, stages })
        };
        Ok(sketches.into_iter().zip(of_each).map(look_up).collect())
    }

    /// Looks up the graphs in level 1, all graphs of a device at once.
    fn ask_level_one(&self, shared: &mut [Shared<'_>]) -> Result<(), PipelineError> {
        let is_text = |kind: StageKind| matches!(kind, StageKind::TextEncoder);
        let is_vae = |kind: StageKind| matches!(kind, StageKind::Vae { .. });
        let is_denoiser = |kind: StageKind| matches!(kind, StageKind::Denoiser);
        let kinds: [&dyn Fn(StageKind) -> bool; 3] = [&is_text, &is_denoiser, &is_vae];
        for is_wanted in kinds {
            let mut wanted: Vec<&mut Shared<'_>> =
                shared.iter_mut().filter(|one| is_wanted(one.kind)).collect();
            let Some(first) = wanted.first() else { continue };
            let runtime = self.runtime.for_stage(first.kind);
            let graphs: Vec<_> = wanted.iter().map(|one| (one.signature, &one.graph)).collect();
            let answers = runtime.look_up_declared(&graphs)?;
            wanted.iter_mut().zip(answers).for_each(|(one, answer)| one.answer = answer);
        }
        Ok(())
    }
}

/// The stages and sizes that the store has records of. A graph among them may be in the store
/// although level 1 does not know it, for example because another release built it.
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
