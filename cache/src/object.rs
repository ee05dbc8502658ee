//! What is in an object file? It holds the machine code of one graph with checksums, a copy of the
//! graph's record, and the program.
//!
//! | offset | length | what |
//! |---|---|---|
//! | 0 | 8 | magic, `PREHEAT` and a zero byte |
//! | 8 | 4 | format version |
//! | 12 | 4 | zero |
//! | 16 | 8 | H, the length of the header |
//! | 24 | 8 | the length of the program |
//! | 32 | 8 | P, the length of its zstd frame |
//! | 40 | 8 | the length of the payload, which is the machine code |
//! | 48 | 8 | D, the length of its zstd frame |
//! | 56 | H | header: the record as JSON |
//! | 56 + H | 32 | blake3 of all bytes before |
//! | 88 + H | P | program |
//! | 88 + H + P | D | payload |
//! | 88 + H + P + D | 32 | blake3 of all bytes before |
//!
//! Integers are little-endian. The hash after the header lets a listing trust a record without
//! reading the megabytes behind it.

use std::io::{self, Write};

use crate::format::ObjectVersion;
use crate::key::GraphKey;
use crate::program::{Program, ProgramError};
use crate::record::{GraphRecord, ObjectInfo};

mod read;

pub(crate) use read::{Loaded, Opened, load, read_header, read_program, verify};

const MAGIC: [u8; 8] = *b"PREHEAT\0";
const PRELUDE_BYTES: usize = 56;
const HASH_BYTES: usize = blake3::OUT_LEN;
/// The longest header that is read. A record takes some kilobytes.
const HEADER_LIMIT_BYTES: u64 = 64 << 20;
/// A protobuf message has at most 2 GiB, and so has a serialised HLO module. Programs in text have
/// the same limit here.
const PROGRAM_LIMIT_BYTES: u64 = 2 << 30;
/// The longest program that is stored in the index as well as in its object. A longer program is
/// stored only in its object. When the object is verified, such a program is read piece by piece,
/// and is not held in memory.
pub(crate) const HELD_PROGRAM_BYTES: u64 = 32 << 20;
/// The largest known executables take several hundred megabytes.
const PAYLOAD_LIMIT_BYTES: u64 = 16 << 30;
/// The limit on an object file. If content does not compress, its frame is a little longer than
/// the content.
pub(crate) const OBJECT_LIMIT_BYTES: u64 =
    HEADER_LIMIT_BYTES + PROGRAM_LIMIT_BYTES + PAYLOAD_LIMIT_BYTES + (1 << 30);
/// zstd's default level: it makes machine code 22 times smaller, at a few hundred megabytes a
/// second.
const ZSTD_LEVEL: i32 = 3;

/// The reasons why a file is not the expected object, or cannot be written as one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// It could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its first bytes are not those of an object.
    #[error("it is no object: its first bytes are {found:02x?}")]
    Magic {
        /// The bytes in place of the magic.
        found: Vec<u8>,
    },
    /// Its format is not the one that this release reads.
    #[error(
        "its format is version {0}, and this release reads version {reads}",
        reads = ObjectVersion::CURRENT
    )]
    Version(ObjectVersion),
    /// The version of its record is unknown to this release, which therefore cannot compute the key
    /// again.
    #[error(
        "its record is of version {0}, and this release reads up to {reads}",
        reads = crate::record::FRAMEWORK_RECORD_VERSION
    )]
    RecordVersion(u32),
    /// Its lengths do not add up to the length of the file.
    #[error("it should be {expected} bytes long and is {found}")]
    Length {
        /// The length that its first bytes state.
        expected: u64,
        /// The length of the file.
        found: u64,
    },
    /// A stated length is above the limit for this part.
    #[error("its {part} is said to be {bytes} bytes long, which is above the limit")]
    Limit {
        /// Which part.
        part: &'static str,
        /// The stated length.
        bytes: u64,
    },
    /// The bytes differ from the bytes that were written.
    #[error("its checksum does not match: the bytes are not those that were written")]
    Checksum,
    /// The header is not a record.
    #[error("its header is not a record: {0}")]
    Header(serde_json::Error),
    /// It is an object, but of another key.
    #[error("it belongs to key {0}")]
    OtherKey(GraphKey),
    /// Its record names a key that does not follow from the record's own program, options and
    /// environment.
    #[error("its record names a wrong key: its program, options and environment give key {0}")]
    ForeignKey(GraphKey),
    /// A zstd frame does not decompress to the stated number of bytes.
    #[error("its {part} does not decompress to {bytes} bytes: {reason}")]
    Frame {
        /// Which part.
        part: &'static str,
        /// The stated length.
        bytes: u64,
        /// What went wrong.
        reason: String,
    },
    /// A compiler option in its record is a number that JSON cannot express, so the object is not
    /// written.
    #[error(
        "the compiler option {option:?} is not a finite number, so its record could not be read back"
    )]
    NonFiniteOption {
        /// The option's name.
        option: String,
    },
    /// The program in it cannot be used.
    #[error("its program cannot be used: {0}")]
    Program(#[from] ProgramError),
}

impl ObjectError {
    /// Whether the file itself is damaged. A header that does not parse although its checksum is
    /// right was written by another release.
    pub(crate) fn is_damage(&self) -> bool {
        !matches!(
            self,
            Self::Io(_)
                | Self::Version(_)
                | Self::RecordVersion(_)
                | Self::Header(_)
                | Self::NonFiniteOption { .. }
        )
    }
}

/// The lengths in the first 56 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "every one is a length in bytes, and says so")]
struct Prelude {
    header_bytes: u64,
    program_bytes: u64,
    program_stored_bytes: u64,
    payload_bytes: u64,
    payload_stored_bytes: u64,
}

impl Prelude {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PRELUDE_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(ObjectVersion::CURRENT.0.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        for length in [
            self.header_bytes,
            self.program_bytes,
            self.program_stored_bytes,
            self.payload_bytes,
            self.payload_stored_bytes,
        ] {
            bytes.extend(length.to_le_bytes());
        }
        bytes
    }

    /// Reads the first bytes of a file that is `file_bytes` long, and checks that every length fits
    /// the file.
    fn decode(bytes: &[u8; PRELUDE_BYTES], file_bytes: u64) -> Result<Self, ObjectError> {
        let (magic, rest) = bytes.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(ObjectError::Magic { found: magic.to_vec() });
        }
        let mut words = rest
            .chunks_exact(8)
            .map(|word| word.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        let mut next = || words.next().unwrap_or(0);
        let version = next();
        if version != u64::from(ObjectVersion::CURRENT.0) {
            return Err(ObjectError::Version(ObjectVersion(
                u32::try_from(version).unwrap_or(u32::MAX),
            )));
        }
        let prelude = Self {
            header_bytes: next(),
            program_bytes: next(),
            program_stored_bytes: next(),
            payload_bytes: next(),
            payload_stored_bytes: next(),
        };
        let limits = [
            ("header", prelude.header_bytes, HEADER_LIMIT_BYTES),
            ("program", prelude.program_bytes, PROGRAM_LIMIT_BYTES),
            ("payload", prelude.payload_bytes, PAYLOAD_LIMIT_BYTES),
        ];
        if let Some((part, bytes, _)) = limits.into_iter().find(|(_, bytes, limit)| bytes > limit) {
            return Err(ObjectError::Limit { part, bytes });
        }
        let stored =
            [prelude.header_bytes, prelude.program_stored_bytes, prelude.payload_stored_bytes];
        let fixed = (PRELUDE_BYTES + 2 * HASH_BYTES) as u64;
        let expected = stored.into_iter().fold(fixed, u64::saturating_add);
        if expected != file_bytes {
            return Err(ObjectError::Length { expected, found: file_bytes });
        }
        Ok(prelude)
    }
}

/// Writes an object, and returns its `ObjectInfo`, which the record in the file also contains.
pub(crate) fn write(
    to: &mut impl Write,
    record: &GraphRecord,
    program: &ProgramFrame,
    payload: &[u8],
) -> Result<ObjectInfo, ObjectError> {
    if let Some(option) = record.options.non_finite() {
        return Err(ObjectError::NonFiniteOption { option: option.to_owned() });
    }
    write_frame(
        to,
        record,
        program,
        ObjectInfo::of(payload),
        &zstd::bulk::compress(payload, ZSTD_LEVEL)?,
    )
}

/// Writes an object whose machine code is already compressed; `info` describes the content of the
/// frame.
pub(crate) fn write_frame(
    to: &mut impl Write,
    record: &GraphRecord,
    program: &ProgramFrame,
    mut info: ObjectInfo,
    payload_frame: &[u8],
) -> Result<ObjectInfo, ObjectError> {
    let frames_bytes = (program.frame.len() + payload_frame.len()) as u64;
    let header = header_with_own_length(record, &mut info, frames_bytes)?;
    let prelude = Prelude {
        header_bytes: header.len() as u64,
        program_bytes: program.bytes,
        program_stored_bytes: program.frame.len() as u64,
        payload_bytes: info.payload_bytes,
        payload_stored_bytes: payload_frame.len() as u64,
    };
    let mut head = prelude.encode();
    head.extend(header);
    let hash = blake3::hash(&head);
    head.extend(hash.as_bytes());
    let mut hasher = blake3::Hasher::new();
    for part in [&head, &program.frame, payload_frame] {
        hasher.update(part);
        to.write_all(part)?;
    }
    to.write_all(hasher.finalize().as_bytes())?;
    Ok(info)
}

/// The header's JSON. It states the length of the whole file, which includes the header.
fn header_with_own_length(
    record: &GraphRecord,
    info: &mut ObjectInfo,
    frames_bytes: u64,
) -> Result<Vec<u8>, ObjectError> {
    loop {
        let record = GraphRecord { object: Some(info.clone()), ..record.clone() };
        let header = serde_json::to_vec(&record).map_err(ObjectError::Header)?;
        let whole = (PRELUDE_BYTES + 2 * HASH_BYTES + header.len()) as u64 + frames_bytes;
        if info.stored_bytes == whole {
            return Ok(header);
        }
        // The loop ends because the length only grows: a longer number makes the header longer.
        info.stored_bytes = whole;
    }
}

/// A program as it is stored: its zstd frame and what the frame contains.
#[derive(Debug, Clone)]
pub(crate) struct ProgramFrame {
    pub(crate) format: crate::program::ProgramFormat,
    pub(crate) bytes: u64,
    pub(crate) frame: Vec<u8>,
}

impl ProgramFrame {
    pub(crate) fn of(program: &Program) -> io::Result<Self> {
        let frame = zstd::bulk::compress(program.bytes(), ZSTD_LEVEL)?;
        Ok(Self { format: program.format(), bytes: program.bytes().len() as u64, frame })
    }

    pub(crate) fn program(&self) -> Result<Program, ObjectError> {
        if self.bytes > PROGRAM_LIMIT_BYTES {
            return Err(ObjectError::Limit { part: "program", bytes: self.bytes });
        }
        Ok(Program::new(self.format, read::decompress("program", &self.frame, self.bytes)?))
    }
}
