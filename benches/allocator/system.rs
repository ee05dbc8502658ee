//! `steps` as a program that links the library runs it: on the system's malloc.

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
