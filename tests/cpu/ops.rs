//! Does each op compute on the real XLA:CPU what the reference in `op_suite` computes in f64?

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::op_suite;
use crate::support;

use std::collections::BTreeSet;
use std::iter::empty;
use std::sync::LazyLock;

use op_suite::agree::{bytes, compare};
use op_suite::cases::{Case, cases, given};
use op_suite::reference::{Array, evaluate};
use preheat_ir::graph::{Op, Verified};
use preheat_ir::lower::{LoweringTarget, stablehlo};
use preheat_pjrt::{Buffer, Client, ExecuteOptions, PjrtProgram, Plugin, options};
use preheat_tensor::TensorType;

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let plugin = Plugin::open(&support::xla_cpu_plugin()).unwrap();
    Client::create(&plugin, &[]).unwrap()
});

fn buffer(kind: &TensorType, values: &Array) -> Buffer {
    let device = &CLIENT.addressable_devices().unwrap()[0];
    CLIENT.buffer_from_host(device, kind.dtype, &kind.dims, &bytes(kind, &values.data)).unwrap()
}

/// The first output of `function`, which must be f32, after it was lowered for `target` and run.
fn run(
    function: &Verified,
    target: LoweringTarget,
    inputs: &[Array],
    weights: &[Array],
) -> Result<Vec<f64>, String> {
    let lowered = stablehlo(function, target);
    let program = PjrtProgram::mlir(lowered.text.as_bytes());
    let executable = CLIENT
        .compile(program, &options::encode(&options::BuildOptions::default(), empty()).unwrap())
        .map_err(|error| format!("{}: {error}\n{}", function.name(), lowered.text))?;
    let mut buffers: Vec<Buffer> = function
        .inputs()
        .iter()
        .zip(inputs)
        .map(|(decl, values)| buffer(&decl.kind, values))
        .collect();
    for ((decl, values), order) in
        function.weights().iter().zip(weights).zip(&lowered.weight_orders)
    {
        buffers.push(buffer(&decl.kind, &values.permuted(order)));
    }
    let arguments: Vec<&Buffer> = buffers.iter().collect();
    let outputs = executable.execute(&arguments, ExecuteOptions::default()).unwrap();
    let kind = function.type_of(function.outputs()[0].value);
    let mut result = vec![0; usize::try_from(kind.elements()).unwrap() * 4];
    outputs[0].to_host_into(&mut result).unwrap();
    Ok(result
        .chunks_exact(4)
        .map(|four| f64::from(f32::from_le_bytes(four.try_into().unwrap())))
        .collect())
}

/// Runs cases in two threads, and panics with a list of all errors.
fn check(target: LoweringTarget, cases: &[Case]) {
    let check = |case: &Case| {
        let (inputs, weights) = given(&case.function);
        let want = evaluate(&case.function, &inputs, &weights);
        compare(case, &run(&case.function, target, &inputs, &weights)?, &want[0])
    };
    let (one, other) = cases.split_at(cases.len() / 2);
    let wrong_of =
        |cases: &[Case]| cases.iter().filter_map(|case| check(case).err()).collect::<Vec<String>>();
    let wrong = std::thread::scope(|scope| {
        let one = scope.spawn(|| wrong_of(one));
        [wrong_of(other), one.join().unwrap()].concat()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_op_computes_what_it_says() {
    check(LoweringTarget::Cpu, &cases());
}

#[test]
fn the_form_for_accelerators_computes_the_same() {
    let attends =
        |case: &Case| case.function.nodes().iter().any(|node| matches!(node.op, Op::Attention(_)));
    let cases: Vec<Case> = cases().into_iter().filter(attends).collect();
    assert!(cases.len() > 5);
    check(LoweringTarget::Accelerator, &cases);
}

/// Checks that each op is in some case.
#[test]
fn every_op_has_a_case() {
    let cases = cases();
    let used: BTreeSet<&str> =
        cases.iter().flat_map(|case| case.function.nodes()).map(|node| node.op.name()).collect();
    let all = "add attention broadcast concat conv2d convert cos div embedding exp fill gelu group_norm input \
               layer_norm linear literal max min mul permute quick_gelu reshape select_row sigmoid silu sin slice sub \
               upsample weight";
    assert_eq!(used, all.split_whitespace().collect());
}
