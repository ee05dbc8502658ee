//! Where does a result go, and what happens to a file that is there already? This module is the
//! only writer of the files that a user names.
//!
//! A regular file appears whole or not at all, and keeps the mode of the file that it replaces;
//! links are followed. Everything else (a device, a pipe, an open file of this process such as
//! `/dev/fd/3`) is written into and never replaced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// The most links that are followed, as on Linux.
const MOST_LINKS: usize = 40;

/// What happens to a regular file that exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced in one step.
    Replace,
    /// It stays, and the write fails with [`io::ErrorKind::AlreadyExists`].
    Keep,
}

/// A result that is being written. A regular file appears only at [`Self::finish`].
#[derive(Debug)]
pub struct Output(To);

#[derive(Debug)]
enum To {
    /// A file without a name, in the folder of its destination. The system removes it when this
    /// process ends, however it ends.
    #[cfg(target_os = "linux")]
    Unnamed { file: File, place: PathBuf, existing: Existing },
    /// A temporary file with a name, for file systems that do not support files without names. It
    /// stays behind only if this process is killed.
    Named { file: NamedTempFile, place: PathBuf, existing: Existing },
    /// A destination that is not a regular file.
    Through(File),
}

impl Output {
    /// Begins a result that goes to `path`.
    ///
    /// # Errors
    /// If nothing can be written there, for example because the folder does not exist; or, with
    /// [`Existing::Keep`], if there is a file already.
    pub fn create(path: &Path, existing: Existing) -> io::Result<Self> {
        let (place, replaced) = match place_of(path)? {
            Place::Through(place) => return Ok(Self(To::Through(through::open(&place)?))),
            Place::File { place, replaced } => (place, replaced),
        };
        if replaced.is_some() && existing == Existing::Keep {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let to = Self::beside(&place, existing)?;
        if let Some(replaced) = replaced {
            // This fails only on file systems without modes, where there is no mode to keep.
            let _ = to.file().set_permissions(replaced.permissions());
        }
        Ok(Self(to))
    }

    fn beside(place: &Path, existing: Existing) -> io::Result<To> {
        let (folder, place) = (folder_of(place), place.to_owned());
        if fs::metadata(folder).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let why = format!("there is no folder {}: make it first", folder.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        #[cfg(target_os = "linux")]
        if let Some(file) = unnamed::create(folder) {
            return Ok(To::Unnamed { file, place, existing });
        }
        // Only the kind is kept: the whole error would name the temporary file, which the user does
        // not know.
        let file = readable_by_all().tempfile_in(folder).map_err(|error| error.kind())?;
        Ok(To::Named { file, place, existing })
    }

    /// Makes the result appear at its destination.
    ///
    /// # Errors
    /// If it cannot be put there; a file that existed before remains unchanged.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        match self.0 {
            #[cfg(target_os = "linux")]
            To::Unnamed { file, place, existing } => unnamed::put_in_place(&file, &place, existing),
            To::Named { file, place, existing: Existing::Replace } => {
                file.persist(place).map(drop).map_err(|error| error.error)
            }
            To::Named { file, place, existing: Existing::Keep } => {
                file.persist_noclobber(place).map(drop).map_err(|error| error.error)
            }
            To::Through(_) => Ok(()),
        }
    }
}

impl To {
    fn file(&self) -> &File {
        match self {
            #[cfg(target_os = "linux")]
            Self::Unnamed { file, .. } => file,
            Self::Named { file, .. } => file.as_file(),
            Self::Through(file) => file,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.file().flush()
    }
}

/// Writes `bytes` to `path`. If the write of a regular file is interrupted, the previous file
/// remains.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut output = Output::create(path, Existing::Replace)?;
    output.write_all(bytes)?;
    output.finish()
}

/// Checks, before any work is done, whether a result can be written to `path`. The check leaves no
/// file there. A pipe is opened and stays open for the result, because its reader would take a
/// close as the end of the data.
pub fn check_writable(path: &Path, existing: Existing) -> io::Result<()> {
    match place_of(path)? {
        Place::Through(place) => through::check(&place),
        Place::File { .. } => Output::create(path, existing).map(drop),
    }
}

/// Whether `path` leads to something that is written into, such as a device or a pipe, and not to a
/// place where a regular file appears.
///
/// # Errors
/// If it leads to a folder or a socket, or cannot be examined.
pub fn is_written_into(path: &Path) -> io::Result<bool> {
    place_of(path).map(|place| matches!(place, Place::Through(_)))
}

/// The destination of a path, after all links were followed.
enum Place {
    /// A regular file, or a place where no file exists yet.
    File { place: PathBuf, replaced: Option<fs::Metadata> },
    /// Something that is written into.
    Through(PathBuf),
}

fn place_of(path: &Path) -> io::Result<Place> {
    let names_a_folder = path.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
    let mut place = path.to_owned();
    for _ in 0..MOST_LINKS {
        if is_open_file(&place) {
            // The path names an open file of a process, or nothing: no file can be made there.
            if fs::metadata(&place)?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            return Ok(Place::Through(place));
        }
        match fs::symlink_metadata(&place) {
            Ok(found) if found.is_symlink() => {
                let target = fs::read_link(&place)?;
                place = place.parent().unwrap_or(Path::new("")).join(target);
            }
            Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if found.is_file() => {
                return Ok(Place::File { place, replaced: Some(found) });
            }
            Ok(found) if is_socket(&found) => {
                return Err(io::Error::other("it is a socket: name a file or a pipe instead"));
            }
            Ok(_) => return Ok(Place::Through(place)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) if names_a_folder => return Err(io::ErrorKind::IsADirectory.into()),
            Err(_) => return Ok(Place::File { place, replaced: None }),
        }
    }
    Err(io::Error::other("it leads through links that never end"))
}

fn folder_of(place: &Path) -> &Path {
    place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether this path names a file that a process has open. Other programs write to such a file too,
/// so it is never replaced.
fn is_open_file(place: &Path) -> bool {
    place.starts_with("/proc") || place.starts_with("/dev/fd")
}

#[cfg(unix)]
fn is_socket(found: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&found.file_type())
}

#[cfg(not(unix))]
fn is_socket(_: &fs::Metadata) -> bool {
    false
}

/// Destinations that are not regular files.
#[cfg(unix)]
mod through {
    use std::fs::{self, File};
    use std::io;
    use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use rustix::fs::{Access, AtFlags, CWD, OFlags, accessat, fcntl_getfl, fcntl_setfl};
    use rustix::io::Errno;

    /// How long to wait for the reader of a pipe, which may start at the same time as this process.
    const MOST_WAIT: Duration = Duration::from_secs(1);
    const POLL: Duration = Duration::from_millis(20);

    const NO_READER: &str = "it is a pipe that no program reads from: start its reader first";

    /// Pipes that were opened before their results existed.
    static HELD: Mutex<Vec<(PathBuf, File)>> = Mutex::new(Vec::new());

    /// Refuses a destination that cannot be written into, such as a pipe that no program reads.
    pub(super) fn check(place: &Path) -> io::Result<()> {
        if fs::metadata(place)?.file_type().is_fifo() {
            let pipe = (place.to_owned(), open_anew(place)?);
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(pipe);
            return Ok(());
        }
        // Opening a device can have an effect, such as rewinding a tape.
        Ok(accessat(CWD, place, Access::WRITE_OK, AtFlags::EACCESS)?)
    }

    pub(super) fn open(place: &Path) -> io::Result<File> {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = held.iter().position(|(one, _)| one == place) {
            return Ok(held.swap_remove(at).1);
        }
        drop(held);
        open_anew(place)
    }

    fn open_anew(place: &Path) -> io::Result<File> {
        let began = Instant::now();
        // Append, so that an open file keeps what other programs have written to it.
        let mut options = File::options();
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        options.append(true).custom_flags(flags.bits().cast_signed());
        loop {
            match options.open(place) {
                Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                    if began.elapsed() > MOST_WAIT {
                        return Err(io::Error::other(NO_READER));
                    }
                    std::thread::sleep(POLL);
                }
                Err(error) => return Err(error),
                Ok(file) => {
                    // Writing may wait for a slow reader; only opening must not wait.
                    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
                    return Ok(file);
                }
            }
        }
    }
}

#[cfg(not(unix))]
mod through {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) fn check(_: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn open(place: &Path) -> io::Result<File> {
        File::options().append(true).open(place)
    }
}

/// Makes files with the permissions that the user's umask leaves. Without this, a temporary file
/// could be read by its owner only.
pub fn readable_by_all() -> tempfile::Builder<'static, 'static> {
    #[allow(unused_mut, reason = "only Unix has such rights")]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

/// Files that have no name until they are complete.
#[cfg(target_os = "linux")]
mod unnamed {
    use std::ffi::{OsStr, OsString};
    use std::fs::{self, File, TryLockError};
    use std::io;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    use std::path::{Path, PathBuf};
    use std::time::{Duration, Instant};

    use rustix::fs::{AtFlags, CWD, OFlags, linkat};

    use super::{Existing, folder_of};

    /// How long a process waits for the folder's lock, which another program may hold for ever.
    const MOST_WAIT: Duration = Duration::from_secs(5);
    const POLL: Duration = Duration::from_millis(1);
    /// The most attempts at the two steps that replace a file.
    const MOST_TRIES: usize = 100;

    /// Makes a file without a name. `None` if the file system does not support this, or the file
    /// could not be given a name later.
    pub(super) fn create(folder: &Path) -> Option<File> {
        let mut options = File::options();
        let unnamed = OFlags::TMPFILE.bits().cast_signed();
        options.read(true).write(true).mode(0o666).custom_flags(unnamed);
        options.open(folder).ok().filter(|file| fs::symlink_metadata(open_file(file)).is_ok())
    }

    /// Gives the file its name, by a hard link. Making a link cannot replace a file, so an existing
    /// file is replaced in two steps: a link is made beside it and then renamed over it. A kill
    /// between the two leaves that link, and the next write of the same file removes it.
    pub(super) fn put_in_place(file: &File, place: &Path, existing: Existing) -> io::Result<()> {
        let link = |to: &Path| {
            let linked = linkat(CWD, open_file(file), CWD, to, AtFlags::SYMLINK_FOLLOW);
            linked.map_err(io::Error::from)
        };
        match link(place) {
            Err(error) if is_there(&error) && existing == Existing::Replace => {}
            linked => return linked,
        }
        let beside = beside(place);
        let _turn = turn(folder_of(place));
        let mut tries = 0;
        loop {
            tries += 1;
            if fs::symlink_metadata(&beside).is_ok_and(|found| found.is_file()) {
                let _ = fs::remove_file(&beside);
            }
            match link(&beside).and_then(|()| fs::rename(&beside, place)) {
                // Without a working lock, another process may have been between its two steps: try
                // again.
                Err(error) if is_of_another(&error) && tries < MOST_TRIES => {}
                Err(error) => {
                    let _ = fs::remove_file(&beside);
                    return Err(error);
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    fn is_there(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::AlreadyExists
    }

    fn is_of_another(error: &io::Error) -> bool {
        is_there(error) || error.kind() == io::ErrorKind::NotFound
    }

    /// Locks the folder, so that no other process enters the two steps meanwhile. Such a process
    /// would take the link for one that a kill left behind, and remove it. `None` if locks do not
    /// work, or another program holds the lock.
    fn turn(folder: &Path) -> Option<File> {
        let folder = File::open(folder).ok()?;
        let began = Instant::now();
        loop {
            match folder.try_lock() {
                Ok(()) => return Some(folder),
                Err(TryLockError::WouldBlock) if began.elapsed() < MOST_WAIT => {
                    std::thread::sleep(POLL);
                }
                Err(_) => return None,
            }
        }
    }

    /// The path in `/proc` of an open file.
    fn open_file(file: &File) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }

    /// The path of the link: for `out.png`, it is `.out.png.preheat-` and a hash. No other program
    /// gives a file such a name, so a file that has it was made by preheat.
    fn beside(place: &Path) -> PathBuf {
        /// A file name has at most 255 bytes.
        const MOST_BYTES: usize = 200;
        let name = place.file_name().unwrap_or_default().as_bytes();
        let hash = blake3::derive_key("preheat 2026 the link beside an output", name);
        let letters = blake3::Hash::from(hash).to_hex();
        let mut beside = OsString::from(".");
        beside.push(OsStr::from_bytes(&name[..name.len().min(MOST_BYTES)]));
        beside.push(".preheat-");
        beside.push(&letters[..16]);
        place.with_file_name(beside)
    }

    #[cfg(test)]
    #[test]
    fn what_a_kill_between_two_steps_left_is_removed_and_the_users_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for users in ["out", ".out.preheat", ".out.preheat-0123456789abcdef"] {
            fs::write(at(users), "mine").unwrap();
        }
        let left = beside(&at("out"));
        fs::write(&left, "half").unwrap();
        super::write_whole(&at("out"), b"new").unwrap();
        assert!(!left.exists());
        assert_eq!(fs::read_to_string(at("out")).unwrap(), "new");
        for users in [".out.preheat", ".out.preheat-0123456789abcdef"] {
            assert_eq!(fs::read_to_string(at(users)).unwrap(), "mine");
        }
        // Two names of the greatest length that differ only at their ends have different links.
        let long = |end: &str| at(&format!("{}{end}", "x".repeat(254)));
        assert_ne!(beside(&long("1")), beside(&long("2")));
        for content in ["old", "new"] {
            super::write_whole(&long("1"), content.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_and_nothing_is_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut output = Output::create(&path, Existing::Replace).unwrap();
        output.write_all(b"half").unwrap();
        #[cfg(target_os = "linux")]
        assert_eq!(names(folder.path()), Vec::<String>::new(), "a kill would leave nothing");
        drop(output);
        assert_eq!(names(folder.path()), Vec::<String>::new());
        for content in ["one", "two"] {
            write_whole(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(names(folder.path()), ["out"]);
        }
        check_writable(&path, Existing::Replace).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        let kept = Output::create(&path, Existing::Keep).unwrap_err();
        assert_eq!(kept.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept_where_that_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let output = Output::create(&path, Existing::Keep).unwrap();
        fs::write(&path, "another's").unwrap();
        assert_eq!(output.finish().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn writers_of_one_file_at_the_same_time_leave_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let path = &path;
                let write = move |_| write_whole(path, &[writer; 5000]).unwrap();
                scope.spawn(move || (0..50).for_each(write));
            }
        });
        let content = fs::read(&path).unwrap();
        assert!(content.len() == 5000 && content.iter().all(|byte| *byte == content[0]));
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    #[cfg(unix)]
    fn links_are_followed_and_a_mode_is_kept() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("elsewhere")).unwrap();
        symlink("elsewhere/target", at("link")).unwrap();
        symlink("link", at("link to link")).unwrap();
        for content in ["made", "replaced"] {
            write_whole(&at("link to link"), content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(at("elsewhere/target")).unwrap(), content);
            fs::set_permissions(at("elsewhere/target"), fs::Permissions::from_mode(0o640)).unwrap();
        }
        write_whole(&at("link"), b"again").unwrap();
        let mode = fs::metadata(at("elsewhere/target")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        symlink("around", at("around")).unwrap();
        assert!(write_whole(&at("around"), b"").unwrap_err().to_string().contains("never end"));
        for folder in ["elsewhere", "elsewhere/", "nowhere/"] {
            let refused = check_writable(&at(folder), Existing::Replace).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::IsADirectory);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_no_regular_file_is_written_into() {
        use std::os::fd::AsRawFd as _;
        let folder = tempfile::tempdir().unwrap();
        assert!(is_written_into(Path::new("/dev/null")).unwrap());
        write_whole(Path::new("/dev/null"), b"gone").unwrap();
        // An open file keeps its earlier content, even if it is a regular file.
        let mut open = File::create(folder.path().join("log")).unwrap();
        open.write_all(b"before ").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(format!("/proc/self/fd/{}", open.as_raw_fd()), &link).unwrap();
        write_whole(&link, b"after").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("log")).unwrap(), "before after");
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(write_whole(&socket, b"").unwrap_err().to_string().contains("socket"));
    }
}
