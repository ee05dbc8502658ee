//! How is one graph rewarmed?
//!
//! It is found among the records, its executable is kept or compiled again, and the requests that
//! led to the old executable are recorded with the new one.

use std::collections::BTreeMap;
use std::sync::Arc;

use preheat_cache::{
    Digest, Environment, GraphKey, GraphRecord, KeyInputs, Lookup, Match, Program,
    RecordedSignature, Signature, Source, Use,
};
use preheat_tensor::Dtype;

use super::{Renewed, Rewarm, Rewarmed};
use crate::Inner;
use crate::error::Error;
use crate::request::Asked;
use crate::source::Graph;
use crate::survival::{Survival, differs_only_in};

/// The parts of an environment that a newer build of the plugin changes by itself. If another part
/// differs, the compiler was asked for something else.
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
/// Graphs are lowered for a platform, so those of another platform would be of no use here.
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

    /// A signature made from what is known of the graph.
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

/// Whether to ask the plugin about a record, because only an upgrade makes it differ.
pub(super) fn may_outlive(record: &GraphRecord, inner: &Inner) -> bool {
    differs_only_in(&UPGRADED, record, inner)
}

impl Inner {
    /// Makes sure that the cache has the graph for this environment. `enter` waits until there is
    /// room for a compile.
    pub(super) fn renew<P>(
        &self,
        origin: &Origin,
        survival: &Survival,
        enter: impl FnOnce() -> P,
    ) -> Rewarmed {
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
            let environment = Arc::clone(self.backend.environment());
            let inputs = KeyInputs { program, options: newest.options.clone(), environment };
            self.check_as_written(&newest.stage, &inputs.program, &inputs.options)?;
            one.graph_key = Some(inputs.graph_key());
            self.renew_with(origin, &inputs, survival, enter)
        });
        one
    }

    /// The program, which is the same in every record.
    fn program_of(&self, origin: &Origin) -> Result<Program, Error> {
        let cache = self.cache()?;
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
        survival: &Survival,
        enter: impl FnOnce() -> P,
    ) -> Result<Renewed, Error> {
        let store = self.cache()?.main();
        let key = inputs.graph_key();
        let requests = origin.requests(&self.environment_digest);
        if store.has_object(&key) {
            store.add_signatures(&key, &requests)?;
            return Ok(Renewed::AlreadyThere);
        }
        if self.keep_survivor(origin, inputs, &requests, survival)? {
            return Ok(Renewed::Kept);
        }
        let _place = enter();
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let signature = origin.signature();
        let graph = Graph::from_program(inputs.program.clone())
            .stage(origin.newest.stage.clone())
            .options(inputs.options.clone());
        let asked = Asked {
            signature: &signature,
            graph: &graph,
            exact: signature.digest(),
            projection_key: requests.first().map_or(key.0, |request| request.projection_key),
            leading: &requests,
            force_recompile: false,
            require_warm: false,
            warming: true,
        };
        let kept = self.compile_and_keep(&asked, inputs, &|_| Match::Graph)?;
        if kept.source != Source::Compiled {
            store.add_signatures(&key, &requests)?;
            return Ok(Renewed::AlreadyThere);
        }
        self.cache()?.used(key, false, || Use {
            graph_key: key,
            device: self.backend.device().to_string(),
            matched: Match::Compiled,
            source: Source::Compiled,
            signature: None,
            load_seconds: None,
            compile_seconds: Some(kept.compile_seconds),
            times: 1,
        });
        let (compile_seconds, compile_peak_bytes) = (kept.compile_seconds, kept.compile_peak_bytes);
        Ok(Renewed::Recompiled { compile_seconds, compile_peak_bytes })
    }

    /// Stores an older build's machine code under the new key, if the newer build accepts it.
    fn keep_survivor(
        &self,
        origin: &Origin,
        inputs: &KeyInputs,
        requests: &[RecordedSignature],
        survival: &Survival,
    ) -> Result<bool, Error> {
        if !survival.is_known() {
            return Ok(false);
        }
        let store = self.cache()?.main();
        for candidate in origin.records.iter().rev().filter(|record| may_outlive(record, self)) {
            let Lookup::Hit(object) = store.load(&candidate.graph_key)? else { continue };
            // The question is about the record in the object, which was verified. The index was
            // not.
            if !survival.is_taken(&object.record) {
                continue;
            }
            let (key, from) =
                (self.store_survivor(&object, inputs, requests)?, object.record.graph_key);
            tracing::info!(stage = origin.newest.stage, graph_key = %key, %from, "kept: the newer build accepts it");
            return Ok(true);
        }
        Ok(false)
    }
}
