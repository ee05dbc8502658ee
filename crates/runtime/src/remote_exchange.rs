//! How are entries of the cache brought to its remotes, or from them, all at once? Somebody asked
//! for it, so a remote that fails is part of the result, and is not passed over.

use preheat_cache::{Delivered, Fetched, GraphRecord, Remote, RemoteError, Spooled};
use serde::Serialize;

use super::cache::Cache;
use super::error::Error;
use super::warnings::Warnings;

/// What was exchanged with one remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RemoteExchange {
    /// The remote: its URL without a password.
    pub remote: String,
    /// Objects that were pushed or pulled.
    pub objects: u64,
    /// The length of their files.
    pub object_bytes: u64,
    /// Objects that were there already.
    pub were_there: u64,
    /// Objects that were refused or could not be taken, each with the reason.
    pub refused: Vec<RefusedObject>,
    /// Why the exchange ended early; `None` if it did not.
    pub failed: Option<String>,
}

/// An object that was not exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedObject {
    /// Its graph key.
    pub graph_key: String,
    /// Why.
    pub reason: String,
}

impl RemoteExchange {
    fn with(remote: &Remote) -> Self {
        Self {
            remote: remote.name().to_owned(),
            objects: 0,
            object_bytes: 0,
            were_there: 0,
            refused: Vec::new(),
            failed: None,
        }
    }

    /// Whether everything was exchanged.
    pub fn is_whole(&self) -> bool {
        self.refused.is_empty() && self.failed.is_none()
    }

    fn refuse(&mut self, record: &GraphRecord, reason: String) {
        let graph_key = record.graph_key.to_string();
        self.refused.push(RefusedObject { graph_key, reason });
    }
}

impl Cache {
    /// Uploads the entries for which `wanted` returns true to each remote that may be written.
    /// `told` is called after each entry, and stops the work by returning `false`.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub fn push(
        &self,
        wanted: impl Fn(&GraphRecord) -> bool,
        told: impl FnMut() -> bool,
    ) -> Result<Vec<RemoteExchange>, Error> {
        let mut told = told;
        let mut records = self.records()?;
        records.retain(|record| wanted(record) && self.main().has_object(&record.graph_key));
        let mut all = Vec::new();
        for remote in self.remotes().all().iter().filter(|remote| remote.is_writable()) {
            let mut exchange = RemoteExchange::with(remote);
            for record in &records {
                let entry = Spooled::of_record(record);
                match remote.deliver(self.main(), &entry) {
                    Ok(Delivered::Uploaded { bytes }) => {
                        exchange.objects += 1;
                        exchange.object_bytes += bytes;
                    }
                    Ok(Delivered::WasThere) => exchange.were_there += 1,
                    Ok(Delivered::Gone) => {
                        exchange.refuse(record, "its object is gone or damaged".to_owned());
                    }
                    Err(error) => {
                        exchange.failed = Some(error.to_string());
                        break;
                    }
                }
                self.main().forget_spooled(&remote.id(), &entry);
                if !told() {
                    break;
                }
            }
            all.push(exchange);
        }
        self.flush(&Warnings::default());
        Ok(all)
    }

    /// Fetches the entries for which `wanted` returns true from each remote. Each object is
    /// verified as a whole. An object that the cache has stays as it is. `told` is called after
    /// each entry, and stops the work by returning `false`.
    ///
    /// The objects are machine code, which every process that uses this cache runs from then on:
    /// whoever can write to the remote is trusted (docs/security.md).
    ///
    /// # Errors
    /// If the cache is read-only.
    pub fn pull(
        &self,
        wanted: impl Fn(&GraphRecord) -> bool,
        told: impl FnMut() -> bool,
    ) -> Result<Vec<RemoteExchange>, Error> {
        self.check_writable()?;
        let mut told = told;
        let mut all = Vec::new();
        for remote in self.remotes().all() {
            let mut exchange = RemoteExchange::with(remote);
            if let Err(error) = self.pull_from(remote, &wanted, &mut told, &mut exchange) {
                exchange.failed = Some(error.to_string());
            }
            all.push(exchange);
        }
        self.flush(&Warnings::default());
        Ok(all)
    }

    fn pull_from(
        &self,
        remote: &Remote,
        wanted: impl Fn(&GraphRecord) -> bool,
        told: &mut impl FnMut() -> bool,
        exchange: &mut RemoteExchange,
    ) -> Result<(), RemoteError> {
        for pointer in remote.list()? {
            let Some(record) = pointer.record.as_deref().filter(|record| wanted(record)) else {
                continue;
            };
            if self.main().has_object(&pointer.graph_key) {
                exchange.were_there += 1;
            } else {
                match remote.fetch(self.main(), &pointer, false, |_| true)? {
                    Fetched::Stored => {
                        exchange.objects += 1;
                        exchange.object_bytes += pointer.object_bytes;
                    }
                    Fetched::Absent => exchange.refuse(record, "its object is gone".to_owned()),
                    Fetched::Refused(reason) => exchange.refuse(record, reason),
                    Fetched::NotTaken(error) => exchange.refuse(record, error.to_string()),
                }
            }
            if !told() {
                break;
            }
        }
        Ok(())
    }
}
