//! How does preheat run its graphs with libtorch? This library does it, behind the C interface of
//! `preheat-torch-abi`.
//!
//! | file | what |
//! |---|---|
//! | api.rs | the exported functions: pointers in, an answer out, nothing thrown |
//! | session.rs | the devices, and what is known of them |
//! | cards.rs | cards, and whether this libtorch has kernels for them |
//! | held.rs | a tensor that rests on a device and is counted there |
//! | graph.rs | a graph that is ready to run, and running it: what is computed when, and dropped when |
//! | ops.rs | each op in libtorch's own |
//! | fallback.rs | ops that a device lacks, on the CPU |
//! | shim.rs, shim.cpp | what tch has no function for |

mod api;
mod cards;
mod failure;
mod fallback;
mod graph;
mod held;
mod kinds;
mod ops;
mod session;
mod shim;
