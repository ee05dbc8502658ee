//! Which files does a thread change, and in which order? Tests end the process before a chosen
//! change, or list all changes.

use std::cell::RefCell;
use std::io;
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
    refused: Option<Refused>,
}

thread_local! {
    static JOURNAL: RefCell<Journal> = RefCell::default();
}

/// Ends the process before the change with this number, as if it were killed: nothing is dropped,
/// flushed or cleaned up.
pub(crate) fn kill_before(number: usize) {
    JOURNAL.with_borrow_mut(|journal| journal.until_kill = Some(number));
}

/// The changes that `work` makes, in order.
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

/// What a file system may be unable to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// To exchange two names: ecryptfs, NFS and older file systems cannot.
    Exchange,
    /// To rename a folder: overlayfs cannot, for folders that come with a container's image.
    RenamedFolder,
}

/// From now on, an operation fails as it does on a file system that does not support it.
pub(crate) fn refuse(what: Refused) {
    JOURNAL.with_borrow_mut(|journal| journal.refused = Some(what));
}

/// From now on, no operation is refused.
pub(crate) fn allow_all() {
    JOURNAL.with_borrow_mut(|journal| journal.refused = None);
}

/// Fails with the file system's error if a test has refused this operation.
pub(super) fn attempt(what: Refused) -> io::Result<()> {
    let number = match what {
        Refused::Exchange => 22,
        Refused::RenamedFolder => 18,
    };
    let is_refused = JOURNAL.with_borrow(|journal| journal.refused == Some(what));
    if is_refused { Err(io::Error::from_raw_os_error(number)) } else { Ok(()) }
}
