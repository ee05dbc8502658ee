//! Which vocabulary do the public CLIP models have?
//!
//! The tokens follow from the merges: all bytes, all bytes at the end of a word, the result of each
//! merge, and the two special tokens. Therefore preheat carries only the merges: the first 48,894
//! of `bpe_simple_vocab_16e6.txt`, which are the ones that CLIP uses. The file is from the package
//! `open-clip-torch` 3.3.0 (MIT licence, `clip_merges.LICENSE`), which took it from OpenAI's CLIP
//! (MIT licence). It is compressed by zstd.

use std::path::PathBuf;

use super::TokenizerError;
use super::clip::END_OF_WORD;
use super::files::{Vocabulary, pair};

static MERGES: &[u8] = include_bytes!("clip_merges.txt.zst");

/// The name of the vocabulary in messages.
const NAME: &str = "the vocabulary that preheat carries";

/// The special tokens, which are the last two of the vocabulary.
const SPECIAL: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];

/// The vocabulary, with its merges.
pub(super) fn vocabulary() -> Result<Vocabulary, TokenizerError> {
    let path = PathBuf::from(NAME);
    let text = zstd::decode_all(MERGES)
        .map_err(|source| TokenizerError::Io { path: path.clone(), source })?;
    let text = String::from_utf8_lossy(&text);
    let merges: Vec<(String, String)> = text.lines().filter_map(pair).collect();
    let bytes = byte_letters().map(String::from);
    let ends = bytes.clone().map(|letter| format!("{letter}{END_OF_WORD}"));
    let joined = merges.iter().map(|(left, right)| format!("{left}{right}"));
    let all = bytes.chain(ends).chain(joined).chain(SPECIAL.map(str::to_owned));
    Ok(Vocabulary { path, words: all.zip(0..).collect(), merges })
}

/// The letter that each byte is written as, in the order of the vocabulary. The bytes that are
/// printable letters of Latin-1 come first and are written as themselves. All others follow, as
/// letters from U+0100 on.
fn byte_letters() -> impl Iterator<Item = char> + Clone {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let others = (0..=255).filter(move |byte| !printable(byte)).count();
    let others = ('\u{100}'..).take(others);
    (0..=255_u8).filter(printable).map(char::from).chain(others)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_vocabulary_has_the_size_and_the_special_tokens_of_clip() {
        let Vocabulary { words, merges, .. } = vocabulary().unwrap();
        assert_eq!((words.len(), merges.len()), (49_408, 48_894), "no token is there twice");
        let ids: HashSet<u32> = words.values().copied().collect();
        assert_eq!(ids.len(), words.len());
        assert_eq!((words[SPECIAL[0]], words[SPECIAL[1]], words["!"]), (49_406, 49_407, 0));
        assert_eq!(words["a</w>"], 320);
    }
}
