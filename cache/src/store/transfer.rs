//! How do entries get to another machine? They travel in one portable file, which is a tar archive
//! of objects in a zstd frame.
//!
//! | name in the archive | what |
//! |---|---|
//! | `preheat-export` | first; `preheat-export 1` and a line end |
//! | `objects-v1/` graph key | an object, byte for byte |
//!
//! This file writes archives. An archive that is read may be hostile input, so a separate file
//! reads archives: `transfer/import.rs`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek as _, Write};

use serde::Serialize;

use super::index::entries::place_unused;
use super::{Store, StoreError, read_error, write_error};
use crate::key::GraphKey;
use crate::object;
use crate::record::GraphRecord;

mod import;

pub use import::Imported;
pub(crate) use import::TakenIn;

/// The first entry of an archive: its name and its content.
const MARK: (&str, &[u8]) = ("preheat-export", b"preheat-export 1\n");
/// The folder of objects in an archive. The version in its name is the version of the objects'
/// format.
const OBJECTS: &str = "objects-v1/";
/// The first bytes of every file that [`Store::export`] writes: the magic number of a zstd frame
/// (RFC 8878, section 3.1.1).
pub const EXPORT_START: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Objects are already compressed. This frame compresses the parts that their records have in
/// common.
const LEVEL: i32 = 3;

/// The result of an export.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Exported {
    /// Objects in the file.
    pub objects: u64,
    /// Their lengths together.
    pub object_bytes: u64,
    /// Wanted entries that were left out, because their objects are gone or fail a check.
    pub left_out: Vec<RefusedEntry>,
}

/// Something that was refused or left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RefusedEntry {
    /// Its key, or its name in the file.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Store {
    /// Writes the objects for which `wanted` is true to one portable file. The objects that are
    /// worth most come first, so that an import that cannot store all of them stores the best ones.
    /// `told` is called after each object and decides whether to go on.
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
        for record in self.records_by_worth()?.iter().filter(|record| wanted(record)) {
            let key = record.graph_key;
            let path = self.layout().object(&key);
            let mut leave_out = |reason: String| {
                exported.left_out.push(RefusedEntry { name: key.to_string(), reason });
            };
            let Some((_, mut file)) = self.open_file(&self.layout.object(&key))? else {
                leave_out("its object is gone".to_owned());
                continue;
            };
            if let Err(cause) = object::verify(&mut file, &key) {
                leave_out(cause.to_string());
                continue;
            }
            let length = file
                .rewind()
                .and_then(|()| file.metadata())
                .map_err(|cause| read_error(&path, cause))?
                .len();
            append(&mut archive, &format!("{OBJECTS}{key}"), length, &file).map_err(unwritable)?;
            exported.objects += 1;
            exported.object_bytes += length;
            if !told(exported.objects) {
                break;
            }
        }
        archive
            .into_inner()
            .and_then(zstd::Encoder::finish)
            .and_then(|mut to| to.flush())
            .map_err(unwritable)?;
        Ok(exported)
    }

    /// The file of an object, byte for byte, once it was checked; `None` if it is gone or fails its
    /// check.
    pub(crate) fn object_file(&self, key: &GraphKey) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.layout.object(key);
        let Some((_, mut file)) = self.open_file(&path)? else { return Ok(None) };
        if let Err(error) = object::verify(&mut file, key) {
            tracing::info!(graph_key = %key, %error, "not uploaded");
            return Ok(None);
        }
        let mut content = Vec::new();
        let read = file.rewind().and_then(|()| file.read_to_end(&mut content));
        read.map_err(|cause| self.read_error(&path, cause))?;
        Ok(Some(content))
    }

    /// Every record, the record that is worth most first. The records come from the index, or from
    /// the headers of the objects if the index cannot be used.
    fn records_by_worth(&self) -> Result<Vec<GraphRecord>, StoreError> {
        match self.records_and_order(false) {
            Ok((mut records, order)) => {
                let order: BTreeMap<GraphKey, usize> = order.into_iter().zip(0..).collect();
                // Pinned entries have no place in the order.
                records.sort_by_key(|record| {
                    Reverse(order.get(&record.graph_key).copied().unwrap_or(usize::MAX))
                });
                Ok(records)
            }
            Err(StoreError::IndexUnavailable { .. }) => {
                let keys = self.object_keys()?;
                let mut records: Vec<GraphRecord> =
                    keys.iter().filter_map(|key| self.object_record(key).ok().flatten()).collect();
                records.sort_by_key(|record| Reverse(place_unused(record)));
                Ok(records)
            }
            Err(error) => Err(error),
        }
    }
}

/// Adds an entry whose bytes do not depend on who writes it, or when.
fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    length: u64,
    from: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(length);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    archive.append_data(&mut header, name, from.take(length))
}

#[cfg(test)]
mod tests;
