//! With which latents does a run begin?
//!
//! They are noise, or a picture with as much noise as the first call expects. Each picture of a
//! batch has a generator of its own, which draws in the order of diffusers' pipelines: the sample
//! of the encoded picture, the noise, the sample of the masked picture, and then the noise of the
//! steps.

use std::sync::Arc;

use preheat_runtime::backend::DeviceFault;
use preheat_runtime::device::fallback::Decode;
use preheat_runtime::{DeviceTensor, Executable};
use preheat_tensor::Tensor;

use super::checked_request::Prepared;
use super::error::PipelineError;
use super::given_picture::GivenPicture;
use super::noise::Generator;
use super::on_stage::StageRunner;
use super::ready::Ready;
use super::schedulers::Noising;
use crate::models::LATENT_PX;

/// The latents that a run begins with, and what it needs of its picture. All latents are `[batch,
/// channels, height, width]`.
#[derive(Debug, Clone)]
pub(super) struct Beginning {
    pub(super) latents: Vec<f32>,
    /// What draws the noise of the steps: one generator for each picture.
    pub(super) generators: Vec<Generator>,
    /// What is kept between the calls of the denoiser, if a part of the picture is kept so.
    pub(super) kept: Option<Kept>,
    /// What a network for inpainting reads besides the latents.
    pub(super) masked: Option<Masked>,
}

/// The picture of which a part is kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) image: Vec<f32>,
    pub(super) noise: Vec<f32>,
    pub(super) mask: Mask,
}

/// What a network for inpainting reads.
#[derive(Debug, Clone)]
pub(super) struct Masked {
    pub(super) mask: Mask,
    /// The latents of the picture without what is made anew.
    pub(super) image: Vec<f32>,
}

/// For each latent, 1 if it is made anew and 0 if it is kept: `[1, 1, height, width]`.
pub(super) type Mask = Vec<f32>;

/// Makes the latents that one request begins with.
#[derive(Clone, Copy)]
pub(super) struct Beginner<'a> {
    pub(super) runner: StageRunner<'a>,
    pub(super) prepared: &'a Prepared<'a>,
    pub(super) ready: &'a Ready,
}

/// The distribution that an encoder gives for the latents of one picture.
struct Posterior {
    mean: Vec<f32>,
    deviation: Vec<f32>,
    scaling_factor: f32,
}

impl Beginner<'_> {
    /// The beginning of a run whose latents have `elements` numbers for each picture.
    pub(super) fn begin(&self, elements: usize) -> Result<Beginning, PipelineError> {
        let Prepared { plan, schedule, given_picture, shape, .. } = self.prepared;
        let seeds = (0..shape.batch).map(|index| plan.seed.wrapping_add(index));
        let mut generators: Vec<Generator> = seeds.map(Generator::new).collect();
        if let Some((enlarged, _)) = &self.prepared.enlarged {
            let image = enlarged.fitted(shape.latent_sides.map(at));
            let noise = draw(&mut generators, elements);
            let latents = self.noised(&image, &noise);
            return Ok(Beginning { latents, generators, kept: None, masked: None });
        }
        let Some(given) = given_picture else {
            let mut latents = draw(&mut generators, elements);
            for latent in &mut latents {
                *latent *= schedule.init_noise_sigma;
            }
            return Ok(Beginning { latents, generators, kept: None, masked: None });
        };
        let padded = plan.sizes.padded.map(at);
        let made_anew = given.made_anew(padded);
        let reads_a_mask = self.runner.model.folder.reads_a_mask();
        // As in diffusers, inpainting with the whole strength begins with noise alone, and image to
        // image begins with the picture however noisy it is.
        let is_whole = plan.from_picture.is_some_and(|planned| planned.strength >= 1.0);
        let only_noise = made_anew.is_some() && is_whole;
        let mut image = Vec::new();
        if !(only_noise && reads_a_mask) {
            let posterior = self.encode(given, padded, None)?;
            image = posterior.sample(&mut generators, elements);
        }
        let noise = draw(&mut generators, elements);
        let latents = if only_noise {
            noise.iter().map(|noise| noise * schedule.init_noise_sigma).collect()
        } else {
            self.noised(&image, &noise)
        };
        let (mut kept, mut masked) = (None, None);
        if let Some(made_anew) = made_anew {
            let mask = mask(&made_anew, padded);
            if reads_a_mask {
                let posterior = self.encode(given, padded, Some(&made_anew))?;
                masked = Some(Masked { mask, image: posterior.sample(&mut generators, elements) });
            } else {
                // diffusers encodes the masked picture for every network, which takes a draw.
                draw(&mut generators, elements);
                kept = Some(Kept { image, noise, mask });
            }
        }
        Ok(Beginning { latents, generators, kept, masked })
    }

    /// Latents with as much noise as the first call expects.
    fn noised(&self, image: &[f32], noise: &[f32]) -> Vec<f32> {
        let first = self.prepared.schedule.calls.first();
        let first = first.map_or(Noising::NONE, |call| call.noising);
        let noised = |(image, noise): (&f32, &f32)| first.picture * image + first.noise * noise;
        image.iter().zip(noise).map(noised).collect()
    }

    /// Encodes the picture, without the pixels that are made anew if these are given.
    fn encode(
        &self,
        given: &GivenPicture,
        padded: [usize; 2],
        made_anew: Option<&[bool]>,
    ) -> Result<Posterior, PipelineError> {
        let Self { runner, prepared, ready } = *self;
        let at = prepared.stages.image_encoder.ok_or(PipelineError::NoPicture)?;
        let (stage, executable) = (&prepared.stages.all[at], &ready.executables[at]);
        let [width, height] = prepared.plan.sizes.padded;
        let planes = given.image.padded(padded).planes(made_anew);
        let image = Tensor::from_f32(&[1, 3, height, width], &planes)
            .map_err(preheat_runtime::Error::from)?;
        let moments = runner.run((stage, executable), Decode::Slices, |weights| {
            let image = runner.home(stage).runtime.to_device(&image)?;
            run_to_host((stage.name, executable), &image, weights)
        })?;
        let moments = moments.to_f32().ok_or(PipelineError::NoPicture)?;
        let (mean, log_variance) = moments.split_at(moments.len() / 2);
        // The limits are those of diffusers' `DiagonalGaussianDistribution`.
        let deviation = |log_variance: &f32| (0.5 * log_variance.clamp(-30.0, 20.0)).exp();
        Ok(Posterior {
            mean: mean.to_vec(),
            deviation: log_variance.iter().map(deviation).collect(),
            scaling_factor: runner.model.folder.vae().scaling_factor,
        })
    }
}

fn at(side: u64) -> usize {
    usize::try_from(side).unwrap_or(usize::MAX)
}

fn run_to_host(
    (name, executable): (&str, &Executable),
    image: &DeviceTensor,
    weights: &[Arc<DeviceTensor>],
) -> Result<Tensor, PipelineError> {
    let doing = "reading its result";
    let failed =
        |cause: DeviceFault| preheat_runtime::Error::Run { stage: name.to_owned(), doing, cause };
    let inputs = std::iter::once(image).chain(weights.iter().map(AsRef::as_ref));
    let moments = executable.run(inputs)?.into_iter().next();
    let moments = moments.ok_or_else(|| failed(DeviceFault::too_few_results(1)))?;
    Ok(moments.to_host().map_err(failed)?)
}

impl Posterior {
    /// A sample for each picture of the batch, as latents that a denoiser takes.
    fn sample(&self, generators: &mut [Generator], elements: usize) -> Vec<f32> {
        let noise = draw(generators, elements);
        let moments = self.mean.iter().zip(&self.deviation).cycle();
        let sample = |(noise, (mean, deviation)): (f32, (&f32, &f32))| {
            self.scaling_factor * (mean + deviation * noise)
        };
        noise.into_iter().zip(moments).map(sample).collect()
    }
}

/// Draws noise for the whole batch. Each picture has its own generator, so that it does not depend
/// on the other pictures of its batch. diffusers does the same if it is given a list of generators.
pub(super) fn draw(generators: &mut [Generator], elements: usize) -> Vec<f32> {
    generators.iter_mut().flat_map(|generator| generator.normal(elements)).collect()
}

/// The mask of the latents: each takes the value of its top left pixel, as torch's `interpolate`
/// does by default.
fn mask(made_anew: &[bool], [width, height]: [usize; 2]) -> Mask {
    let step = usize::try_from(LATENT_PX).unwrap_or(1);
    let rows = (0..height).step_by(step);
    let at = rows.flat_map(|y| (0..width).step_by(step).map(move |x| y * width + x));
    at.map(|at| if made_anew.get(at).copied().unwrap_or(false) { 1.0 } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latent_takes_the_mask_of_its_top_left_pixel() {
        let mut made_anew = [false; 24 * 16];
        made_anew[8] = true;
        made_anew[8 * 24 + 15] = true;
        made_anew[8 * 24 + 16] = true;
        assert_eq!(mask(&made_anew, [24, 16]), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn each_picture_of_a_batch_has_a_sample_of_its_own_generator() {
        let posterior =
            Posterior { mean: vec![1.0, 2.0], deviation: vec![0.5, 0.25], scaling_factor: 2.0 };
        let mut both = [Generator::new(1), Generator::new(2)];
        let samples = posterior.sample(&mut both, 2);
        let one = |seed| posterior.sample(&mut [Generator::new(seed)], 2);
        assert_eq!(samples, [one(1), one(2)].concat());
        let noise = Generator::new(1).normal(2);
        assert_eq!(one(1), [2.0 * (1.0 + 0.5 * noise[0]), 2.0 * (2.0 + 0.25 * noise[1])]);
    }
}
