//! Do the results of a back end agree with those of the reference?

use half::{bf16, f16};
use preheat::Dtype;
use preheat_tensor::TensorType;

use super::cases::Case;
use super::reference::Array;

/// The elements as bytes of `kind`'s dtype.
#[expect(clippy::cast_possible_truncation, reason = "rounded to the dtype that is declared")]
pub fn bytes(kind: &TensorType, values: &[f64]) -> Vec<u8> {
    let each = |to: fn(f64) -> Vec<u8>| values.iter().copied().flat_map(to).collect();
    match kind.dtype {
        Dtype::Float32 => each(|value| (value as f32).to_le_bytes().to_vec()),
        Dtype::BFloat16 => each(|value| bf16::from_f64(value).to_le_bytes().to_vec()),
        Dtype::Float16 => each(|value| f16::from_f64(value).to_le_bytes().to_vec()),
        Dtype::Int32 => each(|value| (value as i32).to_le_bytes().to_vec()),
        other => panic!("{other}"),
    }
}

/// Compares the arrays; the error says where `have` is too far from `want`.
pub fn compare(case: &Case, have: &[f64], want: &Array) -> Result<(), String> {
    let largest = want.data.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    let allowed = case.tolerance * (1.0 + largest);
    let worst = have.iter().zip(&want.data).map(|(have, want)| (have - want).abs()).enumerate();
    let (at, difference) =
        worst.fold(
            (0, 0.0),
            |worst, this| if this.1 > worst.1 || this.1.is_nan() { this } else { worst },
        );
    if difference <= allowed && have.len() == want.data.len() {
        return Ok(());
    }
    Err(format!(
        "{}: [{at}] is {}, and {} is wanted within {allowed:e}",
        case.name, have[at], want.data[at]
    ))
}
