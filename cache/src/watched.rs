//! Is a reader at fault, or what it reads? Whoever verifies bytes that come over a network needs to
//! know: a connection that breaks makes sound bytes look damaged.

use std::io::{self, Read};

use crate::hash::Digest;

/// Hashes what is read, and keeps the error of a reader apart from the errors of its content.
pub(crate) struct Watched<R> {
    from: R,
    failed: Option<String>,
    hasher: blake3::Hasher,
}

impl<R> Watched<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, failed: None, hasher: blake3::Hasher::new() }
    }

    /// The error of the reader, if it had one.
    pub(crate) fn failed(self) -> Option<String> {
        self.failed
    }

    /// The hash of everything that was read so far.
    pub(crate) fn hash(&self) -> Digest {
        self.hasher.finalize().into()
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.from.read(buffer) {
            Ok(read) => {
                self.hasher.update(buffer.get(..read).unwrap_or_default());
                Ok(read)
            }
            Err(error) => {
                self.failed = Some(error.to_string());
                Err(error)
            }
        }
    }
}
