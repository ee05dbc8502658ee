//! The stores that a runtime uses: the main one, the read-only ones behind it, and what is still to
//! be written.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use preheat_cache::{
    Cleared, Counters, Digest, GraphKey, GraphRecord, IndexCause, LoadMark, LoadedObject,
    LockOutcome, Lookup, Match, Nearest, Program, Resolved, Source, Statistics, Store, StoreError,
    StoreOptions, Trust, Unfit, Use, Wait, Wanted,
};

use super::error::Error;
use super::warnings::{Warnings, is_busy};
use crate::progress::{Cancel, EventKind};

/// How long a busy index is waited for to write statistics: a process should not be kept from its
/// end for them.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// How long uses may wait to be written, so that a long-running program's statistics are never far
/// behind.
const WRITE_AFTER: Duration = Duration::from_secs(5);

/// How often someone who waits for another's compile looks whether the executable is there already.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How asking for the right to compile a graph ended.
pub(super) enum Right {
    /// Nobody else compiles it until this is dropped.
    Held(preheat_cache::CompileLock),
    /// The store cannot give it: the compile goes on without.
    Without,
    /// The executable came while another had the right.
    IsThere,
}

/// The cache, to ask what it holds and to clear it.
#[derive(Debug)]
pub struct Cache {
    main: Store,
    fallbacks: Vec<Store>,
    /// Where loads are marked that the main store cannot mark.
    own_marks: Vec<OwnMarks>,
    pending: Mutex<Pending>,
    flushing: Mutex<()>,
}

/// How a store behind the main one is opened.
fn fallback(dir: &Path, trust: Trust) -> StoreOptions {
    StoreOptions { trust, ..StoreOptions::new(dir).read_only() }
}

/// A folder of this user's, for the marks of loads: where the main store is only read, or may not
/// be written, an object that ends its process would otherwise end every later one.
#[derive(Debug)]
struct OwnMarks {
    dir: PathBuf,
    store: OnceLock<Store>,
}

impl OwnMarks {
    /// In the order in which they are tried. The last is good for a container without a home.
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

    /// The marks in it; without `make`, only where they are there already.
    fn store(&self, make: bool) -> Option<&Store> {
        if self.store.get().is_none() {
            // Two threads at the same time open it twice, and one of them is used.
            let _ = self.store.set(Store::for_marks(&self.dir, make)?);
        }
        self.store.get()
    }
}

/// What happened and is not in the store yet.
#[derive(Debug)]
struct Pending {
    uses: Vec<Use>,
    counters: Counters,
    oldest: Option<Instant>,
}

impl Cache {
    pub(super) fn open(main: StoreOptions, fallbacks: &[PathBuf]) -> Result<Self, StoreError> {
        let trust = main.trust;
        let fallback = |dir: &PathBuf| Store::open(fallback(dir, trust));
        Ok(Self {
            main: Store::open(main)?,
            fallbacks: fallbacks.iter().map(fallback).collect::<Result<_, _>>()?,
            own_marks: OwnMarks::places(),
            pending: Mutex::new(Pending {
                uses: Vec::new(),
                counters: Counters::default(),
                oldest: None,
            }),
            flushing: Mutex::default(),
        })
    }

    /// Opens what can be opened, and says what cannot: a runtime goes on without it. `None` where
    /// the main store cannot be used.
    pub(super) fn open_or_degrade(
        main: StoreOptions,
        fallbacks: &[PathBuf],
        warnings: &Warnings,
    ) -> Option<Self> {
        let trust = main.trust;
        let mut cache = Self::open(main, &[])
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
        Some(cache)
    }

    /// The folder of the main store.
    pub fn dir(&self) -> &Path {
        self.main.dir()
    }

    /// The counters and sizes of the main store.
    ///
    /// # Errors
    /// Where its index cannot be read.
    pub fn statistics(&self) -> Result<Statistics, Error> {
        Ok(self.main.statistics()?)
    }

    /// Sets the counters back and keeps the entries.
    ///
    /// # Errors
    /// Where the index cannot be written.
    pub fn zero_statistics(&self) -> Result<(), Error> {
        Ok(self.main.zero_statistics()?)
    }

    /// Every record of the main store.
    ///
    /// # Errors
    /// Where its index cannot be read.
    pub fn records(&self) -> Result<Vec<GraphRecord>, Error> {
        Ok(self.main.records()?)
    }

    /// The program that a graph was compiled from; `None` where neither record nor object is there.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn program(&self, key: &GraphKey) -> Result<Option<Program>, Error> {
        Ok(self.main.program(key)?)
    }

    /// Removes every entry that no process is loading just now.
    ///
    /// # Errors
    /// Where something cannot be removed.
    pub fn clear(&self) -> Result<Cleared, Error> {
        Ok(self.main.clear()?)
    }

    /// Where a plugin's content hash is remembered.
    pub(super) fn notes(&self) -> &Store {
        &self.main
    }

    /// Whether anything could be stored, before hours go into compiling it.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        let path = self.dir().to_owned();
        if self.main.is_read_only() {
            return Err(StoreError::ReadOnly { path }.into());
        }
        self.main
            .check_writable()
            .map_err(|cause| Error::CacheNotWritable { path, cause: Box::new(cause) })
    }

    /// Where else something may be remembered, that costs little to ask again.
    pub(super) fn remembers(&self) -> Option<&Store> {
        (!self.main.is_read_only()).then_some(&self.main)
    }

    pub(super) fn fallbacks(&self) -> &[Store] {
        &self.fallbacks
    }

    pub(super) fn main(&self) -> &Store {
        &self.main
    }

    /// The object of `key`, from the first store that has it. One that fails its check counts as
    /// absent, and is said.
    pub(super) fn load(
        &self,
        key: &GraphKey,
        warnings: &Warnings,
    ) -> Option<(LoadedObject, Source)> {
        let stores = std::iter::once((&self.main, Source::Disk))
            .chain(self.fallbacks.iter().map(|s| (s, Source::Fallback)));
        for (store, source) in stores {
            if let Some(unfit) = self.known_unfit(key, store) {
                warnings.warn(format!(
                    "the cached executable of graph {} is not used: {}. Have whoever may write \
                     that cache remove the file {}; to use it all the same, remove {}",
                    key.short(),
                    unfit.reason,
                    store.layout().object(key).display(),
                    unfit.note.display()
                ));
                continue;
            }
            match store.load(key) {
                Ok(Lookup::Hit(object)) => return Some((*object, source)),
                Ok(Lookup::Absent) => {}
                Ok(Lookup::Damaged { reason }) => {
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

    /// What is remembered of the object that a store has under `key`, where it ends its process and
    /// could not be set aside.
    fn known_unfit(&self, key: &GraphKey, holder: &Store) -> Option<Unfit> {
        let of = |marks: &Store| marks.known_unfit(key, holder);
        let own = || self.own_marks.iter().find_map(|own| of(own.store(false)?));
        of(&self.main).or_else(own)
    }

    /// Whether an object from one of the stores was found unfit meanwhile.
    pub(super) fn is_known_unfit(&self, object: &LoadedObject, source: Source) -> bool {
        let key = &object.record.graph_key;
        let is_unfit_in = |store| self.known_unfit(key, store).is_some();
        match source {
            Source::Fallback => self.fallbacks.iter().any(is_unfit_in),
            _ => is_unfit_in(&self.main),
        }
    }

    /// Marks the load of an object, and says where: in the main store, or else in a folder of this
    /// user's. `None` where neither can be written.
    pub(super) fn mark_load(&self, object: &LoadedObject) -> Option<(LoadMark, &Store)> {
        let own = self.own_marks.iter().filter_map(|own| own.store(true));
        let mut places = std::iter::once(&self.main).chain(own);
        places.find_map(|place| Some((place.mark_load(object)?, place)))
    }

    /// Which store has the object of `key`, the main one before the others.
    pub(super) fn source_of(&self, key: &GraphKey) -> Option<Source> {
        if self.main.has_object(key) {
            return Some(Source::Disk);
        }
        self.fallbacks.iter().any(|store| store.has_object(key)).then_some(Source::Fallback)
    }

    pub(super) fn has_object(&self, key: &GraphKey) -> bool {
        self.main.has_object(key) || self.fallbacks.iter().any(|store| store.has_object(key))
    }

    /// Every record of every store. A store that is only read has no index, by design: its records
    /// are read from its objects.
    pub(super) fn each_record(&self, warnings: &Warnings, each: &mut dyn FnMut(&GraphRecord)) {
        for store in std::iter::once(&self.main).chain(&self.fallbacks) {
            let failed = |error| warnings.store_failed("reading its records", &error);
            if !store.is_read_only() {
                store.records().map_err(failed).unwrap_or_default().iter().for_each(&mut *each);
                continue;
            }
            for key in store.object_keys().map_err(failed).unwrap_or_default() {
                // A damaged one is told of when it is loaded.
                if let Ok(Some(record)) = store.object_record(&key) {
                    each(&record);
                }
            }
        }
    }

    /// What level 1 knows of a projection, and of the exact signature under it.
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

    /// The same for many at once, in one transaction.
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

    /// The entry that is most like what was looked for and not found.
    pub(super) fn nearest(&self, wanted: &Wanted<'_>, warnings: &Warnings) -> Option<Nearest> {
        if self.main.is_read_only() {
            return None;
        }
        self.main
            .nearest(wanted)
            .map_err(|error| warnings.store_failed("reading its index", &error))
            .ok()?
    }

    /// Takes the right to compile `key`, waiting for whoever compiles it already, but not once the
    /// executable is there. `looks`: whether one that is there is of any use.
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
        let waiting = |waited, holder: Option<preheat_cache::Holder>| {
            let since = |holder: &preheat_cache::Holder| {
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
            Ok(LockOutcome::Held(lock)) => {
                if lock.waited().is_some() {
                    self.count(|counters| counters.single_flight_waits += 1);
                }
                Ok(Right::Held(lock))
            }
            Ok(LockOutcome::Cancelled) if is_there && !cancel.is_cancelled() => {
                self.count(|counters| counters.single_flight_waits += 1);
                Ok(Right::IsThere)
            }
            Ok(LockOutcome::Failed { holder, reason }) => {
                self.count(|counters| counters.single_flight_waits += 1);
                Err(Error::CompileElsewhere {
                    stage: stage.to_owned(),
                    graph_key: *key,
                    pid: holder.pid,
                    reason,
                })
            }
            Ok(LockOutcome::Cancelled) => Err(Error::Cancelled),
            Ok(LockOutcome::Unavailable) => Ok(Right::Without),
            Err(error) => {
                warnings.store_failed("locking a graph", &error);
                Ok(Right::Without)
            }
        }
    }

    /// Stores what was compiled. Says whether it is stored now.
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
                for marks in std::iter::once(&self.main).chain(own) {
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

    /// Changes the counters that belong to no use.
    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut pending.counters);
        pending.oldest.get_or_insert_with(Instant::now);
    }

    /// Notes a use, which is written with the next batch. Says whether the batch has waited long
    /// enough.
    ///
    /// An exact match in memory only counts what is noted already: one that comes a million times a
    /// second takes no room.
    pub(super) fn used(
        &self,
        key: GraphKey,
        exact_in_memory: bool,
        used: impl FnOnce() -> Use,
    ) -> bool {
        if self.main.is_read_only() {
            // Nothing will ever be written.
            return false;
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let again = |one: &&mut Use| {
            exact_in_memory
                && one.graph_key == key
                && one.source == Source::Memory
                && one.matched == Match::Exact
        };
        match pending.uses.iter_mut().find(again) {
            Some(one) => one.times += 1,
            None => pending.uses.push(used()),
        }
        pending.oldest.get_or_insert_with(Instant::now).elapsed() >= WRITE_AFTER
    }

    /// Writes what waits, in one transaction.
    pub(super) fn flush(&self, warnings: &Warnings) {
        // One at a time: whoever flushes at the end of the process waits for a flush that is under
        // way, and loses nothing of it.
        let _turn = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        let (uses, counters) = {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if pending.oldest.take().is_none() || self.main.is_read_only() {
                return;
            }
            (std::mem::take(&mut pending.uses), std::mem::take(&mut pending.counters))
        };
        let Err(error) = self.main.commit_within(&uses, &counters, WRITE_PATIENCE) else { return };
        warnings.store_failed("writing its statistics", &error);
        if is_busy(&error)
            || matches!(error, StoreError::IndexUnavailable { cause: IndexCause::Held { .. }, .. })
        {
            self.keep_for_later(uses, &counters);
        }
    }

    /// Puts back what could not be written, for the next occasion: the end of the process, at the
    /// latest.
    fn keep_for_later(&self, mut uses: Vec<Use>, counters: &Counters) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        uses.append(&mut pending.uses);
        pending.uses = uses;
        let kept = &mut pending.counters;
        kept.misses += counters.misses;
        kept.failed_compiles += counters.failed_compiles;
        kept.single_flight_waits += counters.single_flight_waits;
        kept.evictions += counters.evictions;
        kept.quarantined += counters.quarantined;
        pending.oldest = Some(Instant::now());
    }
}
