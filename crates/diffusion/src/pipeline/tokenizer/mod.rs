//! How does a prompt become the ids that a CLIP text encoder reads?
//!
//! The tokenizer is made from the files of a model folder, which `files.rs` reads. Special and
//! added tokens are cut out of the text before anything else is done. Where the padding token is
//! `!`, as in the second tokenizer of SDXL, every exclamation mark of a prompt therefore becomes
//! padding, too. An added token is one id, as textual inversion trained it; the token of an
//! embedding of several vectors stands for all of them (`vectors.rs`). The ids equal those of
//! `CLIPTokenizer` of transformers 5.23, one by one (tests/fixtures/tokenizer).

mod error;
mod files;
#[cfg(test)]
mod tests;
mod vectors;
mod words;

use std::path::Path;

use tokenizers::TokenizerImpl;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Vocab};

pub use self::error::TokenizerError;
use self::files::{Files, Name, Vocabulary};
use self::vectors::Vectors;
use self::words::{Normalize, Split, Words};

/// How many tokens a text encoder takes, if `tokenizer_config.json` does not say.
const MAX_LENGTH: usize = 77;
/// transformers writes a length beyond this to say that there is no limit.
const NO_LENGTH: f64 = 1e9;
/// The suffix of the last token of a word.
const END_OF_WORD: &str = "</w>";

/// A vocabulary with the steps that every CLIP tokenizer does before it looks words up. Nothing is
/// done after that: the last two types are required, but no value of them is used.
type Clip = TokenizerImpl<BPE, Normalize, Split, ByteLevel, ByteLevel>;

/// Turns a prompt into the ids that a CLIP text encoder reads.
pub struct Tokenizer {
    inner: Clip,
    vectors: Vectors,
    max_length: usize,
    bos: i32,
    eos: i32,
    pad: i32,
}

/// A prompt as ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The begin token, the text's tokens, the end token and padding: always
    /// [`Tokenizer::max_length`] ids in total.
    pub ids: Vec<i32>,
    /// The position of the end token.
    pub eos_position: usize,
    /// The part of the text that did not fit, as its tokens read.
    pub truncated: Option<String>,
}

impl Tokenizer {
    /// Reads a tokenizer's folder.
    pub fn open(folder: &Path) -> Result<Self, TokenizerError> {
        if !folder.is_dir() {
            return Err(TokenizerError::NoFolder { folder: folder.to_owned() });
        }
        let Files { vocabulary, names, added, model_max_length } = Files::read(folder)?;
        let max_length = max_length(folder, model_max_length)?;
        let path = vocabulary.path.clone();
        let mut inner = clip(vocabulary, names.unk().content())?;
        let id = |role: &'static str, name: &Name| {
            let id = inner.token_to_id(name.content()).and_then(|id| i32::try_from(id).ok());
            id.ok_or_else(|| TokenizerError::NoToken {
                path: path.clone(),
                role,
                token: name.content().to_owned(),
            })
        };
        // The special tokens are looked up before they are added: adding a missing one would invent
        // an id for which there is no embedding.
        let (bos, eos, pad) =
            (id("begin", &names.bos())?, id("end", &names.eos())?, id("padding", &names.pad())?);
        inner
            .add_tokens(added)
            .map_err(|error| TokenizerError::Broken { path, why: error.to_string() })?;
        let vectors = Vectors::of(&inner);
        Ok(Self { inner, vectors, max_length, bos, eos, pad })
    }

    /// How many ids each text is turned into: 77 for every CLIP.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The ids of a text.
    pub fn encode(&self, text: &str) -> Result<Encoded, TokenizerError> {
        let failed = |error: tokenizers::Error| TokenizerError::Encode { why: error.to_string() };
        let text = self.vectors.expand(text, &self.inner).map_err(failed)?;
        let encoding = self.inner.encode_fast(text, false).map_err(failed)?;
        let tokens = encoding.get_ids();
        let (kept, cut) = tokens.split_at(tokens.len().min(self.max_length - 2));
        let truncated = if cut.is_empty() {
            None
        } else {
            let text = self.inner.decode(cut, false).map_err(failed)?;
            Some(text.replace(END_OF_WORD, " ").trim().to_owned())
        };
        let mut ids = Vec::with_capacity(self.max_length);
        ids.push(self.bos);
        for &id in kept {
            ids.push(i32::try_from(id).map_err(|_| TokenizerError::Encode {
                why: format!("the id {id} is too large"),
            })?);
        }
        let eos_position = ids.len();
        ids.push(self.eos);
        ids.resize(self.max_length, self.pad);
        Ok(Encoded { ids, eos_position, truncated })
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { max_length, bos, eos, pad, .. } = self;
        write!(f, "Tokenizer(max_length {max_length}, bos {bos}, eos {eos}, pad {pad})")
    }
}

/// Checks `model_max_length`.
fn max_length(folder: &Path, length: Option<f64>) -> Result<usize, TokenizerError> {
    match length {
        None => Ok(MAX_LENGTH),
        Some(length) if length > NO_LENGTH => Ok(MAX_LENGTH),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked in this very line"
        )]
        Some(length) if (2.0..=65536.0).contains(&length) && length.fract() == 0.0 => {
            Ok(length as usize)
        }
        Some(length) => {
            let why = format!("model_max_length is {length}, which is no number of tokens");
            Err(TokenizerError::Broken { path: folder.join("tokenizer_config.json"), why })
        }
    }
}

/// Builds `CLIPTokenizer` over a vocabulary.
fn clip(vocabulary: Vocabulary, unknown: &str) -> Result<Clip, TokenizerError> {
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
