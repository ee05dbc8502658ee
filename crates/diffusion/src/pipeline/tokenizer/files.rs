//! Which vocabulary, special tokens and added tokens do the files of a tokenizer's folder give?
//!
//! | file | what is read from it |
//! |---|---|
//! | `tokenizer.json` | the vocabulary with its merges, which takes precedence over the next two files; its `added_tokens`, only if there is no `added_tokens_decoder`. Everything else in it is ignored; `CLIPTokenizer`'s rules are used |
//! | `vocab.json`, `merges.txt` | the vocabulary with its merges |
//! | `tokenizer_config.json` | the special tokens, `model_max_length`, `added_tokens_decoder` |
//! | `special_tokens_map.json`, `added_tokens.json` | the special and the added tokens, as older releases wrote them; read only if there is no `added_tokens_decoder` |

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use preheat_io::input;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenizers::AddedToken;

use super::TokenizerError;

/// The largest file that is read. The largest vocabularies in use take half of this.
const MOST_BYTES: u64 = 64 << 20;

/// The words and the merges of a byte-pair encoding.
pub(super) struct Vocabulary {
    /// The file that has the words, for messages.
    pub(super) path: PathBuf,
    pub(super) words: HashMap<String, u32>,
    pub(super) merges: Vec<(String, String)>,
}

/// Everything that is read from a folder.
pub(super) struct Files {
    pub(super) vocabulary: Vocabulary,
    pub(super) names: Names,
    /// The added tokens, in the order in which they get their ids.
    pub(super) added: Vec<AddedToken>,
    pub(super) model_max_length: Option<f64>,
}

impl Files {
    pub(super) fn read(folder: &Path) -> Result<Self, TokenizerError> {
        let mut config: Config =
            optional(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let whole_path = folder.join("tokenizer.json");
        let whole: Option<Whole> = optional(&whole_path)?;
        let listed = config.added_tokens_decoder.take();
        let mut names = config.names;
        let added = if let Some(listed) = listed {
            listed
        } else {
            let map: Names = optional(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
            names = map.over(names);
            older_tokens(folder, &names, whole.as_ref())?
        };
        let vocabulary = match whole {
            Some(whole) => whole.model.vocabulary(whole_path)?,
            None => from_parts(folder)?,
        };
        let added = with_special(added, &names);
        Ok(Self { vocabulary, names, added, model_max_length: config.model_max_length })
    }

    /// A vocabulary, with the special tokens of a `tokenizer_config.json`. `path` is the path of
    /// that file for messages.
    pub(super) fn with_config(
        vocabulary: Vocabulary,
        path: &Path,
        config: &str,
    ) -> Result<Self, TokenizerError> {
        let mut config: Config = json(path, config.as_bytes())?;
        let added = config.added_tokens_decoder.take().unwrap_or_default();
        let names = config.names;
        let added = with_special(added, &names);
        Ok(Self { vocabulary, names, added, model_max_length: config.model_max_length })
    }
}

/// The added tokens by their ids, read from the files of releases before `added_tokens_decoder`.
fn older_tokens(
    folder: &Path,
    names: &Names,
    whole: Option<&Whole>,
) -> Result<BTreeMap<u32, Flags>, TokenizerError> {
    let older: HashMap<String, u32> =
        optional(&folder.join("added_tokens.json"))?.unwrap_or_default();
    let special = |content: &str| names.iter().any(|name| name.content() == content);
    let flags = |content: String| {
        let special = special(&content);
        Flags { special: Some(special), normalized: Some(!special), ..Flags::new(content) }
    };
    let mut added: BTreeMap<u32, Flags> =
        older.into_iter().map(|(content, id)| (id, flags(content))).collect();
    let whole = whole.into_iter().flat_map(|whole| &whole.added_tokens);
    added.extend(whole.map(|listed| (listed.id, listed.token.clone())));
    Ok(added)
}

/// The added tokens by their ids, followed by the special tokens that are not among them. A token
/// that the vocabulary lacks gets its id from its place in this order, not from the id that a file
/// has for it.
fn with_special(added: BTreeMap<u32, Flags>, names: &Names) -> Vec<AddedToken> {
    let defaults = names.with_defaults();
    let is_named = |content: &str| defaults.iter().any(|name| name.content() == content);
    let mut tokens: Vec<AddedToken> = added
        .into_values()
        .map(|flags| {
            let special = flags.special.unwrap_or(false) || is_named(&flags.content);
            flags.token(special)
        })
        .collect();
    let known: Vec<String> = tokens.iter().map(|token| token.content.clone()).collect();
    let missing = defaults.into_iter().chain(names.extra().cloned());
    tokens.extend(
        missing.filter(|name| !known.iter().any(|known| known == name.content())).map(Name::token),
    );
    tokens
}

/// The fields of `tokenizer_config.json` that are read.
#[derive(Default, Deserialize)]
struct Config {
    model_max_length: Option<f64>,
    added_tokens_decoder: Option<BTreeMap<u32, Flags>>,
    #[serde(flatten)]
    names: Names,
}

/// The special tokens, in the form that `tokenizer_config.json` and `special_tokens_map.json`
/// share.
#[derive(Default, Deserialize)]
pub(super) struct Names {
    bos_token: Option<Name>,
    eos_token: Option<Name>,
    unk_token: Option<Name>,
    sep_token: Option<Name>,
    pad_token: Option<Name>,
    cls_token: Option<Name>,
    mask_token: Option<Name>,
    extra_special_tokens: Option<Extra>,
    /// The older name of `extra_special_tokens`.
    additional_special_tokens: Option<Extra>,
}

/// Special tokens without a role, or with a role that no CLIP tokenizer has.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Extra {
    List(Vec<Name>),
    Map(BTreeMap<String, Name>),
}

/// The default special tokens of `CLIPTokenizer`, which are used if no file names others.
const BEGIN: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";

impl Extra {
    fn names(&self) -> Vec<&Name> {
        match self {
            Self::List(names) => names.iter().collect(),
            Self::Map(names) => names.values().collect(),
        }
    }
}

impl Names {
    fn over(self, other: Self) -> Self {
        Self {
            bos_token: self.bos_token.or(other.bos_token),
            eos_token: self.eos_token.or(other.eos_token),
            unk_token: self.unk_token.or(other.unk_token),
            sep_token: self.sep_token.or(other.sep_token),
            pad_token: self.pad_token.or(other.pad_token),
            cls_token: self.cls_token.or(other.cls_token),
            mask_token: self.mask_token.or(other.mask_token),
            extra_special_tokens: other.extra_special_tokens.or(self.extra_special_tokens),
            additional_special_tokens: other
                .additional_special_tokens
                .or(self.additional_special_tokens),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Name> {
        let Self {
            bos_token,
            eos_token,
            unk_token,
            sep_token,
            pad_token,
            cls_token,
            mask_token,
            ..
        } = self;
        let named = [bos_token, eos_token, unk_token, sep_token, pad_token, cls_token, mask_token];
        named.into_iter().flatten().chain(self.extra())
    }

    /// The special tokens without a role, from the older field if the newer one has none.
    fn extra(&self) -> impl Iterator<Item = &Name> {
        let lists = [&self.extra_special_tokens, &self.additional_special_tokens]
            .into_iter()
            .flatten()
            .map(Extra::names);
        lists.into_iter().find(|names| !names.is_empty()).unwrap_or_default().into_iter()
    }

    /// The special tokens that have a role, in the order in which transformers adds them.
    fn with_defaults(&self) -> Vec<Name> {
        let others = |name: &Option<Name>| name.clone();
        let all = [
            Some(self.bos()),
            Some(self.eos()),
            Some(self.unk()),
            others(&self.sep_token),
            Some(self.pad()),
            others(&self.cls_token),
            others(&self.mask_token),
        ];
        all.into_iter().flatten().collect()
    }

    pub(super) fn bos(&self) -> Name {
        or_default(self.bos_token.as_ref(), BEGIN)
    }

    pub(super) fn eos(&self) -> Name {
        or_default(self.eos_token.as_ref(), END)
    }

    pub(super) fn pad(&self) -> Name {
        or_default(self.pad_token.as_ref(), END)
    }

    pub(super) fn unk(&self) -> Name {
        or_default(self.unk_token.as_ref(), END)
    }
}

fn or_default(name: Option<&Name>, default: &str) -> Name {
    name.cloned().unwrap_or_else(|| Name::Plain(default.to_owned()))
}

/// A token: either its text alone, or its text with flags.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Name {
    Plain(String),
    Full(Flags),
}

#[derive(Clone, Deserialize)]
pub(super) struct Flags {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    /// If this is missing, a special token is looked for before the text is normalized, and any
    /// other token after that.
    normalized: Option<bool>,
    special: Option<bool>,
}

impl Name {
    pub(super) fn content(&self) -> &str {
        match self {
            Self::Plain(content) | Self::Full(Flags { content, .. }) => content,
        }
    }

    fn token(self) -> AddedToken {
        match self {
            Self::Plain(content) => AddedToken::from(content, true),
            Self::Full(flags) => flags.token(true),
        }
    }
}

impl Flags {
    fn new(content: String) -> Self {
        Self {
            content,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: None,
            special: None,
        }
    }

    fn token(self, special: bool) -> AddedToken {
        AddedToken::from(self.content, special)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(self.normalized.unwrap_or(!special))
    }
}

/// The parts of `tokenizer.json` that are read.
#[derive(Deserialize)]
struct Whole {
    model: WholeModel,
    #[serde(default)]
    added_tokens: Vec<Listed>,
}

#[derive(Deserialize)]
struct WholeModel {
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Text(String),
}

#[derive(Deserialize)]
struct Listed {
    id: u32,
    #[serde(flatten)]
    token: Flags,
}

impl WholeModel {
    fn vocabulary(self, path: PathBuf) -> Result<Vocabulary, TokenizerError> {
        let mut merges = Vec::with_capacity(self.merges.len());
        for (number, merge) in self.merges.into_iter().enumerate() {
            let pair = match merge {
                Merge::Pair(left, right) => Some((left, right)),
                Merge::Text(text) => pair(&text),
            };
            let why = || format!("merge {} is no pair of tokens", number + 1);
            let pair =
                pair.ok_or_else(|| TokenizerError::Broken { path: path.clone(), why: why() })?;
            check_merge(&self.vocab, &pair).map_err(|token| TokenizerError::Broken {
                path: path.clone(),
                why: format!("merge {}: the vocabulary has no `{token}`", number + 1),
            })?;
            merges.push(pair);
        }
        Ok(Vocabulary { path, words: self.vocab, merges })
    }
}

/// Reads the vocabulary from `vocab.json` and `merges.txt`.
fn from_parts(folder: &Path) -> Result<Vocabulary, TokenizerError> {
    let (path, merges_path) = (folder.join("vocab.json"), folder.join("merges.txt"));
    for path in [&path, &merges_path] {
        if !path.is_file() {
            return Err(TokenizerError::NoFile { path: path.clone() });
        }
    }
    let words: HashMap<String, u32> = json(&path, read(&path)?.as_bytes())?;
    let broken = |why: String| TokenizerError::Broken { path: merges_path.clone(), why };
    let merges = input::small(&merges_path, MOST_BYTES);
    let merges =
        merges.map_err(|source| TokenizerError::Io { path: merges_path.clone(), source })?;
    let text = String::from_utf8(merges).map_err(|error| broken(error.to_string()))?;
    let mut merges = Vec::with_capacity(words.len());
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || (number == 0 && line.starts_with("#version")) {
            continue;
        }
        let pair = pair(line)
            .ok_or_else(|| broken(format!("line {} is no pair of tokens", number + 1)))?;
        check_merge(&words, &pair)
            .map_err(|token| broken(format!("line {}: vocab.json has no `{token}`", number + 1)))?;
        merges.push(pair);
    }
    Ok(Vocabulary { path, words, merges })
}

/// Splits a line at the space between its two tokens.
pub(super) fn pair(line: &str) -> Option<(String, String)> {
    let (left, right) = line.split_once(' ')?;
    let is_pair = !left.is_empty() && !right.is_empty() && !right.contains(' ');
    is_pair.then(|| (left.to_owned(), right.to_owned()))
}

/// Checks that the vocabulary has the tokens of a merge; the error names the missing one.
fn check_merge(
    words: &HashMap<String, u32>,
    (left, right): &(String, String),
) -> Result<(), String> {
    let tokens = [left.clone(), right.clone(), format!("{left}{right}")];
    tokens
        .into_iter()
        .try_for_each(|token| if words.contains_key(&token) { Ok(()) } else { Err(token) })
}

fn read(path: &Path) -> Result<String, TokenizerError> {
    input::text(path, MOST_BYTES)
        .map_err(|source| TokenizerError::Io { path: path.to_owned(), source })
}

fn json<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, TokenizerError> {
    serde_json::from_slice(bytes)
        .map_err(|error| TokenizerError::Broken { path: path.to_owned(), why: error.to_string() })
}

/// Reads a JSON file; `None` if there is no such file.
fn optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TokenizerError> {
    match input::text(path, MOST_BYTES) {
        Ok(text) => json(path, text.as_bytes()).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenizerError::Io { path: path.to_owned(), source }),
    }
}
