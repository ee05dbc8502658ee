//! Writing a file so that it appears whole or not at all.

use std::io::{self, Write as _};
use std::path::Path;

/// Writes `bytes` to `path`. An interrupted write leaves what was there before.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = readable_by_all().tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Files with the rights that the user's mask leaves: a temporary file alone would be for its owner only.
pub(crate) fn readable_by_all() -> tempfile::Builder<'static, 'static> {
    #[allow(unused_mut, reason = "only Unix has such rights")]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}
