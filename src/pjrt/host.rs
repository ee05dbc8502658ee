//! Host memory that a device can use in place.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Alignment in bytes at which XLA:CPU uses host memory in place; at any other it copies without saying so.
pub const ZERO_COPY_ALIGNMENT: usize = 64;

/// Bytes that start at a multiple of [`ZERO_COPY_ALIGNMENT`].
pub struct AlignedBytes {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: owned bytes, reached through `&self` and `&mut self` alone, as in a `Vec<u8>`.
unsafe impl Send for AlignedBytes {}
// SAFETY: as above.
unsafe impl Sync for AlignedBytes {}

impl AlignedBytes {
    /// As many zeroes.
    ///
    /// # Panics
    ///
    /// If `length` is more than a machine can address, as `Vec` does.
    pub fn zeroed(length: usize) -> Self {
        let layout = Self::layout(length);
        if length == 0 {
            // Aligned, and never read.
            return Self { start: NonNull::<Aligned>::dangling().cast(), length };
        }
        // SAFETY: the size is not zero.
        let Some(start) = NonNull::new(unsafe { alloc_zeroed(layout) }) else { handle_alloc_error(layout) };
        Self { start, length }
    }

    /// A copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self::zeroed(bytes.len());
        copy.copy_from_slice(bytes);
        copy
    }

    fn layout(length: usize) -> Layout {
        let Ok(layout) = Layout::from_size_align(length, ZERO_COPY_ALIGNMENT) else {
            panic!("{length} bytes are more than can be addressed")
        };
        layout
    }
}

#[repr(align(64))]
struct Aligned;
const _: () = assert!(align_of::<Aligned>() == ZERO_COPY_ALIGNMENT);

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` initialised bytes, ours, or none at a dangling pointer.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl AsRef<[u8]> for AlignedBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for AlignedBytes {
    fn drop(&mut self) {
        if self.length != 0 {
            // SAFETY: allocated in `zeroed` with the same layout.
            unsafe { dealloc(self.start.as_ptr(), Self::layout(self.length)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_aligned_and_kept() {
        for length in [0, 1, 63, 64, 65, 4096] {
            let source: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let aligned = AlignedBytes::copy_of(&source);
            assert_eq!(aligned.as_ptr().addr() % ZERO_COPY_ALIGNMENT, 0);
            assert_eq!(*aligned, *source);
        }
    }
}
