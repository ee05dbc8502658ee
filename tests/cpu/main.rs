//! Does the library work over the real XLA:CPU plugin, in the process of the test? The tests are
//! about ops, layouts, whole networks and slimmed executables.
//!
//! All these tests are one program, because linking takes longer than most of them run. A test that
//! changes the environment, current folder, signals or limits of the whole process does so in a
//! child process.

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
mod image_parity;
mod lora_parity;
mod ops;
mod pjrt_cpu;
mod pjrt_layout;
mod pjrt_plugins;
mod prompt_parity;
mod slim;
