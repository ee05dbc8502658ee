//! How does the AUTOMATIC1111 web UI read a prompt?
//!
//! The grammar is that of `parse_prompt_attention` in its `modules/prompt_parser.py`: `(x)`
//! multiplies the weight of `x` by 1.1 and `[x]` divides it by 1.1; `(x:1.3)` multiplies it by 1.3;
//! `\` takes the next bracket as text; brackets that are not closed last to the end of the prompt,
//! and brackets that were not opened are text. `BREAK` ends a chunk.
//!
//! Two things differ on purpose. `BREAK` within brackets ends a chunk, too: the web UI reads it as
//! a word there, with a negative weight. What changes the prompt during a run is refused:
//! `[x:y:0.5]`, `[x|y]` and `AND` (`get_learned_conditioning_prompt_schedules` and `re_AND`, in the
//! same file). Tags such as `<lora:x:1>` are left out of the text, as `modules/extra_networks.py`
//! does.

use super::error::PromptSyntaxError;
use super::pieces::{MOST_DEPTH, Piece};

/// The factor of round brackets, and the divisor of square ones.
const EMPHASIS: f64 = 1.1;
const BREAK: &str = "BREAK";
const AND: &str = "AND";

/// The weighted pieces of a prompt. Neighbours with the same weight are one piece, because the web
/// UI turns them into tokens together.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, PromptSyntaxError> {
    let text = without_tags(text);
    if words(&text, AND).next().is_some() {
        return Err(PromptSyntaxError::Composition);
    }
    let mut reader = Reader { text: &text, ..Reader::default() };
    let mut at = 0;
    while at < text.len() {
        let (token, length) = Token::first_of(&text[at..]);
        reader.take(token, at, &text[at..at + length])?;
        at += length;
    }
    reader.finish()
}

/// The text without the tags of networks, `<NAME:...>`.
fn without_tags(text: &str) -> String {
    let (mut kept, mut from) = (String::with_capacity(text.len()), 0);
    for (at, _) in text.match_indices('<') {
        if let Some(length) = tag(&text[at..]) {
            kept.push_str(&text[from..at]);
            from = at + length;
        }
    }
    kept.push_str(&text[from..]);
    kept
}

/// The length of the tag at the beginning of a text, in bytes.
fn tag(text: &str) -> Option<usize> {
    let tag = text.split_inclusive('>').next()?;
    let (name, rest) = tag.strip_prefix('<')?.strip_suffix('>')?.split_once(':')?;
    let is_tag = !name.is_empty() && name.chars().all(is_of_a_word) && !rest.is_empty();
    is_tag.then_some(tag.len())
}

fn is_of_a_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The positions at which `word` stands on its own.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        [before, after].into_iter().flatten().all(|letter| !is_of_a_word(letter))
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// A character after a backslash; empty if the backslash is before none that it protects.
    Escaped(&'a str),
    RoundOpens,
    SquareOpens,
    /// The number in `:1.3)`.
    Weight(&'a str),
    RoundCloses,
    SquareCloses,
    Colon,
    Text,
}

impl<'a> Token<'a> {
    /// The token at the beginning of a text that is not empty, and its length in bytes.
    fn first_of(text: &'a str) -> (Self, usize) {
        match text.as_bytes()[0] {
            b'\\' if text[1..].starts_with(['(', ')', '[', ']', '\\']) => {
                (Self::Escaped(&text[1..2]), 2)
            }
            b'\\' => (Self::Escaped(""), 1),
            b'(' => (Self::RoundOpens, 1),
            b'[' => (Self::SquareOpens, 1),
            b')' => (Self::RoundCloses, 1),
            b']' => (Self::SquareCloses, 1),
            b':' => Self::weight(text).unwrap_or((Self::Colon, 1)),
            _ => (Self::Text, text.find(['\\', '(', ')', '[', ']', ':']).unwrap_or(text.len())),
        }
    }

    /// The weight that closes a round bracket, at the beginning of a text.
    fn weight(text: &'a str) -> Option<(Self, usize)> {
        let number = text.strip_prefix(':')?.trim_start();
        let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
        let rest = unsigned.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        if rest.len() == unsigned.len() {
            return None;
        }
        let after = rest.trim_start().strip_prefix(')')?;
        Some((Self::Weight(&number[..number.len() - rest.len()]), text.len() - after.len()))
    }
}

/// A bracket that is open, to tell schedules from emphasis.
struct Open {
    is_square: bool,
    at: usize,
    /// Whether a bar stands directly in it.
    has_bar: bool,
    /// The position after the last colon directly in it.
    after_colon: Option<usize>,
}

#[derive(Default)]
struct Reader<'a> {
    text: &'a str,
    /// Each part with its weight; `None` for the end of a chunk.
    parts: Vec<(Option<&'a str>, f64)>,
    /// The number of parts before each open bracket, for round and for square brackets.
    round: Vec<usize>,
    square: Vec<usize>,
    open: Vec<Open>,
}

impl<'a> Reader<'a> {
    /// Takes the token that stands at `at` and is written as `written`.
    fn take(
        &mut self,
        token: Token<'_>,
        at: usize,
        written: &'a str,
    ) -> Result<(), PromptSyntaxError> {
        match token {
            Token::Escaped(letter) => {
                self.parts.push((Some(&written[written.len() - letter.len()..]), 1.0));
            }
            Token::RoundOpens | Token::SquareOpens => {
                let is_square = token == Token::SquareOpens;
                self.open(is_square, at)?;
            }
            Token::Weight(number) if !self.round.is_empty() => {
                let weight = number.parse::<f64>().ok().filter(|weight| weight.is_finite());
                let wrong = || PromptSyntaxError::Weight { written: number.to_owned() };
                self.close(false, weight.ok_or_else(wrong)?);
            }
            Token::RoundCloses if !self.round.is_empty() => self.close(false, EMPHASIS),
            Token::SquareCloses if !self.square.is_empty() => {
                self.refuse_a_schedule(at)?;
                self.close(true, EMPHASIS.recip());
            }
            _ => self.add(at, written),
        }
        Ok(())
    }

    fn open(&mut self, is_square: bool, at: usize) -> Result<(), PromptSyntaxError> {
        if self.round.len() + self.square.len() == MOST_DEPTH {
            return Err(PromptSyntaxError::TooDeep { most: MOST_DEPTH });
        }
        let before = self.parts.len();
        if is_square {
            self.square.push(before);
        } else {
            self.round.push(before);
        }
        self.open.push(Open { is_square, at, has_bar: false, after_colon: None });
        Ok(())
    }

    fn close(&mut self, is_square: bool, factor: f64) {
        let opened = if is_square { self.square.pop() } else { self.round.pop() };
        self.multiply(opened.unwrap_or(self.parts.len()), factor);
        self.open.pop_if(|open| open.is_square == is_square);
    }

    fn multiply(&mut self, from: usize, factor: f64) {
        for (_, weight) in &mut self.parts[from..] {
            *weight *= factor;
        }
    }

    fn add(&mut self, at: usize, written: &'a str) {
        if let Some(open) = self.open.last_mut() {
            open.has_bar |= written.contains('|');
            if written == ":" {
                open.after_colon = Some(at + 1);
            }
        }
        let mut rest = 0;
        for found in words(written, BREAK) {
            self.parts.push((Some(written[rest..found].trim_end()), 1.0));
            self.parts.push((None, 1.0));
            let after = found + BREAK.len();
            rest = written.len() - written[after..].trim_start().len();
        }
        self.parts.push((Some(written.get(rest..).unwrap_or_default()), 1.0));
    }

    /// Refuses the square bracket that is closed at `at`, if it is a schedule or an alternation.
    fn refuse_a_schedule(&self, at: usize) -> Result<(), PromptSyntaxError> {
        let Some(open) = self.open.last().filter(|open| open.is_square) else { return Ok(()) };
        let written = || self.text[open.at..=at].to_owned();
        if open.has_bar {
            return Err(PromptSyntaxError::Alternation { written: written() });
        }
        let when = open.after_colon.map(|from| self.text[from..at].trim());
        let is_number = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
                && text.parse::<f64>().is_ok()
        };
        if when.is_some_and(is_number) {
            return Err(PromptSyntaxError::Schedule { written: written() });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Piece>, PromptSyntaxError> {
        for from in std::mem::take(&mut self.round) {
            self.multiply(from, EMPHASIS);
        }
        for from in std::mem::take(&mut self.square) {
            self.multiply(from, EMPHASIS.recip());
        }
        let mut merged: Vec<(Option<String>, f64)> = Vec::new();
        for (part, weight) in self.parts {
            match (part, merged.last_mut()) {
                (Some(text), Some((Some(last), of_last)))
                    if of_last.to_bits() == weight.to_bits() =>
                {
                    last.push_str(text);
                }
                (part, _) => merged.push((part.map(str::to_owned), weight)),
            }
        }
        let piece = |(text, weight)| match text {
            Some(text) => Piece::text(text, weight),
            None => Ok(Piece::Break),
        };
        merged.into_iter().map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces as texts and weights; `BREAK` for the end of a chunk.
    fn read(text: &str) -> Vec<(String, f32)> {
        let pieces = pieces(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let told = pieces.into_iter().map(|piece| match piece {
            Piece::Text { text, weight } => (text, weight),
            Piece::Break => ("BREAK".to_owned(), f32::NEG_INFINITY),
        });
        told.collect()
    }

    #[track_caller]
    fn assert_reads(text: &str, wanted: &[(&str, f32)]) {
        let read = read(text);
        let read: Vec<(&str, f32)> =
            read.iter().map(|(text, weight)| (text.as_str(), *weight)).collect();
        assert_eq!(read, wanted, "{text}");
    }

    #[test]
    fn the_examples_of_the_web_ui_read_as_there() {
        assert_reads("normal text", &[("normal text", 1.0)]);
        assert_reads("an (important) word", &[("an ", 1.0), ("important", 1.1), (" word", 1.0)]);
        assert_reads("(unbalanced", &[("unbalanced", 1.1)]);
        assert_reads(r"\(literal\]", &[("(literal]", 1.0)]);
        assert_reads("(unnecessary)(parens)", &[("unnecessaryparens", 1.1)]);
        assert_reads(
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            &[
                ("a ", 1.0),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        );
    }

    #[test]
    fn weights_are_read_with_spaces_and_signs_and_only_before_a_closing_bracket() {
        assert_reads("(cat : 1.5 )", &[("cat ", 1.5)]);
        assert_reads("(cat:-.5)", &[("cat", -0.5)]);
        assert_reads("(cat:1.5 dog)", &[("cat:1.5 dog", 1.1)]);
        assert_reads("cat:1.5)", &[("cat:1.5)", 1.0)]);
        assert_reads("cat] dog)", &[("cat] dog)", 1.0)]);
        assert_reads(r"a \ b \\", &[(r"a  b \", 1.0)]);
        assert_reads("[cat: dog]", &[("cat: dog", 0.909_090_94)]);
        assert!(read("").is_empty());
    }

    #[test]
    fn a_break_ends_a_chunk_wherever_it_stands_on_its_own() {
        let end = ("BREAK", f32::NEG_INFINITY);
        assert_reads("a cat BREAK\n a dog", &[("a cat", 1.0), end, ("a dog", 1.0)]);
        assert_reads("(cat BREAK dog:1.5)", &[("cat", 1.5), end, ("dog", 1.5)]);
        assert_reads("BREAK", &[("", 1.0), end, ("", 1.0)]);
        assert_reads("BREAKS DAYBREAK BREAK_", &[("BREAKS DAYBREAK BREAK_", 1.0)]);
    }

    #[test]
    fn what_changes_the_prompt_during_a_run_is_refused_in_words() {
        let refused = |text: &str| pieces(text).unwrap_err().to_string();
        for text in ["[cat:dog:0.5]", "[cat:10]", "[cat::.5]", "[(cat:1.2):3]", "[a:[b:c:2]:1]"] {
            assert!(refused(text).contains("would change the prompt between steps"), "{text}");
        }
        assert!(refused("a [cat:dog:0.5] b").starts_with("\"[cat:dog:0.5]\" would"));
        for text in ["[cat|dog]", "[a|(b:1.1)]", "x [a | b | c]"] {
            assert!(refused(text).contains("would change the prompt at every step"), "{text}");
        }
        assert!(refused("a cat AND a dog").contains("`AND` would run the denoiser once for each"));
        for text in ["[cat", "a | b", "(a|b)", r"\[cat:dog:0.5\]", "BRAND AND_", "[a:b]"] {
            assert!(pieces(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn wrong_weights_and_deep_brackets_are_refused() {
        let refused = |text: &str| pieces(text).unwrap_err();
        assert_eq!(
            refused("(cat:1.2.3)").to_string(),
            "the weight \"1.2.3\" is not a number that a token can be weighed with"
        );
        let large = format!("(cat:{})", "9".repeat(60));
        assert!(matches!(refused(&large), PromptSyntaxError::Weight { .. }));
        let deep = "(".repeat(MOST_DEPTH + 1);
        assert_eq!(refused(&deep), PromptSyntaxError::TooDeep { most: MOST_DEPTH });
        assert!(pieces(&"(".repeat(MOST_DEPTH)).is_ok());
        assert!(pieces(&"(a)".repeat(1000)).is_ok());
    }

    #[test]
    fn tags_of_networks_are_left_out() {
        assert_reads("a fox <lora:style:0.8>, red", &[("a fox , red", 1.0)]);
        assert_reads("a <3 b <lora:> <x y:z>", &[("a <3 b <lora:> <x y:z>", 1.0)]);
        assert_eq!(without_tags("<lora:a:1>x<lora:a:1> <hypernet:b>y<"), "x y<");
    }
}
