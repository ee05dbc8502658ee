//! How is a graph passed to a back end that is a separate library? As bytes: a header and a
//! verified function.
//!
//! ```text
//! "PHGRAPH\0"   8 bytes
//! version       u32, little-endian: `VERSION`
//! length        u64, little-endian: the number of bytes that follow
//! function      in postcard's format
//! ```
//!
//! Postcard writes an enum as its variant's position and a struct without field names. So a change
//! of the variants or fields of `Op`, `Dtype` or the types of `mod.rs`, or of their order, changes
//! the format. `tests/quick/graph_codec.rs` pins a digest of the bytes of every op. If such a
//! digest has to be changed, `VERSION` must be raised, too.

use super::{Function, GraphError, Verified};

const MAGIC: &[u8; 8] = b"PHGRAPH\0";
/// The version of the format.
const VERSION: u32 = 1;
const HEADER_BYTES: usize = MAGIC.len() + size_of::<u32>() + size_of::<u64>();

/// The reasons why bytes cannot be read as a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// They do not begin with the format's name, or end within the header.
    #[error("these bytes are not a graph: they do not begin as a graph does")]
    NoGraph,
    /// Another release wrote them.
    #[error(
        "the graph is in format {found}, and this release reads {VERSION}: use the libraries of one release together"
    )]
    Version {
        /// The version in which they are written.
        found: u32,
    },
    /// There are fewer or more bytes after the header than it says.
    #[error("the graph should have {expected} bytes after its header, and has {found}")]
    Length {
        /// The number in the header.
        expected: u64,
        /// The number of bytes that are there.
        found: u64,
    },
    /// They do not parse, or more bytes follow the function.
    #[error("the graph's bytes are damaged: {why}")]
    Damaged {
        /// The reason.
        why: String,
    },
    /// They describe a function that breaks a rule of graphs.
    #[error("the graph that was read breaks a rule")]
    Rule(#[from] GraphError),
}

impl Verified {
    /// This function as bytes, which [`Self::decode`] reads.
    ///
    /// # Errors
    /// If postcard fails, which does not happen for any function.
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let function = postcard::to_allocvec(&self.0).map_err(damaged)?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + function.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(function.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&function);
        Ok(bytes)
    }

    /// Reads the bytes of [`Self::encode`] and verifies the function again. So the result keeps
    /// every rule, whatever the bytes are.
    ///
    /// # Errors
    /// If the bytes have another format, are damaged, or describe a function that breaks a rule.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(CodecError::NoGraph)?;
        let (version, rest) = rest.split_first_chunk().ok_or(CodecError::NoGraph)?;
        let found = u32::from_le_bytes(*version);
        if found != VERSION {
            return Err(CodecError::Version { found });
        }
        let (length, function) = rest.split_first_chunk().ok_or(CodecError::NoGraph)?;
        let (expected, found) = (u64::from_le_bytes(*length), function.len() as u64);
        if expected != found {
            return Err(CodecError::Length { expected, found });
        }
        let (function, rest) = postcard::take_from_bytes::<Function>(function).map_err(damaged)?;
        if !rest.is_empty() {
            return Err(CodecError::Damaged { why: format!("{} bytes are left over", rest.len()) });
        }
        Ok(function.verify()?)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn damaged(error: postcard::Error) -> CodecError {
    CodecError::Damaged { why: error.to_string() }
}
