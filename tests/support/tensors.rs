//! How are tensors in files written, read and compared?

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize_to_file};
use serde_json::Value;

/// How far apart the elements of two tensors may be.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    pub rtol: f64,
    pub atol: f64,
}

/// Compares two safetensors files; the error says where they differ.
pub fn compare(have: &Path, want: &Path, tolerance: Tolerance) -> Result<(), String> {
    let (have, want) = (read(have)?, read(want)?);
    let (have, want) = (SafeTensors::deserialize(&have), SafeTensors::deserialize(&want));
    let (have, want) =
        (have.map_err(|error| error.to_string())?, want.map_err(|error| error.to_string())?);
    let (mut have_names, mut want_names) = (have.names(), want.names());
    have_names.sort_unstable();
    want_names.sort_unstable();
    if have_names != want_names {
        return Err(format!("it has {have_names:?}, and {want_names:?} is wanted"));
    }
    for name in want_names {
        let (have, want) = (have.tensor(name).unwrap(), want.tensor(name).unwrap());
        if (have.dtype(), have.shape()) != (want.dtype(), want.shape()) {
            return Err(format!(
                "{name} is {:?} {:?}, and {:?} {:?} is wanted",
                have.dtype(),
                have.shape(),
                want.dtype(),
                want.shape()
            ));
        }
        compare_values(&have, &want, tolerance)
            .map_err(|difference| format!("{name}{difference}"))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn compare_values(
    have: &TensorView<'_>,
    want: &TensorView<'_>,
    tolerance: Tolerance,
) -> Result<(), String> {
    let (Some(have_numbers), Some(want_numbers)) = (floats(have), floats(want)) else {
        return if have.data() == want.data() { Ok(()) } else { Err(" differs".to_owned()) };
    };
    for (index, (have, want)) in have_numbers.into_iter().zip(want_numbers).enumerate() {
        let near = (have - want).abs() <= tolerance.atol + tolerance.rtol * want.abs();
        #[expect(clippy::float_cmp, reason = "infinities agree if they are equal")]
        let same = have == want || (have.is_nan() && want.is_nan());
        if !near && !same {
            return Err(format!(
                "[{index}] is {have:e}, and {want:e} is wanted within {tolerance:?}"
            ));
        }
    }
    Ok(())
}

/// The values of a tensor of floating-point numbers; `None` for integers and booleans, which must
/// be equal bit for bit.
fn floats(tensor: &TensorView<'_>) -> Option<Vec<f64>> {
    let data = tensor.data();
    Some(match tensor.dtype() {
        Dtype::F64 => {
            data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
        }
        Dtype::F32 => {
            data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect()
        }
        Dtype::F16 => data
            .chunks_exact(2)
            .map(|b| half::f16::from_le_bytes(b.try_into().unwrap()).into())
            .collect(),
        Dtype::BF16 => data
            .chunks_exact(2)
            .map(|b| half::bf16::from_le_bytes(b.try_into().unwrap()).into())
            .collect(),
        _ => return None,
    })
}

/// Writes f32 tensors.
pub fn write_f32(path: &Path, tensors: &[(&str, &[usize], &[f32])]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap())
    });
    serialize_to_file(views.collect::<BTreeMap<_, _>>(), None, path).unwrap();
}

/// The values of an f32 tensor in a file.
pub fn read_f32(path: &Path, name: &str) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::F32);
    tensor
        .data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

/// Writes an input file with values for each of the inputs that a graph record lists.
pub fn write_some(path: &Path, record: &Value) {
    let inputs = record["interface"]["inputs"].as_array().unwrap();
    let mut state = 1_u32;
    let filled: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = inputs
        .iter()
        .enumerate()
        .map(|(index, spec)| {
            let shape: Vec<usize> = spec["dims"]
                .as_array()
                .unwrap()
                .iter()
                .map(|dim| dim.as_u64().unwrap().try_into().unwrap())
                .collect();
            let count: usize = shape.iter().product();
            let (dtype, bytes) = match spec["dtype"].as_str().unwrap() {
                "f32" => {
                    (Dtype::F32, (0..count).flat_map(|_| next(&mut state).to_le_bytes()).collect())
                }
                "s32" | "i32" => {
                    (Dtype::I32, (0..count).flat_map(|_| 1_i32.to_le_bytes()).collect())
                }
                other => panic!("no filling for {other}"),
            };
            (format!("arg{index}"), dtype, shape, bytes)
        })
        .collect();
    let views = filled.iter().map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    serialize_to_file(views.collect::<BTreeMap<_, _>>(), None, path).unwrap();
}

/// A number between 0 and 0.1 of a linear congruential sequence (Numerical Recipes' constants).
fn next(state: &mut u32) -> f32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
    let share = (*state >> 8) as f32 / 16_777_216.0;
    share * 0.1
}
