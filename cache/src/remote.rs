//! How do entries get into a place that many machines share, and back? A [`Remote`] keeps objects
//! and pointers to them in a [`RemoteStorage`]: a bucket, a server or a folder far away.
//!
//! | path, below the folder `preheat-remote-v1` | what |
//! |---|---|
//! | `objects/` two digits `/` digest | an object, byte for byte; the digest is the blake3 hash of the file |
//! | `graphs/` environment `/` graph key | a pointer to the object of that graph |
//! | `level1/` environment `/` projection key | a pointer to the object that level 1 would find |
//!
//! An object never changes once it is written, because its name is its hash. It is written first,
//! then the pointer of its graph, then the pointer of the request. So a pointer leads to a whole
//! object, or, after somebody cleaned up, to nothing, which is a miss. Two machines that compile
//! the same graph write two objects; the later pointer counts, and both are right.
//!
//! A pointer begins with its own hash (`pointer.rs`), so a pointer that was cut is refused. The
//! folder is versioned as a whole: a later format gets a folder of its own. Leases and signatures
//! will be further folders and further fields, which this release ignores.
//!
//! This module moves no bytes by itself. It decides what is asked for and what is accepted. The
//! crate `preheat-remote` knows the protocols.

mod breaker;
mod exchange;
mod pointer;

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::breaker::Breaker;
pub use self::exchange::{Delivered, Fetched};
pub use self::pointer::RemotePointer;
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::statistics::RemoteStatistics;

/// The folder of this format.
const FOLDER: &str = "preheat-remote-v1";
/// How long the answer about a pointer is believed. A request asks the same question several times
/// within a moment, and each time would be a round trip.
const BELIEVED_FOR: Duration = Duration::from_secs(5);

/// A place far away where files lie under paths: a bucket, a server, a shared folder.
///
/// Each call ends within a time that the storage sets for itself. A file that is written is either
/// there as a whole or not at all, as far as the protocol allows that; readers verify what they
/// get in any case.
pub trait RemoteStorage: fmt::Debug + Send + Sync {
    /// Its name for messages and statistics. It contains no password.
    fn name(&self) -> &str;

    /// Whether files may be written.
    fn is_writable(&self) -> bool;

    /// Reads small files, all at the same time. A file that is not there is `None`. A file that is
    /// longer than `limit_bytes` is an error.
    fn read_small(
        &self,
        paths: &[String],
        limit_bytes: u64,
    ) -> Vec<Result<Option<Vec<u8>>, RemoteError>>;

    /// Begins to read a file that should be `bytes` long; `None` if it is not there.
    fn read(&self, path: &str, bytes: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError>;

    /// The length of a file in bytes; `None` if it is not there.
    fn length(&self, path: &str) -> Result<Option<u64>, RemoteError>;

    /// Writes a file, or replaces it.
    fn write(&self, path: &str, content: Vec<u8>) -> Result<(), RemoteError>;

    /// The names of the files and folders that lie directly in a folder; none if it is not there.
    fn list(&self, folder: &str) -> Result<Vec<String>, RemoteError>;
}

/// Why a remote did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// It did not answer in time.
    #[error("it did not answer within {0:.1?}")]
    Slow(Duration),
    /// It refuses access.
    #[error("it refuses access: {0}")]
    Denied(String),
    /// It failed otherwise.
    #[error("{0}")]
    Failed(String),
    /// It failed several times, and is not asked again for a while.
    #[error("it is not asked for another {0:.0?}, because it failed several times")]
    Resting(Duration),
    /// Its protocol has no way to list files.
    #[error("its protocol cannot list files")]
    CannotList,
    /// It may only be read.
    #[error("it is only read: add `mode=rw` to its URL to write to it")]
    ReadOnly,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteQuery {
    /// The executable to which this projection leads, which is level 1.
    Projection(Digest),
    /// The executable of exactly this graph.
    Graph(GraphKey),
}

impl RemoteQuery {
    fn path(&self, environment: &Digest) -> String {
        match self {
            Self::Projection(key) => format!("{FOLDER}/level1/{environment}/{key}"),
            Self::Graph(key) => format!("{FOLDER}/graphs/{environment}/{key}"),
        }
    }
}

/// A tier of the cache that many machines share.
#[derive(Debug)]
pub struct Remote {
    storage: Arc<dyn RemoteStorage>,
    breaker: Mutex<Breaker>,
    /// What was counted and not taken yet.
    counted: Mutex<RemoteStatistics>,
    /// The pointers that were read a moment ago, by path.
    known: Mutex<HashMap<String, (Instant, Option<RemotePointer>)>>,
}

impl Remote {
    /// A tier in a storage.
    pub fn new(storage: Arc<dyn RemoteStorage>) -> Self {
        Self {
            storage,
            breaker: Mutex::default(),
            counted: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// Its name for messages and statistics.
    pub fn name(&self) -> &str {
        self.storage.name()
    }

    /// Whether entries are uploaded to it.
    pub fn is_writable(&self) -> bool {
        self.storage.is_writable()
    }

    /// The name of its folder in a store's spool.
    pub fn id(&self) -> Digest {
        Digest::of(self.name().as_bytes())
    }

    /// What was counted since the last call.
    pub fn take_counted(&self) -> RemoteStatistics {
        std::mem::take(&mut self.counted())
    }

    /// The pointers to what is wanted, in the same order. All are asked for at the same time, so
    /// this takes one round trip.
    ///
    /// A pointer that is damaged, or that belongs to something else, is refused, and counts as
    /// absent.
    pub fn find(
        &self,
        environment: &Digest,
        wanted: &[RemoteQuery],
    ) -> Result<Vec<Option<RemotePointer>>, RemoteError> {
        let each = wanted.iter().map(|query| (query.path(environment), query));
        let paths: Vec<(String, &RemoteQuery)> = each.collect();
        let mut found = self.believed(paths.iter().map(|(path, _)| path));
        let unknown: Vec<&(String, &RemoteQuery)> =
            paths.iter().filter(|(path, _)| !found.contains_key(path)).collect();
        if !unknown.is_empty() {
            let asked: Vec<String> = unknown.iter().map(|(path, _)| path.clone()).collect();
            let answers = self.asked(|storage| {
                storage.read_small(&asked, pointer::LIMIT_BYTES).into_iter().collect()
            });
            let answers: Vec<Option<Vec<u8>>> = answers?;
            for ((path, query), content) in unknown.into_iter().zip(answers) {
                let read = content.map(|content| RemotePointer::read(&content, environment, query));
                let pointer = read.transpose().unwrap_or_else(|reason| {
                    self.refused(path, &reason);
                    None
                });
                self.believe(path.clone(), pointer.clone());
                found.insert(path.clone(), pointer);
            }
        }
        Ok(paths.iter().map(|(path, _)| found.get(path).cloned().flatten()).collect())
    }

    /// The pointers of every graph of every environment, as far as they can be read.
    pub fn list(&self) -> Result<Vec<RemotePointer>, RemoteError> {
        let mut found = Vec::new();
        for environment in self.asked(|storage| storage.list(&format!("{FOLDER}/graphs")))? {
            let Ok(environment) = environment.parse::<Digest>() else { continue };
            let folder = format!("{FOLDER}/graphs/{environment}");
            let keys: Vec<RemoteQuery> = self
                .asked(|storage| storage.list(&folder))?
                .iter()
                .filter_map(|name| Some(RemoteQuery::Graph(GraphKey(name.parse().ok()?))))
                .collect();
            // Not all at once: a bucket may hold a hundred thousand graphs.
            for some in keys.chunks(64) {
                found.extend(self.find(&environment, some)?.into_iter().flatten());
            }
        }
        Ok(found)
    }

    /// Counts something that was refused, and says so in the log.
    fn refused(&self, what: &str, reason: &str) {
        self.counted().refused += 1;
        tracing::warn!(remote = self.name(), what, reason, "refused");
    }

    /// What was read of these paths a moment ago.
    fn believed<'a>(
        &self,
        paths: impl Iterator<Item = &'a String>,
    ) -> HashMap<String, Option<RemotePointer>> {
        let known = self.known();
        let believed = |path: &'a String| {
            let (since, pointer) = known.get(path)?;
            (since.elapsed() < BELIEVED_FOR).then(|| (path.clone(), pointer.clone()))
        };
        paths.filter_map(believed).collect()
    }

    fn believe(&self, path: String, pointer: Option<RemotePointer>) {
        let mut known = self.known();
        known.retain(|_, (since, _)| since.elapsed() < BELIEVED_FOR);
        known.insert(path, (Instant::now(), pointer));
    }

    /// Asks the storage, unless it rests, and notes how it went.
    fn asked<T>(
        &self,
        ask: impl FnOnce(&dyn RemoteStorage) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        self.may_ask()?;
        self.noted(ask(&*self.storage))
    }

    fn may_ask(&self) -> Result<(), RemoteError> {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.may_ask(Instant::now()).map_err(RemoteError::Resting)
    }

    /// Notes how a request went, so that a remote that keeps failing is left alone.
    fn noted<T>(&self, outcome: Result<T, RemoteError>) -> Result<T, RemoteError> {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        match &outcome {
            // These say nothing about the connection.
            Ok(_) | Err(RemoteError::CannotList | RemoteError::ReadOnly) => breaker.succeeded(),
            Err(RemoteError::Resting(_)) => {}
            Err(_) => {
                let opened = breaker.failed(Instant::now());
                let mut counted = self.counted();
                counted.failures += 1;
                counted.breaker_opened += u64::from(opened);
            }
        }
        outcome
    }

    fn counted(&self) -> std::sync::MutexGuard<'_, RemoteStatistics> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<String, (Instant, Option<RemotePointer>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
