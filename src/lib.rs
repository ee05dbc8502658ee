//! preheat.

pub mod plugins;
