//! Which host memory can a device use in place? Memory of a certain alignment, which is allocated
//! here.
#![expect(unsafe_code, reason = "memory of an alignment that a `Vec<u8>` does not promise")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::array::ArrayError;

/// The alignment in bytes at which XLA:CPU uses host memory in place. With any other alignment it
/// copies without notice.
pub const ZERO_COPY_ALIGNMENT: usize = 64;

/// Bytes that start at a multiple of [`ZERO_COPY_ALIGNMENT`].
pub struct AlignedBytes {
    /// The pointer that the allocator returned: [`layout`] of `length`, or none where `length` is
    /// 0.
    allocation: NonNull<u8>,
    /// The first multiple of the alignment in the allocation.
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: owned bytes, accessed only through `&self` and `&mut self`, as in a `Vec<u8>`.
unsafe impl Send for AlignedBytes {}
// SAFETY: as above.
unsafe impl Sync for AlignedBytes {}

impl AlignedBytes {
    /// `length` zeroes; an error where the machine does not have that much memory, because a
    /// program may ask for any size.
    pub fn zeroed(length: usize) -> Result<Self, ArrayError> {
        if length == 0 {
            // This pointer is aligned and never read.
            let start = NonNull::<Aligned>::dangling().cast();
            return Ok(Self { allocation: start, start, length });
        }
        let none = || ArrayError::HostMemory { bytes: length };
        let layout = layout(length).ok_or_else(none)?;
        // SAFETY: the size is not zero.
        let allocation = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(none)?;
        let skipped = allocation.align_offset(ZERO_COPY_ALIGNMENT);
        // SAFETY: the next multiple of 64 is fewer than 64 bytes away, and `layout` has 64 bytes
        // more than `length`.
        let start = unsafe { allocation.add(skipped) };
        Ok(Self { allocation, start, length })
    }

    /// A copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Result<Self, ArrayError> {
        let mut copy = Self::zeroed(bytes.len())?;
        copy.copy_from_slice(bytes);
        Ok(copy)
    }
}

/// The layout of an allocation in which `length` bytes fit from the first multiple of the alignment
/// on.
///
/// The allocator is not asked for the alignment itself. For an alignment above its own, Rust's
/// `alloc_zeroed` takes memory that need not be zero and writes zeroes over it, which touches each
/// page once more than fresh pages of the system need.
fn layout(length: usize) -> Option<Layout> {
    Layout::from_size_align(length.checked_add(ZERO_COPY_ALIGNMENT)?, 1).ok()
}

#[repr(align(64))]
struct Aligned;
const _: () = assert!(align_of::<Aligned>() == ZERO_COPY_ALIGNMENT);

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` initialised bytes, owned here, or none at a dangling pointer.
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
        if let Some(layout) = layout(self.length).filter(|_| self.length != 0) {
            // SAFETY: `zeroed` allocated with this very layout.
            unsafe { dealloc(self.allocation.as_ptr(), layout) };
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
            let aligned = AlignedBytes::copy_of(&source).unwrap();
            assert_eq!(aligned.as_ptr().addr() % ZERO_COPY_ALIGNMENT, 0);
            assert_eq!(*aligned, *source);
        }
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        for length in [usize::MAX, isize::MAX as usize, isize::MAX as usize - 100, 1 << 52] {
            assert!(
                matches!(AlignedBytes::zeroed(length), Err(ArrayError::HostMemory { bytes }) if bytes == length)
            );
        }
    }
}
