//! Whole runs on devices of libtorch: the binary and the library over the real libtorch, against
//! XLA:CPU where the two can be compared.
//!
//! `cargo xtask test --torch` builds what it needs and runs it. A card is played by a fake device,
//! which computes on the CPU, counts the bytes that rest on it, has a bound, and refuses tensors of
//! other devices.

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
