//! In which format are the values of the index written? A record is JSON in a zstd frame, with its
//! use as JSON before it. A program is a zstd frame, with its format and its length before it. Most
//! other values are JSON. The table in `index.rs` lists all values.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entries::key;
use super::transaction::{Fault, Transaction};
use crate::key::GraphKey;
use crate::object::ProgramFrame;
use crate::program::ProgramFormat;
use crate::record::GraphRecord;

/// Stores a record. The graph's recorded use stays beside it.
pub(super) fn store_record(index: &mut Transaction, record: &GraphRecord) -> Result<(), Fault> {
    let json = serde_json::to_vec(record).map_err(|error| Fault::Io(error.into()))?;
    let frame = zstd::bulk::compress(&json, 1).map_err(Fault::Io)?;
    let length = u32::try_from(json.len()).map_err(|error| Fault::Io(io::Error::other(error)))?;
    let place = key(b'r', &[&record.graph_key.0]);
    let before = index.get(&place)?;
    let usage = match &before {
        Some(before) => split_record(before)?.0,
        None => &[],
    };
    let value = record_value(usage, &[&length.to_le_bytes(), frame.as_slice()].concat())?;
    index.put(place, value);
    Ok(())
}

/// Stores a graph's use beside its record.
pub(super) fn store_beside_record<T: Serialize>(
    index: &mut Transaction,
    graph: &GraphKey,
    usage: &T,
) -> Result<(), Fault> {
    let place = key(b'r', &[&graph.0]);
    let Some(before) = index.get(&place)? else { return Ok(()) };
    let json = serde_json::to_vec(usage).map_err(|error| Fault::Io(error.into()))?;
    let value = record_value(&json, split_record(&before)?.1)?;
    index.put(place, value);
    Ok(())
}

/// The value of a record: the length of its use (4 bytes), its use, the length of the record (4
/// bytes), the record's zstd frame.
fn record_value(usage: &[u8], record: &[u8]) -> Result<Vec<u8>, Fault> {
    let length = u32::try_from(usage.len()).map_err(|error| Fault::Io(io::Error::other(error)))?;
    Ok([&length.to_le_bytes(), usage, record].concat())
}

/// Splits a stored value into a graph's use and its record.
pub(super) fn split_record(stored: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let damaged = || Fault::Damaged("a record cannot be read: it is cut short".into());
    let (length, rest) = stored.split_first_chunk().ok_or_else(damaged)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| damaged())?;
    rest.split_at_checked(length).ok_or_else(damaged)
}

/// The record in a value. `None` if this release does not understand the record's JSON, since
/// another release may have written it.
pub(super) fn decode_record(stored: &[u8]) -> Result<Option<GraphRecord>, Fault> {
    const RECORD_LIMIT_BYTES: usize = 64 << 20;
    let damaged = |reason: String| Fault::Damaged(format!("a record cannot be read: {reason}"));
    let (length, frame) = split_record(stored)?
        .1
        .split_first_chunk()
        .ok_or_else(|| damaged("it is cut short".into()))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > RECORD_LIMIT_BYTES {
        return Err(damaged(format!("it is said to be {length} bytes long")));
    }
    let json = zstd::bulk::decompress(frame, length).map_err(|error| damaged(error.to_string()))?;
    let record = serde_json::from_slice(&json);
    let record: Option<GraphRecord> = record
        .inspect_err(
            |error| tracing::debug!(%error, "a record is not understood, so it is skipped"),
        )
        .ok();
    // An earlier release did not check the figures of the records that it imported.
    Ok(record.map(|record| GraphRecord { measurements: record.measurements.plausible(), ..record }))
}

pub(super) fn encode_program(program: &ProgramFrame) -> Vec<u8> {
    let format = match program.format {
        ProgramFormat::Mlir => 0,
        ProgramFormat::Hlo => 1,
        ProgramFormat::Graph => 2,
    };
    [&[format], program.bytes.to_le_bytes().as_slice(), &program.frame].concat()
}

/// The program in a value. `None` if this release does not understand it, since another release may
/// have written it.
pub(super) fn decode_program(stored: &[u8]) -> Option<ProgramFrame> {
    let (format, rest) = stored.split_first()?;
    let (length, frame) = rest.split_first_chunk()?;
    let format = match format {
        0 => ProgramFormat::Mlir,
        1 => ProgramFormat::Hlo,
        2 => ProgramFormat::Graph,
        _ => return None,
    };
    Some(ProgramFrame { format, bytes: u64::from_le_bytes(*length), frame: frame.to_vec() })
}

/// Reads a value that is JSON. `None` if this release does not understand it, since another release
/// may have written it.
pub(super) fn get_json<T: DeserializeOwned>(
    index: &Transaction,
    key: &[u8],
) -> Result<Option<T>, Fault> {
    Ok(index.get(key)?.and_then(|stored| decode_json(&stored)))
}

pub(super) fn decode_json<T: DeserializeOwned>(stored: &[u8]) -> Option<T> {
    let value = serde_json::from_slice(stored);
    value
        .inspect_err(
            |error| tracing::debug!(%error, "a value is not understood, so it is left out"),
        )
        .ok()
}

pub(super) fn put_json<T: Serialize>(
    index: &mut Transaction,
    key: Vec<u8>,
    value: &T,
) -> Result<(), Fault> {
    let json = serde_json::to_vec(value).map_err(|error| Fault::Io(error.into()))?;
    index.put(key, json);
    Ok(())
}
