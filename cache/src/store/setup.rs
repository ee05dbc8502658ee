//! Opening a store: its version, and its folders once something is written.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::{Store, StoreError, read_error, write_error};
use crate::files;
use crate::format::FormatVersion;
use crate::layout::Layout;

/// The `format` file is two lines.
const FORMAT_FILE_LIMIT_BYTES: u64 = 4096;

impl Store {
    /// Refuses a folder that holds a newer store or something else. A folder that is missing or empty is a store to be.
    pub(super) fn check_format(&self) -> Result<(), StoreError> {
        let path = self.layout.format();
        let content = match read_bounded(&path) {
            Ok(content) => content,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => return Ok(()),
            Err(error) => return Err(read_error(&path, error)),
        };
        match FormatVersion::parse(&content) {
            Some(version) if version <= FormatVersion::CURRENT => Ok(()),
            Some(found) => Err(StoreError::NewerFormat {
                path: self.dir().to_owned(),
                found,
                reads: FormatVersion::CURRENT,
                reader: FormatVersion::reader(&content).unwrap_or_else(|| "a later release of preheat".to_owned()),
            }),
            None => Err(StoreError::NotAStore {
                path: self.dir().to_owned(),
                reason: format!("its file `format` starts with {:?}", content.chars().take(40).collect::<String>()),
            }),
        }
    }

    /// Refuses to write where only reading was asked for.
    pub(super) fn writable(&self) -> Result<(), StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly { path: self.dir().to_owned() });
        }
        Ok(())
    }

    /// Sweeps up, once; then makes the folders, and the two files that say what they are, unless they are there.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        self.writable()?;
        let layout = &self.layout;
        let folders = [layout.objects(), layout.locks(), layout.tmp()];
        // A process that died while it made the store leaves something as well.
        if !self.swept.swap(true, Ordering::Relaxed) {
            self.sweep();
        }
        if folders.iter().all(|folder| folder.is_dir()) && layout.format().is_file() {
            return Ok(());
        }
        for folder in &folders {
            files::create_folder(folder).map_err(|cause| write_error(folder, cause))?;
        }
        let files = [
            (layout.cachedir_tag(), Layout::CACHEDIR_TAG.to_owned()),
            (layout.format(), FormatVersion::CURRENT.file_content()),
        ];
        for (path, content) in files {
            if !path.exists() {
                layout.write_whole(&path, content.as_bytes()).map_err(|cause| write_error(&path, cause))?;
            }
        }
        Ok(())
    }
}

fn read_bounded(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FORMAT_FILE_LIMIT_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
