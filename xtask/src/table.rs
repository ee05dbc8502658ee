//! How are the figures of a bench shown? They are shown as a table whose first column is aligned to
//! the left and whose other columns are aligned to the right.

use crate::figure::Figure;

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

/// Seconds, with no more decimal places than a person needs.
pub fn seconds(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.3} s") } else { format!("{seconds:.1} s") }
}

/// Bytes in gigabytes.
#[expect(clippy::cast_precision_loss, reason = "figures for reading; exact up to 2^53 bytes")]
pub fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

/// Prints the figures of a bench with their targets, under the title `what`.
pub fn print_figures(what: &str, figures: &[Figure]) {
    print([what, "", "target", ""], &figures.iter().map(Figure::row).collect::<Vec<_>>());
}
