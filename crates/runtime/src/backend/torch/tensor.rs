//! How are the tensors, graphs and events of a session used safely?

use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

use preheat_ir::graph::Verified;
use preheat_tensor::TensorType;
use preheat_torch_abi::TorchFallback;
use preheat_torch_abi::{Bytes, EventHandle, GraphHandle, RUN_STREAMS_WEIGHTS, TensorHandle};

use super::error::{TorchError, TorchErrorCode};
use super::{OpenSession, WeightPlace, checked, made};
use crate::device::TorchDevice;

/// A tensor on one of a session's devices, freed when it is dropped.
pub struct TorchTensor {
    session: Arc<OpenSession>,
    raw: NonNull<TensorHandle>,
    kind: TensorType,
    device: u32,
}

// SAFETY: `preheat-torch-abi` promises that handles may be used from any thread, and from several
// at once.
unsafe impl Send for TorchTensor {}
// SAFETY: as above.
unsafe impl Sync for TorchTensor {}

impl Drop for TorchTensor {
    fn drop(&mut self) {
        // SAFETY: the library made it, and this is its last use.
        unsafe { (self.session.api.free_tensor)(self.raw.as_ptr()) };
    }
}

impl std::fmt::Debug for TorchTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TorchTensor({} on device {})", self.kind, self.device)
    }
}

impl TorchTensor {
    /// Takes ownership of a handle of `session` to a tensor of `kind`.
    pub(super) fn new(
        session: Arc<OpenSession>,
        raw: NonNull<TensorHandle>,
        kind: TensorType,
        device: u32,
    ) -> Self {
        Self { session, raw, kind, device }
    }

    /// Its dtype and shape.
    pub fn kind(&self) -> &TensorType {
        &self.kind
    }

    /// The position of its device among [`super::Torch::devices`].
    pub fn device(&self) -> u32 {
        self.device
    }

    /// An event that is ready when the tensor has been computed.
    ///
    /// # Errors
    /// If libtorch raises an error.
    pub fn ready(&self) -> Result<TorchEvent, TorchError> {
        TorchEvent::record(&self.session, self.device)
    }

    /// Copies it to another device.
    ///
    /// # Errors
    /// If that device has no memory for it, or the tensor was donated to a run.
    pub fn copy_to(&self, device: &TorchDevice) -> Result<Self, TorchError> {
        let (api, mut raw) = (self.session.api, null_mut());
        // SAFETY: a live handle, and a place for the new one; the library checks the position.
        let answer = unsafe { (api.copy_tensor)(self.raw.as_ptr(), device.position, &raw mut raw) };
        let raw = made(api, answer, raw, || format!("copying {} to {device}", self.kind))?;
        Ok(Self::new(Arc::clone(&self.session), raw, self.kind.clone(), device.position))
    }

    /// Writes the tensor's elements, row-major and little-endian, into `bytes`, after waiting until
    /// they have been computed.
    ///
    /// # Errors
    /// If `bytes` has another length than the tensor, the computation failed, or the tensor was
    /// donated to a run.
    pub fn read_into(&self, bytes: &mut [u8]) -> Result<(), TorchError> {
        // SAFETY: a live handle, and the stated number of bytes.
        let answer = unsafe {
            (self.session.api.read_tensor)(self.raw.as_ptr(), bytes.as_mut_ptr(), bytes.len())
        };
        self.session.check(answer, || format!("reading {}", self.kind))
    }

    /// The tensor's elements, row-major and little-endian.
    ///
    /// # Errors
    /// If the host has no memory for the elements, the computation failed, or the tensor was
    /// donated to a run.
    pub fn to_host(&self) -> Result<Vec<u8>, TorchError> {
        let bytes = usize::try_from(self.kind.bytes()).unwrap_or(usize::MAX);
        let mut all = Vec::new();
        all.try_reserve_exact(bytes).map_err(|error| TorchError::Call {
            doing: format!("reading {}", self.kind),
            code: TorchErrorCode::OutOfMemory,
            message: error.to_string(),
        })?;
        all.resize(bytes, 0);
        self.read_into(&mut all)?;
        Ok(all)
    }
}

/// A function that is ready to run on a device.
pub struct TorchGraph {
    session: Arc<OpenSession>,
    raw: NonNull<GraphHandle>,
    name: String,
    outputs: Vec<TensorType>,
    device: u32,
}

// SAFETY: `preheat-torch-abi` promises that handles may be used from any thread, and from several
// at once.
unsafe impl Send for TorchGraph {}
// SAFETY: as above.
unsafe impl Sync for TorchGraph {}

impl Drop for TorchGraph {
    fn drop(&mut self) {
        // SAFETY: the library made it, and this is its last use.
        unsafe { (self.session.api.free_graph)(self.raw.as_ptr()) };
    }
}

impl std::fmt::Debug for TorchGraph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TorchGraph(`{}` on device {})", self.name, self.device)
    }
}

impl TorchGraph {
    pub(super) fn load(
        session: &Arc<OpenSession>,
        device: &TorchDevice,
        function: &Verified,
    ) -> Result<Self, TorchError> {
        let (api, mut raw) = (session.api, null_mut());
        let bytes = function.encode()?;
        let (name, position) = (function.name().to_owned(), device.position);
        // SAFETY: a live session, bytes for the time of the call, and a place for the new handle.
        let answer = unsafe {
            (api.load_graph)(session.raw.as_ptr(), position, Bytes::of(&bytes), &raw mut raw)
        };
        let raw = made(api, answer, raw, || format!("loading graph `{name}` on {device}"))?;
        let outputs = function
            .outputs()
            .iter()
            .map(|output| function.type_of(output.value).clone())
            .collect();
        Ok(Self { session: Arc::clone(session), raw, name, outputs, device: position })
    }

    /// The types of the tensors that [`Self::run`] returns.
    pub fn outputs(&self) -> &[TensorType] {
        &self.outputs
    }

    /// Runs the graph on its inputs and its weights, in this order. On a GPU this returns before
    /// the outputs are computed; reading one waits for it.
    ///
    /// An input that the function donates to an output cannot be used after the run, even if the
    /// run failed: using it again fails with [`TorchErrorCode::Donated`].
    ///
    /// # Errors
    /// If a tensor has another type than declared, or is on another device although `place` does
    /// not allow it; if an op fails, or if memory runs out.
    pub fn run(
        &self,
        given: &[&TorchTensor],
        place: WeightPlace,
    ) -> Result<Vec<TorchTensor>, TorchError> {
        let api = self.session.api;
        let handles: Vec<*const TensorHandle> =
            given.iter().map(|tensor| tensor.raw.as_ptr().cast_const()).collect();
        let flags = if place == WeightPlace::Anywhere { RUN_STREAMS_WEIGHTS } else { 0 };
        let mut outputs = vec![null_mut(); self.outputs.len()];
        // SAFETY: a live graph, live handles for the time of the call, and room for the stated
        // number of handles.
        let answer = unsafe {
            let (given, taken) =
                ((handles.as_ptr(), handles.len()), (outputs.as_mut_ptr(), outputs.len()));
            (api.run_graph)(self.raw.as_ptr(), given.0, given.1, flags, taken.0, taken.1)
        };
        let notice = checked(api, answer, || format!("running graph `{}`", self.name))?;
        for TorchFallback { op, device, reason, .. } in
            serde_json::from_slice::<Vec<_>>(&notice).unwrap_or_default()
        {
            tracing::warn!("{device} has no {op}: it runs on the CPU from now on ({reason})");
        }
        let outputs = outputs.into_iter().zip(&self.outputs).map(|(raw, kind)| {
            let raw = NonNull::new(raw)?;
            Some(TorchTensor::new(Arc::clone(&self.session), raw, kind.clone(), self.device))
        });
        outputs.collect::<Option<_>>().ok_or_else(|| TorchError::Call {
            doing: format!("running graph `{}`", self.name),
            code: TorchErrorCode::Bug,
            message: "it gave fewer outputs than the graph has".to_owned(),
        })
    }
}

/// A point in a device's work. It is ready when the device has done all the work that was queued
/// before it.
pub struct TorchEvent {
    session: Arc<OpenSession>,
    raw: NonNull<EventHandle>,
    device: u32,
}

// SAFETY: `preheat-torch-abi` promises that handles may be used from any thread, and from several
// at once.
unsafe impl Send for TorchEvent {}
// SAFETY: as above.
unsafe impl Sync for TorchEvent {}

impl Drop for TorchEvent {
    fn drop(&mut self) {
        // SAFETY: the library made it, and this is its last use.
        unsafe { (self.session.api.free_event)(self.raw.as_ptr()) };
    }
}

impl std::fmt::Debug for TorchEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TorchEvent")
    }
}

impl TorchEvent {
    pub(super) fn record(session: &Arc<OpenSession>, device: u32) -> Result<Self, TorchError> {
        let (api, mut raw) = (session.api, null_mut());
        // SAFETY: a live session, and a place for the new handle; the library checks the position.
        let answer = unsafe { (api.record_event)(session.raw.as_ptr(), device, &raw mut raw) };
        let raw = made(api, answer, raw, || format!("marking a moment on device {device}"))?;
        Ok(Self { session: Arc::clone(session), raw, device })
    }

    /// Waits until the event is ready.
    ///
    /// # Errors
    /// If some of the work before it failed.
    pub fn wait(&self) -> Result<(), TorchError> {
        // SAFETY: a live handle.
        let answer = unsafe { (self.session.api.wait_event)(self.raw.as_ptr()) };
        self.session.check(answer, "waiting for the device")
    }

    /// Calls `done` when the event is ready or its work has failed. It is called on a thread that
    /// waits for the device, because libtorch offers no callbacks. If no such thread can be
    /// started, this thread waits for the event and calls `done`.
    pub(crate) fn on_ready(
        self: &Arc<Self>,
        done: impl FnOnce(Result<(), TorchError>) + Send + 'static,
    ) {
        let event = Arc::clone(self);
        self.session.watchers.add(self.device, move || done(event.wait()));
    }
}
