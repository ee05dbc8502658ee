//! How much memory does a model take on a device? The tests cover offloading, the decisions that
//! depend on the free memory, and what happens if memory runs out.

use std::path::Path;

use preheat_diffusion::pipeline::{self, Made, Pipeline, TextToImage};
use preheat_runtime::device::DeviceName;
use preheat_runtime::device::offload::{Decision, Mode, Offload};

use super::lab::{bytes, device_bytes, warnings, with_fake_devices};
use crate::support::demo::{Picture, demo_model};
use crate::support::{Lab, Preheat, Ran, random_model};

/// More memory than any test here needs.
const PLENTY: u64 = 1 << 30;
/// The bytes that the estimate leaves out in these tests: the scalars of all graphs that are
/// loaded.
const SCALARS: u64 = 2048;

/// How much memory a run took on its device.
struct Taken {
    made: Made,
    decision: Decision,
    peak_bytes: u64,
}

/// Runs a model on a fake device.
fn run(lab: &Lab, device: u32, model: &Path, offload: Offload, side: u64) -> Taken {
    run_set_up(lab, device, model, Pipeline::builder().offload(offload), side)
}

fn run_set_up(
    lab: &Lab,
    device: u32,
    model: &Path,
    set_up: pipeline::PipelineBuilder,
    side: u64,
) -> Taken {
    let runtime = lab.runtime(DeviceName::Fake(device)).metrics(true).build().unwrap();
    let pipeline = set_up.open(&runtime, model).unwrap();
    let (width, height) = (Some(side), Some(side));
    let request =
        TextToImage { width, height, steps: 2, seed: Some(3), ..TextToImage::new("a red fox") };
    let made = pipeline.run(&request).unwrap_or_else(|error| panic!("{error}"));
    let decision = made.placement.as_ref().unwrap().devices[0].clone();
    Taken { peak_bytes: runtime.metrics().device_memory["peak_bytes_in_use"], decision, made }
}

impl Taken {
    /// Asserts that the estimate was high enough and not far too high, and prints it.
    fn check(&self, name: &str) {
        let (mode, peak) = (self.decision.mode, self.peak_bytes);
        let estimate = self.decision.figures.under(mode);
        #[expect(clippy::cast_precision_loss, reason = "bytes")]
        let ratio = estimate as f64 / peak as f64;
        println!(
            "memory {name:10} offload {mode:10}: {peak} bytes at most, estimate {estimate}, {ratio:.2} times that"
        );
        assert!(
            estimate + SCALARS >= peak,
            "{name}, {mode}: {peak} bytes were taken, and the estimate is {estimate}"
        );
        assert!(
            ratio <= 2.5,
            "{name}, {mode}: {peak} bytes were taken, and the estimate is {estimate}"
        );
    }
}

/// Runs a model in each mode: the peak must fall from mode to mode, and the picture must stay the
/// same.
fn by_mode(lab: &Lab, name: &str, model: &Path, side: u64) -> [u64; 3] {
    let taken = [Mode::None, Mode::Model, Mode::Sequential]
        .map(|mode| run(lab, 0, model, Offload::Always(mode), side));
    for one in &taken {
        one.check(name);
        assert_eq!(
            one.made.pictures[0].rgb, taken[0].made.pictures[0].rgb,
            "{name}, {}",
            one.decision.mode
        );
        assert_eq!(
            one.made.latents.bytes(),
            taken[0].made.latents.bytes(),
            "{name}, {}",
            one.decision.mode
        );
    }
    let peaks = taken.map(|one| one.peak_bytes);
    assert!(peaks[0] > peaks[1] && peaks[1] > peaks[2], "{name}: {peaks:?}");
    peaks
}

#[test]
fn offloading_takes_what_it_says() {
    with_fake_devices("torch_runs::memory::offloading_takes_what_it_says", "[{}]", |lab| {
        let [none, _, by_op] = by_mode(lab, "demo", &demo_model(), 64);
        assert!(by_op * 10 < none, "{by_op} of {none}");
        for name in ["sd15", "sd21", "sdxl", "mixed"] {
            by_mode(lab, name, &random_model::write_small(name, &lab.path("")).unwrap(), 64);
        }
    });
}

/// The mode that is chosen is always the first that fits according to the estimate. So devices with
/// less and less memory get the modes in their order.
#[test]
fn auto_takes_the_first_mode_that_fits() {
    let devices = r#"[{}, {"memory_bytes": 9500000}, {"memory_bytes": 8500000}, {"memory_bytes": 4000000},
                      {"memory_bytes": 1000000}]"#;
    with_fake_devices("torch_runs::memory::auto_takes_the_first_mode_that_fits", devices, |lab| {
        let mut seen = Vec::new();
        for device in 0..5 {
            let taken = run(lab, device, &demo_model(), Offload::Auto, 64);
            let budget = taken.decision.budget_bytes().unwrap();
            let fits = |mode: &Mode| taken.decision.figures.under(*mode) <= budget;
            let first =
                [Mode::None, Mode::Model].into_iter().find(fits).unwrap_or(Mode::Sequential);
            assert_eq!(taken.decision.mode, first, "{}", taken.decision);
            assert!(taken.peak_bytes <= budget);
            taken.check("demo");
            seen.push(first);
        }
        // On the last device, no mode fits by the estimate. The estimate is cautious, so the run
        // fits nevertheless.
        assert_eq!(seen, [Mode::None, Mode::None, Mode::Model, Mode::Sequential, Mode::Sequential]);
        // Reserved memory is not used.
        let reserving = Pipeline::builder().reserve_memory_bytes(1_000_000);
        let taken = run_set_up(lab, 1, &demo_model(), reserving, 64);
        assert_eq!((taken.decision.mode, taken.decision.reserve_bytes), (Mode::Model, 1_000_000));
        assert!(taken.peak_bytes <= 8_500_000, "{}", taken.peak_bytes);
    });
}

/// A second run gives the same latents in every mode; after the model is unloaded, none of its
/// memory is left, and it still runs.
#[test]
fn nothing_is_left_when_a_model_is_unloaded() {
    with_fake_devices(
        "torch_runs::memory::nothing_is_left_when_a_model_is_unloaded",
        "[{}]",
        |lab| {
            for mode in [Mode::None, Mode::Model, Mode::Sequential] {
                let runtime = lab.runtime(DeviceName::Fake(0)).metrics(true).build().unwrap();
                let pipeline = Pipeline::builder()
                    .offload(Offload::Always(mode))
                    .open(&runtime, demo_model())
                    .unwrap();
                let request = TextToImage { steps: 2, seed: Some(3), ..TextToImage::new("seven") };
                let [first, second] = [(); 2].map(|()| pipeline.run(&request).unwrap().latents);
                assert_eq!(first.bytes(), second.bytes(), "{mode}");
                pipeline.unload();
                assert_eq!(runtime.metrics().device_memory["bytes_in_use"], 0, "{mode}");
                assert_eq!(
                    pipeline.run(&request).unwrap().latents.bytes(),
                    first.bytes(),
                    "{mode}"
                );
            }
        },
    );
}

/// `preheat run` on the small model whose VAE takes the most memory, on a card with a given amount
/// of memory.
struct Large {
    lab: Lab,
}

const SIDE: u32 = 768;

impl Large {
    fn new() -> Self {
        let lab = Lab::new();
        random_model::write_small("mixed", &lab.path("")).unwrap();
        Self { lab }
    }

    fn on(&self, memory_bytes: u64, words: &str) -> Preheat {
        let card = self.lab.card(memory_bytes).words("--json --tpu-debug-metrics").words(words);
        card.words(&format!("--width {SIDE} --height {SIDE} --model mixed"))
    }

    fn run(&self, memory_bytes: u64) -> Ran {
        self.on(memory_bytes, "run --prompt fox --seed 3 --steps 1 --output out.png").run()
    }

    fn picture(&self) -> Picture {
        Picture::read(&self.lab.path("out.png"))
    }
}

const TILES: &str = "no room to decode the picture whole: it is decoded in 4 overlapping tiles";

#[test]
fn a_picture_that_has_no_room_is_decoded_in_tiles() {
    let large = Large::new();
    let whole = large.run(PLENTY).done().json();
    assert_eq!(warnings(&whole), [""; 0]);
    let (peak, picture) = (device_bytes(&whole, "peak_bytes_in_use"), large.picture());
    let card = peak * 7 / 10;

    // A warmup also chooses tiles, so that the run finds its graphs; a run without a warmup chooses
    // the same tiles.
    let warmed = large.on(card, "warmup").run().done().json();
    assert!(warnings(&warmed).iter().any(|warning| warning.contains(TILES)), "{warmed}");
    let tiled = large.run(card).done().json();
    assert!(warnings(&tiled).iter().any(|warning| warning.contains(TILES)), "{tiled}");
    assert!(device_bytes(&tiled, "peak_bytes_in_use") <= card);
    // The norms of each tile see only that tile. So the pictures are similar, but not equal.
    let psnr = large.picture().psnr(&picture);
    println!("memory a picture in tiles is {psnr:.1} dB from the whole one");
    assert!(psnr > 20.0, "{psnr} dB");
    assert_ne!(large.picture().rgb, picture.rgb);

    let fresh = Large::new();
    assert_eq!(fresh.run(card).done().json()["images"], tiled["images"]);
    assert_eq!(fresh.picture().rgb, large.picture().rgb);
}

/// `--offload none` on a card that is too small for it.
#[test]
fn a_stage_that_has_no_room_is_offloaded() {
    let lab = Lab::new();
    let run = |memory_bytes: u64| {
        let words = "--json --offload none run --prompt seven --seed 1 --steps 2 --output out.png";
        lab.card(memory_bytes).words(words).run()
    };
    let trying =
        |mode: &str| format!("ran out of memory on fake:0: trying again with offload {mode}");
    let expected = (run(PLENTY).done(), bytes(&lab.path("out.png"))).1;
    // On the first card it is enough to drop the weights of finished stages; on the second card, a
    // step fails in the middle.
    for (memory_bytes, modes) in [(8_500_000, vec![]), (7_500_000, vec!["sequential"])] {
        let ran = run(memory_bytes).done().json();
        let said = warnings(&ran);
        for mode in &modes {
            assert!(said.iter().any(|warning| warning.contains(&trying(mode))), "{mode}: {said:?}");
        }
        assert_eq!(said.len(), modes.len(), "{said:?}");
        assert_eq!(bytes(&lab.path("out.png")), expected, "{memory_bytes}");
    }
    std::fs::remove_file(lab.path("out.png")).unwrap();
    // This is more memory than the largest op takes alone. It is less than the op takes together
    // with the values that are needed later.
    let ran = run(800_000).ended(1);
    let figures = [
        "ran out of memory on fake:0",
        "by the estimate it takes",
        "was free",
        "tried: pictures decoded one by one, offload sequential",
    ];
    ran.says(&figures).says(&["Make the batch or the size smaller"]);
    assert!(!lab.path("out.png").exists());
}

#[test]
fn what_fits_nowhere_is_refused_with_the_figures() {
    let large = Large::new();
    for memory_bytes in [10_000_000, 1000, 0] {
        let said = large.run(memory_bytes).ended(1);
        said.says(&["768x768 px does not fit", "vae_decoder", "are free", "hint:"]);
        assert!(!large.lab.path("out.png").exists());
    }
}
