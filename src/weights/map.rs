//! Mapping a file: the only unsafe code of this module.

#![expect(unsafe_code, reason = "a mapping is memory that others can change, which no signature can rule out")]

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::WeightsError;

/// Opens a file and maps it, to be read.
pub(super) fn map(path: &Path) -> Result<(File, Mmap), WeightsError> {
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    if !file.metadata().map_err(io)?.is_file() {
        return Err(io(std::io::Error::other("it is no regular file")));
    }
    // SAFETY: the mapping is read-only, and the file is open for reading only (`File::open` above), so nothing here writes to it.
    // What remains is another program that changes the file in place while it is mapped: the module's head says so, and it
    // reaches plain numbers only: no length, index or pointer is read out of the mapping after `header.rs` has copied and checked
    // them.
    let map = unsafe { Mmap::map(&file) }.map_err(io)?;
    Ok((file, map))
}
