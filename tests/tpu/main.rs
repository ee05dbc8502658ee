//! Does preheat work for TPUs? The tests need no TPU. They use the real libtpu, which compiles for
//! a topology by name, and the test plugin that poses as a TPU.
//!
//! All these tests are one program, because linking takes longer than most of them run. A test that
//! changes the environment, current folder, signals or limits of the whole process does so in a
//! child process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod ahead;
mod libtpus;
mod pjrt_tpu;
mod rewarm;
mod tiers;
mod tpu_pose;
mod warmup;
