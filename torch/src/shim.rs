//! The functions of shim.cpp.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{NonNull, null_mut};

use tch::Tensor;

use crate::failure::{Failure, Outcome};

const MESSAGE_BYTES: usize = 2048;
const NAME_BYTES: usize = 256;
const CONFIGURATION_BYTES: usize = 8192;

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
        pub fn preheat_reset_peak(
            kind: c_int,
            index: c_int,
            message: *mut c_char,
            size: usize,
        ) -> bool;
        pub fn preheat_empty_cache(kind: c_int, message: *mut c_char, size: usize) -> bool;
        pub fn preheat_synchronize(index: c_int, message: *mut c_char, size: usize) -> bool;
        pub fn preheat_keep_float32(message: *mut c_char, size: usize) -> bool;
        pub fn preheat_pinned(
            from: *const c_void,
            to: *mut *mut c_void,
            message: *mut c_char,
            size: usize,
        ) -> bool;
        pub fn preheat_record(
            kind: c_int,
            index: c_int,
            moment: *mut *mut c_void,
            message: *mut c_char,
            size: usize,
        ) -> bool;
        pub fn preheat_wait(moment: *const c_void, message: *mut c_char, size: usize) -> bool;
        pub fn preheat_free_moment(moment: *mut c_void);
        pub fn preheat_count_cards(
            count: *mut c_int,
            why: *mut c_char,
            why_size: usize,
            message: *mut c_char,
            size: usize,
        ) -> bool;
        pub fn preheat_cuda_configuration(
            text: *mut c_char,
            text_size: usize,
            message: *mut c_char,
            size: usize,
        ) -> bool;
        pub fn preheat_card(
            index: c_int,
            name: *mut c_char,
            size: usize,
            capability: *mut c_int,
        ) -> bool;
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
        // SAFETY: a place for the three numbers that it writes, and for as many bytes of message as
        // are said.
        guarded(|message, size| unsafe {
            raw::preheat_allocator(kind, index, figures.as_mut_ptr(), message, size)
        })?;
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

    /// The moment at which it will have done all that it was given so far.
    pub fn record(self) -> Outcome<Event> {
        let ((kind, index), mut moment) = (self.raw(), null_mut());
        // SAFETY: places for the moment, and for as many bytes of message as are said.
        guarded(|message, size| unsafe {
            raw::preheat_record(kind, index, &raw mut moment, message, size)
        })?;
        Ok(Event(NonNull::new(moment)))
    }
}

/// A moment in the work of a device; `None` where that is done before a call returns.
pub struct Event(Option<NonNull<c_void>>);

// SAFETY: libtorch lets any thread wait for an event, and several at once; it is recorded before it
// is shared.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// A moment that is past.
    pub fn past() -> Self {
        Self(None)
    }

    pub fn wait(&self) -> Outcome<()> {
        let Some(moment) = self.0 else { return Ok(()) };
        // SAFETY: a live moment, and a place for as many bytes of message as are said.
        guarded(|message, size| unsafe { raw::preheat_wait(moment.as_ptr(), message, size) })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Some(moment) = self.0 {
            // SAFETY: `record` made it, and this is its last use.
            unsafe { raw::preheat_free_moment(moment.as_ptr()) };
        }
    }
}

/// Has libtorch compute in float32 what is float32, in the whole process.
pub fn keep_float32() -> Outcome<()> {
    // SAFETY: a place for as many bytes of message as are said.
    guarded(|message, size| unsafe { raw::preheat_keep_float32(message, size) })
}

/// A copy in memory of the host that a card reads by itself.
pub fn pinned(tensor: &Tensor) -> Outcome<Tensor> {
    let mut copy = null_mut();
    // SAFETY: a live tensor, which in torch-sys is a pointer to an `at::Tensor`; places for the
    // copy and the message.
    guarded(|message, size| unsafe {
        raw::preheat_pinned(tensor.as_ptr().cast(), &raw mut copy, message, size)
    })?;
    // SAFETY: a new `at::Tensor` on the heap, as torch-sys makes them, and owned by nobody else.
    Ok(unsafe { Tensor::from_ptr(copy.cast()) })
}

/// How many cards there are, and why there are none where libtorch says why.
pub fn count_cards() -> Outcome<(u32, Option<String>)> {
    let (mut count, mut why) = (0, [0; MESSAGE_BYTES]);
    // SAFETY: places for the count, and for as many bytes of both texts as are said.
    guarded(|message, size| unsafe {
        raw::preheat_count_cards(&raw mut count, why.as_mut_ptr(), MESSAGE_BYTES, message, size)
    })?;
    Ok((u32::try_from(count).unwrap_or(0), Some(text(&why)).filter(|why| !why.is_empty())))
}

/// What this libtorch was compiled for, as it words it.
pub fn cuda_configuration() -> Outcome<String> {
    let mut configuration = [0; CONFIGURATION_BYTES];
    // SAFETY: places for as many bytes of both texts as are said.
    guarded(|message, size| unsafe {
        raw::preheat_cuda_configuration(
            configuration.as_mut_ptr(),
            CONFIGURATION_BYTES,
            message,
            size,
        )
    })?;
    Ok(text(&configuration))
}

/// Where the memory of a tensor begins, and how much it is. Tensors that share it tell the same.
pub fn storage(tensor: &Tensor) -> Outcome<(usize, u64)> {
    let (mut address, mut bytes) = (0, 0);
    // SAFETY: a live tensor, which in torch-sys is a pointer to an `at::Tensor`; places for both
    // numbers and the message.
    guarded(|message, size| unsafe {
        raw::preheat_storage(
            tensor.as_ptr().cast(),
            &raw mut address,
            &raw mut bytes,
            message,
            size,
        )
    })?;
    Ok((address, bytes))
}

/// The name and compute capability of an NVIDIA card.
pub fn card(index: u32) -> Option<(String, (u32, u32))> {
    let (mut name, mut capability) = ([0; NAME_BYTES], [0; 2]);
    let index = c_int::try_from(index).ok()?;
    // SAFETY: places for as many bytes of name as are said, and for two numbers.
    let known =
        unsafe { raw::preheat_card(index, name.as_mut_ptr(), NAME_BYTES, capability.as_mut_ptr()) };
    let [major, minor] = capability.map(|number| u32::try_from(number).unwrap_or(0));
    known.then(|| (text(&name), (major, minor)))
}

fn guarded(call: impl FnOnce(*mut c_char, usize) -> bool) -> Outcome<()> {
    let mut message = [0; MESSAGE_BYTES];
    if call(message.as_mut_ptr(), MESSAGE_BYTES) {
        Ok(())
    } else {
        Err(Failure::of_libtorch(&text(&message)))
    }
}

fn text(bytes: &[c_char]) -> String {
    let bytes: Vec<u8> = bytes.iter().map(|&byte| byte.cast_unsigned()).collect();
    CStr::from_bytes_until_nul(&bytes)
        .map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned())
}
