//! How are files read and written in object stores, on WebDAV servers, in Redis and in shared
//! folders?
//!
//! [`open_remote`] turns a URL into a [`RemoteStorage`], which the cache uses as a tier that many
//! machines share. The protocols are those of the library OpenDAL. Its work is asynchronous and
//! runs on one thread of its own (`worker.rs`). The functions here block, each within a time limit
//! ([`RemoteLimits`]).
//!
//! This crate does not know what the files mean: `preheat_cache::Remote` decides what is asked for,
//! and verifies what comes.

mod address;
mod body;
mod fault;
mod service;
mod storage;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use preheat_cache::RemoteStorage;

pub use self::address::{RemoteAddress, RemoteUrlError};
use self::storage::Storage;

/// The time limits of requests to a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteLimits {
    /// How long connecting may take.
    pub connect: Duration,
    /// How long a small request may take in all, connecting included. Reading or writing an object
    /// may take this, and `per_megabyte` for each megabyte.
    pub answer: Duration,
    /// How long each megabyte of an object may take.
    pub per_megabyte: Duration,
}

impl Default for RemoteLimits {
    /// 3 s to connect, 5 s for an answer, and 1 s for each megabyte.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            answer: Duration::from_secs(5),
            per_megabyte: Duration::from_secs(1),
        }
    }
}

impl RemoteLimits {
    /// How long reading or writing that many bytes may take.
    pub fn of_bytes(&self, bytes: u64) -> Duration {
        let megabytes = u32::try_from(bytes.div_ceil(1_000_000)).unwrap_or(u32::MAX);
        self.answer.saturating_add(self.per_megabyte.saturating_mul(megabytes))
    }
}

/// Opens a remote by its URL. Nothing is connected: a remote that cannot be reached is noticed when
/// it is first asked.
///
/// # Errors
/// If the URL cannot be understood, or names a protocol or an option that is not known.
pub fn open_remote(url: &str) -> Result<Arc<dyn RemoteStorage>, RemoteUrlError> {
    Ok(open_remote_within(&url.parse()?, RemoteLimits::default()))
}

/// Does the same as [`open_remote`], with other time limits.
pub fn open_remote_within(address: &RemoteAddress, limits: RemoteLimits) -> Arc<dyn RemoteStorage> {
    Arc::new(Storage::new(address.clone(), limits))
}
