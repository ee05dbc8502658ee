//! Which LoRA files are open already?
//!
//! A file is described once and stays open for later requests. If it has been replaced or changed
//! since, it is described again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use super::LoraError;
use super::adapters::{Adapters, Wanted};
use super::file::LoraFile;
use super::names::ModuleNames;
use crate::models::Family;

/// How many files stay open; the one that has not been used for the longest time is closed first.
const LIMIT: usize = 32;

/// The LoRA files that requests of one model used last.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    names: OnceLock<ModuleNames>,
    opened: Mutex<Opened>,
}

#[derive(Debug, Default)]
struct Opened {
    latest_last: Vec<OpenFile>,
    /// How many files were described so far.
    count: u64,
}

#[derive(Debug, Clone)]
struct OpenFile {
    version: Version,
    id: u64,
    file: Arc<LoraFile>,
}

/// The facts that distinguish a file from another one that was at its path before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
    /// The number of the device that holds the file, and the file's number on that device.
    inode: [u64; 2],
}

impl Version {
    /// `None` if there is no such file; opening it then gives the error.
    fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt as _;
            [found.dev(), found.ino()]
        };
        #[cfg(not(unix))]
        let inode = [0; 2];
        let modified = found.modified().ok();
        Some(Self { path: path.to_owned(), length: found.len(), modified, inode })
    }
}

impl Shelf {
    /// Opens the files of a request, each with its weight. `names` makes the model's names; it is
    /// called only once, for the first request that has LoRAs.
    ///
    /// # Errors
    /// If a file cannot be opened, or does not fit the model.
    pub(crate) fn adapters<'a>(
        &self,
        wanted: impl IntoIterator<Item = (&'a Path, f64)>,
        model: Family,
        names: impl FnOnce() -> ModuleNames,
    ) -> Result<Adapters, LoraError> {
        let mut wanted = wanted.into_iter().peekable();
        if wanted.peek().is_none() {
            return Ok(Adapters::default());
        }
        let names = self.names.get_or_init(names);
        let wanted = wanted.map(|(path, weight)| {
            let OpenFile { id, file, .. } = self.file(path, model, names)?;
            Ok(Wanted { file, file_id: id, path: path.to_owned(), weight })
        });
        Ok(Adapters::new(wanted.collect::<Result<_, LoraError>>()?))
    }

    fn file(&self, path: &Path, model: Family, names: &ModuleNames) -> Result<OpenFile, LoraError> {
        let version = Version::of(path);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |open: &OpenFile| Some(&open.version) == version.as_ref();
        if let Some(at) = opened.latest_last.iter().position(known) {
            let open = opened.latest_last.remove(at);
            opened.latest_last.push(open.clone());
            return Ok(open);
        }
        let file = Arc::new(LoraFile::open(path, names, model)?);
        opened.count += 1;
        let id = opened.count;
        // The version was taken before the file was opened. If the file was replaced in between,
        // the next request finds another version and describes it again.
        let version = version.unwrap_or(Version {
            path: path.to_owned(),
            length: 0,
            modified: None,
            inode: [0; 2],
        });
        let open = OpenFile { version, id, file };
        if opened.latest_last.len() >= LIMIT {
            opened.latest_last.remove(0);
        }
        opened.latest_last.push(open.clone());
        Ok(open)
    }
}
