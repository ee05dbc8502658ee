//! How do prompts become the inputs of the denoiser?
//!
//! Each prompt is encoded once (`prompts.rs`) and brought to the denoiser's device. This module
//! also finds which parts of the prompts have no effect.

use std::ops::Range;
use std::sync::Arc;

use preheat_io::printable::beginning;
use preheat_runtime::device::StageKind;
use preheat_runtime::device::fallback::Decode;
use preheat_runtime::{DeviceTensor, StepBoundary, Warning, WarningKind};
use preheat_tensor::{Dtype, Tensor, TensorType};

use super::checked_request::Prepared;
use super::error::PipelineError;
use super::on_stage::StageRunner;
use super::prompts::{Encoded, PromptKey, Prompts};
use super::ready::Ready;
use super::request::TextToImage;
use super::stage::Stage;
use super::tokenizer::Tokenizer;

/// How many characters of a prompt's cut-off part are shown: enough to find where that part begins.
const MOST_SHOWN: usize = 200;

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
        let (request, stages) = (prepared.request, &prepared.stages);
        // `StepBoundary::finish` is not called, because it would wait: the host queues the first
        // denoising step right after the text encoders.
        let encoders = runner.homes.of_kind(StageKind::TextEncoder);
        let boundary = encoders.runtime.step_boundary("encode_prompt");
        let mut boundary = boundary.of(runner.watch.model_id, "text_encoder");
        let positive = self.encode(&mut boundary, &request.prompt, stages.encoders.clone())?;
        let negative = if !prepared.plan.signature.is_guided() {
            None
        } else if stages.negative_is_zeros {
            Some(self.zeros_for_no_prompt()?)
        } else {
            let text = request.negative_prompt.as_deref().unwrap_or_default();
            Some(self.encode(&mut boundary, text, stages.negative_encoders.clone())?)
        };
        let ids = Tensor::from_f32(&[1, 6], &time_ids(prepared.plan.sizes.padded))
            .map_err(preheat_runtime::Error::from)?;
        let denoiser = runner.homes.of_kind(StageKind::Denoiser);
        Ok(Conditions { positive, negative, time_ids: denoiser.runtime.to_device(&ids)? })
    }

    fn encode(
        &self,
        boundary: &mut StepBoundary<'_>,
        text: &str,
        encoders: Range<usize>,
    ) -> Result<Arc<Encoded>, PipelineError> {
        let key = self.key(Some(text), encoders.clone());
        self.prompts.get_or_encode(key, || {
            let mut encoded = Encoded::default();
            let step = boundary.begin()?;
            for (index, at) in encoders.enumerate() {
                let made = self.run_encoder(index, at, &self.tokens(index, text)?)?;
                encoded.push(self.for_the_denoiser(&self.prepared.stages.all[at], made)?);
            }
            if let Some(last) = encoded.hidden.last() {
                step.until(last)?;
            }
            Ok(encoded)
        })
    }

    fn key(&self, text: Option<&str>, encoders: Range<usize>) -> PromptKey {
        let stages = &self.prepared.stages.all[encoders.clone()];
        PromptKey::new(text, &self.ready.executables[encoders], stages)
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

    /// The token ids of `text` for the text encoder at `index`.
    fn tokens(&self, index: usize, text: &str) -> Result<Vec<i32>, PipelineError> {
        let model = self.runner.model;
        let encoded = model.tokenizers()?[index].encode(text).map_err(Arc::new)?;
        known(encoded.ids, model.folder.text_encoders()[index].vocabulary)
    }

    fn run_encoder(
        &self,
        index: usize,
        at: usize,
        ids: &[i32],
    ) -> Result<Vec<DeviceTensor>, PipelineError> {
        let stage = &self.prepared.stages.all[at];
        let eos = self.runner.model.folder.text_encoders()[index].eos_position(ids);
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
                let kinds = outputs.map(|output| stage.function.type_of(output.value));
                let zeros = kinds.map(|kind| self.runner.zero(StageKind::Denoiser, kind));
                encoded.push(zeros.collect::<Result<Vec<_>, _>>()?);
            }
            Ok(encoded)
        })
    }
}

/// Original size, top left corner of the crop, target size: each with the height first (SDXL, arXiv
/// 2307.01952, section 2.2). The argument is the size that is computed, `[width, height]`.
#[expect(clippy::cast_precision_loss, reason = "pixels")]
fn time_ids([width, height]: [u64; 2]) -> [f32; 6] {
    [height, width, 0, 0, height, width].map(|pixels| pixels as f32)
}

/// Refuses tokens that are not in the text encoder's vocabulary.
fn known(ids: Vec<i32>, vocabulary: u64) -> Result<Vec<i32>, PipelineError> {
    match ids.iter().find(|&&id| u64::try_from(id).is_ok_and(|id| id >= vocabulary)) {
        Some(&id) => Err(PipelineError::NoSuchToken { id, vocabulary }),
        None => Ok(ids),
    }
}

/// A warning about a negative prompt that has no effect.
pub(super) fn unread(request: &TextToImage, is_guided: bool) -> Option<Warning> {
    let is_there = request.negative_prompt.as_ref().is_some_and(|negative| !negative.is_empty());
    let text = "the negative prompt has no effect: a guidance scale of 1 or less is unguided";
    (is_there && !is_guided).then(|| Warning::from(text.to_owned()))
}

/// Warnings about LoRAs that a prompt names in the syntax of other programs. preheat reads a prompt
/// as plain text, so these LoRAs are not applied.
pub(super) fn named_loras(request: &TextToImage) -> Vec<Warning> {
    let negative = request.negative_prompt.as_deref().unwrap_or_default();
    let texts = [("prompt", request.prompt.as_str()), ("negative prompt", negative)];
    let named = texts.into_iter().filter_map(|(which, text)| {
        let start = ["<lora:", "<lyco:"].iter().filter_map(|sign| text.find(sign)).min()?;
        let named = text[start..].split_inclusive('>').next()?;
        let named = beginning(named, MOST_SHOWN);
        let text =
            format!("the {which} has {named:?}, which is read as plain text and applies no LoRA");
        Some(Warning::new(WarningKind::LoraInPrompt, text))
    });
    named.collect()
}

/// Warnings about the parts of the prompts that are cut off.
pub(super) fn cut_off(
    request: &TextToImage,
    is_guided: bool,
    tokenizers: &[Tokenizer],
) -> Result<Vec<Warning>, PipelineError> {
    let mut texts = vec![("prompt", request.prompt.as_str())];
    if is_guided {
        let negative = request.negative_prompt.as_deref().unwrap_or_default();
        texts.push(("negative prompt", negative));
    }
    let mut warnings = Vec::new();
    for (which, text) in texts {
        for tokenizer in tokenizers {
            let encoded = tokenizer.encode(text).map_err(Arc::new)?;
            let Some(cut_off) = encoded.truncated else { continue };
            let most = encoded.ids.len().saturating_sub(2);
            let cut_off = beginning(&cut_off, MOST_SHOWN).into_owned();
            let text = format!(
                "the {which} is longer than {most} tokens, and its end is ignored: {cut_off:?}"
            );
            let warning = Warning::from(text);
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    Ok(warnings)
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
    use crate::pipeline::test_model;

    fn cut_off_of(prompt: &str, negative: &str, is_guided: bool) -> Vec<String> {
        let negative_prompt = Some(negative.to_owned());
        let request = TextToImage { negative_prompt, ..TextToImage::new(prompt) };
        let model = test_model::demo();
        let warnings = cut_off(&request, is_guided, model.tokenizers().unwrap()).unwrap();
        warnings.into_iter().map(|warning| warning.text).collect()
    }

    #[test]
    fn the_end_of_a_long_prompt_is_told_and_a_short_one_is_not() {
        assert!(cut_off_of("the digit seven", "blurry", true).is_empty());
        let long = "seven ".repeat(200);
        let told = cut_off_of(&long, &long, true);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("the prompt is longer than "), "{told:?}");
        assert!(told[1].starts_with("the negative prompt is longer than "), "{told:?}");
        assert!(told.iter().all(|text| text.chars().count() < MOST_SHOWN + 100), "{told:?}");
        assert!(cut_off_of("seven", &long, false).is_empty(), "it is not read at all");
    }

    #[test]
    fn a_negative_prompt_without_guidance_is_told() {
        let of = |negative: Option<&str>, is_guided| {
            let negative_prompt = negative.map(str::to_owned);
            unread(&TextToImage { negative_prompt, ..TextToImage::new("seven") }, is_guided)
        };
        assert!(of(Some("blurry"), false).unwrap().text.contains("has no effect"));
        assert_eq!(of(Some("blurry"), true), None);
        assert_eq!([of(Some(""), false), of(None, false)], [None, None]);
    }

    #[test]
    fn a_lora_that_a_prompt_names_is_told() {
        let of = |prompt: &str, negative: &str| -> Vec<String> {
            let negative_prompt = Some(negative.to_owned());
            let request = TextToImage { negative_prompt, ..TextToImage::new(prompt) };
            named_loras(&request).into_iter().map(|warning| warning.text).collect()
        };
        assert_eq!(
            of("a fox <lora:style:0.8>, red <lora:other:1>", "<lyco:bad"),
            [
                "the prompt has \"<lora:style:0.8>\", which is read as plain text and applies no \
                 LoRA",
                "the negative prompt has \"<lyco:bad\", which is read as plain text and applies \
                 no LoRA",
            ]
        );
        assert!(of("a fox <3, lora: none", "").is_empty());
    }

    #[test]
    fn a_token_of_another_vocabulary_is_refused() {
        assert_eq!(known(vec![0, 9], 10).unwrap(), [0, 9]);
        let error = known(vec![0, 10, 11], 10).unwrap_err();
        assert!(matches!(error, PipelineError::NoSuchToken { id: 10, vocabulary: 10 }));
    }

    #[test]
    fn sizes_are_given_with_the_height_first() {
        let ids = time_ids([1024, 768]).map(f32::to_bits);
        assert_eq!(ids, [768.0, 1024.0, 0.0, 0.0, 768.0, 1024.0].map(f32::to_bits));
    }
}
