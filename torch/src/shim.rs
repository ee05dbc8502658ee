//! The functions of shim.cpp.

use std::ffi::{CStr, c_char, c_int};

use tch::Tensor;

use crate::failure::{Failure, Outcome};

const MESSAGE_BYTES: usize = 2048;
const NAME_BYTES: usize = 256;

mod raw {
    use std::ffi::{c_char, c_int, c_void};

    unsafe extern "C" {
        pub fn preheat_storage(
            tensor: *const c_void,
            address: *mut usize,
            bytes: *mut u64,
            message: *mut c_char,
            size: usize,
        ) -> bool;
        pub fn preheat_device_memory(
            kind: c_int,
            index: c_int,
            free: *mut u64,
            total: *mut u64,
            message: *mut c_char,
            size: usize,
        ) -> bool;
        pub fn preheat_allocator(
            kind: c_int,
            index: c_int,
            figures: *mut u64,
            message: *mut c_char,
            size: usize,
        ) -> bool;
        pub fn preheat_reset_peak(kind: c_int, index: c_int, message: *mut c_char, size: usize) -> bool;
        pub fn preheat_empty_cache(kind: c_int, message: *mut c_char, size: usize) -> bool;
        pub fn preheat_synchronize(index: c_int, message: *mut c_char, size: usize) -> bool;
        pub fn preheat_card(index: c_int, name: *mut c_char, size: usize, capability: *mut c_int) -> bool;
    }
}

/// A device that has an allocator of its own.
#[derive(Clone, Copy)]
pub enum Accelerator {
    Cuda(u32),
    Mps,
}

impl Accelerator {
    fn raw(self) -> (c_int, c_int) {
        match self {
            Self::Cuda(index) => (1, c_int::try_from(index).unwrap_or(c_int::MAX)),
            Self::Mps => (2, 0),
        }
    }

    /// Free and total bytes.
    pub fn memory(self) -> Outcome<(u64, u64)> {
        let ((kind, index), mut free, mut total) = (self.raw(), 0, 0);
        // SAFETY: places for two numbers, and for as many bytes of message as are said.
        guarded(|message, size| unsafe {
            raw::preheat_device_memory(kind, index, &raw mut free, &raw mut total, message, size)
        })?;
        Ok((free, total))
    }

    /// Bytes in use, the most of them, and what is kept in all.
    pub fn allocator(self) -> Outcome<[u64; 3]> {
        let ((kind, index), mut figures) = (self.raw(), [0; 3]);
        // SAFETY: a place for the three numbers that it writes, and for as many bytes of message as are said.
        guarded(|message, size| unsafe { raw::preheat_allocator(kind, index, figures.as_mut_ptr(), message, size) })?;
        Ok(figures)
    }

    pub fn reset_peak(self) -> Outcome<()> {
        let (kind, index) = self.raw();
        // SAFETY: a place for as many bytes of message as are said.
        guarded(|message, size| unsafe { raw::preheat_reset_peak(kind, index, message, size) })
    }

    pub fn empty_cache(self) -> Outcome<()> {
        let (kind, _) = self.raw();
        // SAFETY: as above.
        guarded(|message, size| unsafe { raw::preheat_empty_cache(kind, message, size) })
    }

    pub fn synchronize(self) -> Outcome<()> {
        let (_, index) = self.raw();
        // SAFETY: as above.
        guarded(|message, size| unsafe { raw::preheat_synchronize(index, message, size) })
    }
}

/// Where the memory of a tensor begins, and how much it is. Tensors that share it tell the same.
pub fn storage(tensor: &Tensor) -> Outcome<(usize, u64)> {
    let (mut address, mut bytes) = (0, 0);
    // SAFETY: a live tensor, which in torch-sys is a pointer to an `at::Tensor`; places for both numbers and the message.
    guarded(|message, size| unsafe {
        raw::preheat_storage(tensor.as_ptr().cast(), &raw mut address, &raw mut bytes, message, size)
    })?;
    Ok((address, bytes))
}

/// The name and compute capability of an NVIDIA card.
pub fn card(index: u32) -> Option<(String, [u32; 2])> {
    let (mut name, mut capability) = ([0; NAME_BYTES], [0; 2]);
    let index = c_int::try_from(index).ok()?;
    // SAFETY: places for as many bytes of name as are said, and for two numbers.
    let known = unsafe { raw::preheat_card(index, name.as_mut_ptr(), NAME_BYTES, capability.as_mut_ptr()) };
    let [major, minor] = capability.map(|number| u32::try_from(number).unwrap_or(0));
    known.then(|| (text(&name), [major, minor]))
}

fn guarded(call: impl FnOnce(*mut c_char, usize) -> bool) -> Outcome<()> {
    let mut message = [0; MESSAGE_BYTES];
    if call(message.as_mut_ptr(), MESSAGE_BYTES) { Ok(()) } else { Err(Failure::of_libtorch(&text(&message))) }
}

fn text(bytes: &[c_char]) -> String {
    let bytes: Vec<u8> = bytes.iter().map(|&byte| byte.cast_unsigned()).collect();
    CStr::from_bytes_until_nul(&bytes).map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned())
}
