//! Models, from a prompt to a picture: through the binary and through the library, over the test
//! plugin in front of XLA:CPU.
//!
//! All of them are one program, since linking takes longer than most of them run. A test that
//! changes what belongs to the whole process (its environment, its folder, its signals, its
//! limits) does so in a child process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod black_pictures;
mod memory;
mod models_bad_input;
mod models_cli;
mod pipeline_reuse;
mod snap;
mod steps;
