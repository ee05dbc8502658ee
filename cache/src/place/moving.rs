//! How does a store get out of a folder in which other things lie?
//!
//! Releases that made no marks made their store of whatever folder they were pointed at, be it a
//! home folder. What is preheat's there moves once into a folder `preheat-store` beside the rest:
//!
//! 1. The folder is made, with the file `MOVED-HERE` in it, which lasts before anything moves. It
//!    says that a move is under way until the folder is marked, and it is locked while one is.
//! 2. The older release's lock of its index is taken, so that a transaction of it that is under way
//!    comes to its end before.
//! 3. Everything that has a name that a store gives is renamed, the objects first, `format` last.
//!    A folder that holds nothing else moves as a whole, else what is preheat's in it.
//! 4. The folder is marked, and is the store from then on.
//!
//! A process that ends in between leaves each thing in one of the two places, and the next one goes
//! on. Where both places have something of a name, an older release has made it anew meanwhile:
//! nothing is replaced or removed, it stays where it is.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{PlaceError, SMALL_FILE_BYTES, mark, settle, version_without_mark};
use crate::files::{Folder, is_absent};
use crate::layout::Layout;
use crate::lock::{Wait, lock_while};

/// How long a transaction of an older release is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long another process is waited for that moves the same store.
const MOVING_PATIENCE: Duration = Duration::from_secs(20);
/// How often a lock is looked at.
const POLL: Duration = Duration::from_millis(2);

/// sled's log, which is what an index consists of.
const LOG: &str = "db";

/// Whether a move into this folder has begun.
pub(super) fn has_begun(own: &Folder) -> bool {
    own.is_file(&Layout::relative().moved_here())
}

/// Where the objects are of a store that is moved, or is yet to be.
pub(super) fn readable(named: Folder) -> Folder {
    let objects = Layout::relative().objects();
    match named.within(Layout::FOLDER) {
        Ok(own) if own.is_folder(&objects) || !named.is_folder(&objects) => own,
        Ok(_) | Err(_) => named,
    }
}

/// Moves the store in the folder `named` into a folder of its own, or goes on with that, and gives
/// the store's folder.
pub(super) fn move_out(named: Folder) -> Result<Folder, PlaceError> {
    let failed = |path: &Path| {
        let path = named.full(path);
        move |error| PlaceError::Io(path, error)
    };
    let layout = Layout::relative();
    let own_path = Path::new(Layout::FOLDER);
    // What others put here would count as this user's once it has moved.
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
    // Where there is no such file, nobody is within a transaction.
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
        "the cache of an earlier release lay among other files in {}; what is preheat's of them is \
         now in {}, a folder of its own, and is used from there. An earlier release that is given \
         the same folder begins with an empty cache",
        named.path().display(),
        own.path().display()
    );
    Ok(own)
}

/// Makes it last that a move has begun, whoever began it.
fn begin(own: &Folder) -> io::Result<()> {
    let journal = Layout::relative().moved_here();
    own.write_first(&journal, Layout::MOVED.as_bytes())?;
    own.open_any(&journal)?.sync_all()?;
    own.sync_folder_of(&journal)
}

/// The names that move, in their order: `format` says until the end that there is a store.
fn in_order() -> Vec<PathBuf> {
    let layout = Layout::relative();
    let (first, last) = (layout.objects(), layout.format());
    let apart = [&first, &last, &layout.owned(), &layout.moved_here()];
    let names = Layout::NAMES.iter().map(PathBuf::from);
    let rest = names.filter(|name| !apart.contains(&name));
    std::iter::once(first.clone()).chain(rest).chain([last.clone()]).collect()
}

/// Moves what is preheat's at a path in the named folder to the same path in the store's own.
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
            // Some file systems move files, and no folders.
            Err(error) if is_folder && error.kind() == CrossesDevices => {
                take_each(named, path, &to)
            }
            Err(error) if error.kind() == AlreadyExists => {
                let goes_on = is_folder && (!is_index(path) || !named.is_file(&to.join(LOG)));
                if goes_on { take_each(named, path, &to) } else { Ok(()) }
            }
            // It was an older release's, and is gone.
            Err(error) if is_absent(&error) => Ok(()),
            other => other,
        };
    }
    if is_folder && !is_index(path) { take_each(named, path, &to) } else { Ok(()) }
}

/// Moves what is preheat's in a folder.
fn take_each(named: &Folder, path: &Path, to: &Path) -> io::Result<()> {
    let mut ours = named.entries(path)?;
    ours.retain(|path| Layout::is_known(path));
    // An index without its log is one that has not moved yet.
    ours.sort_by_key(|path| path.ends_with(LOG));
    let Some(one) = ours.first() else { return Ok(()) };
    named.create_folder(to)?;
    ours.iter().try_for_each(|path| take(named, path))?;
    named.sync_folder_of(one)?;
    named.sync_folder_of(&to.join("any"))
}

/// Whether a folder may move as a whole: nothing in it is of others. sled's is never taken apart:
/// it moves as it is, if sled made it.
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

/// Whether it is a folder of sled's.
fn is_index(path: &Path) -> bool {
    let layout = Layout::relative();
    let all = [layout.graphs(), layout.older_graphs(), layout.graphs_anew()];
    all.iter().any(|graphs| graphs == path)
}

/// Whether a file is preheat's: two have names that others give as well.
fn is_ours(named: &Folder, path: &Path) -> bool {
    let layout = Layout::relative();
    if *path == layout.format() {
        return version_without_mark(named).is_some();
    }
    let tag = || named.read_any_small(path, SMALL_FILE_BYTES);
    *path != layout.cachedir_tag() || tag().is_ok_and(|tag| tag == Layout::CACHEDIR_TAG.as_bytes())
}

/// Takes a lock, or fails once it was held for so long.
fn wait_for(folder: &Folder, path: &Path, patience: Duration) -> io::Result<File> {
    let began = Instant::now();
    let waiting = |_: &File| if began.elapsed() < patience { Wait::Continue } else { Wait::Cancel };
    lock_while(folder, path, POLL, waiting)?.ok_or_else(held)
}

/// Waits until nothing of sled's has a file open in its folder: it closes them a moment after the
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
