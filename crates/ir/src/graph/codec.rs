//! A verified function as bytes, for a back end that is a library of its own.
//!
//! ```text
//! "PHGRAPH\0"   8 bytes
//! version       u32, little-endian: `VERSION`
//! length        u64, little-endian: of what follows
//! function      in postcard's format
//! ```
//!
//! Postcard writes enums by position and structs without names, so any change of `Op`, `Dtype` or
//! the types of `mod.rs` changes the format: a digest of the bytes of every op is pinned in
//! `tests/quick/graph_codec.rs`, and a change of it takes a new `VERSION`.

use super::{Function, GraphError, Verified};

const MAGIC: &[u8; 8] = b"PHGRAPH\0";
/// The version of the format.
const VERSION: u32 = 1;
const HEADER_BYTES: usize = MAGIC.len() + size_of::<u32>() + size_of::<u64>();

/// Why bytes are no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// They begin otherwise.
    #[error("these bytes are no graph: they do not begin as one")]
    NoGraph,
    /// They were written by another release.
    #[error(
        "the graph is in format {found}, and this release reads {VERSION}: use the libraries of one release together"
    )]
    Version {
        /// The format's version.
        found: u32,
    },
    /// There are fewer or more than the header says.
    #[error("the graph should have {expected} bytes after its header, and has {found}")]
    Length {
        /// What the header says.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// They do not parse.
    #[error("the graph's bytes are damaged: {why}")]
    Damaged {
        /// What the format says.
        why: String,
    },
    /// They say something that no graph may say.
    #[error("the graph that was read breaks a rule")]
    Rule(#[from] GraphError),
}

impl Verified {
    /// This function as bytes that [`Self::decode`] reads.
    ///
    /// # Errors
    /// None that a function could cause; the format's own is passed on.
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let function = postcard::to_allocvec(&self.0).map_err(damaged)?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + function.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(function.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&function);
        Ok(bytes)
    }

    /// Reads what [`Self::encode`] wrote, and verifies it again: whatever the bytes are, what comes
    /// out keeps every rule.
    ///
    /// # Errors
    /// Where the bytes are of another format, damaged, or break a rule.
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
