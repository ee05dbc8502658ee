//! Where does a chunk of a long prompt end?
//!
//! A chunk has as many tokens as the text encoder reads, usually 77: the begin token, up to 75
//! tokens of text, the end token and padding. The web UI and ComfyUI fill a chunk by different
//! rules, so the same prompt can give different chunks.

use super::pieces::Piece;
use crate::pipeline::tokenizer::{Tokenizer, TokenizerError};

/// How far back the web UI looks for a comma, after which it ends a full chunk
/// (`comma_padding_backtrack` in its `modules/shared_options.py`).
const COMMA_BACKTRACK: usize = 20;
/// From this number of tokens on, ComfyUI splits what has one weight between two chunks
/// (`max_word_length` in its `comfy/sd1_clip.py`).
const LONG_WORD: usize = 8;

/// A token of a text, and its weight.
type Weighted = (i32, f32);

/// What a text encoder reads at once.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::pipeline) struct Chunk {
    /// The begin token, the tokens of the text, the end token and padding.
    pub(in crate::pipeline) ids: Vec<i32>,
    /// The weight of each of these tokens. Tokens that are not of the text have the weight 1.
    pub(in crate::pipeline) weights: Vec<f32>,
}

impl Chunk {
    /// A chunk in which every token has the weight 1.
    pub(super) fn of_ids(ids: Vec<i32>) -> Self {
        let weights = vec![1.0; ids.len()];
        Self { ids, weights }
    }

    /// The chunk of the empty prompt.
    pub(in crate::pipeline) fn empty(tokenizer: &Tokenizer) -> Self {
        Self::of_ids(tokenizer.framed(&[]))
    }

    fn of(tokens: &[Weighted], tokenizer: &Tokenizer) -> Self {
        let ids: Vec<i32> = tokens.iter().map(|(id, _)| *id).collect();
        let mut chunk = Self::of_ids(tokenizer.framed(&ids));
        for (place, (_, weight)) in chunk.weights.iter_mut().skip(1).zip(tokens) {
            *place = *weight;
        }
        chunk
    }

    /// Whether a token has another weight than 1.
    pub(in crate::pipeline) fn is_weighted(&self) -> bool {
        self.weights.iter().any(|weight| weight.to_bits() != 1.0_f32.to_bits())
    }
}

/// Fills chunks as the web UI does (`tokenize_line` in its `modules/sd_hijack_clip.py`): a chunk
/// that is full ends after its last comma, if that is at most 20 tokens back.
pub(super) fn as_a1111(
    pieces: &[Piece],
    tokenizer: &Tokenizer,
) -> Result<Vec<Chunk>, TokenizerError> {
    let mut filling = Filling { room: tokenizer.room(), ..Filling::default() };
    let comma = tokenizer.comma();
    for piece in pieces {
        match piece {
            Piece::Break => filling.end(),
            Piece::Text { text, weight } => {
                for id in tokenizer.tokens(text)? {
                    filling.add_after_commas((id, *weight), Some(id) == comma);
                }
            }
        }
    }
    Ok(filling.chunks(tokenizer))
}

/// Fills chunks as ComfyUI does (`tokenize_with_weights` in its `comfy/sd1_clip.py`): text that has
/// one weight and fewer than 8 tokens is not split.
pub(super) fn as_comfy(
    pieces: &[Piece],
    tokenizer: &Tokenizer,
) -> Result<Vec<Chunk>, TokenizerError> {
    let mut filling = Filling { room: tokenizer.room(), ..Filling::default() };
    for piece in pieces {
        match piece {
            Piece::Break => filling.end(),
            Piece::Text { text, weight } => {
                let ids = tokenizer.tokens(text)?;
                filling.add_words(ids.into_iter().map(|id| (id, *weight)).collect());
            }
        }
    }
    Ok(filling.chunks(tokenizer))
}

/// Chunks that are being filled.
#[derive(Default)]
struct Filling {
    /// How many tokens of text a chunk has room for.
    room: usize,
    done: Vec<Vec<Weighted>>,
    chunk: Vec<Weighted>,
    /// The position of the last comma in the chunk, as far as it counts.
    last_comma: Option<usize>,
}

impl Filling {
    fn end(&mut self) {
        self.done.push(std::mem::take(&mut self.chunk));
        self.last_comma = None;
    }

    fn add_after_commas(&mut self, token: Weighted, is_comma: bool) {
        let is_full = self.chunk.len() >= self.room;
        if is_comma {
            self.last_comma = Some(self.chunk.len());
        } else if let Some(comma) = self.last_comma.filter(|_| is_full)
            && self.chunk.len() - comma <= COMMA_BACKTRACK
        {
            let moved = self.chunk.split_off(comma + 1);
            self.end();
            self.chunk = moved;
        }
        if self.chunk.len() >= self.room {
            self.end();
        }
        self.chunk.push(token);
    }

    fn add_words(&mut self, mut words: Vec<Weighted>) {
        let is_long = words.len() >= LONG_WORD || words.len() > self.room;
        while self.chunk.len() + words.len() > self.room {
            let fits = self.room.saturating_sub(self.chunk.len());
            if is_long {
                self.chunk.extend(words.drain(..fits));
            }
            self.end();
        }
        self.chunk.append(&mut words);
    }

    /// The chunks. A break at the end of a text begins no other chunk.
    fn chunks(mut self, tokenizer: &Tokenizer) -> Vec<Chunk> {
        if !self.chunk.is_empty() || self.done.is_empty() {
            self.end();
        }
        self.done.iter().map(|tokens| Chunk::of(tokens, tokenizer)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filling(room: usize) -> Filling {
        Filling { room, ..Filling::default() }
    }

    fn lengths(filling: &Filling) -> Vec<usize> {
        filling.done.iter().chain([&filling.chunk]).map(Vec::len).collect()
    }

    fn fill_with_commas(room: usize, commas: &[usize], tokens: usize) -> Vec<usize> {
        let mut filling = filling(room);
        for at in 0..tokens {
            filling.add_after_commas((0, 1.0), commas.contains(&at));
        }
        lengths(&filling)
    }

    #[test]
    fn a_full_chunk_of_the_web_ui_ends_after_a_comma_that_is_near() {
        assert_eq!(fill_with_commas(75, &[], 80), [75, 5]);
        assert_eq!(fill_with_commas(75, &[70], 80), [71, 9]);
        // 20 tokens back counts, 21 does not.
        assert_eq!(fill_with_commas(75, &[55], 80), [56, 24]);
        assert_eq!(fill_with_commas(75, &[54], 80), [75, 5]);
        // A comma that does not fit any more begins the next chunk, and counts in neither.
        assert_eq!(fill_with_commas(75, &[70, 75], 80), [75, 5]);
        assert_eq!(fill_with_commas(75, &[74], 80), [75, 5]);
        assert_eq!(fill_with_commas(75, &[], 75), [75]);
    }

    fn fill_with_words(room: usize, words: &[usize]) -> Vec<usize> {
        let mut filling = filling(room);
        for length in words {
            filling.add_words(vec![(0, 1.0); *length]);
        }
        lengths(&filling)
    }

    #[test]
    fn comfyui_splits_only_what_has_eight_tokens() {
        assert_eq!(fill_with_words(75, &[70, 7]), [70, 7]);
        assert_eq!(fill_with_words(75, &[70, 8]), [75, 3]);
        assert_eq!(fill_with_words(75, &[70, 5]), [75]);
        assert_eq!(fill_with_words(75, &[200]), [75, 75, 50]);
        assert_eq!(fill_with_words(75, &[75, 8]), [75, 8]);
        // A text encoder for shorter prompts than a word.
        assert_eq!(fill_with_words(3, &[2, 5]), [3, 3, 1]);
    }

    #[test]
    fn a_break_ends_a_chunk_and_begins_none_at_the_end() {
        let mut filling = filling(75);
        filling.add_after_commas((7, 1.0), false);
        filling.end();
        assert_eq!(lengths(&filling), [1, 0]);
        let tokenizer = crate::pipeline::test_model::demo();
        let tokenizer = &tokenizer.tokenizers().unwrap()[0];
        assert_eq!(filling.chunks(tokenizer).len(), 1);
        assert_eq!(Filling::default().chunks(tokenizer), [Chunk::empty(tokenizer)]);
    }

    #[test]
    fn only_tokens_of_the_text_have_weights() {
        let model = crate::pipeline::test_model::demo();
        let tokenizer = &model.tokenizers().unwrap()[0];
        let chunk = Chunk::of(&[(5, 1.5), (6, 1.0)], tokenizer);
        assert_eq!(chunk.ids.len(), tokenizer.max_length());
        assert_eq!(chunk.ids[1..3], [5, 6]);
        let others = chunk.weights.iter().enumerate().filter(|(at, _)| *at != 1);
        assert!(others.clone().all(|(_, weight)| weight.to_bits() == 1.0_f32.to_bits()));
        assert_eq!(chunk.weights[1].to_bits(), 1.5_f32.to_bits());
        assert!(chunk.is_weighted() && !Chunk::empty(tokenizer).is_weighted());
    }
}
