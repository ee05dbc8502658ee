//! Does the CPU through libtorch compute the same latents and pictures as the CPU through XLA, in
//! float32?

use std::path::Path;

use preheat::{Dtype, Tensor};
use preheat_diffusion::pipeline::{Made, Pipeline, TextToImage};
use preheat_runtime::device::DeviceName;

use super::lab::bytes;
use crate::support::demo::{Picture, demo_model};
use crate::support::{Lab, random_model};

/// The largest difference of latents, relative to the largest absolute value.
const LIMIT: f64 = 1e-4;
const PSNR_DB: f64 = 45.0;

/// The largest absolute difference, as a share of the largest absolute value of `want`.
fn error(have: &Tensor, want: &Tensor) -> f64 {
    assert_eq!(have.kind(), want.kind());
    let (have, want) = (have.to_f32().unwrap(), want.to_f32().unwrap());
    let largest = want.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let share = |(have, want): (&f32, &f32)| f64::from((have - want).abs()) / f64::from(largest);
    // A NaN counts as an infinite difference.
    have.iter()
        .zip(&want)
        .map(share)
        .fold(0.0, |most, one| if one.is_nan() { f64::INFINITY } else { most.max(one) })
}

fn psnr(have: &Made, want: &Made) -> f64 {
    let (have, want) = (&have.pictures[0], &want.pictures[0]);
    assert_eq!((have.width, have.height), (want.width, want.height));
    let squares = have.rgb.iter().zip(&want.rgb).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    let mean = squares.sum::<f64>() / have.rgb.len() as f64;
    10.0 * (255.0 * 255.0 / mean).log10()
}

/// Runs each request on both devices, and compares the results.
fn agree(lab: &Lab, name: &str, model: &Path, requests: &[TextToImage]) {
    let open = |device| {
        let runtime = lab.runtime(device).build().unwrap();
        Pipeline::builder().padding_multiple_px(8).warmup_steps(0).open(&runtime, model).unwrap()
    };
    let (torch, xla) = (open(DeviceName::Cpu), open(DeviceName::XlaCpu));
    for (at, request) in requests.iter().enumerate() {
        let [have, want] = [&torch, &xla]
            .map(|pipeline| pipeline.run(request).unwrap_or_else(|e| panic!("{name}: {e}")));
        assert_eq!(
            (have.plan.signature.dtype, want.plan.signature.dtype),
            (Dtype::Float32, Dtype::Float32)
        );
        let (error, psnr) = (error(&have.latents, &want.latents), psnr(&have, &want));
        println!("parity {name:10} request {at}: latents {error:.1e}, picture {psnr:.1} dB");
        assert!(error <= LIMIT, "{name}, request {at}: latents differ by {error:e}");
        assert!(psnr >= PSNR_DB, "{name}, request {at}: {psnr} dB");
    }
}

/// One request with the model's own scheduler and guidance, and one with another scheduler and no
/// guidance, at a size that is not square.
fn requests(steps: u64) -> [TextToImage; 2] {
    let own = TextToImage {
        width: Some(64),
        height: Some(64),
        steps,
        cfg_scale: 7.0,
        seed: Some(7),
        negative_prompt: Some("blurry".to_owned()),
        ..TextToImage::new("a red fox in the snow")
    };
    let other = TextToImage {
        width: Some(96),
        height: Some(72),
        cfg_scale: 1.0,
        scheduler: Some("euler".to_owned()),
        seed: Some(8),
        ..own.clone()
    };
    [own, other]
}

macro_rules! models {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let lab = Lab::new();
            let model = random_model::write_small(stringify!($name), &lab.path("")).unwrap();
            agree(&lab, stringify!($name), &model, &requests(6));
        }
    )*};
}

models!(sd15 sd21 sdxl mixed odd down_first);

/// The demo model is trained, so its pictures show something that a person could compare. It runs
/// with all of its steps.
#[test]
fn demo() {
    let [own, _] = requests(20);
    let seven = TextToImage { seed: Some(3), batch_size: 2, ..TextToImage::new("the digit seven") };
    agree(&Lab::new(), "demo", &demo_model(), &[own, seven]);
}

#[test]
fn the_binary_writes_the_same_picture_on_both() {
    let lab = Lab::new();
    let picture = |device: &str| {
        let file = lab.path(&format!("{device}.png"));
        let words = "run --prompt seven --seed 5 --steps 12 --output";
        lab.on(device).words(words).arg(&file).run().done();
        assert!(!bytes(&file).is_empty());
        Picture::read(&file)
    };
    let psnr = picture("cpu").psnr(&picture("xla-cpu"));
    println!("parity the demo model's pictures: {psnr:.1} dB");
    assert!(psnr >= PSNR_DB, "{psnr} dB");
}
