//! How does preheat run its graphs with libtorch? This library runs them, behind the C interface of
//! `preheat-torch-abi`.
//!
//! | file | what |
//! |---|---|
//! | api.rs | the functions of the interface, which take pointers, and which no panic leaves |
//! | failure.rs | errors, and the codes of the interface for them |
//! | session.rs | the devices, and what is known of them |
//! | cards.rs | cards, and whether this libtorch has kernels for them |
//! | held.rs | a tensor that rests on a device and is counted there |
//! | graph.rs | a graph that is ready to run, and its run: when each value is computed and dropped |
//! | ops.rs | which function of libtorch computes each op |
//! | kinds.rs | tch's dtypes and shapes for those of preheat |
//! | fallback.rs | the ops that a device lacks, which run on the CPU |
//! | shim.rs, shim.cpp | the functions of libtorch that tch does not offer |

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
