//! How does ComfyUI read a prompt?
//!
//! The grammar is that of `token_weights` in its `comfy/sd1_clip.py`: `(x)` multiplies the weight
//! of `x` by 1.1; `(x:1.3)` sets it to 1.3, whatever brackets are around it; `\(` and `\)` are
//! text. A bracket that is not closed is text, and so are square brackets and `BREAK`. If what
//! follows the last colon is not a number, the colon is text, too.

use super::error::PromptSyntaxError;
use super::pieces::{MOST_DEPTH, Piece};

/// The factor of brackets without a number.
const EMPHASIS: f64 = 1.1;

/// The weighted pieces of a prompt.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, PromptSyntaxError> {
    let mut pieces = Vec::new();
    weigh(&marks(text), 1.0, 0, &mut pieces)?;
    Ok(pieces)
}

/// A character of a prompt: a bracket that weighs, or text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Opens,
    Closes,
    Text(char),
}

fn marks(text: &str) -> Vec<Mark> {
    let mut marks = Vec::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        marks.push(match letter {
            '(' => Mark::Opens,
            ')' => Mark::Closes,
            '\\' => Mark::Text(letters.next_if(|next| "()".contains(*next)).unwrap_or('\\')),
            letter => Mark::Text(letter),
        });
    }
    marks
}

/// Adds the pieces of a text whose weight is `weight` outside of its own brackets.
fn weigh(
    marks: &[Mark],
    weight: f64,
    depth: usize,
    pieces: &mut Vec<Piece>,
) -> Result<(), PromptSyntaxError> {
    if depth > MOST_DEPTH {
        return Err(PromptSyntaxError::TooDeep { most: MOST_DEPTH });
    }
    for group in groups(marks) {
        let [Mark::Opens, inner @ .., Mark::Closes] = group else {
            pieces.push(Piece::text(written(group), weight)?);
            continue;
        };
        let colon = inner.iter().rposition(|mark| *mark == Mark::Text(':'));
        let numbered = colon.filter(|at| *at > 0).and_then(|at| {
            let number = written(&inner[at + 1..]).trim().parse().ok()?;
            Some((&inner[..at], number))
        });
        let (inner, weight) = numbered.unwrap_or((inner, weight * EMPHASIS));
        weigh(inner, weight, depth + 1, pieces)?;
    }
    Ok(())
}

/// Splits a text into its outermost brackets and what stands between them.
fn groups(marks: &[Mark]) -> Vec<&[Mark]> {
    let (mut groups, mut from, mut depth) = (Vec::new(), 0, 0_i64);
    for (at, mark) in marks.iter().enumerate() {
        match mark {
            Mark::Opens => {
                if depth == 0 {
                    groups.push(&marks[from..at]);
                    from = at;
                }
                depth += 1;
            }
            Mark::Closes => {
                // A bracket that was not opened makes the depth negative. From there on, ComfyUI
                // takes brackets as text.
                depth -= 1;
                if depth == 0 {
                    groups.push(&marks[from..=at]);
                    from = at + 1;
                }
            }
            Mark::Text(_) => {}
        }
    }
    groups.push(&marks[from..]);
    groups.retain(|group| !group.is_empty());
    groups
}

fn written(marks: &[Mark]) -> String {
    let letter = |mark: &Mark| match mark {
        Mark::Opens => '(',
        Mark::Closes => ')',
        Mark::Text(letter) => *letter,
    };
    marks.iter().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_reads(text: &str, wanted: &[(&str, f32)]) {
        let wanted = wanted
            .iter()
            .map(|(text, weight)| Piece::Text { text: (*text).to_owned(), weight: *weight });
        assert_eq!(pieces(text), Ok(wanted.collect()), "{text}");
    }

    #[test]
    fn brackets_multiply_and_numbers_replace() {
        assert_reads("normal text", &[("normal text", 1.0)]);
        assert_reads("a (cat) b", &[("a ", 1.0), ("cat", 1.1), (" b", 1.0)]);
        assert_reads("((cat))", &[("cat", 1.21)]);
        assert_reads("((cat:1.2) dog:1.5)", &[("cat", 1.2), (" dog", 1.5)]);
        assert_reads("((cat) dog:1.5)", &[("cat", 1.65), (" dog", 1.5)]);
        assert_reads("(a:b: 2 )", &[("a:b", 2.0)]);
        assert_reads("(cat:1e-1)", &[("cat", 0.1)]);
    }

    #[test]
    fn what_is_not_closed_or_not_a_number_is_text() {
        assert_reads("(cat", &[("(cat", 1.0)]);
        assert_reads("cat) (dog)", &[("cat) (dog)", 1.0)]);
        assert_reads("((cat)", &[("(cat", 1.1)]);
        assert_reads("(cat:dog)", &[("cat:dog", 1.1)]);
        assert_reads("(:1.5)", &[(":1.5", 1.1)]);
        assert_reads("(cat:1.5:)", &[("cat:1.5:", 1.1)]);
        assert_reads(r"\(cat\) (a \) b:2)", &[("(cat) ", 1.0), ("a ) b", 2.0)]);
        assert_reads("[cat:dog:0.5] BREAK a AND b", &[("[cat:dog:0.5] BREAK a AND b", 1.0)]);
        assert_reads("()", &[]);
        assert_reads("", &[]);
    }

    #[test]
    fn wrong_weights_and_deep_brackets_are_refused() {
        for weight in ["inf", "-nan", "1e39"] {
            let refused = pieces(&format!("(cat:{weight})")).unwrap_err();
            assert!(matches!(refused, PromptSyntaxError::Weight { .. }), "{weight}: {refused}");
        }
        let deep = |depth| format!("{}cat{}", "(".repeat(depth), ")".repeat(depth));
        assert!(pieces(&deep(MOST_DEPTH)).is_ok());
        let refused = pieces(&deep(MOST_DEPTH + 1)).unwrap_err();
        assert_eq!(refused, PromptSyntaxError::TooDeep { most: MOST_DEPTH });
    }
}
