//! preheat.

pub mod pjrt;
pub mod plugins;
