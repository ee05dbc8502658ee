//! preheat.

pub mod pjrt;
