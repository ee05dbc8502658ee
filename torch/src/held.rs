//! How many bytes of tensors are on each device? A tensor is counted until it is dropped.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use preheat_torch_abi::TorchId;
use preheat_torch_abi::code;
use tch::Tensor;

use crate::failure::{Failure, Outcome};
use crate::shim;

/// The bytes that rest on a device. Memory that several tensors share is counted once.
pub struct Ledger {
    limit: Option<u64>,
    device: TorchId,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    /// For each block of memory, by its start: the number of tensors in it, and its bytes.
    storages: HashMap<usize, (u32, u64)>,
    bytes: u64,
    peak: u64,
}

impl Ledger {
    pub fn new(device: TorchId, limit: Option<u64>) -> Self {
        Self { limit, device, books: Mutex::default() }
    }

    /// The bytes that rest on the device now, and the most that ever did.
    pub fn bytes(&self) -> (u64, u64) {
        let books = self.books();
        (books.bytes, books.peak)
    }

    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    pub fn reset_peak(&self) {
        let mut books = self.books();
        books.peak = books.bytes;
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // The figures are right after every change, so a panic elsewhere does not damage them.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn charge(self: &Arc<Self>, tensor: &Tensor) -> Outcome<Charge> {
        let (address, bytes) = shim::storage(tensor)?;
        let mut books = self.books();
        let known = books.storages.contains_key(&address);
        if let Some(limit) =
            self.limit.filter(|&limit| !known && books.bytes.saturating_add(bytes) > limit)
        {
            return Err(Failure::new(
                code::OUT_OF_MEMORY,
                format!(
                    "{} is out of memory: {bytes} bytes are wanted, {} of {limit} are in use",
                    self.device, books.bytes
                ),
            ));
        }
        let sharing = books.storages.entry(address).or_insert((0, bytes));
        sharing.0 += 1;
        if !known {
            books.bytes += bytes;
            books.peak = books.peak.max(books.bytes);
        }
        Ok(Charge { ledger: Arc::clone(self), address })
    }
}

/// The share that one tensor has in its block of memory.
struct Charge {
    ledger: Arc<Ledger>,
    address: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut books = self.ledger.books();
        if let Entry::Occupied(mut sharing) = books.storages.entry(self.address) {
            sharing.get_mut().0 -= 1;
            if sharing.get().0 == 0 {
                let (_, bytes) = sharing.remove();
                books.bytes -= bytes;
            }
        }
    }
}

/// A tensor on a device of a session.
pub struct Held {
    // Declared before the tensor, so that it is dropped first: as soon as the tensor is freed,
    // another tensor may get the same memory.
    _charge: Charge,
    tensor: Tensor,
    /// The device's position.
    pub device: u32,
}

// SAFETY: an `at::Tensor` counts its references atomically and may be read from several threads at
// once; nothing here writes to a tensor that is held.
unsafe impl Sync for Held {}

impl Held {
    pub fn new(tensor: Tensor, device: u32, ledger: &Arc<Ledger>) -> Outcome<Self> {
        Ok(Self { _charge: ledger.charge(&tensor)?, tensor, device })
    }

    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }
}
