//! How is a file read that may lie outside the store? Only regular files are opened, and of a small
//! file only a limited length is read.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Returns the file if it is a regular file, and otherwise an error.
pub(super) fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// Opens a regular file anywhere on this machine.
pub(crate) fn open_anywhere(path: &Path) -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options
            .custom_flags(i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default());
    }
    regular(options.open(path)?)
}

/// The text of a small regular file anywhere on this machine.
pub(crate) fn read_small(path: &Path, limit_bytes: u64) -> io::Result<String> {
    let bytes = bounded(open_anywhere(path)?, limit_bytes)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The bytes of a file that has at most `limit_bytes`.
pub(super) fn bounded(file: File, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit_bytes {
        let reason = format!("it is longer than {limit_bytes} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(bytes)
}
