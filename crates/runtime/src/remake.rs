//! Which recorded graphs have lost their executables, and which can be compiled again here?
//!
//! A record outlives its executable: if the machine code is damaged and removed, the program stays.
//! Such a graph is compiled from its record alone, without a model or a pipeline. Executables for a
//! newer build or for other hardware are not made here; see `rewarm`.

use std::collections::BTreeMap;
use std::sync::Arc;

use preheat_cache::{GraphKey, GraphRecord, Match, Source};

use super::asked::{Asked, Waited};
use super::builder::RuntimeBuilder;
use super::cache::Cache;
use super::error::Error;
use super::open_request::Counts;
use super::{Runtime, target_of};
use crate::device::{DeviceName, DeviceRequest, Target};

/// A graph whose executable was gone, and the result of compiling it again.
#[derive(Debug)]
#[non_exhaustive]
pub struct Remade {
    /// The record of the graph.
    pub record: GraphRecord,
    /// The seconds that the compile took, or why there is still no executable.
    pub outcome: Result<f64, Arc<Error>>,
}

impl Cache {
    /// The records of graphs whose executables are gone. There are none if the cache is read-only,
    /// because a read-only cache has no index.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn without_executable(&self) -> Result<Vec<GraphRecord>, Error> {
        if self.main().is_read_only() {
            return Ok(Vec::new());
        }
        let mut records = self.records()?;
        records.retain(|record| record.object.is_none());
        Ok(records)
    }

    /// Whether the cache has the executable of a graph.
    pub fn has_executable(&self, key: &GraphKey) -> bool {
        self.main().has_object(key)
    }
}

impl RuntimeBuilder {
    /// Compiles those of `records` again whose plugin and hardware are here, or that can be
    /// compiled ahead of time for their hardware. Each result is stored, whatever happens to the
    /// others.
    ///
    /// # Errors
    /// If the caller asked to stop.
    pub fn remake(&self, records: Vec<GraphRecord>) -> Result<Vec<Remade>, Error> {
        let mut by_target: BTreeMap<String, Vec<GraphRecord>> = BTreeMap::new();
        for record in records {
            by_target.entry(target_of(&record)).or_default().push(record);
        }
        let mut remade = Vec::new();
        for (target, records) in by_target {
            let runtime = self.for_record_target(&target, &records).map_err(Arc::new);
            for record in records {
                let outcome = match &runtime {
                    Ok(runtime) => runtime.remake(&record).map_err(Arc::new),
                    Err(error) => Err(Arc::clone(error)),
                };
                if matches!(outcome.as_ref().map_err(Arc::as_ref), Err(Error::Cancelled)) {
                    return Err(Error::Cancelled);
                }
                remade.push(Remade { record, outcome });
            }
            if let Ok(runtime) = runtime {
                runtime.flush();
            }
        }
        Ok(remade)
    }

    /// A runtime for the hardware of some records. If that hardware is not here, the runtime
    /// compiles ahead of time.
    fn for_record_target(&self, target: &str, records: &[GraphRecord]) -> Result<Runtime, Error> {
        let device: DeviceName = records.first().map_or("auto", |record| &record.device).parse()?;
        let here = self
            .clone()
            .device(DeviceRequest { device, strict: true, ..DeviceRequest::default() })
            .build();
        match (here, target.parse::<Target>()) {
            (Err(Error::Device(_)), Ok(target)) => self.clone().target(target).build(),
            (here, _) => here,
        }
    }
}

impl Runtime {
    /// Compiles a recorded graph and stores it. Returns the seconds that the compile took.
    fn remake(&self, record: &GraphRecord) -> Result<f64, Error> {
        let (inner, key) = (&self.inner, record.graph_key);
        let (signature, graph) = self.recorded(&key)?;
        let leads = record.signatures.last().ok_or(Error::Unrecorded { graph_key: key })?;
        let asked = Asked {
            control: &self.control,
            recorder: inner.recorder.as_ref(),
            signature: &signature,
            graph: &graph,
            better: &[],
            worse: &[],
            tiered: false,
            exact: signature.digest(),
            projection_key: leads.projection_key,
            leading: &record.signatures,
            force_recompile: false,
            require_warm: false,
            warming: true,
            counts: Counts::Alone,
            waited: Waited::default(),
        };
        let inputs = asked.key_inputs(&inner.site)?;
        // `key_inputs` checks only the programs that it builds itself, and this one comes from the
        // cache.
        inner.site.check_as_written(&record.stage, &inputs.program, &inputs.options)?;
        let counting = inner.counting();
        counting.counted(&asked, |asked| {
            let kept = inner.precompiling()?.compile_and_keep(asked, &inputs, &|_| Match::Graph)?;
            if kept.source == Source::Compiled {
                counting.note_compile(asked, key, kept.compile_seconds);
            }
            Ok(kept.compile_seconds)
        })
    }
}
