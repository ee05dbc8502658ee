//! Which functions of a runtime does only a pipeline use?
//!
//! They move weights, make room for them, and look executables up without building a graph.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use preheat_cache::{GraphKey, GraphRecord, Signature};
use preheat_tensor::Tensor;

use super::Runtime;
use super::error::Error;
use super::executable::{DeviceTensor, Executable};
use super::on_device::{Doing, Failure, Holder};
use super::out_of_memory::Dropped;
use super::report::StageLookup;
use super::source::Graph;
use super::warnings::Warning;
use crate::backend::DeviceFault;

fn failed(stage: &str, doing: &'static str, cause: DeviceFault) -> Error {
    Error::Run { stage: stage.to_owned(), doing, cause }
}

impl Runtime {
    /// Passes a warning to the function that [`RuntimeBuilder::on_warning`] set, and does not add
    /// it to [`Runtime::warnings`]. This is for a warning that is kept with a request's result.
    ///
    /// [`RuntimeBuilder::on_warning`]: crate::RuntimeBuilder::on_warning
    pub fn tell_warning(&self, warning: &Warning) {
        self.inner.warnings.tell(warning);
    }

    /// Moves a weight of `stage` to the device.
    pub fn bring(&self, stage: &str, weight: &Tensor) -> Result<DeviceTensor, Error> {
        self.inner.upload(weight, Some(stage), "bringing its weights to the device")
    }

    /// Moves a weight of `stage` into the host's memory, in the form of the device's back end.
    pub fn bring_to_host(&self, stage: &str, weight: &Tensor) -> Result<DeviceTensor, Error> {
        let doing = "bringing its weights into the host's memory";
        let here = self.inner.site.here()?;
        let buffer =
            here.put_in_host_memory(weight).map_err(|cause| failed(stage, doing, cause))?;
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
        let here = self.inner.site.here()?;
        let doing = Doing { stage: Some(stage), what, needed_bytes: None, footprint: None };
        let copy = || tensor.copied(|buffer| here.copy(buffer), self.inner.recorder.as_ref());
        self.inner.on_device.with_room(&doing, copy).map_err(|failure| match failure {
            Failure::OutOfMemory(error) => error.into(),
            Failure::Other(cause) => failed(stage, what, cause),
        })
    }

    /// Makes room for this number of bytes by dropping things that are not in use, as far as that
    /// is possible.
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

    /// The bytes that would be free if everything that is not in use were dropped; `None` if the
    /// device does not report its free memory.
    pub fn bytes_that_can_be_had(&self) -> Option<u64> {
        let on_device = &self.inner.on_device;
        Some(on_device.free_bytes()?.saturating_add(on_device.droppable_bytes()))
    }

    /// Removes executables from memory. Returns the bytes that become free at once; those of an
    /// executable that is in use become free later.
    pub fn forget(&self, executables: &HashSet<GraphKey>) -> u64 {
        self.inner.on_device.forget(executables)
    }

    /// Returns to the device the freed memory that its back end keeps for later use.
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
        self.inner.lookups().declared(graphs)
    }

    /// Asks the remotes for several graphs at the same time, if look-ups may ask remotes. The
    /// look-up of each graph then needs no round trip of its own.
    ///
    /// # Errors
    /// If a remote fails, and remotes are required.
    pub fn look_up_ahead(&self, graphs: &[(&Signature, &Graph)]) -> Result<(), Error> {
        self.inner.lookups().ask_ahead(graphs)
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
        records.into_iter().filter(|record| self.inner.site.fits(record)).collect()
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
