//! Does every op compute on libtorch what it should?

use preheat::Dtype;
use preheat_ir::graph::{Verified, autocast};
use preheat_runtime::backend::torch::{FakeDevice, Torch, TorchTensor, WeightPlace};
use preheat_runtime::device::TorchDevice;
use preheat_tensor::TensorType;

use super::session::{fake, numbers, open, real};
use crate::op_suite::agree::{bytes, compare};
use crate::op_suite::cases::{Case, cases, given};
use crate::op_suite::reference::{Array, evaluate};

/// The largest difference, relative to 1 + the largest expected result, for values with eight and
/// with eleven bits of precision that are summed in f32.
const BFLOAT16: f64 = 0.04;
const FLOAT16: f64 = 0.005;

/// The first output of `function`, which must be f32.
fn run(
    torch: &Torch,
    device: &TorchDevice,
    function: &Verified,
    inputs: &[Array],
    weights: &[Array],
) -> Vec<f64> {
    let tensor = |kind: &TensorType, values: &Array| {
        torch.tensor(device, kind, &bytes(kind, &values.data)).unwrap()
    };
    let inputs =
        function.inputs().iter().zip(inputs).map(|(decl, values)| tensor(&decl.kind, values));
    let weights =
        function.weights().iter().zip(weights).map(|(decl, values)| tensor(&decl.kind, values));
    let given: Vec<TorchTensor> = inputs.chain(weights).collect();
    let graph = torch.load(device, function).unwrap();
    let outputs = graph
        .run(&given.iter().collect::<Vec<_>>(), WeightPlace::OnDevice)
        .unwrap_or_else(|error| panic!("{}: {error}", function.name()));
    numbers(&outputs[0]).into_iter().map(f64::from).collect()
}

fn check(torch: &Torch, device: &TorchDevice, cases: &[Case]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let (inputs, weights) = given(&case.function);
            let want = evaluate(&case.function, &inputs, &weights);
            compare(case, &run(torch, device, &case.function, &inputs, &weights), &want[0]).err()
        })
        .collect();
    println!("{}: {} of {} cases agree", device.label(), cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "on {device}:\n{}", wrong.join("\n"));
}

#[test]
fn every_op_computes_what_it_says() {
    let torch = open(Vec::new());
    for device in real(&torch) {
        check(&torch, device, &cases());
    }
}

/// Tests the ops that a stage with a smaller dtype computes in that dtype. docs/precision.md lists
/// them.
#[test]
fn every_op_computes_what_it_says_in_a_smaller_dtype() {
    let torch = open(Vec::new());
    for (dtype, tolerance) in [(Dtype::BFloat16, BFLOAT16), (Dtype::Float16, FLOAT16)] {
        let low = cases().into_iter().filter_map(|case| {
            // A case for which `autocast` gives an error is left out here; the test above has it.
            let function = autocast(&case.function, dtype).ok()?;
            Some(Case { function, tolerance: tolerance.max(case.tolerance), ..case })
        });
        let low: Vec<Case> = low.collect();
        assert!(low.len() >= 20, "{}", low.len());
        for device in real(&torch) {
            println!("{dtype}:");
            check(&torch, device, &low);
        }
    }
}

/// On a device that has no op at all, everything runs on the CPU, is counted, and gives the same
/// results.
#[test]
fn every_op_that_a_device_lacks_runs_on_the_cpu() {
    let cases = cases();
    let mut lacks: Vec<String> = cases
        .iter()
        .flat_map(|case| case.function.nodes())
        .map(|node| node.op.name().to_owned())
        .collect();
    lacks.sort();
    lacks.dedup();
    lacks.retain(|op| !["input", "weight", "literal", "fill"].contains(&op.as_str()));
    let torch = open(vec![FakeDevice { lacks: lacks.clone(), ..FakeDevice::default() }]);
    check(&torch, fake(&torch, 0), &cases);
    let mut ran: Vec<String> =
        torch.fallbacks().unwrap().into_iter().map(|fallback| fallback.op).collect();
    ran.sort();
    assert_eq!(ran, lacks);
}

#[test]
fn what_a_device_lacks_is_counted_each_time_and_told_once() {
    let torch = open(vec![FakeDevice { lacks: vec!["silu".to_owned()], ..FakeDevice::default() }]);
    let case = cases().into_iter().find(|case| case.name == "silu").unwrap();
    let (inputs, weights) = given(&case.function);
    for _ in 0..3 {
        run(&torch, fake(&torch, 0), &case.function, &inputs, &weights);
    }
    let fallbacks = torch.fallbacks().unwrap();
    assert_eq!(fallbacks.len(), 1);
    assert_eq!(
        (fallbacks[0].op.as_str(), fallbacks[0].device.as_str(), fallbacks[0].count),
        ("silu", "fake:0", 3)
    );
    assert!(fallbacks[0].reason.contains("not currently implemented"), "{}", fallbacks[0].reason);
}
