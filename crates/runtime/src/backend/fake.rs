//! How is a runtime tested without a plugin?
//!
//! The fake device compiles any program to the program's own bytes. Its executables return their
//! inputs as results. The device counts its calls, and a test can make some of these calls fail.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use preheat_cache::{Environment, Interface, KeyInputs, Measurements, TensorSpec};
use preheat_tensor::{Tensor, TensorType};

use super::contract::{Buffer, Compiled, Device, Done, Event, Loaded, MemoryUse, own};
use super::{CompileError, DeviceFault, FaultKind};
use crate::device::{DeviceName, XlaDevice};

/// The kinds of calls that a test can make fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum At {
    Compile,
    Load,
    Run,
}

/// A device that computes nothing. A clone shares its counts.
#[derive(Debug, Clone)]
pub(crate) struct FakeDevice(Arc<Fake>);

#[derive(Debug)]
struct Fake {
    environment: Arc<Environment>,
    compiles: AtomicU64,
    loads: AtomicU64,
    runs: AtomicU64,
    compile_time: Duration,
    /// Whether executables that are loaded compute something else than what was compiled.
    strays: AtomicBool,
    /// For each kind of call, how many of the next calls fail, and with which fault.
    fails: Mutex<HashMap<At, (u64, FaultKind)>>,
}

impl FakeDevice {
    /// A device whose executables fit no other `build`. A compile takes `compile_time`.
    pub(crate) fn new(build: &str, compile_time: Duration) -> Self {
        Self::posing("cpu", build, compile_time)
    }

    /// A device of the named platform. [`Self::new`] makes one of the platform `cpu`.
    pub(crate) fn posing(platform: &str, build: &str, compile_time: Duration) -> Self {
        let environment = Environment {
            plugin_build: build.to_owned(),
            platform: platform.to_owned(),
            ..Environment::default()
        };
        Self(Arc::new(Fake {
            environment: Arc::new(environment),
            compiles: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            compile_time,
            strays: AtomicBool::new(false),
            fails: Mutex::default(),
        }))
    }

    /// The next `times` calls of this kind fail.
    pub(crate) fn fail(&self, at: At, times: u64, kind: FaultKind) {
        self.0.fails.lock().unwrap().insert(at, (times, kind));
    }

    /// Sets whether executables that are loaded from now on compute something else than the program
    /// says.
    pub(crate) fn stray(&self, strays: bool) {
        self.0.strays.store(strays, Ordering::SeqCst);
    }

    /// How often the device compiled, loaded and ran something.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
        (of(&self.0.compiles), of(&self.0.loads), of(&self.0.runs))
    }

    fn step(&self, at: At, count: &AtomicU64) -> Result<(), DeviceFault> {
        count.fetch_add(1, Ordering::SeqCst);
        match self.0.fails.lock().unwrap().get_mut(&at) {
            Some((times @ 1.., kind)) => {
                *times -= 1;
                Err(DeviceFault::new(*kind, format!("told to fail at {at:?}")))
            }
            _ => Ok(()),
        }
    }
}

impl Device for FakeDevice {
    fn name(&self) -> DeviceName {
        XlaDevice::XlaCpu.into()
    }

    fn environment(&self) -> &Arc<Environment> {
        &self.0.environment
    }

    fn compile(&self, inputs: &KeyInputs) -> Result<(Box<dyn Loaded>, Compiled), CompileError> {
        std::thread::sleep(self.0.compile_time);
        self.step(At::Compile, &self.0.compiles)?;
        let scalar = TensorSpec { dtype: "f32".to_owned(), dims: vec![2] };
        let compiled = Compiled {
            payload: Ok(Box::new(inputs.program.bytes().to_vec())),
            interface: Some(Interface { inputs: vec![scalar.clone()], outputs: vec![scalar] }),
            abi_version: None,
            measurements: Measurements::default(),
        };
        Ok((Box::new(FakeExecutable { device: self.clone(), strays: false }), compiled))
    }

    fn load(&self, _payload: &[u8]) -> Result<Box<dyn Loaded>, DeviceFault> {
        self.step(At::Load, &self.0.loads)?;
        let strays = self.0.strays.load(Ordering::SeqCst);
        Ok(Box::new(FakeExecutable { device: self.clone(), strays }))
    }

    fn put(&self, tensor: &Tensor) -> Result<Box<dyn Buffer>, DeviceFault> {
        Ok(Box::new(FakeBuffer(tensor.clone())))
    }

    fn free_memory_bytes(&self) -> Option<u64> {
        None
    }

    fn total_memory_bytes(&self) -> Option<u64> {
        None
    }

    fn memory_use(&self) -> Option<MemoryUse> {
        None
    }
}

/// An executable of the fake device.
struct FakeExecutable {
    device: FakeDevice,
    strays: bool,
}

impl Loaded for FakeExecutable {
    fn put(&self, tensor: &Tensor) -> Result<Box<dyn Buffer>, DeviceFault> {
        Device::put(&self.device, tensor)
    }

    fn run(&self, inputs: &[&dyn Buffer]) -> Result<Vec<Box<dyn Buffer>>, DeviceFault> {
        self.device.step(At::Run, &self.device.0.runs)?;
        let back = |buffer: &&dyn Buffer| {
            let FakeBuffer(tensor) = own(*buffer, "the fake device")?;
            let changed = if self.strays { 0x3f } else { 0 };
            let bytes: Vec<u8> = tensor.bytes().iter().map(|byte| byte ^ changed).collect();
            let result = Tensor::new(tensor.kind().clone(), &bytes).unwrap();
            Ok(Box::new(FakeBuffer(result)) as Box<dyn Buffer>)
        };
        inputs.iter().map(back).collect()
    }
}

#[derive(Debug)]
struct FakeBuffer(Tensor);

impl Buffer for FakeBuffer {
    fn kind(&self) -> Result<TensorType, DeviceFault> {
        Ok(self.0.kind().clone())
    }

    fn ready(&self) -> Result<Box<dyn Event>, DeviceFault> {
        Ok(Box::new(Come))
    }

    fn read_into(&self, bytes: &mut [u8]) -> Result<(), DeviceFault> {
        bytes.copy_from_slice(self.0.bytes());
        Ok(())
    }
}

/// An event that is ready.
struct Come;

impl Event for Come {
    fn wait(&self) -> Result<(), DeviceFault> {
        Ok(())
    }

    fn on_ready(&self, done: Done) -> Result<(), DeviceFault> {
        done(Ok(()));
        Ok(())
    }
}
