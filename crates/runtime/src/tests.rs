//! Is each request answered from the cheapest source that has the executable? The tests use a
//! device that computes nothing, so they need no plugin.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use preheat_cache::{
    BuilderId, Match, Program, ProgramFormat, Signature, Source, create_execution_signature,
};
use preheat_tensor::{Dtype, Tensor, TensorType};

use super::{CompileEffort, Error, Graph, Runtime, RuntimeBuilder, Verdict};
use crate::backend::FaultKind;
use crate::backend::fake::{At, FakeDevice};

const BUILD: &str = "fake 1";

fn signature(steps: u64) -> Signature {
    create_execution_signature("model", [1, 4, 64, 64], 1, 7.0, "euler", steps, Dtype::Float32)
        .unwrap()
}

fn program(name: &str) -> Program {
    let text = format!(
        "module @{name} {{ func.func public @main(%x: tensor<2xf32>) -> tensor<2xf32> {{ return \
         %x : tensor<2xf32> }} }}"
    );
    Program::new(ProgramFormat::Mlir, text.into_bytes())
}

/// A graph that level 1 can find without building it. Building it fails if `may_build` is false.
fn graph(may_build: bool) -> Graph {
    Graph::built_by(BuilderId("builder 1".to_owned()), move || {
        if may_build { Ok(program("unet")) } else { Err("it must not be built".into()) }
    })
    .stage("denoiser")
}

fn device() -> FakeDevice {
    FakeDevice::new(BUILD, Duration::ZERO)
}

/// A new runtime on `device`, as in a process that has just started.
fn open(device: &FakeDevice, dir: &Path) -> Runtime {
    RuntimeBuilder::default().cache_dir(dir).build_on(Arc::new(device.clone()))
}

fn sources(runtime: &Runtime, graph: &Graph) -> (Source, Match) {
    let report = runtime.get_or_compile(&signature(20), graph).unwrap().report().clone();
    (report.source, report.matched)
}

#[test]
fn memory_then_level_1_then_the_graph_then_a_compile() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    let first = open(&device, dir.path());
    assert_eq!(sources(&first, &graph(true)), (Source::Compiled, Match::Compiled));
    assert_eq!(sources(&first, &graph(false)), (Source::Memory, Match::Exact));
    assert_eq!(device.counts(), (1, 0, 0));
    drop(first);
    // A later process finds the executable by the signature alone: the graph is not built.
    let later = open(&device, dir.path());
    assert_eq!(sources(&later, &graph(false)), (Source::Disk, Match::Exact));
    // Another builder makes the same graph. Level 1 misses, and the graph key finds the executable.
    let other = Graph::built_by(BuilderId("builder 2".to_owned()), || Ok(program("unet")));
    let answer = sources(&open(&device, dir.path()), &other.stage("denoiser"));
    assert_eq!(answer, (Source::Disk, Match::Graph));
    assert_eq!(device.counts(), (1, 2, 0));
}

#[test]
fn another_build_of_the_driver_shares_nothing() {
    let dir = tempfile::tempdir().unwrap();
    sources(&open(&device(), dir.path()), &graph(true));
    let newer = FakeDevice::new("fake 2", Duration::ZERO);
    let runtime = open(&newer, dir.path());
    let looked_up = runtime.lookup(&signature(20), &graph(true)).unwrap();
    assert_eq!(looked_up.verdict, Verdict::Miss);
    let nearest = looked_up.stages[0].nearest.clone().unwrap();
    assert_eq!(nearest.differences[0].field, "plugin_build", "{nearest:?}");
    assert_eq!(sources(&runtime, &graph(true)).0, Source::Compiled);
}

#[test]
fn what_the_device_refuses_is_compiled_again_with_a_warning() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    sources(&open(&device, dir.path()), &graph(true));
    device.fail(At::Load, 1, FaultKind::BadInput);
    let runtime = open(&device, dir.path());
    assert_eq!(sources(&runtime, &graph(true)).0, Source::Compiled);
    let warnings = runtime.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].text.contains("told to fail at Load"),
        "{warnings:?}"
    );
    assert_eq!(device.counts(), (2, 1, 0));
}

#[test]
fn a_busy_device_is_an_error_and_costs_no_compile() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    sources(&open(&device, dir.path()), &graph(true));
    device.fail(At::Load, 1, FaultKind::Passing);
    let runtime = open(&device, dir.path());
    let error = runtime.get_or_compile(&signature(20), &graph(true)).unwrap_err();
    assert!(matches!(&error, Error::Run { cause, .. } if cause.is_passing()), "{error}");
    assert_eq!(sources(&runtime, &graph(true)).0, Source::Disk);
    assert_eq!(device.counts(), (1, 2, 0));
}

#[test]
fn require_warm_refuses_in_one_variant_and_asks_the_device_for_nothing() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    let runtime = open(&device, dir.path());
    let (signature, graph) = (signature(20), graph(true));
    let asked = runtime.request(&signature, &graph).require_warm(true).get();
    let Err(Error::NotWarm(stages)) = asked else { panic!("{asked:?}") };
    assert_eq!((stages.len(), stages[0].stage.as_str()), (1, "denoiser"));
    assert_eq!(device.counts(), (0, 0, 0));
}

#[test]
fn threads_that_ask_for_one_graph_compile_it_once_with_and_without_a_store() {
    for use_cache in [true, false] {
        // Without a store, the memory is the only place where other threads can find it.
        let device = FakeDevice::new(BUILD, Duration::from_millis(20));
        let dir = tempfile::tempdir().unwrap();
        let builder = RuntimeBuilder::default().cache_dir(dir.path()).read_only(!use_cache);
        let runtime = builder.build_on(Arc::new(device.clone()));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| runtime.get_or_compile(&signature(20), &graph(true)).unwrap());
            }
        });
        assert_eq!(device.counts().0, 1, "with a store: {use_cache}");
    }
}

#[test]
fn a_failed_compile_is_shared_by_those_who_waited_and_not_remembered() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    device.fail(At::Compile, 1, FaultKind::Failed);
    let runtime = open(&device, dir.path());
    let error = runtime.get_or_compile(&signature(20), &graph(true)).unwrap_err();
    assert!(matches!(error, Error::Compile { .. }), "{error}");
    assert_eq!(sources(&runtime, &graph(true)).0, Source::Compiled);
    assert_eq!(runtime.stats().unwrap().stages.failed_compiles, 1);
}

#[test]
fn a_warmup_compiles_and_runs_once_on_zeros() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    let runtime = open(&device, dir.path());
    let (executable, report) = runtime.warmup(&signature(20), &graph(true)).unwrap();
    assert_eq!((report.kept, device.counts()), (true, (1, 0, 1)));
    let ones = Tensor::from_f32(&[2], &[1.0, 2.0]).unwrap();
    assert_eq!(executable.run_to_host(&[ones]).unwrap()[0].to_f32().unwrap(), [1.0, 2.0]);
    let short = TensorType::new(Dtype::Float32, vec![1]);
    let refused = executable.run(&[Tensor::zeros(short).unwrap()]);
    assert!(matches!(refused, Err(Error::InputType { index: 0, .. })), "{refused:?}");
}

#[test]
fn precompiling_stores_without_loading() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    let runtime = open(&device, dir.path());
    let (signature, graph) = (signature(20), graph(true));
    let stored = runtime.request(&signature, &graph).precompile().unwrap();
    assert_eq!((stored.source, device.counts()), (Source::Compiled, (1, 0, 0)));
    let again = runtime.request(&signature, &graph).precompile().unwrap();
    assert_eq!((again.source, device.counts()), (Source::Disk, (1, 0, 0)));
}

#[test]
fn a_higher_effort_serves_a_lower_one_and_never_the_other_way_round() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    let at = |runtime: &Runtime, effort: CompileEffort| {
        let (signature, graph) = (signature(20), graph(true));
        let executable = runtime.request(&signature, &graph).effort(effort).get().unwrap();
        (executable.report().source, executable.report().effort)
    };
    let runtime = open(&device, dir.path());
    let fast = (Source::Compiled, CompileEffort::Fast);
    assert_eq!(at(&runtime, CompileEffort::Fast), fast);
    assert_eq!(at(&runtime, CompileEffort::Fast), (Source::Memory, CompileEffort::Fast));
    // The full effort is another graph, with another key.
    assert_eq!(at(&runtime, CompileEffort::Full), (Source::Compiled, CompileEffort::Full));
    assert_eq!(at(&runtime, CompileEffort::Fast), (Source::Memory, CompileEffort::Full));
    assert_eq!(device.counts().0, 2);
    // A later process, which finds both on disk, takes the higher one.
    let later = open(&device, dir.path());
    assert_eq!(at(&later, CompileEffort::Fast), (Source::Disk, CompileEffort::Full));
    assert_eq!(device.counts(), (2, 1, 0));
}

#[test]
fn a_look_up_and_a_precompile_name_the_effort() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    let runtime = open(&device, dir.path());
    let (signature, graph) = (signature(20), graph(true));
    let request = |effort| runtime.request(&signature, &graph).effort(effort);
    let missing = request(CompileEffort::Fast).lookup().unwrap();
    let told = |lookup: &super::Lookup| (lookup.verdict, lookup.stages[0].effort.unwrap());
    assert_eq!(told(&missing), (Verdict::Miss, CompileEffort::Fast));
    let stored = request(CompileEffort::Fast).precompile().unwrap();
    assert_eq!((stored.source, stored.effort), (Source::Compiled, CompileEffort::Fast));
    let (hit, full) = (request(CompileEffort::Fast), request(CompileEffort::Full));
    assert_eq!(told(&hit.lookup().unwrap()), (Verdict::Hit, CompileEffort::Fast));
    let miss = full.lookup().unwrap();
    assert_eq!(told(&miss), (Verdict::Miss, CompileEffort::Full));
    let nearest = miss.stages[0].nearest.clone().unwrap();
    assert!(nearest.differences.iter().any(|one| one.field.contains("optimization_level")));
    request(CompileEffort::Full).precompile().unwrap();
    let better = request(CompileEffort::Fast).precompile().unwrap();
    assert_eq!((better.source, better.effort), (Source::Disk, CompileEffort::Full));
}
