//! Which functions of libtorch does tch lack? This module calls the functions of shim.cpp, and
//! makes these calls safe.

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

/// A device with its own allocator.
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
        // SAFETY: there is room for two numbers and for a message of the size that is passed.
        guarded(|message, size| unsafe {
            raw::preheat_device_memory(kind, index, &raw mut free, &raw mut total, message, size)
        })?;
        Ok((free, total))
    }

    /// Bytes in use, the most that were in use, and all bytes that the allocator holds.
    pub fn allocator(self) -> Outcome<[u64; 3]> {
        let ((kind, index), mut figures) = (self.raw(), [0; 3]);
        // SAFETY: there is room for the three numbers that it writes and for a message of the size
        // that is passed.
        guarded(|message, size| unsafe {
            raw::preheat_allocator(kind, index, figures.as_mut_ptr(), message, size)
        })?;
        Ok(figures)
    }

    pub fn reset_peak(self) -> Outcome<()> {
        let (kind, index) = self.raw();
        // SAFETY: there is room for a message of the size that is passed.
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

    /// An event that is reached when the device has finished all work that it was given so far.
    pub fn record(self) -> Outcome<Event> {
        let ((kind, index), mut moment) = (self.raw(), null_mut());
        // SAFETY: there is room for the event and for a message of the size that is passed.
        guarded(|message, size| unsafe {
            raw::preheat_record(kind, index, &raw mut moment, message, size)
        })?;
        Ok(Event(NonNull::new(moment)))
    }
}

/// A point in the sequence of work of a device; `None` for a device that finishes all work before a
/// call returns.
pub struct Event(Option<NonNull<c_void>>);

// SAFETY: libtorch lets any thread wait for an event, and several threads at the same time; the
// event is recorded before it is shared.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// An event that was already reached.
    pub fn past() -> Self {
        Self(None)
    }

    pub fn wait(&self) -> Outcome<()> {
        let Some(moment) = self.0 else { return Ok(()) };
        // SAFETY: the event is live, and there is room for a message of the size that is passed.
        guarded(|message, size| unsafe { raw::preheat_wait(moment.as_ptr(), message, size) })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Some(moment) = self.0 {
            // SAFETY: `record` made the pointer, and this is its last use.
            unsafe { raw::preheat_free_moment(moment.as_ptr()) };
        }
    }
}

/// Makes libtorch compute float32 in full precision, in the whole process.
pub fn keep_float32() -> Outcome<()> {
    // SAFETY: there is room for a message of the size that is passed.
    guarded(|message, size| unsafe { raw::preheat_keep_float32(message, size) })
}

/// A copy in pinned host memory, which a card can read by itself.
pub fn pinned(tensor: &Tensor) -> Outcome<Tensor> {
    let mut copy = null_mut();
    // SAFETY: the tensor is live; in torch-sys it is a pointer to an `at::Tensor`. There is room
    // for the copy and the message.
    guarded(|message, size| unsafe {
        raw::preheat_pinned(tensor.as_ptr().cast(), &raw mut copy, message, size)
    })?;
    // SAFETY: a new `at::Tensor` on the heap, as torch-sys makes them; nothing else owns it.
    Ok(unsafe { Tensor::from_ptr(copy.cast()) })
}

/// How many cards there are, and, if there are none, the reason that libtorch gives.
pub fn count_cards() -> Outcome<(u32, Option<String>)> {
    let (mut count, mut why) = (0, [0; MESSAGE_BYTES]);
    // SAFETY: there is room for the count and for two texts of the sizes that are passed.
    guarded(|message, size| unsafe {
        raw::preheat_count_cards(&raw mut count, why.as_mut_ptr(), MESSAGE_BYTES, message, size)
    })?;
    Ok((u32::try_from(count).unwrap_or(0), Some(text(&why)).filter(|why| !why.is_empty())))
}

/// libtorch's own text about the hardware that it was compiled for.
pub fn cuda_configuration() -> Outcome<String> {
    let mut configuration = [0; CONFIGURATION_BYTES];
    // SAFETY: there is room for two texts of the sizes that are passed.
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

/// The address and the size of a tensor's memory. Tensors that share memory have the same address
/// and size.
pub fn storage(tensor: &Tensor) -> Outcome<(usize, u64)> {
    let (mut address, mut bytes) = (0, 0);
    // SAFETY: the tensor is live; in torch-sys it is a pointer to an `at::Tensor`. There is room
    // for both numbers and the message.
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
    // SAFETY: there is room for a name of the size that is passed and for two numbers.
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
