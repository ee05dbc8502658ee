//! How does the denoising loop run without moving latents to the host?
//!
//! Each call of the step graph takes buffers that earlier calls left on the device. The schedule
//! decides which buffer each input of a call is.

use preheat_runtime::backend::DeviceFault;
use preheat_runtime::{DeviceTensor, Executable, Runtime, StepTimes};
use preheat_tensor::Tensor;

use super::error::PipelineError;
use super::noise::Generator;
use super::schedulers::{Base, Call, Schedule, Third};
use crate::models::StepScalars;

/// The inputs of the loop.
pub(super) struct Denoise<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) executable: &'a Executable,
    /// The graph's inputs after the step's scalars: the encoded prompts, then the weights.
    pub(super) constants: &'a [&'a DeviceTensor],
    pub(super) schedule: &'a Schedule,
    /// The shape of the latents, `[batch, channels, height, width]`.
    pub(super) dims: [u64; 4],
    /// The seed of the first picture; the next pictures of the batch have the seeds after it.
    pub(super) seed: u64,
    pub(super) guidance: f32,
    pub(super) model_id: &'a str,
}

/// The tensors that pass from call to call. Each call donates two of them, and returns two new ones
/// in their memory.
struct Slots {
    latents: DeviceTensor,
    /// Latents that are no longer needed, whose memory the next call may reuse.
    spare: Option<DeviceTensor>,
    /// The latents that a later call starts from.
    saved: Option<DeviceTensor>,
    /// The outputs of earlier calls, the newest first.
    history: [DeviceTensor; 3],
    /// The oldest output, while it is set aside because a call must not reuse its memory.
    aside: Option<DeviceTensor>,
}

impl Denoise<'_> {
    /// Runs every call of the schedule, and copies the final latents to the host.
    pub(super) fn run(&self) -> Result<(Tensor, StepTimes), PipelineError> {
        let mut noise = self.noise_per_picture();
        let zeros = || self.upload(&vec![0.0; self.elements()]);
        let start: Vec<f32> =
            self.draw(&mut noise).iter().map(|x| x * self.schedule.init_noise_sigma).collect();
        let quiet = zeros()?;
        let mut slots = Slots {
            latents: self.upload(&start)?,
            spare: Some(zeros()?),
            saved: None,
            history: [zeros()?, zeros()?, zeros()?],
            aside: None,
        };
        let stage = &self.executable.report().stage;
        let boundary = self.runtime.step_boundary("diffusion_step").of(self.model_id, stage);
        let mut boundary = boundary.total(self.schedule.calls.len());
        for call in &self.schedule.calls {
            let step = boundary.begin()?;
            let drawn =
                if call.draws_noise { Some(self.upload(&self.draw(&mut noise))?) } else { None };
            slots = self.call(call, slots, drawn.as_ref().unwrap_or(&quiet))?;
            step.until(&slots.latents)?;
        }
        let times = boundary.finish()?;
        let latents =
            slots.latents.to_host().map_err(|cause| self.failed("reading the latents", cause))?;
        Ok((latents, times))
    }

    /// One call of the step graph.
    fn call(
        &self,
        call: &Call,
        slots: Slots,
        noise: &DeviceTensor,
    ) -> Result<Slots, PipelineError> {
        let Slots { latents, spare, mut saved, history: [h1, h2, mut h3], mut aside } = slots;
        if call.third == Third::SetAside {
            aside = Some(std::mem::replace(&mut h3, self.upload(&vec![0.0; self.elements()])?));
        }
        let base = match call.base {
            Base::Saved => saved.take(),
            Base::Current => spare,
        };
        // If there is no spare tensor, all other latents are kept for later calls, so this call
        // needs new memory.
        let base = base.map_or_else(|| self.upload(&vec![0.0; self.elements()]), Ok)?;
        let Call { timestep, coefficients, .. } = *call;
        let scalars = StepScalars { timestep, guidance: self.guidance, coefficients }.to_array();
        let scalars = self.runtime.to_device(
            &Tensor::from_f32(&[scalars.len() as u64], &scalars)
                .map_err(preheat_runtime::Error::from)?,
        )?;
        let fresh = [&latents, &base, &h1, &h2, &h3, noise, &scalars];
        let mut results = self
            .executable
            .run(fresh.into_iter().chain(self.constants.iter().copied()))?
            .into_iter();
        let (Some(new), Some(output)) = (results.next(), results.next()) else {
            return Err(self.failed("reading its results", DeviceFault::too_few_results(2)));
        };
        // The memory of `base` and `h3` now holds the results.
        let mut history = if call.remembers { [output, h1, h2] } else { [h1, h2, output] };
        if let Some(third) = aside.take_if(|_| call.third == Third::TakenBack) {
            history[2] = third;
        }
        Ok(if call.saves_latents {
            Slots { latents: new, spare: None, saved: Some(latents), history, aside }
        } else {
            Slots { latents: new, spare: Some(latents), saved, history, aside }
        })
    }

    fn noise_per_picture(&self) -> Vec<Generator> {
        (0..self.dims[0]).map(|index| Generator::new(self.seed.wrapping_add(index))).collect()
    }

    /// Draws noise for the whole batch. Each picture has its own generator, so that it does not
    /// depend on the other pictures of its batch. diffusers does the same if it is given a list of
    /// generators.
    fn draw(&self, generators: &mut [Generator]) -> Vec<f32> {
        let each = self.elements() / generators.len().max(1);
        generators.iter_mut().flat_map(|generator| generator.normal(each)).collect()
    }

    fn elements(&self) -> usize {
        usize::try_from(self.dims.iter().product::<u64>()).unwrap_or(usize::MAX)
    }

    fn upload(&self, values: &[f32]) -> Result<DeviceTensor, PipelineError> {
        let tensor = Tensor::from_f32(&self.dims, values).map_err(preheat_runtime::Error::from)?;
        Ok(self.runtime.to_device(&tensor)?)
    }

    fn failed(&self, doing: &'static str, cause: impl Into<DeviceFault>) -> PipelineError {
        let cause = cause.into();
        preheat_runtime::Error::Run { stage: self.executable.report().stage.clone(), doing, cause }
            .into()
    }
}
