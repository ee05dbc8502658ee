//! Which parts of a StableHLO text are hashed?
//!
//! Four things are left out: trailing locations (`loc(...)` after an operation or an argument), the
//! lines that name locations (`#loc3 = loc(...)`), the name of the outermost module, and comments.
//! The remaining text is again a program, with the same meaning: a location says where an operation
//! came from, and nothing inside a module refers to the module's own name. So texts with equal
//! remainders are equal programs.
//!
//! The content of strings is never searched. A location in the place of an attribute (`x =
//! loc("a")`, `x = #loc1`) is a value like any other. Such an attribute may use an alias that a
//! `#loc... = loc(...)` line defines, and that line would be left out. So a text with a location as
//! an attribute is hashed whole.

use std::ops::Range;

use memchr::{memchr, memchr2, memchr3, memmem, memrchr};

use super::Sink;

/// Whether a text starts as MLIR does: with a module, a function, or the definition of an alias for
/// an attribute or a type.
pub(super) fn looks_like_mlir(bytes: &[u8]) -> bool {
    const WORDS: [&[u8]; 4] = [b"module", b"builtin.module", b"func.func", b"func"];
    let text = &bytes[skip_trivia(bytes, 0)..];
    let text = text.strip_prefix(b"\"").unwrap_or(text);
    let followed = |word: &[u8]| text.get(word.len()).is_some_and(|next| !is_identifier(*next));
    match text.first() {
        Some(b'#' | b'!') => {
            let name = text[1..].iter().take_while(|byte| is_identifier(**byte)).count();
            name > 0 && text[1 + name..].trim_ascii_start().first() == Some(&b'=')
        }
        _ => WORDS.iter().any(|word| text.starts_with(word) && followed(word)),
    }
}

/// Adds the kept parts of a text to `sink`; returns `None` if the text is not understood.
pub(super) fn hash_normalised(bytes: &[u8], sink: &mut Sink) -> Option<()> {
    // If the module has no name, the range to leave out is empty and lies at the start.
    let name = place_of_module_name(bytes).unwrap_or(0..0);
    let mut scanner = Scanner { bytes, sink, kept_from: 0, at: 0 };
    if memmem::find(bytes, b"loc(").is_none() && memmem::find(bytes, b"//").is_none() {
        scanner.drop_range(name.start, name.end);
    } else {
        scanner.scan(name.start)?;
        scanner.drop_range(name.start, name.end);
        scanner.scan(bytes.len())?;
    }
    scanner.drop_range(bytes.len(), bytes.len());
    Some(())
}

/// The name of the outermost module, without the leading `@` and the quotes.
pub(super) fn module_name(bytes: &[u8]) -> Option<&[u8]> {
    let name = bytes.get(place_of_module_name(bytes)?)?.trim_ascii().strip_prefix(b"@")?;
    let unquoted = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(name))
}

/// The range of ` @name` in `module @name`, if the text starts with a module.
fn place_of_module_name(bytes: &[u8]) -> Option<Range<usize>> {
    let mut at = skip_trivia(bytes, 0);
    while matches!(bytes.get(at), Some(b'#' | b'!')) {
        // The definition of an alias is printed on one line.
        let end = end_of_line(bytes, at);
        if !is_closed(&bytes[at..end]) {
            return None;
        }
        at = skip_trivia(bytes, end);
    }
    let word = [b"module".as_slice(), b"builtin.module"]
        .into_iter()
        .find(|word| bytes[at..].starts_with(word))?;
    let start = at + word.len();
    let name =
        start + bytes[start..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    if name == start || bytes.get(name) != Some(&b'@') {
        return None;
    }
    let end = match bytes.get(name + 1)? {
        b'"' => end_of_string(bytes, name + 1)?,
        _ => name + 1 + bytes[name + 1..].iter().take_while(|byte| is_identifier(**byte)).count(),
    };
    matches!(bytes.get(end), Some(b' ' | b'\t' | b'\n' | b'\r' | b'{')).then_some(start..end)
}

/// Whether a place lies in a comment.
pub(super) fn is_in_comment(bytes: &[u8], place: usize) -> bool {
    surroundings(bytes, place) == Surroundings::Comment
}

/// Whether a place lies neither in a comment nor in a string.
pub(super) fn is_code(bytes: &[u8], place: usize) -> bool {
    surroundings(bytes, place) == Surroundings::Code
}

#[derive(PartialEq)]
enum Surroundings {
    Code,
    String,
    Comment,
}

/// What surrounds a place in the text. Neither strings nor comments go past the end of a line.
fn surroundings(bytes: &[u8], place: usize) -> Surroundings {
    let mut at = memrchr(b'\n', &bytes[..place]).map_or(0, |newline| newline + 1);
    while at < place {
        match memchr2(b'"', b'/', &bytes[at..place]).map(|found| at + found) {
            Some(found) if bytes[found] == b'"' => match end_of_string(bytes, found) {
                Some(end) if end <= place => at = end,
                _ => return Surroundings::String,
            },
            Some(found) if bytes.get(found + 1) == Some(&b'/') => return Surroundings::Comment,
            Some(found) => at = found + 1,
            None => return Surroundings::Code,
        }
    }
    Surroundings::Code
}

/// Whether the word at a place is not part of a longer word.
pub(super) fn is_whole_word(bytes: &[u8], at: usize, length: usize) -> bool {
    let before = at.checked_sub(1).is_none_or(|before| !is_identifier(bytes[before]));
    before && bytes.get(at + length).is_none_or(|after| !is_identifier(*after))
}

/// The text after the equals sign that follows the name at a place. The name may be quoted.
pub(super) fn value(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    let rest = is_whole_word(bytes, at, length).then(|| &bytes[at + length..])?;
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest).trim_ascii_start();
    rest.strip_prefix(b"=").map(<[u8]>::trim_ascii_start)
}

/// The bytes of the string that a text starts with.
pub(super) fn string(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.starts_with(b"\"").then(|| end_of_string(text, 0))??;
    let (mut rest, mut bytes) = (&text[1..end - 1], Vec::new());
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        // An escape is two hexadecimal digits of a byte, or the letter for a backslash, a quote, a
        // new line or a tab.
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &rest[2..];
        } else {
            let (&letter, after) = rest.split_first()?;
            bytes.push(match letter {
                b'n' => b'\n',
                b't' => b'\t',
                letter => letter,
            });
            rest = after;
        }
    }
    Some(bytes)
}

/// The elements of `dense<...>`, an array of 64-bit integers; `None` if the text starts with
/// anything else.
pub(super) fn integers(text: &[u8]) -> Option<Vec<i64>> {
    let content = text.strip_prefix(b"dense<")?;
    let content = &content[..memchr(b'>', content)?];
    if let Some(digits) = content.strip_prefix(b"\"0x") {
        let digits = digits.strip_suffix(b"\"")?;
        let element = |element: &[u8]| {
            let digits = std::str::from_utf8(element).ok().filter(|digits| digits.len() == 16)?;
            u64::from_str_radix(digits, 16).ok().map(|value| value.swap_bytes().cast_signed())
        };
        return digits.chunks(16).map(element).collect();
    }
    let words =
        content.split(|byte| matches!(byte, b'[' | b']' | b',') || byte.is_ascii_whitespace());
    words
        .filter(|word| !word.is_empty())
        .map(|word| std::str::from_utf8(word).ok()?.parse().ok())
        .collect()
}

/// Goes through a text once, and adds the parts that are kept.
struct Scanner<'a> {
    bytes: &'a [u8],
    sink: &'a mut Sink,
    /// Where the current part that is kept starts.
    kept_from: usize,
    /// How far the text was searched.
    at: usize,
}

impl Scanner<'_> {
    /// Ends the current part at `start`, and starts the next one at `end`.
    fn drop_range(&mut self, start: usize, end: usize) {
        self.sink.add(&self.bytes[self.kept_from..start]);
        self.kept_from = end;
        self.at = end;
    }

    /// Searches for parts to leave out, up to `end`.
    fn scan(&mut self, end: usize) -> Option<()> {
        let bytes = self.bytes;
        let named = memmem::Finder::new(b"#loc");
        let mut next_name = None;
        while self.at < end {
            if next_name.is_none_or(|next| next < self.at) {
                next_name =
                    Some(named.find(&bytes[self.at..end]).map_or(end, |found| self.at + found));
            }
            let name = next_name.unwrap_or(end);
            let Some(found) = memchr3(b'"', b'/', b'(', &bytes[self.at..name]) else {
                if name < end {
                    self.location_name(name)?;
                    continue;
                }
                break;
            };
            let found = self.at + found;
            match bytes[found] {
                b'"' => self.at = end_of_string(bytes, found)?,
                b'/' if bytes.get(found + 1) == Some(&b'/') => {
                    self.drop_range(trimmed(bytes, found), end_of_line(bytes, found));
                }
                b'(' => self.parenthesis(found)?,
                _ => self.at = found + 1,
            }
        }
        Some(())
    }

    /// Leaves a location out, if this parenthesis belongs to one.
    fn parenthesis(&mut self, open: usize) -> Option<()> {
        self.at = open + 1;
        let bytes = self.bytes;
        let Some(word) = open.checked_sub(3).filter(|word| &bytes[*word..open] == b"loc") else {
            return Some(());
        };
        let before = word.checked_sub(1).map(|at| bytes[at]);
        if before.is_some_and(|byte| {
            is_identifier(byte) || matches!(byte, b'@' | b'%' | b'#' | b'!' | b'^')
        }) {
            return Some(());
        }
        // A trailing location follows a type, a bracket or a name, with a space between them.
        // Anywhere else, a location is an attribute.
        let previous = bytes[self.kept_from..word].trim_ascii_end().last()?;
        let trailing = is_identifier(*previous)
            || matches!(previous, b')' | b'}' | b']' | b'>' | b'"' | b'*' | b'?');
        if !trailing || !before.is_some_and(|byte| byte.is_ascii_whitespace()) {
            return None;
        }
        let end = end_of_location(bytes, open)?;
        let next = bytes.get(end).copied().unwrap_or(b'\n');
        if !(next.is_ascii_whitespace() || matches!(next, b',' | b')' | b'}' | b'{' | b']')) {
            return None;
        }
        self.drop_range(trimmed(bytes, word), end);
        Some(())
    }

    /// Leaves the line `#loc3 = loc(...)` out. `None` if a location's name is used as an
    /// attribute.
    fn location_name(&mut self, start: usize) -> Option<()> {
        let bytes = self.bytes;
        let digits =
            start + 4 + bytes[start + 4..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if bytes.get(digits).is_some_and(|byte| is_identifier(*byte)) {
            // This is another attribute, such as `#local`.
            self.at = start + 4;
            return Some(());
        }
        let starts_line = start == 0 || bytes[start - 1] == b'\n';
        let after = bytes[digits..].strip_prefix(b" = loc(").filter(|_| starts_line)?;
        let end = end_of_location(bytes, bytes.len() - after.len() - 1)?;
        let next_line = end_of_line(bytes, end);
        if !bytes[end..next_line].trim_ascii().is_empty() {
            return None;
        }
        self.drop_range(start, (next_line + 1).min(bytes.len()));
        Some(())
    }
}

/// Whether every bracket and string that opens in a line also closes in it.
fn is_closed(line: &[u8]) -> bool {
    let (mut at, mut depth) = (0, 0_i64);
    while let Some(byte) = line.get(at) {
        match byte {
            b'"' => match end_of_string(line, at) {
                Some(end) => at = end - 1,
                None => return false,
            },
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' if line[..at].ends_with(b"-") => {}
            b'>' | b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    depth == 0
}

/// The end of the string that opens at `open`.
fn end_of_string(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The end of the location whose parenthesis opens at `open`.
fn end_of_location(bytes: &[u8], open: usize) -> Option<usize> {
    let (mut at, mut depth) = (open, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => at = end_of_string(bytes, at)? - 1,
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(at + 1),
            b')' => depth -= 1,
            // A comment could contain anything, even parentheses.
            b'/' if bytes.get(at + 1) == Some(&b'/') => return None,
            _ => {}
        }
        at += 1;
    }
}

fn end_of_line(bytes: &[u8], at: usize) -> usize {
    memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |found| at + found)
}

/// The start of the blanks before `at`.
fn trimmed(bytes: &[u8], at: usize) -> usize {
    at - bytes[..at].iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// Skips whitespace and comments.
fn skip_trivia(bytes: &[u8], mut at: usize) -> usize {
    loop {
        at += bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if !bytes[at..].starts_with(b"//") {
            return at;
        }
        at = end_of_line(bytes, at);
    }
}

/// Whether a byte can be part of an identifier; dots count as part of it.
fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.' | b'-')
}
