//! Do two executables of one program compute the same, within the precision of their dtypes?
//!
//! A compiler that puts more work into a program changes the order of its arithmetic, so the
//! results are not the same bytes. Each result is compared as one vector: the length of the
//! difference is divided by the length of the expected result.

use preheat_tensor::{AlignedBytes, Dtype, Tensor, TensorError, TensorType};

/// How many values the noise has before it repeats. It is a prime number, so that the rows of a
/// tensor do not all have the same values.
const NOISE_PERIOD: usize = 65_521;

/// The largest value of the noise. The weights of models are about as large, and with such weights
/// the results of deep networks stay finite.
const NOISE_SCALE: f32 = 0.05;

/// The largest distance that is allowed between results, if `dtype` is the coarsest dtype that the
/// program takes or returns. A deep network multiplies the rounding error of one operation, which
/// is 2^-9 in bfloat16 and 2^-24 in float32.
fn tolerance(dtype: Dtype, platform: &str) -> Option<f64> {
    match dtype {
        Dtype::BFloat16 => Some(0.05),
        Dtype::Float16 => Some(0.02),
        // A TPU multiplies matrices of float32 in bfloat16, unless the program asks for more.
        Dtype::Float32 if platform == "tpu" => Some(0.05),
        Dtype::Float32 => Some(1e-3),
        Dtype::Float64 => Some(1e-6),
        _ => None,
    }
}

/// The tolerance for a program of these inputs and outputs: that of the coarsest floating point
/// dtype among them. If none of them is of a floating point dtype, results have to be equal.
pub(super) fn tolerance_of<'a>(
    kinds: impl IntoIterator<Item = &'a TensorType>,
    platform: &str,
) -> f64 {
    kinds.into_iter().filter_map(|kind| tolerance(kind.dtype, platform)).fold(0.0, f64::max)
}

/// A tensor of noise, which is the same at each call. If the dtype is not a floating point one, all
/// elements are 0: an integer may be an index into a table and must not lie outside of it.
pub(super) fn noise(kind: TensorType) -> Result<Tensor, TensorError> {
    let Some(width) = width(kind.dtype) else { return Tensor::zeros(kind) };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut pattern = Vec::with_capacity(NOISE_PERIOD * width);
    for _ in 0..NOISE_PERIOD {
        // Xorshift of Marsaglia (2003), of which the upper bits are used.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        #[expect(clippy::cast_precision_loss, reason = "24 bits are exact")]
        let unit = (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0;
        push(&mut pattern, kind.dtype, unit * NOISE_SCALE);
    }
    let mut bytes = AlignedBytes::zeroed(kind.host_bytes()?)?;
    for chunk in bytes.chunks_mut(pattern.len()) {
        chunk.copy_from_slice(&pattern[..chunk.len()]);
    }
    Ok(Tensor::from_aligned(kind, bytes))
}

/// The bytes of an element, for dtypes whose values are compared as numbers.
const fn width(dtype: Dtype) -> Option<usize> {
    match dtype {
        Dtype::BFloat16 | Dtype::Float16 => Some(2),
        Dtype::Float32 => Some(4),
        Dtype::Float64 => Some(8),
        _ => None,
    }
}

/// Appends a small number, as an element of this dtype.
fn push(bytes: &mut Vec<u8>, dtype: Dtype, value: f32) {
    let [_, _, low, high] = value.to_le_bytes();
    match dtype {
        Dtype::BFloat16 => bytes.extend([low, high]),
        Dtype::Float16 => bytes.extend(to_half(value).to_le_bytes()),
        Dtype::Float64 => bytes.extend(f64::from(value).to_le_bytes()),
        _ => bytes.extend(value.to_le_bytes()),
    }
}

/// The bits of a half-precision number, rounded towards zero. A value that is too small for a
/// normal number becomes zero.
fn to_half(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = u16::try_from(bits >> 31).unwrap_or(0) << 15;
    let exponent = (bits >> 23) & 0xff;
    let Some(exponent) =
        exponent.checked_sub(127 - 15).filter(|exponent| (1..31).contains(exponent))
    else {
        return sign;
    };
    let fraction = (bits >> 13) & 0x3ff;
    sign | u16::try_from(exponent << 10 | fraction).unwrap_or(0)
}

/// The number that the bits of a half-precision number stand for.
fn from_half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
    }
}

/// The elements of a tensor as numbers; `None` if its dtype is not a floating point one.
fn numbers(tensor: &Tensor) -> Option<impl Iterator<Item = f64>> {
    let dtype = tensor.kind().dtype;
    let number = move |bytes: &[u8]| match (dtype, bytes) {
        (Dtype::BFloat16, &[low, high]) => f32::from_le_bytes([0, 0, low, high]).into(),
        (Dtype::Float16, &[low, high]) => from_half(u16::from_le_bytes([low, high])),
        (Dtype::Float32, bytes) => {
            bytes.try_into().map_or(f64::NAN, |four| f32::from_le_bytes(four).into())
        }
        (_, bytes) => bytes.try_into().map_or(f64::NAN, f64::from_le_bytes),
    };
    Some(tensor.bytes().chunks_exact(width(dtype)?).map(number))
}

/// How `have` differs from `wanted`, in words; `None` if the difference is within `tolerance`.
pub(super) fn strays(have: &[Tensor], wanted: &[Tensor], tolerance: f64) -> Option<String> {
    if have.len() != wanted.len() {
        return Some(format!("it has {} results in place of {}", have.len(), wanted.len()));
    }
    have.iter().zip(wanted).enumerate().find_map(|(index, (have, wanted))| {
        if have.kind() != wanted.kind() {
            return Some(format!("its result {index} is {}, not {}", have.kind(), wanted.kind()));
        }
        let (Some(numbers), Some(others)) = (numbers(have), numbers(wanted)) else {
            let differs = have.bytes() != wanted.bytes();
            return differs.then(|| format!("its result {index} is not the same"));
        };
        let distance = distance(numbers, others);
        (distance.is_nan() || distance > tolerance).then(|| {
            format!(
                "its result {index} differs by {distance:.2e} of its length, and \
                     {tolerance:.0e} is allowed"
            )
        })
    })
}

/// The length of the difference, divided by the length of what is wanted. Two elements count as
/// equal if neither is finite. If only one of two elements is finite, the distance is infinite.
fn distance(have: impl Iterator<Item = f64>, wanted: impl Iterator<Item = f64>) -> f64 {
    let (mut difference, mut length) = (0.0, 0.0);
    for (have, wanted) in have.zip(wanted) {
        match (have.is_finite(), wanted.is_finite()) {
            (true, true) => {
                difference += (have - wanted).powi(2);
                length += wanted.powi(2);
            }
            (false, false) => {}
            _ => return f64::INFINITY,
        }
    }
    if difference == 0.0 { 0.0 } else { (difference / length).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_f32(&[values.len() as u64], values).unwrap()
    }

    #[test]
    fn noise_is_small_finite_and_of_both_signs_in_each_floating_point_dtype() {
        for dtype in [Dtype::BFloat16, Dtype::Float16, Dtype::Float32, Dtype::Float64] {
            let tensor = noise(TensorType::new(dtype, vec![70_000])).unwrap();
            let values: Vec<f64> = numbers(&tensor).unwrap().collect();
            assert_eq!(values.len(), 70_000, "{dtype}");
            assert!(values.iter().all(|value| value.abs() <= f64::from(NOISE_SCALE)), "{dtype}");
            let mean = values.iter().sum::<f64>() / 70_000.0;
            let square = values.iter().map(|value| value * value).sum::<f64>() / 70_000.0;
            assert!(mean.abs() < 1e-3 && (square.sqrt() - 0.029).abs() < 2e-3, "{dtype}: {mean}");
        }
        let places = noise(TensorType::new(Dtype::Int32, vec![3])).unwrap();
        assert_eq!(places.bytes(), [0; 12]);
    }

    #[test]
    fn results_are_near_within_the_tolerance_and_not_beyond_it() {
        let (wanted, near) = (tensor(&[3.0, 4.0]), tensor(&[3.0, 4.004]));
        let strays = |have: &Tensor, tolerance| {
            super::strays(std::slice::from_ref(have), std::slice::from_ref(&wanted), tolerance)
        };
        assert_eq!(strays(&near, 1e-3), None);
        let far = strays(&near, 1e-4).unwrap();
        assert_eq!(far, "its result 0 differs by 8.00e-4 of its length, and 1e-4 is allowed");
        assert!(strays(&tensor(&[f32::NAN, 4.0]), 0.1).is_some());
        assert!(strays(&tensor(&[3.0]), 0.1).unwrap().contains("not"));
        assert!(super::strays(&[], &[wanted], 0.1).unwrap().contains("0 results in place of 1"));
    }

    #[test]
    fn what_is_not_finite_on_both_sides_tells_nothing_and_whole_numbers_must_be_equal() {
        let both = [tensor(&[f32::INFINITY, 1.0])];
        assert_eq!(strays(&both, &both, 0.0), None);
        let whole =
            |value: u8| Tensor::new(TensorType::new(Dtype::Int8, vec![1]), &[value]).unwrap();
        assert_eq!(strays(&[whole(1)], &[whole(1)], 0.0), None);
        assert!(strays(&[whole(1)], &[whole(2)], 9.0).is_some());
    }

    #[test]
    fn the_coarsest_dtype_decides_and_a_tpu_s_float32_is_as_coarse_as_bfloat16() {
        let kind = |dtype| TensorType::new(dtype, Vec::new());
        let (single, places) = (kind(Dtype::Float32), kind(Dtype::Int32));
        let is = |kinds: &[&TensorType], platform, expected: f64| {
            let tolerance = tolerance_of(kinds.iter().copied(), platform);
            assert!((tolerance - expected).abs() < f64::EPSILON, "{kinds:?}: {tolerance}");
        };
        is(&[&single, &places], "cpu", 1e-3);
        is(&[&single, &places], "tpu", 0.05);
        is(&[&single, &kind(Dtype::BFloat16)], "cpu", 0.05);
        is(&[&places], "tpu", 0.0);
    }
}
