//! Every op.

use preheat::backend::torch::{FakeDevice, Torch, TorchDevice, TorchTensor, WeightPlace};
use preheat::graph::{Type, Verified};

use super::session::{cpu, fake, numbers, open};
use crate::op_suite::agree::{bytes, compare};
use crate::op_suite::cases::{Case, cases, given};
use crate::op_suite::reference::{Array, evaluate};

/// The first output of `function`. It is f32.
fn run(torch: &Torch, device: &TorchDevice, function: &Verified, inputs: &[Array], weights: &[Array]) -> Vec<f64> {
    let tensor = |kind: &Type, values: &Array| torch.tensor(device, kind, &bytes(kind, &values.data)).unwrap();
    let weights: Vec<TorchTensor> =
        function.weights().iter().zip(weights).map(|(decl, values)| tensor(&decl.kind, values)).collect();
    let inputs: Vec<TorchTensor> =
        function.inputs().iter().zip(inputs).map(|(decl, values)| tensor(&decl.kind, values)).collect();
    let weights: Vec<&TorchTensor> = weights.iter().collect();
    let graph = torch.load(device, function, &weights, WeightPlace::OnDevice).unwrap();
    let outputs = graph.run(&inputs.iter().collect::<Vec<_>>()).unwrap_or_else(|error| panic!("{error}"));
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
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_op_computes_what_it_says() {
    let torch = open(Vec::new());
    check(&torch, cpu(&torch), &cases());
}

/// A device that has no op at all: everything runs on the CPU, is counted, and comes out the same.
#[test]
fn every_op_that_a_device_lacks_runs_on_the_cpu() {
    let cases = cases();
    let mut lacks: Vec<String> =
        cases.iter().flat_map(|case| case.function.nodes()).map(|node| node.op.name().to_owned()).collect();
    lacks.sort();
    lacks.dedup();
    lacks.retain(|op| !["input", "weight", "literal", "fill"].contains(&op.as_str()));
    let torch = open(vec![FakeDevice { lacks: lacks.clone(), ..FakeDevice::default() }]);
    check(&torch, fake(&torch, 0), &cases);
    let mut ran: Vec<String> = torch.fallbacks().unwrap().into_iter().map(|fallback| fallback.op).collect();
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
    assert_eq!((fallbacks[0].op.as_str(), fallbacks[0].device.as_str(), fallbacks[0].count), ("silu", "fake:0", 3));
    assert!(fallbacks[0].reason.contains("not currently implemented"), "{}", fallbacks[0].reason);
}
