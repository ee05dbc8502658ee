//! How are the files that a user names read and written, and how is text from others shown?
//!
//! [`input`] is the only reader: it reads regular files and open pipes, and files that are small by
//! nature only up to a limit. [`result_file`] is the only writer: a result appears whole or not at
//! all. [`library`] reads what a shared library says of itself. [`printable`] makes text safe for a
//! terminal. The files of a cache do not pass through this crate: `preheat-cache` opens them
//! itself, relative to the store's folder.

pub mod input;
pub mod library;
pub mod printable;
pub mod result_file;
