//! May this object be loaded here? If a process died while it loaded the object, a child tries it
//! first.
//!
//! An object can end the process that runs it even if its bytes are intact. Somebody may have made
//! it for this purpose, or the machine that compiled it may have had bad memory. Every load of
//! machine code is therefore marked in a store, if one can be written, until the first execution is
//! over (`preheat_cache`'s `store/marks.rs`).
//!
//! If a process is gone but its mark is still there, this proves nothing, since any process can be
//! killed. But if two children load the object and both end in a way in which machine code can end
//! a process (`backend/ahead/trial.rs`), this is a proof. Such an object is moved to the
//! quarantine. If it cannot be moved, because its store is read-only, a note keeps the result and
//! the object is not used again.
//!
//! Sometimes no child can try the object, because the device belongs to this process alone or this
//! program does not call `serve_compiler()`. Then two marks of dead processes are enough. Because
//! of this rule, a sound object may be compiled once more; without it, an unsound object would end
//! every later process.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use preheat_cache::{LoadMark, LoadedObject, LockHolder, LockOutcome, Source, Store, Wait};

use super::asked::Asked;
use super::cache::Cache;
use super::error::Error;
use super::site::Site;
use super::warnings::Warnings;
use crate::backend::ahead::{Starting, TrialOutcome, try_executable};
use crate::backend::contract::{Buffer, PluginInUse};
use crate::progress::EventKind;

/// If no child can try an object, it is refused after this number of processes died while they
/// loaded it.
const LOST_LOADS_BELIEVED: usize = 2;

/// The decision on an object that was read.
pub(super) enum Admission {
    /// It may be loaded, under this mark if one can be made.
    Load(Option<LoadMark>),
    /// It is no longer in the store. Another object may have taken its place.
    Gone,
    /// It is still in the store and must not be used.
    Refused,
}

/// What is needed to decide whether an object may be loaded.
#[derive(Clone, Copy)]
pub(super) struct Trials<'a> {
    pub(super) site: &'a Site,
    pub(super) cache: Option<&'a Cache>,
    pub(super) warnings: &'a Warnings,
}

impl Trials<'_> {
    /// Marks the load of an object, which is about to begin. If earlier loads of the object never
    /// ended, a child tries it first.
    pub(super) fn admit(
        &self,
        asked: &Asked<'_>,
        object: &LoadedObject,
        source: Source,
    ) -> Result<Admission, Error> {
        // Through libtorch no machine code is loaded: the graph in the object is checked, and
        // preheat's own library runs it.
        let plugin = self.site.here().ok().and_then(|here| here.plugin());
        let (Some(cache), Some(plugin)) = (self.cache, plugin) else {
            return Ok(Admission::Load(None));
        };
        let Some((mark, store)) = cache.mark_load(object) else { return Ok(Admission::Load(None)) };
        if store.lost_loads(object) == 0 {
            return Ok(Admission::Load(Some(mark)));
        }
        // This process does not load the object while a child tries it, so its mark is removed.
        drop(mark);
        // Only one process tries the object; the others see the result.
        let _turn = self.trial_turn(asked, store, object)?;
        let lost = store.lost_loads(object);
        if lost == 0 {
            // Another process has tried it. That process found it harmless, moved it to the
            // quarantine, or could only write a note that it is unfit.
            if cache.is_known_unfit(object, source) {
                return Ok(Admission::Refused);
            }
            let is_there = source == Source::Fallback || cache.main().has_still(object);
            return Ok(if is_there {
                Admission::Load(store.mark_load(object))
            } else {
                Admission::Gone
            });
        }
        asked.tell(EventKind::Trying);
        let reason = match self.try_object(asked, &plugin, object)? {
            TrialOutcome::Lives => {
                store.forget_lost_loads(object);
                None
            }
            TrialOutcome::Ends(how) => Some(format!(
                "it ended a process that loaded or first ran it, and two more that only tried it ({how})"
            )),
            TrialOutcome::Impossible(why) if lost >= LOST_LOADS_BELIEVED => Some(format!(
                "{lost} processes ended while they loaded or first ran it, and no other can try it ({why})"
            )),
            TrialOutcome::Impossible(why) | TrialOutcome::Undecided(why) => {
                tracing::info!(graph_key = %object.record.graph_key, why, "a process died while it loaded an object, and it is not known whether the object is sound");
                None
            }
        };
        Ok(match reason {
            None => Admission::Load(store.mark_load(object)),
            Some(reason) => {
                self.site.is_found_deadly(object.record.graph_key);
                self.set_aside(cache, store, object, &reason)
            }
        })
    }

    fn try_object(
        &self,
        asked: &Asked<'_>,
        plugin: &PluginInUse<'_>,
        object: &LoadedObject,
    ) -> Result<TrialOutcome, Error> {
        let starting = Starting {
            program: self.site.compiler_program.as_deref(),
            variables: plugin.variables,
        };
        let platform = &self.site.environment().platform;
        let inputs = object.record.interface.as_ref().map(|interface| interface.inputs.as_slice());
        // A trial has only one error: that the caller asked to stop.
        try_executable(
            plugin.path,
            platform,
            &starting,
            &object.payload,
            inputs,
            asked.control.flag(),
        )
        .map_err(|_| Error::Cancelled)
    }

    /// Takes the right to try an object; `None` if locks do not work.
    fn trial_turn(
        &self,
        asked: &Asked<'_>,
        store: &Store,
        object: &LoadedObject,
    ) -> Result<Option<preheat_cache::CompileLock>, Error> {
        let waiting = |_: Duration, _: Option<LockHolder>| {
            asked.tell(EventKind::Trying);
            if asked.control.is_cancelled() { Wait::Cancel } else { Wait::Continue }
        };
        match store.trial_lock(object, waiting) {
            Ok(LockOutcome::Held(lock)) => Ok(Some(lock)),
            Ok(LockOutcome::Cancelled) => Err(Error::Cancelled),
            Ok(LockOutcome::Failed { .. } | LockOutcome::Unavailable) => Ok(None),
            Err(error) => {
                self.warnings.store_failed("locking an executable that is tried", &error);
                Ok(None)
            }
        }
    }

    /// Takes an object out of use because it ends the process that loads it. If it cannot be moved
    /// out of its store, a note in `marks` keeps every process from loading it again.
    fn set_aside(&self, cache: &Cache, marks: &Store, read: &LoadedObject, why: &str) -> Admission {
        let is_gone = cache.main().set_object_aside(read, why);
        let key = read.record.graph_key.short();
        let where_to = if is_gone {
            cache.count(|counters| counters.quarantined += 1);
            marks.forget_lost_loads(read);
            " and lies in quarantine".to_owned()
        } else {
            let at = read.path().display();
            match marks.remember_unfit(read, why) {
                Ok(note) => {
                    let note = note.display();
                    format!(" (it stays at {at}, and is passed over while {note} is there)")
                }
                Err(error) => format!(" (it stays at {at}, which cannot be remembered: {error})"),
            }
        };
        let begin = format!("the cached executable of graph {key} is not used{where_to}");
        self.warnings.warn(format!("{begin}, and the graph is compiled anew: {why}"));
        if is_gone { Admission::Gone } else { Admission::Refused }
    }
}

/// The mark of an executable's load. It is removed when the first execution is over or this is
/// dropped.
#[derive(Debug, Default)]
pub(super) struct FirstRun(Mutex<Option<LoadMark>>);

impl FirstRun {
    pub(super) fn of(mark: Option<LoadMark>) -> Self {
        Self(Mutex::new(mark))
    }

    /// Notes that the first execution is over when `output` is ready, or at once if there is no
    /// output. Later calls do nothing.
    pub(super) fn ends_with(&self, output: Option<&dyn Buffer>) {
        let Some(mark) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let Some(output) = output else { return mark.proven() };
        let watched =
            output.ready().and_then(|event| event.on_ready(Box::new(move |_| mark.proven())));
        if let Err(error) = watched {
            tracing::debug!(%error, "the end of the first execution cannot be observed");
        }
    }
}
