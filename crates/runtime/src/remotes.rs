//! Which remotes does a cache have, what is fetched from them, and when is something uploaded?
//!
//! A remote is asked after the main store and the fallbacks, before anything is compiled. What is
//! fetched is stored in the main store, and loaded from there. A remote never makes anything worse:
//! if it fails, the next tier is asked, with one warning. Only a runtime that requires its remotes
//! fails instead.
//!
//! Uploads wait in the main store (its spool). A thread in the background does them, and the next
//! process does what this one leaves.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use preheat_cache::{
    Digest, Fetched, GraphKey, GraphRecord, Match, Remote, RemoteError, RemotePointer, RemoteQuery,
    RemoteStatistics, RemoteStorage, Store,
};

use super::error::Error;
use super::warnings::{Warning, WarningKind, Warnings};

/// How long the end of a runtime waits for uploads that are under way. What is left then waits for
/// the next process.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(30);

/// The settings of the remotes of a runtime.
#[derive(Debug, Clone, Default)]
pub(super) struct RemoteSettings {
    pub(super) storages: Vec<Arc<dyn RemoteStorage>>,
    pub(super) required: bool,
    pub(super) for_lookups: bool,
}

/// Something that a remote may have.
pub(super) struct Wanted<'a> {
    pub(super) query: RemoteQuery,
    /// Whether a record is of what is wanted.
    pub(super) fits: &'a dyn Fn(&GraphRecord) -> bool,
}

/// What was fetched, or found in the main store after all.
pub(super) struct Brought {
    /// Its place among what was wanted.
    pub(super) index: usize,
    pub(super) pointer: RemotePointer,
}

impl Brought {
    /// How a request with this exact signature matched.
    pub(super) fn matched(&self, exact: &Digest) -> Match {
        matched(&self.pointer, exact)
    }
}

/// How a request with this exact signature matches a pointer of level 1.
pub(super) fn matched(pointer: &RemotePointer, exact: &Digest) -> Match {
    if pointer.signature == Some(*exact) { Match::Exact } else { Match::Equivalent }
}

/// The remotes of a cache, in the order in which they are asked.
#[derive(Debug)]
pub(super) struct Remotes {
    all: Vec<Arc<Remote>>,
    required: bool,
    for_lookups: bool,
    /// What this process fetched and has not loaded yet.
    fetched: Mutex<HashSet<GraphKey>>,
    uploads: Arc<Uploads>,
}

impl Remotes {
    pub(super) fn new(settings: &RemoteSettings) -> Self {
        let all = settings.storages.iter().map(|one| Arc::new(Remote::new(Arc::clone(one))));
        Self {
            all: all.collect(),
            required: settings.required,
            for_lookups: settings.for_lookups,
            fetched: Mutex::default(),
            uploads: Arc::default(),
        }
    }

    pub(super) fn all(&self) -> &[Arc<Remote>] {
        &self.all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether a look-up asks them, too.
    pub(super) fn answer_lookups(&self) -> bool {
        self.for_lookups && !self.is_empty()
    }

    fn writable(&self) -> impl Iterator<Item = &Arc<Remote>> {
        self.all.iter().filter(|remote| remote.is_writable())
    }

    /// The first pointer to something that is wanted, with its place among what was wanted and the
    /// remote's name. Each remote is asked for everything at once. Nothing is fetched.
    pub(super) fn find(
        &self,
        environment: &Digest,
        wanted: &[RemoteQuery],
        warnings: &Warnings,
    ) -> Result<Option<(usize, RemotePointer, String)>, Error> {
        for remote in &self.all {
            let found = match remote.find(environment, wanted) {
                Ok(found) => found,
                Err(error) => {
                    self.failed(remote, &error, warnings)?;
                    continue;
                }
            };
            let first = found.into_iter().enumerate().find_map(|(at, one)| Some((at, one?)));
            if let Some((index, pointer)) = first {
                return Ok(Some((index, pointer, remote.name().to_owned())));
            }
        }
        Ok(None)
    }

    /// Brings the first of what is wanted into the store. `None` if no remote has any of it.
    pub(super) fn bring(
        &self,
        store: &Store,
        environment: &Digest,
        wanted: &[Wanted<'_>],
        warnings: &Warnings,
    ) -> Result<Option<Brought>, Error> {
        let queries: Vec<RemoteQuery> = wanted.iter().map(|one| one.query).collect();
        for remote in &self.all {
            let found = match remote.find(environment, &queries) {
                Ok(found) => found,
                Err(error) => {
                    self.failed(remote, &error, warnings)?;
                    continue;
                }
            };
            for (index, (pointer, wanted)) in found.into_iter().zip(wanted).enumerate() {
                let Some(pointer) = pointer else { continue };
                if self.is_brought(remote, store, &pointer, wanted, warnings)? {
                    return Ok(Some(Brought { index, pointer }));
                }
            }
        }
        Ok(None)
    }

    fn is_brought(
        &self,
        remote: &Remote,
        store: &Store,
        pointer: &RemotePointer,
        wanted: &Wanted<'_>,
        warnings: &Warnings,
    ) -> Result<bool, Error> {
        // The store may have the graph already, under another projection.
        if store.has_object(&pointer.graph_key) {
            return Ok(true);
        }
        match remote.fetch(store, pointer, true, wanted.fits) {
            Ok(Fetched::Stored) => {
                tracing::info!(
                    graph_key = %pointer.graph_key, remote = remote.name(), bytes = pointer.object_bytes,
                    "fetched"
                );
                self.fetched().insert(pointer.graph_key);
                Ok(true)
            }
            Ok(Fetched::Absent) => Ok(false),
            Ok(Fetched::Refused(reason)) => {
                let text = format!(
                    "an object of the remote {} is refused, because it is damaged or belongs to \
                     something else",
                    remote.name()
                );
                warnings.warn(Warning::new(WarningKind::RemoteRefused, text));
                self.refuse_if_required(remote, RemoteError::Failed(reason))?;
                Ok(false)
            }
            Ok(Fetched::NotTaken(error)) => {
                warnings.store_failed("storing a fetched executable", &error);
                Ok(false)
            }
            Err(error) => {
                self.failed(remote, &error, warnings)?;
                Ok(false)
            }
        }
    }

    /// Warns that a remote failed: once for each remote, whatever the reason.
    fn failed(
        &self,
        remote: &Remote,
        error: &RemoteError,
        warnings: &Warnings,
    ) -> Result<(), Error> {
        tracing::info!(remote = remote.name(), %error, "a remote failed");
        self.refuse_if_required(remote, error.clone())?;
        warnings.of_remote(remote.name(), error);
        Ok(())
    }

    fn refuse_if_required(&self, remote: &Remote, cause: RemoteError) -> Result<(), Error> {
        let name = remote.name().to_owned();
        if self.required { Err(Error::Remote { name, cause }) } else { Ok(()) }
    }

    /// Whether this process fetched the object and loads it now for the first time.
    pub(super) fn was_fetched(&self, key: &GraphKey) -> bool {
        self.fetched().remove(key)
    }

    fn fetched(&self) -> MutexGuard<'_, HashSet<GraphKey>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted since the last call, by the remotes' names.
    pub(super) fn take_counted(&self) -> Vec<(String, RemoteStatistics)> {
        let each = self.all.iter().map(|remote| (remote.name().to_owned(), remote.take_counted()));
        each.filter(|(_, counted)| *counted != RemoteStatistics::default()).collect()
    }

    /// Notes that an entry of the store is to be uploaded, and lets the thread do it.
    pub(super) fn upload_later(
        &self,
        store: &Arc<Store>,
        key: &GraphKey,
        projection: &Digest,
        exact: &Digest,
        warnings: &Warnings,
    ) {
        let mut is_noted = false;
        for remote in self.writable() {
            match store.spool(&remote.id(), key, projection, exact) {
                Ok(()) => is_noted = true,
                Err(error) => warnings.store_failed("noting an upload", &error),
            }
        }
        if is_noted {
            self.start_uploads(store);
        }
    }

    /// Does the uploads that an earlier process left.
    pub(super) fn resume_uploads(&self, store: &Arc<Store>) {
        if !store.is_read_only()
            && self.writable().any(|remote| !store.spooled(&remote.id()).is_empty())
        {
            self.start_uploads(store);
        }
    }

    fn start_uploads(&self, store: &Arc<Store>) {
        let remotes = self.writable().cloned().collect();
        Uploads::start(&self.uploads, Arc::clone(store), remotes);
    }

    /// Waits a while for the uploads that are under way.
    pub(super) fn finish_uploads(&self) {
        self.uploads.finish(UPLOAD_PATIENCE);
    }
}

/// The thread that uploads, and its state.
#[derive(Debug, Default)]
struct Uploads {
    state: Mutex<UploadState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct UploadState {
    runs: bool,
    /// Whether something was noted since the thread last looked.
    again: bool,
    stops: bool,
}

impl Uploads {
    fn state(&self) -> MutexGuard<'_, UploadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(this: &Arc<Self>, store: Arc<Store>, remotes: Vec<Arc<Remote>>) {
        let mut state = this.state();
        state.again = true;
        if state.runs || state.stops {
            return;
        }
        let uploads = Arc::clone(this);
        let work = move || uploads.run(&store, &remotes);
        match std::thread::Builder::new().name("preheat-upload".to_owned()).spawn(work) {
            Ok(_) => state.runs = true,
            Err(error) => tracing::debug!(%error, "uploads wait for the next occasion"),
        }
    }

    fn run(&self, store: &Store, remotes: &[Arc<Remote>]) {
        loop {
            {
                let mut state = self.state();
                if state.stops || !std::mem::take(&mut state.again) {
                    state.runs = false;
                    self.changed.notify_all();
                    return;
                }
            }
            for remote in remotes {
                for waiting in store.spooled(&remote.id()) {
                    if self.state().stops {
                        break;
                    }
                    match remote.deliver(store, &waiting) {
                        Ok(_) => store.forget_spooled(&remote.id(), &waiting),
                        Err(error) => {
                            // It stays in the spool: the next process tries again.
                            tracing::info!(remote = remote.name(), %error, "an upload waits");
                            break;
                        }
                    }
                }
            }
        }
    }

    fn finish(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut state = self.state();
        while state.runs {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.stops = true;
                tracing::info!("uploads are left to the next process");
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
