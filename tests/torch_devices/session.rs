//! A session on the libtorch that is installed, and tensors for it.

use preheat::Dtype;
use preheat::backend::torch::{
    FakeDevice, Torch, TorchDevice, TorchDeviceKind, TorchLookup, TorchOptions, TorchTensor,
};
use preheat::graph::Type;

/// A session with the CPU and these fake devices.
pub fn open(fake_devices: Vec<FakeDevice>) -> Torch {
    let options = TorchOptions { threads: Some(2), fake_devices };
    Torch::open(&TorchLookup::from_process(), &options).unwrap_or_else(|error| panic!("{error}"))
}

pub fn cpu(torch: &Torch) -> &TorchDevice {
    &torch.devices()[0]
}

/// The fake device of this number.
pub fn fake(torch: &Torch, index: usize) -> &TorchDevice {
    torch.devices().iter().filter(|device| device.kind == TorchDeviceKind::Fake).nth(index).unwrap()
}

pub fn f32s(dims: &[u64]) -> Type {
    Type::new(Dtype::Float32, dims)
}

/// `dims` of this number.
pub fn filled(torch: &Torch, device: &TorchDevice, dims: &[u64], number: f32) -> TorchTensor {
    let kind = f32s(dims);
    let bytes = number.to_le_bytes().repeat(usize::try_from(kind.elements()).unwrap());
    torch.tensor(device, &kind, &bytes).unwrap()
}

pub fn numbers(tensor: &TorchTensor) -> Vec<f32> {
    let bytes = tensor.to_host().unwrap();
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}
