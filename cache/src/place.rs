//! Where in a cache folder is the store, and did preheat make it?
//!
//! A store is one folder that preheat made and marked ([`Layout::owned`]). Nothing is ever removed
//! from a folder without that mark. The folder that a user names is not always the store:
//!
//! | what the named folder is | where the store is |
//! |---|---|
//! | marked | the folder itself |
//! | has a folder `preheat-store` in it | there |
//! | a store of a release that made no marks: its file `format` says so | the folder itself; it is taken over once |
//! | missing, or empty and this user's alone | the folder itself: it is made and marked; so is one in which an earlier release is just making its store |
//! | anything else, such as a home folder | `preheat-store` in it, which is made and marked |
//!
//! Taking over a store leaves every entry where it is, so that the older release can go on using it
//! at the same time. It takes away the right to write from everybody who is not trusted
//! ([`Trust`]), and marks the folder last.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::files::{Folder, is_absent, make_folder, names_in};
use crate::format::FormatVersion;
use crate::layout::Layout;
use crate::trust::Trust;

/// The `format` file is two lines, the mark as well.
const SMALL_FILE_BYTES: u64 = 4096;

/// What a named folder turned out to be.
#[derive(Debug)]
pub(crate) enum Place {
    /// A store that preheat made and marked.
    Marked(Folder),
    /// A store of a release that made no marks.
    Unmarked(Folder),
    /// There is none yet.
    None,
}

/// Why a store cannot be used, or not be made.
#[derive(Debug)]
pub(crate) enum PlaceError {
    /// The folder, and what the system says of it.
    Io(PathBuf, io::Error),
    /// The folder has the name of a store, and preheat did not make it.
    NotMade(PathBuf),
}

impl Place {
    /// Looks for the store in the folder at `dir`. Nothing is made.
    pub(crate) fn look(dir: &Path, trust: Trust) -> Result<Self, PlaceError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| PlaceError::Io(path, error)
        };
        let layout = Layout::relative();
        let named = match Folder::open(dir, trust) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::None),
            Err(error) => return Err(PlaceError::Io(dir.to_owned(), error)),
        };
        if named.is_file(&layout.owned()) {
            named.check_trust().map_err(failed(dir))?;
            return Ok(Self::Marked(named));
        }
        match named.within(Layout::FOLDER) {
            Ok(folder) => return Self::of_own_folder(folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(PlaceError::Io(dir.join(Layout::FOLDER), error)),
        }
        if is_store_without_mark(&named) {
            return Ok(Self::Unmarked(named));
        }
        Ok(Self::None)
    }

    /// A folder `preheat-store`. An empty one was made by a process that died before it marked it.
    fn of_own_folder(folder: Folder) -> Result<Self, PlaceError> {
        let path = folder.path().to_owned();
        let failed = |error| PlaceError::Io(path.clone(), error);
        folder.check_trust().map_err(failed)?;
        if folder.is_file(&Layout::relative().owned()) {
            return Ok(Self::Marked(folder));
        }
        if names_in(&folder).map_err(failed)?.is_empty() { Ok(Self::None) } else { Err(PlaceError::NotMade(path)) }
    }

    /// The folder of a store that can be read: one without a mark only where nobody else could have
    /// written it.
    pub(crate) fn readable(self) -> Result<Option<Folder>, PlaceError> {
        match self {
            Self::Marked(folder) => Ok(Some(folder)),
            Self::Unmarked(folder) => {
                let checked = folder.check_trust();
                checked.map_err(|error| PlaceError::Io(folder.path().to_owned(), error))?;
                Ok(Some(folder))
            }
            Self::None => Ok(None),
        }
    }
}

/// Finds the store in the folder at `dir`, takes it over, or makes it.
pub(crate) fn find_or_make(dir: &Path, trust: Trust) -> Result<Folder, PlaceError> {
    match Place::look(dir, trust)? {
        Place::Marked(folder) => Ok(folder),
        Place::Unmarked(folder) => take_over(&folder).map(|()| folder),
        Place::None => make(dir, trust),
    }
}

/// Gives all of a store that belongs to this user the modes that go with its trust. A folder with
/// somebody else's files beside the store's keeps its own mode.
pub(crate) fn settle(folder: &Folder) -> io::Result<()> {
    if names_in(folder)?.iter().all(|name| Layout::is_known(Path::new(name))) {
        folder.settle_own_mode()?;
    }
    Layout::NAMES.iter().try_for_each(|name| match folder.settle_modes(Path::new(name)) {
        Err(error) if is_absent(&error) => Ok(()),
        other => other,
    })
}

/// Takes over a store of a release that made no marks.
pub(crate) fn take_over(folder: &Folder) -> Result<(), PlaceError> {
    let path = folder.path().to_owned();
    let failed = |error| PlaceError::Io(path.clone(), error);
    settle(folder).and_then(|()| folder.check_trust()).and_then(|()| mark(folder)).map_err(failed)?;
    tracing::info!(path = %path.display(), "a store of an earlier release is marked as preheat's");
    Ok(())
}

fn make(dir: &Path, trust: Trust) -> Result<Folder, PlaceError> {
    let failed = |error| PlaceError::Io(dir.to_owned(), error);
    make_all(dir, trust).map_err(failed)?;
    let named = Folder::open(dir, trust).map_err(failed)?;
    let own = named.check_trust().is_ok() && is_nobodys(&named).map_err(failed)?;
    let folder = if own {
        named
    } else {
        // Another process may have just marked it, or made a store without a mark in it.
        if named.is_file(&Layout::relative().owned()) {
            return Ok(named);
        }
        if is_store_without_mark(&named) {
            return take_over(&named).map(|()| named);
        }
        named.create_folder(Path::new(Layout::FOLDER)).map_err(failed)?;
        named.within(Layout::FOLDER).map_err(failed)?
    };
    folder.settle_own_mode().and_then(|()| mark(&folder)).map_err(failed)?;
    Ok(folder)
}

/// Makes the folder at `dir` and those above it: the last one with the store's mode, the others as
/// any program would.
fn make_all(dir: &Path, trust: Trust) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let Some(name) = dir.file_name() else { return std::fs::create_dir_all(dir) };
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(above)?;
    match make_folder(&Dir::open_ambient_dir(above, ambient_authority())?, OsStr::new(name), trust) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn mark(folder: &Folder) -> io::Result<()> {
    let owned = Layout::relative().owned();
    folder.write_first(&owned, Layout::OWNED.as_bytes())
}

/// Whether nothing is in a folder but what a release that made no marks makes first, empty folders
/// and files that it is writing: it may be about to make a store here at this moment.
fn is_nobodys(folder: &Folder) -> io::Result<bool> {
    let layout = Layout::relative();
    for name in names_in(folder)? {
        let path = PathBuf::from(name);
        let within =
            |known: fn(&Path) -> bool| Ok::<_, io::Error>(folder.entries(&path)?.iter().all(|path| known(path)));
        let made = match &path {
            path if *path == layout.objects() => within(|_| false)?,
            path if *path == layout.locks() => within(Layout::is_lock)?,
            path if *path == layout.tmp() => within(Layout::is_temporary_of_any_release)?,
            path if *path == layout.cachedir_tag() => {
                let tag = folder.read_any_small(path, SMALL_FILE_BYTES);
                tag.is_ok_and(|tag| tag == Layout::CACHEDIR_TAG.as_bytes())
            }
            _ => false,
        };
        if !made {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a release that made no marks made a store of this folder.
fn is_store_without_mark(folder: &Folder) -> bool {
    let layout = Layout::relative();
    let Ok(format) = folder.read_any_small(&layout.format(), SMALL_FILE_BYTES) else { return false };
    // Whatever else is in it: nobody but preheat writes such a file.
    FormatVersion::parse(&String::from_utf8_lossy(&format)).is_some()
}
