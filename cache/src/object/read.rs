//! Is this object intact, and what is in it? An object is read once, from front to back, and
//! everything that is read is hashed.
//!
//! The machine code is decompressed piece by piece while it is read. So loading an object takes
//! little more memory than its machine code, and checking an object never holds the machine code in
//! memory. The machine code is returned only after the hash at the end of the file was found to be
//! right.

use std::fs::File;
use std::io::{self, Read};

use super::{HASH_BYTES, HELD_PROGRAM_BYTES, ObjectError, PRELUDE_BYTES, Prelude, ProgramFrame};
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::program::{self, ProgramFormat};
use crate::record::{GraphRecord, ObjectInfo, ProgramInfo, RecordStatistics};

/// Before decompression, at most this many times the stored length is allocated, and 1 MiB. So a
/// forged length cannot allocate much memory.
const TRUSTED_RATIO: u64 = 64;
/// The base-2 logarithm of the largest window that a frame may have, which is 32 MiB. At
/// [`ZSTD_LEVEL`](super::ZSTD_LEVEL), frames have a window of 2 MiB.
const WINDOW_LOG_MAX: u32 = 25;

/// An object whose checksums were right.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) record: GraphRecord,
    pub(crate) program: ProgramFrame,
    pub(crate) payload: Vec<u8>,
}

/// Reads a whole object, and checks it before any of it is returned.
pub(crate) fn load(file: &mut File, key: &GraphKey) -> Result<Loaded, ObjectError> {
    let file_bytes = file.metadata()?.len();
    let whole =
        |_: &GraphRecord, prelude: &Prelude, from: &mut dyn Read| prelude.program_frame(from);
    let (record, frame, payload) =
        Opened::new(file, file_bytes)?.read(Some(key), true, whole, into_memory)?;
    let program = ProgramFrame { format: record.program.format, ..frame };
    Ok(Loaded { record, program, payload })
}

/// Checks everything in an object: its checksums, its record, its program and its machine code. If
/// this release knows the version of the record, the key also has to follow from the program, the
/// options and the environment in the record. The program is returned unless it is long.
pub(crate) fn verify(
    file: &mut File,
    key: &GraphKey,
) -> Result<(GraphRecord, Option<ProgramFrame>, ObjectInfo), ObjectError> {
    let file_bytes = file.metadata()?.len();
    Opened::new(file, file_bytes)?.verify(key, true)
}

/// Reads and checks only the record.
pub(crate) fn read_header(file: &mut File) -> Result<GraphRecord, ObjectError> {
    let file_bytes = file.metadata()?.len();
    Opened::new(file, file_bytes)?.record(None)
}

/// Reads the record, and the stored program unless it is long, but no machine code. The record is
/// checked here; the caller checks the program by its digest.
pub(crate) fn read_program(
    file: &mut File,
) -> Result<(GraphRecord, Option<ProgramFrame>), ObjectError> {
    let file_bytes = file.metadata()?.len();
    let mut opened = Opened::new(file, file_bytes)?;
    let record = opened.record(None)?;
    if opened.prelude.has_long_program() {
        return Ok((record, None));
    }
    let frame = opened.prelude.program_frame(&mut opened.from)?;
    let program = ProgramFrame { format: record.program.format, ..frame };
    Ok((record, Some(program)))
}

impl Prelude {
    /// Whether its program is too long to be held in memory.
    fn has_long_program(&self) -> bool {
        self.program_bytes > HELD_PROGRAM_BYTES
            || self.program_stored_bytes > 2 * HELD_PROGRAM_BYTES
    }

    /// Reads the program's frame. The program's format is in the record, not in the frame.
    fn program_frame(&self, from: &mut dyn Read) -> Result<ProgramFrame, ObjectError> {
        let mut frame = Vec::new();
        from.take(self.program_stored_bytes).read_to_end(&mut frame)?;
        Ok(ProgramFrame { format: ProgramFormat::Mlir, bytes: self.program_bytes, frame })
    }
}

/// An object whose header was checked against its hash, and whose other parts are still to be read.
pub(crate) struct Opened<R> {
    from: Hashing<R>,
    header: Vec<u8>,
    prelude: Prelude,
    file_bytes: u64,
}

impl<R: Read> Opened<R> {
    pub(crate) fn new(from: R, file_bytes: u64) -> Result<Self, ObjectError> {
        let mut from = Hashing { from, hasher: blake3::Hasher::new() };
        let (header, prelude) = read_head(&mut from, file_bytes)?;
        Ok(Self { from, header, prelude, file_bytes })
    }

    /// Its record. If a key is given, the record has to name that key.
    pub(crate) fn record(&self, key: Option<&GraphKey>) -> Result<GraphRecord, ObjectError> {
        decode_header(&self.header, &self.prelude, self.file_bytes, key)
    }

    /// Refuses an object if one of its parts claims to decompress to more than `ratio` times the
    /// length of the file and to more than `least_bytes`.
    pub(crate) fn check_ratio(&self, ratio: u64, least_bytes: u64) -> Result<(), ObjectError> {
        let most = least_bytes.max(self.file_bytes.saturating_mul(ratio));
        let parts =
            [("program", self.prelude.program_bytes), ("payload", self.prelude.payload_bytes)];
        match parts.into_iter().find(|(_, bytes)| *bytes > most) {
            Some((part, bytes)) => Err(ObjectError::Limit { part, bytes }),
            None => Ok(()),
        }
    }

    /// Does what [`verify`] does. Without `patience`, reading stops at a wrong program or wrong
    /// machine code. A caller without `patience` has to check the record first.
    pub(crate) fn verify(
        self,
        key: &GraphKey,
        patience: bool,
    ) -> Result<(GraphRecord, Option<ProgramFrame>, ObjectInfo), ObjectError> {
        let program = |record: &GraphRecord, prelude: &Prelude, from: &mut dyn Read| {
            if prelude.has_long_program() {
                let right = is_program(
                    &record.program,
                    prelude.program_bytes,
                    prelude.program_stored_bytes,
                    from,
                )?;
                return if right { Ok(None) } else { Err(ObjectError::Checksum) };
            }
            let frame = prelude.program_frame(from)?;
            let program = ProgramFrame { format: record.program.format, ..frame };
            if program.is_of(&record.program.digest) {
                Ok(Some(program))
            } else {
                Err(ObjectError::Checksum)
            }
        };
        let (record, program, payload_hash) =
            self.read(Some(key), patience, program, |_, payload| {
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(payload).map(|hasher| hasher.finalize())
            })?;
        let info = record.object.clone().ok_or(ObjectError::Checksum)?;
        if info.payload_digest != Digest::from(payload_hash) {
            return Err(ObjectError::Checksum);
        }
        match record.key_of_inputs() {
            Some(other) if other != *key => Err(ObjectError::ForeignKey(other)),
            _ => Ok((record, program, info)),
        }
    }

    /// Reads the rest of an object. `program` and `payload` turn its parts into what the caller
    /// needs, which is returned only if all checksums are right.
    fn read<P, T>(
        mut self,
        key: Option<&GraphKey>,
        patience: bool,
        program: impl FnOnce(&GraphRecord, &Prelude, &mut dyn Read) -> Result<P, ObjectError>,
        payload: impl FnOnce(usize, &mut dyn Read) -> io::Result<T>,
    ) -> Result<(GraphRecord, P, T), ObjectError> {
        let record = self.record(key);
        let prelude = self.prelude;
        let mut stored = self.from.by_ref().take(prelude.program_stored_bytes);
        let program = match &record {
            Ok(record) => Some(program(record, &prelude, &mut stored)),
            Err(_) => None,
        };
        if !patience && let Some(Err(error)) = program {
            return Err(error);
        }
        // The rest of the part is read even after an error, so that damaged bytes are reported as a
        // wrong checksum.
        io::copy(&mut stored, &mut io::sink())?;
        let mut stored = self.from.by_ref().take(prelude.payload_stored_bytes);
        let payload = unpack(
            "payload",
            &mut stored,
            prelude.payload_stored_bytes,
            prelude.payload_bytes,
            payload,
        );
        if !patience && payload.is_err() {
            return payload.and_then(|_| Err(ObjectError::Checksum));
        }
        io::copy(&mut stored, &mut io::sink())?;
        let hash = self.from.hasher.finalize();
        let mut stored = [0; HASH_BYTES];
        match self.from.from.read_exact(&mut stored) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(ObjectError::Checksum);
            }
            read => read?,
        }
        if *hash.as_bytes() != stored {
            return Err(ObjectError::Checksum);
        }
        let record = record?;
        let program = program.unwrap_or(Err(ObjectError::Checksum))?;
        Ok((record, program, payload?))
    }
}

/// Whether a long frame contains the program of a record, as far as this can be found without
/// holding the program in memory.
///
/// If the bytes of a format are hashed unchanged, the digests are compared. The digest of any other
/// format needs the whole program, so only the lengths are compared. This is safe: before a program
/// is used, its key is computed from the program itself, and a wrong program gives another key.
fn is_program(
    info: &ProgramInfo,
    bytes: u64,
    frame_bytes: u64,
    frame: impl Read,
) -> Result<bool, ObjectError> {
    let digest = unpack("program", frame, frame_bytes, bytes, |_, from| {
        program::streamed_digest(info.format, from)
    })?;
    Ok(digest.is_none_or(|digest| digest == info.digest))
}

impl ProgramFrame {
    /// Whether the frame contains the program with this digest, as far as this can be found without
    /// holding a long program in memory.
    pub(crate) fn is_of(&self, digest: &Digest) -> bool {
        if self.bytes > HELD_PROGRAM_BYTES {
            let info = ProgramInfo { format: self.format, digest: *digest, bytes: self.bytes };
            return is_program(&info, self.bytes, self.frame.len() as u64, self.frame.as_slice())
                .unwrap_or(false);
        }
        let bytes = decompress("program", &self.frame, self.bytes);
        bytes.is_ok_and(|bytes| program::has_digest(self.format, &bytes, digest))
    }
}

/// Reads the header and checks it against its hash; the program comes next.
fn read_head(from: &mut impl Read, file_bytes: u64) -> Result<(Vec<u8>, Prelude), ObjectError> {
    if file_bytes < PRELUDE_BYTES as u64 {
        return Err(ObjectError::Length {
            expected: (PRELUDE_BYTES + 2 * HASH_BYTES) as u64,
            found: file_bytes,
        });
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

/// The record. It has to agree with the lengths in the first bytes of the file, and with `key` if
/// that is given.
///
/// Uses and pins are recorded in the index, so those that an object states are ignored. Requests
/// beyond the number that a record keeps and implausible measurements are dropped. If the time of
/// the compile lies in the future, it is replaced by the present time.
fn decode_header(
    header: &[u8],
    prelude: &Prelude,
    file_bytes: u64,
    key: Option<&GraphKey>,
) -> Result<GraphRecord, ObjectError> {
    let mut record: GraphRecord = serde_json::from_slice(header).map_err(ObjectError::Header)?;
    record.drop_oldest_signatures();
    let states = |info: &ObjectInfo| {
        info.payload_bytes == prelude.payload_bytes && info.stored_bytes == file_bytes
    };
    if !record.object.as_ref().is_some_and(states) || record.program.bytes != prelude.program_bytes
    {
        return Err(ObjectError::Checksum);
    }
    match key {
        Some(key) if *key != record.graph_key => Err(ObjectError::OtherKey(record.graph_key)),
        _ => Ok(GraphRecord {
            pinned: false,
            statistics: RecordStatistics::default(),
            created: record.created.min(jiff::Timestamp::now()),
            measurements: record.measurements.plausible(),
            ..record
        }),
    }
}

/// Decompresses a frame; the result must have exactly the stated length.
pub(super) fn decompress(
    part: &'static str,
    frame: &[u8],
    stated_bytes: u64,
) -> Result<Vec<u8>, ObjectError> {
    unpack(part, frame, frame.len() as u64, stated_bytes, into_memory)
}

fn into_memory(room_bytes: usize, from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(room_bytes);
    from.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Decompresses a frame piece by piece. `take` gets the number of bytes to reserve at first, and a
/// reader of the decompressed bytes. It is an error if their number is not `stated_bytes`.
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
    // One byte more is allocated, to detect a frame that is longer than stated.
    let room_bytes = usize::try_from(limit_bytes.min(trusted_bytes)).unwrap_or(0);
    let taken = take(room_bytes, &mut given).map_err(broken)?;
    match limit_bytes - given.limit() {
        bytes if bytes == stated_bytes => Ok(taken),
        bytes => Err(failed(format!("it gives {bytes}"))),
    }
}

/// A reader that hashes everything that is read through it.
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
