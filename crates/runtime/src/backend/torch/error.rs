//! What can go wrong between preheat and the torch library?

use std::path::PathBuf;

use preheat_ir::graph::CodecError;
use preheat_torch_abi::{INTERFACE_VERSION, LIBTORCH_VERSION, code};

/// How users can get the missing library.
const SET_UP: &str = "run `cargo xtask setup torch` in preheat's sources, or `preheat plugins install torch` where the library is \
                      built already";

/// Why the torch library cannot be used, or which error it returned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorchError {
    /// There is no torch library.
    #[error(
        "the torch library is not installed; it was looked for at\n{places}\nTo get it, {SET_UP}"
    )]
    NotInstalled {
        /// Every place where it was looked for, each on a line of its own.
        places: String,
    },
    /// There is a torch library, but no libtorch for it.
    #[error(
        "the torch library at {} needs libtorch {}, which is not installed; it was looked for at\n{places}\nTo get it, {SET_UP}",
        backend.display(), wanted()
    )]
    NoLibtorch {
        /// The torch library.
        backend: PathBuf,
        /// Every place where libtorch was looked for, each on a line of its own.
        places: String,
    },
    /// A variable names something that is not there.
    #[error("{variable} names {}, and nothing is there: correct it, or unset it", path.display())]
    Dangling {
        /// The variable.
        variable: &'static str,
        /// What it names.
        path: PathBuf,
    },
    /// libtorch has another version than the one that is needed.
    #[error(
        "the libtorch at {} is {}, and this release of preheat works with {} only: {SET_UP}, or point LIBTORCH at one of that version",
        path.display(), found.map_or_else(|| "of an unknown version".to_owned(), |found| dotted(&found)), wanted()
    )]
    AnotherLibtorch {
        /// The file.
        path: PathBuf,
        /// Its version, if it reports one.
        found: Option<[u32; 3]>,
    },
    /// The system cannot load the library.
    #[error("{} cannot be loaded", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: libloading::Error,
    },
    /// A library's file is shorter than its headers say.
    #[error(
        "{} was cut short, and has to be installed again: {missing} bytes are missing at its end",
        path.display()
    )]
    CutShort {
        /// The file.
        path: PathBuf,
        /// How many bytes are missing.
        missing: u64,
    },
    /// The file is another library.
    #[error("{} is not preheat's torch library: it does not export {}", path.display(), preheat_torch_abi::SYMBOL)]
    NoTorchLibrary {
        /// The file.
        path: PathBuf,
    },
    /// The torch library was built for another release of preheat.
    #[error(
        "the torch library at {} speaks version {found} of the interface, and this release of preheat speaks {INTERFACE_VERSION}: \
         build it again from the same sources (`cargo xtask setup torch`)",
        path.display()
    )]
    AnotherInterface {
        /// The file.
        path: PathBuf,
        /// The version that it speaks.
        found: u64,
    },
    /// The torch library's table has fewer functions than its version requires.
    #[error("the torch library at {} has a table of {found_bytes} bytes, and {wanted_bytes} are needed: build it again", path.display())]
    ShortTable {
        /// The file.
        path: PathBuf,
        /// The size that the table states.
        found_bytes: usize,
        /// The size that is needed.
        wanted_bytes: usize,
    },
    /// `PREHEAT_TORCH_FAKE_DEVICES` cannot be read.
    #[error(
        "PREHEAT_TORCH_FAKE_DEVICES is not a JSON list of devices, such as [{{\"memory_bytes\": 1000000, \"lacks\": [\"conv2d\"]}}]"
    )]
    FakeDevices(#[source] serde_json::Error),
    /// A graph could not be encoded for the torch library.
    #[error(transparent)]
    Graph(#[from] CodecError),
    /// A call failed.
    #[error("{doing} failed: {message}")]
    Call {
        /// What was being done.
        doing: String,
        /// The kind of failure.
        code: TorchErrorCode,
        /// The message of the library, or of libtorch within it.
        message: String,
    },
}

impl TorchError {
    /// The kind of failure, if a call failed.
    pub fn code(&self) -> Option<TorchErrorCode> {
        match self {
            Self::Call { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether a device had too little memory.
    pub fn is_out_of_memory(&self) -> bool {
        self.code() == Some(TorchErrorCode::OutOfMemory)
    }
}

/// The kind of failure of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TorchErrorCode {
    /// The device, or libtorch, does not have an op or a dtype.
    Unsupported,
    /// The device has too little free memory.
    OutOfMemory,
    /// A tensor is on another device than the graph.
    WrongDevice,
    /// A tensor has another dtype or shape than declared, or the number of tensors is wrong.
    WrongType,
    /// A tensor was donated to an earlier run.
    Donated,
    /// The graph's bytes are damaged or of another release.
    BadGraph,
    /// libtorch raised an error.
    Libtorch,
    /// A fault in the torch library itself.
    Bug,
}

impl TorchErrorCode {
    pub(super) fn of(raw: u32) -> Self {
        match raw {
            code::UNSUPPORTED => Self::Unsupported,
            code::OUT_OF_MEMORY => Self::OutOfMemory,
            code::WRONG_DEVICE => Self::WrongDevice,
            code::WRONG_TYPE => Self::WrongType,
            code::DONATED => Self::Donated,
            code::BAD_GRAPH => Self::BadGraph,
            code::LIBTORCH => Self::Libtorch,
            _ => Self::Bug,
        }
    }
}

fn dotted([major, minor, patch]: &[u32; 3]) -> String {
    format!("{major}.{minor}.{patch}")
}

fn wanted() -> String {
    dotted(&LIBTORCH_VERSION)
}
