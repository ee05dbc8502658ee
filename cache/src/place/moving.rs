//! How does a store move out of a folder that has other files as well?
//!
//! Releases that made no marks made their store in the folder that the user named, even in a home
//! folder. There, preheat's files are moved once into a folder `preheat-store` beside the other
//! files:
//!
//! 1. The folder is made, with the file `MOVED-HERE` in it, which is synced before anything moves.
//!    This file says that a move is under way until the folder is marked, and the process that
//!    moves the store locks it.
//! 2. The process takes the lock that an older release takes for its index, so that a transaction
//!    of that release ends before anything moves.
//! 3. Everything with a name that a store gives is renamed, the objects first, `format` last. A
//!    folder that holds nothing else moves as a whole; from any other folder, only preheat's files
//!    move.
//! 4. The folder is marked, and is the store from then on.
//!
//! If a process ends during the move, each file is in one of the two places, and the next process
//! goes on with the move. If both places have a file of the same name, an older release has made
//! the file again during the move. The file in the old place then stays there: nothing is replaced
//! or removed.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{PlaceError, SMALL_FILE_BYTES, mark, settle, version_without_mark};
use crate::files::{Folder, is_absent};
use crate::layout::Layout;
use crate::lock::{Wait, lock_while};

/// How long to wait for a transaction of an older release.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait for another process that moves the same store.
const MOVING_PATIENCE: Duration = Duration::from_secs(20);
/// How often to look at a lock.
const POLL: Duration = Duration::from_millis(2);

/// The name of sled's log. A folder with this file is an index.
const LOG: &str = "db";

/// Whether a move into this folder has begun.
pub(super) fn has_begun(own: &Folder) -> bool {
    own.is_file(&Layout::relative().moved_here())
}

/// The folder in which the objects of a store are now: the old one or the new one, depending on how
/// far the move has come.
pub(super) fn readable(named: Folder) -> Folder {
    let objects = Layout::relative().objects();
    match named.within(Layout::FOLDER) {
        Ok(own) if own.is_folder(&objects) || !named.is_folder(&objects) => own,
        Ok(_) | Err(_) => named,
    }
}

/// Moves the store in the folder `named` into a folder of its own, or goes on with such a move, and
/// returns the store's folder.
pub(super) fn move_out(named: Folder) -> Result<Folder, PlaceError> {
    let failed = |path: &Path| {
        let path = named.full(path);
        move |error| PlaceError::Io(path, error)
    };
    let layout = Layout::relative();
    let own_path = Path::new(Layout::FOLDER);
    // After the move, files that others put here would count as files of this user.
    named.check_trust().map_err(failed(Path::new("")))?;
    named.create_folder(own_path).map_err(failed(own_path))?;
    let own = named.within(Layout::FOLDER).map_err(failed(own_path))?;
    own.settle_own_mode().and_then(|()| own.check_trust()).map_err(failed(own_path))?;
    let journal = own_path.join(layout.moved_here());
    begin(&own).map_err(failed(&journal))?;
    let alone = wait_for(&own, &layout.moved_here(), MOVING_PATIENCE).map_err(failed(&journal))?;
    if own.is_file(&layout.owned()) {
        return Ok(own);
    }
    if named.is_file(&layout.owned()) {
        drop(alone);
        return Ok(named);
    }
    let index = layout.index_lock();
    // If there is no such file, no transaction is under way.
    let turn = named.is_file(&index).then(|| wait_for(&named, &index, PATIENCE));
    let turn = turn.transpose().map_err(failed(&index))?;
    for graphs in [layout.graphs(), layout.older_graphs()] {
        wait_for_sled(&named, &graphs).map_err(failed(&graphs))?;
    }
    for name in in_order() {
        take(&named, &name).map_err(failed(&name))?;
    }
    let synced = named.sync_folder_of(own_path).and_then(|()| own.sync_folder_of(&layout.format()));
    synced.map_err(failed(own_path))?;
    let settled = settle(&own).and_then(|()| own.check_trust());
    settled.and_then(|()| mark(&own)).map_err(failed(own_path))?;
    drop((turn, alone));
    tracing::warn!(
        "the cache of an earlier release lay among other files in {}; it was moved to {}, a \
         folder of its own, and is used from there. An earlier release that is given the same \
         folder begins with an empty cache",
        named.path().display(),
        own.path().display()
    );
    Ok(own)
}

/// Makes the beginning of the move durable. This process or an earlier one may have begun the move.
fn begin(own: &Folder) -> io::Result<()> {
    let journal = Layout::relative().moved_here();
    own.write_first(&journal, Layout::MOVED.as_bytes())?;
    own.open_any(&journal)?.sync_all()?;
    own.sync_folder_of(&journal)
}

/// The names that move, in order. `format` is the last, since it says that there is a store here.
fn in_order() -> Vec<PathBuf> {
    let layout = Layout::relative();
    let (first, last) = (layout.objects(), layout.format());
    let apart = [&first, &last, &layout.owned(), &layout.moved_here()];
    let names = Layout::NAMES.iter().map(PathBuf::from);
    let rest = names.filter(|name| !apart.contains(&name));
    std::iter::once(first.clone()).chain(rest).chain([last.clone()]).collect()
}

/// Moves preheat's files at a path in the named folder to the same path in the store's own folder.
fn take(named: &Folder, path: &Path) -> io::Result<()> {
    let to = Path::new(Layout::FOLDER).join(path);
    let metadata = match named.look(path) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    let (is_folder, is_file) = (metadata.is_dir(), metadata.is_file());
    let moves = if is_folder { is_whole(named, path) } else { is_file && is_ours(named, path) };
    if moves {
        use io::ErrorKind::{AlreadyExists, CrossesDevices};
        return match named.rename_new(path, &to) {
            // Some file systems can move files, but not folders.
            Err(error) if is_folder && error.kind() == CrossesDevices => {
                take_each(named, path, &to)
            }
            Err(error) if error.kind() == AlreadyExists => {
                let goes_on = is_folder && (!is_index(path) || !named.is_file(&to.join(LOG)));
                if goes_on { take_each(named, path, &to) } else { Ok(()) }
            }
            // An older release has removed it meanwhile.
            Err(error) if is_absent(&error) => Ok(()),
            other => other,
        };
    }
    if is_folder && !is_index(path) { take_each(named, path, &to) } else { Ok(()) }
}

/// Moves preheat's files in a folder.
fn take_each(named: &Folder, path: &Path, to: &Path) -> io::Result<()> {
    let mut ours = named.entries(path)?;
    ours.retain(|path| Layout::is_known(path));
    // The log moves last: an index without its log in the new place has not moved yet.
    ours.sort_by_key(|path| path.ends_with(LOG));
    let Some(one) = ours.first() else { return Ok(()) };
    named.create_folder(to)?;
    ours.iter().try_for_each(|path| take(named, path))?;
    named.sync_folder_of(one)?;
    named.sync_folder_of(&to.join("any"))
}

/// Whether a folder may move as a whole, because everything in it is preheat's. The folder of an
/// index counts as whole if sled's log is in it. Without the log, it stays where it is.
fn is_whole(named: &Folder, path: &Path) -> bool {
    if is_index(path) {
        return named.is_file(&path.join(LOG));
    }
    let Ok(entries) = named.entries(path) else { return false };
    entries.iter().all(|path| {
        let Ok(metadata) = named.look(path) else { return true };
        let is_ours = Layout::is_known(path) && !metadata.is_symlink();
        is_ours && (!metadata.is_dir() || is_whole(named, path))
    })
}

/// Whether a folder is sled's.
fn is_index(path: &Path) -> bool {
    let layout = Layout::relative();
    let all = [layout.graphs(), layout.older_graphs(), layout.graphs_anew()];
    all.iter().any(|graphs| graphs == path)
}

/// Whether a file is preheat's. The names `format` and `CACHEDIR.TAG` are used by other programs as
/// well, so the contents of these files decide.
fn is_ours(named: &Folder, path: &Path) -> bool {
    let layout = Layout::relative();
    if *path == layout.format() {
        return version_without_mark(named).is_some();
    }
    let tag = || named.read_any_small(path, SMALL_FILE_BYTES);
    *path != layout.cachedir_tag() || tag().is_ok_and(|tag| tag == Layout::CACHEDIR_TAG.as_bytes())
}

/// Takes a lock, or fails if it is held for longer than `patience`.
fn wait_for(folder: &Folder, path: &Path, patience: Duration) -> io::Result<File> {
    let began = Instant::now();
    let waiting = |_: &File| if began.elapsed() < patience { Wait::Continue } else { Wait::Cancel };
    lock_while(folder, path, POLL, waiting)?.ok_or_else(held)
}

/// Waits until sled has no file open in its folder: sled closes its files a moment after the
/// transaction.
fn wait_for_sled(named: &Folder, graphs: &Path) -> io::Result<()> {
    let Ok(log) = named.open_any(&graphs.join(LOG)) else { return Ok(()) };
    let began = Instant::now();
    loop {
        match log.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => std::thread::sleep(POLL),
            Err(TryLockError::WouldBlock) => return Err(held()),
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
        }
    }
}

fn held() -> io::Error {
    let reason = "the cache of an earlier release has to be moved out of this folder, \
        and a process keeps it locked";
    io::Error::new(io::ErrorKind::ResourceBusy, reason)
}
