//! How do prompts become the inputs of the denoiser?
//!
//! Each prompt is encoded once (`prompts.rs`), chunk by chunk, and brought to the denoiser's
//! device. A prompt of one chunk without weights stays on the device of the text encoder until
//! then. The chunks of other prompts are weighed and joined on the host.

use std::ops::Range;
use std::sync::Arc;

use preheat_ir::graph::OutputDecl;
use preheat_runtime::backend::DeviceFault;
use preheat_runtime::device::StageKind;
use preheat_runtime::device::fallback::Decode;
use preheat_runtime::{DeviceTensor, StepBoundary};
use preheat_tensor::{Dtype, Tensor, TensorType};

use super::checked_request::Prepared;
use super::error::PipelineError;
use super::on_stage::StageRunner;
use super::prompt_syntax::Chunk;
use super::prompts::{Encoded, PromptKey, Prompts};
use super::read_prompts::Side;
use super::ready::Ready;
use super::stage::Stage;

/// The conditions of a run: the encoded prompts and the sizes, which the denoiser's graph takes
/// after the step's scalars.
pub(super) struct Conditions {
    positive: Arc<Encoded>,
    negative: Option<Arc<Encoded>>,
    /// The sizes that Stable Diffusion XL is conditioned on.
    time_ids: DeviceTensor,
}

/// Encodes the prompts of one request.
#[derive(Clone, Copy)]
pub(super) struct PromptEncoder<'a> {
    pub(super) runner: StageRunner<'a>,
    pub(super) prompts: &'a Prompts,
    pub(super) prepared: &'a Prepared<'a>,
    pub(super) ready: &'a Ready,
}

impl PromptEncoder<'_> {
    pub(super) fn conditions(&self) -> Result<Conditions, PipelineError> {
        let Self { runner, prepared, .. } = *self;
        let stages = &prepared.stages;
        // `StepBoundary::finish` is not called, because it would wait: the host queues the first
        // denoising step right after the text encoders.
        let encoders = runner.homes.of_kind(StageKind::TextEncoder);
        let boundary = encoders.runtime.step_boundary("encode_prompt");
        let mut boundary = boundary.of(runner.watch.model_id, "text_encoder");
        let positive = self.encode(&mut boundary, Side::Positive, stages.encoders.clone())?;
        let negative = if !prepared.plan.signature.is_guided() {
            None
        } else if stages.negative_is_zeros {
            Some(self.zeros_for_no_prompt()?)
        } else {
            Some(self.encode(&mut boundary, Side::Negative, stages.negative_encoders.clone())?)
        };
        let ids = Tensor::from_f32(&[1, 6], &time_ids(prepared.plan.sizes.padded))
            .map_err(preheat_runtime::Error::from)?;
        let denoiser = runner.homes.of_kind(StageKind::Denoiser);
        Ok(Conditions { positive, negative, time_ids: denoiser.runtime.to_device(&ids)? })
    }

    fn encode(
        &self,
        boundary: &mut StepBoundary<'_>,
        side: Side,
        encoders: Range<usize>,
    ) -> Result<Arc<Encoded>, PipelineError> {
        let request = self.prepared.request;
        let key = self.key(Some(side.texts(request).map(|(_, text)| text)), encoders.clone());
        self.prompts.get_or_encode(key, || {
            let read = side.read(request, self.runner.model.tokenizers()?)?;
            let mut encoded = Encoded::default();
            let step = boundary.begin()?;
            for ((index, at), text) in encoders.enumerate().zip(&read) {
                encoded.push(self.encode_chunks(index, at, &text.chunks)?);
            }
            if let Some(last) = encoded.hidden.last() {
                step.until(last)?;
            }
            Ok(encoded)
        })
    }

    fn key(&self, texts: Option<[&str; 2]>, encoders: Range<usize>) -> PromptKey {
        let stages = &self.prepared.stages.all[encoders.clone()];
        let read = (self.prepared.request.prompt_syntax, self.prepared.shape.prompt_chunks);
        PromptKey::new(texts, read, &self.ready.executables[encoders], stages)
    }

    /// The outputs of the text encoder at `index`, whose stage is at `at`, for a prompt of these
    /// chunks. They are on the denoiser's device.
    fn encode_chunks(
        &self,
        index: usize,
        at: usize,
        chunks: &[Chunk],
    ) -> Result<Vec<DeviceTensor>, PipelineError> {
        let stage = &self.prepared.stages.all[at];
        let total = self.prepared.shape.prompt_chunks;
        if let [chunk] = chunks
            && total == 1
            && !chunk.is_weighted()
        {
            let made = self.run_encoder(index, at, &chunk.ids)?;
            return self.for_the_denoiser(stage, made);
        }
        self.join_on_the_host(index, at, chunks)
    }

    /// The outputs for several chunks, or for tokens with weights.
    fn join_on_the_host(
        &self,
        index: usize,
        at: usize,
        chunks: &[Chunk],
    ) -> Result<Vec<DeviceTensor>, PipelineError> {
        let (stage, total) = (&self.prepared.stages.all[at], self.prepared.shape.prompt_chunks);
        let syntax = self.prepared.request.prompt_syntax;
        let empty = if syntax.needs_empty() && chunks.iter().any(Chunk::is_weighted) {
            let empty = Chunk::empty(&self.runner.model.tokenizers()?[index]);
            on_the_host(stage, &self.run_encoder(index, at, &empty.ids)?)?.1
        } else {
            Vec::new()
        };
        let (mut joined, mut dims, mut pooled) = (Vec::new(), Vec::new(), Vec::new());
        for (position, chunk) in chunks.iter().enumerate() {
            let made = self.run_encoder(index, at, &chunk.ids)?;
            let (of_chunk, mut hidden) = on_the_host(stage, &made)?;
            if chunk.is_weighted() {
                syntax.weigh(&mut hidden, &empty, chunk);
            }
            joined.extend(hidden);
            dims = of_chunk;
            if position == 0 {
                // As in both other programs, a prompt is pooled from its first chunk, unweighted.
                pooled = self.for_the_denoiser(stage, made.into_iter().skip(1).collect())?;
            }
        }
        let times = usize::try_from(total).unwrap_or(usize::MAX) / chunks.len().max(1);
        if let Some(tokens) = dims.get_mut(1) {
            *tokens = tokens.saturating_mul(total);
        }
        let hidden = Tensor::from_f32(&dims, &joined.repeat(times));
        let hidden = hidden.map_err(preheat_runtime::Error::from)?;
        let denoiser = self.runner.homes.of_kind(StageKind::Denoiser);
        let mut encoded = vec![denoiser.runtime.to_device(&hidden)?];
        encoded.append(&mut pooled);
        Ok(encoded)
    }

    /// Brings a text encoder's outputs to the denoiser's device, where every step reads them.
    fn for_the_denoiser(
        &self,
        stage: &Stage,
        made: Vec<DeviceTensor>,
    ) -> Result<Vec<DeviceTensor>, PipelineError> {
        let denoiser = self.runner.homes.of_kind(StageKind::Denoiser);
        if self.runner.home(stage).is(denoiser) {
            return Ok(made);
        }
        let what = "moving a prompt to the denoiser's device";
        let copy = |tensor| Ok(denoiser.runtime.copy_here(stage.name, what, tensor)?);
        made.iter().map(copy).collect()
    }

    fn run_encoder(
        &self,
        index: usize,
        at: usize,
        ids: &[i32],
    ) -> Result<Vec<DeviceTensor>, PipelineError> {
        let stage = &self.prepared.stages.all[at];
        let config = &self.runner.model.folder.text_encoders()[index];
        check_known(ids, config.vocabulary)?;
        let eos = config.eos_position(ids);
        let inputs = stage.function.inputs().iter().map(|input| match input.name.as_str() {
            "eos_position" => self.positions(stage, &[1], &[i32::try_from(eos).unwrap_or(0)]),
            _ => self.positions(stage, &[1, ids.len() as u64], ids),
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let executable = &self.ready.executables[at];
        self.runner.run((stage, executable), Decode::Slices, |weights| {
            Ok(executable.run(inputs.iter().chain(weights.iter().map(AsRef::as_ref)))?)
        })
    }

    fn positions(
        &self,
        stage: &Stage,
        dims: &[u64],
        values: &[i32],
    ) -> Result<DeviceTensor, PipelineError> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let kind = TensorType::new(Dtype::Int32, dims);
        let tensor = Tensor::new(kind, &bytes).map_err(preheat_runtime::Error::from)?;
        Ok(self.runner.home(stage).runtime.to_device(&tensor)?)
    }

    fn zeros_for_no_prompt(&self) -> Result<Arc<Encoded>, PipelineError> {
        let encoders = self.prepared.stages.negative_encoders.clone();
        let key = self.key(None, encoders.clone());
        self.prompts.get_or_encode(key, || {
            let mut encoded = Encoded::default();
            for stage in &self.prepared.stages.all[encoders] {
                let outputs = stage.function.outputs().iter();
                let kinds = outputs.map(|output| self.of_all_chunks(stage, output));
                let zeros = kinds.map(|kind| self.runner.zero(StageKind::Denoiser, &kind));
                encoded.push(zeros.collect::<Result<Vec<_>, _>>()?);
            }
            Ok(encoded)
        })
    }

    /// The type of a text encoder's output for all chunks of a prompt.
    fn of_all_chunks(&self, stage: &Stage, output: &OutputDecl) -> TensorType {
        let mut kind = stage.function.type_of(output.value).clone();
        if let [_, tokens, _] = kind.dims.as_mut_slice() {
            *tokens = tokens.saturating_mul(self.prepared.shape.prompt_chunks);
        }
        kind
    }
}

/// The shape and the values of the first output of a text encoder, `[1, tokens, features]`.
fn on_the_host(
    stage: &Stage,
    made: &[DeviceTensor],
) -> Result<(Vec<u64>, Vec<f32>), PipelineError> {
    let doing = "reading its hidden states";
    let failed = |cause: DeviceFault| {
        let stage = stage.name.to_owned();
        preheat_runtime::Error::Run { stage, doing, cause }
    };
    let hidden = made.first().ok_or_else(|| failed(DeviceFault::too_few_results(1)))?;
    let hidden = hidden.to_host().map_err(failed)?;
    let values = hidden.to_f32().ok_or_else(|| failed(DeviceFault::too_few_results(1)))?;
    Ok((hidden.kind().dims.clone(), values))
}

/// Original size, top left corner of the crop, target size: each with the height first (SDXL, arXiv
/// 2307.01952, section 2.2). The argument is the size that is computed, `[width, height]`.
#[expect(clippy::cast_precision_loss, reason = "pixels")]
fn time_ids([width, height]: [u64; 2]) -> [f32; 6] {
    [height, width, 0, 0, height, width].map(|pixels| pixels as f32)
}

/// Refuses tokens that are not in the text encoder's vocabulary.
fn check_known(ids: &[i32], vocabulary: u64) -> Result<(), PipelineError> {
    match ids.iter().find(|&&id| u64::try_from(id).is_ok_and(|id| id >= vocabulary)) {
        Some(&id) => Err(PipelineError::NoSuchToken { id, vocabulary }),
        None => Ok(()),
    }
}

impl Conditions {
    /// The tensor for the denoiser's input `name`.
    pub(super) fn get(&self, name: &str) -> Option<&DeviceTensor> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_another_vocabulary_is_refused() {
        assert!(check_known(&[0, 9], 10).is_ok());
        let error = check_known(&[0, 10, 11], 10).unwrap_err();
        assert!(matches!(error, PipelineError::NoSuchToken { id: 10, vocabulary: 10 }));
    }

    #[test]
    fn sizes_are_given_with_the_height_first() {
        let ids = time_ids([1024, 768]).map(f32::to_bits);
        assert_eq!(ids, [768.0, 1024.0, 0.0, 0.0, 768.0, 1024.0].map(f32::to_bits));
    }
}
