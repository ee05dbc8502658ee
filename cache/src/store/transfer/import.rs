//! Which entries of an archive are safe to store? The file may come from anyone. Names and lengths
//! are checked before anything is written. Tar headers that extend another header are not followed.
//! The zstd frame's window is bounded. An object is verified whole before it gets its name. The
//! list of refused entries is bounded. The caller is regularly asked whether to go on, even if the
//! file contains few objects.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io::{self, Read, Write as _};
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use super::{MARK, OBJECTS, RefusedEntry};
use crate::files::NewFile;
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::object::{self, OBJECT_LIMIT_BYTES, ObjectError};
use crate::record::GraphRecord;
use crate::store::objects::Staged;
use crate::store::space::Coming;
use crate::store::{STAGED, Store, StoreError, read_error};
use crate::watched::Watched;

/// The default window of zstd's own command line: 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;
/// Once the verified objects take this many bytes, a transaction records them.
const STAGED_BYTES: u64 = 256 << 20;
/// How many refused entries are listed by name, and how many entries that found no room.
const NAMED: usize = 100;
/// The longest name or reason that is reported to the caller.
const SAID_CHARACTERS: usize = 200;
/// The most bytes that are read before the caller is asked again whether to go on.
const ASKED_AFTER_BYTES: u64 = 16 << 20;
/// A program or machine code that is longer than this is accepted only up to [`TRUSTED_RATIO`]
/// times the length of its object.
const TRUSTED_BYTES: u64 = 256 << 20;
/// The largest accepted ratio between the length to which an object, or the file, decompresses and
/// its own length. Machine code decompresses to some twenty times its length.
const TRUSTED_RATIO: u64 = 64;
/// The length to which any file may decompress, even a very short one.
const TRUSTED_FILE_BYTES: u64 = 64 << 20;

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// Objects that the store did not have, or of which it had a damaged one.
    pub added: u64,
    /// Their lengths together.
    pub added_bytes: u64,
    /// Objects that the store already had, and that were sound there.
    pub kept: u64,
    /// The entries that were refused: the first hundred.
    pub refused: Vec<RefusedEntry>,
    /// How many more were refused.
    pub refused_more: u64,
    /// Objects that are sound but for which the limit leaves no room: the first hundred.
    pub left_out: Vec<RefusedEntry>,
    /// How many more found no room.
    pub left_out_more: u64,
}

impl Imported {
    fn refuse(&mut self, name: impl Into<String>, reason: &str) {
        note(&mut self.refused, &mut self.refused_more, name.into(), reason);
    }

    fn leave_out(&mut self, name: impl Into<String>, reason: &str) {
        note(&mut self.left_out, &mut self.left_out_more, name.into(), reason);
    }

    /// Whether no entry of the file was refused or left out. Entries that were not read, because
    /// the caller stopped the import, do not count.
    pub fn is_whole(&self) -> bool {
        self.refused.is_empty() && self.left_out.is_empty()
    }
}

fn note(named: &mut Vec<RefusedEntry>, more: &mut u64, name: String, reason: &str) {
    if named.len() < NAMED {
        named.push(RefusedEntry { name, reason: reason.chars().take(SAID_CHARACTERS).collect() });
    } else {
        *more += 1;
    }
}

/// Calls the caller's function to learn whether to go on. Once the answer is no, the function is
/// not called again.
struct GoOn<F> {
    told: RefCell<F>,
    done: Cell<u64>,
    stopped: Cell<bool>,
}

impl<F: FnMut(u64) -> bool> GoOn<F> {
    fn ask(&self) -> bool {
        if !self.stopped.get() && !(self.told.borrow_mut())(self.done.get()) {
            self.stopped.set(true);
        }
        !self.stopped.get()
    }
}

/// The result of taking in one object.
#[derive(Debug)]
pub(crate) enum TakenIn {
    /// The store has it now.
    Stored,
    /// It failed a check, and the reason.
    Refused(String),
}

/// Counts the bytes that are read from the file.
struct Counting<'a, R> {
    from: R,
    read_bytes: &'a Cell<u64>,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.read_bytes.set(self.read_bytes.get() + read as u64);
        Ok(read)
    }
}

/// Reads the decompressed content of the file, but no more than an export would contain. It
/// regularly asks the caller whether to go on, since an entry may claim to be so long that nobody
/// would wait for it.
struct Asking<'a, R, F> {
    from: R,
    go_on: &'a GoOn<F>,
    unasked_bytes: u64,
    given_bytes: u64,
    read_bytes: &'a Cell<u64>,
}

impl<R: Read, F: FnMut(u64) -> bool> Read for Asking<'_, R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given_bytes
            > TRUSTED_FILE_BYTES.max(self.read_bytes.get().saturating_mul(TRUSTED_RATIO))
        {
            return Err(io::Error::other(format!(
                "it expands to over {TRUSTED_RATIO} times its length, which no export does"
            )));
        }
        if self.unasked_bytes >= ASKED_AFTER_BYTES {
            self.unasked_bytes = 0;
            if !self.go_on.ask() {
                return Err(io::Error::other("stopped"));
            }
        }
        let read = self.from.read(buffer)?;
        self.unasked_bytes += read as u64;
        self.given_bytes += read as u64;
        Ok(read)
    }
}

/// An import that is under way.
struct Importing<'a> {
    store: &'a Store,
    imported: Imported,
    coming: Coming,
    /// The keys of the objects that were accepted so far or that the store already had. A second
    /// object of the same key is refused.
    seen: BTreeSet<GraphKey>,
    /// Objects that are verified but not recorded yet.
    staged: Vec<Staged>,
    staged_bytes: u64,
}

impl Store {
    /// Imports the objects of an exported file. Each object is verified whole. An entry that fails
    /// a check is refused, and listed with its name and the reason.
    ///
    /// An object that the store already has stays as it is, unless it is damaged. To make room,
    /// entries that are worth less are evicted, except those that came with the same file. An
    /// object for which there is no room is left out, and listed. If the file itself is damaged,
    /// the objects before the damage stay and the rest is refused. `told` is called with the number
    /// of objects so far, after each entry and within long entries, and decides whether to go on.
    pub fn import(
        &self,
        from: impl Read,
        told: impl FnMut(u64) -> bool,
    ) -> Result<Imported, StoreError> {
        self.prepare()?;
        let go_on =
            GoOn { told: RefCell::new(told), done: Cell::new(0), stopped: Cell::new(false) };
        let mut importing = Importing {
            store: self,
            imported: Imported::default(),
            coming: Coming::imported(),
            seen: BTreeSet::new(),
            staged: Vec::new(),
            staged_bytes: 0,
        };
        // An empty file is handled here: zstd would call it cut short.
        let mut from = from;
        let mut first = Vec::new();
        let begun = from.by_ref().take(1).read_to_end(&mut first).map_err(unreadable)?;
        if begun == 0 {
            importing.imported.refuse("the file", "it is empty");
            return Ok(importing.imported);
        }
        let read_bytes = Cell::new(0);
        let from = Counting { from: first.as_slice().chain(from), read_bytes: &read_bytes };
        let decoder = zstd::Decoder::new(from).and_then(|mut decoder| {
            decoder.window_log_max(WINDOW_LOG_MAX)?;
            Ok(decoder)
        });
        let read = match decoder {
            Ok(decoder) => {
                let from = Asking {
                    from: decoder,
                    go_on: &go_on,
                    unasked_bytes: 0,
                    given_bytes: 0,
                    read_bytes: &read_bytes,
                };
                importing.take_all(&mut tar::Archive::new(from), &go_on)
            }
            Err(error) => {
                importing.imported.refuse("the file", &error.to_string());
                Ok(())
            }
        };
        let recorded = importing.record();
        let imported = read.and(recorded).map(|()| importing.imported)?;
        if imported.added > 0
            && let Err(error) = self.tidy()
        {
            tracing::debug!(%error, "the index is not made smaller");
        }
        Ok(imported)
    }

    /// Stores one object that came from a remote, if it passes every check and `accept`, which gets
    /// its record and the hash of its file. If the object `replaces_compile`, it is stored as if it
    /// had been compiled here; otherwise, as if it had been imported.
    pub(crate) fn take_in_one<R: Read>(
        &self,
        key: &GraphKey,
        from: &mut Watched<R>,
        bytes: u64,
        replaces_compile: bool,
        accept: impl FnOnce(&GraphRecord, Digest) -> Result<(), String>,
    ) -> Result<TakenIn, StoreError> {
        let staged = match self.take_in(key, from, bytes)? {
            Ok(staged) => staged,
            Err(reason) => return Ok(TakenIn::Refused(reason)),
        };
        if let Err(reason) = accept(&staged.record, from.hash()) {
            return Ok(TakenIn::Refused(reason));
        }
        let coming = if replaces_compile { Coming::compiled() } else { Coming::imported() };
        match self.store_staged(vec![staged], &coming) {
            // Without the index, the object is found by its key.
            Ok(_) | Err(StoreError::IndexUnavailable { .. }) => Ok(TakenIn::Stored),
            Err(error) => Err(error),
        }
    }

    /// Verifies an object while it is copied into a file of its own. The inner error says why the
    /// object is refused. Nothing after the first wrong part is read.
    fn take_in(
        &self,
        key: &GraphKey,
        from: &mut impl Read,
        bytes: u64,
    ) -> Result<Result<Staged, String>, StoreError> {
        let root = self.prepare()?;
        let failed = |cause| self.write_error(&self.layout.tmp(), cause);
        let mut file = self.new_file(&root, &format!("{key}.")).map_err(failed)?;
        let mut from = Copied { from: from.take(bytes), to: &mut file, failed: None };
        let checked = checked(&mut from, key, bytes);
        if let Some(cause) = from.failed {
            return Err(failed(cause));
        }
        match checked {
            Ok((mut record, program)) => {
                // The import counts as the first use of the object in this store, since the user
                // has asked for the object.
                record.statistics.last_used = Some(jiff::Timestamp::now());
                self.staged(&root, file, record, program).map(Ok)
            }
            Err(reason) => Ok(Err(reason.to_string())),
        }
    }

    fn has_sound(&self, key: &GraphKey) -> bool {
        let file = self.open_file(&self.layout.object(key));
        file.is_ok_and(|file| {
            file.is_some_and(|(_, mut file)| object::verify(&mut file, key).is_ok())
        })
    }
}

impl Importing<'_> {
    fn take_all<R: Read, F: FnMut(u64) -> bool>(
        &mut self,
        archive: &mut tar::Archive<R>,
        go_on: &GoOn<F>,
    ) -> Result<(), StoreError> {
        let mut entries = 0;
        // The entries are read raw. Otherwise, a header that extends the next one would be read
        // into memory whole, however long it claims to be.
        for entry in archive.entries().map_err(unreadable)?.raw(true) {
            let before = (self.imported.refused.len(), self.imported.refused_more);
            let goes_on = match entry {
                Ok(mut entry) => self.take(&mut entry, entries == 0)?,
                Err(error) => {
                    self.imported.refuse(
                        "the rest of the file",
                        &format!("it is no export of preheat's, or damaged: {error}"),
                    );
                    ControlFlow::Break(())
                }
            };
            if go_on.stopped.get() {
                // The entry was not read to its end because the caller stopped, so it is not
                // refused.
                self.imported.refused.truncate(before.0);
                self.imported.refused_more = before.1;
                break;
            }
            go_on.done.set(self.imported.added + self.imported.kept + self.staged.len() as u64);
            if goes_on.is_break() || !go_on.ask() {
                return Ok(());
            }
            entries += 1;
        }
        if entries == 0 && !go_on.stopped.get() {
            self.imported.refuse("the file", "it is empty");
        }
        Ok(())
    }

    /// Takes one entry or refuses it. Returns whether to read on.
    fn take<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        is_first: bool,
    ) -> Result<ControlFlow<()>, StoreError> {
        let name: String =
            String::from_utf8_lossy(&entry.path_bytes()).chars().take(SAID_CHARACTERS).collect();
        let bytes = entry.size();
        if is_first {
            let mut mark = Vec::new();
            let read = entry.by_ref().take(MARK.1.len() as u64 + 1).read_to_end(&mut mark);
            if read.is_err() || name != MARK.0 || mark != MARK.1 {
                self.imported.refuse(name, "the file is not an export that this release reads");
                return Ok(ControlFlow::Break(()));
            }
            return Ok(ControlFlow::Continue(()));
        }
        if bytes > OBJECT_LIMIT_BYTES {
            self.imported.refuse(name, "it is longer than any object; the rest is not read");
            return Ok(ControlFlow::Break(()));
        }
        let key =
            name.strip_prefix(OBJECTS).and_then(|key| key.parse::<Digest>().ok()).map(GraphKey);
        let Some(key) = key.filter(|_| entry.header().entry_type() == tar::EntryType::Regular)
        else {
            self.imported.refuse(name, "it is no object");
            return Ok(ControlFlow::Continue(()));
        };
        if self.seen.contains(&key) {
            self.imported.refuse(name, "it is in the file already");
        } else if self.store.has_sound(&key) {
            self.seen.insert(key);
            self.coming.stays(key);
            self.imported.kept += 1;
        } else if bytes > self.store.max_bytes {
            self.imported.leave_out(
                key.to_string(),
                &format!("its {bytes} bytes are more than the cache may hold"),
            );
        } else {
            match self.store.take_in(&key, entry, bytes)? {
                Ok(one) => {
                    self.seen.insert(key);
                    self.staged_bytes += bytes;
                    self.staged.push(one);
                }
                Err(reason) => self.imported.refuse(name, &reason),
            }
        }
        if self.staged.len() >= STAGED || self.staged_bytes >= STAGED_BYTES {
            self.record()?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Moves the verified objects to their final places and records them, as far as there is room.
    fn record(&mut self) -> Result<(), StoreError> {
        let mut staged = std::mem::take(&mut self.staged);
        self.staged_bytes = 0;
        if staged.is_empty() {
            return Ok(());
        }
        for (one, placed) in
            self.store.place_and_record(&mut staged, &self.coming)?.into_iter().zip(&staged)
        {
            match one {
                Ok(()) => {
                    self.imported.added += 1;
                    self.imported.added_bytes += placed.info.stored_bytes;
                }
                Err(refused) => self
                    .imported
                    .leave_out(placed.record.graph_key.to_string(), &refused.to_string()),
            }
        }
        Ok(())
    }
}

/// Checks an object as a whole, each part as soon as it is read. The error says why it is refused.
fn checked(
    from: &mut impl Read,
    key: &GraphKey,
    bytes: u64,
) -> Result<(GraphRecord, Option<object::ProgramFrame>), ObjectError> {
    let opened = object::Opened::new(from, bytes)?;
    let record = opened.record(Some(key))?;
    if record.key_of_inputs().is_none() {
        return Err(ObjectError::RecordVersion(record.version));
    }
    opened.check_ratio(TRUSTED_RATIO, TRUSTED_BYTES)?;
    opened.verify(key, false).map(|(record, program, _)| (record, program))
}

fn unreadable(cause: io::Error) -> StoreError {
    read_error(Path::new("the imported file"), cause)
}

/// Copies everything that is read through it to a file. A failed write ends the reading, and is
/// kept apart from a failed read.
struct Copied<'a, R> {
    from: R,
    to: &'a mut NewFile,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Copied<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        if let Err(error) = self.to.write_all(buffer.get(..read).unwrap_or_default()) {
            self.failed = Some(error);
            return Err(io::Error::other("what was read cannot be written"));
        }
        Ok(read)
    }
}
