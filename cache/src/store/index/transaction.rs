//! One transaction of the index: reads see its own writes, and the writes are applied together.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::store::IndexCause;

/// Why a transaction did not come to its end.
#[derive(Debug)]
pub(super) enum Fault {
    /// What is stored makes no sense.
    Damaged(String),
    /// The file system refused.
    Io(io::Error),
    /// Another process kept sled's own lock.
    Busy,
}

impl Fault {
    pub(super) fn into_cause(self, waited: Duration) -> IndexCause {
        match self {
            Self::Damaged(reason) => IndexCause::Damaged(reason),
            Self::Io(cause) => IndexCause::Io(cause),
            Self::Busy => IndexCause::Busy(waited),
        }
    }
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
        match error {
            // These kinds are sled's own, for what it finds in its files; any other is the operating system's.
            sled::Error::Io(error) if !matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof) => {
                Self::Io(error)
            }
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// A key and its value.
type Entry = (Vec<u8>, Vec<u8>);

/// Reads and pending writes over an open database.
pub(super) struct Transaction<'a> {
    database: &'a sled::Db,
    pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> Transaction<'a> {
    /// Opens the database, trying again while sled's lock is held: a process that has just closed it may still have it.
    pub(super) fn open_database(
        path: &Path,
        cache_bytes: u64,
        poll: Duration,
        deadline: Instant,
    ) -> Result<sled::Db, Fault> {
        let config = sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(None);
        loop {
            match config.open() {
                Ok(database) => return Ok(database),
                Err(error) if is_busy(&error) => {
                    if Instant::now() >= deadline {
                        return Err(Fault::Busy);
                    }
                    std::thread::sleep(poll);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn new(database: &'a sled::Db) -> Self {
        Self { database, pending: BTreeMap::new() }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match self.pending.get(key) {
            Some(pending) => Ok(pending.clone()),
            None => Ok(self.database.get(key)?.map(|value| value.to_vec())),
        }
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.pending.insert(key, Some(value));
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.pending.insert(key, None);
    }

    /// The entries whose keys start with `prefix`, in their order.
    pub(super) fn scan(&self, prefix: &[u8]) -> Result<Vec<Entry>, Fault> {
        let mut found = BTreeMap::new();
        for entry in self.database.scan_prefix(prefix) {
            let (key, value) = entry?;
            if !self.pending.contains_key(key.as_ref()) {
                found.insert(key.to_vec(), value.to_vec());
            }
        }
        let pending = self.pending.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        found.extend(pending.filter_map(|(key, value)| Some((key.clone(), value.clone()?))));
        Ok(found.into_iter().collect())
    }

    /// Whether any key starts with `prefix`.
    pub(super) fn any(&self, prefix: &[u8]) -> Result<bool, Fault> {
        let mut pending = self.pending.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        if pending.any(|(_, value)| value.is_some()) {
            return Ok(true);
        }
        for entry in self.database.scan_prefix(prefix).keys() {
            if !self.pending.contains_key(entry?.as_ref()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Applies the writes as one batch, and makes them last.
    pub(super) fn apply(self) -> Result<(), Fault> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut batch = sled::Batch::default();
        for (key, value) in self.pending {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.database.apply_batch(batch)?;
        self.database.flush()?;
        Ok(())
    }
}

/// Whether the error is that of a held lock. sled wraps it in an error of its own, of which only the text tells.
fn is_busy(error: &sled::Error) -> bool {
    match error {
        sled::Error::Io(error) => error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("WouldBlock"),
        _ => false,
    }
}
