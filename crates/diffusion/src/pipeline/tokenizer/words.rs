//! How does CLIP split a text into words before it looks them up?
//!
//! The rules are the same for every model, so their patterns are compiled only once in a process:
//! compiling them takes longer than reading a vocabulary.

use std::sync::LazyLock;

use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split as SplitAt, SplitPattern};
use tokenizers::{NormalizedString, Normalizer};
use tokenizers::{PreTokenizedString, PreTokenizer, SplitDelimiterBehavior};

/// The pattern for words: contractions, letters, single digits, everything else.
const WORDS: &str = concat!(
    r"<\|startoftext\|>|<\|endoftext\|>|",
    r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
);
/// The pattern for white space, which becomes one space.
const SPACES: &str = r"\s+";

/// The compiled patterns of both steps.
#[derive(Debug)]
pub(super) struct Words {
    normalizers: Normalizers,
    pre_tokenizers: PreTokenizers,
}

impl Words {
    /// The patterns; the first call compiles them.
    pub(super) fn get() -> Result<&'static Self, String> {
        static WORDS: LazyLock<Result<Words, String>> =
            LazyLock::new(|| Words::compile().map_err(|error| error.to_string()));
        WORDS.as_ref().map_err(Clone::clone)
    }

    fn compile() -> tokenizers::Result<Self> {
        let spaces = Replace::new(ReplacePattern::Regex(SPACES.to_owned()), " ")?;
        let words = SplitPattern::Regex(WORDS.to_owned());
        let words = SplitAt::new(words, SplitDelimiterBehavior::Removed, true)?;
        let bytes = ByteLevel::new(false, true, true);
        Ok(Self {
            normalizers: Normalizers::new(vec![NFC.into(), spaces.into(), Lowercase.into()]),
            pre_tokenizers: PreTokenizers::new(vec![words.into(), bytes.into()]),
        })
    }

    /// The first step: composes letters, reduces white space to single spaces, and makes letters
    /// lower case.
    pub(super) fn normalize(&'static self) -> Normalize {
        Normalize(self)
    }

    /// The second step: splits the text into words, whose bytes are each written as one letter.
    pub(super) fn split(&'static self) -> Split {
        Split(self)
    }
}

/// The first step, in the form that a tokenizer takes.
pub(super) struct Normalize(&'static Words);

impl Normalizer for Normalize {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        self.0.normalizers.normalize(text)
    }
}

/// The second step, in the form that a tokenizer takes.
pub(super) struct Split(&'static Words);

impl PreTokenizer for Split {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        self.0.pre_tokenizers.pre_tokenize(text)
    }
}
