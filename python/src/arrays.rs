//! How does an array of another library become a tensor, without a copy if possible?
//!
//! | an array | comes in by |
//! |---|---|
//! | of numpy, a `memoryview`, an `array.array`, bytes | the buffer protocol (`buffer.rs`) |
//! | of torch, JAX on the CPU, and others | `DLPack` (`dlpack.rs`) |
//! | of numpy with a dtype of `ml_dtypes`, such as `bfloat16` | the buffer protocol, as integers of the same size |
//! | a number, or lists of numbers | numpy, if it is installed |
//!
//! Memory that is dense, row-major and begins at a multiple of 64 bytes is used in place, because a
//! device of XLA reads it there; everything else is copied once. An array must not be written to
//! while a call reads it.
#![expect(unsafe_code, reason = "reads memory that an array of another library owns")]

pub(crate) mod buffer;
pub(crate) mod dlpack;
pub(crate) mod tensor;

use std::any::Any;
use std::ptr::NonNull;

use preheat_tensor::AlignedBytes;
use preheat_tensor::{Dtype, Tensor, TensorType};
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;

use self::tensor::PyTensor;
use crate::errors::{Kind, raise};

/// Where the elements of an array are.
pub(crate) struct Strided {
    pub(crate) dtype: Dtype,
    /// The number of elements in each dimension.
    pub(crate) shape: Vec<usize>,
    /// The bytes from one element to the next, in each dimension.
    pub(crate) strides: Vec<isize>,
    /// The first element.
    pub(crate) start: NonNull<u8>,
}

/// Memory of another library, and the object that keeps it alive.
pub(crate) struct Foreign {
    pub(crate) elements: Strided,
    pub(crate) owner: Box<dyn Any + Send + Sync>,
}

/// A tensor of `array`. `wanted` is the type of the input that it is for, if that is known: numbers
/// and lists get its dtype.
pub(crate) fn tensor_of(array: &Bound<'_, PyAny>, wanted: Option<&TensorType>) -> PyResult<Tensor> {
    let py = array.py();
    if let Ok(own) = array.cast::<PyTensor>() {
        return Ok(own.get().tensor.clone());
    }
    if let Some(foreign) = buffer::memory(array) {
        return foreign.into_tensor(py);
    }
    if let Some((mut foreign, dtype)) = of_ml_dtypes(array)? {
        foreign.elements.dtype = dtype;
        return foreign.into_tensor(py);
    }
    if array.hasattr("__dlpack__")? {
        let foreign = dlpack::memory(array).map_err(|error| {
            // numpy cannot export elements of that dtype, for example Python objects.
            if error.is_instance_of::<PyBufferError>(py) { no_array(array) } else { error }
        })?;
        return foreign.into_tensor(py);
    }
    let numbers = by_numpy(array, wanted)?;
    match buffer::memory(&numbers) {
        Some(foreign) => foreign.into_tensor(py),
        None => Err(no_array(array)),
    }
}

/// An array of numpy whose dtype numpy itself does not have, as integers of the same size.
fn of_ml_dtypes(array: &Bound<'_, PyAny>) -> PyResult<Option<(Foreign, Dtype)>> {
    let Ok(named) = array.getattr("dtype").and_then(|dtype| dtype.getattr("name")) else {
        return Ok(None);
    };
    let Ok(name) = named.extract::<String>() else { return Ok(None) };
    let Some(dtype) = name.replace('_', "").parse::<Dtype>().ok() else { return Ok(None) };
    let integers = match dtype.bits() {
        8 => "uint8",
        16 => "uint16",
        _ => return Ok(None),
    };
    if !array.hasattr("__array_interface__")? {
        return Ok(None);
    }
    let viewed = array.call_method1("view", (integers,))?;
    Ok(buffer::memory(&viewed).map(|foreign| (foreign, dtype)))
}

fn by_numpy<'py>(
    array: &Bound<'py, PyAny>,
    wanted: Option<&TensorType>,
) -> PyResult<Bound<'py, PyAny>> {
    let numpy = array.py().import("numpy").map_err(|_| no_array(array))?;
    let dtype = wanted.map(|kind| kind.dtype.name());
    numpy.call_method1("asarray", (array, dtype)).map_err(|_| no_array(array))
}

fn no_array(value: &Bound<'_, PyAny>) -> PyErr {
    let name = value.get_type().name().map_or_else(|_| "it".to_owned(), |name| name.to_string());
    raise(
        value.py(),
        Kind::InvalidRequest,
        &format!(
            "give an array of numpy, torch or JAX, or a memoryview: {name} has no elements that \
             can be read"
        ),
    )
}

impl Foreign {
    /// Makes the tensor: in place if the memory is dense and aligned, as a device reads it, and as
    /// a copy otherwise.
    fn into_tensor(self, py: Python<'_>) -> PyResult<Tensor> {
        let Self { elements, owner } = self;
        let wrong = |error: &dyn std::fmt::Display| {
            raise(py, Kind::InvalidRequest, &format!("the array cannot be used: {error}"))
        };
        let dims: Vec<u64> =
            elements.shape.iter().map(|&size| u64::try_from(size).unwrap_or(u64::MAX)).collect();
        let kind = TensorType { dtype: elements.dtype, dims };
        let length = kind.dtype.array_bytes(&kind.dims).map_err(|error| wrong(&error))?;
        let item_bytes = kind.dtype.bytes().map_err(|error| wrong(&error))?;
        if length > 0 && elements.is_dense(item_bytes) {
            let start = elements.start;
            // SAFETY: the array is dense, so `length` bytes follow its first element. The owner
            // keeps them alive. The documentation forbids callers to write to them meanwhile, as
            // every library does that reads arrays without the interpreter's lock.
            if let Some(bytes) = unsafe { AlignedBytes::of_owner(start, length, owner) } {
                return Ok(Tensor::from_aligned(kind, bytes));
            }
            // The attempt has dropped the owner, but the caller still holds the array.
        }
        let mut bytes = AlignedBytes::zeroed(length).map_err(|error| wrong(&error))?;
        if length > 0 {
            elements.gather(item_bytes, &mut bytes);
        }
        Ok(Tensor::from_aligned(kind, bytes))
    }
}

impl Strided {
    /// Whether the elements follow each other, row by row.
    fn is_dense(&self, item_bytes: usize) -> bool {
        let mut next = item_bytes;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let is_next = size <= 1 || usize::try_from(stride) == Ok(next);
            next *= size.max(1);
            is_next
        })
    }

    /// Copies the elements, row by row.
    fn gather(&self, item_bytes: usize, into: &mut [u8]) {
        if self.is_dense(item_bytes) {
            // SAFETY: the array is dense, so `into.len()` bytes follow its first element, and the
            // caller keeps the array alive during this call.
            let from = unsafe { std::slice::from_raw_parts(self.start.as_ptr(), into.len()) };
            into.copy_from_slice(from);
            return;
        }
        let mut position = vec![0_usize; self.shape.len()];
        for element in into.chunks_exact_mut(item_bytes) {
            let offset: isize = position
                .iter()
                .zip(&self.strides)
                .map(|(&index, &stride)| index.cast_signed() * stride)
                .sum();
            // SAFETY: the position is one within the shape, and the exporter gave the strides that
            // lead to it. The caller keeps the array alive during this call.
            let from = unsafe {
                std::slice::from_raw_parts(self.start.as_ptr().offset(offset), item_bytes)
            };
            element.copy_from_slice(from);
            for (index, &size) in position.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < size {
                    break;
                }
                *index = 0;
            }
        }
    }
}
