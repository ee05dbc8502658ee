//! Which coefficients make the step graph compute DDIM?
//!
//! Denoising diffusion implicit models: arXiv 2010.02502, equation 12, whose sigma is 0 unless a
//! request gives an eta.

use super::numbers::{single, whole};
use super::settings::{Beyond, Settings};
use super::{Call, Coefficients, Prediction, Schedule};

/// The calls of `DDIMScheduler`.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Result<Schedule, Beyond> {
    let stride = settings.stride(steps);
    let timesteps =
        settings.spacing.timesteps(settings.train_timesteps, steps, settings.steps_offset);
    let call = |timestep: f64| {
        let timestep = timestep.round_ties_even();
        let alpha = settings.alpha(whole(timestep))?;
        // This is not the alpha of the next call's timestep: if timesteps are rounded, the two
        // differ a little.
        let next = settings.alpha(whole(timestep) - stride)?;
        let fresh = settings.eta * deviation(alpha, next);
        let coefficients = update(settings.prediction, settings.clip, alpha, next, fresh);
        Ok(Call { draws_noise: fresh > 0.0, ..Call::new(single(timestep), coefficients) })
    };
    Ok(Schedule {
        init_noise_sigma: 1.0,
        calls: timesteps.into_iter().map(call).collect::<Result<_, _>>()?,
    })
}

/// The standard deviation of the noise that a step adds with eta 1: equation 16.
fn deviation(alpha: f64, next: f64) -> f64 {
    ((1.0 - next) / (1.0 - alpha) * (1.0 - alpha / next)).max(0.0).sqrt()
}

/// `sqrt(next) * x0 + sqrt(1 - next - fresh^2) * epsilon + fresh * noise`, where only `x0` is
/// clipped.
fn update(
    prediction: Prediction,
    clip: Option<f64>,
    alpha: f64,
    next: f64,
    fresh: f64,
) -> Coefficients {
    let (signal, noise) = (alpha.sqrt(), (1.0 - alpha).sqrt());
    let (next_signal, next_noise) = (next.sqrt(), (1.0 - next - fresh * fresh).max(0.0).sqrt());
    // Each is a pair: the factors of `m` and of `L` in the formulas of `mod.rs`.
    let (picture, epsilon) = match prediction {
        Prediction::Epsilon => ((-noise / signal, 1.0 / signal), (1.0, 0.0)),
        Prediction::V => ((-noise, signal), (signal, noise)),
        Prediction::Sample => ((1.0, 0.0), (-signal / noise, 1.0 / noise)),
    };
    let noise = single(fresh);
    match clip {
        // The factors of the picture and of epsilon are added before they are rounded: at small
        // alphas, their large terms cancel.
        None => Coefficients {
            model: single(next_signal * picture.0 + next_noise * epsilon.0),
            latents: single(next_signal * picture.1 + next_noise * epsilon.1),
            noise,
            ..Coefficients::NONE
        },
        Some(clip) => Coefficients {
            output_model: single(picture.0),
            output_latents: single(picture.1),
            clip: single(clip),
            model: single(next_noise * epsilon.0),
            latents: single(next_noise * epsilon.1),
            output: single(next_signal),
            noise,
            ..Coefficients::NONE
        },
    }
}
