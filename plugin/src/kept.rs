//! Which part of an executable is kept to answer a framework's calls? Its optimised program:
//! frameworks request it for every executable, and the real plugin would serialise it anew each
//! time.

use std::sync::Arc;

/// The optimised program of an executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OptimizedProgram {
    /// The format's name, as constant text, because callers get a pointer to it.
    pub(crate) format: &'static str,
    pub(crate) code: Arc<[u8]>,
}

/// The formats in which plugins write optimised programs. A program in another format is not kept.
const FORMATS: [&str; 3] = ["hlo_with_config", "hlo", "mlir"];

impl OptimizedProgram {
    /// A program in one of the known formats; `None` if the format is another one.
    pub(crate) fn new(format: &str, code: &[u8]) -> Option<Self> {
        let format = FORMATS.into_iter().find(|known| *known == format)?;
        Some(Self { format, code: code.into() })
    }
}
