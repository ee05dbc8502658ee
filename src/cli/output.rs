//! Results on standard output: a table or lines for a person, one JSON document for a program; and
//! those that go to a file.

use std::io::{self, ErrorKind, Stdout, Write};
use std::path::Path;
use std::sync::OnceLock;

use comfy_table::{ContentArrangement, Table, presets};
use preheat_io::printable::{is_printable, printable, printable_lines};
use preheat_io::result_file::{self, Existing};
use serde::Serialize;

use super::CliError;

/// Set where standard output is a result's alone: lines for a person go to standard error then, or
/// nowhere.
static LINES: OnceLock<Lines> = OnceLock::new();

/// Where lines for a person go, if not to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    StandardError,
    Nowhere,
}

/// Leaves standard output to a result: lines for a person go to standard error from now on, or
/// nowhere where `quiet`.
pub(super) fn leave_standard_output(quiet: bool) {
    // The first to say so has said it for this process.
    let _ = LINES.set(if quiet { Lines::Nowhere } else { Lines::StandardError });
}

/// Writes one JSON document to standard output.
pub(super) fn document(value: &impl Serialize) -> Result<(), CliError> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| CliError::Output(error.into()))?;
    written(writeln!(io::stdout().lock(), "{}", escaped_json(&text)))
}

/// The same document without characters that act on a terminal. They stand in strings alone:
/// `\u001b` is the same string.
fn escaped_json(text: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) || character == '\n' {
            escaped.push(character);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        }
    }
    escaped
}

/// Writes `text` and a line's end for a person; see [`printable_lines`].
pub(super) fn line(text: &str) -> Result<(), CliError> {
    let text = printable_lines(text);
    written(match LINES.get() {
        None => writeln!(io::stdout().lock(), "{text}"),
        Some(Lines::StandardError) => writeln!(io::stderr().lock(), "{text}"),
        Some(Lines::Nowhere) => Ok(()),
    })
}

/// A reader that has gone away, such as `head`, is no failure.
fn written(result: io::Result<()>) -> Result<(), CliError> {
    match result.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(()),
    }
}

/// A table without lines, as wide as the terminal allows. Its cells have one line each.
pub(super) struct Rows(Table);

/// A table with these headings.
pub(super) fn table(header: &[&str]) -> Rows {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|cell| printable(cell)));
    Rows(table)
}

impl Rows {
    pub(super) fn add_row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.0.add_row(cells.into_iter().map(|cell| printable(cell.as_ref()).into_owned()));
    }

    pub(super) fn print(&self) -> Result<(), CliError> {
        self.0.to_string().lines().try_for_each(line)
    }
}

/// Whether a result is to go to standard output: `-`, or what the system calls it.
pub(super) fn is_standard_output(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

/// Where the result of a command goes.
pub(super) enum Destination {
    StandardOutput(Stdout),
    File(result_file::Output),
}

impl Destination {
    pub(super) fn create(path: &Path, existing: Existing) -> io::Result<Self> {
        if is_standard_output(path) {
            return Ok(Self::StandardOutput(io::stdout()));
        }
        result_file::Output::create(path, existing).map(Self::File)
    }

    /// Lets the file appear.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::StandardOutput(mut out) => out.flush(),
            Self::File(file) => file.finish(),
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::StandardOutput(out) => out.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::StandardOutput(out) => out.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

/// Writes a result that is all there.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut to = Destination::create(path, Existing::Replace)?;
    to.write_all(bytes)?;
    to.finish()
}

/// Says, before any work is done, why a result could not be written to `path`.
pub(super) fn check(path: &Path, existing: Existing) -> io::Result<()> {
    if is_standard_output(path) { Ok(()) } else { result_file::check_writable(path, existing) }
}

/// Seconds as a person reads them.
pub(super) fn seconds(value: f64) -> String {
    match value {
        v if v >= 3600.0 => format!("{:.1} h", v / 3600.0),
        v if v >= 100.0 => format!("{:.1} min", v / 60.0),
        v if v >= 1.0 => format!("{v:.1} s"),
        v => format!("{:.0} ms", v * 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_what_acts_on_a_terminal() {
        let value = serde_json::json!({"a\u{9b}": ["größer \u{202e}\u{7f}", "\n\u{1b}"]});
        let text = escaped_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(
            text.chars().all(|character| is_printable(character) || character == '\n'),
            "{text:?}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
