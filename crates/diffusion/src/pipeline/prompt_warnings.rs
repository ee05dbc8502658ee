//! Which parts of a request's prompts have no effect?

use preheat_io::printable::beginning;
use preheat_runtime::{Warning, WarningKind};

use super::error::PipelineError;
use super::prompt_syntax::PromptSyntax;
use super::read_prompts::Side;
use super::request::TextToImage;
use super::tokenizer::Tokenizer;

/// How many characters of a prompt are shown: enough to find where a part of it begins.
const MOST_SHOWN: usize = 200;

/// Warnings about parts of a request that have no effect.
pub(super) fn unread(request: &TextToImage, is_guided: bool) -> Option<Warning> {
    let is_text = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let negative = [&request.negative_prompt, &request.negative_prompt_2];
    if is_guided || !negative.into_iter().any(is_text) {
        return None;
    }
    let text = "the negative prompt has no effect: a guidance scale of 1 or less is unguided";
    Some(Warning::from(text.to_owned()))
}

/// A warning about a second negative prompt that zeros take the place of.
pub(super) fn replaced_by_zeros(request: &TextToImage, negative_is_zeros: bool) -> Option<Warning> {
    let text = request.negative_prompt_2.as_ref().filter(|text| !text.is_empty());
    text.filter(|_| negative_is_zeros).map(|_| {
        let text = "the second negative prompt has no effect: without a negative prompt, this \
                    model takes zeros for both";
        Warning::from(text.to_owned())
    })
}

/// Warnings about LoRAs that a prompt names in the syntax of other programs. These LoRAs are not
/// applied, because a request names its LoRAs apart from its prompts.
pub(super) fn named_loras(request: &TextToImage) -> Vec<Warning> {
    let taken = match request.prompt_syntax {
        PromptSyntax::A1111 => "left out of the text",
        PromptSyntax::Plain | PromptSyntax::Comfy => "read as plain text",
    };
    let named = texts(request, true).into_iter().filter_map(|(which, text)| {
        let start = ["<lora:", "<lyco:"].iter().filter_map(|sign| text.find(sign)).min()?;
        let named = text[start..].split_inclusive('>').next()?;
        let named = beginning(named, MOST_SHOWN);
        let text = format!("the {which} has {named:?}, which is {taken} and applies no LoRA");
        Some(Warning::new(WarningKind::LoraInPrompt, text))
    });
    named.collect()
}

/// The texts of a request, each once, with their names.
fn texts(request: &TextToImage, with_negative: bool) -> Vec<(&'static str, &str)> {
    let negative = with_negative.then(|| Side::Negative.texts(request));
    let mut texts = Vec::new();
    for text in Side::Positive.texts(request).into_iter().chain(negative.into_iter().flatten()) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

/// Warnings about the parts of the prompts that are cut off.
pub(super) fn cut_off(
    request: &TextToImage,
    is_guided: bool,
    tokenizers: &[Tokenizer],
) -> Result<Vec<Warning>, PipelineError> {
    let mut warnings = Vec::new();
    if !request.prompt_syntax.is_plain() {
        return Ok(warnings);
    }
    let sides = [Side::Positive].into_iter().chain(is_guided.then_some(Side::Negative));
    for side in sides {
        let names = side.texts(request).map(|(name, _)| name);
        let read = side.read(request, tokenizers)?;
        for ((which, text), tokenizer) in names.into_iter().zip(read).zip(tokenizers) {
            let Some(cut_off) = text.cut_off else { continue };
            let most = tokenizer.room();
            let cut_off = beginning(&cut_off, MOST_SHOWN).into_owned();
            let text = format!(
                "the {which} is longer than {most} tokens, and its end is ignored: {cut_off:?}"
            );
            let warning = Warning::new(WarningKind::PromptCutOff, text);
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    Ok(warnings)
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
        let request =
            TextToImage { prompt_syntax: PromptSyntax::Comfy, ..TextToImage::new(long.clone()) };
        let model = test_model::demo();
        assert_eq!(cut_off(&request, true, model.tokenizers().unwrap()).unwrap(), []);
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
        let negative_prompt_2 = Some("blurry".to_owned());
        let request = TextToImage { negative_prompt_2, ..TextToImage::new("seven") };
        assert!(unread(&request, false).is_some());
        assert_eq!([unread(&request, true), replaced_by_zeros(&request, false)], [None, None]);
        let told = replaced_by_zeros(&request, true).unwrap().text;
        assert!(told.starts_with("the second negative prompt has no effect: without"), "{told}");
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
        let request = TextToImage {
            prompt_2: Some("<lora:a:1>".to_owned()),
            prompt_syntax: PromptSyntax::A1111,
            ..TextToImage::new("a fox")
        };
        assert_eq!(
            named_loras(&request)[0].text,
            "the second prompt has \"<lora:a:1>\", which is left out of the text and applies no \
             LoRA"
        );
    }
}
