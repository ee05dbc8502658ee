//! Do `preheat devices bench` and `devices tune` work on devices of libtorch?

use std::sync::{Arc, Mutex, OnceLock};

use preheat::Dtype;
use preheat::Tensor;
use preheat::TensorType;
use preheat_diffusion::pipeline::{Pipeline, TextToImage, Tuned};
use preheat_runtime::device::DeviceName;
use preheat_runtime::progress::{Event, EventKind, Progress};
use preheat_runtime::{DeviceTensor, Runtime};
use serde_json::Value;

use super::lab::with_fake_devices;
use crate::support::demo::demo_model;
use crate::support::{Lab, Preheat};

/// `preheat --json devices` with these words, on the demo model.
fn devices(preheat: Preheat, words: &str) -> Preheat {
    preheat.words("--json devices").words(words).arg("--model").arg(demo_model())
}

fn rows(document: &Value) -> &Vec<Value> {
    document["devices"].as_array().unwrap()
}

fn peak_bytes(row: &Value) -> u64 {
    row["peak_memory"]["bytes"].as_u64().unwrap_or_else(|| panic!("no peak memory in {row}"))
}

/// The batches that were tried on the only device, and whether each of them fits.
fn tried(document: &Value) -> Vec<(u64, bool)> {
    let tried = rows(document)[0]["tried"].as_array().unwrap();
    tried
        .iter()
        .map(|one| (one["batch"].as_u64().unwrap(), one["fits"].as_bool().unwrap()))
        .collect()
}

#[test]
fn libtorch_and_xla_agree_on_the_cpu_in_float32() {
    let lab = Lab::new();
    let words = "bench --devices cpu,xla-cpu --scheduler euler --steps 4";
    let document = devices(lab.on("auto"), words).run().done().json();
    println!("bench {document}");
    assert_eq!(document["reference"]["device"], "cpu");
    let [cpu, xla] = &rows(&document)[..] else { panic!("{document}") };
    assert_eq!((&cpu["device"], &xla["device"]), (&"cpu".into(), &"xla-cpu".into()));
    assert_eq!(
        cpu["agreement"]["largest_difference"], 0.0,
        "the other device is compared with this one"
    );
    let difference = xla["agreement"]["largest_difference"].as_f64().unwrap();
    assert!(0.0 < difference && difference <= 1e-4, "{xla}");
    assert_eq!(
        (&xla["agreement"]["least_psnr_db"], &xla["agreement"]["is_within"]),
        (&45.0.into(), &true.into())
    );
    for row in [cpu, xla] {
        assert_eq!(
            (&row["peak_memory"]["of"], &row["dtypes"]["denoiser"]),
            (&"process".into(), &"float32".into())
        );
        assert!(peak_bytes(row) > 10 << 20, "{row}");
        assert!(row["seconds_per_step"].as_f64().unwrap() > 0.0, "{row}");
    }
}

#[test]
fn bfloat16_is_set_against_a_run_of_its_own_in_float32() {
    let lab = Lab::new();
    let low = "bench --devices cpu --scheduler euler --steps 4 --precision bf16 --force-precision";
    let document = devices(lab.on("auto"), low).run().done().json();
    let [row] = &rows(&document)[..] else { panic!("{document}") };
    assert_eq!(
        (&document["reference"]["dtype"], &row["dtypes"]["denoiser"]),
        (&"float32".into(), &"bfloat16".into())
    );
    assert!(row["agreement"]["largest_difference"].as_f64().unwrap() > 1e-4, "{row}");
    assert_eq!(
        (&row["agreement"]["least_psnr_db"], &row["agreement"]["is_within"]),
        (&35.0.into(), &true.into())
    );
    let strict = format!("{low} --min-psnr 90");
    devices(lab.on("auto"), &strict).run().ended(1).says(&[
        "differ too much from the picture of cpu in float32: the PSNR of cpu is",
        "at least 90 dB are required",
    ]);
}

#[test]
fn a_device_with_memory_of_its_own_tells_its_own_peak_and_offloading_shows_in_it() {
    let lab = Lab::new();
    let bench = |offload: &str| {
        let words =
            format!("bench --devices fake:0,cpu --scheduler euler --steps 2 --offload {offload}");
        let document = devices(lab.fake("[{}]"), &words).run().done().json();
        let [card, cpu] = &rows(&document)[..] else { panic!("{document}") };
        assert_eq!(
            (&card["peak_memory"]["of"], &cpu["peak_memory"]["of"]),
            (&"device".into(), &"process".into())
        );
        assert_eq!(card["agreement"]["largest_difference"], 0.0, "the same arithmetic: {card}");
        peak_bytes(card)
    };
    let (none, sequential) = (bench("none"), bench("sequential"));
    println!("bench peak of fake:0: {none} bytes with offload none, {sequential} with sequential");
    assert!(4_000_000 < none && none < 20_000_000, "the demo model has 8 MB of weights: {none}");
    assert!(sequential < none / 2, "{sequential} of {none}");
}

#[test]
fn a_card_that_is_too_small_fails_alone() {
    let lab = Lab::new();
    let words = "bench --devices fake:0,cpu --scheduler euler --steps 2";
    let ran = devices(lab.card(100_000), words).run().ended(1);
    let ran = ran.says(&["does not fit", "device `fake:0` could not be measured"]);
    let document = ran.json();
    assert_eq!(
        (&rows(&document)[0]["measured"], &rows(&document)[1]["measured"]),
        (&false.into(), &true.into())
    );
}

#[test]
fn a_card_that_is_not_there_is_refused_before_anything_runs() {
    let lab = Lab::new();
    for (words, says) in [
        (
            "bench --devices cpu,cuda:7",
            "device `cuda:7` cannot be used: libtorch sees no CUDA card",
        ),
        ("tune --devices cpu,fake:3", "device `fake:3` cannot be used"),
    ] {
        let ran = devices(lab.on("auto"), words).run().ended(1).says(&[says]);
        assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 1), "{}", ran.stderr);
    }
    assert!(lab.objects().is_empty());
}

#[test]
fn the_batches_of_a_cpu_are_one_to_four() {
    let lab = Lab::new();
    let document = devices(lab.torch(), "tune --scheduler euler --steps 10").run().done().json();
    println!("tune {document}");
    assert_eq!(tried(&document), [(1, true), (2, true), (3, true), (4, true)]);
    let best = &rows(&document)[0]["best"];
    assert!(
        (1..=4).contains(&best["batch"].as_u64().unwrap())
            && best["images_per_second"].as_f64().unwrap() > 0.0
    );
}

#[test]
fn an_estimate_that_needs_more_offloading_ends_the_climb() {
    let lab = Lab::new();
    // By the estimate one picture takes 9.1 MB with every stage resident, two take 9.7 MB, and
    // three 10.4 MB.
    let document =
        devices(lab.card(10_000_000), "tune --scheduler euler --steps 4").run().done().json();
    assert_eq!(tried(&document), [(1, true), (2, true), (3, false)]);
    let why = rows(&document)[0]["tried"][2]["reason"].as_str().unwrap().to_owned();
    assert_eq!(
        why,
        "this batch would need offload model, but a single picture needs only offload none"
    );
    // If the user wants every stage resident, only the size of the memory limits the batch.
    let words = "tune --offload none --scheduler euler --steps 4";
    let document = devices(lab.card(10_000_000), words).run().done().json();
    assert_eq!(tried(&document), [(1, true), (2, true), (3, false)]);
    let why = rows(&document)[0]["tried"][2]["reason"].as_str().unwrap();
    assert!(
        why.starts_with("it does not fit: by the estimate it takes 9.9 MiB of fake:0's memory"),
        "{why}"
    );
}

#[test]
fn several_devices_are_tuned_one_after_the_other() {
    let lab = Lab::new();
    let words = "tune --devices cpu,xla-cpu --most 1 --scheduler euler --steps 4";
    let document = devices(lab.on("auto"), words).run().done().json();
    let names: Vec<&str> =
        rows(&document).iter().map(|row| row["device"]["selected"].as_str().unwrap()).collect();
    assert_eq!(names, ["cpu", "xla-cpu"]);
    for row in rows(&document) {
        assert_eq!((&row["range"][1], &row["best"]["batch"]), (&1.into(), &1.into()), "{row}");
    }
}

/// Acts as another program on the device: it allocates nearly all free memory when a batch of two
/// has run its first step.
#[derive(Default)]
struct Other {
    runtime: OnceLock<Runtime>,
    batch: Mutex<u64>,
    holds: Mutex<Option<DeviceTensor>>,
}

impl Progress for Other {
    fn event(&self, event: Event) {
        let (Some(runtime), EventKind::Step { .. }) = (self.runtime.get(), event.kind) else {
            return;
        };
        let mut holds = self.holds.lock().unwrap();
        if *self.batch.lock().unwrap() == 2 && holds.is_none() {
            let bytes = runtime.free_memory_bytes().unwrap() - 4096;
            let kind = TensorType::new(Dtype::UInt8, [bytes]);
            *holds = Some(runtime.to_device(&Tensor::zeros(kind).unwrap()).unwrap());
        }
    }
}

#[test]
fn a_card_that_runs_out_of_memory_ends_the_climb() {
    let name = "torch_runs::tune_bench::a_card_that_runs_out_of_memory_ends_the_climb";
    with_fake_devices(name, "[{\"memory_bytes\": 64000000}]", |lab| {
        let other = Arc::new(Other::default());
        let builder =
            lab.runtime(DeviceName::Fake(0)).progress(Arc::clone(&other) as Arc<dyn Progress>);
        let runtime = builder.build().unwrap();
        assert!(other.runtime.set(runtime.clone()).is_ok());
        let pipeline = Pipeline::open(&runtime, demo_model()).unwrap();
        let (width, height, scheduler) = (Some(128), Some(128), Some("euler".to_owned()));
        let request =
            TextToImage { width, height, scheduler, seed: Some(0), ..TextToImage::new("seven") };
        let tried =
            pipeline.tune(&request, 1..=4, |batch| *other.batch.lock().unwrap() = batch).unwrap();
        let [one, two] = &tried[..] else { panic!("{tried:?}") };
        assert!(matches!(one.outcome, Tuned::Ran(_)), "{one:?}");
        let Tuned::TooLarge(why) = &two.outcome else { panic!("{two:?}") };
        assert_eq!(why, "the device ran out of memory, and ended up with offload sequential");
    });
}
