//! How is libtorch called safely?
//!
//! `torch/` builds a library on top of libtorch, which is loaded when a torch device is first used.
//! This module is its safe side.
//!
//! ```no_run
//! use preheat_tensor::{Dtype, TensorType};
//! use preheat_runtime::backend::torch::{Torch, TorchLookup, TorchOptions, WeightPlace};
//! use preheat_ir::graph::FunctionBuilder;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut b = FunctionBuilder::new("double");
//! let x = b.input("x", TensorType::new(Dtype::Float32, [2]));
//! let y = b.scale(x, 2.0)?;
//! b.output("y", y);
//!
//! let torch = Torch::open(&TorchLookup::from_process(), &TorchOptions::default())?;
//! let cpu = &torch.devices()[0];
//! let graph = torch.load(cpu, &b.finish()?)?;
//! let bytes = [1.0_f32, 2.0].map(f32::to_le_bytes).concat();
//! let x = torch.tensor(cpu, &TensorType::new(Dtype::Float32, [2]), &bytes)?;
//! let outputs = graph.run(&[&x], WeightPlace::OnDevice)?;
//! println!("{:?}", outputs[0].to_host()?);
//! # Ok(())
//! # }
//! ```
#![expect(unsafe_code, reason = "this module calls the torch library")]

mod backend;
mod error;
mod find;
mod load;
mod tensor;
mod watchers;

use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

pub(crate) use backend::TorchBackend;
pub use error::{TorchError, TorchErrorCode};
pub use find::installed_library;
pub use find::{
    BACKEND_VARIABLE, LIBTORCH_VARIABLE, TorchLibraries, TorchLookup, backend_file, find,
    is_installed,
};
use preheat_ir::graph::Verified;
use preheat_tensor::TensorType;
use preheat_torch_abi::{
    Answer, Bytes, OwnedBytes, Session, TorchApi, TorchTensorSpec, code, dtype_code,
};
pub use preheat_torch_abi::{
    FAKE_DEVICES_VARIABLE, FakeDevice, MemoryUse, TorchFallback, TorchOptions,
};
use serde::de::DeserializeOwned;
pub use tensor::{TorchEvent, TorchGraph, TorchTensor};

use self::watchers::Watchers;
use crate::backend::host_memory::host_memory;
use crate::device::{TorchDevice, TorchId};

/// Where the weights of a run may rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightPlace {
    /// On the graph's device. A weight on another device is an error.
    OnDevice,
    /// Anywhere. A weight on another device is copied to the graph's device when an op needs it,
    /// and the copy is freed after the last op that needs it. This is slow and takes the least
    /// memory.
    Anywhere,
}

/// The torch library with its devices. A clone shares the session.
#[derive(Clone)]
pub struct Torch {
    session: Arc<OpenSession>,
    devices: Arc<[TorchDevice]>,
    libraries: TorchLibraries,
}

/// A session that is closed when nothing that belongs to it is left.
pub(super) struct OpenSession {
    api: &'static TorchApi,
    raw: NonNull<Session>,
    watchers: Watchers,
}

// SAFETY: `preheat-torch-abi` promises that handles may be used from any thread, and from several
// at once.
unsafe impl Send for OpenSession {}
// SAFETY: as above.
unsafe impl Sync for OpenSession {}

impl Drop for OpenSession {
    fn drop(&mut self) {
        // SAFETY: `open` made the handle, and this is its last use: everything that belongs to the
        // session holds an `Arc` of it.
        unsafe { (self.api.close)(self.raw.as_ptr()) };
    }
}

impl std::fmt::Debug for Torch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Torch").field("libraries", &self.libraries).finish_non_exhaustive()
    }
}

impl Torch {
    /// Loads what `lookup` finds, and opens a session. The system loads each library only once in a
    /// process. Fake devices of [`FAKE_DEVICES_VARIABLE`] come after those of `options`.
    ///
    /// # Errors
    /// If a library is missing, is damaged, cannot be loaded, or has another version than this
    /// release works with; if [`FAKE_DEVICES_VARIABLE`] cannot be read; or if the library cannot
    /// open the session.
    pub fn open(lookup: &TorchLookup<'_>, options: &TorchOptions) -> Result<Self, TorchError> {
        let mut options = options.clone();
        if let Some(text) = (lookup.env)(FAKE_DEVICES_VARIABLE).filter(|text| !text.is_empty()) {
            let devices = serde_json::from_slice::<Vec<FakeDevice>>(text.as_encoded_bytes());
            options.fake_devices.extend(devices.map_err(TorchError::FakeDevices)?);
        }
        let libraries = find(lookup)?;
        let api = load::load(&libraries)?;
        let options =
            serde_json::to_vec(&options).map_err(|error| bad_json("opening a session", &error))?;
        let mut raw = null_mut();
        // SAFETY: live bytes, and a place for the handle.
        let answer = unsafe { (api.open)(Bytes::of(&options), &raw mut raw) };
        let raw = made(api, answer, raw, "opening a session")?;
        let session = Arc::new(OpenSession { api, raw, watchers: Watchers::default() });
        let devices = session.devices()?;
        Ok(Self { session, devices: devices.into(), libraries })
    }

    /// The devices, the CPU first, as they were when the session was opened.
    pub fn devices(&self) -> &[TorchDevice] {
        &self.devices
    }

    /// The files that were loaded.
    pub fn libraries(&self) -> &TorchLibraries {
        &self.libraries
    }

    /// The devices with their free memory as it is now.
    ///
    /// # Errors
    /// If libtorch cannot report it.
    pub fn devices_now(&self) -> Result<Vec<TorchDevice>, TorchError> {
        self.session.devices()
    }

    /// How much of a device's memory this session uses.
    ///
    /// # Errors
    /// If libtorch cannot report it.
    pub fn memory(&self, device: &TorchDevice) -> Result<MemoryUse, TorchError> {
        let mut memory = MemoryUse::default();
        // SAFETY: a live session, and a place for the figures.
        let answer =
            unsafe { (self.session.api.memory)(self.raw(), device.position, &raw mut memory) };
        self.session.check(answer, || format!("asking for the memory of {device}"))?;
        Ok(memory)
    }

    /// Resets the peaks that [`Self::memory`] returns.
    ///
    /// # Errors
    /// If libtorch raises an error.
    pub fn reset_peaks(&self, device: &TorchDevice) -> Result<(), TorchError> {
        self.on_device(self.session.api.reset_peaks, device, "resetting the peaks")
    }

    /// Returns to the device the freed memory that libtorch keeps for later use.
    ///
    /// # Errors
    /// If libtorch raises an error.
    pub fn drop_caches(&self, device: &TorchDevice) -> Result<(), TorchError> {
        self.on_device(self.session.api.drop_caches, device, "freeing the memory that is kept")
    }

    /// Waits until `device` has done all the work that was queued on it.
    ///
    /// # Errors
    /// If some of that work failed.
    pub fn synchronize(&self, device: &TorchDevice) -> Result<(), TorchError> {
        self.on_device(self.session.api.synchronize, device, "waiting")
    }

    /// The ops that were run on the CPU because a device lacks them, and how often. Each of them is
    /// also logged once.
    ///
    /// # Errors
    /// If the library's answer cannot be read.
    pub fn fallbacks(&self) -> Result<Vec<TorchFallback>, TorchError> {
        self.session.json(self.session.api.fallbacks, "listing what ran on the CPU")
    }

    /// Makes a tensor on `device` from row-major, little-endian bytes.
    ///
    /// # Errors
    /// If the number of bytes is not that of `kind`, torch has no such dtype, or the device has
    /// no memory for the tensor.
    pub fn tensor(
        &self,
        device: &TorchDevice,
        kind: &TensorType,
        bytes: &[u8],
    ) -> Result<TorchTensor, TorchError> {
        let doing = || format!("bringing {kind} to {device}");
        let spec = spec_of(kind).ok_or_else(|| TorchError::Call {
            doing: doing(),
            code: TorchErrorCode::Unsupported,
            message: format!("torch has no {}", kind.dtype),
        })?;
        let mut raw = null_mut();
        let api = self.session.api;
        // SAFETY: a live session, dims and bytes that outlive the call, and a place for the handle.
        let answer = unsafe {
            (api.make_tensor)(self.raw(), device.position, spec, Bytes::of(bytes), &raw mut raw)
        };
        let raw = made(api, answer, raw, doing)?;
        Ok(TorchTensor::new(Arc::clone(&self.session), raw, kind.clone(), device.position))
    }

    /// Makes `function` ready to run on `device`.
    ///
    /// # Errors
    /// If the function uses something that libtorch lacks, or the device has no memory for its
    /// constants.
    pub fn load(
        &self,
        device: &TorchDevice,
        function: &Verified,
    ) -> Result<TorchGraph, TorchError> {
        TorchGraph::load(&self.session, device, function)
    }

    /// An event that is ready when `device` has done all the work that was queued on it so far.
    ///
    /// # Errors
    /// If libtorch raises an error.
    pub fn record(&self, device: &TorchDevice) -> Result<TorchEvent, TorchError> {
        TorchEvent::record(&self.session, device.position)
    }

    fn raw(&self) -> *const Session {
        self.session.raw.as_ptr()
    }

    fn on_device(
        &self,
        call: unsafe extern "C" fn(*const Session, u32) -> Answer,
        device: &TorchDevice,
        doing: &str,
    ) -> Result<(), TorchError> {
        // SAFETY: a live session; the library checks the position.
        let answer = unsafe { call(self.raw(), device.position) };
        self.session.check(answer, || format!("{doing} on {device}"))
    }
}

impl OpenSession {
    fn check(&self, answer: Answer, doing: impl Words) -> Result<(), TorchError> {
        checked(self.api, answer, doing).map(|_| ())
    }

    /// The devices with their memory as it is now. The host's memory is read by preheat itself,
    /// with the limits of containers.
    fn devices(&self) -> Result<Vec<TorchDevice>, TorchError> {
        let mut devices: Vec<TorchDevice> = self.json(self.api.devices, "listing the devices")?;
        for device in devices
            .iter_mut()
            .filter(|device| is_in_host_memory(device.id) && device.total_bytes.is_none())
        {
            let memory = host_memory();
            device.free_bytes = memory.map(|memory| memory.available_bytes);
            device.total_bytes = memory.map(|memory| memory.total_bytes);
        }
        Ok(devices)
    }

    /// Calls a function that answers in JSON.
    fn json<T: DeserializeOwned>(
        &self,
        call: unsafe extern "C" fn(*const Session, *mut OwnedBytes) -> Answer,
        doing: &'static str,
    ) -> Result<T, TorchError> {
        let mut text = OwnedBytes::NONE;
        // SAFETY: a live session, and a place for the bytes.
        let answer = unsafe { call(self.raw.as_ptr(), &raw mut text) };
        let text = taken(self.api, text);
        self.check(answer, doing)?;
        serde_json::from_slice(&text).map_err(|error| bad_json(doing, &error))
    }
}

/// Whether a device's tensors are in the host's memory. A fake device can be given a memory limit
/// of its own.
fn is_in_host_memory(id: TorchId) -> bool {
    matches!(id, TorchId::Cpu | TorchId::Fake(_))
}

/// A description of the work, for messages. It is made only if the work failed.
trait Words {
    fn words(self) -> String;
}

impl Words for &str {
    fn words(self) -> String {
        self.to_owned()
    }
}

impl<F: FnOnce() -> String> Words for F {
    fn words(self) -> String {
        self()
    }
}

/// Takes the handle that a call made, or its error.
fn made<T>(
    api: &TorchApi,
    answer: Answer,
    raw: *mut T,
    doing: impl Words,
) -> Result<NonNull<T>, TorchError> {
    checked(api, answer, doing)?;
    NonNull::new(raw).ok_or_else(|| TorchError::Call {
        doing: "calling the torch library".to_owned(),
        code: TorchErrorCode::Bug,
        message: "it gave no handle and no error".to_owned(),
    })
}

/// The text of a successful answer, or the error.
fn checked(api: &TorchApi, answer: Answer, doing: impl Words) -> Result<Vec<u8>, TorchError> {
    let text = taken(api, answer.message);
    if answer.code == code::OK {
        return Ok(text);
    }
    let message = String::from_utf8_lossy(&text).into_owned();
    Err(TorchError::Call { doing: doing.words(), code: TorchErrorCode::of(answer.code), message })
}

/// Copies bytes that belong to the library, and frees them.
fn taken(api: &TorchApi, bytes: OwnedBytes) -> Vec<u8> {
    if bytes.start.is_null() {
        return Vec::new();
    }
    // SAFETY: the library returned this number of bytes, which are valid until they are freed
    // below.
    let copy = unsafe { std::slice::from_raw_parts(bytes.start, bytes.length) }.to_vec();
    // SAFETY: given by the library, and freed once.
    unsafe { (api.free_bytes)(bytes) };
    copy
}

fn bad_json(doing: &str, error: &serde_json::Error) -> TorchError {
    TorchError::Call {
        doing: doing.to_owned(),
        code: TorchErrorCode::Bug,
        message: error.to_string(),
    }
}

/// `kind` in the form that the library takes, which borrows the dimensions; `None` if torch has no
/// such dtype.
fn spec_of(kind: &TensorType) -> Option<TorchTensorSpec> {
    let rank = u32::try_from(kind.dims.len()).ok()?;
    Some(TorchTensorSpec { dtype: dtype_code(kind.dtype)?, rank, dims: kind.dims.as_ptr() })
}
