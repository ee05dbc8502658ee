//! How does one entry get from a remote into a store, and from a store to a remote?

use std::time::Instant;

use super::{FOLDER, Remote, RemoteError, RemotePointer, RemoteQuery};
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::record::GraphRecord;
use crate::store::{Spooled, Store, StoreError, TakenIn};
use crate::watched::Watched;

/// The result of fetching an object.
#[derive(Debug)]
pub enum Fetched {
    /// The store has it now.
    Stored,
    /// The pointer leads to nothing.
    Absent,
    /// It failed a check, and the reason.
    Refused(String),
    /// It is sound, but the store cannot take it.
    NotTaken(StoreError),
}

/// The result of delivering an entry to a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The object was uploaded.
    Uploaded {
        /// The length of its file.
        bytes: u64,
    },
    /// The remote had an object of this graph already; only pointers were written.
    WasThere,
    /// The store no longer has the object, so there is nothing to upload.
    Gone,
}

fn object_path(object: &Digest) -> String {
    let name = object.to_string();
    format!("{FOLDER}/objects/{}/{name}", name.get(..2).unwrap_or_default())
}

impl Remote {
    /// Fetches an object into a store. It is verified like an object of an imported archive; its
    /// file must have the hash that the pointer states, and its record must pass `fits`.
    ///
    /// `replaces_compile` says that the object is needed now and would be compiled otherwise, so
    /// entries that are worth less make room for it as for a compiled one.
    pub fn fetch(
        &self,
        store: &Store,
        pointer: &RemotePointer,
        replaces_compile: bool,
        fits: impl FnOnce(&GraphRecord) -> bool,
    ) -> Result<Fetched, RemoteError> {
        let (began, bytes) = (Instant::now(), pointer.object_bytes);
        let path = object_path(&pointer.object);
        let Some(from) = self.asked(|storage| storage.read(&path, bytes))? else {
            return Ok(Fetched::Absent);
        };
        let mut from = Watched::new(from);
        let taken = store.take_in_one(
            &pointer.graph_key,
            &mut from,
            bytes,
            replaces_compile,
            |record, hash_of_file: Digest| {
                if hash_of_file != pointer.object {
                    return Err("its hash is not the one that its pointer states".to_owned());
                }
                if record.environment.digest() != pointer.environment || !fits(record) {
                    return Err("it answers another request".to_owned());
                }
                Ok(())
            },
        );
        // A connection that broke makes the object look damaged, but is no fault of the object.
        if let Some(error) = from.failed() {
            return self.noted(Err(RemoteError::Failed(error)));
        }
        match taken {
            Ok(TakenIn::Stored) => {
                let mut counted = self.counted();
                counted.fetched += 1;
                counted.fetched_bytes += bytes;
                counted.fetch_seconds += began.elapsed().as_secs_f64();
                drop(counted);
                Ok(Fetched::Stored)
            }
            Ok(TakenIn::Refused(reason)) => {
                self.refused(&path, &reason);
                Ok(Fetched::Refused(reason))
            }
            Err(error) => Ok(Fetched::NotTaken(error)),
        }
    }

    /// Uploads an entry of a store: the object, unless the remote has one of this graph, then the
    /// pointer of the graph, then the pointer of the request.
    pub fn deliver(&self, store: &Store, entry: &Spooled) -> Result<Delivered, RemoteError> {
        if !self.is_writable() {
            return Err(RemoteError::ReadOnly);
        }
        let key = entry.graph_key;
        let Some(record) = store.object_record(&key).ok().flatten() else {
            return Ok(Delivered::Gone);
        };
        let environment = record.environment.digest();
        let (pointer, delivered) = match self.pointer_to_object(&environment, &key)? {
            Some(pointer) => (pointer, Delivered::WasThere),
            None => match self.upload(store, &record)? {
                Some(pointer) => {
                    let bytes = pointer.object_bytes;
                    (pointer, Delivered::Uploaded { bytes })
                }
                None => return Ok(Delivered::Gone),
            },
        };
        for (projection, signature) in &entry.projections {
            let query = RemoteQuery::Projection(*projection);
            self.write_pointer(&query, &pointer.under(*projection, *signature))?;
        }
        Ok(delivered)
    }

    /// The pointer of a graph, if it leads to an object of the right length.
    fn pointer_to_object(
        &self,
        environment: &Digest,
        key: &GraphKey,
    ) -> Result<Option<RemotePointer>, RemoteError> {
        let found = self.find(environment, &[RemoteQuery::Graph(*key)])?.pop().flatten();
        let Some(pointer) = found else { return Ok(None) };
        let length = self.asked(|storage| storage.length(&object_path(&pointer.object)))?;
        Ok((length == Some(pointer.object_bytes)).then_some(pointer))
    }

    fn upload(
        &self,
        store: &Store,
        record: &GraphRecord,
    ) -> Result<Option<RemotePointer>, RemoteError> {
        let began = Instant::now();
        let Some(content) = store.object_file(&record.graph_key).ok().flatten() else {
            return Ok(None);
        };
        let (object, bytes) = (Digest::of(&content), content.len() as u64);
        let path = object_path(&object);
        // An earlier upload may have been cut off, so the length counts, too.
        if self.asked(|storage| storage.length(&path))? != Some(bytes) {
            self.asked(|storage| storage.write(&path, content))?;
            let mut counted = self.counted();
            counted.uploaded += 1;
            counted.uploaded_bytes += bytes;
            counted.upload_seconds += began.elapsed().as_secs_f64();
        }
        let pointer = RemotePointer::of_graph(record, object, bytes);
        self.write_pointer(&RemoteQuery::Graph(record.graph_key), &pointer)?;
        Ok(Some(pointer))
    }

    fn write_pointer(
        &self,
        query: &RemoteQuery,
        pointer: &RemotePointer,
    ) -> Result<(), RemoteError> {
        let path = query.path(&pointer.environment);
        let content = pointer.write().map_err(|error| RemoteError::Failed(error.to_string()))?;
        self.asked(|storage| storage.write(&path, content))?;
        self.believe(path, Some(pointer.clone()));
        Ok(())
    }
}
