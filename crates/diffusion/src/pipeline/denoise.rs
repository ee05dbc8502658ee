//! How does the denoising loop run without moving latents to the host?
//!
//! Each call of the step graph takes buffers that earlier calls left on the device. The schedule
//! decides which buffer each input of a call is. If a part of a picture is kept, a second graph
//! blends it into the latents after each call, on the device, too.

use preheat_runtime::backend::DeviceFault;
use preheat_runtime::{DeviceTensor, Executable, Runtime, StepTimes};
use preheat_tensor::Tensor;

use super::beginning::{Beginning, draw};
use super::error::PipelineError;
use super::schedulers::{Base, Call, Noising, Schedule, Third};
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
    pub(super) beginning: &'a Beginning,
    /// The executable that blends latents and the picture that is kept, if one is kept in part.
    pub(super) blend: Option<&'a Executable>,
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
    /// What the last call returned, before a part of it was replaced by the picture that is kept.
    unblended: Option<DeviceTensor>,
    /// The outputs of earlier calls, the newest first.
    history: [DeviceTensor; 3],
    /// The oldest output, while it is set aside because a call must not reuse its memory.
    aside: Option<DeviceTensor>,
}

impl Denoise<'_> {
    /// Runs every call of the schedule, and copies the final latents to the host.
    pub(super) fn run(&self) -> Result<(Tensor, StepTimes), PipelineError> {
        // A run that has no memory left is repeated, and draws the same noise again.
        let mut noise = self.beginning.generators.clone();
        let each = self.elements() / noise.len().max(1);
        let zeros = || self.upload(&vec![0.0; self.elements()]);
        let kept = self.blending()?;
        let quiet = zeros()?;
        let mut slots = Slots {
            latents: self.upload(&self.beginning.latents)?,
            spare: Some(zeros()?),
            saved: None,
            unblended: None,
            history: [zeros()?, zeros()?, zeros()?],
            aside: None,
        };
        let stage = &self.executable.report().stage;
        let boundary = self.runtime.step_boundary("diffusion_step").of(self.model_id, stage);
        let mut boundary = boundary.total(self.schedule.calls.len());
        let noisings = self.schedule.calls.iter().skip(1).map(|call| call.noising);
        // After the last call, the picture is kept as it is.
        let after = noisings.chain([Noising::NONE]);
        for (call, after) in self.schedule.calls.iter().zip(after) {
            let step = boundary.begin()?;
            let drawn =
                if call.draws_noise { Some(self.upload(&draw(&mut noise, each))?) } else { None };
            slots = self.call(call, slots, drawn.as_ref().unwrap_or(&quiet))?;
            if let Some(kept) = &kept {
                let blended = kept.blend(self, after, &slots.latents)?;
                slots.unblended = Some(std::mem::replace(&mut slots.latents, blended));
            }
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
        let Slots { latents, mut spare, mut saved, mut unblended, history, mut aside } = slots;
        let [h1, h2, mut h3] = history;
        if call.third == Third::SetAside {
            aside = Some(std::mem::replace(&mut h3, self.upload(&vec![0.0; self.elements()])?));
        }
        let base = match call.base {
            Base::Saved => saved.take(),
            Base::Unblended => unblended.take(),
            Base::Current => spare.take(),
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
        let done = if call.saves_latents { saved.replace(latents) } else { Some(latents) };
        let spare = done.or(spare);
        Ok(Slots { latents: new, spare, saved, unblended, history, aside })
    }

    /// What the blend reads in every step, if a part of a picture is kept.
    fn blending(&self) -> Result<Option<Blending<'_>>, PipelineError> {
        let (Some(kept), Some(executable)) = (&self.beginning.kept, self.blend) else {
            return Ok(None);
        };
        let [_, _, height, width] = self.dims;
        let mask = Tensor::from_f32(&[1, 1, height, width], &kept.mask)
            .map_err(preheat_runtime::Error::from)?;
        Ok(Some(Blending {
            executable,
            image: self.upload(&kept.image)?,
            noise: self.upload(&kept.noise)?,
            mask: self.runtime.to_device(&mask)?,
        }))
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

/// The picture of which a part is kept, on the device.
struct Blending<'a> {
    executable: &'a Executable,
    image: DeviceTensor,
    noise: DeviceTensor,
    mask: DeviceTensor,
}

impl Blending<'_> {
    /// The latents with the picture in the place of what is kept, with as much noise as `noising`
    /// says. Nothing is read back.
    fn blend(
        &self,
        denoise: &Denoise<'_>,
        noising: Noising,
        latents: &DeviceTensor,
    ) -> Result<DeviceTensor, PipelineError> {
        let scalars = Tensor::from_f32(&[2], &[noising.picture, noising.noise])
            .map_err(preheat_runtime::Error::from)?;
        let scalars = denoise.runtime.to_device(&scalars)?;
        let inputs = [latents, &self.image, &self.noise, &self.mask, &scalars];
        let blended = self.executable.run(inputs)?.into_iter().next();
        blended.ok_or_else(|| {
            denoise.failed("blending latents and a picture", DeviceFault::too_few_results(1))
        })
    }
}
