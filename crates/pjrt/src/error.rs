//! Why did a request to a plugin fail?

use std::fmt;
use std::path::PathBuf;

use preheat_tensor::{ArrayError, TensorType};

use super::sys;
use super::version::ApiVersion;

/// The reasons why a request to a plugin failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PjrtError {
    /// There is no file at the plugin's path, or it cannot be reached.
    #[error("no plugin at {}: {cause}; check the path", path.display())]
    PluginNotFound {
        /// The path.
        path: PathBuf,
        /// The file system's error.
        cause: std::io::Error,
    },
    /// The file ends before all the content that its headers describe.
    #[error("{} was cut short: {missing} bytes are missing at its end; install it again", path.display())]
    CutShort {
        /// The file.
        path: PathBuf,
        /// How many bytes are missing.
        missing: u64,
    },
    /// The file is there, but the dynamic linker refuses it.
    #[error("{} cannot be loaded as a shared library: {reason}; a PJRT plugin must be built for this machine, and the libraries that it links must be found", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// The dynamic linker's message.
        reason: String,
    },
    /// The file is a shared library, but not a PJRT plugin.
    #[error("{} is a shared library but no PJRT plugin: it exports no GetPjrtApi", path.display())]
    NoEntryPoint {
        /// The file.
        path: PathBuf,
    },
    /// `GetPjrtApi` returned null.
    #[error("the plugin {} returns no function table (GetPjrtApi returned null): it is broken or built for another platform", path.display())]
    NullApi {
        /// The file.
        path: PathBuf,
    },
    /// The plugin has another major version of the PJRT C API.
    #[error("the plugin {} has PJRT C API {plugin}, but this build of preheat has {ours}: the major versions must be equal; install a plugin of major version {}", path.display(), ours.major)]
    MajorVersion {
        /// The file.
        path: PathBuf,
        /// The version it reports.
        plugin: ApiVersion,
        /// The version that this library was written against.
        ours: ApiVersion,
    },
    /// The function table ends before the functions that every plugin must have.
    #[error("the function table of the plugin {} has {struct_size} bytes where at least {needed} are needed: it is too old or damaged; install a newer plugin", path.display())]
    TableTooShort {
        /// The file.
        path: PathBuf,
        /// The size that the table reports.
        struct_size: usize,
        /// The size up to the last function that every plugin must have.
        needed: usize,
    },
    /// The plugin does not have a function that the request needs.
    #[error("the plugin {} (PJRT C API {version}) has no {function}; a newer plugin may", path.display())]
    MissingFunction {
        /// The plugin's file.
        path: PathBuf,
        /// The version it reports.
        version: ApiVersion,
        /// The function's name in C.
        function: &'static str,
    },
    /// A function of the plugin failed.
    #[error("{function}: {message} ({code})")]
    Call {
        /// The function's name in C.
        function: &'static str,
        /// The code of the plugin's error.
        code: ErrorCode,
        /// The plugin's own message.
        message: String,
    },
    /// A function of the plugin succeeded, but its result makes no sense.
    #[error(
        "{function} returned {what}: the plugin is broken or newer than this build of preheat understands"
    )]
    BadAnswer {
        /// The function's name in C.
        function: &'static str,
        /// What is wrong with the result.
        what: String,
    },
    /// The topology name is empty; libtpu would take that for its oldest hardware.
    #[error("a topology needs a name, such as v5e:1x1")]
    EmptyTopologyName,
    /// The compile options or the number of devices are unusable: the options do not parse, have no
    /// replica or no partition (on which some plugins end the process), or a count or a device's id
    /// does not fit.
    #[error("the compile options are unusable: {what}")]
    BadOptions {
        /// What is wrong with them.
        what: String,
    },
    /// The program is in a format that no plugin compiles.
    #[error("a plugin compiles StableHLO and HLO, but the program is a {format}: lower it first")]
    NotForPlugins {
        /// The program's format.
        format: String,
    },
    /// The data's length does not fit its shape.
    #[error("{kind} has {expected} bytes, not {actual}")]
    WrongSize {
        /// The dtype and shape.
        kind: TensorType,
        /// The bytes that the dense shape needs.
        expected: usize,
        /// The bytes that were given.
        actual: usize,
    },
    /// The array cannot be in the host's memory.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// A buffer or device belongs to another client, or a client or version to another plugin;
    /// passing it to the plugin would be undefined behaviour.
    #[error("{what} belongs to another client")]
    ForeignHandle {
        /// What it is: the buffer, device, client or version.
        what: String,
    },
    /// The executable runs on several devices of this process, and only one device is supported.
    #[error("the executable runs on {devices} devices of this process; only one is supported")]
    SeveralDevices {
        /// How many devices it runs on.
        devices: usize,
    },
    /// The optimized program cannot be read.
    #[error("the {format} program of the executable cannot be read: {what}")]
    UnreadableProgram {
        /// The format that the plugin named.
        format: String,
        /// What is wrong with it.
        what: String,
    },
}

impl PjrtError {
    /// The code of the plugin's error; `None` if the error is not the plugin's.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Call { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the plugin does not offer a function: it lacks the function, or the function returns
    /// that it is not implemented.
    pub fn is_unimplemented(&self) -> bool {
        matches!(self, Self::MissingFunction { .. })
            || self.code() == Some(ErrorCode::Unimplemented)
    }
}

/// Turns "the plugin does not offer this" into `None`.
pub(super) fn optional<T>(result: Result<T, PjrtError>) -> Result<Option<T>, PjrtError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_unimplemented() => Ok(None),
        Err(error) => Err(error),
    }
}

macro_rules! codes {
    ($($name:ident $constant:ident $text:literal,)*) => {
        /// The kinds of errors that plugins distinguish: absl's status codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = concat!("absl's `", stringify!($constant), "`: ", $text, ".")] $name,)*
            /// A code that this library does not know.
            Other(u32),
        }

        impl ErrorCode {
            pub(super) fn from_raw(code: sys::ErrorCode) -> Self {
                match code {
                    $(sys::ErrorCode::$constant => Self::$name,)*
                    sys::ErrorCode(other) => Self::Other(other),
                }
            }

            /// The code with this number, which another process may have reported.
            pub fn from_number(number: u32) -> Self {
                Self::from_raw(sys::ErrorCode(number))
            }

            /// The number of the code.
            pub fn number(self) -> u32 {
                match self {
                    $(Self::$name => sys::ErrorCode::$constant.0,)*
                    Self::Other(code) => code,
                }
            }
        }

        impl fmt::Display for ErrorCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => f.write_str($text),)*
                    Self::Other(code) => write!(f, "error code {code}"),
                }
            }
        }
    };
}

codes! {
    Cancelled CANCELLED "cancelled",
    Unknown UNKNOWN "unknown error",
    InvalidArgument INVALID_ARGUMENT "invalid argument",
    DeadlineExceeded DEADLINE_EXCEEDED "deadline exceeded",
    NotFound NOT_FOUND "not found",
    AlreadyExists ALREADY_EXISTS "already exists",
    PermissionDenied PERMISSION_DENIED "permission denied",
    ResourceExhausted RESOURCE_EXHAUSTED "out of memory or another resource",
    FailedPrecondition FAILED_PRECONDITION "failed precondition",
    Aborted ABORTED "aborted",
    OutOfRange OUT_OF_RANGE "out of range",
    Unimplemented UNIMPLEMENTED "unimplemented",
    Internal INTERNAL "internal error",
    Unavailable UNAVAILABLE "unavailable",
    DataLoss DATA_LOSS "data loss",
    Unauthenticated UNAUTHENTICATED "unauthenticated",
}
