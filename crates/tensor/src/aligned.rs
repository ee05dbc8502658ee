//! Which host memory can a device use in place? Memory that starts at a multiple of 64 bytes, which
//! this module allocates.
#![expect(unsafe_code, reason = "memory of an alignment that a `Vec<u8>` does not promise")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::array::ArrayError;

/// The alignment in bytes at which XLA:CPU uses host memory in place. It silently copies memory
/// with a smaller alignment.
pub const ZERO_COPY_ALIGNMENT: usize = 64;

/// Bytes that start at a multiple of [`ZERO_COPY_ALIGNMENT`].
pub struct AlignedBytes {
    memory: Memory,
    /// The first multiple of the alignment in the memory.
    start: NonNull<u8>,
    length: usize,
}

/// Who owns the memory, and thus who frees it.
enum Memory {
    /// Memory that this process allocated with the [`layout`] of the length; a dangling pointer if
    /// the length is 0.
    Own(NonNull<u8>),
    /// Memory that belongs to `_owner`, which is dropped together with this value.
    Foreign { _owner: Box<dyn Any + Send + Sync> },
}

// SAFETY: the bytes are owned here, or kept by an owner that is `Send` and `Sync`, and are accessed
// only through `&self` and `&mut self`, as in a `Vec<u8>`.
unsafe impl Send for AlignedBytes {}
// SAFETY: as above.
unsafe impl Sync for AlignedBytes {}

impl AlignedBytes {
    /// Allocates `length` zeroes. Returns an error instead of aborting if the machine does not have
    /// that much memory, because a program may declare a tensor of any size.
    pub fn zeroed(length: usize) -> Result<Self, ArrayError> {
        if length == 0 {
            // This pointer is aligned and never read.
            let start = NonNull::<Aligned>::dangling().cast();
            return Ok(Self { memory: Memory::Own(start), start, length });
        }
        let none = || ArrayError::HostMemory { bytes: length };
        let layout = layout(length).ok_or_else(none)?;
        // SAFETY: the size is not zero.
        let allocation = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(none)?;
        let skipped = allocation.align_offset(ZERO_COPY_ALIGNMENT);
        // SAFETY: the next multiple of 64 is fewer than 64 bytes away, and `layout` has 64 bytes
        // more than `length`.
        let start = unsafe { allocation.add(skipped) };
        Ok(Self { memory: Memory::Own(allocation), start, length })
    }

    /// A copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Result<Self, ArrayError> {
        let mut copy = Self::zeroed(bytes.len())?;
        copy.copy_from_slice(bytes);
        Ok(copy)
    }

    /// Memory that `owner` keeps, for reading only. `None` if the memory does not begin at a
    /// multiple of [`ZERO_COPY_ALIGNMENT`]: then the caller has to copy it.
    ///
    /// # Safety
    /// From `start` on there are `length` initialised bytes. They stay there until `owner` is
    /// dropped, and nobody writes to them while the returned value exists.
    pub unsafe fn of_owner(
        start: NonNull<u8>,
        length: usize,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Option<Self> {
        let is_aligned = start.addr().get().is_multiple_of(ZERO_COPY_ALIGNMENT);
        is_aligned.then(|| Self { memory: Memory::Foreign { _owner: owner }, start, length })
    }
}

/// The layout of an allocation that is large enough for `length` bytes behind its first multiple of
/// [`ZERO_COPY_ALIGNMENT`].
///
/// The layout does not contain the alignment itself. For an alignment above the allocator's own,
/// Rust's `alloc_zeroed` allocates memory and writes zeroes over it. This touches every page,
/// although fresh pages of the system are zero already.
fn layout(length: usize) -> Option<Layout> {
    Layout::from_size_align(length.checked_add(ZERO_COPY_ALIGNMENT)?, 1).ok()
}

#[repr(align(64))]
struct Aligned;
const _: () = assert!(align_of::<Aligned>() == ZERO_COPY_ALIGNMENT);

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` initialised bytes, owned here or kept by the owner (`of_owner`), or none
        // at a dangling pointer.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for AlignedBytes {
    /// # Panics
    /// If the memory belongs to another owner, because others may be reading it.
    fn deref_mut(&mut self) -> &mut [u8] {
        assert!(matches!(self.memory, Memory::Own(_)), "memory of another owner is never written");
        // SAFETY: as above; the memory is owned here, and `&mut self` makes the access exclusive.
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
        let Memory::Own(allocation) = self.memory else { return };
        if let Some(layout) = layout(self.length).filter(|_| self.length != 0) {
            // SAFETY: `zeroed` allocated with this very layout.
            unsafe { dealloc(allocation.as_ptr(), layout) };
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
    fn foreign_memory_is_read_in_place_and_kept_until_the_end() {
        let owner = std::sync::Arc::new(AlignedBytes::copy_of(&[7; 128]).unwrap());
        let of = |offset: usize| {
            let start = NonNull::from(&owner[offset]);
            // SAFETY: 64 bytes of the owner, which the clone of its `Arc` keeps.
            unsafe { AlignedBytes::of_owner(start, 64, Box::new(std::sync::Arc::clone(&owner))) }
        };
        let foreign = of(64).unwrap();
        assert_eq!(*foreign, [7; 64]);
        assert_eq!(std::sync::Arc::strong_count(&owner), 2);
        drop(foreign);
        assert_eq!(std::sync::Arc::strong_count(&owner), 1);
        assert!(of(4).is_none());
    }

    #[test]
    #[should_panic(expected = "never written")]
    fn foreign_memory_is_never_written() {
        let owner = AlignedBytes::copy_of(&[7; 64]).unwrap();
        let start = NonNull::from(&owner[0]);
        // SAFETY: the bytes of `owner`, which moves into the box; its memory stays where it is.
        let foreign = unsafe { AlignedBytes::of_owner(start, 64, Box::new(owner)) };
        foreign.unwrap()[0] = 8;
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
