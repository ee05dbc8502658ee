//! New files that are written under a name of their own and then renamed into place.

use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// A new file in `folder`, readable to whom the umask lets read: what one user stores, another may look up. tempfile's own default
/// is readable to its maker alone, and a rename keeps it.
pub(crate) fn new_file_in(folder: &Path, prefix: &str) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}
