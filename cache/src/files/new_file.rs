//! How does a file get its content before it gets its final name? It is written under a temporary
//! name first.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Folder;
#[cfg(test)]
use super::journal;

/// A file that is being written, under a temporary name.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(super) folder: Arc<Folder>,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) stays: bool,
}

impl NewFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Whether its name still leads to this file.
    pub(crate) fn is_still_named(&self) -> bool {
        self.folder.names(&self.path, &self.file)
    }

    /// Syncs its content, so that it survives a power cut.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        journal::note(|| journal::Change::Synced(self.folder.full(&self.path)));
        self.file.sync_all()
    }

    /// Gives the file its final name, in place of any file that has this name.
    pub(crate) fn persist(mut self, to: &Path) -> io::Result<()> {
        self.folder.rename(&self.path, to)?;
        self.stays = true;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(test)]
        journal::note(|| journal::Change::Written(self.folder.full(&self.path), bytes.to_vec()));
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.stays
            && let Ok((folder, name)) = self.folder.parent(&self.path)
            && let Err(error) = folder.remove_file(name)
        {
            tracing::debug!(path = %self.folder.full(&self.path).display(), %error, "a temporary file stays");
        }
    }
}
