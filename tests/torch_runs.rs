//! Do whole runs work on devices of libtorch? The tests use the binary and the library over the
//! real libtorch, and compare with XLA:CPU where that is possible.
//!
//! `cargo xtask test --torch` builds what these tests need, and runs them. A fake device takes the
//! place of a graphics card: it computes on the CPU, counts the bytes of the tensors on it and
//! limits them, and refuses tensors of other devices.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are quoted in the documentation")]

mod support;
mod torch_runs {
    pub mod bad_input;
    pub mod cache;
    pub mod lab;
    pub mod memory;
    pub mod parity;
    pub mod precision;
    pub mod stages;
    pub mod steps;
    pub mod tune_bench;
}
