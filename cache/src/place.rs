//! Where in a cache folder is the store, and did preheat make it?
//!
//! A store is one folder that preheat made and marked ([`Layout::owned`]). Nothing is ever removed
//! from a folder without that mark. The folder that a user names is not always the store:
//!
//! | what the named folder is | where the store is |
//! |---|---|
//! | marked | the folder itself |
//! | has a folder `preheat-store` in it | there |
//! | a store without a mark, of an earlier release, and nothing else | itself; it is taken over once |
//! | the same, and other things lie in it | `preheat-store` in it: the store moves there once (`moving`) |
//! | missing, or empty and this user's alone | the folder itself: it is made and marked |
//! | anything else, such as a home folder | `preheat-store` in it, which is made and marked |
//!
//! A folder counts as empty while an earlier release is making its store in it.
//!
//! A folder without a mark is a store if its file `format` says so. Such a store is taken over in
//! its place: every entry stays where it is, so the older release can go on using the store at the
//! same time. Taking over removes the right to write from everybody who is not trusted ([`Trust`]);
//! last, it marks the folder.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::files::{Folder, is_absent, make_folder, names_in};
use crate::format::FormatVersion;
use crate::layout::Layout;
use crate::trust::Trust;

mod moving;

/// The longest `format` file or mark that is read. Each is two lines.
const SMALL_FILE_BYTES: u64 = 4096;

/// How often the search for a store is repeated if other processes make or remove the store at the
/// same time.
const TRIES: u32 = 10;

/// The kinds of folders that a user may name.
#[derive(Debug)]
pub(crate) enum Place {
    /// A store that preheat made and marked.
    Marked(Folder),
    /// A store of a release that made no marks.
    Unmarked(Folder),
    /// A folder with a store without a mark, and with other things. Part of the store, or all of
    /// it, may already have moved into a folder of its own.
    Among(Folder),
    /// There is no store yet.
    None,
}

/// A store's format, and the content of the file that states it.
type Format = (FormatVersion, String);

/// Why a store cannot be used or made.
#[derive(Debug)]
pub(crate) enum PlaceError {
    /// The system's error for this folder.
    Io(PathBuf, io::Error),
    /// The folder has a store's name, but preheat did not make it.
    NotMade(PathBuf),
    /// A later release made the store. The text states which releases can read it, if the store's
    /// file `format` says so.
    Newer(PathBuf, FormatVersion, Option<String>),
    /// Its file `format` belongs to something else. The text is the beginning of that file.
    OtherFormat(PathBuf, String),
}

impl Place {
    /// Looks for the store in the folder at `dir`, and creates nothing. A store that a later
    /// release made in a way unknown to this release is refused.
    pub(crate) fn look(dir: &Path, trust: Trust) -> Result<Self, PlaceError> {
        let named = match Folder::open(dir, trust) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::None),
            Err(error) => return Err(PlaceError::Io(dir.to_owned(), error)),
        };
        if named.is_file(&Layout::relative().owned()) {
            return Self::marked(named);
        }
        let own = match named.within(Layout::FOLDER) {
            Ok(own) => Some(own),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(PlaceError::Io(dir.join(Layout::FOLDER), error)),
        };
        let failed = |error| PlaceError::Io(dir.to_owned(), error);
        if let Some(own) = own {
            let failed = |error| PlaceError::Io(own.path().to_owned(), error);
            own.check_trust().map_err(failed)?;
            // The names are read before the marks are looked for, since another process that makes
            // a store here begins with one of the two marks.
            let is_empty = names_in(&own).map_err(failed)?.is_empty();
            if own.is_file(&Layout::relative().owned()) {
                return Self::marked(own);
            }
            if moving::has_begun(&own) {
                check_version(&own)?;
                // The file `format` in the folder above may belong to something else by now, so
                // only a later version is refused.
                version_without_mark(&named)
                    .map_or(Ok(()), |format| refuse_newer(&named, format))?;
                return Ok(Self::Among(named));
            }
            // If the folder is empty, the process that made it died before it marked the folder.
            if !is_empty {
                return Err(PlaceError::NotMade(own.path().to_owned()));
            }
        }
        let Some(format) = version_without_mark(&named) else { return Ok(Self::None) };
        refuse_newer(&named, format)?;
        let is_alone = is_all_known(&named).map_err(failed)?;
        Ok(if is_alone { Self::Unmarked(named) } else { Self::Among(named) })
    }

    fn marked(folder: Folder) -> Result<Self, PlaceError> {
        folder.check_trust().map_err(|error| PlaceError::Io(folder.path().to_owned(), error))?;
        check_version(&folder)?;
        Ok(Self::Marked(folder))
    }

    /// The folder of a store that can be read. A store without a mark can be read only if nobody
    /// else could have written to it.
    pub(crate) fn readable(self) -> Result<Option<Folder>, PlaceError> {
        let folder = match self {
            Self::Marked(folder) => return Ok(Some(folder)),
            Self::Unmarked(folder) => folder,
            Self::Among(named) => moving::readable(named),
            Self::None => return Ok(None),
        };
        folder.check_trust().map_err(|error| PlaceError::Io(folder.path().to_owned(), error))?;
        Ok(Some(folder))
    }

    /// The folder of the store. The folder is marked before this function returns. `None` if there
    /// is no store.
    pub(crate) fn owned(self) -> Result<Option<Folder>, PlaceError> {
        match self {
            Self::Marked(folder) => Ok(Some(folder)),
            Self::Unmarked(folder) => take_over(&folder).map(|()| Some(folder)),
            Self::Among(named) => moving::move_out(named).map(Some),
            Self::None => Ok(None),
        }
    }
}

/// Finds the store in the folder at `dir`, takes it over, or makes it.
pub(crate) fn find_or_make(dir: &Path, trust: Trust) -> Result<Folder, PlaceError> {
    // Another process may make a store at the same moment.
    for _ in 0..TRIES {
        if let Some(folder) = Place::look(dir, trust)?.owned()? {
            return Ok(folder);
        }
        if let Some(folder) = make(dir, trust)? {
            return Ok(folder);
        }
    }
    Err(PlaceError::NotMade(dir.to_owned()))
}

/// Sets the modes that the store's trust requires on everything in the store that belongs to this
/// user. A folder that also holds files that are not preheat's keeps its own mode.
pub(crate) fn settle(folder: &Folder) -> io::Result<()> {
    say_what_is_tightened(folder)?;
    if is_all_known(folder)? {
        folder.settle_own_mode()?;
    }
    Layout::NAMES.iter().try_for_each(|name| match folder.settle_modes(Path::new(name)) {
        Err(error) if is_absent(&error) => Ok(()),
        other => other,
    })
}

/// Warns that other users could write to the store until now and no longer can. The user has to
/// know this, because they may have shared the store on purpose.
fn say_what_is_tightened(folder: &Folder) -> io::Result<()> {
    let own = is_all_known(folder)?.then_some("");
    let mut names = own.into_iter().chain(Layout::NAMES.iter().copied()).map(Path::new);
    let found = names.find_map(|name| Some((name, folder.tightened(name)?)));
    let Some((path, (before, after))) = found else { return Ok(()) };
    tracing::warn!(
        "other users could write to {} in the cache until now (mode {before:04o}), which is now \
         this user's alone (mode {after:04o}): they can no longer store anything in it. A cache \
         that is shared by decision keeps that right for its group (docs/security.md)",
        folder.full(path).display()
    );
    Ok(())
}

/// Whether everything in a folder has a name that a store gives. A folder `preheat-store` is
/// allowed as well: a process may have made it just before it died.
fn is_all_known(folder: &Folder) -> io::Result<bool> {
    let names = names_in(folder)?;
    Ok(names.iter().all(|name| Layout::is_known(Path::new(name)) || name == Layout::FOLDER))
}

/// Takes over a store of a release that made no marks, without moving it.
fn take_over(folder: &Folder) -> Result<(), PlaceError> {
    let path = folder.path().to_owned();
    let failed = |error| PlaceError::Io(path.clone(), error);
    settle(folder)
        .and_then(|()| folder.check_trust())
        .and_then(|()| mark(folder))
        .map_err(failed)?;
    tracing::info!(path = %path.display(), "a store of an earlier release is marked as preheat's");
    Ok(())
}

/// Makes a store. `None` if another process may have made one meanwhile.
fn make(dir: &Path, trust: Trust) -> Result<Option<Folder>, PlaceError> {
    let failed = |error| PlaceError::Io(dir.to_owned(), error);
    make_all(dir, trust).map_err(failed)?;
    let named = Folder::open(dir, trust).map_err(failed)?;
    let own = named.check_trust().is_ok() && is_nobodys(&named).map_err(failed)?;
    let folder = if own {
        named
    } else {
        if named.is_file(&Layout::relative().owned()) || version_without_mark(&named).is_some() {
            return Ok(None);
        }
        named.create_folder(Path::new(Layout::FOLDER)).map_err(failed)?;
        named.within(Layout::FOLDER).map_err(failed)?
    };
    folder.settle_own_mode().and_then(|()| mark(&folder)).map_err(failed)?;
    Ok(Some(folder))
}

/// Makes the folder at `dir` and the missing folders above it. The folder at `dir` gets the store's
/// mode. The others get the mode that any program would give them.
fn make_all(dir: &Path, trust: Trust) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let Some(name) = dir.file_name() else { return std::fs::create_dir_all(dir) };
    let above =
        dir.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(above)?;
    match make_folder(&Dir::open_ambient_dir(above, ambient_authority())?, OsStr::new(name), trust)
    {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn mark(folder: &Folder) -> io::Result<()> {
    let owned = Layout::relative().owned();
    folder.write_first(&owned, Layout::OWNED.as_bytes())
}

/// Whether a folder holds only what a release without marks creates first: a folder for objects
/// that is still empty, locks, unfinished files, and the tag for backup programs. Such a release
/// may be making a store here at this moment.
fn is_nobodys(folder: &Folder) -> io::Result<bool> {
    let layout = Layout::relative();
    for name in names_in(folder)? {
        let path = PathBuf::from(name);
        let within = |known: fn(&Path) -> bool| {
            Ok::<_, io::Error>(folder.entries(&path)?.iter().all(|path| known(path)))
        };
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

/// The format of the store in this folder, if a release without marks made one.
fn version_without_mark(folder: &Folder) -> Option<Format> {
    let format = folder.read_any_small(&Layout::relative().format(), SMALL_FILE_BYTES).ok()?;
    // The other content of the folder does not matter: nobody but preheat writes such a file.
    let content = String::from_utf8_lossy(&format).into_owned();
    Some((FormatVersion::parse(&content)?, content))
}

/// Refuses a store of a later release, and a file `format` that does not belong to a store. The
/// file may be missing.
fn check_version(folder: &Folder) -> Result<(), PlaceError> {
    let path = Layout::relative().format();
    let content = match folder.read_any_small(&path, SMALL_FILE_BYTES) {
        Ok(content) => String::from_utf8_lossy(&content).into_owned(),
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(PlaceError::Io(folder.full(&path), error)),
    };
    let Some(version) = FormatVersion::parse(&content) else {
        let start = content.chars().take(40).collect();
        return Err(PlaceError::OtherFormat(folder.path().to_owned(), start));
    };
    refuse_newer(folder, (version, content))
}

fn refuse_newer(folder: &Folder, (version, content): Format) -> Result<(), PlaceError> {
    if version <= FormatVersion::CURRENT {
        return Ok(());
    }
    Err(PlaceError::Newer(folder.path().to_owned(), version, FormatVersion::reader(&content)))
}
