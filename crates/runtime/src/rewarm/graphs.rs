//! How is one graph rewarmed?
//!
//! The graph is found among the records. Its executable is kept or compiled again. The requests
//! that led to the old executable are recorded with the new one.

use std::collections::BTreeMap;
use std::sync::Arc;

use preheat_cache::{
    Digest, Environment, GraphKey, GraphRecord, KeyInputs, Match, ObjectLookup, Program,
    RecordedSignature, Signature, Source,
};
use preheat_tensor::Dtype;

use super::{Renewed, Rewarm, Rewarmed};
use crate::asked::{Asked, Waited};
use crate::cache::Cache;
use crate::counting::Counting;
use crate::error::Error;
use crate::metrics::Recorder;
use crate::open_request::Counts;
use crate::precompile::Precompiling;
use crate::progress::Control;
use crate::site::Site;
use crate::source::Graph;
use crate::survival::{Survival, differs_only_in};
use crate::takeover::Takeover;

/// The fields of an environment that a newer build of the plugin changes by itself. If another
/// field differs, the executable was compiled for other hardware or with other flags.
const UPGRADED: [&str; 2] = ["plugin_build", "platform_version"];

/// A program and its compile options, with the records of the executables that were made from them.
#[derive(Debug)]
pub(super) struct Origin {
    /// At least one record; the oldest comes first.
    records: Vec<GraphRecord>,
    newest: GraphRecord,
}

/// The programs that the records hold for other environments of the same platform. Each program is
/// listed once for each set of options.
///
/// Graphs are lowered for one platform, so a graph of another platform cannot be used here.
pub(super) fn origins(records: Vec<GraphRecord>, how: &Rewarm, here: &Environment) -> Vec<Origin> {
    let digest = here.digest();
    let wanted = |record: &GraphRecord| {
        let there = &record.environment;
        there.platform == here.platform
            && (how.from_other_hardware || there.topology == here.topology)
            && there.digest() != digest
            && how.wants(record)
    };
    let mut origins: BTreeMap<(Digest, Digest), Vec<GraphRecord>> = BTreeMap::new();
    for record in records.into_iter().filter(wanted) {
        origins.entry((record.program.digest, record.options.digest())).or_default().push(record);
    }
    let origin = |mut records: Vec<GraphRecord>| {
        records.sort_by_key(|record| record.created);
        records.last().cloned().map(|newest| Origin { records, newest })
    };
    origins.into_values().filter_map(origin).collect()
}

impl Origin {
    /// The key of the newest record, which stands for all of them.
    pub(super) fn key(&self) -> GraphKey {
        self.newest.graph_key
    }

    pub(super) fn records(&self) -> &[GraphRecord] {
        &self.records
    }

    /// The seconds that the latest compile took.
    pub(super) fn expected_seconds(&self) -> f64 {
        self.newest.measurements.compile_seconds
    }

    pub(super) fn peak_bytes(&self) -> Option<u64> {
        self.newest.measurements.compile_peak_bytes.filter(|&bytes| bytes > 0)
    }

    /// The requests that led to any of the records, with the keys by which they lead to a graph of
    /// `environment`.
    ///
    /// A request is left out if an earlier release did not record the inputs of its key. Such a
    /// request finds the graph by lowering it.
    fn requests(&self, environment: &Digest) -> Vec<RecordedSignature> {
        let mut requests: Vec<RecordedSignature> = Vec::new();
        for recorded in self.records.iter().flat_map(|record| &record.signatures) {
            let Some(projection) = &recorded.projection else { continue };
            let projection_key = projection.key(environment, &self.newest.options);
            let again = |one: &RecordedSignature| {
                one.projection_key == projection_key && one.signature == recorded.signature
            };
            if !requests.iter().any(again) {
                requests.push(RecordedSignature { projection_key, ..recorded.clone() });
            }
        }
        requests
    }

    /// The signature of the latest request that led to the graph. If no request was recorded, a
    /// signature is made from what is known of the graph.
    fn signature(&self) -> Signature {
        let latest = self.newest.signatures.last().map(|recorded| recorded.signature.clone());
        latest.unwrap_or_else(|| Signature {
            model_id: self.newest.stage.clone(),
            input_shape: Vec::new(),
            batch_size: 1,
            cfg_scale: 1.0,
            scheduler: String::new(),
            steps: 1,
            dtype: Dtype::Float32,
        })
    }
}

/// Whether the plugin may accept a record's machine code, because the record differs from this
/// environment only by an upgrade of the plugin.
pub(super) fn may_outlive(record: &GraphRecord, site: &Site) -> bool {
    differs_only_in(&UPGRADED, record, site)
}

/// The parts that make one graph warm for another plugin build or other hardware.
pub(super) struct Renewal<'a> {
    pub(super) control: &'a Control,
    pub(super) recorder: Option<&'a Arc<Recorder>>,
    pub(super) counting: Counting<'a>,
    pub(super) precompiling: Precompiling<'a>,
    pub(super) survival: Survival,
}

impl Renewal<'_> {
    /// Makes sure that the cache has the graph's executable for this environment. `enter` waits
    /// until there is room for a compile.
    pub(super) fn renew<P>(&self, origin: &Origin, enter: impl FnOnce() -> P) -> Rewarmed {
        let newest = &origin.newest;
        let mut one = Rewarmed {
            model_id: newest
                .signatures
                .last()
                .map(|recorded| recorded.signature.model_id.clone())
                .unwrap_or_default(),
            stage: newest.stage.clone(),
            from: newest.graph_key,
            graph_key: None,
            outcome: Ok(Renewed::AlreadyThere),
        };
        one.outcome = self.program_of(origin).and_then(|program| {
            let environment = Arc::clone(self.site().environment());
            let inputs = KeyInputs { program, options: newest.options.clone(), environment };
            self.site().check_as_written(&newest.stage, &inputs.program, &inputs.options)?;
            one.graph_key = Some(inputs.graph_key());
            self.renew_with(origin, &inputs, enter)
        });
        one
    }

    fn site(&self) -> &Site {
        self.precompiling.compiling.site
    }

    fn cache(&self) -> &Cache {
        self.precompiling.cache
    }

    fn takeover(&self) -> Takeover<'_> {
        Takeover { site: self.site(), cache: self.cache() }
    }

    /// The program, which is the same in every record.
    fn program_of(&self, origin: &Origin) -> Result<Program, Error> {
        let cache = self.cache();
        for record in &origin.records {
            if let Some(program) = cache.program(&record.graph_key)? {
                return Ok(program);
            }
        }
        Err(Error::ProgramGone { stage: origin.newest.stage.clone(), graph_key: origin.key() })
    }

    fn renew_with<P>(
        &self,
        origin: &Origin,
        inputs: &KeyInputs,
        enter: impl FnOnce() -> P,
    ) -> Result<Renewed, Error> {
        let store = self.cache().main();
        let key = inputs.graph_key();
        let requests = origin.requests(&self.site().environment_digest);
        if store.has_object(&key) {
            store.add_signatures(&key, &requests)?;
            return Ok(Renewed::AlreadyThere);
        }
        if self.keep_survivor(origin, inputs, &requests)? {
            return Ok(Renewed::Kept);
        }
        let _place = enter();
        if self.control.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let signature = origin.signature();
        let graph = Graph::from_program(inputs.program.clone())
            .stage(origin.newest.stage.clone())
            .options(inputs.options.clone());
        let asked = Asked {
            control: self.control,
            recorder: self.recorder,
            signature: &signature,
            graph: &graph,
            better: &[],
            worse: &[],
            tiered: false,
            exact: signature.digest(),
            projection_key: requests.first().map_or(key.0, |request| request.projection_key),
            leading: &requests,
            force_recompile: false,
            require_warm: false,
            warming: true,
            counts: Counts::Alone,
            waited: Waited::default(),
        };
        let kept = self.counting.counted(&asked, |asked| {
            let kept = self.precompiling.compile_and_keep(asked, inputs, &|_| Match::Graph)?;
            if kept.source == Source::Compiled {
                self.counting.note_compile(asked, key, kept.compile_seconds);
            }
            Ok(kept)
        })?;
        if kept.source != Source::Compiled {
            store.add_signatures(&key, &requests)?;
            return Ok(Renewed::AlreadyThere);
        }
        let (compile_seconds, compile_peak_bytes) = (kept.compile_seconds, kept.compile_peak_bytes);
        Ok(Renewed::Recompiled { compile_seconds, compile_peak_bytes })
    }

    /// Stores an older build's machine code under the new key, if the newer build accepts it.
    fn keep_survivor(
        &self,
        origin: &Origin,
        inputs: &KeyInputs,
        requests: &[RecordedSignature],
    ) -> Result<bool, Error> {
        if !self.survival.is_known() {
            return Ok(false);
        }
        let store = self.cache().main();
        for candidate in
            origin.records.iter().rev().filter(|record| may_outlive(record, self.site()))
        {
            let ObjectLookup::Hit(object) = store.load(&candidate.graph_key)? else { continue };
            // The plugin judges the record in the object, because that record was verified. The
            // record in the index was not.
            if !self.survival.is_taken(&object.record) {
                continue;
            }
            let (key, from) = (
                self.takeover().store_survivor(&object, inputs, requests)?,
                object.record.graph_key,
            );
            tracing::info!(stage = origin.newest.stage, graph_key = %key, %from, "kept: the newer build accepts it");
            return Ok(true);
        }
        Ok(false)
    }
}
