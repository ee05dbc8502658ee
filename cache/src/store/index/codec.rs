//! How the values of the index are written.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entries::key;
use super::transaction::{Fault, Transaction};
use crate::object::ProgramFrame;
use crate::program::ProgramFormat;
use crate::record::GraphRecord;

pub(super) fn store_record(index: &mut Transaction, record: &GraphRecord) -> Result<(), Fault> {
    let json = serde_json::to_vec(record).map_err(|error| Fault::Io(error.into()))?;
    let stored = zstd::bulk::compress(&json, 1).map_err(Fault::Io)?;
    let length = u32::try_from(json.len()).map_err(|error| Fault::Io(io::Error::other(error)))?;
    index.put(key(b'r', &[&record.graph_key.0]), [&length.to_le_bytes(), stored.as_slice()].concat());
    Ok(())
}

/// The record in a value; `None` where its JSON is not understood, since another release may have written it.
pub(super) fn decode_record(stored: &[u8]) -> Result<Option<GraphRecord>, Fault> {
    const RECORD_LIMIT_BYTES: usize = 64 << 20;
    let damaged = |reason: String| Fault::Damaged(format!("a record cannot be read: {reason}"));
    let (length, frame) = stored.split_first_chunk().ok_or_else(|| damaged("it is cut short".into()))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > RECORD_LIMIT_BYTES {
        return Err(damaged(format!("it is said to be {length} bytes long")));
    }
    let json = zstd::bulk::decompress(frame, length).map_err(|error| damaged(error.to_string()))?;
    let record = serde_json::from_slice(&json);
    Ok(record.inspect_err(|error| tracing::debug!(%error, "a record is not understood and counts as none")).ok())
}

pub(super) fn encode_program(program: &ProgramFrame) -> Vec<u8> {
    let format = match program.format {
        ProgramFormat::Mlir => 0,
        ProgramFormat::Hlo => 1,
    };
    [&[format], program.bytes.to_le_bytes().as_slice(), &program.frame].concat()
}

/// The program in a value; `None` where it is not understood, since another release may have written it.
pub(super) fn decode_program(stored: &[u8]) -> Option<ProgramFrame> {
    let (format, rest) = stored.split_first()?;
    let (length, frame) = rest.split_first_chunk()?;
    let format = match format {
        0 => ProgramFormat::Mlir,
        1 => ProgramFormat::Hlo,
        _ => return None,
    };
    Some(ProgramFrame { format, bytes: u64::from_le_bytes(*length), frame: frame.to_vec() })
}

/// A value that is JSON; `None` where it is not understood, since another release may have written it.
pub(super) fn get_json<T: DeserializeOwned>(index: &Transaction, key: &[u8]) -> Result<Option<T>, Fault> {
    let Some(stored) = index.get(key)? else { return Ok(None) };
    let value = serde_json::from_slice(&stored);
    Ok(value.inspect_err(|error| tracing::debug!(%error, "a value is not understood and counts as none")).ok())
}

pub(super) fn put_json<T: Serialize>(index: &mut Transaction, key: Vec<u8>, value: &T) -> Result<(), Fault> {
    let json = serde_json::to_vec(value).map_err(|error| Fault::Io(error.into()))?;
    index.put(key, json);
    Ok(())
}
