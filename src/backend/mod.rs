//! What graphs are compiled with and run on.

pub(crate) mod xla;
