//! How do arrays get onto a device and back? By buffers: arrays in a device's memory.

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

use preheat_tensor::{Dtype, TensorType};

use super::buffer_type;
use super::call::Handle;
use super::client::Client;
use super::device::Device;
use super::error::{PjrtError, optional};
use super::event::PjrtEvent;
use super::layout;
use super::sys;
use super::table::list;

/// An array on a device, or one that a running execution will fill.
pub struct Buffer {
    client: Client,
    raw: Handle<sys::Buffer>,
}

/// How a plugin may use host memory that is passed together with its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostTransfer {
    /// The plugin copies the memory to the device in the background, and drops the owner once that
    /// is done.
    Copy,
    /// The device may read the memory in place, for as long as the buffer or an execution needs it.
    /// XLA:CPU does so if the memory starts at a multiple of
    /// [`ZERO_COPY_ALIGNMENT`](preheat_tensor::ZERO_COPY_ALIGNMENT), and copies it otherwise. If a
    /// buffer that is read in place is donated, it is copied at that time.
    ZeroCopy,
}

impl Client {
    /// Copies `data`, dense and row-major, to `device`. The plugin no longer reads `data` when this
    /// returns.
    pub fn buffer_from_host(
        &self,
        device: &Device,
        dtype: Dtype,
        dims: &[u64],
        data: &[u8],
    ) -> Result<Buffer, PjrtError> {
        let semantics = sys::HostBufferSemantics::IMMUTABLE_ONLY_DURING_CALL;
        // SAFETY: with these semantics the plugin reads `data` only during the call.
        let (buffer, _done) = unsafe { self.put(device, dtype, dims, data, semantics) }?;
        Ok(buffer)
    }

    /// Puts the bytes of `owner`, dense and row-major, on `device`, and keeps `owner` for as long
    /// as the plugin reads from it.
    ///
    /// The plugin may drop `owner` on one of its own threads, so dropping it must not call into the
    /// plugin.
    pub fn buffer_from_owner<T>(
        &self,
        device: &Device,
        dtype: Dtype,
        dims: &[u64],
        owner: Arc<T>,
        transfer: HostTransfer,
    ) -> Result<Buffer, PjrtError>
    where
        T: AsRef<[u8]> + Send + Sync + 'static,
    {
        // Without this function there is no way to know when the plugin has finished reading.
        self.plugin().require::<sys::EventOnReadyArgs>()?;
        let semantics = match transfer {
            HostTransfer::Copy => sys::HostBufferSemantics::IMMUTABLE_UNTIL_TRANSFER_COMPLETES,
            HostTransfer::ZeroCopy => sys::HostBufferSemantics::IMMUTABLE_ZERO_COPY,
        };
        let keep = Arc::clone(&owner);
        let data = (*keep).as_ref();
        // SAFETY: the bytes neither move nor change while `owner` is held, and the callback below
        // holds it until the plugin has finished.
        let (buffer, done) = unsafe { self.put(device, dtype, dims, data, semantics) }?;
        // If registering fails, the owner is leaked. That is the safe choice, because the buffer
        // may still be reading from it.
        done.on_ready(move |_| drop(owner))?;
        Ok(buffer)
    }

    /// Makes a buffer from `data`. The event is ready when the plugin no longer needs `data`.
    ///
    /// # Safety
    ///
    /// `data` stays valid and unchanged for as long as `semantics` requires.
    unsafe fn put(
        &self,
        device: &Device,
        dtype: Dtype,
        dims: &[u64],
        data: &[u8],
        semantics: sys::HostBufferSemantics,
    ) -> Result<(Buffer, PjrtEvent), PjrtError> {
        let expected = dtype.array_bytes(dims)?;
        if data.len() != expected {
            let kind = TensorType::new(dtype, dims);
            return Err(PjrtError::WrongSize { kind, expected, actual: data.len() });
        }
        if !device.client().is(self) {
            return Err(PjrtError::ForeignHandle { what: format!("device {}", device.id()) });
        }
        // The array is in the host's memory, so none of its dimensions is too large for C's type.
        // The exception is an array without elements, which has a dimension of 0.
        let c_dims: Vec<i64> =
            dims.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
        let mut args = sys::ClientBufferFromHostBufferArgs {
            client: self.as_ptr(),
            data: data.as_ptr().cast::<c_void>(),
            r#type: buffer_type::to_raw(dtype),
            dims: c_dims.as_ptr(),
            num_dims: c_dims.len(),
            host_buffer_semantics: semantics,
            device: device.as_ptr(),
            ..sys::Args::new()
        };
        // SAFETY: client and device are live and belong together; `data` has as many bytes as the
        // dense shape, and the caller vouches for its lifetime.
        unsafe { self.plugin().call(&mut args) }?;
        let function = <sys::ClientBufferFromHostBufferArgs as sys::Call>::FUNCTION;
        // SAFETY: the buffer was just made in this client, and nobody else owns it.
        let buffer = unsafe { Buffer::own(self, args.buffer, function) };
        // SAFETY: as above.
        let done = unsafe { PjrtEvent::own(self, args.done_with_host_buffer, function) };
        Ok((buffer?, done?))
    }
}

impl Buffer {
    /// Takes over a buffer that `function` returned.
    ///
    /// # Safety
    ///
    /// `raw` is null or a buffer of `client` that the caller owns.
    #[inline]
    pub(super) unsafe fn own(
        client: &Client,
        raw: *mut sys::Buffer,
        function: &'static str,
    ) -> Result<Self, PjrtError> {
        Ok(Self { raw: Handle::new(raw, function)?, client: client.clone() })
    }

    pub(super) fn as_ptr(&self) -> *mut sys::Buffer {
        self.raw.as_ptr()
    }

    /// The client that it belongs to.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The type of its elements.
    pub fn dtype(&self) -> Result<Dtype, PjrtError> {
        let mut args = sys::BufferElementTypeArgs { buffer: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the buffer is live: it is destroyed on drop only.
        unsafe { self.client.plugin().call(&mut args) }?;
        buffer_type::from_raw(args.r#type).ok_or_else(|| PjrtError::BadAnswer {
            function: <sys::BufferElementTypeArgs as sys::Call>::FUNCTION,
            what: format!("element type {}", args.r#type.0),
        })
    }

    /// Its dimensions, the outermost first; empty for a scalar.
    pub fn dims(&self) -> Result<Vec<u64>, PjrtError> {
        let mut args = sys::BufferDimensionsArgs { buffer: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the buffer is live: it is destroyed on drop only, and the answer lives as long as
        // it.
        unsafe {
            self.client.plugin().call(&mut args)?;
            let function = <sys::BufferDimensionsArgs as sys::Call>::FUNCTION;
            dims_of(function, list(args.dims, args.num_dims))
        }
    }

    /// Its dtype and shape.
    pub fn kind(&self) -> Result<TensorType, PjrtError> {
        Ok(TensorType::new(self.dtype()?, self.dims()?))
    }

    /// The device it is on.
    pub fn device(&self) -> Result<Device, PjrtError> {
        let mut args = sys::BufferDeviceArgs { buffer: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the buffer is live: it is destroyed on drop only; its device belongs to the same
        // client.
        unsafe {
            self.client.plugin().call(&mut args)?;
            Device::of(&self.client, args.device)
        }
    }

    /// Bytes that it takes on the device, padding included.
    pub fn on_device_bytes(&self) -> Result<usize, PjrtError> {
        let mut args =
            sys::BufferOnDeviceSizeInBytesArgs { buffer: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the buffer is live: it is destroyed on drop only.
        unsafe { self.client.plugin().call(&mut args) }?;
        Ok(args.on_device_size_in_bytes)
    }

    /// Its address in the device's memory, for comparisons only.
    pub fn address(&self) -> Result<usize, PjrtError> {
        let mut args = sys::BufferUnsafePointerArgs { buffer: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the buffer is live: it is destroyed on drop only.
        unsafe { self.client.plugin().call(&mut args) }?;
        Ok(args.buffer_pointer)
    }

    /// The event that is ready when the contents are there. If the execution or transfer that fills
    /// the buffer fails, the event fails with the same error.
    pub fn ready(&self) -> Result<PjrtEvent, PjrtError> {
        let mut args = sys::BufferReadyEventArgs { buffer: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the buffer is live: it is destroyed on drop only; nobody else owns the event.
        unsafe {
            self.client.plugin().call(&mut args)?;
            PjrtEvent::own(
                &self.client,
                args.event,
                <sys::BufferReadyEventArgs as sys::Call>::FUNCTION,
            )
        }
    }

    /// The contents, dense and row-major, whatever the layout on the device. Waits until they are
    /// there.
    pub fn to_host(&self) -> Result<Vec<u8>, PjrtError> {
        let mut bytes = vec![0; self.kind()?.host_bytes()?];
        self.to_host_into(&mut bytes)?;
        Ok(bytes)
    }

    /// Like [`Self::to_host`], but into memory of the caller, which must have exactly the right
    /// size.
    pub fn to_host_into(&self, bytes: &mut [u8]) -> Result<(), PjrtError> {
        let kind = self.kind()?;
        let expected = kind.host_bytes()?;
        if bytes.len() != expected {
            return Err(PjrtError::WrongSize { kind, expected, actual: bytes.len() });
        }
        let row_major = layout::row_major(kind.dims.len());
        match self.minor_to_major()? {
            Some(order) if order != row_major && order.len() == row_major.len() => {
                let mut as_it_lies = vec![0; expected];
                self.read(&mut as_it_lies, &order)?;
                layout::to_row_major(&as_it_lies, bytes, kind.dtype.bytes()?, &kind.dims, &order)
            }
            _ => self.read(bytes, &row_major),
        }
    }

    /// The order of the dimensions in the device's memory, from the fastest to the slowest; `None`
    /// if the plugin does not report it.
    fn minor_to_major(&self) -> Result<Option<Vec<i64>>, PjrtError> {
        let mut args = sys::BufferGetMemoryLayoutArgs { buffer: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the buffer is live: it is destroyed on drop only.
        let answer = optional(unsafe { self.client.plugin().call(&mut args) })?;
        if answer.is_none() || args.layout.r#type != sys::BufferMemoryLayoutType::TILED {
            return Ok(None);
        }
        // SAFETY: `type` says which member it is; the list lives as long as the buffer.
        unsafe {
            let tiled = args.layout.layout.tiled;
            Ok(Some(list(tiled.minor_to_major, tiled.minor_to_major_size).to_vec()))
        }
    }

    /// Copies the contents into `bytes`, which must have exactly their size. `minor_to_major` is
    /// the order of the dimensions on the device, which the copy keeps.
    ///
    /// The copy is not requested in another order, because plugins treat such a request
    /// differently; XLA:CPU ignores it.
    fn read(&self, bytes: &mut [u8], minor_to_major: &[i64]) -> Result<(), PjrtError> {
        self.client.plugin().require::<sys::EventAwaitArgs>()?;
        let tiled = sys::BufferMemoryLayoutTiled {
            minor_to_major: minor_to_major.as_ptr(),
            minor_to_major_size: minor_to_major.len(),
            ..sys::Args::new()
        };
        let mut layout = sys::BufferMemoryLayout {
            layout: sys::BufferMemoryLayoutUnion { tiled },
            r#type: sys::BufferMemoryLayoutType::TILED,
            ..sys::Args::new()
        };
        let mut args = sys::BufferToHostBufferArgs {
            src: self.as_ptr(),
            host_layout: &raw mut layout,
            dst: bytes.as_mut_ptr().cast::<c_void>(),
            dst_size: bytes.len(),
            ..sys::Args::new()
        };
        // SAFETY: the buffer is live; the layout outlives the call. The plugin may write to `bytes`
        // until the event is ready, which is awaited below before the borrow ends.
        unsafe { self.client.plugin().call(&mut args) }?;
        let function = <sys::BufferToHostBufferArgs as sys::Call>::FUNCTION;
        // SAFETY: the event was just made, and nobody else owns it.
        unsafe { PjrtEvent::own(&self.client, args.event, function) }?.wait()
    }

    /// Frees its memory even though handles to it still exist; running executions keep the memory.
    pub fn delete(&self) -> Result<(), PjrtError> {
        let mut args = sys::BufferDeleteArgs { buffer: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the buffer is live: it is destroyed on drop only.
        unsafe { self.client.plugin().call(&mut args) }
    }

    /// Whether it was deleted or donated.
    pub fn is_deleted(&self) -> Result<bool, PjrtError> {
        let mut args = sys::BufferIsDeletedArgs { buffer: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the buffer is live: it is destroyed on drop only.
        unsafe { self.client.plugin().call(&mut args) }?;
        Ok(args.is_deleted)
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("dtype", &self.dtype()).field("dims", &self.dims()).finish()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: owned, and this is its last use; running executions keep its memory themselves.
        unsafe {
            self.client
                .plugin()
                .destroy(sys::BufferDestroyArgs { buffer: self.as_ptr(), ..sys::Args::new() });
        }
    }
}

/// Converts dimensions as the plugin lists them. A negative dimension is an error of the plugin.
pub(super) fn dims_of(function: &'static str, listed: &[i64]) -> Result<Vec<u64>, PjrtError> {
    let size = |&size: &i64| u64::try_from(size);
    listed
        .iter()
        .map(size)
        .collect::<Result<_, _>>()
        .map_err(|_| PjrtError::BadAnswer { function, what: format!("dimensions {listed:?}") })
}
