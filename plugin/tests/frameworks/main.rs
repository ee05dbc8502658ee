//! Do real frameworks work through the caching plugin? The framework is JAX from PyPI, unmodified.
//!
//! `cargo xtask test --plugin` installs what these tests need, and runs them. The caching plugin
//! wraps the test plugin, whose log says which compiles reached a real compiler.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod house;
mod jax;
mod table;
