//! The library over the real XLA:CPU plugin, in this process: ops, layouts, whole networks,
//! slimmed executables.
//!
//! All of them are one program, since linking takes longer than most of them run. A test that
//! changes what belongs to the whole process (its environment, its folder, its signals, its
//! limits) does so in a child process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are quoted in the documentation")]

#[path = "../op_suite/mod.rs"]
mod op_suite;
#[path = "../parity"]
mod parity {
    pub mod fixture;
    pub mod parts;
    pub mod runs;
}
#[path = "../support/mod.rs"]
mod support;

mod diffusers_parity;
mod ops;
mod pjrt_cpu;
mod pjrt_layout;
mod pjrt_plugins;
mod slim;
