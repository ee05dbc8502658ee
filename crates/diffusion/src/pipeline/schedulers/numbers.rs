//! The few conversions between kinds of numbers, each with the reason why it loses nothing that
//! matters.

/// A count as a number to compute with.
#[expect(clippy::cast_precision_loss, reason = "counts of timesteps are far below 2^53")]
pub(super) fn real(count: usize) -> f64 {
    count as f64
}

/// The nearest f32.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what it is for")]
pub(super) fn single(number: f64) -> f32 {
    number as f32
}

/// A whole number; what is beyond the range becomes its end.
#[expect(clippy::cast_possible_truncation, reason = "timesteps are far below 2^53")]
pub(super) fn whole(number: f64) -> i64 {
    number as i64
}

/// A position; what is below zero becomes zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions are clamped to zero, and far below 2^53"
)]
pub(super) fn position(number: f64) -> usize {
    number as usize
}
