//! What rests on a device, and for how long.

use preheat::backend::torch::{FakeDevice, Torch, TorchDevice, TorchErrorCode, TorchTensor, WeightPlace};
use preheat::graph::{Builder, UnaryOp, Verified};

use super::session::{cpu, f32s, fake, filled, numbers, open};

const SIDE: u64 = 128;
const MATRIX_BYTES: u64 = SIDE * SIDE * 4;
const LAYERS: usize = 24;

/// `LAYERS` products, one after the other: each has a weight of its own.
fn layers() -> Verified {
    let mut b = Builder::new("layers");
    let mut x = b.input("x", f32s(&[1, SIDE]));
    for layer in 0..LAYERS {
        let weight = b.weight(format!("{layer}.weight"), [SIDE, SIDE]);
        x = b.linear(x, weight, None).unwrap();
    }
    b.output("y", x);
    b.finish().unwrap()
}

fn weights(torch: &Torch, device: &TorchDevice) -> Vec<TorchTensor> {
    (0..LAYERS).map(|_| filled(torch, device, &[SIDE, SIDE], 1.0 / 128.0)).collect()
}

/// The peak on the fake device of a run, and what it gave, with the weights on `at`.
fn peak_of_a_run(torch: &Torch, at: &TorchDevice, place: WeightPlace) -> (u64, Vec<f32>) {
    let device = fake(torch, 0);
    let weights = weights(torch, at);
    torch.reset_peaks(device).unwrap();
    let graph = torch.load(device, &layers(), &weights.iter().collect::<Vec<_>>(), place).unwrap();
    let x = filled(torch, device, &[1, SIDE], 1.0);
    let outputs = graph.run(&[&x]).unwrap();
    (torch.memory(device).unwrap().tensors_peak, numbers(&outputs[0]))
}

#[test]
fn weights_that_rest_elsewhere_come_one_by_one() {
    let torch = open(vec![FakeDevice::default()]);
    let (resident, want) = peak_of_a_run(&torch, fake(&torch, 0), WeightPlace::OnDevice);
    let (streamed, have) = peak_of_a_run(&torch, cpu(&torch), WeightPlace::Anywhere);
    assert_eq!(have, want);
    assert!(resident >= MATRIX_BYTES * LAYERS as u64, "{resident}");
    assert!(streamed >= MATRIX_BYTES && streamed * 10 < resident, "{streamed} of {resident}");
}

#[test]
fn nothing_stays_when_everything_is_dropped() {
    let torch = open(vec![FakeDevice::default()]);
    let device = fake(&torch, 0);
    {
        let weights = weights(&torch, device);
        let graph = torch.load(device, &layers(), &weights.iter().collect::<Vec<_>>(), WeightPlace::OnDevice).unwrap();
        drop(weights);
        assert!(torch.memory(device).unwrap().tensors >= MATRIX_BYTES * LAYERS as u64, "the graph holds its weights");
        let x = filled(&torch, device, &[1, SIDE], 1.0);
        drop(graph.run(&[&x]).unwrap());
        let copy = x.copy_to(cpu(&torch)).unwrap();
        assert_eq!(numbers(&copy), numbers(&x));
        assert_eq!(torch.memory(cpu(&torch)).unwrap().tensors, SIDE * 4);
    }
    for device in torch.devices() {
        assert_eq!(torch.memory(device).unwrap().tensors, 0, "{device}");
    }
}

/// A chain of ops holds two values at a time, however long it is.
#[test]
fn a_value_goes_after_its_last_use() {
    let torch = open(vec![FakeDevice::default()]);
    let device = fake(&torch, 0);
    let mut b = Builder::new("chain");
    let mut x = b.input("x", f32s(&[SIDE, SIDE]));
    for _ in 0..20 {
        x = b.unary(UnaryOp::Silu, x).unwrap();
    }
    b.output("y", x);
    let graph = torch.load(device, &b.finish().unwrap(), &[], WeightPlace::OnDevice).unwrap();
    let x = filled(&torch, device, &[SIDE, SIDE], 1.0);
    torch.reset_peaks(device).unwrap();
    let outputs = graph.run(&[&x]).unwrap();
    assert_eq!(torch.memory(device).unwrap().tensors_peak, 3 * MATRIX_BYTES, "the input, and two values");
    assert_eq!(torch.memory(device).unwrap().tensors, 2 * MATRIX_BYTES);
    drop(outputs);
    assert_eq!(torch.memory(device).unwrap().tensors, MATRIX_BYTES);
}

#[test]
fn a_part_of_a_large_tensor_does_not_keep_all_of_it() {
    let torch = open(vec![FakeDevice::default()]);
    let device = fake(&torch, 0);
    let mut b = Builder::new("part");
    let x = b.input("x", f32s(&[SIDE, SIDE]));
    let y = b.unary(UnaryOp::Silu, x).unwrap();
    let y = b.slice(y, 0, 3, 4).unwrap();
    b.output("y", y);
    let graph = torch.load(device, &b.finish().unwrap(), &[], WeightPlace::OnDevice).unwrap();
    let outputs = {
        let x = filled(&torch, device, &[SIDE, SIDE], 0.0);
        graph.run(&[&x]).unwrap()
    };
    assert_eq!(torch.memory(device).unwrap().tensors, SIDE * 4);
    assert_eq!(numbers(&outputs[0]), vec![0.0; 128]);
}

#[test]
fn an_input_that_is_given_away_is_gone() {
    let torch = open(vec![FakeDevice::default()]);
    let device = fake(&torch, 0);
    let mut b = Builder::new("update");
    let x = b.input("x", f32s(&[SIDE, SIDE]));
    let y = b.scale(x, 2.0).unwrap();
    b.output_into("y", y, x);
    let graph = torch.load(device, &b.finish().unwrap(), &[], WeightPlace::OnDevice).unwrap();
    let x = filled(&torch, device, &[SIDE, SIDE], 1.0);
    let outputs = graph.run(&[&x]).unwrap();
    assert_eq!(numbers(&outputs[0]), vec![2.0; 128 * 128]);
    // The scalar of the graph, and the output.
    assert_eq!(torch.memory(device).unwrap().tensors, MATRIX_BYTES + 4);
    for error in [graph.run(&[&x]).unwrap_err(), x.read_into(&mut [0; 4]).unwrap_err(), x.copy_to(device).unwrap_err()]
    {
        assert!(matches!(error.code(), Some(TorchErrorCode::Donated | TorchErrorCode::WrongType)), "{error}");
    }
}

#[test]
fn too_little_memory_is_an_error_that_leaves_nothing() {
    let torch = open(vec![FakeDevice { memory_bytes: Some(4 * MATRIX_BYTES), ..FakeDevice::default() }]);
    let device = fake(&torch, 0);
    assert_eq!(device.total_bytes, Some(4 * MATRIX_BYTES));
    let error = torch.tensor(device, &f32s(&[5, SIDE, SIDE]), &vec![0; 5 * 65536]).unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
    assert!(error.to_string().contains("fake:0"), "{error}");

    let mut b = Builder::new("wide");
    let x = b.input("x", f32s(&[SIDE, SIDE]));
    let y = b.concat([x, x, x, x], 0).unwrap();
    b.output("y", y);
    let graph = torch.load(device, &b.finish().unwrap(), &[], WeightPlace::OnDevice).unwrap();
    let x = filled(&torch, device, &[SIDE, SIDE], 1.0);
    let error = graph.run(&[&x]).unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
    assert!(error.to_string().contains("(concat)"), "{error}");
    assert_eq!(torch.memory(device).unwrap().tensors, MATRIX_BYTES);
}

/// libtorch's own words: more than any machine has.
#[test]
fn the_allocator_of_the_cpu_says_so_too() {
    let torch = open(Vec::new());
    let mut b = Builder::new("huge");
    let x = b.input("x", f32s(&[1, 1]));
    let y = b.broadcast(x, [1 << 22, 1 << 22]).unwrap();
    let y = b.unary(UnaryOp::Silu, y).unwrap();
    b.output("y", y);
    let graph = torch.load(cpu(&torch), &b.finish().unwrap(), &[], WeightPlace::OnDevice).unwrap();
    let error = graph.run(&[&filled(&torch, cpu(&torch), &[1, 1], 1.0)]).unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
}
