//! Which coefficients make the step graph compute Euler steps?
//!
//! Euler steps along the probability flow: arXiv 2206.00364, algorithm 1 without its second-order
//! correction, and without churn.

use super::numbers::single;
use super::settings::Settings;
use super::sigmas::Levels;
use super::{Call, Coefficients, Prediction, Schedule};

/// The calls of `EulerDiscreteScheduler`.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Schedule {
    let levels = Levels::new(settings, steps);
    let call =
        |(timestep, sigma, next)| Call::new(timestep, update(settings.prediction, sigma, next));
    Schedule {
        init_noise_sigma: levels.init_noise_sigma(settings.spacing),
        calls: levels.steps().map(call).collect(),
    }
}

/// A step from one noise level down to another: `L + (L - x0) * (next - sigma) / sigma`.
///
/// The latents here are the picture, not scaled, plus `sigma` times unit noise, so their values
/// grow with the noise. The denoiser gets them scaled to unit variance.
pub(super) fn update(prediction: Prediction, sigma: f64, next: f64) -> Coefficients {
    let variance = sigma * sigma + 1.0;
    // x0 = from_model * m + (1 - from_noise) * L
    let (from_model, from_noise) = match prediction {
        Prediction::Epsilon => (-sigma, 0.0),
        Prediction::V => (-sigma / variance.sqrt(), sigma * sigma / variance),
        Prediction::Sample => (1.0, 1.0),
    };
    let stride = (next - sigma) / sigma;
    Coefficients {
        input_scale: single(1.0 / variance.sqrt()),
        latents: single(1.0 + stride * from_noise),
        model: single(-stride * from_model),
        ..Coefficients::NONE
    }
}
