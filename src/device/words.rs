//! Figures for reading.

/// A number of bytes with a unit: `512.0 MiB`, `23.6 GiB`.
#[expect(clippy::cast_precision_loss, reason = "for reading")]
pub(super) fn bytes(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 { format!("{mebibytes:.1} MiB") } else { format!("{:.1} GiB", mebibytes / 1024.0) }
}
