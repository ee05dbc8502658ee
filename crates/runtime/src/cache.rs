//! Which stores does a runtime use, and which counts has it not written yet?
//!
//! There is a main store, and there are read-only stores (fallbacks) that are searched after it.
//! Behind them are the remotes (`remotes.rs`). The counts go to the main store. Requests that were
//! served from memory are not written at once: they wait for a common transaction.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use preheat_cache::{
    Cleared, Counters, Digest, FinishedRequest, GraphKey, GraphRecord, IndexCause, LoadMark,
    LoadedObject, LockOutcome, NearestRecord, ObjectLookup, Program, Purpose, RequestEvent,
    Resolved, Source, Statistics, Store, StoreError, StoreOptions, Trust, Unfit, Wait, WantedEntry,
};

use super::error::Error;
use super::remotes::{Brought, RemoteSettings, Remotes, Wanted};
use super::warnings::{Warnings, is_busy};
use crate::progress::{Cancel, EventKind};

/// How long writing statistics waits for a busy index. Statistics should not delay the end of a
/// process.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// How long requests may wait to be counted, so that the statistics of a long-running program are
/// never far behind.
const WRITE_AFTER: Duration = Duration::from_secs(5);

/// How often a request that waits for the compile of another process checks whether the executable
/// is stored.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The answer to a thread that asks for the right to compile a graph.
pub(super) enum Right {
    /// The right is held: nobody else compiles the graph until this is dropped.
    Held(preheat_cache::CompileLock),
    /// The store cannot give the right, so the thread compiles without it.
    Without,
    /// Another process had the right, and the executable was stored meanwhile.
    IsThere,
}

/// The cache. A program can open a cache without a runtime, to list its entries or to clear it.
#[derive(Debug)]
pub struct Cache {
    main: Arc<Store>,
    fallbacks: Vec<Store>,
    remotes: Remotes,
    /// Folders for the marks of loads that the main store cannot mark.
    own_marks: Vec<OwnMarks>,
    pending: Mutex<Pending>,
    flushing: Mutex<()>,
    /// The number of the next request of this process.
    next_request: AtomicU64,
}

/// The options with which a fallback store is opened.
fn fallback(dir: &Path, trust: Trust) -> StoreOptions {
    StoreOptions { trust, ..StoreOptions::new(dir).read_only() }
}

/// A folder for marks that belongs to this user. It is used if the main store is read-only or may
/// not be written. Without a mark, an object that ends the process that loads it would end every
/// later process, too.
#[derive(Debug)]
struct OwnMarks {
    dir: PathBuf,
    store: OnceLock<Store>,
}

impl OwnMarks {
    /// The folders, in the order in which they are tried. The last one works in a container that
    /// has no home folder.
    fn places() -> Vec<Self> {
        use etcetera::BaseStrategy as _;
        let cache = etcetera::choose_base_strategy().ok().map(|folders| folders.cache_dir());
        let own = cache.into_iter().chain(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from));
        let own = own.filter(|dir| dir.is_absolute()).map(|dir| dir.join("preheat-marks"));
        #[cfg(unix)]
        let name = format!("preheat-marks-{}", rustix::process::geteuid().as_raw());
        #[cfg(not(unix))]
        let name = "preheat-marks";
        let places = own.chain([std::env::temp_dir().join(name)]);
        places.map(|dir| Self { dir, store: OnceLock::new() }).collect()
    }

    /// The store of marks in this folder. Without `make`, it is opened only if it already exists.
    fn store(&self, make: bool) -> Option<&Store> {
        if self.store.get().is_none() {
            // If two threads come here at the same time, both open it, and one result is used.
            let _ = self.store.set(Store::for_marks(&self.dir, make)?);
        }
        self.store.get()
    }
}

/// Requests that are served from memory are counted together if their graph, the digest of their
/// signature and their purpose are the same.
pub(super) type Served = (GraphKey, Digest, Purpose);

/// The counts that are not in the store's statistics yet.
#[derive(Debug, Default)]
struct Pending {
    /// Requests of one stage that were served from memory. They are not written one by one, so that
    /// a request that comes a million times a second only increments a number.
    served: HashMap<Served, FinishedRequest>,
    counters: Counters,
    /// The time since which a count has been waiting, here or in the store's own journal.
    oldest: Option<Instant>,
}

impl Cache {
    pub(super) fn open(
        main: StoreOptions,
        fallbacks: &[PathBuf],
        remotes: &RemoteSettings,
    ) -> Result<Self, StoreError> {
        let trust = main.trust;
        let fallback = |dir: &PathBuf| Store::open(fallback(dir, trust));
        Ok(Self {
            main: Arc::new(Store::open(main)?),
            fallbacks: fallbacks.iter().map(fallback).collect::<Result<_, _>>()?,
            remotes: Remotes::new(remotes),
            own_marks: OwnMarks::places(),
            pending: Mutex::default(),
            flushing: Mutex::default(),
            next_request: AtomicU64::new(1),
        })
    }

    /// Opens the stores that can be opened, and warns of the others, because a runtime can work
    /// without them. `None` if the main store cannot be used.
    pub(super) fn open_or_degrade(
        main: StoreOptions,
        fallbacks: &[PathBuf],
        remotes: &RemoteSettings,
        warnings: &Warnings,
    ) -> Option<Self> {
        let trust = main.trust;
        let mut cache = Self::open(main, &[], remotes)
            .map_err(|error| warnings.store_failed("opening it", &error))
            .ok()?;
        for dir in fallbacks {
            if !dir.is_dir() {
                warnings.warn(format!("the fallback cache {} is not there", dir.display()));
                continue;
            }
            match Store::open(fallback(dir, trust)) {
                Ok(store) => cache.fallbacks.push(store),
                Err(error) => warnings.warn(format!("the fallback cache is left out: {error}")),
            }
        }
        cache.remotes.resume_uploads(&cache.main);
        Some(cache)
    }

    /// The folder of the main store.
    pub fn dir(&self) -> &Path {
        self.main.dir()
    }

    /// The counters and sizes of the main store.
    ///
    /// # Errors
    /// If its index cannot be read.
    pub fn statistics(&self) -> Result<Statistics, Error> {
        Ok(self.main.statistics()?)
    }

    /// The same as [`statistics`](Self::statistics), but the counters cover only the events after a
    /// time: see [`Store::statistics_since`].
    ///
    /// # Errors
    /// If its index cannot be read.
    pub fn statistics_since(&self, since: Option<jiff::Timestamp>) -> Result<Statistics, Error> {
        Ok(self.main.statistics_since(since)?)
    }

    /// Resets the counters and keeps the entries.
    ///
    /// # Errors
    /// If the index cannot be written.
    pub fn zero_statistics(&self) -> Result<(), Error> {
        Ok(self.main.zero_statistics()?)
    }

    /// Every record of the main store.
    ///
    /// # Errors
    /// If its index cannot be read.
    pub fn records(&self) -> Result<Vec<GraphRecord>, Error> {
        Ok(self.main.records()?)
    }

    /// The program from which a graph was compiled; `None` if there is neither a record nor an
    /// object.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn program(&self, key: &GraphKey) -> Result<Option<Program>, Error> {
        Ok(self.main.program(key)?)
    }

    /// Removes every entry that no process is loading at this moment, and the other files that
    /// [`Store::clear`] lists.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn clear(&self) -> Result<Cleared, Error> {
        Ok(self.main.clear()?)
    }

    /// The store in which a plugin's content hash is remembered.
    pub(super) fn notes(&self) -> &Store {
        &self.main
    }

    /// Checks that the store can be written, before hours are spent on compiling for it.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        let path = self.dir().to_owned();
        if self.main.is_read_only() {
            return Err(StoreError::ReadOnly { path }.into());
        }
        self.main
            .check_writable()
            .map_err(|cause| Error::CacheNotWritable { path, cause: Box::new(cause) })
    }

    /// The store for facts that are cheap to find out again; `None` if it is read-only.
    pub(super) fn remembers(&self) -> Option<&Store> {
        (!self.main.is_read_only()).then_some(&self.main)
    }

    pub(super) fn fallbacks(&self) -> &[Store] {
        &self.fallbacks
    }

    pub(super) fn remotes(&self) -> &Remotes {
        &self.remotes
    }

    /// Brings the first of what is wanted from a remote into the main store, and counts what that
    /// took. Nothing is brought into a store that is only read.
    pub(super) fn bring(
        &self,
        environment: &Digest,
        wanted: &[Wanted<'_>],
        warnings: &Warnings,
    ) -> Result<Option<Brought>, Error> {
        if self.remotes.is_empty() || self.main.is_read_only() {
            return Ok(None);
        }
        let brought = self.remotes.bring(&self.main, environment, wanted, warnings);
        self.count_remotes();
        brought
    }

    /// Notes that an entry is to be uploaded.
    pub(super) fn upload_later(
        &self,
        key: &GraphKey,
        projection: &Digest,
        exact: &Digest,
        warnings: &Warnings,
    ) {
        if !self.main.is_read_only() {
            self.remotes.upload_later(&self.main, key, projection, exact, warnings);
        }
    }

    /// Adds what the remotes did to the counts that wait.
    pub(super) fn count_remotes(&self) {
        for (name, counted) in self.remotes.take_counted() {
            self.count(|counters| counters.remotes.entry(name).or_default().merge(&counted));
        }
    }

    pub(super) fn main(&self) -> &Store {
        &self.main
    }

    /// Reads the object of `key` from the first store that has a usable one. An object that fails
    /// its check, or that is known to end the process that loads it, causes a warning and is
    /// skipped.
    pub(super) fn load(
        &self,
        key: &GraphKey,
        warnings: &Warnings,
    ) -> Option<(LoadedObject, Source)> {
        let of_main = if self.remotes.was_fetched(key) { Source::Remote } else { Source::Disk };
        let stores = std::iter::once((&*self.main, of_main))
            .chain(self.fallbacks.iter().map(|s| (s, Source::Fallback)));
        for (store, source) in stores {
            if let Some(unfit) = self.known_unfit(key, store) {
                warnings.warn(format!(
                    "the cached executable of graph {} is not used: {}. Somebody who may write \
                     that cache has to remove the file {}; to use it nevertheless, remove {}",
                    key.short(),
                    unfit.reason,
                    store.layout().object(key).display(),
                    unfit.note.display()
                ));
                continue;
            }
            match store.load(key) {
                Ok(ObjectLookup::Hit(object)) => return Some((*object, source)),
                Ok(ObjectLookup::Absent) => {}
                Ok(ObjectLookup::Damaged { reason }) => {
                    if !store.is_read_only() {
                        self.count(|counters| counters.quarantined += 1);
                    }
                    warnings.warn(format!(
                        "the cached executable of graph {} is damaged ({reason}) and is not used",
                        key.short()
                    ));
                }
                Err(error) => warnings.store_failed("reading an executable", &error),
            }
        }
        None
    }

    /// Looks beside the marks for a note on a store's object under `key`. Such a note says that the
    /// object ends the process that loads it and could not be moved to the quarantine.
    fn known_unfit(&self, key: &GraphKey, holder: &Store) -> Option<Unfit> {
        let of = |marks: &Store| marks.known_unfit(key, holder);
        let own = || self.own_marks.iter().find_map(|own| of(own.store(false)?));
        of(&self.main).or_else(own)
    }

    /// Whether one of the stores has an object under `key` that is known to end the process that
    /// loads it.
    pub(super) fn has_unfit(&self, key: &GraphKey) -> bool {
        let mut stores = std::iter::once(self.main()).chain(&self.fallbacks);
        stores.any(|store| self.known_unfit(key, store).is_some())
    }

    /// Whether an object from one of the stores has been found unfit since it was read.
    pub(super) fn is_known_unfit(&self, object: &LoadedObject, source: Source) -> bool {
        let key = &object.record.graph_key;
        let is_unfit_in = |store| self.known_unfit(key, store).is_some();
        match source {
            Source::Fallback => self.fallbacks.iter().any(is_unfit_in),
            _ => is_unfit_in(&self.main),
        }
    }

    /// Marks the load of an object, and returns the store that has the mark: the main one, or else
    /// one in a folder of this user. `None` if no mark can be written.
    pub(super) fn mark_load(&self, object: &LoadedObject) -> Option<(LoadMark, &Store)> {
        let own = self.own_marks.iter().filter_map(|own| own.store(true));
        let mut places = std::iter::once(&*self.main).chain(own);
        places.find_map(|place| Some((place.mark_load(object)?, place)))
    }

    /// The first store that has the object of `key`, beginning with the main one.
    pub(super) fn source_of(&self, key: &GraphKey) -> Option<Source> {
        if self.main.has_object(key) {
            let was_fetched = self.remotes.was_fetched(key);
            return Some(if was_fetched { Source::Remote } else { Source::Disk });
        }
        self.fallbacks.iter().any(|store| store.has_object(key)).then_some(Source::Fallback)
    }

    pub(super) fn has_object(&self, key: &GraphKey) -> bool {
        self.main.has_object(key) || self.fallbacks.iter().any(|store| store.has_object(key))
    }

    /// Calls `each` with every record of every store. A read-only store has no index, by design:
    /// its records are read from its objects.
    pub(super) fn each_record(&self, warnings: &Warnings, each: &mut dyn FnMut(&GraphRecord)) {
        for store in std::iter::once(&*self.main).chain(&self.fallbacks) {
            let failed = |error| warnings.store_failed("reading its records", &error);
            if !store.is_read_only() {
                store.records().map_err(failed).unwrap_or_default().iter().for_each(&mut *each);
                continue;
            }
            for key in store.object_keys().map_err(failed).unwrap_or_default() {
                // A damaged object is reported when it is loaded.
                if let Ok(Some(record)) = store.object_record(&key) {
                    each(&record);
                }
            }
        }
    }

    /// Looks up a projection in level 1, and the exact signature under it.
    pub(super) fn resolve(
        &self,
        projection_key: Digest,
        signature: Digest,
        patience: Duration,
        warnings: &Warnings,
    ) -> Option<Resolved> {
        self.resolve_each(&[(projection_key, signature)], patience, warnings)
            .into_iter()
            .next()
            .flatten()
    }

    /// Does the same as [`Self::resolve`] for many requests, in one transaction.
    pub(super) fn resolve_each(
        &self,
        wanted: &[(Digest, Digest)],
        patience: Duration,
        warnings: &Warnings,
    ) -> Vec<Option<Resolved>> {
        let nothing = || vec![None; wanted.len()];
        // A read-only store has no index, by design: its objects are found by their keys.
        if self.main.is_read_only() {
            return nothing();
        }
        let answers = self.main.resolve_within(wanted, patience);
        answers
            .map_err(|error| warnings.store_failed("reading its index", &error))
            .unwrap_or_else(|()| nothing())
    }

    /// For a request that was not found, the entry that differs least from it.
    pub(super) fn nearest(
        &self,
        wanted: &WantedEntry<'_>,
        warnings: &Warnings,
    ) -> Option<NearestRecord> {
        if self.main.is_read_only() {
            return None;
        }
        self.main
            .nearest(wanted)
            .map_err(|error| warnings.store_failed("reading its index", &error))
            .ok()?
    }

    /// Takes the right to compile `key`. If another process is compiling it, this waits for the
    /// right or for the executable, whichever comes first. `looks` says whether a stored executable
    /// is of any use to the caller.
    pub(super) fn lock(
        &self,
        stage: &str,
        key: &GraphKey,
        looks: bool,
        tell: &dyn Fn(EventKind),
        cancel: &Cancel,
        warnings: &Warnings,
    ) -> Result<Right, Error> {
        if self.main.is_read_only() {
            return Ok(Right::Without);
        }
        let (mut next_look, mut is_there) = (Duration::ZERO, false);
        let waiting = |waited, holder: Option<preheat_cache::LockHolder>| {
            let since = |holder: &preheat_cache::LockHolder| {
                jiff::Timestamp::now().duration_since(holder.since)
            };
            // Another machine's clock may be ahead of this one's.
            let compiling =
                holder.as_ref().map(|holder| Duration::try_from(since(holder)).unwrap_or_default());
            let holder = holder.map(|holder| format!("process {}", holder.pid));
            tell(EventKind::Waiting { holder, compiling, waited });
            if looks && waited >= next_look {
                next_look = waited + LOOK_EVERY;
                is_there = self.has_object(key);
            }
            if is_there || cancel.is_cancelled() { Wait::Cancel } else { Wait::Continue }
        };
        let asked = self.main.compile_lock(key, waiting);
        match asked {
            Ok(LockOutcome::Held(lock)) => Ok(Right::Held(lock)),
            Ok(LockOutcome::Cancelled) if is_there && !cancel.is_cancelled() => Ok(Right::IsThere),
            Ok(LockOutcome::Failed { holder, reason }) => Err(Error::CompileElsewhere {
                stage: stage.to_owned(),
                graph_key: *key,
                pid: holder.pid,
                reason,
            }),
            Ok(LockOutcome::Cancelled) => Err(Error::Cancelled),
            Ok(LockOutcome::Unavailable) => Ok(Right::Without),
            Err(error) => {
                warnings.store_failed("locking a graph", &error);
                Ok(Right::Without)
            }
        }
    }

    /// Stores a compiled graph. Returns whether it is stored now.
    pub(super) fn put(
        &self,
        record: &GraphRecord,
        program: &Program,
        payload: &[u8],
        warnings: &Warnings,
    ) -> bool {
        if self.main.is_read_only() {
            return false;
        }
        match self.main.put(record, program, payload) {
            Ok(info) => {
                let own = self.own_marks.iter().filter_map(|own| own.store(false));
                for marks in std::iter::once(&*self.main).chain(own) {
                    marks.forget_unfit(&record.graph_key, &info.payload_digest);
                }
                tracing::debug!(graph_key = %record.graph_key, stored_bytes = info.stored_bytes, "stored");
                true
            }
            Err(error) => {
                warnings.store_failed("storing an executable", &error);
                false
            }
        }
    }

    /// Changes the counters that belong to no request.
    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut pending = self.pending();
        change(&mut pending.counters);
        pending.oldest.get_or_insert_with(Instant::now);
    }

    /// A number for a request that begins now.
    pub(super) fn number_request(&self) -> u64 {
        self.next_request.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes what happened to a request. From now on it is counted even if this process is killed.
    pub(super) fn note(&self, event: RequestEvent) {
        // A read-only store is never written.
        if !self.main.is_read_only() {
            self.main.note_event(event);
            self.pending().oldest.get_or_insert_with(Instant::now);
        }
    }

    /// Counts a request of one stage that was served from memory. `request` is called only for the
    /// first of several equal requests.
    pub(super) fn served(&self, which: Served, request: impl FnOnce() -> FinishedRequest) {
        if self.main.is_read_only() {
            return;
        }
        let mut pending = self.pending();
        match pending.served.get_mut(&which) {
            Some(again) => {
                again.times += 1;
                again.stages.iter_mut().for_each(|stage| stage.used.times += 1);
            }
            None => _ = pending.served.insert(which, request()),
        }
        pending.oldest.get_or_insert_with(Instant::now);
    }

    /// Counts the waiting requests if they have waited long enough. A separate thread does this,
    /// because a transaction takes milliseconds and the caller has a step to run.
    pub(super) fn flush_if_due(self: &Arc<Self>, warnings: &Arc<Warnings>) {
        if self.pending().oldest.is_none_or(|oldest| oldest.elapsed() < WRITE_AFTER) {
            return;
        }
        let (cache, warnings) = (Arc::clone(self), Arc::clone(warnings));
        let flush = move || cache.flush(&warnings);
        if let Err(error) =
            std::thread::Builder::new().name("preheat-statistics".to_owned()).spawn(flush)
        {
            tracing::debug!(%error, "statistics wait for the next occasion");
        }
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the waiting requests in one transaction.
    pub(super) fn flush(&self, warnings: &Warnings) {
        // Only one thread flushes at a time. A flush at the end of the process waits for one that
        // is under way, so nothing is lost.
        let _turn = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        self.count_remotes();
        let (served, counters) = {
            let mut pending = self.pending();
            if pending.oldest.take().is_none() || self.main.is_read_only() {
                return;
            }
            (std::mem::take(&mut pending.served), std::mem::take(&mut pending.counters))
        };
        let requests: Vec<FinishedRequest> = served.values().cloned().collect();
        let committed = self.main.commit_requests(&requests, &counters, WRITE_PATIENCE);
        let Err(error) = committed else { return };
        warnings.store_failed("writing its statistics", &error);
        if is_busy(&error)
            || matches!(error, StoreError::IndexUnavailable { cause: IndexCause::Held { .. }, .. })
        {
            self.keep_for_later(served, &counters);
        }
    }

    /// Puts back the requests that could not be counted. They are counted with the next batch, or
    /// at the end of the process.
    fn keep_for_later(&self, served: HashMap<Served, FinishedRequest>, counters: &Counters) {
        let mut pending = self.pending();
        for (which, request) in served {
            let times = request.times;
            match pending.served.get_mut(&which) {
                Some(again) => {
                    again.times += times;
                    again.stages.iter_mut().for_each(|stage| stage.used.times += times);
                }
                None => _ = pending.served.insert(which, request),
            }
        }
        pending.counters.merge(counters);
        pending.oldest = Some(Instant::now());
    }
}
