//! What does a pipeline compile, run and wait for? The log of the test plugin shows it.

#![cfg(feature = "pipeline")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use pjrt_sim::{Count, Entry, Outcome, When};
use preheat::{Dtype, Runtime, Source};
use preheat_diffusion::models::{Component, ModelFolder};
use preheat_diffusion::pipeline::{
    Made, Pipeline, PipelineBuilder, PipelineError, Precision, Precisions, TextToImage,
};
use preheat_runtime::Error;
use preheat_runtime::device::{DeviceName, DeviceRequest};
use preheat_runtime::progress::{Event, EventKind, Progress};
use support::lab::library;
use support::random_model::{self, Shape, Weights};
use support::{Lab, in_child};

/// The smallest of the models: its stages are `text_encoder`, `denoiser` and `vae_decoder`.
const MODEL: &str = "mixed";
const STAGES: [&str; 3] = ["text_encoder", "denoiser", "vae_decoder"];

fn runtime(lab: &Lab) -> preheat_runtime::RuntimeBuilder {
    let request = DeviceRequest { device: DeviceName::XlaCpu, ..DeviceRequest::default() };
    Runtime::builder().device(request).plugin(library()).cache_dir(lab.cache())
}

/// The model's folder, which is written at the first call.
fn model(lab: &Lab) -> PathBuf {
    let folder = lab.path(MODEL);
    if folder.exists() { folder } else { random_model::write_small(MODEL, &lab.path("")).unwrap() }
}

/// Another model of the same shape: another name, other values, stored in another dtype.
fn fine_tune(lab: &Lab) -> PathBuf {
    let folder = lab.path("fine-tune");
    let weights = Weights { dtype: Dtype::Float16, variation: "fine-tune/" };
    random_model::write(Shape::Small(MODEL), &folder, weights, |_, _, _| {}).unwrap();
    folder
}

fn settings() -> PipelineBuilder {
    Pipeline::builder().warmup_steps(0)
}

/// A request with guidance, for two steps and one picture of 128x128 px.
fn request() -> TextToImage {
    TextToImage {
        width: Some(128),
        height: Some(128),
        steps: 2,
        cfg_scale: 7.0,
        scheduler: Some("euler".to_owned()),
        seed: Some(1),
        ..TextToImage::new("a red fox")
    }
}

/// Makes one request in a new runtime, as another process would. Returns the result, and the names
/// of the stages that the plugin compiled according to its log.
#[track_caller]
fn run(
    lab: &Lab,
    folder: PathBuf,
    settings: PipelineBuilder,
    request: &TextToImage,
) -> (Made, Vec<&'static str>) {
    let before = lab.log().len();
    let runtime = runtime(lab).build().unwrap();
    let made = settings.open(&runtime, folder).unwrap().run(request).unwrap();
    assert_eq!(runtime.warnings(), []);
    let log = &lab.log()[before..];
    let executed = executions(lab, log);
    let compiled = log.iter().filter(|entry| entry.outcome == Outcome::Ok).filter_map(|entry| {
        match entry.event {
            pjrt_sim::Event::Compile { executable, .. } => Some(executable),
            _ => None,
        }
    });
    let stage =
        |compiled| executed.iter().find(|run| run.executable == compiled).map(|run| run.stage);
    let compiled: Vec<_> =
        compiled.map(|compiled| stage(compiled).expect("what is compiled is run")).collect();
    assert_eq!(compiled.len(), log.compiles_started());
    // Stages are compiled side by side, in any order.
    let compiled: Vec<_> = STAGES
        .into_iter()
        .flat_map(|stage| compiled.iter().copied().filter(move |one| *one == stage))
        .collect();
    let said = made.stages.iter().filter(|stage| stage.source == Source::Compiled);
    assert_eq!(said.map(|stage| stage.stage.as_str()).collect::<Vec<_>>(), compiled);
    (made, compiled)
}

/// One execution by the plugin.
struct Execution {
    stage: &'static str,
    /// The number that the plugin gave the executable.
    executable: Option<u64>,
    /// The execution's place in the log.
    at: usize,
}

/// What the plugin executed, in order. Stages are told apart by their numbers of arguments.
fn executions(lab: &Lab, log: &[Entry]) -> Vec<Execution> {
    let model = ModelFolder::open(&model(lab)).unwrap();
    let graphs = random_model::graphs(&model).unwrap();
    let weights: BTreeMap<_, _> =
        graphs.iter().map(|(component, graph)| (component.name(), graph.weights().len())).collect();
    let of = |component: Component| weights[component.name()];
    let (text_encoder, decoder, unet) =
        (of(Component::TextEncoder), of(Component::Vae), of(Component::Unet));
    assert!(text_encoder < decoder && decoder < unet);
    // The text encoder takes its weights and the token ids; with a clip skip it takes fewer
    // weights. The decoder takes its weights and the latents.
    let stage = |arguments: usize| match arguments {
        count if count <= text_encoder + 1 => "text_encoder",
        count if count == decoder + 1 => "vae_decoder",
        count if count > unet => "denoiser",
        count => panic!("no stage takes {count} arguments"),
    };
    let succeeded = log.iter().enumerate().filter(|(_, entry)| entry.outcome == Outcome::Ok);
    succeeded
        .filter_map(|(at, entry)| match entry.event {
            pjrt_sim::Event::Execute { executable, arguments, .. } => {
                Some(Execution { stage: stage(arguments), executable, at })
            }
            _ => None,
        })
        .collect()
}

#[test]
fn after_one_run_nothing_like_it_is_compiled_again() {
    // Three compiles succeed, and every later one fails.
    let sim = |lab: &Lab| lab.sim().fail_compile(When::From(4));
    in_child("after_one_run_nothing_like_it_is_compiled_again", sim, |lab| {
        let (first, compiled) = run(lab, model(lab), settings(), &request());
        assert_eq!(compiled, STAGES);
        let base = request;
        let others = [
            ("cfg", TextToImage { cfg_scale: 7.5, ..base() }),
            ("steps", TextToImage { steps: 3, ..base() }),
            ("scheduler", TextToImage { scheduler: Some("euler_a".to_owned()), ..base() }),
            ("prompt", TextToImage { prompt: "two cats".to_owned(), ..base() }),
            (
                "negative prompt",
                TextToImage { negative_prompt: Some("blurry".to_owned()), ..base() },
            ),
            ("seed", TextToImage { seed: Some(u64::MAX), ..base() }),
        ];
        let same = |made: &Made| made.latents.bytes() == first.latents.bytes();
        for (what, other) in others {
            let (made, compiled) = run(lab, model(lab), settings(), &other);
            assert_eq!(compiled, [""; 0], "another {what}");
            assert!(!same(&made), "another {what} changed nothing");
        }
        let (made, compiled) = run(lab, fine_tune(lab), settings(), &request());
        assert_eq!(compiled, [""; 0], "a fine-tune");
        assert!(!same(&made), "a fine-tune changed nothing");
        // With padding, this is the same size.
        let smaller = TextToImage { width: Some(120), height: Some(120), ..base() };
        let (made, compiled) = run(lab, model(lab), settings(), &smaller);
        assert_eq!(compiled, [""; 0], "another size that is padded to the same");
        assert!(same(&made));
        assert_eq!((made.pictures[0].width, made.pictures[0].height), (120, 120));
        assert_eq!(made.plan.sizes.padded, [128, 128]);
        let (made, compiled) = run(lab, model(lab), settings(), &request());
        assert_eq!(compiled, [""; 0]);
        assert!(
            same(&made) && made.pictures == first.pictures,
            "the same request must make the same picture"
        );
        assert_eq!(lab.compiles(), STAGES.len());
        assert_eq!(lab.log().deserializes() % STAGES.len(), 0);
    });
}

#[test]
fn another_size_batch_or_dtype_compiles_what_it_changes() {
    in_child("another_size_batch_or_dtype_compiles_what_it_changes", Lab::sim, |lab| {
        let one_step = || TextToImage { steps: 1, ..request() };
        let compiles = |settings: PipelineBuilder, request: TextToImage| {
            run(lab, model(lab), settings, &request).1
        };
        assert_eq!(compiles(settings(), one_step()), STAGES);
        let other = TextToImage { height: Some(64), ..one_step() };
        assert_eq!(compiles(settings(), other), ["denoiser", "vae_decoder"], "another size");
        let other = TextToImage { width: Some(64), ..one_step() };
        assert_eq!(
            compiles(settings(), other),
            ["denoiser", "vae_decoder"],
            "width and height are exchanged"
        );
        let other = TextToImage { batch_size: 2, ..one_step() };
        assert_eq!(compiles(settings(), other), ["denoiser"], "another batch");
        let other = TextToImage { cfg_scale: 1.0, ..one_step() };
        assert_eq!(compiles(settings(), other), ["denoiser"], "no guidance");
        let other = TextToImage { clip_skip: 1, ..one_step() };
        assert_eq!(compiles(settings(), other), ["text_encoder"], "another clip skip");
        let denoiser = Precisions { denoiser: Some(Precision::Bf16), ..Precisions::default() };
        assert_eq!(
            compiles(settings().precisions(denoiser), one_step()),
            ["denoiser"],
            "another dtype of one stage"
        );
        let all = Precisions { all: Precision::Bf16, ..Precisions::default() };
        let rest = ["text_encoder", "vae_decoder"];
        assert_eq!(
            compiles(settings().precisions(all), one_step()),
            rest,
            "another dtype of the others, too"
        );
        let before = lab.compiles();
        assert_eq!(compiles(settings(), one_step()), [""; 0], "the first again");
        assert_eq!(lab.compiles(), before);
    });
}

/// Records the denoising steps that are reported to it.
#[derive(Default)]
struct Steps(Mutex<Vec<(usize, usize)>>);

impl Progress for Steps {
    fn event(&self, event: Event) {
        if let EventKind::Step { done, total } = event.kind {
            self.0.lock().unwrap().push((done, total));
        }
    }
}

#[test]
fn between_steps_the_host_waits_for_nothing() {
    in_child("between_steps_the_host_waits_for_nothing", Lab::sim, |lab| {
        let steps = Arc::new(Steps::default());
        let runtime = runtime(lab).progress(steps.clone()).build().unwrap();
        let pipeline = settings().open(&runtime, model(lab)).unwrap();
        let twelve = TextToImage { steps: 12, ..request() };
        pipeline.run(&twelve).unwrap();
        let log = lab.log();
        let executions = executions(lab, &log);
        let stages: Vec<_> = executions.iter().map(|run| run.stage).collect();
        let mut wanted = vec!["text_encoder"; 2];
        wanted.extend(["denoiser"; 12]);
        wanted.push("vae_decoder");
        assert_eq!(stages, wanted);
        let (first, last) = (executions[2].at, executions[13].at);
        let waits = log[first..last].iter().filter(|entry| {
            matches!(
                entry.event,
                pjrt_sim::Event::Await { .. } | pjrt_sim::Event::DeviceToHost { .. }
            )
        });
        assert_eq!(waits.collect::<Vec<_>>(), Vec::<&Entry>::new());
        // Between steps, only the step's few parameters go to the device, never the latents.
        let sent = log[first..last].iter().filter_map(|entry| match entry.event {
            pjrt_sim::Event::HostToDevice { bytes } => Some(bytes),
            _ => None,
        });
        assert_eq!(sent.max(), Some(64));
        let told: Vec<_> = (1..=12).map(|done| (done, 12)).collect();
        assert_eq!(*steps.0.lock().unwrap(), told);
    });
}

#[test]
fn a_prompt_is_encoded_once() {
    in_child("a_prompt_is_encoded_once", Lab::sim, |lab| {
        let runtime = runtime(lab).build().unwrap();
        let pipeline = settings().open(&runtime, model(lab)).unwrap();
        let encoded =
            || executions(lab, &lab.log()).iter().filter(|run| run.stage == "text_encoder").count();
        let first = pipeline.run(&request()).unwrap();
        assert_eq!(encoded(), 2, "the prompt and the empty one");
        let again = pipeline.run(&request()).unwrap();
        assert_eq!(encoded(), 2);
        assert_eq!(first.pictures, again.pictures);
        pipeline.run(&TextToImage { seed: Some(7), steps: 1, ..request() }).unwrap();
        pipeline.run(&TextToImage { cfg_scale: 1.0, ..request() }).unwrap();
        assert_eq!(encoded(), 2);
        pipeline
            .run(&TextToImage { negative_prompt: Some("blurry".to_owned()), ..request() })
            .unwrap();
        assert_eq!(encoded(), 3);
        pipeline.run(&TextToImage { prompt: "blurry".to_owned(), ..request() }).unwrap();
        assert_eq!(encoded(), 3, "a prompt that was a negative one before");
        pipeline.run(&TextToImage { prompt: "two cats".to_owned(), ..request() }).unwrap();
        assert_eq!(encoded(), 4);
    });
}

#[test]
fn all_that_is_not_warm_is_named_in_one_error() {
    in_child("all_that_is_not_warm_is_named_in_one_error", Lab::sim, |lab| {
        let missing = |request: &TextToImage| {
            let runtime = runtime(lab).require_warm(true).build().unwrap();
            match settings().open(&runtime, model(lab)).unwrap().run(request) {
                Err(PipelineError::Runtime(Error::NotWarm(stages))) => {
                    stages.into_iter().map(|stage| stage.stage).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(missing(&request()), STAGES);
        assert_eq!(lab.compiles(), 0);
        let warm = runtime(lab).build().unwrap();
        let warmed = settings().open(&warm, model(lab)).unwrap().warmup(&request(), false).unwrap();
        assert_eq!(
            warmed.stages.iter().map(|stage| stage.stage.stage.as_str()).collect::<Vec<_>>(),
            STAGES
        );
        let (_, compiled) = run(lab, model(lab), settings(), &request());
        assert_eq!(compiled, [""; 0]);
        assert_eq!(
            missing(&TextToImage { height: Some(64), ..request() }),
            ["denoiser", "vae_decoder"]
        );
        assert_eq!(lab.compiles(), STAGES.len());
    });
}
