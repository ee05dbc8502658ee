//! Which coefficients make the step graph compute Heun's method?
//!
//! It makes second-order steps along the probability flow: arXiv 2206.00364, algorithm 1 without
//! churn.

use super::numbers::single;
use super::settings::Settings;
use super::sigmas::Levels;
use super::{Base, Call, Coefficients, Prediction, Schedule};

/// The calls of `HeunDiscreteScheduler`: two for each step except the last one.
///
/// The first call of a step is an Euler step. The second call runs the denoiser on the latents that
/// the first one produced, and does the step again from the saved latents, with the mean of both
/// slopes.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Schedule {
    let levels = Levels::new(settings, steps);
    let redone = levels.timesteps.iter().skip(1).map(Some).chain([None]);
    let calls = levels.steps().zip(redone).flat_map(|((timestep, sigma, next), redone)| {
        let is_redone = redone.is_some();
        let stride = next - sigma;
        let mut first = along(settings, sigma, stride);
        first.latents = single(1.0 + f64::from(first.latents));
        let again = redone.map(|&timestep| {
            let mut again = along(settings, next, stride / 2.0);
            again.base = 1.0;
            // The first call's `out` is its slope or, with clipping, the picture that it predicted.
            if settings.clip.is_some() {
                again.base = single(1.0 + stride / sigma / 2.0);
                again.history[0] = single(-stride / sigma / 2.0);
            } else {
                again.history[0] = single(stride / 2.0);
            }
            Call { base: Base::Saved, ..Call::new(timestep, again) }
        });
        let first =
            Call { saves_latents: is_redone, remembers: is_redone, ..Call::new(timestep, first) };
        std::iter::once(first).chain(again)
    });
    Schedule { init_noise_sigma: levels.init_noise_sigma(settings.spacing), calls: calls.collect() }
}

/// A step of length `way` along the slope `(L - x0) / sigma`. `out` is that slope, so that large
/// terms cancel before they are rounded; if `x0` is clipped, `out` is `x0`.
pub(super) fn along(settings: &Settings, sigma: f64, way: f64) -> Coefficients {
    let variance = sigma * sigma + 1.0;
    let input_scale = single(1.0 / variance.sqrt());
    // x0 = from_model * m + (1 - from_noise) * L
    let (from_model, from_noise) = match settings.prediction {
        Prediction::Epsilon => (-sigma, 0.0),
        Prediction::V => (-sigma / variance.sqrt(), sigma * sigma / variance),
        Prediction::Sample => (1.0, 1.0),
    };
    match settings.clip {
        None => Coefficients {
            input_scale,
            output_model: single(-from_model / sigma),
            output_latents: single(from_noise / sigma),
            model: single(-way * from_model / sigma),
            latents: single(way * from_noise / sigma),
            ..Coefficients::NONE
        },
        Some(clip) => Coefficients {
            input_scale,
            output_model: single(from_model),
            output_latents: single(1.0 - from_noise),
            clip: single(clip),
            latents: single(way / sigma),
            output: single(-way / sigma),
            ..Coefficients::NONE
        },
    }
}
