//! `steps` as the binary runs it: on jemalloc, with the binary's settings.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]

#[path = "../../src/allocator.rs"]
mod allocator;
mod steps;

fn main() {
    steps::run();
}
