//! How are the figures of a bench shown? As a table whose first column is aligned to the left and
//! whose other columns are aligned to the right.

/// Prints rows under a header, each column as wide as it needs to be.
pub fn print<const COLUMNS: usize>(header: [&str; COLUMNS], rows: &[[String; COLUMNS]]) {
    let header = header.map(str::to_owned);
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        rows.iter().chain([&header]).map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let line = |row: &[String; COLUMNS]| {
        let cells =
            row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(&header);
    println!("{}", "-".repeat(widths.iter().sum::<usize>() + 2 * (COLUMNS - 1)));
    rows.iter().for_each(line);
}

/// Seconds with as many places as matter to a person.
pub fn seconds(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.3} s") } else { format!("{seconds:.1} s") }
}

/// Bytes in gigabytes.
#[expect(clippy::cast_precision_loss, reason = "figures for reading; exact up to 2^53 bytes")]
pub fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

/// A row of a table of ratios: its name, the ratio, the most that it should be, and whether it
/// keeps to that.
pub fn verdict(title: &str, ratio: f64, at_most: Option<f64>) -> [String; 4] {
    let target = at_most.map_or_else(String::new, |at_most| format!("<= {at_most}"));
    let met = at_most.map_or("", |at_most| if ratio <= at_most { "met" } else { "MISSED" });
    [title.to_owned(), format!("{ratio:.3}"), target, met.to_owned()]
}
