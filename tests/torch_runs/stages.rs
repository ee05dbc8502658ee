//! Can each stage run on its own device, and what happens if a device lacks an op?

use std::path::Path;

use preheat::Runtime;
use preheat_diffusion::pipeline::{Made, Pipeline, TextToImage};
use preheat_runtime::device::offload::{Mode, Offload};
use preheat_runtime::device::{DeviceName, StageDevices, StageKind};

use super::lab::{bytes, warnings, with_fake_devices};
use crate::support::Lab;
use crate::support::demo::demo_model;

const VAE: StageKind = StageKind::Vae { force_upcast: false };

fn seven() -> TextToImage {
    TextToImage { steps: 3, seed: Some(1), ..TextToImage::new("the digit seven") }
}

fn peak(runtime: &Runtime) -> u64 {
    runtime.metrics().device_memory["peak_bytes_in_use"]
}

/// The sizes in bytes of a component's weight files, added up. The demo model's files are in
/// float16, so in float32 the weights take up to twice as much.
fn weight_bytes(component: &str) -> u64 {
    let folder = demo_model().join(component);
    let is_weights = |path: &Path| path.extension().is_some_and(|ending| ending == "safetensors");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| is_weights(path)).map(|path| path.metadata().unwrap().len()).sum()
}

#[test]
fn each_stage_computes_on_its_own_device() {
    with_fake_devices(
        "torch_runs::stages::each_stage_computes_on_its_own_device",
        "[{}, {}]",
        |lab| {
            let run = |own: StageDevices| -> (Runtime, Made) {
                let builder = lab.runtime(DeviceName::Fake(0)).stage_devices(own).metrics(true);
                let runtime = builder.build().unwrap();
                let pipeline = Pipeline::open(&runtime, demo_model()).unwrap();
                let made = pipeline.run(&seven()).unwrap();
                (runtime, made)
            };
            let (together, expected) = run(StageDevices::default());
            let (split, made) = run(StageDevices {
                text_encoder: Some(DeviceName::Cpu),
                vae: Some(DeviceName::Fake(1)),
            });
            assert_eq!(made.latents.bytes(), expected.latents.bytes());
            assert_eq!(made.pictures[0].rgb, expected.pictures[0].rgb);
            let selected = |stage| split.for_stage(stage).device().selected.clone();
            let kinds = [StageKind::TextEncoder, StageKind::Denoiser, VAE];
            assert_eq!(kinds.map(selected), ["cpu", "fake:0", "fake:1"]);

            let of_stage = kinds.map(|stage| peak(split.for_stage(stage)));
            println!("memory stages apart: {of_stage:?}, together {}", peak(&together));
            // The denoiser's weights are on its own device and on no other. The other stages'
            // weights are not on the denoiser's device.
            let [text_encoder, denoiser, vae] = of_stage;
            assert!(denoiser >= weight_bytes("unet") && denoiser < peak(&together), "{of_stage:?}");
            assert!(text_encoder >= weight_bytes("text_encoder") * 9 / 10, "{of_stage:?}");
            assert!(
                text_encoder < weight_bytes("unet") && vae < weight_bytes("unet"),
                "{of_stage:?}"
            );
            let of_plan = |name: &str| {
                let plan = made.placement.as_ref().unwrap();
                plan.stages.iter().find(|stage| stage.name == name).unwrap().executes.to_string()
            };
            assert_eq!(
                ["text_encoder", "denoiser", "vae_decoder"].map(of_plan),
                ["cpu", "fake:0", "fake:1"]
            );
        },
    );
}

/// Every step reads the output of the text encoder. This output rests on the device where the steps
/// run, and no part of it stays on the text encoder's device.
#[test]
fn prompts_rest_where_the_denoiser_reads_them() {
    with_fake_devices(
        "torch_runs::stages::prompts_rest_where_the_denoiser_reads_them",
        "[{}, {}]",
        |lab| {
            let own = StageDevices { text_encoder: Some(DeviceName::Fake(1)), vae: None };
            let runtime =
                lab.runtime(DeviceName::Fake(0)).stage_devices(own).metrics(true).build().unwrap();
            let sequential = Offload::Always(Mode::Sequential);
            let pipeline =
                Pipeline::builder().offload(sequential).open(&runtime, demo_model()).unwrap();
            pipeline.run(&seven()).unwrap();
            let resting = |runtime: &Runtime| runtime.metrics().device_memory["bytes_in_use"];
            let (here, there) =
                (resting(&runtime), resting(runtime.for_stage(StageKind::TextEncoder)));
            // The prompt and the empty one, each with 77 tokens of 64 numbers. The limit below
            // leaves room for the few numbers that graphs hold.
            let prompts = 2 * 77 * 64 * 4;
            assert!(
                here >= prompts && there < 2048,
                "{here} where steps run, {there} where prompts are encoded"
            );
        },
    );
}

/// Two stages on a device without the denoiser make room for each other.
#[test]
fn stages_that_share_a_device_share_what_is_there() {
    with_fake_devices(
        "torch_runs::stages::stages_that_share_a_device_share_what_is_there",
        "[{}, {}]",
        |lab| {
            let peak_with = |mode| {
                let own = StageDevices {
                    text_encoder: Some(DeviceName::Fake(1)),
                    vae: Some(DeviceName::Fake(1)),
                };
                let runtime = lab
                    .runtime(DeviceName::Fake(0))
                    .stage_devices(own)
                    .metrics(true)
                    .build()
                    .unwrap();
                let pipeline = Pipeline::builder()
                    .offload(Offload::Always(mode))
                    .open(&runtime, demo_model())
                    .unwrap();
                let made = pipeline.run(&seven()).unwrap();
                (peak(runtime.for_stage(VAE)), made.pictures[0].rgb.clone())
            };
            let ((resident, expected), (by_stage, picture)) =
                (peak_with(Mode::None), peak_with(Mode::Model));
            assert_eq!(picture, expected);
            // While the decoder runs, the text encoder's weights rest in the host's memory.
            let text_encoder = weight_bytes("text_encoder") * 9 / 10;
            assert!(
                by_stage + text_encoder <= resident,
                "{by_stage} by stage, {resident} with all there"
            );
        },
    );
}

/// While one request uses a stage's weights, another request cannot move them off the device.
#[test]
fn requests_share_a_model_that_moves_in_and_out() {
    with_fake_devices(
        "torch_runs::stages::requests_share_a_model_that_moves_in_and_out",
        "[{}]",
        |lab| {
            let runtime = lab.runtime(DeviceName::Fake(0)).build().unwrap();
            let pipeline = Pipeline::builder()
                .offload(Offload::Always(Mode::Model))
                .open(&runtime, demo_model())
                .unwrap();
            let made = |side: u64| {
                let request = TextToImage { width: Some(side), height: Some(side), ..seven() };
                pipeline.run(&request).unwrap().pictures[0].rgb.clone()
            };
            let sides = [64, 128, 64, 128];
            let expected = sides.map(made);
            std::thread::scope(|scope| {
                let running = sides.map(|side| scope.spawn(move || made(side)));
                for (running, expected) in running.into_iter().zip(&expected) {
                    assert!(running.join().unwrap() == *expected);
                }
            });
        },
    );
}

#[test]
fn the_flags_give_the_same_picture_wherever_stages_are() {
    let lab = Lab::new();
    let picture = |flags: &str| {
        let run = lab
            .fake("[{}, {}]")
            .words("--json run --prompt seven --seed 1 --steps 3 --output out.png");
        let ran = run.words(flags).run().done().json();
        assert_eq!(ran["device"]["selected"], "fake:0", "{flags}");
        bytes(&lab.path("out.png"))
    };
    let expected = picture("");
    for flags in [
        "--vae-device cpu",
        "--text-encoder-device fake:1",
        "--text-encoder-device fake:1 --vae-device fake:1 --offload sequential",
        "--text-encoder-device cpu --vae-device fake:1 --offload model",
        "--vae-device fake:0",
    ] {
        assert_eq!(picture(flags), expected, "{flags}");
    }
}

/// A warmup warms each stage for the device on which the run uses it.
#[test]
fn stages_are_warm_where_they_run() {
    let lab = Lab::new();
    let apart = "--vae-device fake:1";
    lab.fake("[{}, {}]").words("warmup").words(apart).run().done();
    lab.fake("[{}, {}]").words("lookup").words(apart).run().done();
    let words = "--json run --prompt seven --steps 2 --require-warm";
    lab.fake("[{}, {}]").words(words).words(apart).run().done();
}

#[test]
fn an_op_that_a_device_lacks_runs_on_the_cpu_and_is_told_once() {
    let lab = Lab::new();
    let run = |devices: &str| {
        let ran = lab
            .fake(devices)
            .words("--json run --prompt seven --seed 1 --steps 3 --output out.png")
            .run()
            .done();
        (ran.json(), ran.stderr, bytes(&lab.path("out.png")))
    };
    let (_, _, expected) = run("[{}]");
    let (ran, said, picture) = run(r#"[{"lacks": ["conv2d", "group_norm"]}]"#);
    assert_eq!(picture, expected);
    for op in ["conv2d", "group_norm"] {
        let told = |text: &&str| text.contains(op) && text.contains("fake:0");
        assert_eq!(said.lines().filter(told).count(), 1, "{op} in: {said}");
        let warned = warnings(&ran);
        assert_eq!(
            warned.iter().filter(|warning| warning.contains(op)).count(),
            1,
            "{op}: {warned:?}"
        );
    }
}
