//! Which paths does a store have? Every path of a store, and every name that a store gives to a
//! file or a folder, is declared here and nowhere else.
//!
//! The name of each folder whose content has a format carries a version. A newer format gets a
//! folder of its own, so that it orphans the older entries and never misreads them.
//!
//! These names also decide what preheat may remove. A file with any other name stays.

use std::path::{Path, PathBuf};

use crate::files::{is_made_up, name_of};
use crate::hash::Digest;
use crate::key::GraphKey;

/// The paths of the store in one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The content of `CACHEDIR.TAG`: the signature that backup programs look for, and a line for
    /// people.
    pub(crate) const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
        # This folder is a cache of compiled graphs, made by preheat. It can be deleted.\n\
        # About cache directory tags see https://bford.info/cachedir/\n";

    /// The name of the folder that a store makes for itself in a folder that belongs to something
    /// else.
    pub(crate) const FOLDER: &str = "preheat-store";

    /// The content of the file that says that preheat made the folder.
    pub(crate) const OWNED: &str = "preheat made this folder, and everything in it is preheat's: a cache of compiled graphs.\n\
        It can be deleted. Please keep nothing of your own in it.\n";

    /// The content of the file that says that the store was moved.
    pub(crate) const MOVED: &str = "An earlier release of preheat made this store in the \
        folder above, where other files lie.\n\
        It was moved here, so that everything of preheat's lies in a folder of its own.\n";

    /// The layout of a store in `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The same paths, relative to the store's folder.
    pub(crate) fn relative() -> Self {
        Self::new("")
    }

    /// The file that says that preheat made the folder. It allows preheat to remove what it finds
    /// in the folder under names that a store gives. It is the first file that is created in a
    /// new store.
    pub fn owned(&self) -> PathBuf {
        self.root.join("OWNED-BY-PREHEAT")
    }

    /// The file that marks a store that is moved here from the folder above, where an older release
    /// made it among other files. Processes that move the store lock this file.
    pub(crate) fn moved_here(&self) -> PathBuf {
        self.root.join("MOVED-HERE")
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that tells backup programs to skip the folder.
    pub fn cachedir_tag(&self) -> PathBuf {
        self.root.join("CACHEDIR.TAG")
    }

    /// The file that states the store's format version.
    pub fn format(&self) -> PathBuf {
        self.root.join("format")
    }

    /// The sled database of graph records.
    pub fn graphs(&self) -> PathBuf {
        self.root.join("graphs-v2")
    }

    /// The folder where a smaller copy of the index is made before it replaces the index.
    pub(crate) fn graphs_anew(&self) -> PathBuf {
        self.root.join("graphs-v2.new")
    }

    /// The index of an older release. Nothing of it is read: this release's index is built from the
    /// objects.
    pub(crate) fn older_graphs(&self) -> PathBuf {
        self.root.join("graphs-v1")
    }

    /// The folder of objects.
    pub fn objects(&self) -> PathBuf {
        self.root.join("objects-v1")
    }

    /// The object of a key. There are two levels of 256 folders each, so that no folder grows long.
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

    /// The lock that one trial of a key's object holds.
    pub(crate) fn trial_lock(&self, key: &GraphKey) -> PathBuf {
        self.locks().join(format!("{key}.trial.lock"))
    }

    /// The lock around each transaction of the index.
    pub fn index_lock(&self) -> PathBuf {
        self.locks().join("index.lock")
    }

    /// The keys of objects that were stored while the index could not be used: one empty file for
    /// each.
    pub(crate) fn unrecorded(&self) -> PathBuf {
        self.root.join("unrecorded")
    }

    /// The folder for files that failed a check, with the reason beside each.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// The marks of loads that are under way, and of loads during which the process died.
    pub(crate) fn loading(&self) -> PathBuf {
        self.root.join("loading")
    }

    /// The notes about objects that end their process, and that cannot be moved to quarantine
    /// because they lie in a store that is only read.
    pub(crate) fn unfit(&self) -> PathBuf {
        self.root.join("unfit")
    }

    /// The note about one such object, named by its key and its payload.
    pub(crate) fn unfit_object(&self, key: &GraphKey, payload: &Digest) -> PathBuf {
        self.unfit().join(format!("{key}.{payload}"))
    }

    /// The folder of the journals of requests: each process writes its own.
    pub(crate) fn requests(&self) -> PathBuf {
        self.root.join("requests-v1")
    }

    /// A segment of a process's journal of requests.
    pub(crate) fn journal(&self, owner: &str, number: u64) -> PathBuf {
        self.requests().join(format!("{owner}.{number}"))
    }

    /// The owner of a journal and the number of the segment, if the name of a file in
    /// [`requests`](Self::requests) has both.
    pub(crate) fn journal_name(path: &Path) -> Option<(String, u64)> {
        let (owner, number) = name_of(path)?.split_once('.')?;
        Some((owner.to_owned(), number.parse().ok().filter(|_| is_made_up(owner))?))
    }

    /// Files that are being written.
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The remembered content hashes of plugins that have no build id.
    pub fn plugin_builds(&self) -> PathBuf {
        self.root.join("plugin-builds-v1")
    }

    /// The remembered hash of one plugin file; `identity` is a digest of its device, inode, size
    /// and times.
    pub fn plugin_build(&self, identity: &Digest) -> PathBuf {
        self.plugin_builds().join(identity.to_string())
    }

    /// The remembered descriptions of targets.
    pub fn targets(&self) -> PathBuf {
        self.root.join("targets-v1")
    }

    /// The plugin's description of one target; `key` is a digest of the plugin's build, its flags
    /// and the target's name.
    pub fn target(&self, key: &Digest) -> PathBuf {
        self.targets().join(key.to_string())
    }

    /// The notes about executables of a lower compile effort for which a full compile was requested
    /// or is done.
    pub fn upgrades(&self) -> PathBuf {
        self.root.join("upgrades-v1")
    }

    /// The entries of the Python package's `cached_jit`, which writes and reads them by itself
    /// (`python/preheat/_jax_store.py`): a folder for each function and kind of arguments.
    pub(crate) fn jax(&self) -> PathBuf {
        self.root.join("jax-v1")
    }

    /// Whether a file in such a folder has a name that `cached_jit` gives: to what a trace depended
    /// on, to an executable, or to a file that is being written.
    pub(crate) fn is_of_jax(path: &Path) -> bool {
        let name = name_of(path).and_then(|name| name.rsplit_once('.'));
        name.is_some_and(|(digest, kind)| {
            digest.parse::<Digest>().is_ok() && matches!(kind, "json" | "code" | "new")
        })
    }

    /// The folder of the uploads that wait: a folder for each remote.
    pub(crate) fn spools(&self) -> PathBuf {
        self.root.join("spool-v1")
    }

    /// The uploads that wait for one remote.
    pub(crate) fn spool(&self, remote: &Digest) -> PathBuf {
        self.spools().join(remote.to_string())
    }

    /// An upload that waits: a graph, and a projection that leads to it.
    pub(crate) fn spooled(&self, remote: &Digest, key: &GraphKey, projection: &Digest) -> PathBuf {
        self.spool(remote).join(format!("{key}.{projection}"))
    }

    /// The graph key and the projection in the name of such a file.
    pub(crate) fn spooled_name(path: &Path) -> Option<(GraphKey, Digest)> {
        let (key, projection) = name_of(path)?.split_once('.')?;
        Some((GraphKey(key.parse().ok()?), projection.parse().ok()?))
    }

    /// The note about one such executable, named by its key.
    pub fn upgrade(&self, lower: &GraphKey) -> PathBuf {
        self.upgrades().join(lower.to_string())
    }

    /// Whether a file in [`tmp`](Self::tmp) has a name that a store gives to an object that is
    /// being written or to a small file.
    pub(crate) fn is_temporary(path: &Path) -> bool {
        let Some((prefix, letters)) = name_of(path).and_then(|name| name.rsplit_once('.')) else {
            return false;
        };
        is_made_up(letters) && (prefix == Self::SMALL_FILE || prefix.parse::<Digest>().is_ok())
    }

    /// Whether a file is one for which [`is_temporary`](Self::is_temporary) is true, or has the
    /// name that earlier releases gave to a small file. A person could have chosen a name of the
    /// second kind, so no file is removed because of such a name.
    pub(crate) fn is_temporary_of_any_release(path: &Path) -> bool {
        let letters = name_of(path).and_then(|name| name.strip_prefix("file."));
        Self::is_temporary(path) || letters.is_some_and(is_made_up)
    }

    /// The beginning of the name of a small file that is being written.
    pub(crate) const SMALL_FILE: &str = "preheat-file";

    /// Whether a path within a store's folder is one that a store gives to a file or a folder.
    pub(crate) fn is_known(path: &Path) -> bool {
        let mut names = path.components().map(|name| name.as_os_str().to_str().unwrap_or_default());
        let Some(first) = names.next().filter(|first| Self::NAMES.contains(first)) else {
            return false;
        };
        let rest: Vec<&str> = names.collect();
        let is_two_digits =
            |name: &str| name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        match (first, rest.as_slice()) {
            (_, []) => true,
            ("objects-v1", [first]) => is_two_digits(first),
            ("objects-v1", [first, second]) => is_two_digits(first) && is_two_digits(second),
            ("objects-v1", [_, _, _])
            | ("unrecorded" | "plugin-builds-v1" | "targets-v1" | "upgrades-v1", [_]) => {
                Self::is_note(path)
            }
            ("jax-v1", [function]) => function.parse::<Digest>().is_ok(),
            ("jax-v1", [function, _]) => {
                function.parse::<Digest>().is_ok() && Self::is_of_jax(path)
            }
            ("spool-v1", [remote]) => remote.parse::<Digest>().is_ok(),
            ("spool-v1", [remote, _]) => {
                remote.parse::<Digest>().is_ok() && Self::spooled_name(path).is_some()
            }
            ("locks", [_]) => Self::is_lock(path),
            ("tmp", [_]) => Self::is_temporary(path),
            ("loading", [_]) => Self::marked_payload(path).is_some(),
            ("requests-v1", [_]) => Self::journal_name(path).is_some(),
            ("unfit", [_]) => Self::unfit_key(path).is_some(),
            ("quarantine", [_]) => Self::quarantined_at(path).is_some(),
            ("quarantine", [first, rest @ ..]) => {
                first.starts_with("graphs-v") && Self::is_sleds(rest)
            }
            (graphs, rest) if graphs.starts_with("graphs-v") => Self::is_sleds(rest),
            _ => false,
        }
    }

    /// Whether a path below the folder of an index has names that sled gives.
    pub(crate) fn is_sleds(names: &[&str]) -> bool {
        match names {
            ["conf" | "db" | "blobs"] => true,
            [snapshot] => snapshot.starts_with("snap."),
            ["blobs", number] => number.parse::<i64>().is_ok(),
            _ => false,
        }
    }

    /// Whether a file in [`locks`](Self::locks) has the name of a compile lock or of a trial lock.
    pub(crate) fn is_compile_lock(path: &Path) -> bool {
        let name = name_of(path).and_then(|name| name.strip_suffix(".lock"));
        name.is_some_and(|key| key.strip_suffix(".trial").unwrap_or(key).parse::<Digest>().is_ok())
    }

    /// Whether a file in [`locks`](Self::locks) has the name of any lock.
    pub(crate) fn is_lock(path: &Path) -> bool {
        Self::is_compile_lock(path) || *path == Self::relative().index_lock()
    }

    /// The payload whose load is marked by a file in [`loading`](Self::loading), if the file has
    /// the name of a mark.
    pub(crate) fn marked_payload(path: &Path) -> Option<Digest> {
        let (payload, letters) = name_of(path)?.rsplit_once('.')?;
        payload.parse().ok().filter(|_| is_made_up(letters))
    }

    /// The graph key in the name of a file in [`unfit`](Self::unfit), if the file has the name of a
    /// note.
    pub(crate) fn unfit_key(path: &Path) -> Option<GraphKey> {
        let (key, payload) = name_of(path)?.split_once('.')?;
        payload.parse::<Digest>().ok()?;
        key.parse().ok().map(GraphKey)
    }

    /// The time at which an object, an index or the file with the reason was put into
    /// [`quarantine`](Self::quarantine), in nanoseconds. `None` for any other file, such as a stray
    /// file that a repair moved there.
    pub(crate) fn quarantined_at(path: &Path) -> Option<i128> {
        let (what, stamp) = name_of(path)?.trim_end_matches(".reason").rsplit_once('.')?;
        let made = what.parse::<Digest>().is_ok() || what.starts_with("graphs-v");
        stamp.parse().ok().filter(|_| made)
    }

    /// Whether a file has the name of a note, which is a digest.
    pub(crate) fn is_note(path: &Path) -> bool {
        name_of(path).is_some_and(|name| name.parse::<Digest>().is_ok())
    }

    /// The names that a store gives to what lies directly in its folder.
    pub(crate) const NAMES: &[&str] = &[
        "OWNED-BY-PREHEAT",
        "MOVED-HERE",
        "CACHEDIR.TAG",
        "format",
        "graphs-v1",
        "graphs-v2",
        "graphs-v2.new",
        "objects-v1",
        "locks",
        "unrecorded",
        "loading",
        "unfit",
        "quarantine",
        "tmp",
        "plugin-builds-v1",
        "targets-v1",
        "upgrades-v1",
        "requests-v1",
        "jax-v1",
        "spool-v1",
    ];
}
