//! How is the cache inspected, kept sound and small, and moved to another machine?

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::PathBuf;

use preheat_cache::{
    Digest, Exported, GraphKey, GraphRecord, Imported, PluginBuild, Prune, Pruned, VerifyReport,
    Verifying,
};
use preheat_io::printable::{path_as_text, paths_as_text};
use serde::Serialize;

use super::cache::Cache;
use super::error::Error;
use crate::backend::torch::{self, TorchLookup};

/// Which entries are pruned; see [`Cache::prune`].
#[derive(Debug, Clone, Copy, Default)]
pub struct PruneRule {
    /// The most bytes that the objects may take. If they take more, the entries of least value are
    /// removed.
    pub max_bytes: Option<u64>,
    /// Entries that were last used before this time are removed.
    pub used_before: Option<jiff::Timestamp>,
    /// Removes an entry if the plugin build (or torch library build) that compiled it is not
    /// installed in any of the searched places.
    pub stale: bool,
    /// If true, nothing is removed; the result says which entries would be.
    pub dry_run: bool,
}

/// The place of a cache, and the space that it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CacheInfo {
    /// The main store's folder.
    #[serde(serialize_with = "path_as_text")]
    pub dir: PathBuf,
    /// Whether that folder is already a store of preheat.
    pub exists: bool,
    /// Whether the cache is only read, never written.
    pub read_only: bool,
    /// The limit of its objects' size, in bytes.
    pub max_bytes: u64,
    /// The size of its objects on disk, in bytes.
    pub object_bytes: u64,
    /// How many objects the main store has.
    pub objects: u64,
    /// The size of the index on disk, in bytes.
    pub index_bytes: u64,
    /// The size of the objects that failed a check and are kept for inspection, in bytes.
    pub quarantine_bytes: u64,
    /// The size of files that are being written or were left by a process that died, in bytes.
    pub temporary_bytes: u64,
    /// The read-only stores that are searched after the main one.
    #[serde(serialize_with = "paths_as_text")]
    pub fallbacks: Vec<PathBuf>,
}

impl Cache {
    /// The place of the cache and the space that it takes, as the file system reports them.
    ///
    /// # Errors
    /// If its folders cannot be listed.
    pub fn info(&self) -> Result<CacheInfo, Error> {
        let store = self.main();
        let layout = store.layout();
        let exists = store.exists();
        let keys = if exists { store.object_keys()? } else { Vec::new() };
        // A folder that is not a store yet may contain files of the user with the same names.
        let bytes_below = |path| if exists { bytes_below(path) } else { 0 };
        Ok(CacheInfo {
            dir: layout.root().to_owned(),
            exists,
            read_only: store.is_read_only(),
            max_bytes: store.max_bytes(),
            objects: keys.len() as u64,
            object_bytes: keys.iter().map(|key| bytes_below(layout.object(key))).sum(),
            index_bytes: bytes_below(layout.graphs()),
            quarantine_bytes: bytes_below(layout.quarantine()),
            temporary_bytes: bytes_below(layout.tmp()),
            fallbacks: self.fallbacks().iter().map(|store| store.dir().to_owned()).collect(),
        })
    }

    /// The records whose graph keys begin with `digits`; at most `limit` of them.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn records_beginning(&self, digits: &str, limit: usize) -> Result<Vec<GraphRecord>, Error> {
        Ok(self.main().records_beginning(digits, limit)?)
    }

    /// Checks each object and the other files of the main store, and its index unless the store is
    /// read-only. With `repair`, it also repairs what can be repaired. `progress` is called after
    /// each object, and stops the work by returning `false`.
    ///
    /// # Errors
    /// If the store cannot be listed, or cannot be written to repair it.
    pub fn verify(
        &self,
        repair: bool,
        progress: impl FnMut(Verifying) -> bool,
    ) -> Result<VerifyReport, Error> {
        Ok(self.main().verify(repair, progress)?)
    }

    /// Removes entries by a rule. Pinned entries stay, and so do those that a process is loading.
    ///
    /// # Errors
    /// If the index cannot be used, an installed plugin cannot be read, or stale entries are to
    /// be removed and no plugin is installed at all.
    pub fn prune(&self, rule: PruneRule) -> Result<Pruned, Error> {
        let installed = if rule.stale { self.installed_builds()? } else { BTreeSet::new() };
        if rule.stale && installed.is_empty() {
            return Err(Error::NothingInstalled);
        }
        let stale = |record: &GraphRecord| !installed.contains(&record.environment.plugin_build);
        let PruneRule { max_bytes, used_before, dry_run, .. } = rule;
        let stale: Option<&dyn Fn(&GraphRecord) -> bool> =
            if rule.stale { Some(&stale) } else { None };
        Ok(self.main().prune(&Prune { max_bytes, used_before, stale, dry_run })?)
    }

    /// Protects an entry from eviction, or ends its protection. Returns whether there is such an
    /// entry.
    ///
    /// # Errors
    /// If the index cannot be written.
    pub fn set_pinned(&self, key: &GraphKey, pinned: bool) -> Result<bool, Error> {
        Ok(self.main().set_pinned(key, pinned)?)
    }

    /// Pins the entries of one request, or unpins them; pinned entries are never evicted. Entries
    /// that the request gets later are pinned as well. Returns how many entries there are now.
    ///
    /// # Errors
    /// If the index cannot be written.
    pub fn set_signature_pinned(&self, signature: &Digest, pinned: bool) -> Result<u64, Error> {
        Ok(self.main().set_signature_pinned(signature, pinned)?)
    }

    /// Writes the objects for which `wanted` returns true to one portable file. An object that is
    /// gone or damaged is left out, and the result lists it. `told` is called after each object,
    /// and stops the work by returning `false`.
    ///
    /// # Errors
    /// If the file cannot be written, or the records or an object cannot be read.
    pub fn export(
        &self,
        to: impl Write,
        wanted: impl Fn(&GraphRecord) -> bool,
        told: impl FnMut(u64) -> bool,
    ) -> Result<Exported, Error> {
        Ok(self.main().export(to, wanted, told)?)
    }

    /// Adds the objects of an exported file. Each object is verified as a whole. An object that
    /// fails its check is not added, and the result lists its name and the reason (for the first
    /// hundred of them). `told` is called with the number of objects so far, and stops the work by
    /// returning `false`.
    ///
    /// The file holds machine code, which every process that uses this cache runs from then on.
    /// Verification finds damage, but not malice: import only files whose maker you trust
    /// (docs/security.md).
    ///
    /// # Errors
    /// If the file cannot be read, or the store cannot be written.
    pub fn import(
        &self,
        from: impl Read,
        told: impl FnMut(u64) -> bool,
    ) -> Result<Imported, Error> {
        Ok(self.main().import(from, told)?)
    }

    /// The builds of all plugins and torch libraries that are installed in any of the searched
    /// places.
    fn installed_builds(&self) -> Result<BTreeSet<String>, Error> {
        let found = preheat_plugins::list(&preheat_plugins::PluginSearch::from_process())
            .into_iter()
            .flat_map(|found| {
                found
                    .plugin
                    .map(|plugin| plugin.path)
                    .into_iter()
                    .chain(found.places.into_iter().map(|place| place.path))
            });
        let libraries = found.chain(torch::installed_library(&TorchLookup::from_process()));
        let build = |path: PathBuf| {
            let unreadable =
                |cause| crate::backend::BackendError::Identity { path: path.clone(), cause };
            Ok(PluginBuild::of(&path, Some(self.notes())).map_err(unreadable)?.to_string())
        };
        libraries.filter(|path| path.is_file()).map(build).collect()
    }
}

/// The length of a file, or of all files in a folder. A file that cannot be read counts as empty,
/// and no link is followed.
fn bytes_below(path: PathBuf) -> u64 {
    let mut bytes = 0;
    let mut paths = vec![path];
    while let Some(path) = paths.pop() {
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                paths.extend(
                    std::fs::read_dir(&path)
                        .into_iter()
                        .flatten()
                        .flatten()
                        .map(|entry| entry.path()),
                );
            }
            Ok(metadata) => bytes += metadata.len(),
            Err(_) => {}
        }
    }
    bytes
}
