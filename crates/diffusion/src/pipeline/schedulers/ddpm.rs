//! Which coefficients make the step graph compute DDPM?
//!
//! Ancestral sampling: arXiv 2006.11239, equation 7 and algorithm 2.

use super::numbers::{single, whole};
use super::settings::{Beyond, Settings};
use super::{Call, Coefficients, Prediction, Schedule};

/// The calls of `DDPMScheduler`.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Result<Schedule, Beyond> {
    let timesteps: Vec<f64> =
        settings.timesteps(steps).into_iter().map(f64::round_ties_even).collect();
    let nexts = timesteps.iter().copied().skip(1).chain([-1.0]);
    let call = |(&timestep, next): (&f64, f64)| {
        let (alpha, next) = (settings.alpha(whole(timestep))?, settings.alpha(whole(next))?);
        let mut coefficients = update(settings.prediction, settings.clip, alpha, next);
        // At timestep 0, diffusers draws no noise.
        let draws_noise = timestep > 0.0;
        if draws_noise {
            coefficients.noise = single(deviation(settings.has_large_variance, alpha, next));
        }
        Ok(Call { draws_noise, ..Call::new(single(timestep), coefficients) })
    };
    Ok(Schedule {
        init_noise_sigma: 1.0,
        calls: timesteps.iter().zip(nexts).map(call).collect::<Result<_, _>>()?,
    })
}

/// The mean of the latents before a step of the forward process, of which only `x0` is clipped.
fn update(prediction: Prediction, clip: Option<f64>, alpha: f64, next: f64) -> Coefficients {
    let (signal, noise) = (alpha.sqrt(), (1.0 - alpha).sqrt());
    let beta = 1.0 - alpha / next;
    let of_picture = next.sqrt() * beta / (1.0 - alpha);
    let of_latents = (alpha / next).sqrt() * (1.0 - next) / (1.0 - alpha);
    // The factors of `m` and of `L` in the picture.
    let picture = match prediction {
        Prediction::Epsilon => (-noise / signal, 1.0 / signal),
        Prediction::V => (-noise, signal),
        Prediction::Sample => (1.0, 0.0),
    };
    match clip {
        // The factors of the latents are added before they are rounded: at small alphas, their
        // large terms cancel.
        None => Coefficients {
            model: single(of_picture * picture.0),
            latents: single(of_picture * picture.1 + of_latents),
            ..Coefficients::NONE
        },
        Some(clip) => Coefficients {
            output_model: single(picture.0),
            output_latents: single(picture.1),
            clip: single(clip),
            latents: single(of_latents),
            output: single(of_picture),
            ..Coefficients::NONE
        },
    }
}

/// The standard deviation of the noise that a step adds: `variance_type`.
fn deviation(is_large: bool, alpha: f64, next: f64) -> f64 {
    /// diffusers takes the logarithm of some variances, and limits all of them to this.
    const LEAST_VARIANCE: f64 = 1e-20;
    let beta = 1.0 - alpha / next;
    let variance =
        if is_large { beta } else { ((1.0 - next) / (1.0 - alpha) * beta).max(LEAST_VARIANCE) };
    variance.sqrt()
}
