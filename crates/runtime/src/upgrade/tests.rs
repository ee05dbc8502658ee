//! Is each executable of a lower effort upgraded once, and does a picture that is under way keep
//! its executable? The tests use a device that computes nothing and compiles in this process.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use preheat_cache::{
    BuilderId, Digest, GraphKey, Program, ProgramFormat, Signature, Source,
    create_execution_signature,
};
use preheat_tensor::{Dtype, Tensor};

use super::Finished;
use super::note::{Seconds, Timing, UpgradeNote, UpgradeState};
use crate::backend::FaultKind;
use crate::backend::fake::{At, FakeDevice};
use crate::progress::{Cancel, Control};
use crate::{CompileEffort, EffortChoice, Error, Executable, Graph, Runtime, RuntimeBuilder};

/// Far more time than any of this takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

fn device() -> FakeDevice {
    FakeDevice::posing("tpu", "fake 1", Duration::ZERO)
}

fn open(device: &FakeDevice, dir: &Path, effort: impl Into<EffortChoice>) -> Runtime {
    let builder = RuntimeBuilder::default().cache_dir(dir).compile_effort(effort);
    builder.build_on(Arc::new(device.clone()))
}

fn signature(steps: u64) -> Signature {
    create_execution_signature("model", [1, 4, 64, 64], 1, 7.0, "euler", steps, Dtype::Float32)
        .unwrap()
}

fn graph() -> Graph {
    let text = "module @unet { func.func public @main(%x: tensor<2xf32>) -> tensor<2xf32> { \
                return %x : tensor<2xf32> } }";
    let program = Program::new(ProgramFormat::Mlir, text.as_bytes().to_vec());
    Graph::built_by(BuilderId("builder 1".to_owned()), move || Ok(program.clone()))
        .stage("denoiser")
}

fn get(runtime: &Runtime) -> Executable {
    runtime.get_or_compile(&signature(20), &graph()).unwrap()
}

fn told(executable: &Executable) -> (Source, CompileEffort) {
    (executable.report().source, executable.report().effort)
}

fn until(mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < PATIENCE, "it did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn until_full(runtime: &Runtime) {
    until(|| told(&get(runtime)).1 == CompileEffort::Full);
}

const BALANCED: (Source, CompileEffort) = (Source::Compiled, CompileEffort::Balanced);

#[test]
fn a_lower_effort_serves_first_and_the_full_one_takes_over_between_requests() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    let runtime = open(&device, dir.path(), EffortChoice::Tiered);
    let first = get(&runtime);
    assert_eq!(told(&first), BALANCED);
    until_full(&runtime);
    // A picture that began before still runs, with the executable that it began with.
    let input = Tensor::from_f32(&[2], &[1.0, 2.0]).unwrap();
    assert_eq!(first.run_to_host([&input]).unwrap()[0].to_f32().unwrap(), [1.0, 2.0]);
    assert_eq!(told(&get(&runtime)), (Source::Memory, CompileEffort::Full));
    // Requests that differ from the first one find it, too.
    let other = || runtime.get_or_compile(&signature(21), &graph()).unwrap();
    until(|| told(&other()).1 == CompileEffort::Full);
    assert_eq!(device.counts().0, 2);
    drop(runtime);
    let later = open(&device, dir.path(), EffortChoice::Tiered);
    assert_eq!(told(&get(&later)), (Source::Disk, CompileEffort::Full));
    assert!(later.warnings().is_empty());
    assert_eq!(device.counts().0, 2);
}

#[test]
fn what_a_process_left_behind_is_gone_on_with_by_the_next_one_and_by_who_finishes_it() {
    for by_hand in [false, true] {
        let (device, dir) = (device(), tempfile::tempdir().unwrap());
        get(&open(&device, dir.path(), CompileEffort::Balanced));
        device.fail(At::Compile, 1, FaultKind::Passing);
        let ended = open(&device, dir.path(), EffortChoice::Tiered);
        assert_eq!(told(&get(&ended)), (Source::Disk, CompileEffort::Balanced));
        until(|| !ended.warnings().is_empty());
        assert_eq!(told(&get(&ended)), (Source::Memory, CompileEffort::Balanced));
        drop(ended);
        let next = open(&device, dir.path(), EffortChoice::Tiered);
        if by_hand {
            let finished = next.finish_upgrades(None).unwrap();
            let ends: Vec<_> = finished.iter().map(|one| (&*one.stage, &one.finished)).collect();
            assert_eq!(ends, [("denoiser", &Finished::TookOver)]);
            assert!(next.finish_upgrades(None).unwrap().is_empty());
            assert_eq!(told(&get(&next)).1, CompileEffort::Full);
        }
        until_full(&next);
        assert_eq!(device.counts().0, 3, "one of them failed");
    }
}

#[test]
fn a_full_compile_that_fails_leaves_the_lower_effort_and_is_told_once() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    get(&open(&device, dir.path(), CompileEffort::Balanced));
    device.fail(At::Compile, 1, FaultKind::Failed);
    let runtime = open(&device, dir.path(), EffortChoice::Tiered);
    get(&runtime);
    until(|| !runtime.warnings().is_empty());
    for _ in 0..3 {
        assert_eq!(told(&get(&runtime)), (Source::Memory, CompileEffort::Balanced));
    }
    let warnings = runtime.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].text.contains("told to fail at Compile"), "{warnings:?}");
    drop(runtime);
    // The next process does not try again by itself, but does so on request.
    let next = open(&device, dir.path(), EffortChoice::Tiered);
    get(&next);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((told(&get(&next)).1, device.counts().0), (CompileEffort::Balanced, 2));
    assert_eq!(next.finish_upgrades(None).unwrap()[0].finished, Finished::TookOver);
    assert_eq!((told(&get(&next)).1, device.counts().0), (CompileEffort::Full, 3));
}

#[test]
fn a_full_executable_that_strays_is_set_aside_with_a_warning() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    let runtime = open(&device, dir.path(), EffortChoice::Tiered);
    device.stray(true);
    assert_eq!(told(&get(&runtime)), BALANCED);
    until(|| !runtime.warnings().is_empty());
    assert_eq!(told(&get(&runtime)), (Source::Memory, CompileEffort::Balanced));
    let warnings = runtime.warnings();
    assert!(warnings[0].text.contains("its numbers are not those"), "{warnings:?}");
    device.stray(false);
    // No request of the full effort finds it either.
    let (signature, graph) = (signature(20), graph());
    let full = runtime.request(&signature, &graph).effort(CompileEffort::Full).get().unwrap();
    assert_eq!(told(&full), (Source::Compiled, CompileEffort::Full));
}

#[test]
fn a_full_executable_serves_tiered_requests_only_after_it_was_compared() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    get(&open(&device, dir.path(), CompileEffort::Balanced));
    device.fail(At::Compile, 1, FaultKind::Passing);
    let ended = open(&device, dir.path(), EffortChoice::Tiered);
    get(&ended);
    until(|| !ended.warnings().is_empty());
    drop(ended);
    // Meanwhile, another request compiles the full executable.
    get(&open(&device, dir.path(), CompileEffort::Full));
    let next = open(&device, dir.path(), EffortChoice::Tiered);
    assert_eq!(told(&get(&next)), (Source::Disk, CompileEffort::Balanced));
    until_full(&next);
    assert_eq!(device.counts().0, 3);
}

#[test]
fn eight_runtimes_upgrade_once() {
    let device = FakeDevice::posing("tpu", "fake 1", Duration::from_millis(20));
    let dir = tempfile::tempdir().unwrap();
    let open = || open(&device, dir.path(), EffortChoice::Tiered);
    let runtimes: Vec<Runtime> = (0..8).map(|_| open()).collect();
    std::thread::scope(|scope| {
        for runtime in &runtimes {
            scope.spawn(|| until_full(runtime));
        }
    });
    assert_eq!(device.counts().0, 2);
}

#[test]
fn require_warm_takes_a_lower_effort_and_compiles_nothing() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    get(&open(&device, dir.path(), CompileEffort::Fast));
    let warm = |effort: EffortChoice| {
        let builder = RuntimeBuilder::default().cache_dir(dir.path()).compile_effort(effort);
        builder.require_warm(true).build_on(Arc::new(device.clone()))
    };
    let runtime = warm(EffortChoice::Tiered);
    assert_eq!(told(&get(&runtime)), (Source::Disk, CompileEffort::Fast));
    let full = warm(CompileEffort::Full.into());
    assert!(full.get_or_compile(&signature(20), &graph()).is_err());
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(device.counts().0, 1);
    assert!(runtime.finish_upgrades(None).unwrap().is_empty(), "no note was left");
}

/// Leaves the note of an upgrade of another graph of the same stage, whose steps took ten seconds
/// less with the full executable. Its full compile took `full_seconds`.
fn leave_times(runtime: &Runtime, full_seconds: f64) {
    let seconds = |compile, run| Seconds { compile, run: Some(run) };
    let timing = Timing {
        effort: CompileEffort::Balanced,
        lower: seconds(1.0, 10.5),
        full: seconds(full_seconds, 0.5),
    };
    let (site, store) = (&runtime.inner.site, runtime.inner.cache().unwrap().main());
    let note = UpgradeNote::new("denoiser", site.environment_digest, UpgradeState::Done(timing));
    note.write(store, GraphKey(Digest::of(b"another graph")));
}

fn get_with(runtime: &Runtime, steps: u64) -> Executable {
    runtime.get_or_compile(&signature(steps), &graph()).unwrap()
}

#[test]
fn a_request_waits_for_a_running_full_compile_where_its_steps_save_more() {
    let device = FakeDevice::posing("tpu", "fake 1", Duration::from_millis(1500));
    let dir = tempfile::tempdir().unwrap();
    let runtime = open(&device, dir.path(), EffortChoice::Tiered);
    assert_eq!(told(&get_with(&runtime, 20)), BALANCED);
    leave_times(&runtime, 100.0);
    // Nine steps save 90 seconds, and the compile still takes more than 95 of its 100.
    assert_eq!(told(&get_with(&runtime, 9)).1, CompileEffort::Balanced);
    let waited = get_with(&runtime, 20);
    assert_eq!(told(&waited), (Source::Memory, CompileEffort::Full));
    assert!(waited.report().wait_seconds > 0.0, "{:?}", waited.report());
    assert_eq!(device.counts().0, 2);
}

#[test]
fn a_request_for_what_is_warm_waits_for_the_upgrade_that_it_begins() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    get(&open(&device, dir.path(), CompileEffort::Balanced));
    let runtime = open(&device, dir.path(), EffortChoice::Tiered);
    leave_times(&runtime, 100.0);
    assert_eq!(told(&get_with(&runtime, 20)), (Source::Memory, CompileEffort::Full));
}

#[test]
fn a_request_that_waits_in_vain_is_served_by_the_lower_effort() {
    let device = FakeDevice::posing("tpu", "fake 1", Duration::from_millis(500));
    let dir = tempfile::tempdir().unwrap();
    get(&open(&device, dir.path(), CompileEffort::Balanced));
    device.fail(At::Compile, 1, FaultKind::Failed);
    let runtime = open(&device, dir.path(), EffortChoice::Tiered);
    leave_times(&runtime, 100.0);
    assert_eq!(told(&get_with(&runtime, 20)), (Source::Disk, CompileEffort::Balanced));
    assert_eq!(runtime.warnings().len(), 1, "{:?}", runtime.warnings());
    // A request that is asked to stop does not go on waiting.
    let slow = FakeDevice::posing("tpu", "fake 1", Duration::from_secs(5));
    let other = tempfile::tempdir().unwrap();
    let stopping = open(&slow, other.path(), EffortChoice::Tiered);
    get(&stopping);
    leave_times(&stopping, 100.0);
    let cancel = Cancel::default();
    cancel.cancel();
    let control = Control::default().cancel(cancel);
    let (signature, graph) = (signature(20), graph());
    let stopped = stopping.request(&signature, &graph).control(control).get();
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
}

#[test]
fn without_a_word_requests_are_tiered_and_warmups_are_full() {
    let (device, dir) = (device(), tempfile::tempdir().unwrap());
    let open =
        |dir: &Path| RuntimeBuilder::default().cache_dir(dir).build_on(Arc::new(device.clone()));
    let runtime = open(dir.path());
    assert_eq!(runtime.first_effort(), CompileEffort::Balanced);
    assert_eq!(runtime.waves(), [CompileEffort::Full]);
    assert_eq!(told(&get(&runtime)), BALANCED);
    until_full(&runtime);
    let warmed = tempfile::tempdir().unwrap();
    let (signature, graph) = (signature(20), graph());
    let (executable, _) = open(warmed.path()).warmup(&signature, &graph).unwrap();
    assert_eq!(told(&executable), (Source::Compiled, CompileEffort::Full));
    assert_eq!(told(&get(&open(warmed.path()))), (Source::Disk, CompileEffort::Full));
    // A forced compile replaces the full executable, which would serve again otherwise.
    let forced = open(warmed.path());
    let forced = forced.request(&signature, &graph).force_recompile(true).get().unwrap();
    assert_eq!(told(&forced), (Source::Compiled, CompileEffort::Full));
}

#[test]
fn where_nothing_can_take_over_the_full_effort_is_compiled_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let cpu = FakeDevice::new("fake 1", Duration::ZERO);
    let runtime = open(&cpu, dir.path(), EffortChoice::Tiered);
    assert_eq!(told(&get(&runtime)), (Source::Compiled, CompileEffort::Full));
    let tpu = device();
    let builder = RuntimeBuilder::default().cache_dir(dir.path()).read_only(true);
    let read_only = builder.compile_effort(EffortChoice::Tiered).build_on(Arc::new(tpu.clone()));
    assert_eq!(told(&get(&read_only)), (Source::Compiled, CompileEffort::Full));
}
