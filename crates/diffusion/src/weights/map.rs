//! How is a file mapped into memory?
//!
//! This module has the only unsafe code of the crate.

#![expect(
    unsafe_code,
    reason = "a mapping is memory that others can change, which no signature can rule out"
)]

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;
use preheat_io::input;

use super::error::WeightsError;

/// Opens a file and maps it for reading.
pub(super) fn map(path: &Path) -> Result<(File, Mmap), WeightsError> {
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let file = input::open(path).map_err(io)?;
    if !file.metadata().map_err(io)?.is_file() {
        return Err(io(std::io::Error::other("it is no regular file")));
    }
    // Another program may still change the file in place: the head of `mod.rs` describes that. Such
    // a change reaches plain numbers only, since no length, index or pointer is read from the
    // mapping after `header.rs` has copied and checked it.
    //
    // SAFETY: the mapping is read-only, and the file is open for reading only (`input::open`
    // above), so nothing here writes to it.
    let map = unsafe { Mmap::map(&file) }.map_err(io)?;
    Ok((file, map))
}
