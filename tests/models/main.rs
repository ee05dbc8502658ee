//! Do models make the right pictures from prompts? The tests use the binary and the library, over
//! the test plugin in front of XLA:CPU.
//!
//! All these tests are one program, because linking takes longer than most of them run. A test that
//! changes the environment, current folder, signals or limits of the whole process does so in a
//! child process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod black_pictures;
mod controls;
mod image_to_image;
mod lora;
mod memory;
mod models_bad_input;
mod models_cli;
mod pipeline_reuse;
mod prompts;
mod single_file;
mod snap;
mod steps;
