//! Tests that need nothing but this repository and a C compiler: no plugin, no download and no
//! store that another program would use. `cargo xtask test --quick` runs them with the unit tests.
//!
//! All of them are one program, since linking takes longer than most of them run. A test that
//! changes what belongs to the whole process (its environment, its folder, its signals, its
//! limits) does so in a child process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "../op_suite/mod.rs"]
mod op_suite;

mod documents;
mod graph_codec;
mod layers;
mod lower;
mod placement;
mod plugins_install;
mod schedulers;
mod torch_missing;
