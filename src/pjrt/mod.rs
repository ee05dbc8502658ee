//! PJRT: the C interface through which XLA's plugins are loaded and driven.

pub mod sys;
