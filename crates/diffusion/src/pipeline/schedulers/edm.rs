//! Which coefficients make the step graph compute the EDM schedulers?
//!
//! Models of "Elucidating the design space of diffusion-based generative models" (arXiv 2206.00364)
//! get the logarithm of the noise level as their timestep. The picture is `c_skip * L + c_out * m`
//! with the factors of table 1.

use super::dpm_solver::{Update, updates};
use super::integrator::Level;
use super::numbers::single;
use super::settings::{Edm, FinalSigma, Settings};
use super::sigma_forms::{exponentials, karras};
use super::{Call, Coefficients, Prediction, Schedule};

/// The calls of `EDMEulerScheduler`: algorithm 1 without its second-order correction.
pub(super) fn euler(settings: &Settings, steps: usize) -> Schedule {
    let sigmas = sigmas(settings, steps);
    let call = |pair: &[f32]| {
        let [sigma, next] = [pair[0], pair[1]].map(f64::from);
        let (from_model, from_latents) = picture(settings, sigma);
        let stride = (next - sigma) / sigma;
        let coefficients = Coefficients {
            input_scale: input_scale(&settings.edm, sigma),
            latents: single(1.0 + stride * (1.0 - from_latents)),
            model: single(-stride * from_model),
            ..Coefficients::NONE
        };
        Call::new(timestep(pair[0]), coefficients)
    };
    Schedule {
        init_noise_sigma: init_noise_sigma(&settings.edm),
        calls: sigmas.windows(2).map(call).collect(),
    }
}

/// The calls of `EDMDPMSolverMultistepScheduler`.
pub(super) fn dpm_solver(settings: &Settings, steps: usize) -> Schedule {
    let sigmas = sigmas(settings, steps);
    let levels: Vec<Level> = sigmas.iter().copied().map(Level::unscaled).collect();
    let updates = updates(settings, &levels);
    let call = |(update, &sigma): (&Update, &f32)| {
        let (from_model, from_latents) = picture(settings, f64::from(sigma));
        let converted = Coefficients {
            input_scale: input_scale(&settings.edm, f64::from(sigma)),
            output_model: single(from_model),
            output_latents: single(from_latents),
            ..Coefficients::NONE
        };
        update.call(Call::new(timestep(sigma), converted))
    };
    Schedule {
        init_noise_sigma: init_noise_sigma(&settings.edm),
        calls: updates.iter().zip(&sigmas).map(call).collect(),
    }
}

/// The noise levels, and the one that is left after the last call.
pub(super) fn sigmas(settings: &Settings, steps: usize) -> Vec<f32> {
    let Edm { ends: [least, most], rho, is_exponential, .. } = settings.edm;
    let mut sigmas = if is_exponential {
        // For a single step, this is the quietest level.
        exponentials(least.ln(), most.ln(), steps).into_iter().rev().collect()
    } else {
        karras(most, least, steps, rho)
    };
    sigmas.push(match settings.final_sigma {
        FinalSigma::Zero => 0.0,
        FinalSigma::Least => least,
        FinalSigma::Last => sigmas.last().copied().unwrap_or(0.0),
    });
    sigmas.into_iter().map(single).collect()
}

/// The factors of `m` and of `L` in the predicted picture.
fn picture(settings: &Settings, sigma: f64) -> (f64, f64) {
    let data = settings.edm.data;
    let variance = sigma * sigma + data * data;
    let out = sigma * data / variance.sqrt();
    let out = if settings.prediction == Prediction::V { -out } else { out };
    (out, data * data / variance)
}

fn input_scale(edm: &Edm, sigma: f64) -> f32 {
    single(1.0 / (sigma * sigma + edm.data * edm.data).sqrt())
}

fn timestep(sigma: f32) -> f32 {
    0.25 * single(f64::from(sigma).ln())
}

fn init_noise_sigma(edm: &Edm) -> f32 {
    let [_, most] = edm.ends;
    single((most * most + 1.0).sqrt())
}
