//! Do two programs compile to the same code? A program is what a compiler gets; its digest does not
//! change with the parts of the program that change no code.
//!
//! | format | recognised by | left out of the digest |
//! |---|---|---|
//! | StableHLO text | its first word | locations, the module's name, comments (`program/text.rs`) |
//! | MLIR bytecode | its magic | nothing: strings and locations are numbered across sections, so leaving one out would mean decoding all of them |
//! | `Exported.serialize()` of `jax.export` | a flatbuffer with MLIR bytecode in the field for the module (`program/exported.rs`) | all but that bytecode |
//! | serialised `HloModuleProto` | its wire format | the module's name, source positions, drawing aids (`program/wire.rs`); the order of maps (`program/proto_maps.rs`) |
//!
//! The program is always compiled as it was given. The digest is that of an equivalent program, so
//! two programs with equal digests compile to executables that do the same. A text or a message
//! that is not understood completely is hashed as it is.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

pub use self::requirements::{NamedDevices, Requirements, RequirementsError};
use crate::hash::Digest;

mod bytecode;
mod exported;
mod proto_maps;
mod requirements;
mod text;
mod wire;
#[cfg(feature = "xla-rs")]
mod xla_rs;

/// The version of the rules for what [`Program::digest`] leaves out.
const PROGRAM_TAG: &[u8] = b"preheat-program-v1\0";

/// The formats of programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgramFormat {
    /// StableHLO, as text or as MLIR bytecode.
    Mlir,
    /// A serialised `HloModuleProto`.
    Hlo,
    /// A graph of preheat's own, as the devices of libtorch run it; no PJRT plugin takes it.
    Graph,
}

impl ProgramFormat {
    /// The format's name. Where a plugin takes the format, it is the value of
    /// `PJRT_Program.format`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mlir => "mlir",
            Self::Hlo => "hlo",
            Self::Graph => "preheat-graph",
        }
    }
}

impl fmt::Display for ProgramFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Why bytes are not a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no program: {seen}; StableHLO (text, MLIR bytecode, or what `Exported.serialize()` of jax.export writes) or a serialised \
     HloModuleProto is wanted"
)]
pub struct ProgramError {
    seen: String,
}

/// A program, shared and immutable.
#[derive(Clone)]
pub struct Program {
    format: ProgramFormat,
    bytes: Arc<[u8]>,
    digest: Arc<OnceLock<Digest>>,
    requirements: Arc<OnceLock<Result<Requirements, RequirementsError>>>,
}

/// How the bytes of a program are hashed. The ordinals of the variants are part of the digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text = 1,
    Bytecode = 2,
    Hlo = 3,
    AsItIs = 4,
    Graph = 5,
}

impl Program {
    /// A program whose format is known.
    pub fn new(format: ProgramFormat, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { format, bytes: bytes.into(), digest: Arc::default(), requirements: Arc::default() }
    }

    /// Recognises the format by the bytes.
    pub fn sniff(bytes: impl Into<Arc<[u8]>>) -> Result<Self, ProgramError> {
        let bytes = bytes.into();
        if bytes.starts_with(bytecode::MAGIC) || text::looks_like_mlir(&bytes) {
            return Ok(Self::new(ProgramFormat::Mlir, bytes));
        }
        if wire::looks_like_hlo(&bytes) {
            return Ok(Self::new(ProgramFormat::Hlo, bytes));
        }
        if let Some(exported) = exported::read(&bytes) {
            return Self::of_exported(&exported);
        }
        Err(ProgramError { seen: describe(&bytes) })
    }

    /// The module of an exported function. It has to declare as many devices as the function was
    /// exported for.
    fn of_exported(exported: &exported::Exported<'_>) -> Result<Self, ProgramError> {
        let program = Self::new(ProgramFormat::Mlir, exported.module);
        match program.requirements() {
            Ok(declared)
                if exported.devices > 0 && declared.devices() != u64::from(exported.devices) =>
            {
                Err(ProgramError {
                    seen: format!(
                        "it is a function that was exported for {} devices, around a module that declares {}",
                        exported.devices,
                        declared.devices()
                    ),
                })
            }
            _ => Ok(program),
        }
    }

    /// What the program requires of the devices that run it. It is read once.
    ///
    /// # Errors
    /// Where the program does not follow its format, and where the number of devices that it
    /// declares is not valid.
    pub fn requirements(&self) -> Result<&Requirements, &RequirementsError> {
        self.requirements.get_or_init(|| Requirements::of(self)).as_ref()
    }

    /// The format.
    pub fn format(&self) -> ProgramFormat {
        self.format
    }

    /// The program as it was given.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of an equivalent program without the parts that change no code. It is computed
    /// once.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| digest_of(self.format, &self.bytes))
    }
}

/// The digest of an equivalent program without the parts that change no code.
pub(crate) fn digest_of(format: ProgramFormat, bytes: &[u8]) -> Digest {
    let attempt = match format {
        ProgramFormat::Hlo => {
            let mut sorted = bytes.to_vec();
            proto_maps::sort_maps(&mut sorted);
            Sink::attempt(Form::Hlo, |sink| wire::hash_normalised(&sorted, sink))
        }
        ProgramFormat::Mlir if bytes.starts_with(bytecode::MAGIC) => {
            Some(Sink::whole(Form::Bytecode, bytes))
        }
        // Each graph is written in exactly one way.
        ProgramFormat::Graph => Some(Sink::whole(Form::Graph, bytes)),
        ProgramFormat::Mlir => Sink::attempt(Form::Text, |sink| text::hash_normalised(bytes, sink)),
    };
    attempt.unwrap_or_else(|| Sink::whole(Form::AsItIs, bytes))
}

/// The digest of a program that is read piece by piece, to its end; `None` where hashing its format
/// needs the whole program at once.
pub(crate) fn streamed_digest(
    format: ProgramFormat,
    from: &mut dyn Read,
) -> io::Result<Option<Digest>> {
    let mut first = Vec::new();
    from.take(bytecode::MAGIC.len() as u64).read_to_end(&mut first)?;
    let form = match format {
        ProgramFormat::Graph => Form::Graph,
        ProgramFormat::Mlir if first == bytecode::MAGIC => Form::Bytecode,
        ProgramFormat::Mlir | ProgramFormat::Hlo => {
            io::copy(from, &mut io::sink())?;
            return Ok(None);
        }
    };
    let mut hasher = Sink::new(form).hasher;
    hasher.update(&first).update_reader(from)?;
    Ok(Some(hasher.finalize().into()))
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.format == other.format && self.bytes == other.bytes
    }
}

impl Eq for Program {}

impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Program({}, {} bytes)", self.format, self.bytes.len())
    }
}

/// Collects the parts of a program that are kept. The parts are gathered before they are hashed,
/// since blake3 is several times faster on a long input than on many short ones.
struct Sink {
    hasher: blake3::Hasher,
    gathered: Vec<u8>,
}

impl Sink {
    /// The length that fits in a processor's second-level cache.
    const GATHER_BYTES: usize = 128 << 10;

    fn new(form: Form) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(PROGRAM_TAG).update(&[form as u8]);
        Self { hasher, gathered: Vec::new() }
    }

    /// The digest of what `keep` adds; `None` where `keep` does not understand the program.
    fn attempt(form: Form, keep: impl FnOnce(&mut Self) -> Option<()>) -> Option<Digest> {
        let mut sink = Self::new(form);
        keep(&mut sink)?;
        sink.hasher.update(&sink.gathered);
        Some(sink.hasher.finalize().into())
    }

    fn whole(form: Form, bytes: &[u8]) -> Digest {
        Self::new(form).hasher.update(bytes).finalize().into()
    }

    fn add(&mut self, piece: &[u8]) {
        if self.gathered.len() + piece.len() > Self::GATHER_BYTES {
            self.hasher.update(&self.gathered);
            self.gathered.clear();
            if piece.len() > Self::GATHER_BYTES / 2 {
                self.hasher.update(piece);
                return;
            }
        }
        self.gathered.extend_from_slice(piece);
    }
}

/// Describes what the bytes look like, since they are not a program.
fn describe(bytes: &[u8]) -> String {
    const KNOWN: [(&[u8], &str); 8] = [
        (b"HloModule", "HLO text, which XLA's tools turn into a proto"),
        (b"\x7fELF", "an ELF binary"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x1f\x8b", "gzip data"),
        (b"\x28\xb5\x2f\xfd", "zstd data"),
        (b"PREHEAT\0", "an object of a preheat store"),
        (b"\x89PNG", "a PNG picture"),
        (b"{", "JSON"),
    ];
    if bytes.is_empty() {
        return "the file is empty".to_owned();
    }
    if let Some((_, name)) = KNOWN.into_iter().find(|(start, _)| bytes.starts_with(start)) {
        return format!("it is {name}");
    }
    let start = &bytes[..bytes.len().min(24)];
    match std::str::from_utf8(start) {
        Ok(text) => format!("it starts with {text:?}"),
        Err(_) => format!("it starts with the bytes {start:02x?}"),
    }
}

#[cfg(test)]
mod tests;
