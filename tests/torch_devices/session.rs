//! How do the tests open a session on the installed libtorch, and make tensors for it?

use std::process::Command;

use preheat::Dtype;
use preheat_runtime::backend::torch::{FakeDevice, Torch, TorchLookup, TorchOptions, TorchTensor};
use preheat_runtime::device::{TorchDevice, TorchId};
use preheat_tensor::TensorType;

/// A session with the CPU and these fake devices.
pub fn open(fake_devices: Vec<FakeDevice>) -> Torch {
    let options = TorchOptions { threads: Some(2), fake_devices };
    Torch::open(&TorchLookup::from_process(), &options).unwrap_or_else(|error| panic!("{error}"))
}

pub fn cpu(torch: &Torch) -> &TorchDevice {
    &torch.devices()[0]
}

/// The fake device with this index.
pub fn fake(torch: &Torch, index: usize) -> &TorchDevice {
    torch
        .devices()
        .iter()
        .filter(|device| matches!(device.id, TorchId::Fake(_)))
        .nth(index)
        .unwrap()
}

/// The usable devices that are not fake: the CPU, and the cards or Apple's GPU if there are any.
pub fn real(torch: &Torch) -> Vec<&TorchDevice> {
    let all = torch.devices().iter();
    all.filter(|device| device.is_usable() && !matches!(device.id, TorchId::Fake(_))).collect()
}

/// The first of the real devices that is not the CPU.
pub fn accelerator(torch: &Torch) -> Option<&TorchDevice> {
    real(torch).get(1).copied()
}

pub fn f32s(dims: &[u64]) -> TensorType {
    TensorType::new(Dtype::Float32, dims)
}

/// A tensor of the shape `dims` whose elements all equal `number`.
pub fn filled(torch: &Torch, device: &TorchDevice, dims: &[u64], number: f32) -> TorchTensor {
    let kind = f32s(dims);
    let bytes = number.to_le_bytes().repeat(usize::try_from(kind.elements()).unwrap());
    torch.tensor(device, &kind, &bytes).unwrap()
}

pub fn numbers(tensor: &TorchTensor) -> Vec<f32> {
    let bytes = tensor.to_host().unwrap();
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

#[test]
fn devices_are_described() {
    let torch = open(vec![FakeDevice { memory_bytes: Some(1 << 20), ..FakeDevice::default() }]);
    assert_eq!(cpu(&torch).id, TorchId::Cpu);
    #[cfg(target_os = "linux")]
    assert!(cpu(&torch).free_bytes > Some(0), "the host reports its free memory");
    assert_eq!(
        (fake(&torch, 0).total_bytes, fake(&torch, 0).free_bytes),
        (Some(1 << 20), Some(1 << 20))
    );
    for (device, position) in torch.devices().iter().zip(0..) {
        println!(
            "{}: free {:?}, capability {:?}",
            device.label(),
            device.free_bytes,
            device.compute_capability
        );
        assert_eq!((device.position, device.problem.as_deref()), (position, None), "{device}");
        assert!(!device.name.is_empty() && device.free_bytes <= device.total_bytes, "{device:?}");
        assert_eq!(
            device.compute_capability.is_some(),
            matches!(device.id, TorchId::Cuda(_)) && !device.rocm
        );
    }
}

/// Loading libtorch must not make a program print anything.
#[test]
fn opening_writes_nothing() {
    const CHILD: &str = "PREHEAT_TEST_OPENS_TORCH";
    if std::env::var_os(CHILD).is_some() {
        let torch = open(Vec::new());
        torch.synchronize(real(&torch).last().unwrap()).unwrap();
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "torch_devices::session::opening_writes_nothing", "--nocapture"])
        .env(CHILD, "1");
    let output = child.output().unwrap();
    assert_eq!(
        (output.status.success(), String::from_utf8_lossy(&output.stderr).as_ref()),
        (true, "")
    );
    let of_the_test_runner =
        |line: &str| line.is_empty() || line.starts_with("test ") || line == "running 1 test";
    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(written.contains("1 passed") && written.lines().all(of_the_test_runner), "{written}");
}
