//! How is a request made ready for a measurement?
//!
//! Every stage is obtained and run once, as in a warmup; unlike a warmup, this does not fail where
//! the cache could not keep an executable.

use std::time::Instant;

use preheat_runtime::StageReport;

use super::error::PipelineError;
use super::ready::Asking;
use super::{Pipeline, TextToImage};

/// A request whose every stage was run once.
#[derive(Debug)]
pub struct GotReady {
    /// When executables and weights were ready, before anything was run.
    pub ready: Instant,
    /// How each stage became ready.
    pub stages: Vec<StageReport>,
    /// The dtype that each stage computes in, by its name.
    pub dtypes: Vec<(&'static str, preheat_tensor::Dtype)>,
}

impl Pipeline {
    /// Makes every stage of the request ready and runs each once on zeros, as [`Self::warmup`]
    /// does, so that the next run of the request measures the device and not its start. It is no
    /// error if the cache does not keep the executables.
    ///
    /// # Errors
    /// Where a stage cannot be compiled or run.
    pub fn get_ready(&self, request: &TextToImage) -> Result<GotReady, PipelineError> {
        let prepared = self.prepare(request)?;
        let (_, ready) = self.ready(&prepared, Asking { warming: true, ..Asking::default() })?;
        for (stage, executable) in prepared.stages.iter().zip(&ready.executables) {
            self.run_on_zeros(&prepared, stage, executable)?;
        }
        Ok(GotReady {
            ready: ready.executables_since.max(ready.weights_since),
            stages: ready.reports(),
            dtypes: prepared.stages.iter().map(|stage| (stage.name, stage.dtype.dtype)).collect(),
        })
    }
}
