//! How is one request answered at the least cost?
//!
//! The sources are tried from the cheapest to the most expensive: memory, level 1, level 1 of the
//! remotes, the graph (which is built for this), level 2, the remotes by the graph's key, a
//! compile. So a look-up that finds nothing costs two round trips to each remote; the stages of a
//! pipeline are obtained at the same time.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use preheat_cache::{GraphKey, GraphRecord, KeyInputs, Match, Measurements, RemoteQuery, Source};

use super::asked::{Asked, LEVEL_ONE_PATIENCE, matched};
use super::cache::Cache;
use super::compile::{Again, Fresh, Made, Wanting};
use super::compile_here::FreshlyLoaded;
use super::effort::CompileEffort;
use super::error::Error;
use super::executable::{Executable, Interface, LoadedGraph};
use super::memory::Memory;
use super::on_device::{Doing, Failure};
use super::out_of_memory::Footprint;
use super::parts::Inner;
use super::remotes::Wanted;
use super::report::StageReport;
use super::trial::{Admission, FirstRun, Trials};
use crate::backend::contract::Loaded;
use crate::backend::xla;
use crate::progress::EventKind;

/// How long to wait for a busy index if its answer only tells how a request matched.
const LABEL_PATIENCE: Duration = Duration::from_millis(100);

/// An executable that was found or compiled, and how.
struct Obtained {
    graph: Arc<LoadedGraph>,
    source: Source,
    matched: Match,
    compile_seconds: f64,
    compile_peak_bytes: u64,
}

/// The result of looking for an executable.
enum Found {
    Ready(Obtained),
    Nothing,
    /// The object is there and intact, but the plugin refuses it.
    Refused(GraphKey),
}

impl Obtained {
    fn found(graph: Arc<LoadedGraph>, source: Source, matched: Match) -> Self {
        Self { graph, source, matched, compile_seconds: 0.0, compile_peak_bytes: 0 }
    }
}

impl Inner {
    pub(super) fn obtain(&self, asked: &Asked<'_>) -> Result<Executable, Error> {
        let began = Instant::now();
        let _request = asked.trace("request");
        match self.in_memory(asked) {
            Some((served, obtained)) => {
                let (served, obtained) = self.or_full(asked, served, obtained)?;
                Ok(self.ready(asked, served, obtained, began))
            }
            None => self.counting().counted(asked, |asked| {
                let (served, obtained) = self.find_or_compile(asked)?;
                let (served, obtained) = self.or_full(asked, served, obtained)?;
                Ok(self.ready(asked, served, obtained, began))
            }),
        }
    }

    /// Replaces an executable of a lower effort by the full one, if the full one is on its way and
    /// the request ends sooner when it waits for it.
    fn or_full<'a, 'r>(
        &self,
        asked: &'r Asked<'a>,
        served: &'r Asked<'a>,
        obtained: Obtained,
    ) -> Result<(&'r Asked<'a>, Obtained), Error> {
        let Some(best) = asked.better.first() else { return Ok((served, obtained)) };
        if std::ptr::eq(best, served) || !asked.tiered {
            return Ok((served, obtained));
        }
        let full = self.awaited_full(asked, obtained.graph.graph_key)?;
        Ok(match full {
            Some(full) => (best, Obtained::found(full, Source::Memory, Match::Graph)),
            None => (served, obtained),
        })
    }

    /// Looks in memory for the executable of the highest effort with the request's projection. This
    /// is the hot path.
    fn in_memory<'a, 'r>(&self, asked: &'r Asked<'a>) -> Option<(&'r Asked<'a>, Obtained)> {
        if asked.force_recompile || !self.rules.reuse {
            return None;
        }
        let mut memory = self.memory();
        asked.tiers().find_map(|asked| {
            let found = memory.by_projection(&asked.projection_key, &asked.exact);
            let (graph, matched) = found?;
            Some((asked, Obtained::found(graph, Source::Memory, matched)))
        })
    }

    /// Reports and counts an executable that was obtained for `asked`. `served` is the same request
    /// at the effort of the executable.
    fn ready(
        &self,
        asked: &Asked<'_>,
        served: &Asked<'_>,
        obtained: Obtained,
        began: Instant,
    ) -> Executable {
        let wait_seconds = asked.waited.get().map_or(0.0, |waited| waited.as_secs_f64());
        let elsewhere_seconds = obtained.compile_seconds + wait_seconds;
        let load_seconds = (began.elapsed().as_secs_f64() - elsewhere_seconds).max(0.0);
        let report = StageReport {
            model_id: asked.signature.model_id.clone(),
            stage: asked.graph.stage_name().to_owned(),
            graph_key: obtained.graph.graph_key,
            source: obtained.source,
            matched: obtained.matched,
            compile_seconds: obtained.compile_seconds,
            compile_peak_bytes: obtained.compile_peak_bytes,
            load_seconds,
            wait_seconds,
            effort: served.effort(&self.site),
        };
        self.note_use(asked, served, &report);
        if obtained.source != Source::Memory {
            tracing::info!(
                stage = report.stage, graph_key = %report.graph_key, source = ?report.source, matched = ?report.matched,
                compile_seconds = report.compile_seconds, load_seconds, "ready"
            );
            asked.tell(EventKind::Ready);
        }
        if report.effort != CompileEffort::Full {
            self.upgrade_later(asked, report.graph_key);
        }
        let executable = Executable { graph: obtained.graph, report };
        if let Some(recorder) = &self.recorder {
            recorder.obtained(&executable.report, Some(&executable.graph.measurements));
        }
        executable
    }

    /// Finds the warm executable of the highest effort, or compiles one with the effort of the
    /// request. Also returns the request with the effort of that executable.
    fn find_or_compile<'a, 'r>(
        &self,
        asked: &'r Asked<'a>,
    ) -> Result<(&'r Asked<'a>, Obtained), Error> {
        let look = !asked.force_recompile && self.rules.reuse;
        let mut refused = Vec::new();
        if look {
            // If the program is at hand, its key is known at once. Level 1 then only tells how the
            // request matched, and it is read while the object is loaded.
            let not_at_hand = |asked: &&Asked<'_>| asked.graph.program_at_hand().is_none();
            let ahead = self.better_are_not_compared(asked, |lower| self.known_key(lower));
            for asked in asked.tiers().skip(ahead).filter(not_at_hand) {
                match self.find_by_projection(asked)? {
                    Found::Ready(obtained) => return Ok((asked, obtained)),
                    Found::Nothing => {}
                    Found::Refused(key) => refused.push(key),
                }
            }
        }
        if look && let Some((asked, found)) = self.bring_by_projection(asked)? {
            match found {
                Found::Ready(obtained) => return Ok((asked, obtained)),
                Found::Nothing => {}
                Found::Refused(key) => refused.push(key),
            }
        }
        let inputs = asked.key_inputs(&self.site)?;
        if look {
            let key = |lower: &Asked<'_>| Some(lower.inputs_like(&inputs).graph_key());
            let ahead = self.better_are_not_compared(asked, key);
            for (asked, inputs) in asked.with_inputs(&inputs).skip(ahead) {
                if let Some(obtained) = self.find_by_inputs(asked, &inputs, &mut refused)? {
                    return Ok((asked, obtained));
                }
            }
            if let Some((asked, obtained)) = self.bring_by_inputs(asked, &inputs, &mut refused)? {
                return Ok((asked, obtained));
            }
        }
        let first = self.compiled_first(asked);
        Ok((first, self.compile_it(first, &first.inputs_like(&inputs), &refused)?))
    }

    /// Asks the remotes for level 1, for all efforts at once, and loads what they have.
    fn bring_by_projection<'a, 'r>(
        &self,
        asked: &'r Asked<'a>,
    ) -> Result<Option<(&'r Asked<'a>, Found)>, Error> {
        let Some(cache) = &self.cache else { return Ok(None) };
        // The key of a program that is at hand is known without level 1.
        let tiers: Vec<_> =
            asked.tiers().filter(|asked| asked.graph.program_at_hand().is_none()).collect();
        let answers = tiers.iter().map(|asked| self.answers(asked)).collect::<Vec<_>>();
        let wanted: Vec<Wanted<'_>> = tiers
            .iter()
            .zip(&answers)
            .map(|(asked, fits)| Wanted {
                query: RemoteQuery::Projection(asked.projection_key),
                fits,
            })
            .collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let brought = cache.bring(&self.site.environment_digest, &wanted, &self.warnings)?;
        let Some(brought) = brought else { return Ok(None) };
        let Some(asked) = tiers.get(brought.index).copied() else { return Ok(None) };
        let matched = brought.matched(&asked.exact);
        let found =
            self.load(asked, &brought.pointer.graph_key, self.answers(asked), || matched)?;
        Ok(Some((asked, found)))
    }

    /// Asks the remotes for exactly this graph, for all efforts at once, and loads what they have.
    fn bring_by_inputs<'a, 'r>(
        &self,
        asked: &'r Asked<'a>,
        inputs: &KeyInputs,
        refused: &mut Vec<GraphKey>,
    ) -> Result<Option<(&'r Asked<'a>, Obtained)>, Error> {
        let Some(cache) = &self.cache else { return Ok(None) };
        let keys = asked.with_inputs(inputs).map(|(asked, inputs)| (asked, inputs.graph_key()));
        let tiers: Vec<_> = keys.filter(|(_, key)| !refused.contains(key)).collect();
        let query =
            |(_, key): &(_, GraphKey)| Wanted { query: RemoteQuery::Graph(*key), fits: &|_| true };
        let wanted: Vec<Wanted<'_>> = tiers.iter().map(query).collect();
        let brought = cache.bring(&self.site.environment_digest, &wanted, &self.warnings)?;
        let found = brought.and_then(|brought| tiers.get(brought.index).copied());
        let Some((asked, key)) = found else { return Ok(None) };
        Ok(match self.find_by_key(asked, &key)? {
            Found::Ready(obtained) => Some((asked, obtained)),
            Found::Nothing => None,
            Found::Refused(key) => {
                refused.push(key);
                None
            }
        })
    }

    /// Whether level 1 may return the graph of a record for a request.
    fn answers<'s>(&'s self, asked: &'s Asked<'_>) -> impl Fn(&GraphRecord) -> bool + use<'s> {
        let (stage, options) = (asked.graph.stage_name(), asked.graph.compile_options());
        move |record| record.answers(stage, options, &self.site.environment_digest)
    }

    /// The number of efforts, from the highest on, that are skipped. For a tiered request these are
    /// all efforts above its own while the executable of its own effort or of a lower one is being
    /// upgraded, because their executables were not compared yet. Otherwise the number is 0. `key`
    /// returns the graph key of a request.
    fn better_are_not_compared(
        &self,
        asked: &Asked<'_>,
        key: impl Fn(&Asked<'_>) -> Option<GraphKey>,
    ) -> usize {
        if !asked.tiered {
            return 0;
        }
        let mut lower = asked.tiers().skip(asked.better.len()).filter_map(key);
        let is_upgraded = lower.any(|key| self.is_being_upgraded(&key));
        if is_upgraded { asked.better.len() } else { 0 }
    }

    /// The key of the graph that this request led to before, as level 1 recorded it.
    fn known_key(&self, asked: &Asked<'_>) -> Option<GraphKey> {
        let (cache, patience) = (self.cache.as_ref()?, LEVEL_ONE_PATIENCE);
        let known = cache.resolve(asked.projection_key, asked.exact, patience, &self.warnings);
        Some(known?.graph_key)
    }

    /// The full executable of a graph in memory, loaded from the store if it is not there yet;
    /// `None` if it is not stored or the device refuses it.
    pub(super) fn full_in_memory(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
    ) -> Result<Option<Arc<LoadedGraph>>, Error> {
        let found = self.find_by_inputs(asked, inputs, &mut Vec::new())?;
        Ok(found.map(|obtained| obtained.graph))
    }

    /// Returns the executable with this key from memory. If it is not in memory and `may_load` is
    /// true, it is loaded from the store.
    pub(super) fn held_or_loaded(
        &self,
        asked: &Asked<'_>,
        key: &GraphKey,
        may_load: bool,
    ) -> Result<Option<Arc<LoadedGraph>>, Error> {
        if !may_load {
            return Ok(self.memory().by_key(key));
        }
        Ok(match self.find_by_key(asked, key)? {
            Found::Ready(obtained) => Some(obtained.graph),
            Found::Nothing | Found::Refused(_) => None,
        })
    }

    /// Finds the executable of exactly this graph. If there is none under its key, but there is one
    /// under the key for another description of the same hardware, that one is first stored under
    /// the graph's key, too. If the device refuses an object, the object's key is added to
    /// `refused`.
    fn find_by_inputs(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
        refused: &mut Vec<GraphKey>,
    ) -> Result<Option<Obtained>, Error> {
        let key = inputs.graph_key();
        for takes_over in [false, true] {
            if refused.contains(&key) || (takes_over && !self.take_over(asked, inputs)?) {
                break;
            }
            match self.find_by_key(asked, &key)? {
                Found::Ready(obtained) => return Ok(Some(obtained)),
                Found::Nothing => {}
                Found::Refused(key) => refused.push(key),
            }
        }
        Ok(None)
    }

    fn compile_it(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
        refused: &[GraphKey],
    ) -> Result<Obtained, Error> {
        let key = inputs.graph_key();
        let again = |again| match again {
            Again::Memory => {
                let graph = self.memory().by_key(&key);
                Ok(graph.map(|graph| Obtained::found(graph, Source::Memory, Match::Graph)))
            }
            Again::Store => Ok(match self.find_by_key(asked, &key)? {
                Found::Ready(obtained) => Some(obtained),
                Found::Nothing | Found::Refused(_) => None,
            }),
        };
        let here = self.site.here()?;
        let wanting = Wanting { inputs, key, refused: refused.contains(&key) };
        let compiling = self.compiling();
        let is_deadly = || {
            let of_the_store =
                |cache: &Cache| cache.has_unfit(&key) || cache.main().lost_fresh_loads(&key) > 0;
            self.site.is_deadly(&key) || self.cache.as_deref().is_some_and(of_the_store)
        };
        let run_compiler = || {
            let may_load = !wanting.refused && !is_deadly();
            compiling.on_device(&**here, inputs, may_load, asked.control.flag())
        };
        match compiling.compile(asked, &wanting, again, run_compiler)? {
            Made::Found(obtained) => Ok(obtained),
            // The turn ends only after the executable is in memory, because other threads look for
            // it there.
            Made::Compiled(fresh, _turn) => Ok(self.freshly_compiled(key, *fresh)),
        }
    }

    fn take_over(&self, asked: &Asked<'_>, inputs: &KeyInputs) -> Result<bool, Error> {
        if self.cache.is_none() {
            return Ok(false);
        }
        self.takeover()?.take_over(asked, inputs)
    }

    fn trials(&self) -> Trials<'_> {
        Trials { site: &self.site, cache: self.cache.as_deref(), warnings: &self.warnings }
    }

    fn freshly_compiled(&self, key: GraphKey, fresh: Fresh<FreshlyLoaded>) -> Obtained {
        let Fresh { loaded: FreshlyLoaded { loaded, first_run }, record, payload_bytes, .. } =
            fresh;
        let graph = self.keep(key, loaded, first_run, &record, payload_bytes);
        Obtained {
            compile_seconds: record.measurements.compile_seconds,
            compile_peak_bytes: record.measurements.compile_peak_bytes.unwrap_or(0),
            ..Obtained::found(graph, Source::Compiled, Match::Compiled)
        }
    }

    /// Level 1: if this projection led to a graph before, finds the executable of that graph. The
    /// graph is not built for this.
    fn find_by_projection(&self, asked: &Asked<'_>) -> Result<Found, Error> {
        let known = self.cache.as_ref().and_then(|cache| {
            cache.resolve(asked.projection_key, asked.exact, LEVEL_ONE_PATIENCE, &self.warnings)
        });
        let Some(known) = known else { return Ok(Found::Nothing) };
        if let Some(graph) = self.memory().by_key(&known.graph_key) {
            return Ok(Found::Ready(Obtained::found(graph, Source::Memory, known.matched)));
        }
        // The index saves work, but it may be wrong. So the record that it leads to is compared
        // with the request.
        self.load(asked, &known.graph_key, self.answers(asked), || known.matched)
    }

    /// Level 2: finds the executable of exactly this graph. How the request matched is read from
    /// the index while the plugin loads the executable.
    fn find_by_key(&self, asked: &Asked<'_>, key: &GraphKey) -> Result<Found, Error> {
        if let Some(graph) = self.memory().by_key(key) {
            return Ok(Found::Ready(Obtained::found(graph, Source::Memory, Match::Graph)));
        }
        let Some(cache) = self.cache.as_ref().filter(|cache| cache.has_object(key)) else {
            return Ok(Found::Nothing);
        };
        let resolve =
            || cache.resolve(asked.projection_key, asked.exact, LABEL_PATIENCE, &self.warnings);
        std::thread::scope(|scope| {
            // If no thread can be started, the kind of match is not looked up. No result depends
            // on it.
            let resolving = std::thread::Builder::new().spawn_scoped(scope, resolve).ok();
            let known = || resolving.and_then(|resolving| resolving.join().unwrap_or_default());
            self.load(asked, key, |_| true, || matched(known().as_ref(), key))
        })
    }

    /// Reads an object and, if its record `fits`, hands it to the plugin. `matched` is called after
    /// the load.
    fn load(
        &self,
        asked: &Asked<'_>,
        key: &GraphKey,
        fits: impl FnOnce(&GraphRecord) -> bool,
        matched: impl FnOnce() -> Match,
    ) -> Result<Found, Error> {
        let began = Instant::now();
        let object = self.cache.as_ref().and_then(|cache| cache.load(key, &self.warnings));
        let Some((object, source)) = object.filter(|(object, _)| fits(&object.record)) else {
            return Ok(Found::Nothing);
        };
        let mark = match self.trials().admit(asked, &object, source)? {
            Admission::Load(mark) => mark,
            Admission::Gone => return Ok(Found::Nothing),
            Admission::Refused => return Ok(Found::Refused(*key)),
        };
        let payload_bytes = object.payload.len() as u64;
        asked.tell(EventKind::Loading { payload_bytes });
        let footprint = Footprint::of(&object.record.measurements, payload_bytes);
        let doing = Doing {
            stage: Some(asked.graph.stage_name()),
            what: "loading its executable",
            needed_bytes: Some(footprint.code),
            footprint: Some(footprint),
        };
        // The weights and the other arguments may already be on the device, or may later replace
        // others there. So only the machine code needs room now.
        self.on_device.check_fits_at_all(&doing)?;
        self.on_device.make_room(footprint.code);
        let here = self.site.here()?;
        match self.on_device.with_room(&doing, || here.load(&object.payload)) {
            Ok(loaded) => {
                if let Some(recorder) = &self.recorder {
                    recorder.loaded(asked.subject(), began, payload_bytes);
                }
                let graph =
                    self.keep(*key, loaded, FirstRun::of(mark), &object.record, payload_bytes);
                Ok(Found::Ready(Obtained::found(graph, source, matched())))
            }
            // The executable is sound, so compiling it again would not help.
            Err(Failure::OutOfMemory(error)) => Err(error.into()),
            Err(Failure::Other(cause)) if cause.is_passing() => Err(Error::Run {
                stage: asked.graph.stage_name().to_owned(),
                doing: "loading its executable",
                cause,
            }),
            Err(Failure::Other(error)) => {
                self.warnings.warn(format!(
                    "the plugin refused the cached executable of graph {} ({error})",
                    key.short()
                ));
                Ok(Found::Refused(*key))
            }
        }
    }

    /// Adds an executable to the memory.
    fn keep(
        &self,
        graph_key: GraphKey,
        loaded: Box<dyn Loaded>,
        first_run: FirstRun,
        record: &GraphRecord,
        payload_bytes: u64,
    ) -> Arc<LoadedGraph> {
        let interface = record.interface.as_ref().and_then(|interface| {
            Some(Interface::new(xla::types(&interface.inputs)?, &xla::types(&interface.outputs)?))
        });
        let measurements = Measurements { load_seconds: None, ..record.measurements.clone() };
        let on_device = Arc::downgrade(&self.on_device);
        let graph = Arc::new(LoadedGraph {
            graph_key,
            loaded,
            first_run,
            interface,
            payload_bytes,
            footprint: Footprint::of(&record.measurements, payload_bytes),
            measurements,
            on_device,
            recorder: self.recorder.clone(),
        });
        if self.rules.reuse {
            // The removed executables are dropped after the table is unlocked, because a plugin can
            // take long to unload one.
            let gone = self.memory().insert(Arc::clone(&graph));
            drop(gone);
        }
        graph
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory<LoadedGraph>> {
        self.on_device.executables()
    }
}
