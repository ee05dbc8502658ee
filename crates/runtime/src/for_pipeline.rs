//! What a pipeline asks of its runtime and no other program does: room for weights, and a look at
//! what is there.

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

    /// Brings a weight of `stage` into the host's memory, as the device's back end holds it.
    pub fn bring_to_host(&self, stage: &str, weight: &Tensor) -> Result<DeviceTensor, Error> {
        let doing = "bringing its weights into the host's memory";
        let here = self.inner.here()?;
        let buffer = here.upload_to_host(weight).map_err(|cause| failed(stage, doing, cause))?;
        Ok(DeviceTensor::resting(buffer, Arc::new(weight.kind().clone())))
    }

    /// Copies a tensor of `stage` that rests in the host's memory, or on another device of
    /// libtorch's, to this device.
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

    /// Makes room for so many bytes by dropping what is not in use, as far as that goes.
    pub fn make_room(&self, bytes: u64) {
        self.inner.on_device.make_room(bytes);
    }

    /// Takes note of someone whose things may be dropped where there is no room for others.
    pub fn add_holder(&self, holder: Weak<dyn Holder>) {
        self.inner.on_device.add_holder(holder);
    }

    /// Drops one thing that is not in use; `None` where nothing is left.
    pub fn drop_one(&self) -> Option<Dropped> {
        self.inner.on_device.drop_one()
    }

    /// Bytes that are free, or would be without what is not in use.
    pub fn bytes_that_can_be_had(&self) -> Option<u64> {
        let on_device = &self.inner.on_device;
        Some(on_device.free_bytes()?.saturating_add(on_device.droppable_bytes()))
    }

    /// Lets go of executables in memory. Gives the bytes that are free at once: what is in use
    /// follows when it is not.
    pub fn forget(&self, executables: &HashSet<GraphKey>) -> u64 {
        self.inner.on_device.forget(executables)
    }

    /// Gives memory that a back end keeps for later back to the device.
    pub fn give_memory_back(&self) {
        self.inner.on_device.give_memory_back();
    }

    /// Whether the cache has the executable, so that no later process compiles it.
    pub fn keeps(&self, executable: &Executable) -> bool {
        self.inner.keeps(executable)
    }

    /// What level 1 knows of graphs that cannot be built, in one transaction; `None` of each that
    /// has to be built to tell.
    pub fn look_up_declared(
        &self,
        graphs: &[(&Signature, &Graph)],
    ) -> Result<Vec<Option<StageLookup>>, Error> {
        self.inner.look_up_declared(graphs)
    }

    /// Whether the executable of a graph is there, found by its key alone.
    pub fn look_up_by_key(
        &self,
        signature: &Signature,
        graph: &Graph,
    ) -> Result<StageLookup, Error> {
        self.request(signature, graph).look_up_by_key()
    }

    /// What the cache holds for this very environment; nothing, where it cannot be asked.
    pub fn records_of_this_environment(&self) -> Vec<GraphRecord> {
        let records =
            self.inner.cache.as_ref().and_then(|cache| cache.records().ok()).unwrap_or_default();
        let own =
            |record: &GraphRecord| record.environment.digest() == self.inner.environment_digest;
        records.into_iter().filter(own).collect()
    }
}

impl Executable {
    /// The error of an execution, with the figures where it is for want of memory.
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
    /// What level 1 knows of graphs of which nothing but the declaration is at hand, in one
    /// transaction. `None` where it knows nothing that is there, so that only a graph that is built
    /// can tell.
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

    /// Whether the executable of a graph is there, found by its key alone.
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
