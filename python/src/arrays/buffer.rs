//! How is the memory of an object of the buffer protocol read: a numpy array, a `memoryview`, an
//! `array.array`?
//!
//! The protocol became a part of Python's limited API in 3.11, but the package also runs on 3.10.
//! The structure and the two functions have been the same since Python 3.3, so they are declared
//! here.
#![expect(
    unsafe_code,
    reason = "calls of Python's C API that PyO3 does not declare for Python 3.10"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};

use preheat_tensor::Dtype;
use pyo3::ffi::{Py_ssize_t, PyObject};
use pyo3::prelude::*;

use crate::arrays::{Foreign, Strided};

/// `Py_buffer`, as `pybuffer.h` declares it.
#[repr(C)]
struct View {
    buf: *mut c_void,
    obj: *mut PyObject,
    len: Py_ssize_t,
    itemsize: Py_ssize_t,
    readonly: c_int,
    ndim: c_int,
    format: *mut c_char,
    shape: *mut Py_ssize_t,
    strides: *mut Py_ssize_t,
    suboffsets: *mut Py_ssize_t,
    internal: *mut c_void,
}

/// `PyBUF_STRIDES | PyBUF_FORMAT`: the exporter has to give a shape, strides and a format, and the
/// memory may be read-only.
const STRIDED_WITH_FORMAT: c_int = 0x0010 | 0x0008 | 0x0004;

unsafe extern "C" {
    fn PyObject_CheckBuffer(object: *mut PyObject) -> c_int;
    fn PyObject_GetBuffer(object: *mut PyObject, view: *mut View, flags: c_int) -> c_int;
    fn PyBuffer_Release(view: *mut View);
}

/// A view of an object's memory, which is released when this is dropped.
struct Held(Box<View>);

// SAFETY: the view is only read, and it is released with the interpreter's lock held, on whatever
// thread.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        let view: *mut View = &raw mut *self.0;
        // If the interpreter has ended, the memory is not released before the end of the process.
        // SAFETY: `PyObject_GetBuffer` filled the view, and it is released once.
        let _ = Python::try_attach(|_| unsafe { PyBuffer_Release(view) });
    }
}

/// The memory of `object`; `None` if it has no buffer, or if no dtype fits the elements of its
/// buffer.
pub(crate) fn memory(object: &Bound<'_, PyAny>) -> Option<Foreign> {
    // SAFETY: a pointer to a living object.
    if unsafe { PyObject_CheckBuffer(object.as_ptr()) } == 0 {
        return None;
    }
    let mut view = Box::new(View {
        buf: ptr::null_mut(),
        obj: ptr::null_mut(),
        len: 0,
        itemsize: 0,
        readonly: 0,
        ndim: 0,
        format: ptr::null_mut(),
        shape: ptr::null_mut(),
        strides: ptr::null_mut(),
        suboffsets: ptr::null_mut(),
        internal: ptr::null_mut(),
    });
    // SAFETY: a living object, and a view to be filled.
    if unsafe { PyObject_GetBuffer(object.as_ptr(), &raw mut *view, STRIDED_WITH_FORMAT) } != 0 {
        drop(PyErr::take(object.py()));
        return None;
    }
    let held = Held(view);
    let view = &held.0;
    let dimensions = usize::try_from(view.ndim).ok()?;
    let item_bytes = usize::try_from(view.itemsize).ok()?;
    let format = if view.format.is_null() {
        c"B"
    } else {
        // SAFETY: the exporter's format is a text that ends with a zero and lives as long as the
        // view.
        unsafe { CStr::from_ptr(view.format) }
    };
    let dtype = dtype_of(format.to_str().ok()?, item_bytes)?;
    let numbers = |from: *mut Py_ssize_t| -> Option<Vec<isize>> {
        if dimensions == 0 {
            return Some(Vec::new());
        }
        // SAFETY: with the flags above, the exporter gives a number for each dimension.
        (!from.is_null()).then(|| unsafe { std::slice::from_raw_parts(from, dimensions) }.to_vec())
    };
    let shape = numbers(view.shape)?.into_iter().map(|size| usize::try_from(size).ok());
    let (shape, strides) = (shape.collect::<Option<Vec<_>>>()?, numbers(view.strides)?);
    let start = NonNull::new(view.buf.cast::<u8>()).unwrap_or(NonNull::dangling());
    let elements = Strided { dtype, shape, strides, start };
    Some(Foreign { elements, owner: Box::new(held) })
}

/// The dtype of a format of the `struct` module; `None` if no dtype fits, as for big-endian numbers
/// and for records.
fn dtype_of(format: &str, item_bytes: usize) -> Option<Dtype> {
    let code = match format.as_bytes() {
        [b'>' | b'!', _, ..] if item_bytes > 1 => return None,
        [b'@' | b'=' | b'<' | b'>' | b'!', code @ ..] | code => code,
    };
    Some(match (code, item_bytes) {
        (b"?", 1) => Dtype::Bool,
        (b"b" | b"h" | b"i" | b"l" | b"q" | b"n", 1) => Dtype::Int8,
        (b"b" | b"h" | b"i" | b"l" | b"q" | b"n", 2) => Dtype::Int16,
        (b"b" | b"h" | b"i" | b"l" | b"q" | b"n", 4) => Dtype::Int32,
        (b"b" | b"h" | b"i" | b"l" | b"q" | b"n", 8) => Dtype::Int64,
        (b"c" | b"B" | b"H" | b"I" | b"L" | b"Q" | b"N", 1) => Dtype::UInt8,
        (b"H" | b"I" | b"L" | b"Q" | b"N", 2) => Dtype::UInt16,
        (b"H" | b"I" | b"L" | b"Q" | b"N", 4) => Dtype::UInt32,
        (b"H" | b"I" | b"L" | b"Q" | b"N", 8) => Dtype::UInt64,
        (b"e", 2) => Dtype::Float16,
        (b"f", 4) => Dtype::Float32,
        (b"d", 8) => Dtype::Float64,
        (b"Zf", 8) => Dtype::Complex64,
        (b"Zd", 16) => Dtype::Complex128,
        _ => return None,
    })
}
