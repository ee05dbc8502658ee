//! Why can a prompt not be read in the syntax that was asked for?

/// Why a prompt cannot be read in the syntax that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PromptSyntaxError {
    /// A weight is not a number, or too large for one.
    #[error("the weight {written:?} is not a number that a token can be weighed with")]
    Weight {
        /// The weight as it was written or computed.
        written: String,
    },
    /// The prompt changes between steps, as in `[cat:dog:0.5]`.
    #[error(
        "{written:?} would change the prompt between steps, which is not supported: write one of \
         the texts, or \\[ and \\] for brackets that are text"
    )]
    Schedule {
        /// The brackets and what is in them.
        written: String,
    },
    /// The prompt alternates between texts, as in `[cat|dog]`.
    #[error(
        "{written:?} would change the prompt at every step, which is not supported: write one of \
         the texts, or \\[ and \\] for brackets that are text"
    )]
    Alternation {
        /// The brackets and what is in them.
        written: String,
    },
    /// The prompt is composed of several ones, as in `a cat AND a dog`.
    #[error(
        "`AND` would run the denoiser once for each part of the prompt, which is not supported: \
         write a comma, or `and` for the word"
    )]
    Composition,
    /// The text is too long to be read with weights.
    #[error("the text has {bytes} bytes, and at most {most} are read with weights")]
    TooLong {
        /// How many bytes the text has.
        bytes: usize,
        /// How many it may have.
        most: usize,
    },
    /// Brackets are nested too deep.
    #[error("brackets are nested more than {most} deep")]
    TooDeep {
        /// How deep they may be nested.
        most: usize,
    },
}

/// The text names no prompt syntax.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no prompt syntax: plain, a1111 and comfy are")]
pub struct ParsePromptSyntaxError(pub(super) String);
