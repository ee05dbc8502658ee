//! Every path of a store, declared in one place.
//!
//! A version stands in the name of each folder whose content has a format: a newer format gets a folder of its own, so that it
//! orphans the older entries and never misreads them.

use std::path::{Path, PathBuf};

use crate::hash::Digest;
use crate::key::GraphKey;

/// The paths of the store in one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The content of `CACHEDIR.TAG`: the signature that backup programs look for, and a line for people.
    pub(crate) const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
        # This folder is a cache of compiled graphs, made by preheat. It can be deleted.\n\
        # About cache directory tags see https://bford.info/cachedir/\n";

    /// The layout of a store in `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Tells backup programs to skip the folder.
    pub fn cachedir_tag(&self) -> PathBuf {
        self.root.join("CACHEDIR.TAG")
    }

    /// The store's version.
    pub fn format(&self) -> PathBuf {
        self.root.join("format")
    }

    /// The sled database of graph records.
    pub fn graphs(&self) -> PathBuf {
        self.root.join("graphs-v2")
    }

    /// The index of an older release, of which nothing is read: this one is made from the objects.
    pub(crate) fn older_graphs(&self) -> PathBuf {
        self.root.join("graphs-v1")
    }

    /// The folder of objects.
    pub fn objects(&self) -> PathBuf {
        self.root.join("objects-v1")
    }

    /// The object of a key: two levels of 256 folders, so that none grows long.
    pub fn object(&self, key: &GraphKey) -> PathBuf {
        let name = key.to_string();
        self.objects().join(&name[..2]).join(&name[2..4]).join(name)
    }

    /// The folder of lock files.
    pub fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// The lock that one compile of a key holds.
    pub fn compile_lock(&self, key: &GraphKey) -> PathBuf {
        self.locks().join(format!("{key}.lock"))
    }

    /// The lock around each transaction of the index.
    pub fn index_lock(&self) -> PathBuf {
        self.locks().join("index.lock")
    }

    /// The keys of objects that were stored while the index could not be had, one empty file each.
    pub(crate) fn unrecorded(&self) -> PathBuf {
        self.root.join("unrecorded")
    }

    /// What failed a check, with the reason beside it.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Files that are being written.
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The remembered content hashes of plugins that have no build id.
    pub fn plugin_builds(&self) -> PathBuf {
        self.root.join("plugin-builds-v1")
    }

    /// The remembered hash of one plugin file; `identity` is a digest of its device, inode, size and time.
    pub fn plugin_build(&self, identity: &Digest) -> PathBuf {
        self.plugin_builds().join(identity.to_string())
    }

    /// The remembered descriptions of targets.
    pub fn targets(&self) -> PathBuf {
        self.root.join("targets-v1")
    }

    /// What a plugin said a target is like; `key` is a digest of the plugin's build, its flags and the target's name.
    pub fn target(&self, key: &Digest) -> PathBuf {
        self.targets().join(key.to_string())
    }
}
