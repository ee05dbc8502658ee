//! Computations of the `xla` crate as programs (feature `xla-rs`). It stands here because only the
//! crate of one of the two types may convert between them.

use xla::XlaComputation;

use super::{Program, ProgramFormat};

impl TryFrom<&XlaComputation> for Program {
    type Error = xla::Error;

    /// The computation's serialised `HloModuleProto`. Its bytes may differ from process to process
    /// in the order of attributes, which [`Program::digest`] leaves out; the names that the builder
    /// and the parameters were given stay in.
    fn try_from(computation: &XlaComputation) -> Result<Self, xla::Error> {
        Ok(Self::new(ProgramFormat::Hlo, computation.proto().to_bytes()?))
    }
}
