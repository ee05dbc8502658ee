//! Results on standard output: a table or lines for a person, one JSON document for a program.

use std::io::{ErrorKind, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::CliError;

/// Writes one JSON document to standard output.
pub(super) fn document(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::Output(error.into()))?;
    line(&text)
}

/// Writes `text` and a line's end to standard output. A reader that has gone away, such as `head`, is no failure.
pub(super) fn line(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(()),
    }
}

/// A table without lines, as wide as the terminal allows.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(header.to_vec());
    table
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
