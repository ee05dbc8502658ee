//! How does CLIP cut words into tokens?
//!
//! It encodes them by byte pairs. `words.rs` has the steps before that.

use tokenizers::TokenizerImpl;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Vocab};

use super::error::TokenizerError;
use super::files::Vocabulary;
use super::words::{Normalize, Split, Words};

/// The suffix of the last token of a word.
pub(super) const END_OF_WORD: &str = "</w>";

/// A vocabulary with the steps that every CLIP tokenizer does before it looks words up, and with
/// the decoder that turns ids into text. The fourth type, of a step after the look-up, is required,
/// but no value of it is used.
pub(super) type Clip = TokenizerImpl<BPE, Normalize, Split, ByteLevel, ByteLevel>;

/// Builds `CLIPTokenizer` over a vocabulary.
pub(super) fn clip(vocabulary: Vocabulary, unknown: &str) -> Result<Clip, TokenizerError> {
    let Vocabulary { path, words, merges } = vocabulary;
    let broken = |why: String| TokenizerError::Broken { path: path.clone(), why };
    let model = BPE::builder()
        .vocab_and_merges(words.into_iter().collect::<Vocab>(), merges)
        .unk_token(unknown.to_owned())
        .end_of_word_suffix(END_OF_WORD.to_owned())
        .continuing_subword_prefix(String::new())
        .build()
        .map_err(|error| broken(error.to_string()))?;
    let words = Words::get().map_err(broken)?;
    let mut inner = Clip::new(model);
    inner
        .with_normalizer(Some(words.normalize()))
        .map_err(|error| broken(error.to_string()))?
        .with_pre_tokenizer(Some(words.split()))
        .with_decoder(Some(ByteLevel::default()));
    Ok(inner)
}
