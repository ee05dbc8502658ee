//! How is the end of each request counted, even if the request's process is killed?
//!
//! A process appends the events of its requests to a journal in `requests-v1/`, one line of JSON
//! for each [`RequestEvent`]. A line is written at once, but never synced, since a journal has to
//! outlive its process but not a power cut. [`Store::commit_requests`] and [`Store::statistics`]
//! read the new events of all journals and count them in the index (`index/requests.rs`). The same
//! transaction stores how far each journal was read. So each event counts exactly once, at whatever
//! moment a process dies.
//!
//! A process locks its journal for as long as it lives. A request counts as interrupted if its
//! process died before the request ended. A journal that has grown long is continued in a new
//! segment, and the segments before it are removed once they are counted. If no journal can be
//! written, the events are kept in memory until the next transaction.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

use super::Store;
use crate::files::{Folder, letters};
use crate::layout::Layout;
use crate::statistics::RequestEvent;

/// A journal is continued in a new segment once its last segment is longer than this.
const SEGMENT_BYTES: u64 = if cfg!(test) { 4096 } else { 1 << 20 };
/// The most bytes that are read of a journal at once. The rest is read the next time.
const READ_BYTES: u64 = 64 << 20;

/// How many events are kept in memory if neither a journal nor the index can be written.
const UNWRITTEN: usize = 10_000;

/// The journal of this process for one store.
#[derive(Debug)]
pub(super) struct Journal {
    owner: String,
    /// The number of the next segment.
    next: u64,
    current: Option<Segment>,
    /// Older segments. Perhaps not all of their events are counted yet. They stay locked until they
    /// are removed.
    older: Vec<Segment>,
    /// The events that could not be written to a file. They come after the events in the files.
    unwritten: Vec<RequestEvent>,
}

impl Default for Journal {
    fn default() -> Self {
        let (current, older, unwritten) = (None, Vec::new(), Vec::new());
        Self { owner: letters(), next: 0, current, older, unwritten }
    }
}

/// One file of a journal.
#[derive(Debug)]
struct Segment {
    root: Arc<Folder>,
    path: PathBuf,
    file: File,
    bytes: u64,
}

/// The journal of one process, as its files show it.
#[derive(Debug)]
pub(super) struct Found {
    /// The part of the files' names that differs from process to process.
    pub(super) owner: String,
    /// The segments by their numbers.
    pub(super) segments: BTreeMap<u64, PathBuf>,
    /// The lock of the last segment, if the journal's process is dead. While this process holds the
    /// lock, no other process counts the requests in this journal.
    pub(super) dead: Option<File>,
    /// Whether it is the journal of this process.
    pub(super) is_own: bool,
}

impl Store {
    /// Records an event of a request of this process in the journal. The event is counted with the
    /// next [commit](Self::commit_requests) by this process or another one.
    pub fn note_event(&self, event: RequestEvent) {
        if self.read_only {
            return;
        }
        let mut journal = self.journal();
        let is_written = journal.unwritten.is_empty()
            && self
                .append(&mut journal, &event)
                .inspect_err(|error| tracing::debug!(%error, "a request is not noted in a file"))
                .is_ok();
        if !is_written && journal.unwritten.len() < UNWRITTEN {
            journal.unwritten.push(event);
        }
    }

    /// Only one thread of a process counts at a time. Events that are in no file are removed from
    /// memory after the transaction that counted them, so a second thread would count them again.
    pub(super) fn counting(&self) -> MutexGuard<'_, ()> {
        self.counting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, journal: &mut Journal, event: &RequestEvent) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        journal.older.extend(journal.current.take_if(|segment| segment.bytes >= SEGMENT_BYTES));
        let segment = match &mut journal.current {
            Some(segment) => segment,
            none => {
                let new = self.new_segment(&journal.owner, journal.next)?;
                journal.next += 1;
                none.insert(new)
            }
        };
        // One call writes the whole line, so a killed process leaves whole lines.
        let written = segment.file.write_all(&line);
        segment.bytes += line.len() as u64;
        if written.is_err() {
            // The line may have been cut off, so nothing may follow it.
            journal.older.extend(journal.current.take());
        }
        written
    }

    /// Makes a file for a journal. The file is locked before it gets its name, so that no other
    /// process treats it as the journal of a dead process.
    fn new_segment(&self, owner: &str, number: u64) -> io::Result<Segment> {
        let root = self.prepare().map_err(io::Error::other)?;
        root.create_folder(&self.layout.requests())?;
        let mut new = self.new_file(&root, &format!("{}.", Layout::SMALL_FILE))?;
        let path = self.layout.journal(owner, number);
        let file = new.file().try_clone()?;
        new.persist(&path)?;
        Ok(Segment { root, path, file, bytes: 0 })
    }

    /// The journals of all processes. A file is left alone if its name is not one that a store
    /// gives.
    pub(super) fn journals(&self, root: &Folder) -> io::Result<Vec<Found>> {
        let own = self.journal().owner.clone();
        let mut owners: BTreeMap<String, BTreeMap<u64, PathBuf>> = BTreeMap::new();
        owners.insert(own.clone(), BTreeMap::new());
        for path in root.entries(&self.layout.requests())? {
            if let Some((owner, number)) = Layout::journal_name(&path) {
                owners.entry(owner).or_default().insert(number, path);
            }
        }
        let found = |(owner, segments): (String, BTreeMap<u64, PathBuf>)| {
            let is_own = owner == own;
            let last = segments.last_key_value().map(|(_, path)| path).filter(|_| !is_own);
            let dead = last.and_then(|path| lock_of_the_dead(root, path));
            Found { owner, segments, dead, is_own }
        };
        Ok(owners.into_iter().map(found).collect())
    }

    /// The events of this process that exist only in memory.
    pub(super) fn unwritten(&self) -> Vec<RequestEvent> {
        self.journal().unwritten.clone()
    }

    /// Removes what was counted completely: the files of dead processes, all files of this process
    /// except the last, and the first `unwritten` events that exist only in memory.
    pub(super) fn remove_counted(&self, root: &Folder, counted: &[Found], unwritten: usize) {
        let mut journal = self.journal();
        journal.unwritten.drain(..unwritten);
        let is_counted = |segment: &Segment| {
            counted.iter().any(|found| found.segments.values().any(|path| *path == segment.path))
        };
        let older = std::mem::take(&mut journal.older);
        let (done, rest): (Vec<_>, Vec<_>) = older.into_iter().partition(is_counted);
        journal.older = rest;
        // Somebody may have removed the file. Events that are appended to a removed file are lost.
        journal.current.take_if(|segment| !segment.root.names(&segment.path, &segment.file));
        drop(journal);
        let dead = counted.iter().filter(|found| found.dead.is_some());
        let dead = dead.flat_map(|found| found.segments.values());
        for path in dead.chain(done.iter().map(|segment| &segment.path)) {
            if let Err(error) = root.remove(path) {
                tracing::debug!(path = %root.full(path).display(), %error, "a journal stays");
            }
        }
    }
}

impl Drop for Journal {
    /// Removes the file of a process that made no request. Any other file is removed by the process
    /// that counts it.
    fn drop(&mut self) {
        if let Some(segment) = self.current.take()
            && segment.bytes == 0
            && let Err(error) = segment.root.remove(&segment.path)
        {
            tracing::debug!(%error, "an empty journal stays");
        }
    }
}

/// The lock of a journal whose process is dead.
fn lock_of_the_dead(root: &Folder, path: &Path) -> Option<File> {
    let file = root.read(path).ok()?;
    match file.try_lock() {
        Ok(()) => Some(file),
        // On a file system without locks, nobody can tell a dead process from a living one.
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}

/// The events of a segment from `offset` on, and the offset behind them. A line that is not whole
/// yet is left for later. A line that this release does not understand, because another release
/// wrote it, is skipped.
pub(super) fn read_events(
    root: &Folder,
    path: &Path,
    offset: u64,
) -> io::Result<(Vec<RequestEvent>, u64)> {
    let mut file = root.read(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.truncate(whole);
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let event = |line: &[u8]| {
        let event = serde_json::from_slice(line);
        event.inspect_err(|error| tracing::debug!(%error, "an event is not understood")).ok()
    };
    Ok((lines.filter_map(event).collect(), offset + whole as u64))
}

#[cfg(test)]
mod tests;
