//! What does a pointer say, and is it the one that was asked for? A pointer is a small file: a line
//! with the blake3 hash of the rest, and the rest as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::RemoteQuery;
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::object::OBJECT_LIMIT_BYTES;
use crate::record::{GraphRecord, Interface};

/// The longest pointer that is read. A pointer with a record takes some kilobytes.
pub(super) const LIMIT_BYTES: u64 = 1 << 20;
/// The beginning of the first line; the hash follows.
const BEGINS: &str = "preheat-pointer 1 ";

/// Where the object of a graph lies on a remote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemotePointer {
    /// The graph.
    pub graph_key: GraphKey,
    /// The digest of the environment for which it was compiled.
    pub environment: Digest,
    /// The blake3 hash of the object's file.
    pub object: Digest,
    /// The length of that file.
    pub object_bytes: u64,
    /// The stage.
    pub stage: String,
    /// How long the graph took to compile.
    pub compile_seconds: f64,
    /// The projection that leads to the graph; only in pointers of level 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<Digest>,
    /// The exact signature of the request that led to the graph; only in pointers of level 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Digest>,
    /// The record of the graph, without the types of its inputs and outputs; only in pointers of
    /// graphs. It tells what a remote holds without reading its objects, and is not used for
    /// anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<GraphRecord>>,
    /// When it was written, by the clock of the machine that wrote it. Nothing depends on it.
    pub written: Timestamp,
}

impl RemotePointer {
    /// The pointer of a graph.
    pub(super) fn of_graph(record: &GraphRecord, object: Digest, object_bytes: u64) -> Self {
        let shown = GraphRecord { interface: None::<Interface>, ..record.clone() };
        Self {
            graph_key: record.graph_key,
            environment: record.environment.digest(),
            object,
            object_bytes,
            stage: record.stage.clone(),
            compile_seconds: record.measurements.compile_seconds,
            projection: None,
            signature: None,
            record: Some(Box::new(shown)),
            written: Timestamp::now(),
        }
    }

    /// The same pointer under a projection, for level 1.
    pub(super) fn under(&self, projection: Digest, signature: Digest) -> Self {
        Self {
            projection: Some(projection),
            signature: Some(signature),
            record: None,
            written: Timestamp::now(),
            ..self.clone()
        }
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
        let json = serde_json::to_vec(self)?;
        Ok([format!("{BEGINS}{}\n", Digest::of(&json)).as_bytes(), &json].concat())
    }

    /// Reads the pointer that was asked for. The error says why it is refused.
    pub(super) fn read(
        content: &[u8],
        environment: &Digest,
        query: &RemoteQuery,
    ) -> Result<Self, String> {
        let damaged = || "it is no pointer of this format, or damaged".to_owned();
        let end = content.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
        let (line, json) = content.split_at(end);
        let json = json.get(1..).unwrap_or_default();
        let line = std::str::from_utf8(line).map_err(|_| damaged())?;
        let hash = line.strip_prefix(BEGINS).and_then(|hash| hash.parse::<Digest>().ok());
        if hash != Some(Digest::of(json)) {
            return Err(damaged());
        }
        let pointer: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let is_asked_for = match query {
            RemoteQuery::Projection(key) => pointer.projection == Some(*key),
            RemoteQuery::Graph(key) => pointer.graph_key == *key,
        };
        let of_itself = |record: &GraphRecord| {
            record.graph_key == pointer.graph_key
                && record.key_of_inputs().is_none_or(|key| key == pointer.graph_key)
        };
        if !is_asked_for || pointer.environment != *environment {
            return Err("it is the pointer of something else".to_owned());
        }
        if !pointer.record.as_deref().is_none_or(of_itself) {
            return Err("its record is the record of another graph".to_owned());
        }
        if pointer.object_bytes > OBJECT_LIMIT_BYTES {
            return Err(format!("its object is said to be {} bytes long", pointer.object_bytes));
        }
        Ok(pointer)
    }
}
