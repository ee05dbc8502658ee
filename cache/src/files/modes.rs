//! Which modes and which group do a store's folders and files have? In a private store, only their
//! owner may write to them; in a shared store, the group of the store's folder may write, too.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use cap_std::fs::{Dir, DirBuilder, Metadata, OpenOptions};

use super::{Folder, is_absent};
use crate::layout::Layout;
use crate::trust::Trust;

impl Folder {
    /// Sets the modes that the store's trust requires, on the file or folder at `path` and on all
    /// below it. Users who are not trusted lose the right to write. In a shared store, the group of
    /// the store's folder gets this right. Files and folders of other users, links, and files with
    /// names that a store does not give are left as they are.
    pub(crate) fn settle_modes(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = self.parent(path)?;
        let metadata = folder.symlink_metadata(name)?;
        if metadata.is_symlink() || !Layout::is_known(path) {
            return Ok(());
        }
        self.join_group(&folder, name, &metadata)?;
        settle(&folder, name, &metadata, self.trust)?;
        if metadata.is_dir() {
            for path in self.entries(path)? {
                match self.settle_modes(&path) {
                    // Another process has just removed or renamed it.
                    Err(error) if is_absent(&error) => {}
                    other => other?,
                }
            }
        }
        Ok(())
    }

    /// In a shared store, gives one file or folder of this user to the group of the store's folder,
    /// since the members of this group are trusted, and members of another group perhaps are not.
    /// If the system does not allow this, the file keeps its group, and other users get an error
    /// when they read it.
    #[cfg(unix)]
    fn join_group(&self, folder: &Dir, name: &OsStr, metadata: &Metadata) -> io::Result<()> {
        use cap_std::fs::MetadataExt as _;
        use rustix::fs::{AtFlags, Gid, chownat};
        let gid = self.metadata()?.gid();
        let mine = metadata.uid() == rustix::process::geteuid().as_raw();
        if self.trust != Trust::Shared || !mine || metadata.gid() == gid {
            return Ok(());
        }
        let group = Some(Gid::from_raw(gid));
        if let Err(error) = chownat(folder, name, None, group, AtFlags::SYMLINK_NOFOLLOW) {
            tracing::debug!(?name, gid, %error, "a file of a shared store keeps another group");
        }
        Ok(())
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "there are no groups here")]
    fn join_group(&self, _folder: &Dir, _name: &OsStr, _metadata: &Metadata) -> io::Result<()> {
        Ok(())
    }

    /// The mode of a folder of this user to which untrusted users may write, and the mode that
    /// [`settle_modes`](Self::settle_modes) would give it. `None` for any other folder, and in a
    /// shared store. An empty path stands for the store's folder.
    #[cfg(unix)]
    pub(crate) fn tightened(&self, path: &Path) -> Option<(u32, u32)> {
        use cap_std::fs::MetadataExt as _;
        let opened = self.folder(path).ok()?;
        let metadata = opened.dir_metadata().ok()?;
        let mode = metadata.mode() & 0o7777;
        let tightened = tightened(mode);
        let mine = metadata.uid() == rustix::process::geteuid().as_raw();
        let loses = self.trust == Trust::Private && mine && mode != tightened;
        let untrusted = || self.check(path, &metadata, &*opened).is_err();
        (loses && untrusted()).then_some((mode, tightened))
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_self, reason = "there are no modes here")]
    pub(crate) fn tightened(&self, _path: &Path) -> Option<(u32, u32)> {
        None
    }

    /// Sets the mode of the store's folder itself, as [`settle_modes`](Self::settle_modes) does for
    /// the files and folders in it.
    pub(crate) fn settle_own_mode(&self) -> io::Result<()> {
        settle(&self.dir, OsStr::new("."), &self.metadata()?, self.trust)
    }

    /// Sets the mode of a new file; the umask still applies.
    pub(super) fn with_mode(&self, options: &mut OpenOptions) {
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt as _;
            options.mode(match self.trust {
                Trust::Private => 0o644,
                Trust::Shared => 0o660,
            });
        }
        #[cfg(not(unix))]
        let _ = options;
    }

    /// Restores the group's rights that the umask removed from a file of this user, in a shared
    /// store.
    pub(super) fn widen(&self, file: &File) -> io::Result<()> {
        #[cfg(unix)]
        if self.trust == Trust::Shared {
            use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
            let metadata = file.metadata()?;
            let mine = metadata.uid() == rustix::process::geteuid().as_raw();
            if mine && metadata.mode() & 0o777 != 0o660 {
                file.set_permissions(std::fs::Permissions::from_mode(0o660))?;
            }
        }
        #[cfg(not(unix))]
        let _ = file;
        Ok(())
    }
}

/// Makes one folder with the mode that `trust` requires.
pub(crate) fn make_folder(within: &Dir, name: &OsStr, trust: Trust) -> io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    {
        use cap_std::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    within.create_dir_with(name, &builder)?;
    if trust == Trust::Shared {
        settle(within, name, &within.symlink_metadata(name)?, trust)?;
    }
    Ok(())
}

/// Gives one file or folder of this user the mode that `trust` requires.
#[cfg(unix)]
fn settle(within: &Dir, name: &OsStr, metadata: &Metadata, trust: Trust) -> io::Result<()> {
    use cap_std::fs::{MetadataExt as _, Permissions, PermissionsExt as _};
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let mode = metadata.mode() & 0o7777;
    let wanted = match (trust, metadata.is_dir()) {
        (Trust::Private, _) => tightened(mode),
        (Trust::Shared, true) => 0o2770,
        (Trust::Shared, false) => 0o660,
    };
    if mode == wanted {
        return Ok(());
    }
    within.set_permissions(name, Permissions::from_mode(wanted))
}

/// The mode without the right to write for the group and for all others.
#[cfg(unix)]
fn tightened(mode: u32) -> u32 {
    mode & !0o022
}

#[cfg(not(unix))]
fn settle(_within: &Dir, _name: &OsStr, _metadata: &Metadata, _trust: Trust) -> io::Result<()> {
    Ok(())
}
