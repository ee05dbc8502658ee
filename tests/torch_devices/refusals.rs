//! What is refused, and with which error? Nothing here may panic or abort.

use preheat::Dtype;
use preheat_ir::graph::{BinaryOp, FunctionBuilder, Verified};
use preheat_runtime::backend::torch::{FakeDevice, TorchErrorCode, TorchTensor, WeightPlace};
use preheat_tensor::TensorType;

use super::session::{cpu, f32s, fake, filled, numbers, open};

fn product() -> Verified {
    let mut b = FunctionBuilder::new("product");
    let x = b.input("x", f32s(&[2, 3]));
    let weight = b.weight("weight", [4, 3]);
    let y = b.linear(x, weight, None).unwrap();
    b.output("y", y);
    b.finish().unwrap()
}

#[test]
fn a_tensor_of_another_device_dtype_or_shape_is_refused() {
    let torch = open(vec![FakeDevice::default()]);
    let (cpu, fake) = (cpu(&torch), fake(&torch, 0));
    let weight = filled(&torch, fake, &[4, 3], 1.0);
    let elsewhere = filled(&torch, cpu, &[4, 3], 1.0);
    let x = filled(&torch, fake, &[2, 3], 1.0);
    let graph = torch.load(fake, &product()).unwrap();
    let bf16 = torch.tensor(fake, &TensorType::new(Dtype::BFloat16, [2, 3]), &[0; 12]).unwrap();
    let (x_elsewhere, wide) =
        (filled(&torch, cpu, &[2, 3], 1.0), filled(&torch, fake, &[3, 2], 1.0));
    let cases: [(&[&TorchTensor], TorchErrorCode, &str); 8] = [
        (
            &[&x, &elsewhere],
            TorchErrorCode::WrongDevice,
            "weight weight is on cpu, and the graph on fake:0",
        ),
        (
            &[&x_elsewhere, &weight],
            TorchErrorCode::WrongDevice,
            "input x is on cpu, and the graph on fake:0",
        ),
        (
            &[&bf16, &weight],
            TorchErrorCode::WrongType,
            "input x is bfloat16[2, 3], and should be float32[2, 3]",
        ),
        (&[&wide, &weight], TorchErrorCode::WrongType, "input x is float32[3, 2]"),
        (
            &[&x, &wide],
            TorchErrorCode::WrongType,
            "weight weight is float32[3, 2], and should be float32[4, 3]",
        ),
        (
            &[],
            TorchErrorCode::WrongType,
            "0 tensors are given, and the graph has 1 inputs and 1 weights",
        ),
        (&[&x], TorchErrorCode::WrongType, "1 tensors"),
        (&[&x, &weight, &weight], TorchErrorCode::WrongType, "3 tensors"),
    ];
    for (given, code, words) in cases {
        let refused = graph.run(given, WeightPlace::OnDevice).unwrap_err();
        assert_eq!(refused.code(), Some(code), "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
    // `WeightPlace::Anywhere` moves weights to the device, and never inputs.
    let refused = graph.run(&[&x_elsewhere, &elsewhere], WeightPlace::Anywhere).unwrap_err();
    assert!(refused.to_string().contains("input x is on cpu"), "{refused}");
    for (weight, place) in [(&weight, WeightPlace::OnDevice), (&elsewhere, WeightPlace::Anywhere)] {
        assert_eq!(numbers(&graph.run(&[&x, weight], place).unwrap()[0]), [3.0; 8]);
    }
}

/// A run is refused before it takes over the memory of any input.
#[test]
fn a_run_that_is_refused_leaves_its_inputs() {
    let torch = open(Vec::new());
    let mut b = FunctionBuilder::new("update");
    let x = b.input("x", f32s(&[2]));
    let y = b.input("y", f32s(&[2]));
    let sum = b.binary(BinaryOp::Add, x, y).unwrap();
    b.output_into("sum", sum, x);
    let graph = torch.load(cpu(&torch), &b.finish().unwrap()).unwrap();
    let (x, y) = (filled(&torch, cpu(&torch), &[2], 1.0), filled(&torch, cpu(&torch), &[2], 2.0));
    graph.run(&[&x, &filled(&torch, cpu(&torch), &[3], 2.0)], WeightPlace::OnDevice).unwrap_err();
    assert_eq!(numbers(&graph.run(&[&x, &y], WeightPlace::OnDevice).unwrap()[0]), [3.0; 2]);
}

#[test]
fn a_tensor_of_another_session_is_refused() {
    let (one, other) = (open(Vec::new()), open(Vec::new()));
    let graph = one.load(cpu(&one), &product()).unwrap();
    let (x, weight) =
        (filled(&one, cpu(&one), &[2, 3], 1.0), filled(&other, cpu(&other), &[4, 3], 1.0));
    for place in [WeightPlace::OnDevice, WeightPlace::Anywhere] {
        let refused = graph.run(&[&x, &weight], place).unwrap_err();
        assert!(refused.to_string().contains("another session"), "{refused}");
    }
}

#[test]
fn bytes_and_dtypes_that_fit_nothing_are_refused() {
    let torch = open(Vec::new());
    let refused = torch.tensor(cpu(&torch), &f32s(&[2, 3]), &[0; 23]).unwrap_err();
    assert_eq!(refused.code(), Some(TorchErrorCode::WrongType), "{refused}");
    let refused =
        torch.tensor(cpu(&torch), &TensorType::new(Dtype::UInt32, [1]), &[0; 4]).unwrap_err();
    assert_eq!(refused.code(), Some(TorchErrorCode::Unsupported), "{refused}");
    let x = filled(&torch, cpu(&torch), &[2, 3], 1.0);
    assert_eq!(x.read_into(&mut [0; 23]).unwrap_err().code(), Some(TorchErrorCode::WrongType));
    let mut stranger = cpu(&torch).clone();
    stranger.position = 99;
    let refused = x.copy_to(&stranger).unwrap_err();
    assert_eq!(refused.code(), Some(TorchErrorCode::WrongDevice), "{refused}");
}

/// Many threads may use one session at the same time, as `preheat-torch-abi` promises.
#[test]
fn threads_share_a_graph() {
    let torch = open(Vec::new());
    let weight = filled(&torch, cpu(&torch), &[4, 3], 1.0);
    let graph = torch.load(cpu(&torch), &product()).unwrap();
    std::thread::scope(|scope| {
        for number in [1.0_f32, 2.0, 3.0, 4.0] {
            let (torch, graph, weight) = (&torch, &graph, &weight);
            scope.spawn(move || {
                for _ in 0..50 {
                    let x = filled(torch, cpu(torch), &[2, 3], number);
                    let outputs = graph.run(&[&x, weight], WeightPlace::OnDevice).unwrap();
                    assert_eq!(numbers(&outputs[0]), vec![3.0 * number; 8]);
                }
            });
        }
    });
}
