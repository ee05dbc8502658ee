//! How many pictures should be made at once on a device? An estimate of the memory or a measurement
//! gives the answer.

use std::ops::RangeInclusive;
use std::time::Instant;

use preheat_runtime::device::batch::{self, Batch};
use preheat_runtime::device::offload::Mode;
use preheat_runtime::device::placement;

use super::Pipeline;
use crate::pipeline::error::PipelineError;
use crate::pipeline::request::TextToImage;
use crate::pipeline::tune::{Ran, Trials, Tried, tune};

impl Pipeline {
    /// The number of pictures to make at once on this device, according to the estimate of the
    /// memory that they take. The request's own number of pictures is ignored.
    ///
    /// # Errors
    /// If this model cannot serve the request, and on devices of XLA, for which there is no such
    /// estimate.
    pub fn automatic_batch(&self, request: &TextToImage) -> Result<Batch, PipelineError> {
        let of_xla =
            || PipelineError::NoBatchEstimate { device: self.runtime.device().selected.clone() };
        let device = self.runtime.torch_device().ok_or_else(of_xla)?;
        batch::automatic(device.id, |batch_size| {
            let request = TextToImage { batch_size, ..request.clone() };
            self.prepare(&request)?.placement.ok_or_else(of_xla)
        })
    }

    /// Runs the request with each batch of `range`, from the smallest on, until one does not fit. A
    /// batch does not fit if the estimate says so, which is checked first, or if the device runs
    /// out of memory. If not even the smallest batch of `range` fits, smaller batches are tried,
    /// down to the first that fits. Only a few denoising steps are run, after one that is not
    /// counted. The time for the request's own number of steps is computed from them. `begin` is
    /// called before each batch.
    ///
    /// # Errors
    /// If this model cannot serve the request, or if a run fails for another reason than
    /// memory.
    pub fn tune(
        &self,
        request: &TextToImage,
        range: RangeInclusive<u64>,
        begin: impl FnMut(u64),
    ) -> Result<Vec<Tried>, PipelineError> {
        tune(self, request, range, begin)
    }
}

impl Trials for Pipeline {
    fn placement(
        &self,
        request: &TextToImage,
    ) -> Result<Option<placement::PlacementPlan>, PipelineError> {
        Ok(self.prepare(request)?.placement)
    }

    fn calls(&self, request: &TextToImage) -> Result<usize, PipelineError> {
        Ok(self.prepare(request)?.schedule.calls.len())
    }

    fn run(&self, request: &TextToImage) -> Result<Ran, PipelineError> {
        self.homes.iter().for_each(|home| home.learned().forget());
        self.get_ready(request)?;
        let began = Instant::now();
        let made = self.run(request)?;
        let seconds = began.elapsed().as_secs_f64();
        let learned = self.homes.iter().map(|home| home.learned().most());
        let most_offload = learned.max().unwrap_or(Mode::None);
        Ok(Ran { seconds, steps: made.steps, decode_seconds: made.decode_seconds, most_offload })
    }
}
