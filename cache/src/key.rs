//! Which inputs does a key cover? This module has the keys of both levels.
//!
//! | input | graph key | projection key | tracked by |
//! |---|---|---|---|
//! | program, without the parts that change no code (`program.rs`) | yes | no | [`Program::digest`] |
//! | replicas, partitions, SPMD, device assignment, compiler options | yes | yes | [`CompileOptions::digest`] |
//! | plugin build, platform, its version, device kind, topology, device assignment, `XLA_FLAGS`, `LIBTPU_INIT_ARGS`, host features and CPUs | yes | yes | [`Environment::digest`] |
//! | raw topology bytes | no | no | nothing: they are only recorded, since they can differ although the code is the same |
//! | stage | no | yes | [`projection_key`]: two stages that lower to one program share its executable |
//! | model, input shape, batch, cfg scale, scheduler, steps, dtype, autocast policy | through the program | as far as the graph's builder keeps them | [`ProjectedSignature::digest`](crate::ProjectedSignature::digest) |
//! | the sources that build and lower graphs | through the program | yes | [`BuilderId`] |
//!
//! Each digest is framed (`hash.rs`) and starts with a version tag. The golden values in
//! `key/tests.rs` change only together with a tag.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::hash::{Digest, FramedHasher, ParseDigestError};
use crate::options::CompileOptions;
use crate::program::Program;
use crate::signature::ProjectedSignature;

/// The version of the list of digests in a graph key.
const GRAPH_KEY_TAG: &str = "preheat-graph-key-v1";
/// The version of the list of digests in a projection key.
const PROJECTION_KEY_TAG: &str = "preheat-projection-key-v1";

/// Names exactly one compiled executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GraphKey(pub Digest);

impl GraphKey {
    /// The first 12 hexadecimal digits, enough for a person to tell keys apart.
    pub fn short(&self) -> String {
        self.0.short()
    }

    /// The key of the executable that a program with this digest compiles to.
    pub(crate) fn of(
        program: &Digest,
        options: &CompileOptions,
        environment: &Environment,
    ) -> Self {
        let mut hasher = FramedHasher::new(GRAPH_KEY_TAG);
        hasher.digest(program).digest(&options.digest()).digest(&environment.digest());
        Self(hasher.finish())
    }
}

impl fmt::Display for GraphKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for GraphKey {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A digest of the sources that build and lower graphs. After a change in these sources, a request
/// never finds an older graph.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BuilderId(pub String);

impl BuilderId {
    /// The builder id of a graph that is given as a program. It is made from the program, so
    /// another program has another entry.
    pub fn of_program(program: &Program) -> Self {
        Self(format!("program:{}", program.digest()))
    }
}

/// All inputs that a compile may depend on.
#[derive(Debug, Clone)]
pub struct KeyInputs {
    /// What to compile.
    pub program: Program,
    /// How to compile it.
    pub options: CompileOptions,
    /// The plugin and the devices to compile it for.
    pub environment: Arc<Environment>,
}

impl KeyInputs {
    /// The key of the executable that these inputs compile to.
    pub fn graph_key(&self) -> GraphKey {
        GraphKey::of(&self.program.digest(), &self.options, &self.environment)
    }
}

/// The key under which a stage's graph key is stored, so that the graph key is found without
/// building the graph.
pub fn projection_key(
    stage: &str,
    signature: &ProjectedSignature,
    environment: &Digest,
    builder: &BuilderId,
    options: &CompileOptions,
) -> Digest {
    hash_projection(stage, &signature.digest(), environment, builder, options)
}

fn hash_projection(
    stage: &str,
    projected_signature: &Digest,
    environment: &Digest,
    builder: &BuilderId,
    options: &CompileOptions,
) -> Digest {
    let mut hasher = FramedHasher::new(PROJECTION_KEY_TAG);
    hasher
        .text(stage)
        .digest(projected_signature)
        .digest(environment)
        .text(&builder.0)
        .digest(&options.digest());
    hasher.finish()
}

/// The inputs of a projection key, except the environment and the options. With these inputs, the
/// key can be computed for any other environment and options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedProjection {
    /// The stage that the request needed. All stages that lower to the same program share a record,
    /// so the record may name another stage.
    pub stage: String,
    /// The digest of the projected signature.
    pub signature: Digest,
    /// The builder id of the sources that built the graph.
    pub builder: BuilderId,
}

impl RecordedProjection {
    /// The projection key for these options and the environment with this digest.
    pub fn key(&self, environment: &Digest, options: &CompileOptions) -> Digest {
        hash_projection(&self.stage, &self.signature, environment, &self.builder, options)
    }
}

#[cfg(test)]
pub(crate) mod tests;
