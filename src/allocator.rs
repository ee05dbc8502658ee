//! jemalloc for the whole process, the plugin that is loaded into it included.
//!
//! A deserialise spends a good part of its time in malloc: with jemalloc on huge pages it takes about three quarters of
//! the time (docs/performance.md). Only the binary does this. A program that links the library chooses its own allocator.
#![expect(unsafe_code, reason = "jemalloc reads its settings from a symbol of a given name")]

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Huge pages wherever the kernel has them, and pages once touched are kept: a process that loads an executable touches
/// them again at once.
const SETTINGS: &[u8] = b"thp:always,metadata_thp:always,dirty_decay_ms:-1\0";

// SAFETY: jemalloc declares `const char *malloc_conf` and reads a NUL-terminated string from it at start; this is a
// pointer of the same size to a constant that ends in NUL. No other symbol of this name exists in the program.
#[cfg(not(target_env = "msvc"))]
#[unsafe(export_name = "malloc_conf")]
static MALLOC_CONF: Option<&'static u8> = Some(&SETTINGS[0]);
