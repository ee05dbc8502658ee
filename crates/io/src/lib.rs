//! How are files read and written that a user named, and how is text shown that others wrote?
//!
//! [`input`] is the only reader: it reads regular files, and small ones only up to a limit.
//! [`result_file`] is the only writer: a result appears whole or not at all. [`library`] reads what
//! a shared library says of itself. [`printable`] makes text safe for a terminal. The files of a
//! cache do not pass through this crate: `preheat-cache` opens them itself, relative to the store's
//! folder.

pub mod input;
pub mod library;
pub mod printable;
pub mod result_file;
