//! Which entries still have to be uploaded to a remote? Each is a small file in the store, so that
//! a later process uploads what this one could not.
//!
//! The name of a file has the graph key and the projection that led to the graph. So two processes
//! that want the same upload write the same file, and a projection that is added later has a file
//! of its own. The file contains the digest of the exact signature. A file that is lost costs an
//! upload, nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Store, StoreError};
use crate::files::{is_absent, name_of};
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::layout::Layout;
use crate::record::GraphRecord;

/// How many files of one remote wait at most. More are not added: they would only grow while the
/// remote cannot be reached.
const WAITING: usize = 4096;

/// An entry that is to be uploaded, with the requests that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// The graph.
    pub graph_key: GraphKey,
    /// The projection keys that lead to the graph, each with the digest of an exact signature.
    pub projections: BTreeMap<Digest, Digest>,
}

impl Spooled {
    /// All of an entry: every request that its record knows.
    pub fn of_record(record: &GraphRecord) -> Self {
        let each =
            |one: &crate::record::RecordedSignature| (one.projection_key, one.signature.digest());
        Self {
            graph_key: record.graph_key,
            projections: record.signatures.iter().map(each).collect(),
        }
    }
}

impl Store {
    /// Notes that an entry is to be uploaded to the remote with this id. Nothing happens if very
    /// many wait already.
    ///
    /// # Errors
    /// If the store is opened for reading only, or the file cannot be written.
    pub fn spool(
        &self,
        remote: &Digest,
        key: &GraphKey,
        projection: &Digest,
        signature: &Digest,
    ) -> Result<(), StoreError> {
        let root = self.prepare()?;
        let path = self.layout.spooled(remote, key, projection);
        let folder = self.layout.spool(remote);
        let written = root.create_folder(&folder).and_then(|()| {
            if root.entries(&folder).map_or(0, |entries| entries.len()) >= WAITING {
                tracing::info!(graph_key = %key, "too many uploads wait: this one is left out");
                return Ok(());
            }
            self.write_whole(&root, &path, signature.to_string().as_bytes())
        });
        written.map_err(|cause| self.write_error(&path, cause))
    }

    /// The entries that are to be uploaded to the remote with this id, by their keys.
    pub fn spooled(&self, remote: &Digest) -> Vec<Spooled> {
        let mut graphs: BTreeMap<GraphKey, BTreeMap<Digest, Digest>> = BTreeMap::new();
        let Ok(Some(root)) = self.root() else { return Vec::new() };
        for path in root.entries(&self.layout.spool(remote)).unwrap_or_default() {
            let Some((key, projection)) = Layout::spooled_name(&path) else { continue };
            let content = root.read_small(&path, 256).ok();
            let signature = content.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
            // Without its signature, the request counts as an equivalent one.
            let signature = signature.unwrap_or(projection);
            graphs.entry(key).or_default().insert(projection, signature);
        }
        let one = |(graph_key, projections)| Spooled { graph_key, projections };
        graphs.into_iter().map(one).collect()
    }

    /// Removes the notes of an entry that was uploaded, or that is gone.
    pub fn forget_spooled(&self, remote: &Digest, entry: &Spooled) {
        let Ok(Some(root)) = self.root() else { return };
        for projection in entry.projections.keys() {
            let path = self.layout.spooled(remote, &entry.graph_key, projection);
            match root.remove(&path) {
                Err(error) if !is_absent(&error) => {
                    tracing::debug!(path = %path.display(), %error, "an upload is noted still");
                }
                _ => {}
            }
        }
    }

    /// Removes everything that waits to be uploaded. Returns its size in bytes.
    pub(super) fn remove_spool(&self, root: &crate::files::Folder) -> Result<u64, StoreError> {
        let mut freed_bytes = 0;
        for remote in self.entries(&self.layout.spools())? {
            let is_ours = name_of(&remote).is_some_and(|name| name.parse::<Digest>().is_ok());
            if is_ours && root.is_folder(&remote) {
                let is_note = |path: &std::path::Path| Layout::spooled_name(path).is_some();
                freed_bytes += self.remove_named(root, &remote, is_note)?;
            }
        }
        let spools: PathBuf = self.layout.spools();
        let _ = root.remove_empty_folder(&spools);
        Ok(freed_bytes)
    }
}
