use super::*;
use crate::program::ProgramFormat;

pub(crate) fn inputs() -> KeyInputs {
    KeyInputs {
        program: Program::new(ProgramFormat::Mlir, b"module @a {}".to_vec()),
        options: CompileOptions::default(),
        environment: Arc::new(crate::environment::tests::example()),
    }
}
