//! What happens if a device runs out of memory? The test plugin pretends that it does. The tests
//! check what is dropped, what is kept, and what the error says if nothing helps.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::path::{Path, PathBuf};

use pjrt_sim::{Count, Entry, Event, Outcome, Place, Sim, When};
use preheat::{
    Dtype, Executable, Program, Runtime, Signature, Source, Tensor, create_execution_signature,
};
use preheat_diffusion::models::ModelFolder;
use preheat_diffusion::pipeline::{Pipeline, TextToImage};
use preheat_runtime::device::{DeviceName, DeviceRequest};
use preheat_runtime::{Dropped, Error, RuntimeBuilder};
use support::demo::{Picture, demo_model};
use support::lab::{DOUBLE, library};
use support::random_model::{self, Shape, Weights};
use support::{Lab, in_child};

fn builder(lab: &Lab) -> RuntimeBuilder {
    let request = DeviceRequest { device: DeviceName::XlaCpu, ..DeviceRequest::default() };
    Runtime::builder().device(request).plugin(library()).cache_dir(lab.cache())
}

fn signature() -> Signature {
    create_execution_signature("model", [1, 4, 64, 64], 1, 7.0, "euler", 20, Dtype::Float32)
        .unwrap()
}

/// A program that doubles `length` numbers. Programs for different lengths are different programs.
fn program(length: usize) -> Program {
    Program::sniff(DOUBLE.replace("4xf32", &format!("{length}xf32")).as_bytes()).unwrap()
}

/// A new runtime, on a cache in which the programs of these lengths are warm.
fn over_warm_programs(lab: &Lab, lengths: &[usize]) -> Runtime {
    let first = builder(lab).build().unwrap();
    for &length in lengths {
        first.get_or_compile(&signature(), &program(length)).unwrap();
    }
    drop(first);
    builder(lab).build().unwrap()
}

fn get(runtime: &Runtime, length: usize) -> Result<Executable, Error> {
    runtime.get_or_compile(&signature(), &program(length))
}

#[track_caller]
fn doubles(executable: &Executable, length: usize) {
    let ones = Tensor::from_f32(&[length as u64], &vec![1.0; length]).unwrap();
    assert_eq!(executable.run_to_host(&[ones]).unwrap()[0].to_f32().unwrap(), vec![2.0; length]);
}

fn unloads(log: &[Entry]) -> usize {
    log.iter().filter(|entry| matches!(entry.event, Event::Unload { .. })).count()
}

/// The number of bytes that went to the device.
fn uploaded(log: &[Entry]) -> usize {
    let uploads = log.iter().filter(|entry| entry.outcome == Outcome::Ok).filter_map(|entry| {
        match entry.event {
            Event::HostToDevice { bytes } => Some(bytes),
            _ => None,
        }
    });
    uploads.sum()
}

#[test]
fn a_load_without_room_takes_the_place_of_an_executable_that_nobody_holds() {
    let second_fails = |lab: &Lab| lab.sim().out_of_memory(Place::Deserialize, When::Nth(3));
    in_child(
        "a_load_without_room_takes_the_place_of_an_executable_that_nobody_holds",
        second_fails,
        |lab| {
            let runtime = over_warm_programs(lab, &[5, 6, 7]);
            let held = get(&runtime, 5).unwrap();
            drop(get(&runtime, 6).unwrap());
            let before = unloads(&lab.log());
            let third = get(&runtime, 7).unwrap();
            assert_eq!(
                (third.report().source, lab.log().deserializes_started()),
                (Source::Disk, 4)
            );
            assert_eq!(unloads(&lab.log()) - before, 1);
            doubles(&third, 7);
            doubles(&held, 5);
            // The executable that was held is still in memory, and the other one is not.
            assert_eq!(get(&runtime, 5).unwrap().report().source, Source::Memory);
            assert_eq!(get(&runtime, 6).unwrap().report().source, Source::Disk);
            assert_eq!((lab.compiles(), runtime.warnings()), (3, Vec::new()));
        },
    );
}

#[test]
fn where_everything_is_in_use_the_error_has_the_figures() {
    let full = |lab: &Lab| lab.sim().out_of_memory(Place::Deserialize, When::From(2));
    in_child("where_everything_is_in_use_the_error_has_the_figures", full, |lab| {
        let runtime = over_warm_programs(lab, &[5, 6]);
        let held = get(&runtime, 5).unwrap();
        let Error::OutOfMemory(error) = get(&runtime, 6).unwrap_err() else {
            panic!("another error")
        };
        assert_eq!(
            (error.dropped, error.needed_bytes),
            (Dropped::default(), error.footprint.map(|it| it.code))
        );
        let footprint = error.footprint.unwrap();
        assert_eq!((footprint.arguments, footprint.outputs), (24, 24), "six numbers in, six out");
        assert!(footprint.code > 0 && error.free_bytes.unwrap() > 0 && error.cause.is_some());
        let said = error.to_string();
        for part in [
            "stage `program`: loading its executable: out of memory",
            "arguments 24 B",
            "are free",
            "everything that is left is in use",
        ] {
            assert!(said.contains(part), "no {part:?} in: {said}");
        }
        // Dropping an executable that nobody holds does not make enough room here either, but it is
        // tried.
        drop(held);
        let Error::OutOfMemory(error) = get(&runtime, 6).unwrap_err() else {
            panic!("another error")
        };
        assert_eq!((error.dropped.executables, error.dropped.weights), (1, 0));
        assert!(error.to_string().contains("1 executable"), "{error}");
        assert_eq!(lab.compiles(), 2, "compiling anew would not help");
    });
}

#[test]
fn an_execution_and_a_transfer_without_room_are_tried_again() {
    let sim = |lab: &Lab| {
        lab.sim()
            .out_of_memory(Place::Execute, When::Nth(2))
            .out_of_memory(Place::HostToDevice, When::Nth(3))
    };
    in_child("an_execution_and_a_transfer_without_room_are_tried_again", sim, |lab| {
        let runtime = over_warm_programs(lab, &[5, 6]);
        let executable = get(&runtime, 6).unwrap();
        doubles(&executable, 6);
        for place in [Place::Execute, Place::HostToDevice] {
            drop(get(&runtime, 5).unwrap());
            let failures = |log: &[Entry]| {
                log.count(place, |outcome| matches!(outcome, Outcome::Error { .. }))
            };
            let (failed, unloaded) = (failures(&lab.log()), unloads(&lab.log()));
            doubles(&executable, 6);
            assert_eq!(
                (failures(&lab.log()) - failed, unloads(&lab.log()) - unloaded),
                (1, 1),
                "{place:?}"
            );
        }
    });
}

#[test]
fn freeing_memory_leaves_what_is_in_use() {
    in_child("freeing_memory_leaves_what_is_in_use", Lab::sim, |lab| {
        let runtime = over_warm_programs(lab, &[5, 6]);
        let held = get(&runtime, 5).unwrap();
        let bytes = get(&runtime, 6).unwrap().footprint().code;
        let before = unloads(&lab.log());
        assert!(bytes > 0);
        assert_eq!((runtime.free_memory(), unloads(&lab.log()) - before), (bytes, 1));
        assert_eq!(runtime.free_memory(), 0);
        doubles(&held, 5);
        assert_eq!(get(&runtime, 5).unwrap().report().source, Source::Memory);
        assert_eq!(get(&runtime, 6).unwrap().report().source, Source::Disk);
    });
}

/// Writes a small model into the folder `name`. Models with different names have different weights.
fn model(lab: &Lab, name: &'static str) -> PathBuf {
    let folder = lab.path(name);
    let weights = Weights { dtype: Dtype::Float32, variation: name };
    random_model::write(Shape::Small("mixed"), &folder, weights, |_, _, _| {}).unwrap();
    folder
}

/// The bytes that all weights of a model take in float32.
fn weight_bytes(folder: &Path) -> usize {
    let model = ModelFolder::open(folder).unwrap();
    let graphs = random_model::graphs(&model).unwrap();
    let weights = graphs.iter().flat_map(|(_, graph)| graph.weights());
    weights.map(|weight| usize::try_from(weight.kind.elements()).unwrap() * 4).sum()
}

fn request() -> TextToImage {
    TextToImage {
        width: Some(64),
        height: Some(64),
        steps: 2,
        scheduler: Some("euler".to_owned()),
        seed: Some(1),
        ..TextToImage::new("a red fox")
    }
}

#[test]
fn what_a_model_has_on_the_device_goes_and_comes_back() {
    in_child("what_a_model_has_on_the_device_goes_and_comes_back", Lab::sim, |lab| {
        let runtime = builder(lab).build().unwrap();
        let folders = ["one", "other"].map(|name| model(lab, name));
        let weights = weight_bytes(&folders[0]);
        let [one, other] = folders
            .map(|folder| Pipeline::builder().warmup_steps(0).open(&runtime, folder).unwrap());
        let run = |pipeline: &Pipeline| {
            let before = lab.log().len();
            let made = pipeline.run(&request()).unwrap();
            let sources: Vec<Source> = made.stages.iter().map(|stage| stage.source).collect();
            (made.pictures, sources, uploaded(&lab.log()[before..]))
        };
        let (picture, sources, bytes) = run(&one);
        assert_eq!(sources, [Source::Compiled; 3]);
        assert!(bytes > weights, "{bytes} of {weights}");
        let (others_picture, sources, bytes) = run(&other);
        assert_eq!(sources, [Source::Memory; 3], "both models have the same shape");
        assert!(bytes > weights && others_picture != picture);
        assert!(run(&one).2 < weights / 10, "the weights are still on the device");

        // Nothing is in use between two runs.
        let freed = usize::try_from(runtime.free_memory()).unwrap();
        assert!(freed > 2 * weights, "{freed} of {weights}");
        let (again, sources, bytes) = run(&one);
        assert_eq!((again, sources), (picture.clone(), vec![Source::Disk; 3]));
        assert!(bytes > weights);

        // One model is unloaded, and the weights of the other stay. The executables, which both
        // models share, are loaded again.
        run(&other);
        let before = unloads(&lab.log());
        let freed = usize::try_from(one.unload()).unwrap();
        assert!(freed > weights && unloads(&lab.log()) - before == 3, "{freed} of {weights}");
        assert_eq!(one.unload(), 0);
        let (again, sources, bytes) = run(&other);
        assert_eq!((again, sources), (others_picture, vec![Source::Disk; 3]));
        assert!(bytes < weights / 10, "{bytes} of {weights}");
        let (again, _, bytes) = run(&one);
        assert!(again == picture && bytes > weights);
        assert_eq!(lab.compiles(), 3);
    });
}

#[test]
fn a_stage_without_room_on_the_way_is_run_again_in_the_place_of_others() {
    // The latents are the first thing that is read back from the device.
    let sim = |lab: &Lab| lab.sim().out_of_memory(Place::DeviceToHost, When::Nth(1));
    in_child("a_stage_without_room_on_the_way_is_run_again_in_the_place_of_others", sim, |lab| {
        let runtime = builder(lab).build().unwrap();
        let folder = model(lab, "one");
        let pipeline = Pipeline::builder().warmup_steps(0).open(&runtime, &folder).unwrap();
        let first = pipeline.run(&request()).unwrap();
        assert_eq!(
            lab.count(Place::DeviceToHost),
            3,
            "the latents, the latents again, and the picture"
        );
        let before = lab.log().len();
        let second = pipeline.run(&request()).unwrap();
        assert_eq!(first.pictures, second.pictures);
        let bytes = uploaded(&lab.log()[before..]);
        assert!(
            bytes > 1000 && bytes < weight_bytes(&folder),
            "the weights of one stage go to the device again: {bytes}"
        );
    });
}

/// `preheat run` of the demo model on a TPU of the test plugin, in float32.
fn run(lab: &Lab, sim: &Sim, words: &str) -> support::Preheat {
    let run = lab.quick_tpu(sim).words("--tpu-autocast-bf16=false").words(words);
    run.words("run --prompt seven --scheduler euler --steps 2 --seed 7 --no-tpu-warmup")
        .arg("--model")
        .arg(demo_model())
}

#[test]
fn a_model_that_does_not_fit_as_a_whole_runs_one_stage_after_the_other() {
    let lab = Lab::new();
    let whole = lab.sim().pose("v5e:1x1");
    let cold = run(&lab, &whole, "--json --tpu-debug-metrics").run().done().json();
    let picture = Picture::read(&lab.path("out.png"));
    let metrics = &cold["metrics"];
    let bytes = |figure: &str| metrics[format!("denoiser.{figure}_bytes")].as_f64().unwrap();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bytes of a small model"
    )]
    let denoiser = ["arguments", "outputs", "temporaries"]
        .map(bytes)
        .map(|bytes| bytes as u64)
        .iter()
        .sum::<u64>();
    let serialised = |entry: &Entry| match entry.event {
        Event::Serialize { bytes, .. } => u64::try_from(bytes).unwrap(),
        _ => 0,
    };
    let code: u64 = lab.log().iter().map(serialised).sum();
    // The limit has room for all executables and for what the denoiser takes to run, but not for
    // the weights of the other stages as well, which take 1.2 MB.
    let limit = code + denoiser + 50_000;
    let small = whole.clone().memory_limit(limit);
    run(&lab, &small, "-v --require-warm").run().done().says(&["dropped what is not in use"]);
    assert_eq!(Picture::read(&lab.path("out.png")), picture);
    // If a device has less memory than the denoiser alone needs, the run fails.
    let smaller = whole.clone().memory_limit(denoiser);
    let ran = run(&lab, &smaller, "--require-warm").run().ended(1);
    ran.says(&[
        "stage `denoiser`: loading its executable: out of memory",
        "it would not fit",
        "hint: ",
    ]);
    // If nothing helps, everything that can be dropped is dropped, and the error says so.
    let full = whole.out_of_memory(Place::Execute, When::Each);
    let ran = run(&lab, &full, "--require-warm").run().ended(1);
    ran.says(&[
        "stage `text_encoder`: running it: out of memory",
        "are free",
        "the weights of 2 stages",
        "hint: ",
    ]);
    assert_eq!(lab.compiles(), 3);
}

#[test]
fn what_the_whole_device_has_no_room_for_is_not_even_loaded() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let tpu = lab.sim().pose("v5e:1x1");
    lab.preheat_tpu(&tpu).words("program compile").arg(&program).run().done();
    let ran =
        lab.preheat_tpu(&tpu.memory_limit(1000)).words("program run").arg(&program).run().ended(1);
    ran.says(&[
        "stage `program`",
        "out of memory",
        "arguments 16 B, outputs 16 B",
        "1000 B of 1000 B are free",
        "it would not fit",
        "hint: ",
    ]);
    assert_eq!((lab.compiles(), lab.log().deserializes_started(), lab.executes()), (1, 0, 0));
}
