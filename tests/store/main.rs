//! What is found, shared, repaired and refused in a store? The tests use the binary and the
//! library. The test plugin in front of XLA:CPU counts the compiles.
//!
//! All these tests are one program, because linking takes longer than most of them run. A test that
//! changes the environment, current folder, signals or limits of the whole process does so in a
//! child process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod cache_folder;
mod cache_upkeep;
mod damage;
mod deadly_objects;
mod index;
mod key_inputs;
mod older_store;
mod remote;
mod requests;
mod runtime;
mod single_flight;
mod snap_programs;
mod survives_restarts;
