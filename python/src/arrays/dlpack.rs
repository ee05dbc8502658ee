//! How do tensors pass to and from other libraries by `DLPack`?
//!
//! The structures are those of `dlpack.h`, version 0.8, which every library still exports and
//! imports.
#![expect(unsafe_code, reason = "structures of C that pass between libraries")]

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use preheat_tensor::{Dtype, Tensor};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::arrays::{Foreign, Strided};
use crate::errors::{Kind, raise};

/// The name of a capsule that nobody has taken yet.
const FRESH: &CStr = c"dltensor";
/// The name of a capsule whose tensor somebody took.
const USED: &CStr = c"used_dltensor";
/// `kDLCPU`.
pub(crate) const CPU: i32 = 1;
/// `kDLCUDAHost`: pinned memory of the host, which a CUDA device reads fast.
const CUDA_HOST: i32 = 3;

#[repr(C)]
#[derive(Clone, Copy)]
struct DlDevice {
    kind: i32,
    id: i32,
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
struct DlDtype {
    code: u8,
    bits: u8,
    lanes: u16,
}

#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device: DlDevice,
    dimensions: i32,
    dtype: DlDtype,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct DlManagedTensor {
    tensor: DlTensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut DlManagedTensor)>,
}

/// Each dtype with its `DLDataTypeCode` and its number of bits. Version 0.8 of `dlpack.h` has the
/// codes up to 6; a later version added the codes of 8-bit floats.
const DTYPES: &[(Dtype, u8, u8)] = &[
    (Dtype::Int8, 0, 8),
    (Dtype::Int16, 0, 16),
    (Dtype::Int32, 0, 32),
    (Dtype::Int64, 0, 64),
    (Dtype::UInt8, 1, 8),
    (Dtype::UInt16, 1, 16),
    (Dtype::UInt32, 1, 32),
    (Dtype::UInt64, 1, 64),
    (Dtype::Float16, 2, 16),
    (Dtype::Float32, 2, 32),
    (Dtype::Float64, 2, 64),
    (Dtype::BFloat16, 4, 16),
    (Dtype::Complex64, 5, 64),
    (Dtype::Complex128, 5, 128),
    (Dtype::Bool, 6, 8),
    (Dtype::Float8E3M4, 7, 8),
    (Dtype::Float8E4M3, 8, 8),
    (Dtype::Float8E4M3B11FnUz, 9, 8),
    (Dtype::Float8E4M3Fn, 10, 8),
    (Dtype::Float8E4M3FnUz, 11, 8),
    (Dtype::Float8E5M2, 12, 8),
    (Dtype::Float8E5M2FnUz, 13, 8),
    (Dtype::Float8E8M0Fnu, 14, 8),
];

/// A tensor of another library. It is given back to that library when this value is dropped.
struct Taken(NonNull<DlManagedTensor>);

// SAFETY: the tensor is only read, and the protocol lets any thread call the deleter.
unsafe impl Send for Taken {}
// SAFETY: as above.
unsafe impl Sync for Taken {}

impl Drop for Taken {
    fn drop(&mut self) {
        // SAFETY: the tensor was taken out of its capsule, so it is ours until the deleter is
        // called, which happens once.
        unsafe {
            if let Some(deleter) = self.0.as_ref().deleter {
                deleter(self.0.as_ptr());
            }
        }
    }
}

/// The memory of an array of another library.
pub(crate) fn memory(array: &Bound<'_, PyAny>) -> PyResult<Foreign> {
    let py = array.py();
    let refused = |words: &str| raise(py, Kind::InvalidRequest, words);
    if let Ok(device) = array.call_method0("__dlpack_device__") {
        let (kind, _): (i32, i32) = device.extract()?;
        if ![CPU, CUDA_HOST].contains(&kind) {
            return Err(refused(
                "bring the array to the host first, as .cpu() does in torch: it is on another \
                 device",
            ));
        }
    }
    // torch does not export a tensor that it records gradients for.
    let needs_gradient =
        array.getattr("requires_grad").is_ok_and(|needs| needs.is_truthy().unwrap_or(false));
    let array = if needs_gradient { &array.call_method0("detach")? } else { array };
    let capsule = array.call_method0("__dlpack__")?;
    let capsule =
        capsule.cast::<PyCapsule>().map_err(|_| refused("__dlpack__() gave no capsule"))?;
    let pointer = capsule.pointer_checked(Some(FRESH))?.cast::<DlManagedTensor>();
    // With this name, no other library takes the tensor, and the capsule does not free it.
    // SAFETY: a living capsule, and a name that lives as long as the program.
    if unsafe { ffi::PyCapsule_SetName(capsule.as_ptr(), USED.as_ptr()) } != 0 {
        return Err(PyErr::fetch(py));
    }
    let taken = Taken(pointer);
    // SAFETY: the exporter filled the structure, and it stays until the deleter is called.
    let tensor = unsafe { &taken.0.as_ref().tensor };
    let given = (tensor.dtype.code, tensor.dtype.bits);
    let dtype = DTYPES.iter().find(|(_, code, bits)| (*code, *bits) == given);
    let Some(&(dtype, ..)) = dtype.filter(|_| tensor.dtype.lanes == 1) else {
        return Err(refused("no dtype of preheat fits the elements of the array"));
    };
    let dimensions = usize::try_from(tensor.dimensions).unwrap_or(0);
    let numbers = |from: *mut i64| -> Vec<i64> {
        if dimensions == 0 {
            return Vec::new();
        }
        // SAFETY: the exporter gives a number for each dimension.
        unsafe { std::slice::from_raw_parts(from, dimensions) }.to_vec()
    };
    let shape: Vec<usize> =
        numbers(tensor.shape).into_iter().map(|size| usize::try_from(size).unwrap_or(0)).collect();
    let item_bytes = isize::from(tensor.dtype.bits) / 8;
    let strides = if tensor.strides.is_null() {
        row_major(&shape, item_bytes)
    } else {
        let strides = numbers(tensor.strides).into_iter();
        strides.map(|stride| isize::try_from(stride).unwrap_or(0) * item_bytes).collect()
    };
    let offset = usize::try_from(tensor.byte_offset).unwrap_or(0);
    // SAFETY: the exporter's offset leads to the first element.
    let start = unsafe { tensor.data.cast::<u8>().add(offset) };
    let start = NonNull::new(start).unwrap_or(NonNull::dangling());
    let elements = Strided { dtype, shape, strides, start };
    Ok(Foreign { elements, owner: Box::new(taken) })
}

/// The strides in bytes of a dense array.
fn row_major(shape: &[usize], item_bytes: isize) -> Vec<isize> {
    let mut strides = vec![0; shape.len()];
    let mut next = item_bytes;
    for (stride, &size) in strides.iter_mut().zip(shape).rev() {
        *stride = next;
        next = next.saturating_mul(isize::try_from(size).unwrap_or(isize::MAX));
    }
    strides
}

/// An exported tensor, and everything that it needs until its importer deletes it.
struct Given {
    managed: DlManagedTensor,
    shape: Vec<i64>,
    _tensor: Tensor,
}

/// A capsule with the tensor, from which another library can take the tensor.
pub(crate) fn give<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    let kind = tensor.kind();
    let Some((_, code, bits)) = DTYPES.iter().find(|(dtype, ..)| *dtype == kind.dtype) else {
        let words = format!("DLPack has no name for {}", kind.dtype);
        return Err(raise(py, Kind::InvalidRequest, &words));
    };
    let mut given = Box::new(Given {
        managed: DlManagedTensor {
            tensor: DlTensor {
                data: tensor.bytes().as_ptr().cast_mut().cast(),
                device: DlDevice { kind: CPU, id: 0 },
                dimensions: i32::try_from(kind.dims.len()).unwrap_or(i32::MAX),
                dtype: DlDtype { code: *code, bits: *bits, lanes: 1 },
                shape: std::ptr::null_mut(),
                // A null pointer means dense and row-major.
                strides: std::ptr::null_mut(),
                byte_offset: 0,
            },
            context: std::ptr::null_mut(),
            deleter: Some(delete),
        },
        shape: kind.dims.iter().map(|&size| size.cast_signed()).collect(),
        _tensor: tensor.clone(),
    });
    given.managed.tensor.shape = given.shape.as_mut_ptr();
    let given = Box::into_raw(given);
    // SAFETY: the box was just leaked, so a field of it may hold the pointer to it.
    let managed = unsafe {
        (*given).managed.context = given.cast();
        &raw mut (*given).managed
    };
    // SAFETY: a pointer that is not null, a name that lives as long as the program, and a
    // destructor that frees the tensor if nobody took it.
    let capsule = unsafe { ffi::PyCapsule_New(managed.cast(), FRESH.as_ptr(), Some(destroy)) };
    if capsule.is_null() {
        // SAFETY: nobody has the pointer.
        unsafe { delete(managed) };
    }
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, capsule) }
}

/// Frees an exported tensor.
unsafe extern "C" fn delete(managed: *mut DlManagedTensor) {
    // SAFETY: `give` put its box into the context, and a deleter is called once.
    drop(unsafe { Box::from_raw((*managed).context.cast::<Given>()) });
}

/// Frees the tensor of a capsule that nobody took.
unsafe extern "C" fn destroy(capsule: *mut ffi::PyObject) {
    // SAFETY: Python calls this with the capsule that is destroyed. If its name was changed,
    // another library took the tensor and deletes it.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, FRESH.as_ptr()) != 0 {
            delete(ffi::PyCapsule_GetPointer(capsule, FRESH.as_ptr()).cast());
        }
    }
}
