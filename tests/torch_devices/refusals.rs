//! What is refused, and how: never a panic, and never an abort.

use preheat::Dtype;
use preheat::backend::torch::{FakeDevice, TorchErrorCode, TorchTensor, WeightPlace};
use preheat::graph::{Builder, Type, Verified};

use super::session::{cpu, f32s, fake, filled, numbers, open};

fn product() -> Verified {
    let mut b = Builder::new("product");
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
    let refused = torch.load(fake, &product(), &[&elsewhere], WeightPlace::OnDevice).unwrap_err();
    assert_eq!(refused.code(), Some(TorchErrorCode::WrongDevice), "{refused}");
    assert!(refused.to_string().contains("weight weight is on cpu, and the graph on fake:0"), "{refused}");

    let graph = torch.load(fake, &product(), &[&weight], WeightPlace::OnDevice).unwrap();
    let bf16 = torch.tensor(fake, &Type::new(Dtype::BFloat16, [2, 3]), &[0; 12]).unwrap();
    let cases: [(&[&TorchTensor], TorchErrorCode, &str); 5] = [
        (&[&filled(&torch, cpu, &[2, 3], 1.0)], TorchErrorCode::WrongDevice, "input x is on cpu"),
        (&[&bf16], TorchErrorCode::WrongType, "input x is bfloat16[2, 3], and should be float32[2, 3]"),
        (&[&filled(&torch, fake, &[3, 2], 1.0)], TorchErrorCode::WrongType, "float32[3, 2]"),
        (&[], TorchErrorCode::WrongType, "0 inputs are given, and the graph has 1"),
        (&[&weight, &weight], TorchErrorCode::WrongType, "2 inputs"),
    ];
    for (inputs, code, words) in cases {
        let refused = graph.run(inputs).unwrap_err();
        assert_eq!(refused.code(), Some(code), "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
    let y = graph.run(&[&filled(&torch, fake, &[2, 3], 1.0)]).unwrap();
    assert_eq!(numbers(&y[0]), [3.0; 8]);
}

#[test]
fn a_tensor_of_another_session_is_refused() {
    let (one, other) = (open(Vec::new()), open(Vec::new()));
    let weight = filled(&other, cpu(&other), &[4, 3], 1.0);
    let refused = one.load(cpu(&one), &product(), &[&weight], WeightPlace::OnDevice).unwrap_err();
    assert!(refused.to_string().contains("another session"), "{refused}");
}

#[test]
fn bytes_and_dtypes_that_fit_nothing_are_refused() {
    let torch = open(Vec::new());
    let refused = torch.tensor(cpu(&torch), &f32s(&[2, 3]), &[0; 23]).unwrap_err();
    assert_eq!(refused.code(), Some(TorchErrorCode::WrongType), "{refused}");
    let refused = torch.tensor(cpu(&torch), &Type::new(Dtype::UInt32, [1]), &[0; 4]).unwrap_err();
    assert_eq!(refused.code(), Some(TorchErrorCode::Unsupported), "{refused}");
    let x = filled(&torch, cpu(&torch), &[2, 3], 1.0);
    assert_eq!(x.read_into(&mut [0; 23]).unwrap_err().code(), Some(TorchErrorCode::WrongType));
    let mut stranger = cpu(&torch).clone();
    stranger.position = 99;
    let refused = x.copy_to(&stranger).unwrap_err();
    assert_eq!(refused.code(), Some(TorchErrorCode::WrongDevice), "{refused}");
}

/// Many threads in one session: sys.rs promises that they may.
#[test]
fn threads_share_a_graph() {
    let torch = open(Vec::new());
    let weight = filled(&torch, cpu(&torch), &[4, 3], 1.0);
    let graph = torch.load(cpu(&torch), &product(), &[&weight], WeightPlace::OnDevice).unwrap();
    std::thread::scope(|scope| {
        for number in [1.0_f32, 2.0, 3.0, 4.0] {
            let (torch, graph) = (&torch, &graph);
            scope.spawn(move || {
                for _ in 0..50 {
                    let x = filled(torch, cpu(torch), &[2, 3], number);
                    assert_eq!(numbers(&graph.run(&[&x]).unwrap()[0]), vec![3.0 * number; 8]);
                }
            });
        }
    });
}
