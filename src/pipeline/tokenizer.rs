//! CLIP tokenizers from the files of a model folder.
//!
//! A folder `tokenizer/` or `tokenizer_2/` has `vocab.json` and `merges.txt`, or `tokenizer.json` alone. `tokenizer_config.json` and
//! `special_tokens_map.json` name the special tokens: those are cut out of the text before anything else, so that where
//! padding is `!`, as in the second tokenizer of SDXL, every exclamation mark of a prompt becomes padding, too.
//! What comes out equals transformers' `CLIPTokenizer`, id by id (tests/fixtures/tokenizer).

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior};

use crate::input;

/// The tokens of a text encoder's input, where `tokenizer_config.json` does not say.
const MAX_LENGTH: usize = 77;
/// The largest vocabularies that are used anywhere take half of it.
const MOST_BYTES: u64 = 64 << 20;
/// A length beyond this is transformers' way to say that there is none.
const NO_LENGTH: f64 = 1e9;
/// What the last token of a word ends with.
const END_OF_WORD: &str = "</w>";
/// How CLIP cuts a text into words: contractions, letters, single digits, everything else.
const WORDS: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// Turns a prompt into the ids that a CLIP text encoder reads.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    max_length: usize,
    bos: i32,
    eos: i32,
    pad: i32,
}

/// A prompt in ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Begin, the text's tokens, end, padding: always [`Tokenizer::max_length`] of them.
    pub ids: Vec<i32>,
    /// Where the end stands.
    pub eos_position: usize,
    /// The part of the text that had no room, as its tokens read.
    pub truncated: Option<String>,
}

impl Tokenizer {
    /// Reads a tokenizer's folder.
    pub fn open(folder: &Path) -> Result<Self, TokenizerError> {
        if !folder.is_dir() {
            return Err(TokenizerError::NoFolder { folder: folder.to_owned() });
        }
        let config: Config = optional(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let names = match &config.added_tokens_decoder {
            // Older releases wrote the truth into the map.
            None => {
                let map: Names = optional(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
                map.over(config.names)
            }
            Some(_) => config.names,
        };
        let vocabulary = folder.join("vocab.json");
        let merges = folder.join("merges.txt");
        let whole = folder.join("tokenizer.json");
        let (mut inner, source) = match (vocabulary.is_file(), merges.is_file(), whole.is_file()) {
            (true, true, _) => (from_parts(&vocabulary, &merges, &names)?, vocabulary),
            (_, _, true) => (from_whole(&whole)?, whole),
            (true, false, _) => return Err(TokenizerError::NoFile { path: merges }),
            _ => return Err(TokenizerError::NoFile { path: vocabulary }),
        };
        let listed = config.added_tokens_decoder.unwrap_or_default();
        let special = |name: &Name| {
            let listed = listed.values().find(|token| token.content == name.content());
            listed.cloned().map_or_else(|| name.token(), Flags::token)
        };
        let broken = |error: tokenizers::Error| TokenizerError::Broken { path: source.clone(), why: error.to_string() };
        let (bos, eos) = (names.bos(), names.eos());
        let pad = names.pad_token.clone().unwrap_or_else(|| eos.clone());
        let unknown = names.unk_token.clone().unwrap_or_else(|| eos.clone());
        let id = |inner: &tokenizers::Tokenizer, role: &'static str, name: &Name| {
            inner
                .token_to_id(name.content())
                .and_then(|id| i32::try_from(id).ok())
                .ok_or_else(|| TokenizerError::NoToken { path: source.clone(), role, token: name.content().to_owned() })
        };
        // Looked up before they are added: adding would make up an id for a missing one, which no embedding has.
        let (bos_id, eos_id, pad_id) =
            (id(&inner, "begin", &bos)?, id(&inner, "end", &eos)?, id(&inner, "padding", &pad)?);
        inner.add_special_tokens([&bos, &eos, &unknown, &pad].map(special)).map_err(broken)?;
        let max_length = match config.model_max_length {
            None => MAX_LENGTH,
            Some(length) if length > NO_LENGTH => MAX_LENGTH,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked in this very line")]
            Some(length) if (2.0..=65536.0).contains(&length) && length.fract() == 0.0 => length as usize,
            Some(length) => {
                let why = format!("model_max_length is {length}, which is no number of tokens");
                return Err(TokenizerError::Broken { path: folder.join("tokenizer_config.json"), why });
            }
        };
        Ok(Self { inner, max_length, bos: bos_id, eos: eos_id, pad: pad_id })
    }

    /// How many ids each text becomes: 77 for every CLIP.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The ids of a text.
    pub fn encode(&self, text: &str) -> Result<Encoded, TokenizerError> {
        let failed = |error: tokenizers::Error| TokenizerError::Encode { why: error.to_string() };
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
            ids.push(
                i32::try_from(id).map_err(|_| TokenizerError::Encode { why: format!("the id {id} is too large") })?,
            );
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

/// Why a tokenizer could not be opened, or a text not be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// No folder of that name.
    #[error("there is no folder {}: is the model fully downloaded?", folder.display())]
    NoFolder {
        /// The tokenizer's folder.
        folder: PathBuf,
    },
    /// A file that the tokenizer cannot do without.
    #[error("there is no {}, and no tokenizer.json in its place: is the model fully downloaded?", path.display())]
    NoFile {
        /// The missing file.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is not what its name says.
    #[error("{} is broken: {why}; is it fully downloaded?", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A special token that the vocabulary lacks.
    #[error("{} lacks the {role} token `{token}`: is it the vocabulary of this model?", path.display())]
    NoToken {
        /// The vocabulary.
        path: PathBuf,
        /// What the token is for.
        role: &'static str,
        /// The token.
        token: String,
    },
    /// The text could not be encoded.
    #[error("the text cannot be turned into tokens: {why}")]
    Encode {
        /// What went wrong.
        why: String,
    },
}

/// What `tokenizer_config.json` says.
#[derive(Default, Deserialize)]
struct Config {
    model_max_length: Option<f64>,
    added_tokens_decoder: Option<HashMap<String, Flags>>,
    #[serde(flatten)]
    names: Names,
}

/// The special tokens, as both files name them.
#[derive(Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the files' own names")]
struct Names {
    bos_token: Option<Name>,
    eos_token: Option<Name>,
    pad_token: Option<Name>,
    unk_token: Option<Name>,
}

impl Names {
    fn over(self, other: Self) -> Self {
        Self {
            bos_token: self.bos_token.or(other.bos_token),
            eos_token: self.eos_token.or(other.eos_token),
            pad_token: self.pad_token.or(other.pad_token),
            unk_token: self.unk_token.or(other.unk_token),
        }
    }

    fn bos(&self) -> Name {
        self.bos_token.clone().unwrap_or_else(|| Name::Plain("<|startoftext|>".to_owned()))
    }

    fn eos(&self) -> Name {
        self.eos_token.clone().unwrap_or_else(|| Name::Plain("<|endoftext|>".to_owned()))
    }
}

/// A token, by its text or with its flags.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Name {
    Plain(String),
    Full(Flags),
}

#[derive(Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the files have them")]
struct Flags {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
}

impl Name {
    fn content(&self) -> &str {
        match self {
            Self::Plain(content) | Self::Full(Flags { content, .. }) => content,
        }
    }

    fn token(&self) -> AddedToken {
        match self {
            Self::Plain(content) => AddedToken::from(content.clone(), true),
            Self::Full(flags) => flags.clone().token(),
        }
    }
}

impl Flags {
    fn token(self) -> AddedToken {
        AddedToken::from(self.content, true)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(self.normalized)
    }
}

fn read(path: &Path) -> Result<String, TokenizerError> {
    input::text(path, MOST_BYTES).map_err(|source| TokenizerError::Io { path: path.to_owned(), source })
}

fn json<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, TokenizerError> {
    serde_json::from_slice(bytes)
        .map_err(|error| TokenizerError::Broken { path: path.to_owned(), why: error.to_string() })
}

/// `None` where there is no such file.
fn optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TokenizerError> {
    match input::text(path, MOST_BYTES) {
        Ok(text) => json(path, text.as_bytes()).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenizerError::Io { path: path.to_owned(), source }),
    }
}

/// From `tokenizer.json`. What it says of padding and length is the caller's business here.
fn from_whole(path: &Path) -> Result<tokenizers::Tokenizer, TokenizerError> {
    let broken = |error: tokenizers::Error| TokenizerError::Broken { path: path.to_owned(), why: error.to_string() };
    let mut inner = tokenizers::Tokenizer::from_bytes(read(path)?).map_err(broken)?;
    inner.with_padding(None).with_truncation(None).map_err(broken)?;
    Ok(inner)
}

/// From `vocab.json` and `merges.txt`.
fn from_parts(vocabulary: &Path, merges: &Path, names: &Names) -> Result<tokenizers::Tokenizer, TokenizerError> {
    let words: HashMap<String, u32> = json(vocabulary, read(vocabulary)?.as_bytes())?;
    let bad_merges = |why: String| TokenizerError::Broken { path: merges.to_owned(), why };
    let bytes =
        input::small(merges, MOST_BYTES).map_err(|source| TokenizerError::Io { path: merges.to_owned(), source })?;
    let text = String::from_utf8(bytes).map_err(|error| bad_merges(error.to_string()))?;
    let mut pairs = Vec::with_capacity(words.len());
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || (number == 0 && line.starts_with("#version")) {
            continue;
        }
        let (left, right) = line
            .split_once(' ')
            .filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '))
            .ok_or_else(|| bad_merges(format!("line {} is no pair of tokens", number + 1)))?;
        for token in [left, right] {
            if !words.contains_key(token) {
                return Err(bad_merges(format!("line {}: vocab.json has no `{token}`", number + 1)));
            }
        }
        let joined = [left, right].concat();
        if !words.contains_key(&joined) {
            return Err(bad_merges(format!("line {}: vocab.json has no `{joined}`", number + 1)));
        }
        pairs.push((left.to_owned(), right.to_owned()));
    }
    let unknown = names.unk_token.clone().unwrap_or_else(|| names.eos());
    let broken =
        |error: tokenizers::Error| TokenizerError::Broken { path: vocabulary.to_owned(), why: error.to_string() };
    let model = BPE::builder()
        .vocab_and_merges(words.into_iter().collect::<tokenizers::models::bpe::Vocab>(), pairs)
        .unk_token(unknown.content().to_owned())
        .end_of_word_suffix(END_OF_WORD.to_owned())
        .continuing_subword_prefix(String::new())
        .build()
        .map_err(broken)?;
    let mut inner = tokenizers::Tokenizer::new(model);
    let spaces = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ").map_err(broken)?;
    let words =
        Split::new(SplitPattern::Regex(WORDS.to_owned()), SplitDelimiterBehavior::Removed, true).map_err(broken)?;
    inner
        .with_normalizer(Some(Normalizers::new(vec![NFC.into(), spaces.into(), Lowercase.into()])))
        .map_err(broken)?
        .with_pre_tokenizer(Some(PreTokenizers::new(vec![words.into(), ByteLevel::new(false, true, true).into()])))
        .with_decoder(Some(ByteLevel::default()));
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const BOS: &str = "<|startoftext|>";
    const EOS: &str = "<|endoftext|>";

    #[derive(Deserialize)]
    struct Row {
        text: String,
        first: Expected,
        second: Expected,
    }

    #[derive(Deserialize)]
    struct Expected {
        ids: String,
        cut: Option<String>,
    }

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizer")
    }

    #[test]
    fn every_text_gets_the_ids_that_transformers_gives_it() {
        let rows: Vec<Row> = serde_json::from_slice(&fs::read(fixtures().join("expected.json")).unwrap()).unwrap();
        assert!(rows.len() >= 80);
        let mut wrong = Vec::new();
        for (folder, expected) in [
            ("first", (|row| &row.first) as fn(&Row) -> &Expected),
            ("whole", |row| &row.first),
            ("second", |row| &row.second),
        ] {
            let tokenizer = Tokenizer::open(&fixtures().join(folder)).unwrap();
            for row in &rows {
                let expected = expected(row);
                let encoded = tokenizer.encode(&row.text).unwrap();
                let ids: Vec<String> = encoded.ids.iter().map(ToString::to_string).collect();
                if (ids.join(" "), &encoded.truncated) != (expected.ids.clone(), &expected.cut) {
                    wrong.push(format!(
                        "{folder} {:?}\n  is     {} {:?}\n  should {} {:?}",
                        row.text,
                        ids.join(" "),
                        encoded.truncated,
                        expected.ids,
                        expected.cut
                    ));
                }
                assert_eq!(encoded.ids.len(), 77);
                assert_eq!(encoded.ids[encoded.eos_position], tokenizer.eos);
                assert!(encoded.ids[encoded.eos_position + 1..].iter().all(|&id| id == tokenizer.pad));
            }
        }
        assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    }

    #[test]
    fn the_end_stands_behind_the_text_and_padding_follows() {
        let first = Tokenizer::open(&fixtures().join("first")).unwrap();
        let empty = first.encode("").unwrap();
        assert_eq!((empty.eos_position, empty.truncated), (1, None));
        assert_eq!(empty.ids[0], first.bos);
        assert!(empty.ids[1..].iter().all(|&id| id == first.eos));
        let full = first.encode(&"a ".repeat(75)).unwrap();
        assert_eq!((full.eos_position, full.truncated), (76, None));
        let over = first.encode(&format!("{}a lighthouse", "a ".repeat(75))).unwrap();
        assert_eq!((over.eos_position, over.truncated.as_deref()), (76, Some("a lighthouse")));
        let second = Tokenizer::open(&fixtures().join("second")).unwrap();
        assert_eq!(second.encode("a").unwrap().ids[3..], [0; 74]);
    }

    /// A copy of `first`, in which a test breaks something.
    fn copy() -> TempDir {
        let to = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(fixtures().join("first")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
        }
        to
    }

    fn error_after(change: impl Fn(&Path)) -> String {
        let folder = copy();
        change(folder.path());
        Tokenizer::open(folder.path()).unwrap_err().to_string()
    }

    #[track_caller]
    fn says(error: &str, parts: &[&str]) {
        for part in parts {
            assert!(error.contains(part), "{error:?} does not say {part:?}");
        }
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        let nowhere = fixtures().join("nowhere");
        says(&Tokenizer::open(&nowhere).unwrap_err().to_string(), &["nowhere", "downloaded"]);
        for file in ["vocab.json", "merges.txt"] {
            says(&error_after(|folder| fs::remove_file(folder.join(file)).unwrap()), &[file, "downloaded"]);
        }
        for file in ["vocab.json", "tokenizer_config.json", "special_tokens_map.json"] {
            for text in ["", "{", "[1]", "{\"a\": ", "null and void", &"[".repeat(100_000)] {
                says(&error_after(|folder| fs::write(folder.join(file), text).unwrap()), &[file, "broken"]);
            }
        }
        says(&error_after(|folder| fs::write(folder.join("vocab.json"), "{\"a\": -1}").unwrap()), &["vocab.json"]);
        for (text, part) in [("a", "line 1"), ("#version: 0.2\na b c", "line 2"), ("a \u{4e2d}", "vocab.json has no")] {
            says(&error_after(|folder| fs::write(folder.join("merges.txt"), text).unwrap()), &["merges.txt", part]);
        }
        says(&error_after(|folder| fs::write(folder.join("merges.txt"), [0xff, 0xfe]).unwrap()), &["merges.txt"]);
        says(&error_after(|folder| fs::write(folder.join("merges.txt"), "q j").unwrap()), &["merges.txt", "`qj`"]);
        for (token, role) in [(BOS, "begin"), (EOS, "end")] {
            let error = error_after(|folder| {
                let text = fs::read_to_string(folder.join("vocab.json")).unwrap();
                fs::write(folder.join("vocab.json"), text.replace(token, "other")).unwrap();
            });
            says(&error, &["vocab.json", token, role]);
        }
        let pad = "{\"pad_token\": \"<pad>\"}";
        says(
            &error_after(|folder| fs::write(folder.join("special_tokens_map.json"), pad).unwrap()),
            &["padding", "<pad>"],
        );
        for length in ["0", "1", "-5", "77.5", "100000"] {
            let config = format!("{{\"model_max_length\": {length}}}");
            let error = error_after(|folder| fs::write(folder.join("tokenizer_config.json"), &config).unwrap());
            says(&error, &["tokenizer_config.json", "model_max_length"]);
        }
        let whole = tempfile::tempdir().unwrap();
        fs::write(whole.path().join("tokenizer.json"), "{\"version\": ").unwrap();
        says(&Tokenizer::open(whole.path()).unwrap_err().to_string(), &["tokenizer.json", "broken"]);
    }

    #[test]
    fn without_configuration_it_is_clip_s() {
        let folder = copy();
        for file in ["tokenizer_config.json", "special_tokens_map.json"] {
            fs::remove_file(folder.path().join(file)).unwrap();
        }
        let plain = Tokenizer::open(folder.path()).unwrap();
        let first = Tokenizer::open(&fixtures().join("first")).unwrap();
        assert_eq!(plain.encode("a cat, by the sea").unwrap(), first.encode("a cat, by the sea").unwrap());
        fs::write(folder.path().join("tokenizer_config.json"), "{\"model_max_length\": 1e30}").unwrap();
        assert_eq!(Tokenizer::open(folder.path()).unwrap().max_length(), 77);
        fs::write(folder.path().join("tokenizer_config.json"), "{\"model_max_length\": 16}").unwrap();
        assert_eq!(Tokenizer::open(folder.path()).unwrap().encode("a cat").unwrap().ids.len(), 16);
    }
}
