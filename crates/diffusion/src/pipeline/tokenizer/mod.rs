//! How does a prompt become the ids that a CLIP text encoder reads?
//!
//! The tokenizer is made from the files of a model folder, which `files.rs` reads. Special and
//! added tokens are cut out of the text before anything else is done. If the padding token is `!`,
//! as in the second tokenizer of SDXL, every exclamation mark of a prompt therefore becomes
//! padding, too. An added token is one id, as textual inversion trained it; the token of an
//! embedding of several vectors is replaced by all of its tokens (`vectors.rs`). The ids equal
//! those of `CLIPTokenizer` of transformers 5.23, one by one (tests/fixtures/tokenizer).
//!
//! A model in a single file has no tokenizer, so preheat carries the vocabulary of the public CLIP
//! models (`carried.rs`).

mod carried;
mod clip;
mod error;
mod files;
#[cfg(test)]
mod tests;
mod vectors;
mod words;

use std::path::Path;

use self::clip::{Clip, END_OF_WORD, clip};
pub use self::error::TokenizerError;
use self::files::{Files, Name};
use self::vectors::Vectors;

/// The file that has the special tokens and the length.
pub(super) const CONFIG: &str = "tokenizer_config.json";
/// The files that may have the vocabulary.
pub(super) const VOCABULARIES: [&str; 2] = ["tokenizer.json", "vocab.json"];
/// How many tokens a text encoder takes, if `tokenizer_config.json` does not say.
const MAX_LENGTH: usize = 77;
/// transformers writes a length beyond this to say that there is no limit.
const NO_LENGTH: f64 = 1e9;

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
#[non_exhaustive]
pub struct Encoded {
    /// The begin token, the text's tokens, the end token and padding: always
    /// [`Tokenizer::max_length`] ids in total.
    pub ids: Vec<i32>,
    /// The position of the end token.
    pub eos_position: usize,
    /// The part of the text that did not fit, decoded from its tokens.
    pub truncated: Option<String>,
}

impl Tokenizer {
    /// Reads a tokenizer's folder.
    pub fn open(folder: &Path) -> Result<Self, TokenizerError> {
        if !folder.is_dir() {
            return Err(TokenizerError::NoFolder { folder: folder.to_owned() });
        }
        Self::of(Files::read(folder)?, &folder.join(CONFIG))
    }

    /// The tokenizer of the public CLIP models, whose vocabulary preheat carries, with the special
    /// tokens of a `tokenizer_config.json`. `path` is the path of that file for messages.
    pub fn carried(path: &Path, config: &str) -> Result<Self, TokenizerError> {
        Self::of(Files::with_config(carried::vocabulary()?, path, config)?, path)
    }

    fn of(files: Files, config: &Path) -> Result<Self, TokenizerError> {
        let Files { vocabulary, names, added, model_max_length } = files;
        let max_length = max_length(config, model_max_length)?;
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
        // The special tokens are looked up before they are added: adding a missing one would create
        // an id for which there is no embedding.
        let (bos, eos, pad) =
            (id("begin", &names.bos())?, id("end", &names.eos())?, id("padding", &names.pad())?);
        inner
            .add_tokens(added)
            .map_err(|error| TokenizerError::Broken { path, why: error.to_string() })?;
        let vectors = Vectors::of(&inner);
        Ok(Self { inner, vectors, max_length, bos, eos, pad })
    }

    /// How many ids each text is turned into: 77 for the public CLIP models.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The ids of a text.
    pub fn encode(&self, text: &str) -> Result<Encoded, TokenizerError> {
        let tokens = self.all_tokens(text)?;
        let (kept, cut) = tokens.split_at(tokens.len().min(self.room()));
        let truncated = if cut.is_empty() {
            None
        } else {
            let text = self.inner.decode(cut, false).map_err(failed)?;
            Some(text.replace(END_OF_WORD, " ").trim().to_owned())
        };
        let kept = signed(kept)?;
        Ok(Encoded { ids: self.framed(&kept), eos_position: kept.len() + 1, truncated })
    }

    /// The tokens of a text alone, however many there are.
    pub(in crate::pipeline) fn tokens(&self, text: &str) -> Result<Vec<i32>, TokenizerError> {
        signed(&self.all_tokens(text)?)
    }

    /// How many tokens of a text fit between the begin token and the end token.
    pub(in crate::pipeline) fn room(&self) -> usize {
        self.max_length - 2
    }

    /// The begin token, the first of these tokens, as many as there is room for, the end token and
    /// padding.
    pub(in crate::pipeline) fn framed(&self, tokens: &[i32]) -> Vec<i32> {
        let mut ids = Vec::with_capacity(self.max_length);
        ids.push(self.bos);
        ids.extend(tokens.iter().take(self.room()));
        ids.push(self.eos);
        ids.resize(self.max_length, self.pad);
        ids
    }

    /// The token of a comma, if the vocabulary has one.
    pub(in crate::pipeline) fn comma(&self) -> Option<i32> {
        let id = self.inner.token_to_id(&format!(",{END_OF_WORD}"))?;
        i32::try_from(id).ok()
    }

    fn all_tokens(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let text = self.vectors.expand(text, &self.inner).map_err(failed)?;
        Ok(self.inner.encode_fast(text, false).map_err(failed)?.get_ids().to_vec())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that `map_err` takes")]
fn failed(error: tokenizers::Error) -> TokenizerError {
    TokenizerError::Encode { why: error.to_string() }
}

fn signed(ids: &[u32]) -> Result<Vec<i32>, TokenizerError> {
    let too_large = |id| TokenizerError::Encode { why: format!("the id {id} is too large") };
    ids.iter().map(|&id| i32::try_from(id).map_err(|_| too_large(id))).collect()
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { max_length, bos, eos, pad, .. } = self;
        write!(f, "Tokenizer(max_length {max_length}, bos {bos}, eos {eos}, pad {pad})")
    }
}

/// Checks `model_max_length`.
fn max_length(config: &Path, length: Option<f64>) -> Result<usize, TokenizerError> {
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
            let why = format!("model_max_length is {length}, which is not a number of tokens");
            Err(TokenizerError::Broken { path: config.to_owned(), why })
        }
    }
}
