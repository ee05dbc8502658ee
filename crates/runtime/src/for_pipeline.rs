//! What does a pipeline ask of its runtime that no other program does?
//!
//! It asks for room for its weights, and for look-ups that build no graph.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use preheat_cache::{GraphKey, GraphRecord, Match, Signature};
use preheat_tensor::Tensor;

use super::digests::RequestDigests;
use super::error::Error;
use super::executable::{DeviceTensor, Executable};
use super::obtain::LEVEL_ONE_PATIENCE;
use super::on_device::{Doing, Failure, Holder};
use super::out_of_memory::Dropped;
use super::report::{StageLookup, Verdict};
use super::request::Asked;
use super::source::Graph;
use super::{Inner, Runtime};
use crate::backend::DeviceFault;

fn failed(stage: &str, doing: &'static str, cause: DeviceFault) -> Error {
    Error::Run { stage: stage.to_owned(), doing, cause }
}

impl Runtime {
    /// Moves a weight of `stage` to the device.
    pub fn bring(&self, stage: &str, weight: &Tensor) -> Result<DeviceTensor, Error> {
        self.inner.upload(weight, Some(stage), "bringing its weights to the device")
    }

    /// Moves a weight of `stage` into the host's memory, in the form of the device's back end.
    pub fn bring_to_host(&self, stage: &str, weight: &Tensor) -> Result<DeviceTensor, Error> {
        let doing = "bringing its weights into the host's memory";
        let here = self.inner.here()?;
        let buffer = here.upload_to_host(weight).map_err(|cause| failed(stage, doing, cause))?;
        Ok(DeviceTensor::resting(buffer, Arc::new(weight.kind().clone())))
    }

    /// Copies a tensor of `stage` to this device. The tensor rests in the host's memory or on
    /// another device of libtorch.
    pub fn copy_here(
        &self,
        stage: &str,
        what: &'static str,
        tensor: &DeviceTensor,
    ) -> Result<DeviceTensor, Error> {
        let here = self.inner.here()?;
        let doing = Doing { stage: Some(stage), what, needed_bytes: None, footprint: None };
        let copy = || tensor.copied(|buffer| here.bring(buffer), self.inner.recorder.as_ref());
        self.inner.on_device.with_room(&doing, copy).map_err(|failure| match failure {
            Failure::OutOfMemory(error) => error.into(),
            Failure::Other(cause) => failed(stage, what, cause),
        })
    }

    /// Makes room for this number of bytes, as far as dropping what is not in use allows.
    pub fn make_room(&self, bytes: u64) {
        self.inner.on_device.make_room(bytes);
    }

    /// Registers a holder, whose contents may be dropped if there is no room for something else.
    pub fn add_holder(&self, holder: Weak<dyn Holder>) {
        self.inner.on_device.add_holder(holder);
    }

    /// Drops one thing that is not in use; `None` if nothing is left to drop.
    pub fn drop_one(&self) -> Option<Dropped> {
        self.inner.on_device.drop_one()
    }

    /// The bytes that are free, or would be if everything that is not in use were dropped.
    pub fn bytes_that_can_be_had(&self) -> Option<u64> {
        let on_device = &self.inner.on_device;
        Some(on_device.free_bytes()?.saturating_add(on_device.droppable_bytes()))
    }

    /// Removes executables from memory. Returns the bytes that become free at once; those of an
    /// executable that is in use become free later.
    pub fn forget(&self, executables: &HashSet<GraphKey>) -> u64 {
        self.inner.on_device.forget(executables)
    }

    /// Returns the memory that a back end keeps for later to the device.
    pub fn give_memory_back(&self) {
        self.inner.on_device.give_memory_back();
    }

    /// Whether the cache has the executable, so that no later process has to compile it.
    pub fn keeps(&self, executable: &Executable) -> bool {
        self.inner.keeps(executable)
    }

    /// Looks graphs up in level 1, in one transaction, without building them. The answer is `None`
    /// for each graph that has to be built before its look-up can be answered.
    pub fn look_up_declared(
        &self,
        graphs: &[(&Signature, &Graph)],
    ) -> Result<Vec<Option<StageLookup>>, Error> {
        self.inner.look_up_declared(graphs)
    }

    /// Looks up the executable of a graph by its key alone.
    pub fn look_up_by_key(
        &self,
        signature: &Signature,
        graph: &Graph,
    ) -> Result<StageLookup, Error> {
        self.request(signature, graph).look_up_by_key()
    }

    /// The cache's records for exactly this environment; none if the cache cannot be read.
    pub fn records_of_this_environment(&self) -> Vec<GraphRecord> {
        let records =
            self.inner.cache.as_ref().and_then(|cache| cache.records().ok()).unwrap_or_default();
        let own =
            |record: &GraphRecord| record.environment.digest() == self.inner.environment_digest;
        records.into_iter().filter(own).collect()
    }
}

impl Executable {
    /// The error of an execution. If memory ran out, the figures are added.
    pub fn with_figures(&self, error: Error, dropped: Dropped) -> Error {
        match (error, self.graph.on_device.upgrade()) {
            (Error::Run { doing, cause, .. }, Some(on_device)) if cause.is_out_of_memory() => {
                let doing = self.doing(doing, Some(self.footprint().of_execution()));
                on_device.out_of_memory(&doing, dropped, Some(cause)).into()
            }
            (Error::OutOfMemory(mut error), _) => {
                error.dropped += dropped;
                Error::OutOfMemory(error)
            }
            (error, _) => error,
        }
    }
}

impl Inner {
    /// Looks graphs up in level 1, in one transaction, by their declarations. The answer is `None`
    /// if level 1 knows no executable that exists; the graph then has to be built to find out.
    pub(super) fn look_up_declared(
        &self,
        graphs: &[(&Signature, &Graph)],
    ) -> Result<Vec<Option<StageLookup>>, Error> {
        let cache = self.cache()?;
        let keys = graphs.iter().map(|(signature, graph)| {
            let digests = RequestDigests::of(signature, graph, &self.environment_digest);
            (digests.projection_key, digests.exact)
        });
        let known =
            cache.resolve_each(&keys.collect::<Vec<_>>(), LEVEL_ONE_PATIENCE, &self.warnings);
        let answers = known.into_iter().zip(graphs).map(|(known, (signature, graph))| {
            let known = known.filter(|known| cache.has_object(&known.graph_key))?;
            Some(StageLookup {
                verdict: Verdict::Hit,
                matched: Some(known.matched),
                graph_key: Some(known.graph_key),
                expected_compile_seconds: Some(known.compile_seconds),
                ..StageLookup::unknown(&signature.model_id, graph.stage_name())
            })
        });
        Ok(answers.collect())
    }

    /// Looks up the executable of a graph by its key alone.
    pub(super) fn look_up_by_key(&self, asked: &Asked<'_>) -> Result<StageLookup, Error> {
        let inputs = self.key_inputs(asked)?;
        let key = inputs.graph_key();
        let found = if self.cache()?.has_object(&key) {
            Some(key)
        } else {
            self.of_this_hardware(asked, &inputs)?.map(|record| record.graph_key)
        };
        let unknown = StageLookup::unknown(&asked.signature.model_id, asked.graph.stage_name());
        Ok(match found {
            Some(key) => StageLookup {
                verdict: Verdict::Hit,
                matched: Some(Match::Graph),
                graph_key: Some(key),
                ..unknown
            },
            None => StageLookup { graph_key: Some(key), ..unknown },
        })
    }
}
