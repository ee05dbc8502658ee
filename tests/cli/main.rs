//! The command line: its output, its flags, its signals and the files that it is given, through
//! the binary over the test plugin in front of XLA:CPU.
//!
//! All of them are one program, since linking takes longer than most of them run. A test that
//! changes what belongs to the whole process (its environment, its folder, its signals, its
//! limits) does so in a child process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod command_line;
mod devices_bench;
mod evidence;
mod flags;
mod installed;
mod named_files;
mod plugin_writers;
mod programs;
mod signals;
