//! How is the text of a prompt read: as it stands, or with the weights of another program?
//!
//! diffusers takes a prompt literally and cuts it off at the length of the text encoder. Two other
//! programs read weights such as `(cat:1.3)`, and split a long prompt into chunks, each of which is
//! encoded on its own: the AUTOMATIC1111 web UI (`a1111.rs`) and ComfyUI (`comfy.rs`). They differ
//! in their brackets, in where a chunk ends (`chunks.rs`) and in what a weight does
//! (`weighting.rs`). This module reads texts; `encode.rs` runs the text encoders on the chunks.

mod a1111;
mod chunks;
mod comfy;
mod error;
mod pieces;
mod weighting;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use self::chunks::Chunk;
pub use self::error::{ParsePromptSyntaxError, PromptSyntaxError};
use super::error::PipelineError;
use super::tokenizer::Tokenizer;

/// How the text of a prompt is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptSyntax {
    /// As diffusers reads it: every character is text, and what does not fit into the text encoder
    /// is cut off.
    #[default]
    Plain,
    /// As the AUTOMATIC1111 web UI reads it: `(cat)`, `[cat]`, `(cat:1.3)`, `\(`, `BREAK`, and
    /// chunks of 75 tokens.
    A1111,
    /// As ComfyUI reads it: `(cat)`, `(cat:1.3)`, `\(`, and chunks of 75 tokens.
    Comfy,
}

impl PromptSyntax {
    /// Every syntax, with its name.
    const NAMES: [(&str, Self); 3] =
        [("plain", Self::Plain), ("a1111", Self::A1111), ("comfy", Self::Comfy)];

    /// Whether it is the syntax that a request has by default.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
    pub(super) fn is_plain(&self) -> bool {
        *self == Self::Plain
    }

    /// Reads a text for the text encoder of `tokenizer`. `which` is the field that the text is
    /// from.
    pub(super) fn read(
        self,
        which: &'static str,
        text: &str,
        tokenizer: &Tokenizer,
    ) -> Result<ReadText, PipelineError> {
        let wrong = |cause| PipelineError::Prompt { which, cause };
        if !self.is_plain() && text.len() > MOST_BYTES {
            return Err(wrong(PromptSyntaxError::TooLong { bytes: text.len(), most: MOST_BYTES }));
        }
        if !self.is_plain() && tokenizer.room() == 0 {
            // A text encoder for two tokens reads no text at all.
            return Ok(ReadText { chunks: vec![Chunk::empty(tokenizer)], cut_off: None });
        }
        let chunks = match self {
            Self::Plain => {
                let encoded = tokenizer.encode(text).map_err(Arc::new)?;
                let chunks = vec![Chunk::of_ids(encoded.ids)];
                return Ok(ReadText { chunks, cut_off: encoded.truncated });
            }
            Self::A1111 => chunks::as_a1111(&a1111::pieces(text).map_err(wrong)?, tokenizer),
            Self::Comfy => chunks::as_comfy(&comfy::pieces(text).map_err(wrong)?, tokenizer),
        };
        Ok(ReadText { chunks: chunks.map_err(Arc::new)?, cut_off: None })
    }

    /// Applies the weights of a chunk to its hidden states, `[tokens, features]`. `empty` has the
    /// hidden states of the empty prompt, which only [`needs_empty`](Self::needs_empty) asks for.
    pub(super) fn weigh(self, hidden: &mut [f32], empty: &[f32], chunk: &Chunk) {
        match self {
            Self::Plain => {}
            Self::A1111 => weighting::with_the_mean_restored(hidden, &chunk.weights),
            Self::Comfy => weighting::away_from_the_empty_prompt(hidden, empty, &chunk.weights),
        }
    }

    /// Whether weights are applied with the help of the hidden states of the empty prompt.
    pub(super) fn needs_empty(self) -> bool {
        self == Self::Comfy
    }
}

impl fmt::Display for PromptSyntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, syntax)| syntax == self).map(|(name, _)| *name);
        f.write_str(name.unwrap_or_default())
    }
}

impl FromStr for PromptSyntax {
    type Err = ParsePromptSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::NAMES.iter().find(|(name, _)| *name == text);
        named.map(|(_, syntax)| *syntax).ok_or_else(|| ParsePromptSyntaxError(text.to_owned()))
    }
}

/// A text as one text encoder reads it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReadText {
    /// At least one chunk, in the order of the text.
    pub(super) chunks: Vec<Chunk>,
    /// The end of the text, if it is not read.
    pub(super) cut_off: Option<String>,
}

/// The longest text that is read with weights, in bytes. It has far more tokens than the largest
/// number of chunks.
const MOST_BYTES: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_syntax_has_a_name_on_the_command_line_and_in_json() {
        for (name, syntax) in PromptSyntax::NAMES {
            assert_eq!(name.parse(), Ok(syntax));
            assert_eq!(syntax.to_string(), name);
            assert_eq!(serde_json::to_value(syntax).unwrap(), name);
        }
        let error = "A1111".parse::<PromptSyntax>().unwrap_err().to_string();
        assert_eq!(error, "\"A1111\" is no prompt syntax: plain, a1111 and comfy are");
    }

    /// Texts of the characters that mean something, and of some that are more than one byte long.
    fn any_texts() -> impl Iterator<Item = String> {
        const PARTS: [&str; 24] = [
            "(",
            ")",
            "[",
            "]",
            "\\",
            ":",
            "|",
            ",",
            " ",
            "1.3",
            "-.5",
            "0.5]",
            ":1.2)",
            "BREAK",
            "AND",
            "<lora:a:1>",
            "<",
            ">",
            "cat",
            "\u{e9}",
            "\u{732b}",
            "\u{1f600}",
            "\n",
            "\u{0}",
        ];
        let mut state = 1_u64;
        let mut draw = move |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from((state >> 33) % most).unwrap()
        };
        (0..3000).map(move |_| {
            let parts = draw(12);
            (0..parts).map(|_| PARTS[draw(PARTS.len() as u64)]).collect()
        })
    }

    #[test]
    fn any_text_is_read_or_refused() {
        let model = crate::pipeline::test_model::demo();
        let tokenizer = &model.tokenizers().unwrap()[0];
        let (mut read, mut refused) = (0, 0);
        for text in any_texts() {
            for syntax in [PromptSyntax::A1111, PromptSyntax::Comfy] {
                let Ok(text) = syntax.read("prompt", &text, tokenizer) else {
                    refused += 1;
                    continue;
                };
                read += 1;
                assert!(!text.chunks.is_empty());
                for chunk in text.chunks {
                    let lengths = [chunk.ids.len(), chunk.weights.len()];
                    assert_eq!(lengths, [tokenizer.max_length(); 2]);
                    assert!(chunk.weights.iter().all(|weight| weight.is_finite()));
                }
            }
        }
        assert!(read > 1000 && refused > 100, "{read} {refused}");
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_unless_it_is_plain() {
        let model = crate::pipeline::test_model::demo();
        let tokenizer = &model.tokenizers().unwrap()[0];
        let text = "a".repeat(MOST_BYTES + 1);
        assert!(PromptSyntax::Plain.read("prompt", &text, tokenizer).is_ok());
        for syntax in [PromptSyntax::A1111, PromptSyntax::Comfy] {
            let error = syntax.read("prompt", &text, tokenizer).unwrap_err().to_string();
            let said = "the prompt: the text has 65537 bytes, and at most 65536 are read with";
            assert!(error.starts_with(said), "{error}");
        }
    }
}
