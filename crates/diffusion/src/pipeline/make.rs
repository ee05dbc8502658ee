//! How are pictures made once executables and weights are ready?
//!
//! Prompts are encoded, the denoising loop runs, and latents are decoded. This module also reports
//! which parts of the prompts the text encoder cuts off.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use preheat_io::printable::beginning;
use preheat_runtime::device::StageKind;
use preheat_runtime::device::fallback::Decode;
use preheat_runtime::progress::{Event, EventKind};
use preheat_runtime::{DeviceTensor, StepBoundary, StepTimes};
use preheat_tensor::Dtype;
use preheat_tensor::Tensor;
use preheat_tensor::TensorType;

use super::checked_request::Prepared;
use super::denoise::Denoise;
use super::error::PipelineError;
use super::prompts::{Encoded, PromptKey};
use super::ready::Ready;
use super::stage::Stage;
use super::{Made, Pipeline};

/// How many characters are shown of the part of a prompt that is cut off: enough to find where it
/// begins.
const MOST_SHOWN: usize = 200;

/// The conditions of a run: the inputs that the denoiser's graph takes after the step's scalars.
struct Conditions {
    positive: Arc<Encoded>,
    negative: Option<Arc<Encoded>>,
    /// The sizes that Stable Diffusion XL is conditioned on.
    time_ids: DeviceTensor,
}

impl Pipeline {
    pub(super) fn make(
        &self,
        prepared: Prepared<'_>,
        ready: &Ready,
    ) -> Result<Made, PipelineError> {
        let mut warnings = self.unheard(&prepared)?;
        let conditions = self.conditions(&prepared, ready)?;
        let (latents, steps) = self.denoise(&prepared, ready, &conditions)?;
        if latents.to_f32().is_some_and(|values| values.iter().any(|value| !value.is_finite())) {
            let dtype = prepared.plan.signature.dtype;
            let warning = format!(
                "the latents hold numbers that are not finite, so the picture is black in part: {dtype} may be too small \
                 for this model (--precision), or the guidance scale too large"
            );
            tracing::warn!("{warning}");
            warnings.push(warning);
        }
        let decoding = Instant::now();
        let decoded = self.decode(&prepared, ready, &latents)?;
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
            plan: prepared.plan,
            executables_ready: ready.executables_since,
            weights_ready: ready.weights_since,
            steps,
            decode_seconds,
            placement: prepared.placement.clone(),
        })
    }

    fn conditions(
        &self,
        prepared: &Prepared<'_>,
        ready: &Ready,
    ) -> Result<Conditions, PipelineError> {
        let (request, stages) = (prepared.request, &prepared.stages);
        // This boundary is never finished: the first denoising step is queued behind the prompts,
        // and the host does not wait in between.
        let encoders = self.homes.of_stage(StageKind::TextEncoder);
        let mut boundary =
            encoders.runtime.step_boundary("encode_prompt").of(self.model_id(), "text_encoder");
        let positive =
            self.encode(prepared, ready, &mut boundary, &request.prompt, stages.encoders.clone())?;
        let negative = if !prepared.plan.signature.is_guided() {
            None
        } else if stages.negative_is_zeros {
            Some(self.zeros_for_no_prompt(prepared, ready)?)
        } else {
            let encoders = stages.negative_encoders.clone();
            Some(self.encode(
                prepared,
                ready,
                &mut boundary,
                request.negative_prompt.as_deref().unwrap_or_default(),
                encoders,
            )?)
        };
        // Original size, top left corner of the crop, target size: each with the height first
        // (SDXL, arXiv 2307.01952, section 2.2).
        let [width, height] = prepared.plan.sizes.padded;
        #[expect(clippy::cast_precision_loss, reason = "pixels")]
        let ids = [height, width, 0, 0, height, width].map(|pixels| pixels as f32);
        let ids = Tensor::from_f32(&[1, 6], &ids).map_err(preheat_runtime::Error::from)?;
        let denoiser = self.homes.of_stage(StageKind::Denoiser);
        Ok(Conditions { positive, negative, time_ids: denoiser.runtime.to_device(&ids)? })
    }

    fn encode(
        &self,
        prepared: &Prepared<'_>,
        ready: &Ready,
        boundary: &mut StepBoundary<'_>,
        text: &str,
        encoders: Range<usize>,
    ) -> Result<Arc<Encoded>, PipelineError> {
        let key = PromptKey::new(Some(text), &ready.executables[encoders.clone()]);
        self.prompts.get_or_encode(key, || {
            let mut encoded = Encoded::default();
            let step = boundary.begin()?;
            for (index, at) in encoders.enumerate() {
                let stage = &prepared.stages.all[at];
                let made =
                    self.run_encoder(prepared, index, ready, at, &self.tokens(index, text)?)?;
                encoded.push(self.for_the_denoiser(stage, made)?);
            }
            if let Some(last) = encoded.hidden.last() {
                step.until(last)?;
            }
            Ok(encoded)
        })
    }

    /// Brings a text encoder's outputs to the denoiser's device, where every step reads them.
    fn for_the_denoiser(
        &self,
        stage: &Stage,
        made: Vec<DeviceTensor>,
    ) -> Result<Vec<DeviceTensor>, PipelineError> {
        let denoiser = self.homes.of_stage(StageKind::Denoiser);
        if std::ptr::eq(self.home(stage), denoiser) {
            return Ok(made);
        }
        let copy = |tensor| {
            Ok(denoiser.runtime.copy_here(
                stage.name,
                "moving a prompt to the denoiser's device",
                tensor,
            )?)
        };
        made.iter().map(copy).collect()
    }

    /// Warnings about the parts of the prompts that have no effect.
    fn unheard(&self, prepared: &Prepared<'_>) -> Result<Vec<String>, PipelineError> {
        let request = prepared.request;
        let negative = request.negative_prompt.as_deref().unwrap_or_default();
        let mut texts = vec![("prompt", request.prompt.as_str())];
        if prepared.plan.signature.is_guided() {
            texts.push(("negative prompt", negative));
        }
        let mut warnings = Vec::new();
        if !prepared.plan.signature.is_guided() && !negative.is_empty() {
            warnings.push(
                "the negative prompt has no effect: a guidance scale of 1 or less is unguided"
                    .to_owned(),
            );
        }
        for (which, text) in texts {
            for tokenizer in self.model.tokenizers()? {
                let encoded = tokenizer.encode(text).map_err(Arc::new)?;
                let Some(cut_off) = encoded.truncated else { continue };
                let most = encoded.ids.len().saturating_sub(2);
                let cut_off = beginning(&cut_off, MOST_SHOWN).into_owned();
                let warning = format!(
                    "the {which} is longer than {most} tokens, and its end is ignored: {cut_off:?}"
                );
                if !warnings.contains(&warning) {
                    tracing::warn!("{warning}");
                    warnings.push(warning);
                }
            }
        }
        Ok(warnings)
    }

    /// The token ids of `text` for the text encoder at `index`.
    fn tokens(&self, index: usize, text: &str) -> Result<Vec<i32>, PipelineError> {
        let encoded = self.model.tokenizers()?[index].encode(text).map_err(Arc::new)?;
        let vocabulary = self.model.folder.text_encoders()[index].vocabulary;
        match encoded.ids.iter().find(|&&id| u64::try_from(id).is_ok_and(|id| id >= vocabulary)) {
            Some(&id) => Err(PipelineError::NoSuchToken { id, vocabulary }),
            None => Ok(encoded.ids),
        }
    }

    fn run_encoder(
        &self,
        prepared: &Prepared<'_>,
        index: usize,
        ready: &Ready,
        at: usize,
        ids: &[i32],
    ) -> Result<Vec<DeviceTensor>, PipelineError> {
        let stage = &prepared.stages.all[at];
        let eos = self.model.folder.text_encoders()[index].eos_position(ids);
        let inputs = stage.function.inputs().iter().map(|input| match input.name.as_str() {
            "eos_position" => self.positions(stage, &[1], &[i32::try_from(eos).unwrap_or(0)]),
            _ => self.positions(stage, &[1, i64::try_from(ids.len()).unwrap_or(i64::MAX)], ids),
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let executable = &ready.executables[at];
        self.on_stage(prepared, (stage, executable), Decode::Slices, |weights| {
            Ok(executable.run(inputs.iter().chain(weights))?)
        })
    }

    fn positions(
        &self,
        stage: &Stage,
        dimensions: &[i64],
        values: &[i32],
    ) -> Result<DeviceTensor, PipelineError> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let kind = TensorType { dtype: Dtype::Int32, dimensions: dimensions.to_vec() };
        let tensor = Tensor::new(kind, &bytes).map_err(preheat_runtime::Error::from)?;
        Ok(self.home(stage).runtime.to_device(&tensor)?)
    }

    fn zeros_for_no_prompt(
        &self,
        prepared: &Prepared<'_>,
        ready: &Ready,
    ) -> Result<Arc<Encoded>, PipelineError> {
        let encoders = prepared.stages.negative_encoders.clone();
        let key = PromptKey::new(None, &ready.executables[encoders.clone()]);
        self.prompts.get_or_encode(key, || {
            let mut encoded = Encoded::default();
            for stage in &prepared.stages.all[encoders] {
                let kinds = stage
                    .function
                    .outputs()
                    .iter()
                    .map(|output| stage.function.type_of(output.value));
                let zeros = kinds.map(|kind| self.zero(StageKind::Denoiser, kind));
                encoded.push(zeros.collect::<Result<Vec<_>, _>>()?);
            }
            Ok(encoded)
        })
    }

    fn denoise(
        &self,
        prepared: &Prepared<'_>,
        ready: &Ready,
        conditions: &Conditions,
    ) -> Result<(Tensor, StepTimes), PipelineError> {
        let at = prepared.stages.denoiser;
        let stage = &prepared.stages.all[at];
        let after_scalars =
            stage.function.inputs().iter().skip_while(|input| input.name != "scalars").skip(1);
        let given = after_scalars.map(|input| {
            let wanted =
                || PipelineError::NoSuchInput { stage: stage.name, name: input.name.clone() };
            conditions.get(&input.name).ok_or_else(wanted)
        });
        let given = given.collect::<Result<Vec<_>, _>>()?;
        let signature = &prepared.plan.signature;
        let [batch, channels, height, width] =
            [0, 1, 2, 3].map(|i| signature.input_shape.get(i).copied().unwrap_or(0));
        #[expect(clippy::cast_possible_truncation, reason = "the graph takes an f32")]
        let guidance = signature.cfg_scale as f32;
        let executable = &ready.executables[at];
        self.on_stage(prepared, (stage, executable), Decode::Slices, |weights| {
            Denoise {
                runtime: &self.home(stage).runtime,
                executable,
                constants: &given.iter().copied().chain(weights).collect::<Vec<_>>(),
                schedule: &prepared.schedule,
                dims: [batch, channels, height, width],
                seed: prepared.plan.seed,
                guidance,
                model_id: self.model_id(),
            }
            .run()
        })
    }

    pub(super) fn tell(&self, stage: &Stage, kind: EventKind) {
        let (model_id, stage) = (self.model_id().to_owned(), stage.name.to_owned());
        self.runtime.progress().event(Event { model_id, stage, kind });
    }

    /// Zeros for the inputs of a stage, except its weights.
    pub(super) fn zeros(&self, stage: &Stage) -> Result<Vec<DeviceTensor>, PipelineError> {
        stage.function.inputs().iter().map(|input| self.zero(stage.kind, &input.kind)).collect()
    }

    /// Zeros on the device where a stage reads them.
    fn zero(
        &self,
        stage: StageKind,
        kind: &preheat_ir::graph::Type,
    ) -> Result<DeviceTensor, PipelineError> {
        Ok(self.homes.of_stage(stage).runtime.to_device(&zeros_on_the_host(kind)?)?)
    }
}

pub(super) fn zeros_on_the_host(kind: &preheat_ir::graph::Type) -> Result<Tensor, PipelineError> {
    let dimensions =
        kind.dims.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
    Ok(Tensor::zeros(TensorType { dtype: kind.dtype, dimensions })
        .map_err(preheat_runtime::Error::from)?)
}

impl Conditions {
    /// The tensor for the denoiser's input `name`.
    fn get(&self, name: &str) -> Option<&DeviceTensor> {
        let (encoded, name) = match name.strip_prefix("negative_") {
            Some(name) => (self.negative.as_ref()?, name),
            None => (&self.positive, name),
        };
        match name {
            "pooled" => encoded.pooled.as_ref(),
            "time_ids" => Some(&self.time_ids),
            _ => {
                let number: usize = name.strip_prefix("context_")?.parse().ok()?;
                encoded.hidden.get(number.checked_sub(1)?)
            }
        }
    }
}
