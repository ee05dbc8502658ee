//! Which tensors take memory on a device, and for how long?

use std::time::Instant;

use preheat_ir::graph::{FunctionBuilder, UnaryOp, Verified};
use preheat_runtime::backend::torch::{
    FakeDevice, Torch, TorchErrorCode, TorchGraph, TorchTensor, WeightPlace,
};
use preheat_runtime::device::TorchDevice;
use preheat_torch_abi::UNKNOWN_BYTES;

use super::session::{cpu, f32s, fake, filled, numbers, open, real};

const SIDE: u64 = 128;
const MATRIX_BYTES: u64 = SIDE * SIDE * 4;
const LAYERS: usize = 24;

/// A chain of `LAYERS` matrix products, each with a weight of its own.
fn layers() -> Verified {
    let mut b = FunctionBuilder::new("layers");
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

/// The peak memory on the graph's device while it runs with weights that rest on `at`, and the
/// values of its output.
fn peak_of_a_run(
    torch: &Torch,
    graph: &TorchGraph,
    device: &TorchDevice,
    at: &TorchDevice,
    place: WeightPlace,
) -> (u64, Vec<f32>) {
    let x = filled(torch, device, &[1, SIDE], 1.0);
    let weights = weights(torch, at);
    torch.reset_peaks(device).unwrap();
    let given: Vec<&TorchTensor> = [&x].into_iter().chain(&weights).collect();
    let outputs = graph.run(&given, place).unwrap();
    (torch.memory(device).unwrap().tensors_peak, numbers(&outputs[0]))
}

/// The same graph runs in turn with weights on its device, and with weights that rest elsewhere.
#[test]
fn weights_that_rest_elsewhere_come_one_by_one() {
    let torch = open(vec![FakeDevice::default()]);
    for device in torch.devices().iter().filter(|device| *device != cpu(&torch)) {
        let graph = torch.load(device, &layers()).unwrap();
        for _ in 0..2 {
            let (resident, want) =
                peak_of_a_run(&torch, &graph, device, device, WeightPlace::OnDevice);
            let (streamed, have) =
                peak_of_a_run(&torch, &graph, device, cpu(&torch), WeightPlace::Anywhere);
            assert_eq!(have, want, "{device}");
            assert!(resident >= MATRIX_BYTES * LAYERS as u64, "{resident} on {device}");
            assert!(
                streamed >= MATRIX_BYTES && streamed * 10 < resident,
                "{streamed} of {resident} on {device}"
            );
            // Weights that are on the device already are used there.
            let (_, same) = peak_of_a_run(&torch, &graph, device, device, WeightPlace::Anywhere);
            assert_eq!(same, want, "{device}");
        }
    }
}

#[test]
fn nothing_stays_when_everything_is_dropped() {
    let torch = open(vec![FakeDevice::default()]);
    let device = fake(&torch, 0);
    {
        let weights = weights(&torch, device);
        let graph = torch.load(device, &layers()).unwrap();
        let x = filled(&torch, device, &[1, SIDE], 1.0);
        let given: Vec<&TorchTensor> = [&x].into_iter().chain(&weights).collect();
        drop(graph.run(&given, WeightPlace::OnDevice).unwrap());
        assert!(torch.memory(device).unwrap().tensors >= MATRIX_BYTES * LAYERS as u64);
        drop(weights);
        assert_eq!(torch.memory(device).unwrap().tensors, SIDE * 4, "the graph keeps no weights");
        let copy = x.copy_to(cpu(&torch)).unwrap();
        assert_eq!(numbers(&copy), numbers(&x));
        assert_eq!(torch.memory(cpu(&torch)).unwrap().tensors, SIDE * 4);
    }
    for device in torch.devices() {
        assert_eq!(torch.memory(device).unwrap().tensors, 0, "{device}");
    }
}

/// However long a chain of ops is, it holds only two values at a time.
#[test]
fn a_value_goes_after_its_last_use() {
    let torch = open(vec![FakeDevice::default()]);
    let device = fake(&torch, 0);
    let mut b = FunctionBuilder::new("chain");
    let mut x = b.input("x", f32s(&[SIDE, SIDE]));
    for _ in 0..20 {
        x = b.unary(UnaryOp::Silu, x).unwrap();
    }
    b.output("y", x);
    let graph = torch.load(device, &b.finish().unwrap()).unwrap();
    let x = filled(&torch, device, &[SIDE, SIDE], 1.0);
    torch.reset_peaks(device).unwrap();
    let outputs = graph.run(&[&x], WeightPlace::OnDevice).unwrap();
    assert_eq!(
        torch.memory(device).unwrap().tensors_peak,
        3 * MATRIX_BYTES,
        "the input, and two values"
    );
    assert_eq!(torch.memory(device).unwrap().tensors, 2 * MATRIX_BYTES);
    drop(outputs);
    assert_eq!(torch.memory(device).unwrap().tensors, MATRIX_BYTES);
}

#[test]
fn a_part_of_a_large_tensor_does_not_keep_all_of_it() {
    let torch = open(vec![FakeDevice::default()]);
    let device = fake(&torch, 0);
    let mut b = FunctionBuilder::new("part");
    let x = b.input("x", f32s(&[SIDE, SIDE]));
    let y = b.unary(UnaryOp::Silu, x).unwrap();
    let y = b.slice(y, 0, 3, 4).unwrap();
    b.output("y", y);
    let graph = torch.load(device, &b.finish().unwrap()).unwrap();
    let outputs = {
        let x = filled(&torch, device, &[SIDE, SIDE], 0.0);
        graph.run(&[&x], WeightPlace::OnDevice).unwrap()
    };
    assert_eq!(torch.memory(device).unwrap().tensors, SIDE * 4);
    assert_eq!(numbers(&outputs[0]), vec![0.0; 128]);
}

#[test]
fn an_input_that_is_given_away_is_gone() {
    let torch = open(vec![FakeDevice::default()]);
    let device = fake(&torch, 0);
    let mut b = FunctionBuilder::new("update");
    let x = b.input("x", f32s(&[SIDE, SIDE]));
    let y = b.scale(x, 2.0).unwrap();
    b.output_into("y", y, x);
    let graph = torch.load(device, &b.finish().unwrap()).unwrap();
    let x = filled(&torch, device, &[SIDE, SIDE], 1.0);
    let outputs = graph.run(&[&x], WeightPlace::OnDevice).unwrap();
    assert_eq!(numbers(&outputs[0]), vec![2.0; 128 * 128]);
    // What is left is the scalar of the graph, and the output.
    assert_eq!(torch.memory(device).unwrap().tensors, MATRIX_BYTES + 4);
    for error in [
        graph.run(&[&x], WeightPlace::OnDevice).unwrap_err(),
        x.read_into(&mut [0; 4]).unwrap_err(),
        x.copy_to(device).unwrap_err(),
    ] {
        assert!(
            matches!(error.code(), Some(TorchErrorCode::Donated | TorchErrorCode::WrongType)),
            "{error}"
        );
    }
}

#[test]
fn a_run_that_is_refused_takes_no_input() {
    let torch = open(vec![FakeDevice::default()]);
    let device = fake(&torch, 0);
    let mut b = FunctionBuilder::new("update two");
    let kept = b.input("kept", f32s(&[SIDE, SIDE]));
    let gone = b.input("gone", f32s(&[SIDE, SIDE]));
    for (name, input) in [("first", kept), ("second", gone)] {
        let y = b.scale(input, 2.0).unwrap();
        b.output_into(name, y, input);
    }
    let graph = torch.load(device, &b.finish().unwrap()).unwrap();
    let make = || filled(&torch, device, &[SIDE, SIDE], 1.0);
    let (kept, gone) = (make(), make());
    graph.run(&[&make(), &gone], WeightPlace::OnDevice).unwrap();
    let error = graph.run(&[&kept, &gone], WeightPlace::OnDevice).unwrap_err();
    assert_eq!(error.code(), Some(TorchErrorCode::Donated), "{error}");
    assert_eq!(numbers(&kept), vec![1.0; 128 * 128]);
}

#[test]
fn free_memory_is_told_of_the_one_device() {
    let torch =
        open(vec![FakeDevice { memory_bytes: Some(4 * MATRIX_BYTES), ..FakeDevice::default() }]);
    let _resting = filled(&torch, fake(&torch, 0), &[SIDE, SIDE], 1.0);
    let memory = torch.memory(fake(&torch, 0)).unwrap();
    assert_eq!((memory.free, memory.total), (3 * MATRIX_BYTES, 4 * MATRIX_BYTES));
    let of_cpu = torch.memory(cpu(&torch)).unwrap();
    assert_eq!(
        (of_cpu.free, of_cpu.total),
        (UNKNOWN_BYTES, UNKNOWN_BYTES),
        "the host's memory does not belong to one device"
    );
    for device in real(&torch).into_iter().skip(1) {
        let memory = torch.memory(device).unwrap();
        assert!(
            0 < memory.free
                && memory.free <= memory.total
                && Some(memory.total) == device.total_bytes,
            "{device}"
        );
    }
}

#[test]
fn too_little_memory_is_an_error_that_leaves_nothing() {
    let torch =
        open(vec![FakeDevice { memory_bytes: Some(4 * MATRIX_BYTES), ..FakeDevice::default() }]);
    let device = fake(&torch, 0);
    assert_eq!(device.total_bytes, Some(4 * MATRIX_BYTES));
    let error = torch.tensor(device, &f32s(&[5, SIDE, SIDE]), &vec![0; 5 * 65536]).unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
    assert!(error.to_string().contains("fake:0"), "{error}");

    let mut b = FunctionBuilder::new("wide");
    let x = b.input("x", f32s(&[SIDE, SIDE]));
    let y = b.concat([x, x, x, x], 0).unwrap();
    b.output("y", y);
    let graph = torch.load(device, &b.finish().unwrap()).unwrap();
    let x = filled(&torch, device, &[SIDE, SIDE], 1.0);
    let error = graph.run(&[&x], WeightPlace::OnDevice).unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
    assert!(error.to_string().contains("(concat)"), "{error}");
    assert_eq!(torch.memory(device).unwrap().tensors, MATRIX_BYTES);
}

/// Checks the error of libtorch's own allocators. The test allocates more memory than there are
/// addresses, because a system may allocate more memory than it has. The device still works
/// afterwards.
#[test]
fn the_allocator_of_each_device_says_so_too() {
    let torch = open(Vec::new());
    for device in real(&torch) {
        let widened = |side: u64| {
            let mut b = FunctionBuilder::new("wide");
            let x = b.input("x", f32s(&[1, 1]));
            let y = b.broadcast(x, [side, side]).unwrap();
            let y = b.unary(UnaryOp::Silu, y).unwrap();
            let y = b.slice(y, 0, 0, 1).unwrap();
            b.output("y", y);
            torch.load(device, &b.finish().unwrap()).unwrap()
        };
        let x = filled(&torch, device, &[1, 1], 0.0);
        let error = widened(1 << 23).run(&[&x], WeightPlace::OnDevice).unwrap_err();
        assert!(error.is_out_of_memory(), "{device}: {error}");
        println!("{device}: {error}");
        assert_eq!(
            numbers(&widened(8).run(&[&x], WeightPlace::OnDevice).unwrap()[0]),
            [0.0; 8],
            "{device}"
        );
    }
}

/// Checks that libtorch's own allocator gives memory back, on devices that report how much memory
/// it holds. Other tests in this process use the same allocator, but little memory.
#[test]
fn the_allocator_of_a_card_gets_it_back() {
    const BYTES: u64 = 512 << 20;
    let torch = open(Vec::new());
    for device in real(&torch).into_iter().skip(1) {
        let large = torch
            .tensor(device, &f32s(&[BYTES / 4]), &vec![0; usize::try_from(BYTES).unwrap()])
            .unwrap();
        let full = torch.memory(device).unwrap();
        println!("{device}: {full:?}");
        assert!(
            full.tensors == BYTES && full.allocated >= BYTES && full.reserved >= full.allocated,
            "{full:?}"
        );
        drop(large);
        let empty = torch.memory(device).unwrap();
        assert!(
            empty.tensors == 0 && empty.allocated + BYTES / 2 < full.allocated,
            "{full:?}, then {empty:?}"
        );
        torch.drop_caches(device).unwrap();
        let returned = torch.memory(device).unwrap();
        println!("{device}: {returned:?}");
        assert!(returned.reserved + BYTES / 2 < full.reserved, "{full:?}, then {returned:?}");
    }
}

/// A run gets all weights of a network, which can be several hundred. Checking them must take very
/// little time compared with a step of 20 ms.
#[test]
fn many_weights_are_checked_in_no_time() {
    const WEIGHTS: usize = 700;
    let torch = open(vec![FakeDevice::default()]);
    let device = fake(&torch, 0);
    let mut b = FunctionBuilder::new("many");
    let mut x = b.input("x", f32s(&[1, 1]));
    let all: Vec<_> =
        (0..WEIGHTS).map(|index| b.weight(format!("{index}.weight"), [1, 1])).collect();
    x = b.linear(x, all[0], None).unwrap();
    b.output("y", x);
    let graph = torch.load(device, &b.finish().unwrap()).unwrap();
    let given: Vec<TorchTensor> =
        (0..=WEIGHTS).map(|_| filled(&torch, device, &[1, 1], 1.0)).collect();
    let given: Vec<&TorchTensor> = given.iter().collect();
    let seconds = (0..50).map(|_| {
        let began = Instant::now();
        graph.run(&given, WeightPlace::OnDevice).unwrap();
        began.elapsed().as_secs_f64()
    });
    let best = seconds.fold(f64::INFINITY, f64::min);
    println!("{:.0} us for a run of one op with {WEIGHTS} weights", best * 1e6);
    assert!(best < 1e-3, "{best} s");
}
