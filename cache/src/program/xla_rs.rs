//! How does a computation of the `xla` crate become a program (feature `xla-rs`)? The conversion is
//! in this crate because Rust allows it only in the crate of one of the two types.

use xla::XlaComputation;

use super::{Program, ProgramFormat};

impl TryFrom<&XlaComputation> for Program {
    type Error = xla::Error;

    /// The computation's serialised `HloModuleProto`. Its bytes may differ from process to process
    /// in the order of attributes, which [`Program::digest`] ignores. The names that the builder
    /// and the parameters have are part of the digest.
    fn try_from(computation: &XlaComputation) -> Result<Self, xla::Error> {
        Ok(Self::new(ProgramFormat::Hlo, computation.proto().to_bytes()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_graph_is_the_same_program() {
        let build = |factor: f32| {
            let builder = xla::XlaBuilder::new("scale");
            let x = builder.parameter(0, xla::ElementType::F32, &[4], "x").unwrap();
            let y = x.mul_(&builder.c0(factor).unwrap()).unwrap();
            Program::try_from(&y.build().unwrap()).unwrap()
        };
        assert_eq!(build(2.0).digest(), build(2.0).digest());
        assert_ne!(build(2.0).digest(), build(3.0).digest());
    }
}
