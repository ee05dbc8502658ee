//! Which files does the store open and change, and how? Except for sled's own files, this module
//! opens every file that the store needs. It has one function for each kind of change, and makes
//! all changes to files, with two exceptions: `lock.rs` writes to the lock files, and
//! `store/requests.rs` to the journals of requests that were opened here.
//!
//! All paths are relative to a [`Folder`] that is held open. Each folder on the way is opened by
//! its single name, and no link is followed. So nothing outside the held folder can be reached,
//! even if somebody puts links into it. Only regular files are opened: no call waits for the other
//! end of a FIFO.
//!
//! In this crate's own tests, the functions that change the store's content record each change in
//! the module `journal` before they make it. So a test can end the process before any such change,
//! and can compute which files a power cut would leave: see `store/tests/crash.rs`. Builds that are
//! not for tests do not have this module.

pub(crate) mod anywhere;
#[cfg(test)]
pub(crate) mod journal;
mod modes;
mod new_file;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::ops::Deref;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use self::anywhere::{bounded, regular};
use cap_fs_ext::{DirExt as _, FollowSymlinks, MetadataExt as _, OpenOptionsFollowExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};
pub(crate) use modes::make_folder;
pub(crate) use new_file::NewFile;

use crate::hash::Digest;
use crate::trust::{Handle, Told, Trust};

/// How many new names are tried for a file. Whether a name is taken shows only when the file is
/// created.
const NAMES_TRIED: u32 = 100;
/// The number of letters at the end of a new file's name: enough that no two files that exist at
/// the same time get the same name by chance.
const NAME_LETTERS: usize = 10;
/// The number of letters that earlier releases used.
const OLD_NAME_LETTERS: usize = 6;

/// The folder that a path leads to: the store's own, or one that was opened on the way.
enum Within<'a> {
    Held(&'a Dir),
    Opened(Dir),
}

impl Deref for Within<'_> {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        match self {
            Self::Held(folder) => folder,
            Self::Opened(folder) => folder,
        }
    }
}

/// The folder of a store, held open.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: Dir,
    /// The path where the folder was found. It is for messages, and for sled, which opens its files
    /// by itself.
    path: PathBuf,
    trust: Trust,
}

impl Folder {
    /// Opens the folder at `path`. Links on the way are followed, since the user chose the path.
    pub(crate) fn open(path: &Path, trust: Trust) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self { dir, path: path.to_owned(), trust })
    }

    /// Opens the folder `name` in this folder.
    pub(crate) fn within(&self, name: &str) -> io::Result<Self> {
        let dir = self.dir.open_dir_nofollow(name)?;
        Ok(Self { dir, path: self.path.join(name), trust: self.trust })
    }

    /// The path where the folder was found.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The full path of something in the folder, for a message.
    pub(crate) fn full(&self, path: &Path) -> PathBuf {
        self.path.join(path)
    }

    /// Which users' files the folder may hold.
    pub(crate) fn trust(&self) -> Trust {
        self.trust
    }

    /// The system's metadata of the folder itself.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        self.dir.dir_metadata()
    }

    /// Refuses the folder if a user who is not trusted could have written to it.
    pub(crate) fn check_trust(&self) -> io::Result<()> {
        self.check(Path::new(""), &self.metadata()?, &self.dir)
    }

    /// Refuses a file or folder that was opened in this folder if a user who is not trusted could
    /// have written to it.
    fn check(&self, path: &Path, metadata: &Metadata, handle: &impl Handle) -> io::Result<()> {
        let own = self.metadata()?;
        let folder = Told { metadata: &own, handle: &self.dir };
        let full = || if path.as_os_str().is_empty() { self.path.clone() } else { self.full(path) };
        self.trust.check(full, &Told { metadata, handle }, &folder)
    }

    /// Whether the members of the folder's group may already write to it.
    pub(crate) fn is_shared(&self) -> bool {
        #[cfg(unix)]
        {
            use cap_std::fs::MetadataExt as _;
            self.metadata().is_ok_and(|metadata| metadata.mode() & 0o070 == 0o070)
        }
        #[cfg(not(unix))]
        true
    }

    /// Whether the folder's path still leads to it: somebody may have removed or exchanged it.
    pub(crate) fn is_still_there(&self) -> bool {
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let named =
            std::fs::metadata(&self.path).ok().map(Metadata::from_just_metadata).map(identity);
        named.is_some() && named == self.metadata().ok().map(identity)
    }

    /// Opens a regular file for reading. Refuses a file that a user who is not trusted could have
    /// written.
    pub(crate) fn read(&self, path: &Path) -> io::Result<File> {
        let folder = self.trusted_folder(path.parent().unwrap_or(Path::new("")))?;
        let file = open_regular(&folder, last_name(path)?, OpenOptions::new().read(true))?;
        self.check(path, &Metadata::from_file(&file)?, &file)?;
        Ok(file)
    }

    /// Makes a folder, unless something is there already. Refuses a folder that a user who is not
    /// trusted could have written to.
    pub(crate) fn create_trusted_folder(&self, path: &Path) -> io::Result<()> {
        if self.look(path).is_err_and(|error| is_absent(&error)) {
            self.create_folder(path)?;
        }
        if self.is_folder(path) { self.trusted_folder(path).map(drop) } else { Ok(()) }
    }

    /// The content of a small file; a file that is longer than `limit_bytes` is refused.
    pub(crate) fn read_small(&self, path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
        bounded(self.read(path)?, limit_bytes)
    }

    /// The content of a small file that any user may have written. Callers use it only to make a
    /// decision, never as machine code.
    pub(crate) fn read_any_small(&self, path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
        bounded(self.open_any(path)?, limit_bytes)
    }

    /// Opens a lock file, and creates it if it is missing.
    pub(crate) fn open_lock(&self, path: &Path) -> io::Result<File> {
        let (folder, name) = self.parent(path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        self.with_mode(&mut options);
        let file = open_regular(&folder, name, &mut options)?;
        self.widen(&file)?;
        Ok(file)
    }

    /// Opens a regular file to see whether its lock is held. It may belong to any user.
    pub(crate) fn open_any(&self, path: &Path) -> io::Result<File> {
        let (folder, name) = self.parent(path)?;
        open_regular(&folder, name, OpenOptions::new().read(true))
    }

    /// The paths of everything in a folder, relative to this folder; empty if the folder is
    /// missing.
    pub(crate) fn entries(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let folder = match self.folder(path) {
            Ok(folder) => folder,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let entries = folder.entries()?;
        Ok(entries.filter_map(|entry| Some(path.join(entry.ok()?.file_name()))).collect())
    }

    /// The system's metadata of a path. If the path is a link, the metadata describes the link, not
    /// its target.
    pub(crate) fn look(&self, path: &Path) -> io::Result<Metadata> {
        let (folder, name) = self.parent(path)?;
        folder.symlink_metadata(name)
    }

    pub(crate) fn is_file(&self, path: &Path) -> bool {
        self.look(path).is_ok_and(|metadata| metadata.is_file())
    }

    pub(crate) fn is_folder(&self, path: &Path) -> bool {
        self.look(path).is_ok_and(|metadata| metadata.is_dir())
    }

    /// The length of a file, or of all files in a folder.
    pub(crate) fn bytes_below(&self, path: &Path) -> u64 {
        match self.look(path) {
            Ok(metadata) if metadata.is_dir() => self
                .entries(path)
                .unwrap_or_default()
                .iter()
                .map(|path| self.bytes_below(path))
                .sum(),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        }
    }

    /// Whether a path still names the open `file`.
    pub(crate) fn names(&self, path: &Path, file: &File) -> bool {
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let named = self.look(path).ok().map(identity);
        named.is_some() && named == Metadata::from_file(file).ok().map(identity)
    }

    /// Makes a folder and all missing folders above it.
    pub(crate) fn create_folder(&self, path: &Path) -> io::Result<()> {
        if self.is_folder(path) {
            return Ok(());
        }
        #[cfg(test)]
        journal::note(|| journal::Change::Folder(self.full(path)));
        let mut made = PathBuf::new();
        for name in path.components() {
            made.push(name);
            let (folder, name) = self.parent(&made)?;
            match make_folder(&folder, name, self.trust) {
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && self.is_folder(&made) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Creates a file in the folder at `path`, with a new name that begins with `prefix`. The file
    /// is removed when the [`NewFile`] is dropped, unless it was given a final name by then.
    pub(crate) fn create(self: &Arc<Self>, path: &Path, prefix: &str) -> io::Result<NewFile> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        self.with_mode(&mut options);
        for _ in 0..NAMES_TRIED {
            let path = path.join(format!("{prefix}{}", letters()));
            let (folder, name) = self.parent(&path)?;
            match open_regular(&folder, name, &mut options) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    #[cfg(test)]
                    journal::note(|| journal::Change::Created(self.full(&path)));
                    let file = NewFile { folder: Arc::clone(self), path, file, stays: false };
                    self.widen(&file.file)?;
                    return Ok(file);
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "every new name is taken"))
    }

    /// Creates an empty file unless it exists; returns whether it was created.
    pub(crate) fn mark(&self, path: &Path) -> io::Result<bool> {
        #[cfg(test)]
        journal::note(|| journal::Change::Created(self.full(path)));
        let (folder, name) = self.parent(path)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        self.with_mode(&mut options);
        match open_regular(&folder, name, &mut options) {
            Ok(file) => self.widen(&file).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a small file unless it exists, and syncs it before anything else is written.
    pub(crate) fn write_first(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        if !self.mark(path)? {
            return Ok(());
        }
        let (folder, name) = self.parent(path)?;
        let mut file = open_regular(&folder, name, OpenOptions::new().read(true).write(true))?;
        #[cfg(test)]
        journal::note(|| journal::Change::Written(self.full(path), content.to_vec()));
        file.write_all(content)?;
        #[cfg(test)]
        journal::note(|| journal::Change::Synced(self.full(path)));
        file.sync_all()?;
        self.sync_folder_of(path)
    }

    /// Moves a file or a folder.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        #[cfg(test)]
        journal::note(|| journal::Change::Renamed(self.full(from), self.full(to)));
        let (from_folder, from) = self.parent(from)?;
        let (to_folder, to) = self.parent(to)?;
        from_folder.rename(from, &to_folder, to)
    }

    /// Moves a file or a folder to a name that is free. If the name is taken, nothing is replaced,
    /// and the error is of the kind `AlreadyExists`.
    pub(crate) fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            use rustix::io::Errno;
            #[cfg(test)]
            {
                journal::note(|| journal::Change::Renamed(self.full(from), self.full(to)));
                if self.is_folder(from) {
                    journal::attempt(journal::Refused::RenamedFolder)?;
                }
            }
            let ((folder, from), (to_folder, to)) = (self.parent(from)?, self.parent(to)?);
            match renameat_with(&*folder, from, &*to_folder, to, RenameFlags::NOREPLACE) {
                // The file system or the operating system does not support this call.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                other => return Ok(other?),
            }
        }
        // The check and the move are two steps here. Processes of this release call this function
        // under a lock, so none of them takes the name between the steps.
        match self.look(to) {
            Err(error) if is_absent(&error) => self.rename(from, to),
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) => Err(error),
        }
    }

    /// Exchanges the names of two folders, or of two files, in one step. Not every file system can
    /// do so.
    pub(crate) fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        #[cfg(test)]
        {
            journal::note(|| journal::Change::Index("exchange"));
            journal::attempt(journal::Refused::Exchange)?;
        }
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            let (folder, one) = self.parent(one)?;
            let (other_folder, other) = self.parent(other)?;
            Ok(renameat_with(&*folder, one, &*other_folder, other, RenameFlags::EXCHANGE)?)
        }
        #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
        {
            let _ = (one, other);
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Whether the file system can [`exchange`](Self::exchange) names. It is tried with two new
    /// files in the folder at `path`, whose names begin with `prefix`.
    pub(crate) fn can_exchange(&self, path: &Path, prefix: &str) -> io::Result<bool> {
        let files = [(); 2].map(|()| path.join(format!("{prefix}{}", letters())));
        let [one, other] = &files;
        let tried = files.iter().try_for_each(|file| self.mark(file).map(drop));
        let tried = tried.and_then(|()| self.exchange(one, other));
        for file in &files {
            match self.remove(file) {
                Err(error) if !is_absent(&error) => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        match tried {
            Ok(()) => Ok(true),
            // Only an error of this kind says that the file system cannot exchange names. Any other
            // error may have another cause: for example, another process removed the files.
            Err(error) if is_refusal(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a file, or a link.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        #[cfg(test)]
        journal::note(|| journal::Change::Removed(self.full(path)));
        let (folder, name) = self.parent(path)?;
        folder.remove_file(name)
    }

    /// Removes an empty folder.
    pub(crate) fn remove_empty_folder(&self, path: &Path) -> io::Result<()> {
        #[cfg(test)]
        journal::note(|| journal::Change::Removed(self.full(path)));
        let (folder, name) = self.parent(path)?;
        folder.remove_dir(name)
    }

    /// Makes the names in the folder of `path` durable. Only Unix can sync a folder, and only Unix
    /// needs to. Some file systems of Unix cannot sync a folder; with these, durability depends on
    /// the file system.
    pub(crate) fn sync_folder_of(&self, path: &Path) -> io::Result<()> {
        if !cfg!(unix) {
            return Ok(());
        }
        let above = path.parent().unwrap_or(Path::new(""));
        #[cfg(test)]
        journal::note(|| journal::Change::FolderSynced(self.path.join(above)));
        let folder = self.folder(above)?;
        // The held handle may only permit looking names up, so the folder is opened again to be
        // synced.
        match folder.open(".")?.sync_all() {
            Err(error) if is_refusal(&error) => Ok(()),
            other => other,
        }
    }

    /// The folder of a path, and the path's last name.
    fn parent<'a>(&self, path: &'a Path) -> io::Result<(Within<'_>, &'a OsStr)> {
        Ok((self.folder(path.parent().unwrap_or(Path::new("")))?, last_name(path)?))
    }

    /// The folder at a path. Every folder on the way is opened by its single name.
    fn folder(&self, path: &Path) -> io::Result<Within<'_>> {
        self.walk(path, |_, _| Ok(()))
    }

    /// The folder at a path, as [`folder`](Self::folder) opens it. Fails if a user who is not
    /// trusted could have written to a folder on the way.
    fn trusted_folder(&self, path: &Path) -> io::Result<Within<'_>> {
        self.walk(path, |walked, folder| self.check(walked, &folder.dir_metadata()?, folder))
    }

    fn walk(
        &self,
        path: &Path,
        check: impl Fn(&Path, &Dir) -> io::Result<()>,
    ) -> io::Result<Within<'_>> {
        let mut at = Within::Held(&self.dir);
        let mut walked = PathBuf::new();
        for component in path.components() {
            let Component::Normal(name) = component else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the path leaves the store",
                ));
            };
            walked.push(name);
            let next = at.open_dir_nofollow(name)?;
            check(&walked, &next)?;
            at = Within::Opened(next);
        }
        Ok(at)
    }
}

/// Opens a regular file by its single name. No link is followed, and opening never waits, as it
/// would for a FIFO.
fn open_regular(folder: &Dir, name: &OsStr, options: &mut OpenOptions) -> io::Result<File> {
    options.follow(FollowSymlinks::No);
    #[cfg(unix)]
    {
        use cap_std::fs::OpenOptionsExt as _;
        options
            .custom_flags(i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default());
    }
    let file = folder.open_with(name, options)?.into_std();
    regular(file)
}

fn last_name(path: &Path) -> io::Result<&OsStr> {
    path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names nothing"))
}

/// Whether an error says that there is nothing at a path.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether an error says that the file system or the operating system does not support the call.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// Letters that are different at each call.
pub(crate) fn letters() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let number = RandomState::new().hash_one(std::process::id());
    Digest::of(&number.to_le_bytes()).to_string().chars().take(NAME_LETTERS).collect()
}

/// Whether the end of a name is one that [`Folder::create`] makes up, or that earlier releases made
/// up.
pub(crate) fn is_made_up(letters: &str) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    match letters.len() {
        NAME_LETTERS => letters.bytes().all(is_hex),
        OLD_NAME_LETTERS => letters.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        _ => false,
    }
}

/// The last name of a path, as text.
pub(crate) fn name_of(path: &Path) -> Option<&str> {
    path.file_name().and_then(OsStr::to_str)
}

/// The names in a folder that is not a store yet.
pub(crate) fn names_in(folder: &Folder) -> io::Result<Vec<OsString>> {
    Ok(folder.dir.entries()?.filter_map(|entry| Some(entry.ok()?.file_name())).collect())
}

/// Records a step of the index in the journal of the tests: sled changes its files by itself, so
/// this module does not see these changes.
pub(crate) fn index_step(step: &'static str) {
    #[cfg(test)]
    journal::note(|| journal::Change::Index(step));
    #[cfg(not(test))]
    let _ = step;
}
