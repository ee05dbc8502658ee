//! Who could have written a file that is about to be run?
//!
//! A checksum finds damage and not malice: whoever may write to a store can also write the hashes
//! that go with his machine code. So the answer comes from the file system: machine code is taken
//! from folders and files that belong to the user of this process or to root, and that nobody else
//! may write. A store that several users share is a decision ([`Trust::Shared`]): its users then
//! trust everybody who may write to it.
//!
//! Folders above the store are not looked at: somebody who can only replace the store's folder cannot
//! change the owner of the replacement.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Metadata;

/// Whose machine code a store may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// That of this user and of root: nobody else may write to the store. Folders are made with the
    /// mode 0700.
    #[default]
    Private,
    /// That of everybody who is in the group of the store's folder: folders are made with the mode
    /// 2770, files with 0660.
    Shared,
}

/// Why machine code from a folder or a file is not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} {reason}")]
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
    /// A group that has other members, or unknown ones, may write it.
    Group(u32),
    /// Every user of the machine may write it.
    Everyone,
}

impl fmt::Display for DistrustReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(uid) => write!(formatter, "belongs to another user (uid {uid})"),
            Self::Group(gid) => write!(formatter, "can be written by a group (gid {gid})"),
            Self::Everyone => write!(formatter, "can be written by every user"),
        }
    }
}

impl Trust {
    /// Refuses what somebody else could have written.
    pub(crate) fn check(self, path: impl FnOnce() -> PathBuf, metadata: &Metadata) -> io::Result<()> {
        match self.reason(metadata) {
            None => Ok(()),
            Some(reason) => {
                let distrust = Distrust { path: path(), reason };
                Err(io::Error::new(io::ErrorKind::PermissionDenied, distrust))
            }
        }
    }

    #[cfg(unix)]
    fn reason(self, metadata: &Metadata) -> Option<DistrustReason> {
        use cap_std::fs::MetadataExt as _;
        let (uid, gid, mode) = (metadata.uid(), metadata.gid(), metadata.mode());
        if mode & 0o002 != 0 {
            return Some(DistrustReason::Everyone);
        }
        if self == Self::Shared {
            return None;
        }
        let me = rustix::process::geteuid().as_raw();
        if uid != me && uid != 0 {
            return Some(DistrustReason::Owner(uid));
        }
        // Where the umask is 0002, each user has a group of his own, which stands for the user.
        let of_one = || group::is_of_one_user(gid, uid) || group::is_of_one_user(gid, me);
        (mode & 0o020 != 0 && !of_one()).then_some(DistrustReason::Group(gid))
    }

    /// Elsewhere the access lists of a user's profile keep others out, and no mode tells of them.
    #[cfg(not(unix))]
    fn reason(self, _metadata: &Metadata) -> Option<DistrustReason> {
        None
    }
}

impl Distrust {
    /// The reason in an error that [`Trust::check`] made.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether anybody but this user and root could have written what lies at `path`. Links are
    /// followed. `None` where nobody could, and where nothing can be told.
    pub fn of_path(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok().map(Metadata::from_just_metadata)?;
        Trust::Private.reason(&metadata).map(|reason| Self { path: path.to_owned(), reason })
    }
}

/// The groups of this machine, as its files tell of them.
#[cfg(unix)]
mod group {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};

    use crate::files::read_small;

    /// What is read of `/etc/group` and `/etc/passwd`; a machine with more users has them in a
    /// directory service, which is not asked.
    const LIMIT_BYTES: u64 = 4 << 20;

    /// Whether a group has no member but this user. Where the machine's files do not tell of the
    /// group or the user, others may be in it.
    pub(super) fn is_of_one_user(gid: u32, uid: u32) -> bool {
        static KNOWN: Mutex<BTreeMap<(u32, u32), bool>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry((gid, uid)).or_insert_with(|| {
            let read = |path: &str| read_small(path.as_ref(), LIMIT_BYTES).unwrap_or_default();
            told_by(&read("/etc/group"), &read("/etc/passwd"), gid, uid)
        })
    }

    /// `group` has lines of `name:password:gid:member,member`, `passwd` of `name:password:uid:gid:...`.
    pub(super) fn told_by(group: &str, passwd: &str, gid: u32, uid: u32) -> bool {
        let field = |line: &str, at: usize| line.split(':').nth(at).map(str::to_owned);
        let is = |line: &str, at, number: u32| field(line, at).is_some_and(|one| one == number.to_string());
        let named: Vec<&str> = group.lines().filter(|line| is(line, 2, gid)).collect();
        let users: Vec<String> =
            passwd.lines().filter(|line| is(line, 2, uid)).filter_map(|line| field(line, 0)).collect();
        let primary = passwd.lines().filter(|line| is(line, 3, gid)).all(|line| is(line, 2, uid));
        let listed = named.iter().filter_map(|line| field(line, 3));
        let alone = listed
            .flat_map(|members| members.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>())
            .all(|member| member.is_empty() || users.contains(&member));
        // A directory service may know of more members, but not of a group that is named as its user
        // is: such a group is made for that user.
        let is_named_so = named.iter().any(|line| field(line, 0).is_some_and(|name| users.contains(&name)));
        is_named_so && primary && alone
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::group::told_by;

    const GROUP: &str = "root:x:0:\nann:x:1000:\nbob:x:1001:bob\nstaff:x:50:ann,bob\nalone:x:60:ann\nann2:x:70:\n";
    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n\
        bob:x:1001:1001::/home/bob:/bin/sh\ncarl:x:1002:60::/home/carl:/bin/sh\n";

    #[test]
    fn a_group_without_other_members_stands_for_its_user() {
        assert!(told_by(GROUP, PASSWD, 1000, 1000));
        assert!(told_by(GROUP, PASSWD, 1001, 1001), "being listed oneself changes nothing");
        assert!(!told_by(GROUP, PASSWD, 50, 1000), "bob is in it, too");
        assert!(!told_by(GROUP, PASSWD, 60, 1000), "it is the first group of carl");
        assert!(!told_by(GROUP, PASSWD, 1000, 1001), "it is the group of another user");
        assert!(!told_by(GROUP, PASSWD, 70, 1000), "others may be in it by a directory service");
        assert!(!told_by(GROUP, PASSWD, 80, 1000), "nothing is known of it");
        assert!(!told_by(GROUP, PASSWD, 1000, 4242), "nothing is known of the user");
    }
}
