//! The devices of a session.

use std::collections::HashSet;
use std::sync::Arc;

use preheat::backend::torch::sys::{LIBTORCH_VERSION, MemoryUse, code};
use preheat::backend::torch::{FakeDevice, TorchDevice, TorchDeviceKind, TorchOptions};
use preheat::graph::Type;
use tch::{Cuda, Device, Tensor};

use crate::failure::{Failure, Outcome};
use crate::fallback::Fallbacks;
use crate::held::{Held, Ledger};
use crate::kinds::{kind_of, sizes};
use crate::shim::{self, Accelerator};

/// What a caller opened.
pub struct Session {
    pub places: Vec<Place>,
    pub fallbacks: Fallbacks,
}

/// A device, and what rests on it.
pub struct Place {
    pub position: u32,
    pub kind: TorchDeviceKind,
    pub index: u32,
    /// Where libtorch computes for it.
    pub device: Device,
    pub ledger: Arc<Ledger>,
    /// The ops that a fake device says it does not implement.
    lacks: HashSet<String>,
}

impl Session {
    pub fn open(options: &TorchOptions) -> Self {
        if let Some(threads) = options.threads {
            tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
        }
        let mut session = Self { places: Vec::new(), fallbacks: Fallbacks::default() };
        session.add(TorchDeviceKind::Cpu, 0, Device::Cpu, &FakeDevice::default());
        for index in 0..u32::try_from(Cuda::device_count()).unwrap_or(0) {
            let device = Device::Cuda(usize::try_from(index).unwrap_or(0));
            session.add(TorchDeviceKind::Cuda, index, device, &FakeDevice::default());
        }
        if tch::utils::has_mps() {
            session.add(TorchDeviceKind::Mps, 0, Device::Mps, &FakeDevice::default());
        }
        for (fake, index) in options.fake_devices.iter().zip(0..) {
            session.add(TorchDeviceKind::Fake, index, Device::Cpu, fake);
        }
        session
    }

    fn add(&mut self, kind: TorchDeviceKind, index: u32, device: Device, fake: &FakeDevice) {
        let position = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let mut place = Place {
            position,
            kind,
            index,
            device,
            ledger: Arc::default(),
            lacks: fake.lacks.iter().cloned().collect(),
        };
        place.ledger = Arc::new(Ledger::new(place.name(), fake.memory_bytes));
        self.places.push(place);
    }

    pub fn place(&self, position: u32) -> Outcome<&Place> {
        self.places.get(position as usize).ok_or_else(|| {
            Failure::new(
                code::WRONG_DEVICE,
                format!("there is no device {position}, but {} devices", self.places.len()),
            )
        })
    }

    /// The devices with their memory as it is now.
    pub fn describe(&self) -> Vec<TorchDevice> {
        self.places.iter().map(Place::described_now).collect()
    }
}

impl Place {
    /// As `--device` names it.
    pub fn name(&self) -> String {
        match self.kind {
            TorchDeviceKind::Cpu => "cpu".to_owned(),
            TorchDeviceKind::Cuda => format!("cuda:{}", self.index),
            TorchDeviceKind::Mps => "mps".to_owned(),
            TorchDeviceKind::Fake => format!("fake:{}", self.index),
        }
    }

    pub fn is_host(&self) -> bool {
        self.kind == TorchDeviceKind::Cpu
    }

    /// Fails as libtorch does for an op that a device lacks, where this is a fake device that lacks it.
    pub fn check_has(&self, op: &str) -> Outcome<()> {
        if !self.lacks.contains(op) {
            return Ok(());
        }
        let message = format!("The operator '{op}' is not currently implemented for the {} device", self.name());
        Err(Failure::of_libtorch(&message))
    }

    /// Takes over a tensor that libtorch computed for this device.
    pub fn hold(&self, tensor: Tensor) -> Outcome<Arc<Held>> {
        Ok(Arc::new(Held::new(tensor, self.position, &self.ledger)?))
    }

    /// A tensor of row-major bytes, in memory of its own.
    pub fn make(&self, kind: &Type, bytes: &[u8]) -> Outcome<Arc<Held>> {
        if bytes.len() as u64 != kind.bytes() {
            let message = format!("{kind} takes {} bytes, and {} were given", kind.bytes(), bytes.len());
            return Err(Failure::new(code::WRONG_TYPE, message));
        }
        let tensor = Tensor::f_from_data_size(bytes, &sizes(&kind.dims)?, kind_of(kind.dtype)?)?;
        self.hold(tensor.f_to(self.device)?)
    }

    /// A copy of a tensor that rests elsewhere, in memory of its own.
    pub fn copy(&self, from: &Held) -> Outcome<Arc<Held>> {
        let tensor = from.tensor().f_to(self.device)?;
        // Where libtorch computes for both devices in the same place, it copies nothing by itself.
        let (there, here) = (shim::storage(from.tensor())?.0, shim::storage(&tensor)?.0);
        self.hold(if there == here { dense_copy(&tensor)? } else { tensor })
    }

    pub fn memory(&self) -> Outcome<MemoryUse> {
        let (tensors, tensors_peak) = self.ledger.bytes();
        let [allocated, allocated_peak, reserved] = match self.accelerator() {
            Some(accelerator) => accelerator.allocator()?,
            None => [0; 3],
        };
        Ok(MemoryUse { tensors, tensors_peak, allocated, allocated_peak, reserved })
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

    fn accelerator(&self) -> Option<Accelerator> {
        match self.kind {
            TorchDeviceKind::Cuda => Some(Accelerator::Cuda(self.index)),
            TorchDeviceKind::Mps => Some(Accelerator::Mps),
            TorchDeviceKind::Cpu | TorchDeviceKind::Fake => None,
        }
    }

    /// What it is, without what may change.
    pub fn described(&self) -> TorchDevice {
        let (position, kind, index) = (self.position, self.kind, self.index);
        let [major, minor, patch] = LIBTORCH_VERSION;
        let rocm = kind == TorchDeviceKind::Cuda && tch::utils::has_hip();
        let card = if kind == TorchDeviceKind::Cuda && !rocm { shim::card(index) } else { None };
        let (card, compute_capability) = card.map_or((None, None), |(name, capability)| (Some(name), Some(capability)));
        let name = match kind {
            TorchDeviceKind::Cpu => format!("libtorch {major}.{minor}.{patch}, {} threads", tch::get_num_threads()),
            TorchDeviceKind::Cuda if rocm => format!("ROCm device {index}"),
            TorchDeviceKind::Cuda => card.unwrap_or_else(|| format!("CUDA device {index}")),
            TorchDeviceKind::Mps => "Apple GPU".to_owned(),
            TorchDeviceKind::Fake => "fake device on the CPU".to_owned(),
        };
        TorchDevice { position, kind, index, name, rocm, total_bytes: None, free_bytes: None, compute_capability }
    }

    fn described_now(&self) -> TorchDevice {
        let memory = match self.accelerator() {
            // An allocator that does not tell is no reason to list nothing.
            Some(accelerator) => accelerator.memory().ok().filter(|&(_, total)| total > 0),
            None => match self.ledger.limit() {
                Some(limit) => Some((limit.saturating_sub(self.ledger.bytes().0), limit)),
                None => host_memory(),
            },
        };
        let (free_bytes, total_bytes) = (memory.map(|memory| memory.0), memory.map(|memory| memory.1));
        TorchDevice { total_bytes, free_bytes, ..self.described() }
    }
}

/// Free and total bytes of the host, where Linux tells.
fn host_memory() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib.saturating_mul(1024))
    };
    Some((field("MemAvailable")?, field("MemTotal")?))
}

/// A copy in the order in which the original rests.
pub fn dense_copy(tensor: &Tensor) -> Outcome<Tensor> {
    let mut copy = tensor.f_empty_like()?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}
