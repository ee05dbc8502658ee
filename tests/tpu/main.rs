//! TPUs on a machine that need not have one: the real libtpu, which compiles for a topology by
//! name, and the test plugin that poses as a TPU.
//!
//! All of them are one program, since linking takes longer than most of them run. A test that
//! changes what belongs to the whole process (its environment, its folder, its signals, its
//! limits) does so in a child process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod ahead;
mod pjrt_tpu;
mod rewarm;
mod tpu_pose;
mod warmup;
