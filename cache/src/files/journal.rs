//! What a thread changes, for tests: they end the process before a change, and list all of them.

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
