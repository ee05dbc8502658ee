//! Do whole runs, from the prompt to latents and pictures, give what diffusers gives?
//!
//! These runs use the fast compile effort, whose compiles take half the time. Each network alone is
//! compared at the full effort ([`super::parts`]), and so are the whole runs with LoRAs and with
//! long prompts.

use preheat_diffusion::pipeline::{Made, Pipeline, Precision, Precisions, TextToImage};

use super::fixture::{Case, Fixture, Worst, error};

/// The largest error of the latents after a run, relative to the reference's largest absolute
/// value.
const LIMIT: f64 = 1e-3;
/// The smallest allowed peak signal-to-noise ratio of a picture in f32 against the reference.
/// `PSNR_BF16_DB` is the limit for a picture in bf16, against the same reference in f32.
pub const PSNR_DB: f64 = 45.0;
const PSNR_BF16_DB: f64 = 35.0;

/// The cases that are not run here, each with the reason: a request has no field for one of their
/// arguments.
pub const ELSEWHERE: &[(&str, &str)] = &[
    (
        "latents.one_generator",
        "each picture of a batch has its own generator, so that a seed identifies one picture",
    ),
    ("latents.rescaled", "there is no guidance_rescale"),
    ("latents.sizes", "Stable Diffusion XL always gets the picture's own sizes"),
];

fn is_elsewhere(case: &Case) -> bool {
    let listed = ELSEWHERE.iter().any(|(tensor, _)| *tensor == case.tensor);
    assert_eq!(listed, case.has_more_than_a_request(), "{}", case.tensor);
    listed
}

fn open(fixture: &Fixture, precision: Precision) -> Pipeline {
    let precisions = Precisions { all: precision, ..Precisions::default() };
    let builder = Pipeline::builder().padding_multiple_px(8).precisions(precisions).warmup_steps(0);
    builder.open(fixture.fast_runtime(), &fixture.folder).unwrap()
}

/// The request for one picture of a case. A request has one prompt. So for a case with two prompts,
/// each prompt is requested in a batch of two, and the other picture is dropped.
fn request(case: &Case, row: usize) -> TextToImage {
    let (prompts, seeds) =
        (case.prompt.as_ref().unwrap().to_vec(), case.seed.as_ref().unwrap().to_vec());
    assert_eq!(prompts.len(), seeds.len(), "{}", case.tensor);
    TextToImage {
        prompt: prompts[row].clone(),
        negative_prompt: case.negative_prompt.clone(),
        prompt_2: case.prompt_2.clone(),
        negative_prompt_2: case.negative_prompt_2.clone(),
        width: case.width,
        height: case.height,
        steps: case.num_inference_steps.unwrap(),
        cfg_scale: case.guidance_scale.unwrap(),
        scheduler: case.scheduler.clone(),
        seed: Some(seeds[row] - u64::try_from(row).unwrap()),
        batch_size: seeds.len().try_into().unwrap(),
        clip_skip: case.clip_skip.unwrap_or(0),
        ..TextToImage::default()
    }
}

/// Runs the request of each picture of a case, and returns each result with the picture's row in
/// the batch.
fn make<'a>(pipeline: &'a Pipeline, case: &'a Case) -> impl Iterator<Item = (usize, Made)> + 'a {
    let rows = case.seed.as_ref().unwrap().to_vec().len();
    (0..rows).map(|row| {
        (row, pipeline.run(&request(case, row)).unwrap_or_else(|e| panic!("{}: {e}", case.tensor)))
    })
}

pub fn all(fixture: &Fixture) {
    let pipeline = open(fixture, Precision::Fp32);
    let mut worst = Worst::new(fixture, "latents", LIMIT);
    for case in fixture.cases("latents.").filter(|case| !is_elsewhere(case)) {
        let expected = fixture.expected(&case.tensor);
        for (row, made) in make(&pipeline, case) {
            let dims: Vec<usize> =
                made.latents.kind().dims.iter().map(|&size| size.try_into().unwrap()).collect();
            assert_eq!(dims, expected.dims, "{}", case.tensor);
            let latents = made.latents.to_f32().unwrap();
            let each = latents.len() / dims[0];
            worst.add(&case.tensor, error(&latents[row * each..][..each], expected.row(row)));
        }
    }
    worst.check();
    pictures(fixture, "picture.", &pipeline, "pictures f32", PSNR_DB);
    // In bf16, only one picture of each model is compared, because compiling it in bf16 takes twice
    // as long. Some models have no pictures.
    pictures(
        fixture,
        "picture.shipped",
        &open(fixture, Precision::Bf16),
        "pictures bf16",
        PSNR_BF16_DB,
    );
}

/// Compares the bytes of the fixture's pictures. Some models have no pictures.
fn pictures(fixture: &Fixture, prefix: &str, pipeline: &Pipeline, title: &str, least_db: f64) {
    for case in fixture.cases(prefix) {
        assert!(!is_elsewhere(case));
        let expected = fixture.expected(&case.tensor);
        for (row, made) in make(pipeline, case) {
            let picture = &made.pictures[row];
            let dims =
                [picture.height, picture.width, 3].map(|size| usize::try_from(size).unwrap());
            assert_eq!(dims, expected.dims[1..], "{}", case.tensor);
            let (psnr, most) = psnr(&picture.rgb, expected.row(row));
            println!(
                "parity {:10} {title:14} {psnr:.1} dB, bytes differ by {most} at most, in {}",
                fixture.name, case.tensor
            );
            assert!(psnr >= least_db, "{}: {psnr} dB", case.tensor);
        }
    }
}

/// The peak signal-to-noise ratio in dB, infinite if all bytes are equal, and the largest
/// difference.
pub fn psnr(have: &[u8], want: &[f32]) -> (f64, f64) {
    assert_eq!(have.len(), want.len());
    let differences =
        have.iter().zip(want).map(|(&have, &want)| (f64::from(have) - f64::from(want)).abs());
    let most = differences.clone().fold(0.0, f64::max);
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    let mean =
        differences.map(|difference| difference * difference).sum::<f64>() / have.len() as f64;
    (10.0 * (255.0 * 255.0 / mean).log10(), most)
}
