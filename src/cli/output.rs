//! How are results written? To standard output as lines or tables for a person, or as one JSON
//! document for a program; or to a file that a flag names.

use std::io::{self, ErrorKind, Stdout, Write};
use std::path::Path;
use std::sync::OnceLock;

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::HumanBytes;
use preheat_io::printable::{is_printable, printable, printable_lines};
use preheat_io::result_file::{self, Existing};
use preheat_runtime::StageReport;
use serde::Serialize;

use super::CliError;

/// Set if standard output is reserved for a result. Lines for a person then go to standard error,
/// or are not printed.
static LINES: OnceLock<Lines> = OnceLock::new();

/// Where lines for a person go if they do not go to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    StandardError,
    Nowhere,
}

/// Reserves standard output for a result. From now on lines for a person go to standard error, or,
/// if `quiet` is set, are not printed.
pub(super) fn leave_standard_output(quiet: bool) {
    // The first call decides for the whole process.
    let _ = LINES.set(if quiet { Lines::Nowhere } else { Lines::StandardError });
}

/// Writes one JSON document to standard output.
pub(super) fn document(value: &impl Serialize) -> Result<(), CliError> {
    written(writeln!(io::stdout().lock(), "{}", json_text(value, true)?))
}

/// A JSON document as text: `pretty`, or on one line.
pub(super) fn json_text(value: &impl Serialize, pretty: bool) -> Result<String, CliError> {
    let text =
        if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    Ok(escaped_json(&text.map_err(|error| CliError::Output(error.into()))?))
}

/// The same document without characters that control a terminal. Such characters occur only inside
/// JSON strings, where an escape such as `\u001b` means the same.
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

/// Prints a text for a person, and ends the line. [`printable_lines`] first replaces characters
/// that would control the terminal.
pub(super) fn line(text: &str) -> Result<(), CliError> {
    let text = printable_lines(text);
    written(match LINES.get() {
        None => writeln!(io::stdout().lock(), "{text}"),
        Some(Lines::StandardError) => writeln!(io::stderr().lock(), "{text}"),
        Some(Lines::Nowhere) => Ok(()),
    })
}

/// The outcome of writing to standard output. A reader that has closed the pipe, such as `head`, is
/// no failure.
fn written(result: io::Result<()>) -> Result<(), CliError> {
    match result.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(()),
    }
}

/// A table without ruled lines, as wide as the terminal allows. Each cell holds one line of text.
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

    /// The table as text; each line ends with a line break.
    pub(super) fn text(&self) -> String {
        self.0.to_string().lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
    }

    pub(super) fn print(&self) -> Result<(), CliError> {
        self.0.to_string().lines().try_for_each(line)
    }
}

/// Whether a path means standard output: `-`, or one of the system's names for it.
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

    /// Completes the result: a regular file appears under its name only now.
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

/// Writes a complete result.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut to = Destination::create(path, Existing::Replace)?;
    to.write_all(bytes)?;
    to.finish()
}

/// Returns an error, before any work is done, if a result could not be written to `path`.
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

/// A number of entries of the cache, as text.
pub(super) fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

/// A number of objects of the cache, as text.
pub(super) fn objects(count: u64) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}

/// The peak memory of the compile; empty if nothing was compiled or the system does not report it.
pub(super) fn peak(report: &StageReport) -> String {
    if report.compile_peak_bytes == 0 {
        return String::new();
    }
    HumanBytes(report.compile_peak_bytes).to_string()
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
