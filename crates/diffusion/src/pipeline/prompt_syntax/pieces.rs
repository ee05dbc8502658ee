//! What is a prompt made of, once its brackets are read?

use super::error::PromptSyntaxError;

/// How deep brackets may be nested. Weights beyond this mean nothing: 1.1 to the hundredth power is
/// 13,781.
pub(super) const MOST_DEPTH: usize = 100;

/// A part of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Text, each token of which has this weight.
    Text { text: String, weight: f32 },
    /// The end of a chunk.
    Break,
}

impl Piece {
    /// A piece of text with a weight that was written as, or computed to be, `weight`.
    pub(super) fn text(text: String, weight: f64) -> Result<Self, PromptSyntaxError> {
        #[expect(clippy::cast_possible_truncation, reason = "hidden states are weighed in f32")]
        let rounded = weight as f32;
        if rounded.is_finite() {
            return Ok(Self::Text { text, weight: rounded });
        }
        Err(PromptSyntaxError::Weight { written: weight.to_string() })
    }
}
