//! What does each text encoder read of a request, and how many chunks does the denoiser read?
//!
//! The denoiser reads the hidden states of all chunks of a prompt, one after another, so their
//! number shapes its graph. Both prompts of a guided run need the same number. The shorter one is
//! repeated: attention divides by the sum over all tokens, so a context that stands there several
//! times attends as it does alone. This is what ComfyUI does (`CONDCrossAttn.concat` in
//! `comfy/conds.py`). The web UI runs both prompts apart from each other, which gives the same
//! numbers, up to rounding. Empty chunks in place of the repetition would give other pictures.
//!
//! The features of two text encoders stand side by side, so both need the same number of chunks of
//! one prompt. Here the shorter text gets empty chunks, as in ComfyUI (`CLIPTextEncodeSDXL`).

use super::error::PipelineError;
use super::model::Model;
use super::prompt_syntax::{Chunk, ReadText};
use super::request::TextToImage;
use super::tokenizer::Tokenizer;

/// One of the two prompts of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Positive,
    Negative,
}

impl Side {
    /// The texts of this side for the first and the second text encoder, each with its name. As in
    /// diffusers, a second prompt that is empty is none.
    pub(super) fn texts(self, request: &TextToImage) -> [(&'static str, &str); 2] {
        let (names, first, second) = match self {
            Self::Positive => {
                (["prompt", "second prompt"], Some(&request.prompt), &request.prompt_2)
            }
            Self::Negative => (
                ["negative prompt", "second negative prompt"],
                request.negative_prompt.as_ref(),
                &request.negative_prompt_2,
            ),
        };
        let first = (names[0], first.map_or("", String::as_str));
        let second = second.as_deref().filter(|text| !text.is_empty());
        [first, second.map_or(first, |text| (names[1], text))]
    }

    /// Reads this side of a request for each text encoder. All get the same number of chunks.
    pub(super) fn read(
        self,
        request: &TextToImage,
        tokenizers: &[Tokenizer],
    ) -> Result<Vec<ReadText>, PipelineError> {
        let texts = self.texts(request).into_iter().zip(tokenizers);
        let mut read = texts
            .map(|((name, text), tokenizer)| request.prompt_syntax.read(name, text, tokenizer))
            .collect::<Result<Vec<_>, _>>()?;
        let most = read.iter().map(|one| one.chunks.len()).max().unwrap_or(1);
        for (one, tokenizer) in read.iter_mut().zip(tokenizers) {
            one.chunks.resize_with(most, || Chunk::empty(tokenizer));
        }
        Ok(read)
    }

    fn chunks(self, request: &TextToImage, model: &Model) -> Result<u64, PipelineError> {
        let read = self.read(request, model.tokenizers()?)?;
        Ok(read.first().map_or(1, |one| one.chunks.len() as u64))
    }
}

/// How many chunks the denoiser reads for a request. `reads_negative` says whether the negative
/// prompt is encoded.
pub(super) fn chunks(
    request: &TextToImage,
    reads_negative: bool,
    model: &Model,
) -> Result<u64, PipelineError> {
    // A plain prompt has one chunk, whatever its text is, so no tokenizer is needed to know it.
    let (positive, negative) = if request.prompt_syntax.is_plain() {
        (1, 1)
    } else {
        let positive = Side::Positive.chunks(request, model)?;
        let negative = if reads_negative { Side::Negative.chunks(request, model)? } else { 1 };
        (positive, negative)
    };
    together([positive, negative], request.prompt_chunks)
}

/// How many chunks serve prompts of these numbers of chunks. `wanted` is the number that the
/// request asks for.
fn together([positive, negative]: [u64; 2], wanted: Option<u64>) -> Result<u64, PipelineError> {
    let most = TextToImage::MOST_PROMPT_CHUNKS;
    let needed = positive / greatest_common_divisor(positive, negative) * negative;
    let have = format!("the prompt has {positive} and the negative prompt has {negative}");
    let refuse = |value, why| Err(PipelineError::request("prompt_chunks", value, why));
    match wanted {
        None if needed > most => refuse(
            needed,
            format!("at most {most} are supported, and {have}: make the longer one shorter"),
        ),
        None => Ok(needed),
        Some(wanted) if wanted.is_multiple_of(needed) => Ok(wanted),
        Some(wanted) => refuse(wanted, format!("{have}, so a multiple of {needed} is needed")),
    }
}

fn greatest_common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::PromptSyntax;
    use crate::pipeline::test_model;

    #[test]
    fn both_prompts_get_the_smallest_number_that_repeats_each() {
        for (numbers, needed) in [([1, 1], 1), ([3, 1], 3), ([1, 2], 2), ([2, 3], 6), ([4, 6], 12)]
        {
            assert_eq!(together(numbers, None).unwrap(), needed);
            assert_eq!(together(numbers, Some(2 * needed)).unwrap(), 2 * needed);
        }
        let refused = |numbers, wanted| together(numbers, wanted).unwrap_err().to_string();
        assert_eq!(
            refused([1, 2], Some(3)),
            "prompt_chunks is 3: the prompt has 1 and the negative prompt has 2, so a multiple of \
             2 is needed"
        );
        assert_eq!(
            refused([9, 8], None),
            "prompt_chunks is 72: at most 64 are supported, and the prompt has 9 and the negative \
             prompt has 8: make the longer one shorter"
        );
    }

    #[test]
    fn a_plain_prompt_has_one_chunk_and_others_have_as_many_as_they_fill() {
        let model = test_model::demo();
        let of = |syntax, prompt: &str, negative: &str| {
            let request = TextToImage {
                prompt_syntax: syntax,
                negative_prompt: Some(negative.to_owned()),
                ..TextToImage::new(prompt)
            };
            chunks(&request, true, &model).unwrap()
        };
        let long = "seven ".repeat(200);
        assert_eq!(of(PromptSyntax::Plain, &long, "a BREAK b"), 1);
        assert_eq!(of(PromptSyntax::A1111, "seven", ""), 1);
        assert_eq!(of(PromptSyntax::A1111, "a BREAK b", "c BREAK d BREAK e"), 6);
        assert_eq!(of(PromptSyntax::Comfy, "a BREAK b", ""), 1, "ComfyUI has no break");
        let room = model.tokenizers().unwrap()[0].room() as u64;
        let tokens = model.tokenizers().unwrap()[0].tokens(&long).unwrap().len() as u64;
        assert_eq!(of(PromptSyntax::Comfy, &long, ""), tokens.div_ceil(room));
    }

    #[test]
    fn a_second_prompt_that_is_empty_is_none() {
        let texts = |second: Option<&str>| {
            let prompt_2 = second.map(str::to_owned);
            let request = TextToImage { prompt_2, ..TextToImage::new("a") };
            Side::Positive.texts(&request).map(|(name, text)| format!("{name}: {text}"))
        };
        assert_eq!(texts(Some("b")), ["prompt: a", "second prompt: b"]);
        assert_eq!(texts(Some("")), ["prompt: a", "prompt: a"]);
        assert_eq!(texts(None), ["prompt: a", "prompt: a"]);
    }

    #[test]
    fn the_shorter_text_of_two_encoders_gets_empty_chunks() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/demo-model/tokenizer");
        let tokenizers = [(); 2].map(|()| Tokenizer::open(folder.as_ref()).unwrap());
        let request = TextToImage {
            prompt_2: Some("b BREAK c".to_owned()),
            prompt_syntax: PromptSyntax::A1111,
            ..TextToImage::new("a")
        };
        let read = Side::Positive.read(&request, &tokenizers).unwrap();
        assert_eq!(read.iter().map(|one| one.chunks.len()).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(read[0].chunks[1], Chunk::empty(&tokenizers[0]));
        assert_ne!(read[1].chunks[1], Chunk::empty(&tokenizers[1]));
        let wrong = TextToImage { prompt_2: Some("[b|c]".to_owned()), ..request };
        let error = Side::Positive.read(&wrong, &tokenizers).unwrap_err().to_string();
        assert!(error.starts_with("the second prompt: \"[b|c]\" would change"), "{error}");
    }
}
