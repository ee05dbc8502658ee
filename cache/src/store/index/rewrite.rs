//! When does the index take far more space than its content, and how is it made small again?
//!
//! After every few changes, sled writes a page of up to sixteen entries again, and it reuses little
//! of the space that this frees. An index that takes several times its content is copied to a
//! folder beside it. After that, the two folders exchange their names in one step. A process that
//! dies before this step leaves the old index, and a process that dies after it leaves the new one.
//! The process holds the index during the whole rewrite, so no other process can change the index
//! during this time. sled's format stays the same, so every release can read the result.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::codec::{get_json, put_json};
use super::open::{Database, POLL, open_database};
use super::run::{Need, WHOLE_PATIENCE};
use super::transaction::{Fault, Transaction};
use super::turn::Turn;
use crate::files::{Folder, index_step};
use crate::layout::Layout;
use crate::store::objects::remove_index;
use crate::store::{Store, StoreError};

/// If the index is larger than this multiple of its content, the next writer rewrites it.
const MOST_TIMES: u64 = 2;
/// The same limit in per cent, for upkeep commands and the end of bulk work. A rewritten index
/// takes about 120 per cent of its content.
const MOST_PERCENT_IN_UPKEEP: u64 = 150;
/// A smaller index is left as it is.
const LEAST_BYTES: u64 = 16 << 20;
/// The content is added up again once the index takes this much space, in per cent of the space
/// that it took when the content was last added up.
const GROWTH_PERCENT: u64 = 125;
/// How long to wait until sled has closed its files.
const CLOSING: Duration = Duration::from_secs(5);
/// The entry with the space and the content of the index, as they were last added up.
const WEIGHED: &[u8] = b"mweighed";

/// The space that the index took and the length of its content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Weighed {
    disk_bytes: u64,
    content_bytes: u64,
}

impl Weighed {
    /// Whether the next writer has to rewrite the index.
    fn is_due(&self) -> bool {
        self.disk_bytes / MOST_TIMES > self.content_bytes
    }

    /// Whether upkeep has to rewrite the index.
    fn is_due_in_upkeep(&self) -> bool {
        self.disk_bytes / MOST_PERCENT_IN_UPKEEP > self.content_bytes / 100
    }
}

impl Store {
    /// Rewrites the index after a change, if it takes too much space. If that fails, the index
    /// stays as it is.
    pub(super) fn rewrite_if_due(&self, root: &Folder, database: Database, turn: &Turn) {
        let path = root.full(&self.layout.graphs());
        let due = is_due(&database, &path, turn, || self.can_rewrite(root));
        match due.and_then(|due| if due { self.rewrite(root, database, turn) } else { Ok(()) }) {
            Ok(()) => {}
            Err(fault) => {
                tracing::debug!(path = %path.display(), ?fault, "the index is not made smaller");
            }
        }
    }

    /// Makes the index smaller if it takes far more space than its content. It is to be called
    /// after bulk work. With a hundred thousand graphs, it takes some seconds, during which no
    /// other process can use the index.
    ///
    /// # Errors
    /// If the store cannot be written, or if another process holds the index for too long. An index
    /// that cannot be made smaller stays as it is.
    pub fn tidy(&self) -> Result<(), StoreError> {
        // The content has not shrunk since its size was last added up, so in most cases the size
        // does not have to be added up again.
        let may_be_due =
            |last: Weighed, disk_bytes| Weighed { disk_bytes, ..last }.is_due_in_upkeep();
        self.tidy_index_if(LEAST_BYTES, may_be_due)
    }

    /// Does what [`tidy`](Self::tidy) does, for a caller that may have removed entries.
    pub(in crate::store) fn tidy_index(&self) -> Result<(), StoreError> {
        self.tidy_index_if(LEAST_BYTES, |_, _| true)
    }

    #[cfg(test)]
    pub(in crate::store) fn tidy_index_above(&self, least_bytes: u64) -> Result<(), StoreError> {
        self.tidy_index_if(least_bytes, |_, _| true)
    }

    /// Rewrites the index if it takes at least `least_bytes`, and more than
    /// [`MOST_PERCENT_IN_UPKEEP`] per cent of its content. `may_be_due` gets the space and the size
    /// of the content as they were last added up, and the space that the index takes now.
    fn tidy_index_if(
        &self,
        least_bytes: u64, // a smaller index is left as it is
        may_be_due: impl Fn(Weighed, u64) -> bool,
    ) -> Result<(), StoreError> {
        index_step("tidy");
        let root = self.prepare()?;
        let path = root.full(&self.layout.graphs());
        let taken_bytes = disk_bytes(&path);
        if taken_bytes < least_bytes {
            return Ok(());
        }
        let turn = self.take_turn(&root, Need::Whole, WHOLE_PATIENCE)?;
        let tidy = || {
            if !self.can_rewrite(&root)? {
                return Ok(());
            }
            let database = open_database(&path, Instant::now() + CLOSING)?;
            let last = get_json(&Transaction::new(&database, &turn), WEIGHED)?.unwrap_or_default();
            if !may_be_due(last, taken_bytes) {
                return Ok(());
            }
            let weighed = weigh(&database, &path, &turn)?;
            if weighed.is_due_in_upkeep() {
                self.rewrite(&root, database, &turn)?;
            }
            Ok::<_, Fault>(())
        };
        if let Err(fault) = tidy() {
            tracing::debug!(path = %path.display(), ?fault, "the index is not made smaller");
        }
        Ok(())
    }

    /// Removes the files of a process that died while it was rewriting the index. The caller holds
    /// the index, so no other process is rewriting it now.
    pub(super) fn remove_half_rewritten(&self, root: &Folder) -> Result<(), Fault> {
        let anew = self.layout.graphs_anew();
        if root.is_folder(&anew) { remove_index(root, &anew).map_err(Fault::Io) } else { Ok(()) }
    }

    /// Whether the file system supports the last step of a rewrite. This is tested once, before the
    /// first rewrite. Without this test, every attempt would copy the whole index before it fails.
    fn can_rewrite(&self, root: &Folder) -> Result<bool, Fault> {
        if let Some(known) = self.turns.can_exchange.get() {
            return Ok(*known);
        }
        let prefix = format!("{}.", Layout::SMALL_FILE);
        let can = root.can_exchange(&self.layout.tmp(), &prefix).map_err(Fault::Io)?;
        if !can {
            let path = root.path().display();
            tracing::debug!(%path, "on this file system, the index is not made smaller");
        }
        Ok(*self.turns.can_exchange.get_or_init(|| can))
    }

    fn rewrite(&self, root: &Folder, database: Database, turn: &Turn) -> Result<(), Fault> {
        let (path, anew) =
            (root.full(&self.layout.graphs()), root.full(&self.layout.graphs_anew()));
        let began = Instant::now();
        let before_bytes = disk_bytes(&path);
        root.create_folder(&self.layout.graphs_anew()).map_err(Fault::Io)?;
        index_step("copy");
        copy(&database, &anew, turn)?;
        // sled writes by path as well, so each folder has to keep its name until sled has closed
        // all files in it.
        drop(database);
        close(&path)?;
        close(&anew)?;
        root.settle_modes(&self.layout.graphs_anew())
            .and_then(|()| self.sync_anew(root))
            .and_then(|()| root.exchange(&self.layout.graphs_anew(), &self.layout.graphs()))
            .and_then(|()| root.sync_folder_of(&self.layout.graphs()))
            .map_err(Fault::Io)?;
        self.remove_half_rewritten(root)?;
        let after_bytes = disk_bytes(&path);
        tracing::info!(
            before_bytes,
            after_bytes,
            seconds = began.elapsed().as_secs_f64(),
            "the index was rewritten"
        );
        Ok(())
    }

    /// Syncs everything in the new folder.
    fn sync_anew(&self, root: &Folder) -> io::Result<()> {
        let anew = self.layout.graphs_anew();
        for folder in [anew.join("blobs"), anew] {
            for path in root.entries(&folder)?.iter().filter(|path| root.is_file(path)) {
                root.open_any(path)?.sync_all()?;
            }
            root.sync_folder_of(&folder.join("db"))?;
        }
        Ok(())
    }
}

/// Whether the index takes too much space. Its content is added up only if the index is not small,
/// and has grown enough ([`GROWTH_PERCENT`]) since that was last done.
fn is_due(
    database: &Database,
    path: &Path,
    turn: &Turn,
    can_rewrite: impl FnOnce() -> Result<bool, Fault>,
) -> Result<bool, Fault> {
    let disk_bytes = disk_bytes(path);
    let mut index = Transaction::new(database, turn);
    let last: Weighed = get_json(&index, WEIGHED)?.unwrap_or_default();
    if disk_bytes < LEAST_BYTES || disk_bytes < last.disk_bytes / 100 * GROWTH_PERCENT {
        return Ok(false);
    }
    if !can_rewrite()? {
        return Ok(false);
    }
    let weighed = weigh(database, path, turn)?;
    put_json(&mut index, WEIGHED.to_vec(), &weighed)?;
    index.apply()?;
    Ok(weighed.is_due())
}

fn weigh(database: &Database, path: &Path, turn: &Turn) -> Result<Weighed, Fault> {
    let mut content_bytes = 0;
    for entry in database.all()? {
        let (key, value) = entry?;
        content_bytes += (key.len() + value.len()) as u64;
        turn.show();
    }
    Ok(Weighed { disk_bytes: disk_bytes(path), content_bytes })
}

/// Copies the whole content of a database to a new one, and compares the two.
///
/// The keys are written first, without their values. This creates all pages, and each page is then
/// written only once more. If the values came with the keys, each page would be written three
/// times, and the new database would take twice as much space.
fn copy(from: &Database, to: &Path, turn: &Turn) -> Result<(), Fault> {
    let new = open_database(to, Instant::now() + CLOSING)?;
    for with_values in [false, true] {
        for entry in from.all()? {
            let (key, value) = entry?;
            new.insert(key, if with_values { value } else { sled::IVec::default() })?;
            turn.show();
        }
    }
    new.flush()?;
    let mut copied = new.all()?;
    for entry in from.all()? {
        turn.show();
        if copied.next().transpose()? != Some(entry?) {
            return Err(Fault::Failed("the copy of the index differs from it".to_owned()));
        }
    }
    let mut index = Transaction::new(&new, turn);
    let weighed = weigh(&new, to, turn)?;
    put_json(&mut index, WEIGHED.to_vec(), &weighed)?;
    index.apply()?;
    Ok(())
}

/// Waits until sled has no file open in a folder. Until then, sled holds a lock.
fn close(path: &Path) -> Result<(), Fault> {
    let log = File::open(path.join("db")).map_err(Fault::Io)?;
    let deadline = Instant::now() + CLOSING;
    loop {
        match log.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(POLL);
            }
            Err(fs::TryLockError::WouldBlock) => return Err(Fault::Busy),
            Err(fs::TryLockError::Error(error)) => return Err(Fault::Io(error)),
        }
    }
}

/// The length of all files in sled's folder.
fn disk_bytes(path: &Path) -> u64 {
    let lengths = |folder: &Path| -> u64 {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries.filter_map(|entry| entry.metadata().ok()).filter(Metadata::is_file);
        files.map(|metadata| metadata.len()).sum()
    };
    lengths(path) + lengths(&path.join("blobs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_may_take_twice_what_it_holds_and_less_after_bulk_work() {
        let takes = |disk_bytes| Weighed { disk_bytes, content_bytes: 1000 };
        assert!(takes(2002).is_due() && !takes(1999).is_due());
        assert!(takes(1650).is_due_in_upkeep() && !takes(1499).is_due_in_upkeep());
    }
}
