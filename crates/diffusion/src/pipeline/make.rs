//! How are pictures made once executables and weights are ready?
//!
//! Prompts are encoded, the denoising loop runs, and latents are decoded.

use std::time::Instant;

use preheat_runtime::device::fallback::Decode;
use preheat_runtime::{DeviceTensor, Runtime, StepTimes, Warning, WarningKind};
use preheat_tensor::{Dtype, Tensor};

use super::beginning::{Beginner, Beginning, Masked};
use super::checked_request::Prepared;
use super::decode::Decoding;
use super::denoise::Denoise;
use super::encode::{Conditions, PromptEncoder};
use super::error::PipelineError;
use super::made::Made;
use super::prompt_warnings::{cut_off, named_loras, replaced_by_zeros, unread};
use super::prompts::Prompts;
use super::ready::Ready;
use super::tiles::LatentDecoder;

/// Makes the pictures of one request.
#[derive(Clone, Copy)]
pub(super) struct Making<'a> {
    pub(super) decoder: LatentDecoder<'a>,
    pub(super) prompts: &'a Prompts,
    pub(super) prepared: &'a Prepared<'a>,
    pub(super) ready: &'a Ready,
}

impl Making<'_> {
    /// Makes the pictures of a request that began at `began`.
    pub(super) fn make(&self, began: Instant) -> Result<Made, PipelineError> {
        let Self { decoder, prepared, ready, .. } = *self;
        let LatentDecoder { runner, .. } = decoder;
        let signature = &prepared.plan.signature;
        let is_guided = signature.is_guided();
        let cut_off = cut_off(prepared.request, is_guided, runner.model.tokenizers()?)?;
        let runtime = &runner.home(&prepared.stages.all[prepared.stages.denoiser]).runtime;
        let remarks = prepared.adapters.remarks.iter().map(|text| Warning::from(text.clone()));
        let of_loras: Vec<Warning> = remarks.chain(named_loras(prepared.request)).collect();
        for warning in cut_off.iter().chain(&of_loras) {
            runtime.tell_warning(warning);
        }
        let unread = unread(prepared.request, is_guided);
        let replaced = is_guided && prepared.stages.negative_is_zeros;
        let unread = unread.into_iter().chain(replaced_by_zeros(prepared.request, replaced));
        let mut warnings: Vec<Warning> = unread.chain(cut_off).chain(of_loras).collect();
        let (latents, steps) = self.latents()?;
        if let Some(warning) = not_finite(&latents, signature.dtype) {
            runtime.tell_warning(&warning);
            warnings.push(warning);
        }
        let decoding = Instant::now();
        let at = prepared.stages.decoder.ok_or(PipelineError::NoPicture)?;
        let stage = (&prepared.stages.all[at], &ready.executables[at]);
        let decoded = Decoding { decoder, prepared }.decode(stage, &latents)?;
        let decode_seconds = decoding.elapsed().as_secs_f64();
        warnings.extend(decoded.warnings);
        let mut stages = ready.reports();
        stages.extend(decoded.others);
        Ok(Made {
            pictures: decoded.pictures,
            latents,
            metrics: ready.metrics(),
            stages,
            warnings,
            plan: prepared.plan.clone(),
            began,
            executables_ready: ready.executables_since,
            weights_ready: ready.weights_since,
            steps,
            decode_seconds,
            placement: prepared.placement.clone(),
        })
    }

    /// The latents of a request, and how long its steps took.
    pub(super) fn latents(&self) -> Result<(Tensor, StepTimes), PipelineError> {
        let Self { decoder: LatentDecoder { runner, .. }, prompts, prepared, ready } = *self;
        let conditions = PromptEncoder { runner, prompts, prepared, ready }.conditions()?;
        let elements = prepared.plan.signature.input_shape.iter().skip(1).product::<u64>();
        let elements = usize::try_from(elements).unwrap_or(usize::MAX);
        let beginning = Beginner { runner, prepared, ready }.begin(elements)?;
        self.denoise(&conditions, &beginning)
    }

    fn denoise(
        &self,
        conditions: &Conditions,
        beginning: &Beginning,
    ) -> Result<(Tensor, StepTimes), PipelineError> {
        let Self { decoder: LatentDecoder { runner, .. }, prepared, ready, .. } = *self;
        let at = prepared.stages.denoiser;
        let stage = &prepared.stages.all[at];
        let signature = &prepared.plan.signature;
        let dims = [0, 1, 2, 3].map(|i| signature.input_shape.get(i).copied().unwrap_or(0));
        let runtime = &runner.home(stage).runtime;
        let masked = beginning.masked.as_ref().map(|masked| upload(runtime, masked, dims));
        let masked = masked.transpose()?.unwrap_or_default();
        let after_scalars =
            stage.function.inputs().iter().skip_while(|input| input.name != "scalars").skip(1);
        let given = after_scalars.map(|input| {
            let wanted =
                || PipelineError::NoSuchInput { stage: stage.name, name: input.name.clone() };
            let masked = masked.iter().find(|(name, _)| *name == input.name);
            let given = masked.map(|(_, tensor)| tensor).or_else(|| conditions.get(&input.name));
            given.ok_or_else(wanted)
        });
        let given = given.collect::<Result<Vec<_>, _>>()?;
        #[expect(clippy::cast_possible_truncation, reason = "the graph takes an f32")]
        let guidance = signature.cfg_scale as f32;
        let executable = &ready.executables[at];
        runner.run((stage, executable), Decode::Slices, |weights| {
            Denoise {
                runtime,
                executable,
                constants: &given
                    .iter()
                    .copied()
                    .chain(weights.iter().map(AsRef::as_ref))
                    .collect::<Vec<_>>(),
                schedule: &prepared.schedule,
                dims,
                beginning,
                blend: prepared.stages.blend.map(|at| &ready.executables[at]),
                guidance,
                model_id: runner.watch.model_id,
            }
            .run()
        })
    }
}

/// What a network for inpainting reads besides the latents, whose shape is `dims`, by the names of
/// the graph's inputs.
fn upload(
    runtime: &Runtime,
    masked: &Masked,
    dims: [u64; 4],
) -> Result<Vec<(&'static str, DeviceTensor)>, PipelineError> {
    let [_, _, height, width] = dims;
    let upload = |dims: &[u64], values: &[f32]| -> Result<DeviceTensor, PipelineError> {
        let tensor = Tensor::from_f32(dims, values).map_err(preheat_runtime::Error::from)?;
        Ok(runtime.to_device(&tensor)?)
    };
    Ok(vec![
        ("mask", upload(&[1, 1, height, width], &masked.mask)?),
        ("masked_image_latents", upload(&dims, &masked.image)?),
    ])
}

/// The warning about latents that were computed in `dtype`, if they hold numbers that are not
/// finite.
fn not_finite(latents: &Tensor, dtype: Dtype) -> Option<Warning> {
    let values = latents.to_f32()?;
    let text = || {
        format!(
            "the latents hold numbers that are not finite, so the picture is black in part: \
             {dtype} may be too small \
             for this model, or the guidance scale too large"
        )
    };
    let is_broken = values.iter().any(|value| !value.is_finite());
    is_broken.then(|| Warning::new(WarningKind::LatentsNotFinite, text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_that_is_not_finite_is_told() {
        let latents = |values: [f32; 2]| Tensor::from_f32(&[1, 1, 1, 2], &values).unwrap();
        assert_eq!(not_finite(&latents([0.0, f32::MAX]), Dtype::Float16), None);
        let told = not_finite(&latents([0.0, f32::INFINITY]), Dtype::Float16).unwrap();
        assert!(told.text.contains("float16 may be too small"), "{told}");
        assert!(not_finite(&latents([f32::NAN, 0.0]), Dtype::Float16).is_some());
    }
}
