//! Does the command line behave as a user expects? The tests check its output, flags, signals and
//! files, with the binary over the test plugin in front of XLA:CPU.
//!
//! All these tests are one program, because linking takes longer than most of them run. A test that
//! changes the environment, current folder, signals or limits of the whole process does so in a
//! child process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod children;
mod comfyui;
mod command_line;
mod devices_bench;
mod doctor;
mod evidence;
mod exec;
mod flags;
mod installed;
mod json_documents;
mod named_files;
mod plugin_writers;
mod programs;
mod shell;
mod signals;
mod statistics;
