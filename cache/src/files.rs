//! Every change that the store makes to files goes through here, one function a kind of change.
//!
//! In this crate's own tests each of them notes what it is about to do, so that a test can end the process before any of them,
//! and can tell what a power cut would leave: see `store/tests/crash.rs`. Outside of tests nothing of that is compiled.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Makes a folder, and those above it.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    journal::note(|| journal::Change::Folder(path.to_owned()));
    fs::create_dir_all(path)
}

/// A new file in `folder`, readable to whom the umask lets read: what one user stores, another may look up. tempfile's own default
/// is readable to its maker alone, and a rename keeps it.
pub(crate) fn create(folder: &Path, prefix: &str) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder)?;
    #[cfg(test)]
    journal::note(|| journal::Change::Created(file.path().to_owned()));
    Ok(file)
}

/// Makes an empty file, unless it is there.
pub(crate) fn mark(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    journal::note(|| journal::Change::Created(path.to_owned()));
    File::create(path).map(drop)
}

/// Writes to a new file.
pub(crate) struct Writing<'a>(pub(crate) &'a mut NamedTempFile);

impl Write for Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(test)]
        journal::note(|| journal::Change::Written(self.0.path().to_owned(), bytes.to_vec()));
        self.0.as_file_mut().write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_file_mut().flush()
    }
}

/// Makes the content of a new file last.
pub(crate) fn sync(file: &NamedTempFile) -> io::Result<()> {
    #[cfg(test)]
    journal::note(|| journal::Change::Synced(file.path().to_owned()));
    file.as_file().sync_all()
}

/// Gives a new file its name, in place of what has it.
pub(crate) fn persist(file: NamedTempFile, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    journal::note(|| journal::Change::Renamed(file.path().to_owned(), to.to_owned()));
    file.persist(to)?;
    Ok(())
}

/// Moves a file or a folder.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    journal::note(|| journal::Change::Renamed(from.to_owned(), to.to_owned()));
    fs::rename(from, to)
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    journal::note(|| journal::Change::Removed(path.to_owned()));
    fs::remove_file(path)
}

/// Removes a folder with all that is in it.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    journal::note(|| journal::Change::Removed(path.to_owned()));
    fs::remove_dir_all(path)
}

/// Makes names in the folder of `path` last. Only Unix can sync a folder, and only Unix needs to.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => {
            #[cfg(test)]
            journal::note(|| journal::Change::FolderSynced(folder.to_owned()));
            File::open(folder)?.sync_all()
        }
        _ => Ok(()),
    }
}

/// A step of sled's, whose own files are not seen from here.
pub(crate) fn index_step(step: &'static str) {
    #[cfg(test)]
    journal::note(|| journal::Change::Index(step));
    #[cfg(not(test))]
    let _ = step;
}

/// What this thread changes, for tests.
#[cfg(test)]
pub(crate) mod journal {
    use std::cell::RefCell;
    use std::path::PathBuf;

    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) enum Change {
        Folder(PathBuf),
        Created(PathBuf),
        Written(PathBuf, Vec<u8>),
        Synced(PathBuf),
        Renamed(PathBuf, PathBuf),
        Removed(PathBuf),
        FolderSynced(PathBuf),
        Index(&'static str),
    }

    #[derive(Default)]
    struct Journal {
        changes: Option<Vec<Change>>,
        until_kill: Option<usize>,
    }

    thread_local! {
        static JOURNAL: RefCell<Journal> = RefCell::default();
    }

    /// Ends the process before the change of this number, as if it were killed: nothing is dropped, flushed or tidied up.
    pub(crate) fn kill_before(number: usize) {
        JOURNAL.with_borrow_mut(|journal| journal.until_kill = Some(number));
    }

    /// What `work` changes, in order.
    pub(crate) fn of(work: impl FnOnce()) -> Vec<Change> {
        JOURNAL.with_borrow_mut(|journal| journal.changes = Some(Vec::new()));
        work();
        JOURNAL.with_borrow_mut(|journal| journal.changes.take()).unwrap_or_default()
    }

    pub(super) fn note(change: impl FnOnce() -> Change) {
        JOURNAL.with_borrow_mut(|journal| {
            if let Some(changes) = &mut journal.changes {
                changes.push(change());
            }
            match &mut journal.until_kill {
                Some(0) => std::process::abort(),
                Some(left) => *left -= 1,
                None => {}
            }
        });
    }
}
