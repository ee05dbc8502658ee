//! Moving entries: one portable file, a tar of objects in a zstd frame.
//!
//! | name in the archive | what |
//! |---|---|
//! | `preheat-export` | first; `preheat-export 1` and a line end |
//! | `objects-v1/` graph key | an object, byte for byte |
//!
//! A file that is imported is hostile input: names and lengths are checked before anything is written, no header of tar's that
//! extends another is followed, the frame's window is bounded, and an object is verified whole before it is given its name.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write};

use serde::Serialize;

use super::objects::{Staged, is_absent};
use super::{STAGED, Store, StoreError, read_error, write_error};
use crate::files;
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::object::{self, OBJECT_LIMIT_BYTES};
use crate::record::GraphRecord;

/// The first entry of an archive, and what it holds.
const MARK: (&str, &[u8]) = ("preheat-export", b"preheat-export 1\n");
/// The folder of objects in an archive; the version is that of the objects' format.
const OBJECTS: &str = "objects-v1/";
/// What zstd's own command line takes unless it is told otherwise: 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;
/// Objects are compressed already; the frame takes what their records have in common.
const LEVEL: i32 = 3;
/// So many bytes of imported objects are recorded with one transaction.
const STAGED_BYTES: u64 = 256 << 20;

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Exported {
    /// Objects in the file.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: u64,
    /// Entries that were asked for and left out: their objects are gone or damaged.
    pub left_out: Vec<Refused>,
}

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Imported {
    /// Objects that are new here.
    pub added: u64,
    /// Their bytes.
    pub added_bytes: u64,
    /// Objects that were here already, and sound.
    pub kept: u64,
    /// What was not taken.
    pub refused: Vec<Refused>,
}

/// Something that was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Its key, or its name in the file.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Store {
    /// Writes the objects of which `wanted` is true to one portable file. `told` is asked after each object whether to go on.
    pub fn export(
        &self,
        to: impl Write,
        wanted: impl Fn(&GraphRecord) -> bool,
        mut told: impl FnMut(u64) -> bool,
    ) -> Result<Exported, StoreError> {
        let unwritable = |cause| write_error(std::path::Path::new("the exported file"), cause);
        let mut archive = tar::Builder::new(zstd::Encoder::new(to, LEVEL).map_err(unwritable)?);
        append(&mut archive, MARK.0, MARK.1.len() as u64, MARK.1).map_err(unwritable)?;
        let mut exported = Exported::default();
        for record in self.all_records()?.iter().filter(|record| wanted(record)) {
            let key = record.graph_key;
            let path = self.layout.object(&key);
            let mut leave_out = |reason: String| exported.left_out.push(Refused { name: key.to_string(), reason });
            let mut file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if is_absent(&error) => {
                    leave_out("its object is gone".to_owned());
                    continue;
                }
                Err(error) => return Err(read_error(&path, error)),
            };
            if let Err(cause) = object::verify(&mut file, &key) {
                leave_out(cause.to_string());
                continue;
            }
            let length = file.rewind().and_then(|()| file.metadata()).map_err(|cause| read_error(&path, cause))?.len();
            append(&mut archive, &format!("{OBJECTS}{key}"), length, &file).map_err(unwritable)?;
            exported.objects += 1;
            exported.object_bytes += length;
            if !told(exported.objects) {
                break;
            }
        }
        archive.into_inner().and_then(zstd::Encoder::finish).and_then(|mut to| to.flush()).map_err(unwritable)?;
        Ok(exported)
    }

    /// Takes the objects of an exported file in: each is verified whole, and what does not check is refused by name.
    ///
    /// One that is here already stays as it is, unless it is damaged. Where the file itself is damaged, what came before stays and
    /// the rest is refused. `told` is asked after each object whether to go on.
    pub fn import(&self, from: impl Read, mut told: impl FnMut(u64) -> bool) -> Result<Imported, StoreError> {
        self.prepare()?;
        let mut imported = Imported::default();
        let mut staged = Vec::new();
        let mut staged_bytes = 0;
        let rest = |error: &io::Error| Refused { name: "the rest of the file".to_owned(), reason: error.to_string() };
        let decoder = zstd::Decoder::new(from).and_then(|mut decoder| {
            decoder.window_log_max(WINDOW_LOG_MAX)?;
            Ok(decoder)
        });
        let mut archive = match decoder {
            Ok(decoder) => tar::Archive::new(decoder),
            Err(error) => {
                imported.refused.push(rest(&error));
                return Ok(imported);
            }
        };
        // Raw: a header that extends the next one would be read into memory whole, however long it says that it is.
        let entries =
            archive.entries().map_err(|cause| read_error(std::path::Path::new("the imported file"), cause))?;
        for (at, entry) in entries.raw(true).enumerate() {
            let mut entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    imported.refused.push(rest(&error));
                    break;
                }
            };
            let name: String = String::from_utf8_lossy(&entry.path_bytes()).chars().take(200).collect();
            let refuse = |reason: &str| Refused { name: name.clone(), reason: reason.to_owned() };
            let bytes = entry.size();
            if at == 0 {
                let mut mark = Vec::new();
                let read = entry.by_ref().take(MARK.1.len() as u64 + 1).read_to_end(&mut mark);
                if read.is_err() || name != MARK.0 || mark != MARK.1 {
                    imported.refused.push(refuse("the file is none that this release exports"));
                    break;
                }
                continue;
            }
            if bytes > OBJECT_LIMIT_BYTES.min(self.max_bytes) {
                imported
                    .refused
                    .push(refuse("it is longer than any object, or than the cache may be; the rest is not read"));
                break;
            }
            let key = name.strip_prefix(OBJECTS).and_then(|key| key.parse::<Digest>().ok()).map(GraphKey);
            let Some(key) = key.filter(|_| entry.header().entry_type() == tar::EntryType::Regular) else {
                imported.refused.push(refuse("it is no object"));
                continue;
            };
            if self.has_sound(&key) {
                imported.kept += 1;
            } else {
                match self.take_in(&key, &mut entry, bytes)? {
                    Ok(one) => {
                        imported.added += 1;
                        imported.added_bytes += bytes;
                        staged_bytes += bytes;
                        staged.push(one);
                    }
                    Err(reason) => imported.refused.push(refuse(&reason)),
                }
            }
            if staged.len() >= STAGED || staged_bytes >= STAGED_BYTES {
                self.store_staged(std::mem::take(&mut staged))?;
                staged_bytes = 0;
            }
            if !told(imported.added + imported.kept) {
                break;
            }
        }
        if !staged.is_empty() {
            self.store_staged(staged)?;
        }
        Ok(imported)
    }

    /// Copies an object into a file of its own and verifies it there. The inner error says why it is refused.
    fn take_in(&self, key: &GraphKey, from: &mut impl Read, bytes: u64) -> Result<Result<Staged, String>, StoreError> {
        let failed = |cause| write_error(&self.layout.tmp(), cause);
        let mut file = self.new_file(&format!("{key}.")).map_err(failed)?;
        let mut from = Noted { from: from.take(bytes), failed: None };
        let copied = io::copy(&mut from, &mut files::Writing(&mut file));
        if let Some(reason) = from.failed {
            return Ok(Err(reason));
        }
        copied.and_then(|_| file.as_file_mut().rewind()).map_err(failed)?;
        match object::verify(file.as_file_mut(), key) {
            Ok((record, program, _)) => self.staged(file, record, program).map(Ok),
            Err(cause) => Ok(Err(cause.to_string())),
        }
    }

    fn has_sound(&self, key: &GraphKey) -> bool {
        File::open(self.layout.object(key)).is_ok_and(|mut file| object::verify(&mut file, key).is_ok())
    }

    /// Every record: from the index, else from the headers of the objects.
    fn all_records(&self) -> Result<Vec<GraphRecord>, StoreError> {
        match self.records() {
            Err(StoreError::IndexUnavailable { .. }) => {
                let keys = self.object_keys()?;
                Ok(keys.iter().filter_map(|key| self.object_record(key).ok().flatten()).collect())
            }
            other => other,
        }
    }
}

/// Adds an entry that looks the same whoever writes it, and when.
fn append(archive: &mut tar::Builder<impl Write>, name: &str, length: u64, from: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(length);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    archive.append_data(&mut header, name, from.take(length))
}

/// Tells a failure to read from a failure to write what was read.
struct Noted<R> {
    from: R,
    failed: Option<String>,
}

impl<R: Read> Read for Noted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.from.read(buffer).inspect_err(|error| self.failed = Some(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
