//! Looking after the cache: what it holds, keeping it sound and small, and moving what is in it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::PathBuf;

use preheat_cache::{
    Digest, Exported, GraphKey, GraphRecord, Imported, PluginBuild, Prune, Pruned, Verified,
    Verifying,
};
use preheat_io::printable::{path_as_text, paths_as_text};
use serde::Serialize;

use super::cache::Cache;
use super::error::Error;
use crate::backend::torch::{self, TorchLookup};

/// What is to be pruned; see [`Cache::prune`].
#[derive(Debug, Clone, Copy, Default)]
pub struct PruneRule {
    /// So many bytes of objects stay at most; those that are worth least go.
    pub max_bytes: Option<u64>,
    /// Those last used before go.
    pub used_before: Option<jiff::Timestamp>,
    /// Those go whose build of a plugin or of the torch library is installed nowhere that is
    /// looked.
    pub stale: bool,
    /// Only say what would go.
    pub dry_run: bool,
}

/// Where a cache is, and what it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheInfo {
    /// The main store's folder.
    #[serde(serialize_with = "path_as_text")]
    pub dir: PathBuf,
    /// Whether it is there at all.
    pub exists: bool,
    /// Whether it is only looked up.
    pub read_only: bool,
    /// What its objects may take.
    pub max_bytes: u64,
    /// What its objects take on disk.
    pub object_bytes: u64,
    /// How many objects there are.
    pub objects: u64,
    /// What the index takes on disk.
    pub index_bytes: u64,
    /// What failed a check and is kept to be looked at.
    pub quarantine_bytes: u64,
    /// What is being written, or was left by a process that died.
    pub temporary_bytes: u64,
    /// The read-only stores behind it.
    #[serde(serialize_with = "paths_as_text")]
    pub fallbacks: Vec<PathBuf>,
}

impl Cache {
    /// Where the cache is and what it takes, as the file system says.
    ///
    /// # Errors
    /// Where its folders cannot be listed.
    pub fn info(&self) -> Result<CacheInfo, Error> {
        let store = self.main();
        let layout = store.layout();
        let keys = store.object_keys()?;
        Ok(CacheInfo {
            dir: layout.root().to_owned(),
            exists: store.exists(),
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

    /// The records whose graph keys begin with some digits; at most `limit` of them.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn records_beginning(&self, digits: &str, limit: usize) -> Result<Vec<GraphRecord>, Error> {
        Ok(self.main().records_beginning(digits, limit)?)
    }

    /// Checks everything, and with `repair` puts right what can be. `progress` is told after each
    /// object, and stops the work by answering `false`.
    ///
    /// # Errors
    /// Where the store cannot be listed, or cannot be written to repair it.
    pub fn verify(
        &self,
        repair: bool,
        progress: impl FnMut(Verifying) -> bool,
    ) -> Result<Verified, Error> {
        Ok(self.main().verify(repair, progress)?)
    }

    /// Removes entries by rule. Pinned ones, and those that a process is loading, stay.
    ///
    /// # Errors
    /// Where the index cannot be used, an installed plugin cannot be read, or what is stale is to
    /// go and no plugin is installed at all.
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

    /// Keeps an entry out of eviction, or lets it go again; says whether there is such an entry.
    ///
    /// # Errors
    /// Where the index cannot be written.
    pub fn set_pinned(&self, key: &GraphKey, pinned: bool) -> Result<bool, Error> {
        Ok(self.main().set_pinned(key, pinned)?)
    }

    /// Keeps whatever a request led to, or will lead to, out of eviction, or lets it go again; says
    /// how many entries there are now.
    ///
    /// # Errors
    /// Where the index cannot be written.
    pub fn set_signature_pinned(&self, signature: &Digest, pinned: bool) -> Result<u64, Error> {
        Ok(self.main().set_signature_pinned(signature, pinned)?)
    }

    /// Writes the objects of which `wanted` is true to one portable file.
    ///
    /// # Errors
    /// Where the file cannot be written, or an object cannot be read.
    pub fn export(
        &self,
        to: impl Write,
        wanted: impl Fn(&GraphRecord) -> bool,
        told: impl FnMut(u64) -> bool,
    ) -> Result<Exported, Error> {
        Ok(self.main().export(to, wanted, told)?)
    }

    /// Takes the objects of an exported file in; each is verified whole, and what does not check is
    /// refused by name.
    ///
    /// What it takes in is machine code, which every process that uses this cache runs from then
    /// on. Verifying finds damage and not malice: import only what somebody made whom you trust
    /// (docs/security.md).
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub fn import(
        &self,
        from: impl Read,
        told: impl FnMut(u64) -> bool,
    ) -> Result<Imported, Error> {
        Ok(self.main().import(from, told)?)
    }

    /// The builds of all plugins, and of the torch library, that are installed anywhere that is
    /// looked.
    fn installed_builds(&self) -> Result<BTreeSet<String>, Error> {
        let found = preheat_plugins::list(&preheat_plugins::Lookup::from_process())
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

/// The length of a file, or of all files in a folder; what cannot be read counts nothing, and no
/// link is followed.
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
