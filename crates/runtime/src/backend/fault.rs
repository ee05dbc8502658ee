//! Why did a device not do what it was asked to do, whatever drives it?
//!
//! PJRT and libtorch each have errors of their own. They become a [`DeviceFault`] where the two
//! interfaces are called, and nothing above tells them apart.

use std::error::Error as StdError;
use std::fmt;

use preheat_pjrt::{ErrorCode, PjrtError};
use preheat_tensor::ArrayError;

use super::torch::{TorchError, TorchErrorCode};
use crate::device::DeviceName;

/// The kind of a fault, for callers that react to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The device had too little memory. Something else may be dropped, and the work repeated.
    OutOfMemory,
    /// The device or its driver is busy, was interrupted, or took too long: the same work may
    /// succeed later.
    Passing,
    /// The device does not offer what was asked of it.
    Unsupported,
    /// What the device was given does not fit: another dtype, shape or device, or a tensor that was
    /// donated to an earlier execution.
    BadInput,
    /// Anything else. The message says what the driver reported.
    Failed,
}

/// The reason why a device did not do what it was asked to do. It is displayed in the words of the
/// driver that reported it.
#[derive(Debug)]
pub struct DeviceFault {
    kind: FaultKind,
    cause: Box<dyn StdError + Send + Sync>,
}

impl DeviceFault {
    /// A fault of this kind.
    pub fn new(kind: FaultKind, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, cause: cause.into() }
    }

    /// An executable returned fewer than the `wanted` results that its graph has.
    pub fn too_few_results(wanted: usize) -> Self {
        Self::new(FaultKind::Failed, Misfit::TooFewResults { wanted })
    }

    /// A tensor of one driver's device was given to an executable of another's.
    pub(crate) fn other_driver(executable: &'static str) -> Self {
        Self::new(FaultKind::BadInput, Misfit::OtherDriver { executable })
    }

    /// Tensors cannot be copied to this device from another one.
    pub(crate) fn no_copies(device: DeviceName) -> Self {
        Self::new(FaultKind::Unsupported, Misfit::NoCopies { device })
    }

    /// What kind of fault it is.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Whether the device had too little memory.
    pub fn is_out_of_memory(&self) -> bool {
        self.kind == FaultKind::OutOfMemory
    }

    /// Whether the fault comes from the present state of the device or its memory, so that the same
    /// work may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self.kind, FaultKind::OutOfMemory | FaultKind::Passing)
    }

    /// The code of the plugin's error, if a plugin raised it. A child process passes the code on to
    /// its parent.
    pub(crate) fn plugin_code(&self) -> Option<ErrorCode> {
        self.cause.downcast_ref::<PjrtError>()?.code()
    }
}

impl fmt::Display for DeviceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl StdError for DeviceFault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // `Display` already shows the cause, so the chain continues with the cause's own source.
        self.cause.source()
    }
}

/// Devices, tensors and executables that do not fit together. preheat finds this out by itself: no
/// driver raised an error.
#[derive(Debug, thiserror::Error)]
enum Misfit {
    #[error("it gave fewer than the {wanted} results that its graph has")]
    TooFewResults { wanted: usize },
    #[error(
        "a tensor is on a device that does not run through {executable}, as the executable does"
    )]
    OtherDriver { executable: &'static str },
    #[error("tensors are copied between devices of libtorch only, and {device} is one of XLA")]
    NoCopies { device: DeviceName },
}

/// The kind of fault that a plugin's error code stands for.
pub(crate) fn kind_of_code(code: Option<ErrorCode>) -> FaultKind {
    match code {
        Some(ErrorCode::ResourceExhausted) => FaultKind::OutOfMemory,
        Some(ErrorCode::Unavailable | ErrorCode::DeadlineExceeded | ErrorCode::Cancelled) => {
            FaultKind::Passing
        }
        Some(ErrorCode::Unimplemented) => FaultKind::Unsupported,
        Some(ErrorCode::InvalidArgument | ErrorCode::FailedPrecondition) => FaultKind::BadInput,
        _ => FaultKind::Failed,
    }
}

impl From<PjrtError> for DeviceFault {
    fn from(error: PjrtError) -> Self {
        let kind = match &error {
            PjrtError::MissingFunction { .. } => FaultKind::Unsupported,
            error => kind_of_code(error.code()),
        };
        Self::new(kind, error)
    }
}

impl From<TorchError> for DeviceFault {
    fn from(error: TorchError) -> Self {
        let kind = match error.code() {
            Some(TorchErrorCode::OutOfMemory) => FaultKind::OutOfMemory,
            Some(TorchErrorCode::Unsupported) => FaultKind::Unsupported,
            Some(
                TorchErrorCode::WrongDevice | TorchErrorCode::WrongType | TorchErrorCode::Donated,
            ) => FaultKind::BadInput,
            Some(TorchErrorCode::BadGraph | TorchErrorCode::Libtorch | TorchErrorCode::Bug)
            | None => FaultKind::Failed,
        };
        Self::new(kind, error)
    }
}

impl From<ArrayError> for DeviceFault {
    fn from(error: ArrayError) -> Self {
        Self::new(FaultKind::Failed, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(code: ErrorCode) -> DeviceFault {
        PjrtError::Call { function: "PJRT_Client_Compile", code, message: "no".to_owned() }.into()
    }

    fn torch(code: TorchErrorCode) -> DeviceFault {
        TorchError::Call { doing: "running".to_owned(), code, message: "no".to_owned() }.into()
    }

    #[test]
    fn both_drivers_errors_become_the_same_kinds() {
        for (kind, code, torch_code) in [
            (FaultKind::OutOfMemory, ErrorCode::ResourceExhausted, TorchErrorCode::OutOfMemory),
            (FaultKind::Unsupported, ErrorCode::Unimplemented, TorchErrorCode::Unsupported),
            (FaultKind::BadInput, ErrorCode::InvalidArgument, TorchErrorCode::WrongType),
            (FaultKind::BadInput, ErrorCode::FailedPrecondition, TorchErrorCode::Donated),
            (FaultKind::Failed, ErrorCode::Internal, TorchErrorCode::Libtorch),
        ] {
            assert_eq!((plugin(code).kind(), torch(torch_code).kind()), (kind, kind));
        }
        assert_eq!(plugin(ErrorCode::Unavailable).kind(), FaultKind::Passing);
    }

    #[test]
    fn a_fault_speaks_in_its_driver_s_words_and_names_no_other_driver() {
        assert_eq!(
            plugin(ErrorCode::Internal).to_string(),
            "PJRT_Client_Compile: no (internal error)"
        );
        let of_torch = torch(TorchErrorCode::Bug).to_string();
        assert_eq!(of_torch, "running failed: no");
        assert!(!of_torch.contains("plugin"));
        assert_eq!(torch(TorchErrorCode::Bug).plugin_code(), None);
        assert_eq!(plugin(ErrorCode::Internal).plugin_code(), Some(ErrorCode::Internal));
    }

    #[test]
    fn what_may_pass_is_memory_and_a_busy_device() {
        let passing = [ErrorCode::ResourceExhausted, ErrorCode::Cancelled, ErrorCode::Unavailable];
        assert!(passing.into_iter().all(|code| plugin(code).is_passing()));
        assert!(!plugin(ErrorCode::Internal).is_passing());
        assert!(!DeviceFault::too_few_results(2).is_passing());
    }
}
