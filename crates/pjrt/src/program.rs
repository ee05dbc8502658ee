//! In which forms does a plugin take a program?

use std::ffi::c_char;
use std::fmt;

use super::sys;

/// The forms in which a plugin takes a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PjrtProgramFormat {
    /// StableHLO as MLIR: text, or bytecode.
    Mlir,
    /// A serialised `HloModuleProto`.
    Hlo,
}

impl PjrtProgramFormat {
    /// The C API's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mlir => "mlir",
            Self::Hlo => "hlo",
        }
    }
}

impl fmt::Display for PjrtProgramFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A program to compile.
#[derive(Clone, Copy)]
pub struct PjrtProgram<'a> {
    /// The format of `code`.
    pub format: PjrtProgramFormat,
    /// The program's text or bytes.
    pub code: &'a [u8],
}

impl<'a> PjrtProgram<'a> {
    /// StableHLO text or bytecode.
    pub const fn mlir(code: &'a [u8]) -> Self {
        Self { format: PjrtProgramFormat::Mlir, code }
    }

    /// A serialised `HloModuleProto`.
    pub const fn hlo(code: &'a [u8]) -> Self {
        Self { format: PjrtProgramFormat::Hlo, code }
    }

    /// The program in its C form, which owns the code that it points to.
    pub(super) fn to_c(self) -> CProgram {
        // MLIR's parser expects a zero byte at the end, whatever the size says; without one, libtpu
        // reads on into the memory that follows.
        let mut code = Vec::with_capacity(self.code.len() + 1);
        code.extend_from_slice(self.code);
        code.push(0);
        let format = self.format.name();
        let raw = sys::Program {
            code: code.as_mut_ptr().cast::<c_char>(),
            code_size: self.code.len(),
            format: format.as_ptr().cast::<c_char>(),
            format_size: format.len(),
            ..sys::Args::new()
        };
        CProgram { raw, code }
    }
}

/// A program as the C API takes it, together with the code that it points to.
pub(super) struct CProgram {
    raw: sys::Program,
    #[allow(dead_code, reason = "keeps the code alive that `raw` points to")]
    code: Vec<u8>,
}

impl CProgram {
    /// The pointer is valid for as long as `self` lives.
    pub(super) fn as_ptr(&self) -> *const sys::Program {
        &raw const self.raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_byte_follows_the_program() {
        let c = PjrtProgram::mlir(b"module {}").to_c();
        assert_eq!(c.raw.code_size, 9);
        assert_eq!(c.code, b"module {}\0");
        assert_eq!(c.raw.code.cast_const().cast::<u8>(), c.code.as_ptr());
    }
}
