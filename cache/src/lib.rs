//! The keys and the store of preheat.
#![forbid(unsafe_code)]
