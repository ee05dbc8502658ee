//! Reading objects: once from front to back, with a hash over all that is read.
//!
//! The machine code is decompressed piece by piece while it is read, so that an object takes the memory of its machine code and no
//! more, and none of that where it is only checked. It is handed out once the hash at the end of the file held.

use std::fs::File;
use std::io::{self, Read};

use super::{HASH_BYTES, ObjectError, PRELUDE_BYTES, Prelude, ProgramFrame};
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::record::{GraphRecord, ObjectInfo, RecordStatistics};

/// Decompression starts with at most this many bytes for each stored one, so that a forged length reserves no memory to speak of.
const TRUSTED_RATIO: u64 = 64;
/// What a frame may ask a decoder to keep of what it gave: 32 MiB. At [`ZSTD_LEVEL`](super::ZSTD_LEVEL) it is 2 MiB.
const WINDOW_LOG_MAX: u32 = 25;

/// An object whose checksums held.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) record: GraphRecord,
    pub(crate) program: ProgramFrame,
    pub(crate) payload: Vec<u8>,
}

/// Reads a whole object, and checks it before anything of it is returned.
pub(crate) fn load(file: &mut File, key: &GraphKey) -> Result<Loaded, ObjectError> {
    let (record, program, payload) = read(file, key, into_memory)?;
    Ok(Loaded { record, program, payload })
}

/// Checks all of an object: its checksums, its record, its program, its machine code, and that its key is that of what its record says
/// it was compiled from.
pub(crate) fn verify(file: &mut File, key: &GraphKey) -> Result<(GraphRecord, ProgramFrame, ObjectInfo), ObjectError> {
    let (record, program, payload_hash) = read(file, key, |_, payload| {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(payload).map(|hasher| hasher.finalize())
    })?;
    let info = record.object.clone().ok_or(ObjectError::Checksum)?;
    if info.payload_digest != Digest::from(payload_hash) || !program.is_of(&record.program.digest) {
        return Err(ObjectError::Checksum);
    }
    match record.key_of_inputs() {
        Some(other) if other != *key => Err(ObjectError::ForeignKey(other)),
        _ => Ok((record, program, info)),
    }
}

/// Reads a whole object; `take` makes of its machine code what the caller needs, which is returned once all checksums held.
fn read<T>(
    file: &mut File,
    key: &GraphKey,
    take: impl FnOnce(usize, &mut dyn Read) -> io::Result<T>,
) -> Result<(GraphRecord, ProgramFrame, T), ObjectError> {
    let file_bytes = file.metadata()?.len();
    let mut file = Hashing { from: file, hasher: blake3::Hasher::new() };
    let (header, prelude) = read_head(&mut file, file_bytes)?;
    let mut frame = Vec::new();
    file.by_ref().take(prelude.program_stored_bytes).read_to_end(&mut frame)?;
    let mut stored = file.by_ref().take(prelude.payload_stored_bytes);
    let payload = unpack("payload", &mut stored, prelude.payload_stored_bytes, prelude.payload_bytes, take);
    // Whatever came of it: bytes that are not those that were written are called that.
    io::copy(&mut stored, &mut io::sink())?;
    let hash = file.hasher.finalize();
    let mut stored = [0; HASH_BYTES];
    match file.from.read_exact(&mut stored) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ObjectError::Checksum),
        read => read?,
    }
    if *hash.as_bytes() != stored {
        return Err(ObjectError::Checksum);
    }
    let record = decode_header(&header, &prelude, file_bytes, Some(key))?;
    let program = ProgramFrame { format: record.program.format, bytes: prelude.program_bytes, frame };
    Ok((record, program, payload?))
}

/// Reads and checks the record alone.
pub(crate) fn read_header(file: &mut File) -> Result<GraphRecord, ObjectError> {
    let file_bytes = file.metadata()?.len();
    let (header, prelude) = read_head(file, file_bytes)?;
    decode_header(&header, &prelude, file_bytes, None)
}

/// Reads the record and the stored program, and nothing of the machine code. The record is checked; the program shows by its digest.
pub(crate) fn read_program(file: &mut File) -> Result<(GraphRecord, ProgramFrame), ObjectError> {
    let file_bytes = file.metadata()?.len();
    let (header, prelude) = read_head(file, file_bytes)?;
    let record = decode_header(&header, &prelude, file_bytes, None)?;
    let mut frame = Vec::new();
    file.take(prelude.program_stored_bytes).read_to_end(&mut frame)?;
    let program = ProgramFrame { format: record.program.format, bytes: prelude.program_bytes, frame };
    Ok((record, program))
}

/// Reads the header and checks it against its hash; the program comes next.
fn read_head(from: &mut impl Read, file_bytes: u64) -> Result<(Vec<u8>, Prelude), ObjectError> {
    if file_bytes < PRELUDE_BYTES as u64 {
        return Err(ObjectError::Length { expected: (PRELUDE_BYTES + 2 * HASH_BYTES) as u64, found: file_bytes });
    }
    let mut first = [0; PRELUDE_BYTES];
    from.read_exact(&mut first)?;
    let prelude = Prelude::decode(&first, file_bytes)?;
    let mut header = Vec::new();
    from.by_ref().take(prelude.header_bytes).read_to_end(&mut header)?;
    let mut stored = [0; HASH_BYTES];
    from.read_exact(&mut stored)?;
    let hash = blake3::Hasher::new().update(&first).update(&header).finalize();
    if *hash.as_bytes() == stored { Ok((header, prelude)) } else { Err(ObjectError::Checksum) }
}

/// The record, which must agree with the lengths beside it and name the key that was asked for.
///
/// How a graph is used is the index's to know: what an object that came from elsewhere says of that is not taken over, nor are more
/// requests than a record keeps.
fn decode_header(
    header: &[u8],
    prelude: &Prelude,
    file_bytes: u64,
    key: Option<&GraphKey>,
) -> Result<GraphRecord, ObjectError> {
    let mut record: GraphRecord = serde_json::from_slice(header).map_err(ObjectError::Header)?;
    record.drop_oldest_signatures();
    let states = |info: &ObjectInfo| info.payload_bytes == prelude.payload_bytes && info.stored_bytes == file_bytes;
    if !record.object.as_ref().is_some_and(states) || record.program.bytes != prelude.program_bytes {
        return Err(ObjectError::Checksum);
    }
    match key {
        Some(key) if *key != record.graph_key => Err(ObjectError::OtherKey(record.graph_key)),
        _ => Ok(GraphRecord { pinned: false, statistics: RecordStatistics::default(), ..record }),
    }
}

/// Decompresses a frame into exactly the stated length.
pub(super) fn decompress(part: &'static str, frame: &[u8], stated_bytes: u64) -> Result<Vec<u8>, ObjectError> {
    unpack(part, frame, frame.len() as u64, stated_bytes, into_memory)
}

fn into_memory(room_bytes: usize, from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(room_bytes);
    from.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Decompresses a frame piece by piece. `take` is told how much room to begin with; it is an error if it gets less than was stated,
/// or could get more.
fn unpack<T>(
    part: &'static str,
    frame: impl Read,
    frame_bytes: u64,
    stated_bytes: u64,
    take: impl FnOnce(usize, &mut dyn Read) -> io::Result<T>,
) -> Result<T, ObjectError> {
    let failed = |reason: String| ObjectError::Frame { part, bytes: stated_bytes, reason };
    let broken = |error: io::Error| failed(error.to_string());
    let mut decoder = zstd::Decoder::new(frame).map_err(broken)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(broken)?;
    let limit_bytes = stated_bytes.saturating_add(1);
    let mut given = decoder.take(limit_bytes);
    let trusted_bytes = frame_bytes.saturating_mul(TRUSTED_RATIO).saturating_add(1 << 20);
    // One byte of room beyond, for the one that must not come.
    let room_bytes = usize::try_from(limit_bytes.min(trusted_bytes)).unwrap_or(0);
    let taken = take(room_bytes, &mut given).map_err(broken)?;
    match limit_bytes - given.limit() {
        bytes if bytes == stated_bytes => Ok(taken),
        bytes => Err(failed(format!("it gives {bytes}"))),
    }
}

/// Hashes what is read through it.
struct Hashing<R> {
    from: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
