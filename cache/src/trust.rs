//! Who could have written a file that is about to be run?
//!
//! A checksum finds damage but not malice: a user who may write to a store can write machine code
//! together with its right hashes. So the answer comes from the file system. Machine code is used
//! only from folders and files that belong to the user of this process or to root. No other user
//! may have the right to write to them, by their mode or by their access list. A store is shared
//! between users only if they choose so ([`Trust::Shared`]). The users of a shared store trust
//! everybody who may write to its folder, and nobody else.
//!
//! Folders above the store are not checked: somebody who can replace the store's folder cannot make
//! the replacement belong to this user.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Metadata;

mod acl;
#[cfg(unix)]
mod group;

#[cfg(test)]
pub(crate) use acl::tests::list_with;

/// Whose machine code a store may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// Only the machine code of this user and of root: nobody else may write to the store. Folders
    /// are made with the mode 0700.
    #[default]
    Private,
    /// Also the machine code of everybody in the group of the store's folder, and of everybody to
    /// whom its access list gives the right to write. Folders are made with the mode 2770, files
    /// with 0660.
    Shared,
}

/// Why machine code from a folder or a file is not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} {reason}")]
#[non_exhaustive]
pub struct Distrust {
    /// The folder or the file.
    pub path: PathBuf,
    /// Who else could have written it.
    pub reason: DistrustReason,
}

/// Who else could have written a folder or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DistrustReason {
    /// It belongs to another user.
    Owner(u32),
    /// A group that has other members, or unknown ones, may write to it. In a shared store, this is
    /// a group that may not write to the store's folder.
    Group(u32),
    /// Another user may write to it, by its access list.
    User(u32),
    /// Every user of the machine may write to it.
    Everyone,
}

impl fmt::Display for DistrustReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(uid) => write!(formatter, "belongs to another user (uid {uid})"),
            Self::Group(gid) => write!(formatter, "can be written by a group (gid {gid})"),
            Self::User(uid) => {
                write!(formatter, "can be written by another user (uid {uid}, by its access list)")
            }
            Self::Everyone => write!(formatter, "can be written by every user"),
        }
    }
}

/// A user or a group that has the right to write, apart from the owner and from "all users".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    User(u32),
    Group(u32),
}

/// An open folder or file.
#[cfg(unix)]
pub(crate) trait Handle: std::os::fd::AsFd {}
#[cfg(unix)]
impl<T: std::os::fd::AsFd> Handle for T {}

/// An open folder or file.
#[cfg(not(unix))]
pub(crate) trait Handle {}
#[cfg(not(unix))]
impl<T> Handle for T {}

/// The owner, the mode and the access list of a folder or a file.
pub(crate) struct Told<'a, H> {
    pub(crate) metadata: &'a Metadata,
    pub(crate) handle: &'a H,
}

impl<H: Handle> Told<'_, H> {
    fn writers(&self) -> Vec<Writer> {
        writers(self.metadata, || acl::of(self.handle))
    }

    /// The users and groups that share the store; `self` is the store's folder.
    fn sharing(&self) -> Vec<Writer> {
        let mut sharing = self.writers();
        #[cfg(unix)]
        sharing.push(Writer::Group(cap_std::fs::MetadataExt::gid(self.metadata)));
        sharing
    }
}

impl Trust {
    /// Refuses a folder or file that somebody else could have written to. `folder` is the store's
    /// folder.
    pub(crate) fn check(
        self,
        path: impl FnOnce() -> PathBuf,
        told: &Told<'_, impl Handle>,
        folder: &Told<'_, impl Handle>,
    ) -> io::Result<()> {
        match self.reason(told.metadata, || told.writers(), || folder.sharing()) {
            None => Ok(()),
            Some(reason) => {
                let distrust = Distrust { path: path(), reason };
                Err(io::Error::new(io::ErrorKind::PermissionDenied, distrust))
            }
        }
    }

    /// `writers` gives the users and groups that may write to the folder or file, and `sharing`
    /// gives the users and groups that may write to the store's folder.
    #[cfg(unix)]
    fn reason(
        self,
        metadata: &Metadata,
        writers: impl FnOnce() -> Vec<Writer>,
        sharing: impl FnOnce() -> Vec<Writer>,
    ) -> Option<DistrustReason> {
        use cap_std::fs::MetadataExt as _;
        let (uid, mode) = (metadata.uid(), metadata.mode());
        if mode & 0o002 != 0 {
            return Some(DistrustReason::Everyone);
        }
        let me = rustix::process::geteuid().as_raw();
        if self == Self::Private && uid != me && uid != 0 {
            return Some(DistrustReason::Owner(uid));
        }
        // On many systems, each user has a group of their own, and a umask of 0002 lets this group
        // write. Such a group counts as its user.
        let of_one = |gid| group::is_of_one_user(gid, uid) || group::is_of_one_user(gid, me);
        let mut others = writers();
        others.retain(|writer| match writer {
            Writer::User(user) => *user != uid && *user != me && *user != 0,
            Writer::Group(gid) => !of_one(*gid),
        });
        if self == Self::Shared && !others.is_empty() {
            let sharing = sharing();
            others.retain(|writer| !sharing.contains(writer));
        }
        others.first().map(|writer| match writer {
            Writer::User(uid) => DistrustReason::User(*uid),
            Writer::Group(gid) => DistrustReason::Group(*gid),
        })
    }

    /// On other systems, the access lists of a user's profile keep other users out, and the mode
    /// says nothing about them.
    #[cfg(not(unix))]
    fn reason(
        self,
        _metadata: &Metadata,
        _writers: impl FnOnce() -> Vec<Writer>,
        _sharing: impl FnOnce() -> Vec<Writer>,
    ) -> Option<DistrustReason> {
        None
    }
}

/// The users and groups that may write, by the mode and the access list, without the owner and
/// without "everybody".
#[cfg(unix)]
fn writers(metadata: &Metadata, acl: impl FnOnce() -> Option<Vec<u8>>) -> Vec<Writer> {
    use cap_std::fs::MetadataExt as _;
    // If there is an access list, these bits are its mask: without them, the list gives nobody the
    // right to write.
    if metadata.mode() & 0o020 == 0 {
        return Vec::new();
    }
    let group = metadata.gid();
    acl().and_then(|list| acl::writers(&list, group)).unwrap_or_else(|| vec![Writer::Group(group)])
}

#[cfg(not(unix))]
fn writers(_metadata: &Metadata, _acl: impl FnOnce() -> Option<Vec<u8>>) -> Vec<Writer> {
    Vec::new()
}

impl Distrust {
    /// The reason in an error that [`Trust::check`] returned.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Which other user or group, besides this user and root, could have written the file or folder
    /// at `path`. Links are followed. `None` if nobody else could have written it, or if the system
    /// does not tell.
    pub fn of_path(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok().map(Metadata::from_just_metadata)?;
        let writers = || writers(&metadata, || acl::of_path(path));
        let reason = Trust::Private.reason(&metadata, writers, Vec::new)?;
        Some(Self { path: path.to_owned(), reason })
    }
}
