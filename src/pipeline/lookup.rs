//! Would many requests hit? What they share is looked up once.

use std::collections::HashMap;

use super::{Pipeline, PipelineError, Plan, TextToImage};
use crate::runtime::Lookup;

/// A request that was looked up.
#[derive(Debug, Clone)]
pub struct LookedUp {
    /// What it comes to.
    pub plan: Plan,
    /// Whether it would hit.
    pub lookup: Lookup,
}

impl Pipeline {
    /// Would each of these requests hit, at its own padded size? Each graph is looked up once, however many of them share it: as a
    /// rule all of them have their text encoder in common, and those of one size their VAE.
    ///
    /// The answer to each request is in its place; one that the model cannot serve does not keep the others from theirs.
    pub fn look_up_each(&self, requests: &[TextToImage]) -> Vec<Result<LookedUp, PipelineError>> {
        let mut known = HashMap::new();
        let mut look_up = |request| {
            let prepared = self.prepare(request)?;
            let signature = &prepared.plan.signature;
            let mut stages = Vec::new();
            for stage in prepared.stages.iter() {
                // As level 1 tells graphs apart: within one process, environment and builder are the same for all of them.
                let graph = (stage.name, signature.project(stage.graph.declared_projection()).digest());
                if let Some(answer) = known.get(&graph) {
                    stages.push(Clone::clone(answer));
                    continue;
                }
                for answer in self.home(stage).runtime.lookup(signature, &stage.graph)?.stages {
                    known.insert(graph, answer.clone());
                    stages.push(answer);
                }
            }
            Ok(LookedUp { plan: prepared.plan, lookup: Lookup::of(stages) })
        };
        requests.iter().map(&mut look_up).collect()
    }
}
