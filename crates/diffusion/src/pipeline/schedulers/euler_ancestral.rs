//! Which coefficients make the step graph compute ancestral Euler steps?
//!
//! Each step goes down to a lower noise level than that of the next step. Fresh noise then raises
//! the level again: arXiv 2010.02502, equation 16 with eta 1, in terms of sigmas.

use super::euler;
use super::numbers::single;
use super::settings::Settings;
use super::sigmas::Levels;
use super::{Call, Coefficients, Schedule};

/// The calls of `EulerAncestralDiscreteScheduler`.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Schedule {
    let levels = Levels::new(settings, steps);
    let call = |(timestep, sigma, next): (f32, f64, f64)| {
        let fresh = (next * next * (sigma * sigma - next * next) / (sigma * sigma)).sqrt();
        // sqrt(next^2 - fresh^2), which simplifies to this.
        let down = next * next / sigma;
        let step = euler::update(settings.prediction, sigma, down);
        Call::new(timestep, Coefficients { noise: single(fresh), ..step })
    };
    let mut calls: Vec<Call> = levels.steps().map(call).collect();
    // diffusers also draws noise for the last step, and multiplies it by zero. No call follows, so
    // that draw is left out here.
    let drawing = calls.len().saturating_sub(1);
    calls.iter_mut().take(drawing).for_each(|call| call.draws_noise = true);
    Schedule { init_noise_sigma: levels.init_noise_sigma(settings.spacing), calls }
}
