//! Does the library find, share and keep executables? Each test has one runtime or several over one
//! cache. It runs in a separate process, and the test plugin counts the compiles of that process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pjrt_sim::{Count, Place, When};
use preheat::TensorType;
use preheat::{
    BuilderId, CompileOptions, Digest, Dtype, Graph, Match, Program, Projection, Runtime,
    Signature, Source, Tensor, create_execution_signature,
};
use preheat_runtime::device::{DeviceName, DeviceRequest};
use preheat_runtime::progress::{Cancel, Control, Event, EventKind, Progress};
use preheat_runtime::{Error, Input, NoCache, RuntimeBuilder, Verdict, Warning, WarningKind};
use support::lab::{DOUBLE, SQUARE, library, until};
use support::{Lab, in_child};

/// A program that donates its first input to the result.
const DONATING: &str = "module @donating {
  func.func public @main(%x: tensor<4xf32> {tf.aliasing_output = 0 : i32}, %y: tensor<4xf32>) -> tensor<4xf32> {
    %z = stablehlo.add %x, %y : tensor<4xf32>
    return %z : tensor<4xf32>
  }
}";

fn builder(lab: &Lab) -> RuntimeBuilder {
    let request = DeviceRequest { device: DeviceName::XlaCpu, ..DeviceRequest::default() };
    Runtime::builder().device(request).plugin(library()).cache_dir(lab.cache())
}

fn open(lab: &Lab) -> Runtime {
    let runtime = builder(lab).build().unwrap();
    assert_eq!(runtime.warnings(), []);
    runtime
}

fn program(text: &str) -> Program {
    Program::sniff(text.as_bytes()).unwrap()
}

/// A different program for every length.
fn of_length(length: usize) -> Program {
    program(&DOUBLE.replace("4xf32", &format!("{length}xf32")))
}

fn signature() -> Signature {
    create_execution_signature("model", [1, 4, 64, 64], 1, 7.0, "euler", 20, Dtype::Float32)
        .unwrap()
}

fn four(values: [f32; 4]) -> Tensor {
    Tensor::from_f32(&[4], &values).unwrap()
}

/// A graph that counts how often it is built.
fn counted(builds: &Arc<AtomicUsize>, projection: Projection) -> Graph {
    let builds = Arc::clone(builds);
    Graph::built_by(BuilderId("test-1".to_owned()), move || {
        builds.fetch_add(1, Ordering::SeqCst);
        Ok(program(DOUBLE))
    })
    .stage("denoiser")
    .projection(projection)
}

fn step_graph() -> Projection {
    Projection::step_graph(Digest::of(b"architecture"))
}

#[test]
fn the_second_time_it_comes_from_memory() {
    in_child("the_second_time_it_comes_from_memory", Lab::sim, |lab| {
        let runtime = open(lab);
        let first = runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
        assert_eq!(
            (first.report().source, first.report().matched),
            (Source::Compiled, Match::Compiled)
        );
        let second = runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
        assert_eq!(
            (second.report().source, second.report().matched),
            (Source::Memory, Match::Exact)
        );
        assert_eq!(first.graph_key(), second.graph_key());
        assert!((second.report().compile_seconds).abs() < f64::EPSILON);
        for executable in [&first, &second] {
            let outputs = executable.run_to_host(&[four([1.0, 2.0, 3.0, 4.0])]).unwrap();
            assert_eq!(outputs[0].to_f32().unwrap(), [2.0, 4.0, 6.0, 8.0]);
        }
        assert_eq!((lab.compiles(), lab.log().deserializes()), (1, 0));
    });
}

#[test]
fn a_projection_that_is_known_builds_no_graph() {
    in_child("a_projection_that_is_known_builds_no_graph", Lab::sim, |lab| {
        let builds = Arc::new(AtomicUsize::new(0));
        let graph = counted(&builds, step_graph());
        let how = |runtime: &Runtime, signature: &Signature| {
            let report = runtime.get_or_compile(signature, &graph).unwrap().report().clone();
            (report.source, report.matched, builds.load(Ordering::SeqCst))
        };
        let more_steps =
            Signature { steps: 25, scheduler: "ddim".to_owned(), cfg_scale: 7.5, ..signature() };
        let unguided = Signature { cfg_scale: 1.0, ..signature() };

        let first = open(lab);
        assert_eq!(how(&first, &signature()), (Source::Compiled, Match::Compiled, 1));
        assert_eq!(how(&first, &signature()), (Source::Memory, Match::Exact, 1));
        assert_eq!(how(&first, &more_steps), (Source::Memory, Match::Equivalent, 1));
        assert_eq!(how(&first, &more_steps), (Source::Memory, Match::Exact, 1));
        drop(first);

        // Another runtime finds the executable through the index.
        let second = open(lab);
        assert_eq!(how(&second, &more_steps), (Source::Disk, Match::Exact, 1));
        let third = open(lab);
        let fewer_steps = Signature { steps: 5, ..signature() };
        assert_eq!(how(&third, &fewer_steps), (Source::Disk, Match::Equivalent, 1));
        // A hit in memory reads no index, so it is not known which other requests ran under the
        // same projection.
        assert_eq!(how(&third, &signature()), (Source::Memory, Match::Equivalent, 1));

        // Guidance shapes the graph, so the graph is built. It is then found by its key, because
        // this builder makes the same graph with and without guidance.
        assert_eq!(how(&third, &unguided), (Source::Memory, Match::Graph, 2));
        let fourth = open(lab);
        assert_eq!(
            how(&fourth, &Signature { batch_size: 2, ..signature() }),
            (Source::Disk, Match::Graph, 3)
        );
        assert_eq!(lab.compiles(), 1);
    });
}

#[test]
fn a_builder_that_declares_nothing_is_matched_exactly() {
    in_child("a_builder_that_declares_nothing_is_matched_exactly", Lab::sim, |lab| {
        let builds = Arc::new(AtomicUsize::new(0));
        let graph = counted(&builds, Projection::exact());
        let matched = |signature: &Signature| {
            open(lab).get_or_compile(signature, &graph).unwrap().report().matched
        };
        assert_eq!(matched(&signature()), Match::Compiled);
        assert_eq!((matched(&signature()), builds.load(Ordering::SeqCst)), (Match::Exact, 1));
        let more_steps = Signature { steps: 25, ..signature() };
        assert_eq!((matched(&more_steps), builds.load(Ordering::SeqCst)), (Match::Graph, 2));
        assert_eq!((matched(&more_steps), builds.load(Ordering::SeqCst)), (Match::Exact, 2));
        assert_eq!(lab.compiles(), 1);
    });
}

#[test]
fn another_builder_stage_or_option_is_no_hit_of_the_first_level() {
    in_child("another_builder_stage_or_option_is_no_hit_of_the_first_level", Lab::sim, |lab| {
        let built = |id: &str, text: &'static str| {
            Graph::built_by(BuilderId(id.to_owned()), move || Ok(program(text)))
                .projection(step_graph())
        };
        let get = |graph: &Graph| open(lab).get_or_compile(&signature(), graph).unwrap();
        let doubled = get(&built("release 1", DOUBLE));
        // The next release builds another graph for the same signature, and must not get the
        // executable of the old one.
        let squared = get(&built("release 2", SQUARE));
        assert_eq!(squared.report().matched, Match::Compiled);
        assert_ne!(doubled.graph_key(), squared.graph_key());
        let outputs = squared.run_to_host(&[four([1.0, 2.0, 3.0, 4.0])]).unwrap();
        assert_eq!(outputs[0].to_f32().unwrap(), [1.0, 4.0, 9.0, 16.0]);
        // Another stage that lowers to the same program shares the executable. Its graph has to be
        // built to find that out.
        let stage = get(&built("release 1", DOUBLE).stage("vae_decoder"));
        assert_eq!(
            (stage.report().matched, stage.graph_key()),
            (Match::Graph, doubled.graph_key())
        );
        assert_eq!(lab.compiles(), 2);
    });
}

#[test]
fn a_graph_for_several_devices_is_refused_however_it_is_given() {
    in_child("a_graph_for_several_devices_is_refused_however_it_is_given", Lab::sim, |lab| {
        let runtime = open(lab);
        let program = program(
            &DOUBLE.replace("@double {", "@double attributes {mhlo.num_replicas = 2 : i32} {"),
        );
        let refused = |graph: &Graph| match runtime.get_or_compile(&signature(), graph) {
            Err(Error::NotAsWritten { stage, cause }) => format!("{stage}: {cause}"),
            other => panic!("{other:?}"),
        };
        let several = "written for 2 devices (2 replicas of 1 partition), and ";
        assert!(
            refused(&Graph::from_program(program.clone()))
                .contains(&format!("{several}xla-cpu runs programs for one"))
        );
        // The program is also refused if the compile options declare one device, or if a builder
        // makes the program.
        let as_one = Graph::from_program(program.clone()).options(CompileOptions::default());
        assert!(refused(&as_one).contains(&format!("{several}the compile options say 1 x 1")));
        let built = Graph::built_by(BuilderId("late".to_owned()), move || Ok(program.clone()));
        assert!(refused(&built).contains(several));
        assert_eq!(lab.compiles(), 0);
    });
}

#[test]
fn what_was_cached_is_told() {
    in_child("what_was_cached_is_told", Lab::sim, |lab| {
        let runtime = open(lab);
        let other = Signature { steps: 4, ..signature() };
        assert!(!runtime.is_cached(&signature()).unwrap());
        assert_eq!(runtime.stats().unwrap().cached_signatures, 0);
        let before = runtime.lookup(&signature(), &program(DOUBLE)).unwrap();
        assert_eq!((before.verdict, before.stages[0].matched), (Verdict::Miss, None));
        runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
        assert!(
            runtime.stats().unwrap().cached_signatures == 1
                && runtime.is_cached(&signature()).unwrap()
        );
        assert!(!runtime.is_cached(&other).unwrap());
        runtime.get_or_compile(&other, &program(DOUBLE)).unwrap();
        let statistics = runtime.stats().unwrap();
        assert_eq!(
            (statistics.cached_signatures, statistics.entries, statistics.stages.compiles),
            (2, 1, 1)
        );
        assert_eq!(
            (statistics.stages.hits.graph, statistics.stages.hits.memory, statistics.stages.misses),
            (1, 1, 1)
        );
        // Another process over the same cache gets the same answer.
        let second = open(lab);
        assert!(second.is_cached(&signature()).unwrap() && second.is_cached(&other).unwrap());
        let answer = second.lookup(&signature(), &program(DOUBLE)).unwrap();
        assert_eq!((answer.verdict, answer.stages[0].matched), (Verdict::Hit, Some(Match::Exact)));
        assert!(answer.stages[0].expected_compile_seconds.unwrap() > 0.0);
        assert_eq!(
            (lab.compiles(), lab.log().deserializes()),
            (1, 0),
            "look-ups compile and load nothing"
        );
        // When its machine code is gone, the graph is no longer cached.
        builder(lab).open_cache().unwrap().clear().unwrap();
        assert!(!second.is_cached(&signature()).unwrap());
    });
}

#[test]
fn the_least_recently_used_leaves_memory() {
    in_child("the_least_recently_used_leaves_memory", Lab::sim, |lab| {
        let programs = [5, 6, 7].map(of_length);
        let get = |runtime: &Runtime, index: usize| {
            let executable = runtime.get_or_compile(&signature(), &programs[index]).unwrap();
            executable.report().source
        };
        let warm = open(lab);
        (0..3).for_each(|index| assert_eq!(get(&warm, index), Source::Compiled));
        let records = builder(lab).open_cache().unwrap().records().unwrap();
        let sizes: Vec<u64> =
            records.iter().map(|record| record.object.as_ref().unwrap().payload_bytes).collect();
        let (all, least) = (sizes.iter().sum::<u64>(), *sizes.iter().min().unwrap());
        // There is room for any two of the executables, and not for three.
        let runtime = builder(lab).memory_limit_bytes(all - least / 2).build().unwrap();
        assert_eq!(
            [0, 1, 0, 1].map(|index| get(&runtime, index)),
            [Source::Disk, Source::Disk, Source::Memory, Source::Memory]
        );
        get(&runtime, 0);
        assert_eq!(get(&runtime, 2), Source::Disk, "new here");
        assert_eq!(get(&runtime, 0), Source::Memory, "used more recently than 1");
        assert_eq!(get(&runtime, 1), Source::Disk, "the least recently used had left");
        // An executable that is larger than the limit is kept until the next one is loaded.
        let tiny = builder(lab).memory_limit_bytes(1).build().unwrap();
        assert_eq!(
            [0, 0, 1, 0].map(|index| get(&tiny, index)),
            [Source::Disk, Source::Memory, Source::Disk, Source::Disk]
        );
        assert_eq!(lab.compiles(), 3);
    });
}

#[test]
fn an_executable_that_left_memory_still_runs() {
    in_child("an_executable_that_left_memory_still_runs", Lab::sim, |lab| {
        let runtime = builder(lab).memory_limit_bytes(1).build().unwrap();
        let held = runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
        runtime.get_or_compile(&signature(), &of_length(9)).unwrap();
        drop(runtime);
        assert_eq!(held.run_to_host(&[four([1.0; 4])]).unwrap()[0].to_f32().unwrap(), [2.0; 4]);
    });
}

#[test]
fn forced_it_is_compiled_again_and_replaced() {
    in_child("forced_it_is_compiled_again_and_replaced", Lab::sim, |lab| {
        let runtime = open(lab);
        let digest = || {
            let records = builder(lab).open_cache().unwrap().records().unwrap();
            assert_eq!(records.len(), 1);
            records[0].object.as_ref().unwrap().payload_digest
        };
        let first = runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
        let stored = digest();
        let again =
            runtime.request(&signature(), &program(DOUBLE)).force_recompile(true).get().unwrap();
        assert_eq!(
            (again.report().source, again.graph_key()),
            (Source::Compiled, first.graph_key())
        );
        assert_eq!(lab.compiles(), 2);
        // Serialising twice gives different bytes, so a difference shows that the object was
        // replaced.
        assert_ne!(digest(), stored);
        assert_eq!(lab.objects().len(), 1);
        lab.assert_nothing_half_written();
        let third = open(lab).get_or_compile(&signature(), &program(DOUBLE)).unwrap();
        assert_eq!((third.report().source, lab.compiles()), (Source::Disk, 2));
        assert_eq!(lab.log().deserialized_digests(), [digest().to_string()]);
    });
}

#[test]
fn what_must_be_warm_and_is_not_says_what_is_missing() {
    in_child("what_must_be_warm_and_is_not_says_what_is_missing", Lab::sim, |lab| {
        let runtime = builder(lab).require_warm(true).build().unwrap();
        let denoiser = Graph::from_program(program(DOUBLE)).stage("denoiser");
        let missing = |runtime: &Runtime, signature: &Signature, graph: &Graph| match runtime
            .get_or_compile(signature, graph)
        {
            Err(error @ Error::NotWarm(_)) => {
                assert!(error.to_string().contains("denoiser"), "{error}");
                let Error::NotWarm(stages) = error else { unreachable!() };
                stages
            }
            other => panic!("{other:?}"),
        };
        let stages = missing(&runtime, &signature(), &denoiser);
        assert_eq!(
            (stages.len(), &*stages[0].stage, stages[0].verdict),
            (1, "denoiser", Verdict::Miss)
        );
        assert!(stages[0].nearest.is_none(), "the store has no entry that could be near");
        // When a similar entry exists, it is named as the nearest, with the differences.
        let warmed = open(lab).warmup(&signature(), &denoiser).unwrap().0;
        let other = Signature { batch_size: 2, input_shape: vec![2, 4, 64, 64], ..signature() };
        let squared = Graph::from_program(program(SQUARE)).stage("denoiser");
        let stages = missing(&runtime, &other, &squared);
        let nearest = stages[0].nearest.as_ref().unwrap();
        assert_eq!(nearest.graph_key, warmed.graph_key());
        let fields: Vec<&str> = nearest.differences.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["program", "input_shape", "batch_size"]);
        let batch = &nearest.differences[2];
        assert_eq!((batch.have.as_str(), batch.want.as_str()), ("1", "2"));
        // A warm graph is served, and a single request can lift the requirement.
        assert!(runtime.get_or_compile(&signature(), &denoiser).is_ok());
        assert_eq!(lab.compiles(), 1);
        assert!(runtime.request(&other, &squared).require_warm(false).get().is_ok());
        assert_eq!(lab.compiles(), 2);
    });
}

#[test]
fn inputs_may_lie_on_the_host_and_on_the_device() {
    in_child("inputs_may_lie_on_the_host_and_on_the_device", Lab::sim, |lab| {
        let add = program(&DONATING.replace(" {tf.aliasing_output = 0 : i32}", ""));
        let executable = open(lab).get_or_compile(&signature(), &add).unwrap();
        let (one, two) = (four([1.0; 4]), four([2.0; 4]));
        let on_device = executable.to_device(&two).unwrap();
        let sum = executable.run([Input::from(&one), Input::from(&on_device)]).unwrap();
        assert_eq!(sum[0].kind().unwrap().to_string(), one.kind().to_string());
        // A result goes into the next call without leaving the device; only the last one is read
        // back.
        let before = lab.count(Place::DeviceToHost);
        let mut latest = sum;
        for _ in 0..5 {
            latest = executable.run([&latest[0], &on_device]).unwrap();
        }
        assert_eq!(lab.count(Place::DeviceToHost), before);
        assert_eq!(latest[0].to_host().unwrap().to_f32().unwrap(), [13.0; 4]);
    });
}

#[test]
fn a_donated_input_cannot_be_used_again() {
    in_child("a_donated_input_cannot_be_used_again", Lab::sim, |lab| {
        for round in 0..2 {
            // The second time the executable is loaded from the cache, and still donates.
            let executable = open(lab).get_or_compile(&signature(), &program(DONATING)).unwrap();
            let (one, two) = (four([1.0; 4]), four([2.0; 4]));
            let (given, kept) =
                (executable.to_device(&one).unwrap(), executable.to_device(&two).unwrap());
            let sum = executable.run([&given, &kept]).unwrap();
            assert_eq!(sum[0].to_host().unwrap().to_f32().unwrap(), [3.0; 4], "round {round}");
            let error = executable.run([&given, &kept]).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            let said = format!("{error}: {cause}");
            assert!(said.contains("donated") || said.contains("deleted"), "{said}");
            assert!(given.to_host().is_err(), "round {round}");
            // The input that was not donated is unchanged, and so is the host's tensor.
            assert_eq!(kept.to_host().unwrap().to_f32().unwrap(), [2.0; 4]);
            assert_eq!(one.to_f32().unwrap(), [1.0; 4]);
        }
        assert_eq!(lab.compiles(), 1);
    });
}

#[test]
fn wrong_inputs_are_named() {
    in_child("wrong_inputs_are_named", Lab::sim, |lab| {
        let executable = open(lab).get_or_compile(&signature(), &program(DONATING)).unwrap();
        let message = |inputs: &[Tensor]| executable.run(inputs).unwrap_err().to_string();
        assert_eq!(message(&[four([0.0; 4])]), "stage `program` takes 2 inputs, 1 was given");
        let three = Tensor::from_f32(&[3], &[0.0; 3]).unwrap();
        let said = message(&[four([0.0; 4]), three]);
        assert!(
            said.contains("input 1") && said.contains("float32[4]") && said.contains("float32[3]"),
            "{said}"
        );
        let integers = Tensor::zeros(TensorType::new(Dtype::Int32, vec![4])).unwrap();
        let said = message(&[integers, four([0.0; 4])]);
        assert!(
            said.contains("input 0") && said.contains("float32[4]") && said.contains("int32[4]"),
            "{said}"
        );
        assert_eq!(lab.executes(), 0, "none of it reached the device");
    });
}

#[test]
fn sizes_of_zero_work() {
    in_child("sizes_of_zero_work", Lab::sim, |lab| {
        for _ in 0..2 {
            let executable = open(lab).get_or_compile(&signature(), &of_length(0)).unwrap();
            let zeros = executable.zeros().unwrap();
            assert_eq!((zeros.len(), zeros[0].bytes().len()), (1, 0));
            let outputs = executable.run_to_host(&zeros).unwrap();
            assert_eq!((outputs.len(), outputs[0].kind().dims.as_slice()), (1, [0].as_slice()));
        }
        assert_eq!(lab.compiles(), 1);
    });
}

/// Sends the progress events that it receives through a channel.
struct Heard(std::sync::mpsc::Sender<Event>);

impl Progress for Heard {
    fn event(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

#[test]
fn a_wait_for_another_compile_can_be_cancelled() {
    let slow = |lab: &Lab| lab.sim().compile_delay(Duration::from_secs(3));
    in_child("a_wait_for_another_compile_can_be_cancelled", slow, |lab| {
        let (first, cancel) = (open(lab), Cancel::default());
        let (sender, receiver) = std::sync::mpsc::channel();
        let second =
            builder(lab).cancel(cancel.clone()).progress(Arc::new(Heard(sender))).build().unwrap();
        std::thread::scope(|scope| {
            let compiling = scope.spawn(|| first.get_or_compile(&signature(), &program(DOUBLE)));
            until("the compile", || lab.compiles() == 1);
            let waiting = scope.spawn(|| second.get_or_compile(&signature(), &program(DOUBLE)));
            let event = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
            let EventKind::Waiting { holder, .. } = event.kind else { panic!("{event:?}") };
            assert_eq!(
                (event.stage.as_str(), holder),
                ("program", Some(format!("process {}", std::process::id())))
            );
            let cancelled = Instant::now();
            cancel.cancel();
            assert!(matches!(waiting.join().unwrap(), Err(Error::Cancelled)));
            assert!(cancelled.elapsed() < Duration::from_secs(1), "{:?}", cancelled.elapsed());
            assert!(compiling.join().unwrap().is_ok(), "the compile itself goes on");
        });
        assert_eq!(lab.compiles(), 1);
        lab.assert_nothing_half_written();
    });
}

#[test]
fn stopping_one_request_leaves_its_runtime_and_the_others_alone() {
    let slow = |lab: &Lab| lab.sim().compile_delay(Duration::from_secs(2));
    in_child("stopping_one_request_leaves_its_runtime_and_the_others_alone", slow, |lab| {
        let runtime = open(lab);
        let (cancel, (sender, receiver)) = (Cancel::default(), std::sync::mpsc::channel());
        let control =
            Control::default().cancel(cancel.clone()).progress(Arc::new(Heard(sender.clone())));
        std::thread::scope(|scope| {
            let compiling = scope.spawn(|| runtime.get_or_compile(&signature(), &program(DOUBLE)));
            until("the compile", || lab.compiles() == 1);
            let stopped = control.clone();
            let waiting = scope
                .spawn(|| runtime.request(&signature(), &program(DOUBLE)).control(stopped).get());
            let event = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
            assert!(matches!(event.kind, EventKind::Waiting { .. }), "{event:?}");
            cancel.cancel();
            assert!(matches!(waiting.join().unwrap(), Err(Error::Cancelled)));
            assert!(compiling.join().unwrap().is_ok(), "the other request goes on");
        });
        assert!(!runtime.is_cancelled() && runtime.controlled_by(&control).is_cancelled());
        // A request with a control of its own reports its progress to that control alone.
        while receiver.try_recv().is_ok() {}
        let (other, others_events) = std::sync::mpsc::channel();
        let fresh = Control::default().progress(Arc::new(Heard(other)));
        let handle = runtime.controlled_by(&fresh);
        let square = handle.get_or_compile(&signature(), &program(SQUARE)).unwrap();
        assert_eq!(square.report().source, Source::Compiled);
        let told = others_events.try_iter().map(|event| event.kind).collect::<Vec<_>>();
        assert!(told.iter().any(|kind| matches!(kind, EventKind::Compiling { .. })), "{told:?}");
        assert!(
            receiver.try_recv().is_err(),
            "the stopped request's receiver receives nothing more"
        );
    });
}

#[test]
fn threads_that_race_for_one_key_compile_once() {
    let slow = |lab: &Lab| lab.sim().compile_delay(Duration::from_millis(300));
    in_child("threads_that_race_for_one_key_compile_once", slow, |lab| {
        let runtimes = [open(lab), open(lab)];
        let sources: Vec<Source> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..12)
                .map(|index| {
                    let runtime = &runtimes[index % 2];
                    scope.spawn(move || {
                        let executable =
                            runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
                        let outputs =
                            executable.run_to_host(&[four([1.0, 2.0, 3.0, 4.0])]).unwrap();
                        assert_eq!(outputs[0].to_f32().unwrap(), [2.0, 4.0, 6.0, 8.0]);
                        executable.report().source
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(lab.compiles(), 1);
        assert_eq!(
            sources.iter().filter(|&&source| source == Source::Compiled).count(),
            1,
            "{sources:?}"
        );
        // The runtime that compiled the executable has it in memory; the other runtime loads it.
        assert!(sources.contains(&Source::Memory), "{sources:?}");
        runtimes[0].flush();
        let statistics = runtimes[1].stats().unwrap();
        assert_eq!((statistics.stages.compiles, statistics.entries), (1, 1));
    });
}

#[test]
fn without_a_cache_everything_is_compiled_and_nothing_written() {
    in_child("without_a_cache_everything_is_compiled_and_nothing_written", Lab::sim, |lab| {
        let runtime = builder(lab).use_cache(false).build().unwrap();
        for count in 1..=3 {
            runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
            assert_eq!(lab.compiles(), count);
        }
        assert!(!lab.cache().exists());
        assert!(matches!(runtime.stats(), Err(Error::NoCache(NoCache::Absent))));
    });
}

#[test]
fn a_program_hears_of_each_warning_once_by_its_kind_and_without_flags_of_the_command_line() {
    let name =
        "a_program_hears_of_each_warning_once_by_its_kind_and_without_flags_of_the_command_line";
    in_child(name, Lab::sim, |lab| {
        std::fs::write(lab.path("a-file"), "this is no cache").unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&heard);
        let runtime = builder(lab)
            .cache_dir(lab.path("a-file"))
            .on_warning(move |warning: &Warning| listener.lock().unwrap().push(warning.clone()))
            .build()
            .unwrap();
        runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
        runtime.warn("something else".to_owned());
        runtime.warn("something else".to_owned());
        let warnings = runtime.warnings();
        let kinds: Vec<_> = warnings.iter().map(|warning| warning.kind).collect();
        assert_eq!(kinds, [WarningKind::CacheUnusable, WarningKind::Other], "{warnings:?}");
        assert!(warnings[0].text.contains("a-file"), "{warnings:?}");
        assert!(!warnings[0].text.contains("--"), "{warnings:?}");
        assert_eq!(*heard.lock().unwrap(), warnings);
    });
}

#[test]
fn a_failed_compile_is_an_error_and_is_tried_again() {
    let first_fails = |lab: &Lab| lab.sim().fail_compile(When::Nth(1));
    in_child("a_failed_compile_is_an_error_and_is_tried_again", first_fails, |lab| {
        let runtime = open(lab);
        let error = runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap_err();
        assert!(matches!(error, Error::Compile { .. }), "{error:?}");
        assert!(lab.objects().is_empty());
        assert!(!runtime.is_cached(&signature()).unwrap());
        assert!(runtime.get_or_compile(&signature(), &program(DOUBLE)).is_ok());
        let statistics = runtime.stats().unwrap();
        assert_eq!(
            (statistics.stages.failed_compiles, statistics.stages.compiles, lab.compiles()),
            (1, 1, 2)
        );
    });
}

#[test]
fn a_failed_compile_is_told_to_each_that_waited_and_is_not_tried_for_each() {
    let first_fails =
        |lab: &Lab| lab.sim().compile_delay(Duration::from_millis(1500)).fail_compile(When::Nth(1));
    in_child(
        "a_failed_compile_is_told_to_each_that_waited_and_is_not_tried_for_each",
        first_fails,
        |lab| {
            // Threads of one runtime wait for each other in memory. Threads of two runtimes wait
            // for each other as processes do.
            let runtimes = [open(lab), open(lab)];
            let errors: Vec<Error> = std::thread::scope(|scope| {
                let asked = |runtime: &Runtime| {
                    runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap_err()
                };
                let threads: Vec<_> = (0..8).map(|index| (&runtimes[index % 2], asked)).collect();
                let threads: Vec<_> = threads
                    .into_iter()
                    .map(|(runtime, asked)| scope.spawn(move || asked(runtime)))
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(lab.compiles(), 1);
            let here = errors.iter().filter(|error| matches!(error, Error::Compile { .. })).count();
            let elsewhere = errors
                .iter()
                .filter(|error| matches!(error, Error::CompileElsewhere { .. }))
                .count();
            assert_eq!((here, elsewhere), (4, 4), "{errors:?}");
            assert!(
                runtimes[0].get_or_compile(&signature(), &program(DOUBLE)).is_ok(),
                "the failure was not remembered"
            );
            assert_eq!(lab.compiles(), 2);
            runtimes.iter().for_each(Runtime::flush);
            let statistics = runtimes[0].stats().unwrap();
            assert_eq!((statistics.stages.failed_compiles, statistics.stages.compiles), (1, 1));
            lab.assert_nothing_half_written();
        },
    );
}

#[test]
fn what_cannot_be_serialised_is_compiled_and_said() {
    in_child(
        "what_cannot_be_serialised_is_compiled_and_said",
        |lab| lab.sim().no_serialize(),
        |lab| {
            let runtime = open(lab);
            let executable = runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
            assert_eq!(
                executable.run_to_host(&[four([1.0; 4])]).unwrap()[0].to_f32().unwrap(),
                [2.0; 4]
            );
            let warnings = runtime.warnings();
            assert!(
                warnings.len() == 1 && warnings[0].text.contains("cannot be kept"),
                "{warnings:?}"
            );
            // The executable is still kept in memory.
            let again = runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
            assert_eq!((again.report().source, lab.compiles()), (Source::Memory, 1));
            assert!(lab.objects().is_empty());
        },
    );
}

#[test]
fn an_executable_that_the_plugin_refuses_is_compiled_anew() {
    let first_fails = |lab: &Lab| lab.sim().fail(Place::Deserialize, When::Nth(1));
    in_child("an_executable_that_the_plugin_refuses_is_compiled_anew", first_fails, |lab| {
        open(lab).get_or_compile(&signature(), &program(DOUBLE)).unwrap();
        let runtime = open(lab);
        let executable = runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
        assert_eq!((executable.report().source, lab.compiles()), (Source::Compiled, 2));
        let warnings = runtime.warnings();
        assert!(warnings.len() == 1 && warnings[0].text.contains("refused"), "{warnings:?}");
        let third = open(lab).get_or_compile(&signature(), &program(DOUBLE)).unwrap();
        assert_eq!((third.report().source, lab.compiles()), (Source::Disk, 2));
    });
}

#[test]
fn a_graph_that_cannot_be_built_is_an_error_with_its_cause() {
    in_child("a_graph_that_cannot_be_built_is_an_error_with_its_cause", Lab::sim, |lab| {
        let graph =
            Graph::built_by(BuilderId("test".to_owned()), || Err("no weights at hand".into()))
                .stage("denoiser");
        let error = open(lab).get_or_compile(&signature(), &graph).unwrap_err();
        assert!(error.to_string().contains("denoiser"), "{error}");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no weights at hand");
        assert_eq!(lab.compiles(), 0);
    });
}

#[test]
fn threads_that_race_without_a_store_to_lock_compile_once() {
    let slow = |lab: &Lab| lab.sim().compile_delay(Duration::from_millis(300));
    in_child("threads_that_race_without_a_store_to_lock_compile_once", slow, |lab| {
        let runtime = builder(lab).read_only(true).build().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap());
            }
        });
        assert_eq!(lab.compiles(), 1);
        assert!(!lab.cache().exists());
    });
}

#[test]
fn a_plugin_that_was_named_is_what_its_platform_says() {
    in_child("a_plugin_that_was_named_is_what_its_platform_says", Lab::sim, |lab| {
        let runtime = Runtime::builder().plugin(library()).cache_dir(lab.cache()).build().unwrap();
        assert_eq!(runtime.device().selected, "xla-cpu");
        runtime.get_or_compile(&signature(), &program(DOUBLE)).unwrap();
        assert!(runtime.stats().unwrap().by_device.contains_key("xla-cpu"));
    });
}

#[test]
fn a_device_without_room_for_a_load_is_an_error_and_nothing_is_compiled_for_it() {
    let full = |lab: &Lab| lab.sim().out_of_memory(Place::Deserialize, When::Each);
    in_child(
        "a_device_without_room_for_a_load_is_an_error_and_nothing_is_compiled_for_it",
        full,
        |lab| {
            let executable = open(lab).get_or_compile(&signature(), &program(DOUBLE)).unwrap();
            assert_eq!(executable.report().source, Source::Compiled);
            let error = open(lab).get_or_compile(&signature(), &program(DOUBLE)).unwrap_err();
            assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
            assert_eq!(lab.compiles(), 1);
        },
    );
}

#[test]
fn a_signature_with_a_number_that_is_none_is_refused() {
    in_child("a_signature_with_a_number_that_is_none_is_refused", Lab::sim, |lab| {
        let none = Signature { cfg_scale: f64::NAN, ..signature() };
        assert!(matches!(
            open(lab).get_or_compile(&none, &program(DOUBLE)),
            Err(Error::Signature(_))
        ));
        assert_eq!(lab.compiles(), 0);
    });
}
