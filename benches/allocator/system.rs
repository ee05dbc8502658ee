//! How much memory do the steps take on the system's malloc? A program that links the library uses
//! this allocator, unless it chooses another one. The benchmark itself is in `steps`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints its figures"
)]

mod steps;

fn main() {
    steps::run();
}
