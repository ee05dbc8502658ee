//! Which devices does a session have, and what is on each?

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use preheat_tensor::TensorType;
use preheat_torch_abi::{FakeDevice, TorchOptions};
use preheat_torch_abi::{LIBTORCH_VERSION, MemoryUse, UNKNOWN_BYTES, code};
use preheat_torch_abi::{TorchDevice, TorchId};
use tch::{Device, Tensor};

use crate::cards::{Card, Kernels};
use crate::failure::{Failure, Outcome};
use crate::fallback::Fallbacks;
use crate::held::{Held, Ledger};
use crate::kinds::{kind_of, sizes};
use crate::shim::{self, Accelerator, Event};

/// A tensor of at most this size is copied to a card without waiting. The inputs of a run, without
/// its weights, have at most about this size.
const SMALL_BYTES: usize = 4 << 20;

/// A session, as a caller opened it.
pub struct Session {
    pub places: Vec<Place>,
    pub fallbacks: Fallbacks,
}

/// A device and the tensors that rest on it.
pub struct Place {
    pub position: u32,
    pub id: TorchId,
    /// The device of libtorch that computes for it.
    pub device: Device,
    pub ledger: Arc<Ledger>,
    /// The card's properties, if it is a card.
    card: Option<Card>,
    /// The ops that a fake device claims not to implement.
    lacks: HashSet<String>,
}

impl Session {
    pub fn open(options: &TorchOptions) -> Outcome<Self> {
        if let Some(threads) = options.threads {
            tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
        }
        shim::keep_float32()?;
        let mut session = Self { places: Vec::new(), fallbacks: Fallbacks::default() };
        let none = FakeDevice::default();
        session.add(TorchId::Cpu, Device::Cpu, None, &none);
        for (card, index) in found_cards()?.into_iter().zip(0..) {
            session.add(TorchId::Cuda(index), Device::Cuda(index as usize), Some(card), &none);
        }
        if tch::utils::has_mps() {
            session.add(TorchId::Mps, Device::Mps, None, &none);
        }
        for (fake, index) in options.fake_devices.iter().zip(0..) {
            session.add(TorchId::Fake(index), Device::Cpu, None, fake);
        }
        Ok(session)
    }

    fn add(&mut self, id: TorchId, device: Device, card: Option<Card>, fake: &FakeDevice) {
        let position = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let ledger = Arc::new(Ledger::new(id, fake.memory_bytes));
        self.places.push(Place {
            position,
            id,
            device,
            ledger,
            card,
            lacks: fake.lacks.iter().cloned().collect(),
        });
    }

    pub fn place(&self, position: u32) -> Outcome<&Place> {
        self.places.get(position as usize).ok_or_else(|| {
            Failure::new(
                code::WRONG_DEVICE,
                format!("there is no device {position}; there are {} devices", self.places.len()),
            )
        })
    }

    /// The devices, with the memory that they have free now.
    pub fn describe(&self) -> Vec<TorchDevice> {
        self.places.iter().map(Place::described_now).collect()
    }
}

impl Place {
    pub fn is_host(&self) -> bool {
        self.id == TorchId::Cpu
    }

    /// If this is a fake device that lacks `op`, fails as libtorch does for an op that a device
    /// lacks.
    pub fn check_has(&self, op: &str) -> Outcome<()> {
        if !self.lacks.contains(op) {
            return Ok(());
        }
        let message =
            format!("The operator '{op}' is not currently implemented for the {} device", self.id);
        Err(Failure::of_libtorch(&message))
    }

    /// Takes over a tensor that libtorch computed on this device, and counts its memory.
    pub fn hold(&self, tensor: Tensor) -> Outcome<Arc<Held>> {
        Ok(Arc::new(Held::new(tensor, self.position, &self.ledger)?))
    }

    /// A tensor of row-major bytes, in its own memory.
    pub fn make(&self, kind: &TensorType, bytes: &[u8]) -> Outcome<Arc<Held>> {
        if bytes.len() as u64 != kind.bytes() {
            let message =
                format!("{kind} takes {} bytes, and {} were given", kind.bytes(), bytes.len());
            return Err(Failure::new(code::WRONG_TYPE, message));
        }
        let (dims, dtype) = (sizes(&kind.dims)?, kind_of(kind.dtype)?);
        let on_host = Tensor::f_empty(&dims, (dtype, Device::Cpu))?;
        // SAFETY: the tensor is new and dense and has this many bytes. No other code has a pointer
        // to it, so `bytes` cannot overlap it.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), on_host.data_ptr().cast(), bytes.len());
        };
        self.hold(match self.device {
            Device::Cpu => on_host,
            // The copy from pinned memory is asynchronous: the host waits neither for the copy nor
            // for the work that is queued before it.
            Device::Cuda(_) if bytes.len() <= SMALL_BYTES => {
                shim::pinned(&on_host)?.f_to_device_(self.device, dtype, true, false)?
            }
            device => on_host.f_to(device)?,
        })
    }

    /// A copy of a tensor of another device, in its own memory on this one.
    pub fn copy(&self, from: &Held) -> Outcome<Arc<Held>> {
        let tensor = from.tensor().f_to(self.device)?;
        // If both are one device for libtorch, such as the CPU and a fake device, libtorch makes no
        // copy.
        let (there, here) = (shim::storage(from.tensor())?.0, shim::storage(&tensor)?.0);
        self.hold(if there == here { dense_copy(&tensor)? } else { tensor })
    }

    pub fn memory(&self) -> Outcome<MemoryUse> {
        let (tensors, tensors_peak) = self.ledger.bytes();
        let [allocated, allocated_peak, reserved] = match self.accelerator() {
            Some(accelerator) => accelerator.allocator()?,
            None => [0; 3],
        };
        let (free, total) = self.free_and_total().unwrap_or((UNKNOWN_BYTES, UNKNOWN_BYTES));
        Ok(MemoryUse { tensors, tensors_peak, allocated, allocated_peak, reserved, free, total })
    }

    pub fn reset_peaks(&self) -> Outcome<()> {
        self.ledger.reset_peak();
        self.accelerator().map_or(Ok(()), Accelerator::reset_peak)
    }

    pub fn drop_caches(&self) -> Outcome<()> {
        self.accelerator().map_or(Ok(()), Accelerator::empty_cache)
    }

    pub fn synchronize(&self) -> Outcome<()> {
        self.accelerator().map_or(Ok(()), Accelerator::synchronize)
    }

    /// An event that is reached when the device has finished all work that it was given so far.
    pub fn record(&self) -> Outcome<Event> {
        self.accelerator().map_or(Ok(Event::past()), Accelerator::record)
    }

    fn accelerator(&self) -> Option<Accelerator> {
        match self.id {
            TorchId::Cuda(index) => Some(Accelerator::Cuda(index)),
            TorchId::Mps => Some(Accelerator::Mps),
            TorchId::Cpu | TorchId::Fake(_) => None,
        }
    }

    /// The device's description, without the figures that can change.
    fn described(&self) -> TorchDevice {
        let [major, minor, patch] = LIBTORCH_VERSION;
        let card = self.card.as_ref();
        let name = match self.id {
            TorchId::Cpu => {
                format!("libtorch {major}.{minor}.{patch}, {} threads", tch::get_num_threads())
            }
            TorchId::Cuda(_) => card.map_or_else(String::new, |card| card.name.clone()),
            TorchId::Mps => "Apple GPU".to_owned(),
            TorchId::Fake(_) => "fake device on the CPU".to_owned(),
        };
        TorchDevice {
            position: self.position,
            id: self.id,
            name,
            total_bytes: None,
            free_bytes: None,
            compute_capability: card.and_then(|card| card.compute_capability),
            rocm: card.is_some_and(|card| card.rocm),
            problem: card.and_then(|card| card.problem.clone()),
        }
    }

    /// Free and total bytes of the device's own memory. A fake device with a limit has that much.
    /// `None` if the figures cannot be read, or if the device uses the host's memory, which the
    /// caller can measure better.
    fn free_and_total(&self) -> Option<(u64, u64)> {
        match self.accelerator() {
            Some(_) if self.card.as_ref().is_some_and(|card| card.problem.is_some()) => None,
            // If the figures cannot be read, the device is listed without them.
            Some(accelerator) => accelerator.memory().ok().filter(|&(_, total)| total > 0),
            None => self
                .ledger
                .limit()
                .map(|limit| (limit.saturating_sub(self.ledger.bytes().0), limit)),
        }
    }

    fn described_now(&self) -> TorchDevice {
        let memory = self.free_and_total();
        let (free_bytes, total_bytes) =
            (memory.map(|memory| memory.0), memory.map(|memory| memory.1));
        TorchDevice { total_bytes, free_bytes, ..self.described() }
    }
}

/// The cards. If libtorch finds none and gives a reason, such as a driver that is too old, the list
/// has one entry with that reason.
fn found_cards() -> Outcome<Vec<Card>> {
    // libtorch gives the reason only to the first caller, so it is kept for later calls.
    static COMPLAINT: OnceLock<Option<String>> = OnceLock::new();
    let (count, complaint) = shim::count_cards()?;
    let complaint = COMPLAINT.get_or_init(|| complaint).clone();
    if count == 0 {
        return Ok(complaint.into_iter().map(Card::out_of_reach).collect());
    }
    let kernels = Kernels::read(&shim::cuda_configuration()?);
    Ok((0..count).map(|index| Card::of(index, &kernels)).collect())
}

/// A copy with its dimensions in the same order in memory as the original.
pub fn dense_copy(tensor: &Tensor) -> Outcome<Tensor> {
    let mut copy = tensor.f_empty_like()?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}
