//! How is untrusted text shown? The names of files and folders are untrusted, and so is everything
//! that records, archives and programs contain.
//!
//! A control character can move a terminal's cursor or begin a command to the terminal, and a mark
//! of writing direction can make text look like another text. Both are shown in escaped form, as
//! `\u{1b}` or `\n`. JSON, which programs read, gets JSON's own escapes (`\u001b`) from its writer,
//! so that its meaning does not change.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// Whether the character may be sent to a terminal unchanged.
pub fn is_printable(character: char) -> bool {
    let directs = matches!(character, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let ends_a_line = matches!(character, '\u{2028}'..='\u{2029}');
    character == '\t' || !(character.is_control() || directs || ends_a_line)
}

/// A text on one line; a line break in it is shown as `\n`.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_printable) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_printable(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_default());
        }
    }
    shown.into()
}

/// A text of several lines. All lines but the first are indented, so that none looks like a
/// separate message.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    if !text.contains('\n') {
        return printable(text);
    }
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n  ").into()
}

/// The beginning of a text that may be long.
pub fn beginning(text: &str, most_characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most_characters) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}

/// A long text without its middle: a message names what failed at its beginning, and the place at
/// its end.
pub fn without_middle(text: &str, most_characters: usize) -> Cow<'_, str> {
    let characters = text.chars().count();
    if characters <= most_characters {
        return text.into();
    }
    let ending = text.chars().skip(characters - most_characters / 2).collect::<String>();
    format!("{}{ending}", beginning(text, most_characters / 2)).into()
}

/// A path for JSON, which can contain only Unicode: everything else in the path becomes U+FFFD.
pub fn path_as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    path.to_string_lossy().serialize(serializer)
}

/// Like [`path_as_text`], for a path that may be absent.
pub fn optional_path_as_text<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

/// Like [`path_as_text`], for several paths.
pub fn paths_as_text<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// A number of bytes with a unit: `512.0 MiB`, `23.6 GiB`.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub fn byte_count(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 {
        format!("{mebibytes:.1} MiB")
    } else {
        format!("{:.1} GiB", mebibytes / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown_as_what_it_is() {
        for plain in ["", "ein Fuchs, größer\t図", "👩\u{200d}🔬"] {
            assert_eq!(printable(plain), plain);
        }
        assert_eq!(
            printable("\u{1b}[2J\r\u{7f}\u{9b}a\u{202e}b\u{2066}"),
            "\\u{1b}[2J\\r\\u{7f}\\u{9b}a\\u{202e}b\\u{2066}"
        );
        assert_eq!(printable("a\nhint: b"), "a\\nhint: b");
        assert_eq!(printable_lines("a\u{7}\nhint: b"), "a\\u{7}\n  hint: b");
        assert_eq!(beginning("größer", 3), "grö...");
        assert_eq!(beginning("größer", 6), "größer");
        assert_eq!(without_middle("größer", 6), "größer");
        assert_eq!(without_middle("größer", 4), "gr...er");
    }
}
