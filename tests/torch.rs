//! Does the torch library work on the real libtorch? The tests compare every op with the reference
//! in `op_suite`, and each network of the fixture models with diffusers. They also cover events,
//! memory, refusals, and ops that a device lacks.
//!
//! `cargo xtask test --torch` builds what these tests need, and runs them.

#![cfg(feature = "pipeline")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are quoted in the documentation")]
#![allow(
    dead_code,
    reason = "the code shared with tests/cpu/diffusers_parity.rs has parts that are not used here"
)]

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
