//! The torch library on the real libtorch: every op against its plainest form, memory, placement,
//! what a device lacks, and each network of the fixture models against what diffusers computes.
//!
//! `cargo xtask test --torch` builds what it needs and runs it.

#![cfg(feature = "pipeline")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are quoted in the documentation")]
#![allow(dead_code, reason = "what is shared with tests/cpu/diffusers_parity.rs has more in it")]

mod op_suite;
mod support;
mod parity {
    pub mod fixture;
    pub mod parts;
}
mod torch_devices {
    pub mod events;
    pub mod memory;
    pub mod ops;
    pub mod parity;
    pub mod refusals;
    pub mod session;
}
