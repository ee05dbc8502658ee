//! How is a request made ready for a measurement?
//!
//! Every stage is obtained and run once, as in a warmup. Unlike a warmup, this does not fail if the
//! cache could not keep an executable.

use std::time::Instant;

use preheat_runtime::StageReport;
use preheat_tensor::Dtype;
use serde::{Serialize, Serializer};

use super::checked_request::Prepared;
use super::ready::Ready;

/// The report on a request after each of its stages was run once.
#[derive(Debug, Serialize)]
pub struct GotReady {
    /// When executables and weights were ready, before anything was run.
    #[serde(skip)]
    pub ready: Instant,
    /// How each stage became ready.
    pub stages: Vec<StageReport>,
    /// The dtype that each stage computes in, by the stage's name.
    #[serde(serialize_with = "as_map")]
    pub dtypes: Vec<(&'static str, Dtype)>,
}

fn as_map<S: Serializer>(
    dtypes: &[(&'static str, Dtype)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(dtypes.iter().map(|(stage, dtype)| (stage, dtype)))
}

impl GotReady {
    pub(super) fn of(prepared: &Prepared<'_>, ready: &Ready) -> Self {
        Self {
            ready: ready.executables_since.max(ready.weights_since),
            stages: ready.reports(),
            dtypes: prepared.stages.iter().map(|stage| (stage.name, stage.dtype.dtype)).collect(),
        }
    }
}
