//! Which version of the PJRT C API does a plugin have, and which is this library written against?

use std::fmt;

use super::sys;

/// A version of the PJRT C API. Versions with the same major number are compatible; one with a
/// higher minor number can have more functions and longer structs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApiVersion {
    /// Raised for incompatible changes.
    pub major: i32,
    /// Raised for additions.
    pub minor: i32,
}

impl ApiVersion {
    /// The version that this library was written against.
    pub const OURS: Self = Self { major: sys::API_MAJOR, minor: sys::API_MINOR };
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
