//! Is a file a safetensors file, and if not, what is it?

use std::io::Read as _;
use std::path::Path;

use preheat_io::input;

use super::SingleFileError;
use crate::weights::OneFile;

/// Opens a safetensors file; the error says what else the file is.
pub(super) fn open(path: &Path) -> Result<OneFile, SingleFileError> {
    if let Some(error) = not_safetensors(path) {
        return Err(error);
    }
    OneFile::open(path).map_err(SingleFileError::from)
}

/// The beginnings of files of torch: the archive that it writes today, and a bare pickle.
const ARCHIVE: &[u8] = b"PK\x03\x04";
const PICKLE: u8 = 0x80;
const GGUF: &[u8] = b"GGUF";

/// The error for a file whose first bytes show that it is a pickle or a GGUF file. A file that
/// cannot be opened gives no error here.
fn not_safetensors(path: &Path) -> Option<SingleFileError> {
    let mut start = Vec::new();
    input::open(path).ok()?.take(9).read_to_end(&mut start).ok()?;
    let path = path.to_owned();
    // A safetensors file begins with the length of its header, which may have any bytes, and goes
    // on with the `{` of the header.
    if start.get(8) == Some(&b'{') {
        return None;
    }
    if start.starts_with(ARCHIVE) || matches!(start[..], [PICKLE, 2..=5, ..]) {
        Some(SingleFileError::Pickle { path })
    } else if start.starts_with(GGUF) {
        Some(SingleFileError::Gguf { path })
    } else {
        None
    }
}
