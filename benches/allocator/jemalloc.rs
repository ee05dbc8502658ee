//! How much memory do the steps take on jemalloc? The `preheat` binary uses this allocator. The
//! benchmark itself is in `steps`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints its figures"
)]

mod steps;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    steps::run();
}
