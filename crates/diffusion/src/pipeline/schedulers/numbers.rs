//! How are numbers converted between types, and why does a conversion lose nothing that matters?
//!
//! Each conversion is a separate function, which states the reason.

/// A count as an f64.
#[expect(clippy::cast_precision_loss, reason = "counts of timesteps are far below 2^53")]
pub(super) fn real(count: usize) -> f64 {
    count as f64
}

/// The nearest f32.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what it is for")]
pub(super) fn single(number: f64) -> f32 {
    number as f32
}

/// A whole number; a value beyond the range becomes the end of the range.
#[expect(clippy::cast_possible_truncation, reason = "timesteps are far below 2^53")]
pub(super) fn whole(number: f64) -> i64 {
    number as i64
}

/// A position in a table; a value below zero becomes zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions are clamped to zero, and far below 2^53"
)]
pub(super) fn position(number: f64) -> usize {
    number as usize
}
