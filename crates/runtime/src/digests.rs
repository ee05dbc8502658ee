//! How are the digests of a repeated request found without computing them again?
//!
//! The digests that requests are looked up by are remembered. A repeated request is recognised by
//! comparing its parts, which takes a tenth of the time that hashing them takes.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use preheat_cache::{BuilderId, CompileOptions, Digest, Projection, Signature, projection_key};

use super::source::Graph;

/// How many requests are remembered. When there are more, the table is emptied.
const LIMIT: usize = 256;

/// The digests that a request is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestDigests {
    /// The digest of the exact signature.
    pub(super) exact: Digest,
    /// The key of level 1: stage, projected signature, environment, builder and options.
    pub(super) projection_key: Digest,
}

impl RequestDigests {
    pub(super) fn of(signature: &Signature, graph: &Graph, environment: &Digest) -> Self {
        let projected = signature.project(graph.declared_projection());
        let (stage, builder, options) =
            (graph.stage_name(), graph.builder_id(), graph.compile_options());
        let projection_key = projection_key(stage, &projected, environment, builder, options);
        Self { exact: signature.digest(), projection_key }
    }
}

/// The digests of the latest requests in one environment.
#[derive(Debug)]
pub(super) struct Digests {
    environment: Digest,
    /// The key is a quick hash of some of a request's parts. All parts are compared, so of two
    /// requests with the same hash, each only replaces the other in the table.
    known: Mutex<HashMap<u64, Known>>,
}

/// The parts of a request that its digests are made from, except the environment, and the digests.
#[derive(Debug)]
struct Known {
    signature: Signature,
    stage: String,
    builder: BuilderId,
    projection: Projection,
    options: CompileOptions,
    digests: RequestDigests,
}

impl Known {
    fn is(&self, signature: &Signature, graph: &Graph) -> bool {
        self.signature == *signature
            && self.stage == graph.stage_name()
            && self.builder == *graph.builder_id()
            && self.projection == *graph.declared_projection()
            && self.options == *graph.compile_options()
    }
}

impl Digests {
    pub(super) fn new(environment: Digest) -> Self {
        Self { environment, known: Mutex::default() }
    }

    pub(super) fn of(&self, signature: &Signature, graph: &Graph) -> RequestDigests {
        let hash = quick_hash(signature, graph);
        let mut table = self.known();
        if let Some(known) = table.get(&hash).filter(|known| known.is(signature, graph)) {
            return known.digests;
        }
        let digests = RequestDigests::of(signature, graph, &self.environment);
        if table.len() >= LIMIT {
            table.clear();
        }
        table.insert(
            hash,
            Known {
                signature: signature.clone(),
                stage: graph.stage_name().to_owned(),
                builder: graph.builder_id().clone(),
                projection: graph.declared_projection().clone(),
                options: graph.compile_options().clone(),
                digests,
            },
        );
        digests
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        // No change of the table can panic before it is complete.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn quick_hash(signature: &Signature, graph: &Graph) -> u64 {
    let mut hasher = DefaultHasher::new();
    (graph.stage_name(), graph.builder_id(), &signature.model_id, &signature.input_shape)
        .hash(&mut hasher);
    (signature.batch_size, signature.cfg_scale.to_bits(), signature.steps, &signature.scheduler)
        .hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use preheat_cache::{Keep, OptionValue, create_execution_signature};
    use preheat_tensor::Dtype;

    use super::*;

    #[test]
    fn what_is_remembered_is_what_would_be_computed_and_every_part_counts() {
        let environment = Digest::of(b"environment");
        let signature = create_execution_signature(
            "model",
            [1, 4, 64, 64],
            1,
            7.0,
            "euler",
            20,
            Dtype::Float32,
        )
        .unwrap();
        let graph = |builder: &str| {
            Graph::built_by(BuilderId(builder.to_owned()), || Err("never built".into()))
        };
        let signatures = [
            signature.clone(),
            Signature { model_id: "other".to_owned(), ..signature.clone() },
            Signature { input_shape: vec![1, 4, 64, 72], ..signature.clone() },
            Signature { batch_size: 2, ..signature.clone() },
            Signature { cfg_scale: 7.5, ..signature.clone() },
            Signature { scheduler: "ddim".to_owned(), ..signature.clone() },
            Signature { steps: 25, ..signature.clone() },
            Signature { dtype: Dtype::BFloat16, ..signature },
        ];
        let overrides = [("xla_option".to_owned(), OptionValue::Bool(true))].into();
        let graphs = [
            graph("builder"),
            graph("other builder"),
            graph("builder").stage("denoiser"),
            graph("builder").projection(Projection { steps: Keep::Dropped, ..Projection::exact() }),
            graph("builder").options(CompileOptions { overrides, ..CompileOptions::default() }),
        ];
        let digests = Digests::new(environment);
        let mut seen = Vec::new();
        for round in 0..2 {
            for signature in &signatures {
                for graph in &graphs {
                    let remembered = digests.of(signature, graph);
                    assert_eq!(remembered, RequestDigests::of(signature, graph, &environment));
                    assert!(round > 0 || !seen.contains(&remembered));
                    seen.push(remembered);
                }
            }
        }
    }

    #[test]
    fn no_more_than_the_limit_is_remembered() {
        let digests = Digests::new(Digest::of(b"environment"));
        let graph = Graph::built_by(BuilderId("builder".to_owned()), || Err("never built".into()));
        for steps in 0..=2 * LIMIT as u64 {
            let signature =
                create_execution_signature("model", [], 1, 1.0, "", steps, Dtype::Float32).unwrap();
            digests.of(&signature, &graph);
            assert!(digests.known().len() <= LIMIT);
        }
    }
}
