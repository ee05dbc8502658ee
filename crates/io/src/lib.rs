//! How are files that somebody named read and written, and how is text shown that others chose?
//!
//! [`input`] is the one reader: regular files, and of small ones no more than they could have.
//! [`result_file`] is the one writer: a result appears whole or not at all. [`library`] reads what
//! a shared library says of itself. [`printable`] makes text safe for a terminal. The files of a
//! cache are another matter: `preheat-cache` opens those relative to the one folder that is its
//! own.

pub mod input;
pub mod library;
pub mod printable;
pub mod result_file;
