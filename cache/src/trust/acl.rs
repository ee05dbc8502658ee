//! Who may write a file by its access list?
//!
//! Linux keeps a POSIX access control list as an extended attribute. It has a version (4 bytes),
//! then entries, each with a kind (2 bytes), rights (2 bytes) and an id (4 bytes), all
//! little-endian (`linux/posix_acl_xattr.h`). If a file has such a list, the group's bits of its
//! mode are the list's mask. The mask limits the rights of every named user or group, and of the
//! file's own group.
//!
//! Lists of other kinds (of `NFSv4`, of macOS) are not read.

use std::path::Path;

use super::Writer;

/// The only version that Linux has ever used.
const VERSION: u32 = 2;
const ENTRY_BYTES: usize = 8;

/// Kinds of entries: a named user, the file's group, a named group, the mask. The entries of the
/// owner and of all others are not read, since the mode states the same rights.
const USER: u16 = 0x02;
const OWN_GROUP: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
/// The right to write.
const WRITE: u16 = 0x02;

/// The users and groups that may write according to a list, without the owner and "all others".
/// `own_group` is the file's group. `None` if the bytes are not a list that is understood.
pub(super) fn writers(list: &[u8], own_group: u32) -> Option<Vec<Writer>> {
    let (version, entries) = list.split_first_chunk()?;
    if u32::from_le_bytes(*version) != VERSION || entries.len() % ENTRY_BYTES != 0 {
        return None;
    }
    let entries = || entries.chunks_exact(ENTRY_BYTES).filter_map(entry);
    let is_masked = entries().any(|(kind, rights, _)| kind == MASK && rights & WRITE == 0);
    if is_masked {
        return Some(Vec::new());
    }
    let writers = entries().filter(|(_, rights, _)| rights & WRITE != 0);
    let named = writers.filter_map(|(kind, _, id)| match kind {
        USER => Some(Writer::User(id)),
        GROUP => Some(Writer::Group(id)),
        OWN_GROUP => Some(Writer::Group(own_group)),
        _ => None,
    });
    Some(named.collect())
}

/// The kind, the rights and the id of an entry.
fn entry(bytes: &[u8]) -> Option<(u16, u16, u32)> {
    let (kind, rest) = bytes.split_first_chunk()?;
    let (rights, rest) = rest.split_first_chunk()?;
    let id = rest.first_chunk()?;
    Some((u16::from_le_bytes(*kind), u16::from_le_bytes(*rights), u32::from_le_bytes(*id)))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::os::fd::{AsFd, AsRawFd as _};
    use std::path::Path;

    use rustix::fs::{Mode, OFlags, fgetxattr, getxattr, openat};
    use rustix::io::{Errno, Result};

    const NAME: &str = "system.posix_acl_access";
    /// The length of the longest attribute that the kernel allows.
    const LIMIT_BYTES: usize = 64 << 10;

    /// The access list of an open file or folder; `None` if it has none.
    pub(super) fn of(handle: &impl AsFd) -> Option<Vec<u8>> {
        found(|list| fgetxattr(handle, NAME, list), || of_folder(handle))
    }

    /// The access list of what lies at a path. Links are followed.
    pub(super) fn of_path(path: &Path) -> Option<Vec<u8>> {
        found(|list| getxattr(path, NAME, list), || None)
    }

    /// The access list of a folder whose handle only permits looking names up.
    fn of_folder(handle: &impl AsFd) -> Option<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(handle, ".", flags, Mode::empty()) {
            Ok(folder) => found(|list| fgetxattr(&folder, NAME, list), || None),
            // This user may look names up in the folder, but not list them.
            Err(_) => of_path(Path::new(&format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd()))),
        }
    }

    fn found(
        ask: impl FnOnce(&mut [u8]) -> Result<usize>,
        otherwise: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let mut list = vec![0; LIMIT_BYTES];
        match ask(&mut list) {
            Ok(length) => {
                list.truncate(length);
                Some(list)
            }
            Err(Errno::BADF) => otherwise(),
            // The file has no list, or the file system does not support access lists.
            Err(_) => None,
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    pub(super) fn of(_handle: &impl super::super::Handle) -> Option<Vec<u8>> {
        None
    }

    pub(super) fn of_path(_path: &std::path::Path) -> Option<Vec<u8>> {
        None
    }
}

/// The access list of an open file or folder, as the system returns it; `None` if it has none.
pub(super) fn of(handle: &impl super::Handle) -> Option<Vec<u8>> {
    system::of(handle)
}

/// The access list of the file or folder at a path, as the system returns it. Links are followed.
pub(super) fn of_path(path: &Path) -> Option<Vec<u8>> {
    system::of_path(path)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A list of entries, each given as its kind, its rights and its id.
    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut list = VERSION.to_le_bytes().to_vec();
        for (kind, rights, id) in entries {
            list.extend(kind.to_le_bytes());
            list.extend(rights.to_le_bytes());
            list.extend(id.to_le_bytes());
        }
        list
    }

    /// The id of an entry that has none.
    const NONE: u32 = u32::MAX;

    /// The list of a file that its owner may write to and that its group and all others may read,
    /// with the given mask and one more entry.
    fn with(kind: u16, rights: u16, id: u32, mask: u16) -> Vec<u8> {
        let (owner, others) = ((1, 7, NONE), (0x20, 5, NONE));
        let mut entries = [owner, (OWN_GROUP, 5, NONE), (MASK, mask, NONE), others].to_vec();
        entries.push((kind, rights, id));
        // The kernel accepts the entries in this order only.
        entries.sort_unstable();
        list(&entries)
    }

    /// The list that [`with`] makes, with a mask that limits nothing.
    pub(crate) fn list_with(kind: u16, rights: u16, id: u32) -> Vec<u8> {
        with(kind, rights, id, 7)
    }

    #[test]
    fn named_users_and_groups_write_as_far_as_the_mask_goes() {
        let of = |list: &[u8]| writers(list, 50);
        assert_eq!(of(&with(USER, 6, 7, 6)), Some(vec![Writer::User(7)]));
        assert_eq!(of(&with(GROUP, 6, 7, 7)), Some(vec![Writer::Group(7)]));
        assert_eq!(of(&with(OWN_GROUP, 6, NONE, 6)), Some(vec![Writer::Group(50)]));
        assert_eq!(of(&with(USER, 4, 7, 6)), Some(vec![]), "the user may only read");
        assert_eq!(of(&with(USER, 6, 7, 4)), Some(vec![]), "the mask takes the right away");
        assert_eq!(of(&list(&[(1, 6, NONE), (OWN_GROUP, 6, NONE)])), Some(vec![Writer::Group(50)]));
    }

    #[test]
    fn what_is_no_list_is_not_understood() {
        let whole = with(USER, 6, 7, 6);
        assert_eq!(writers(&whole[..whole.len() - 1], 50), None);
        assert_eq!(writers(&[3, 0, 0, 0], 50), None, "a later version");
        assert_eq!(writers(&[], 50), None);
        assert_eq!(writers(&list(&[]), 50), Some(Vec::new()));
    }
}
