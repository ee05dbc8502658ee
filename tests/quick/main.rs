//! What can be tested with only this repository and a C compiler? These tests need no plugin and no
//! download, and use no store of the user. `cargo xtask test --quick` runs them with the unit
//! tests.
//!
//! All these tests are one program, because linking takes longer than most of them run. A test that
//! changes the environment, current folder, signals or limits of the whole process does so in a
//! child process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "../op_suite/mod.rs"]
mod op_suite;

mod documents;
mod graph_codec;
mod imports;
mod layers;
mod library_sources;
mod lower;
mod placement;
mod plugin_versions;
mod plugins_install;
mod schedulers;
mod surface;
mod torch_missing;
