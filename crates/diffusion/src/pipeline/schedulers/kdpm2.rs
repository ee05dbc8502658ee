//! Which coefficients make the step graph compute DPM2, with and without fresh noise?
//!
//! A step first goes to the noise level in the middle, and is then done again from its beginning
//! with the slope that it found there: DPM-Solver-2 of arXiv 2206.00927 along the probability flow
//! of arXiv 2206.00364.

use super::heun::along;
use super::noise_schedule;
use super::numbers::single;
use super::settings::Settings;
use super::sigmas::{Levels, timesteps_of};
use super::{Base, Call, Schedule, SchedulerKind};

/// The calls of `KDPM2DiscreteScheduler` and of `KDPM2AncestralDiscreteScheduler`: two for each
/// step except the last one.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Schedule {
    let levels = Levels::new(settings, steps);
    let trained = noise_schedule::sigmas(&settings.alphas_cumprod);
    let is_ancestral = settings.name.kind == SchedulerKind::Kdpm2Ancestral;
    let calls = levels.steps().flat_map(|(timestep, sigma, next)| {
        if next == 0.0 {
            return [Some(first(settings, timestep, sigma, next)), None];
        }
        // The ancestral form goes down to a lower level than that of the next step, and adds noise.
        let down = if is_ancestral { next * next / sigma } else { next };
        // The middle of the two levels' logarithms.
        let middle = (sigma * down).sqrt();
        let between = timesteps_of(&[middle], &trained).first().copied().unwrap_or(0.0);
        let mut again = along(settings, middle, down - sigma);
        again.base = 1.0;
        again.noise = single((next * next - down * down).max(0.0).sqrt());
        let start = Call { saves_latents: true, ..first(settings, timestep, sigma, middle) };
        let again = Call {
            base: Base::Saved,
            draws_noise: is_ancestral,
            ..Call::new(single(between), again)
        };
        [Some(start), Some(again)]
    });
    Schedule {
        init_noise_sigma: levels.init_noise_sigma(settings.spacing),
        calls: calls.flatten().collect(),
    }
}

/// An Euler step from one noise level to another.
fn first(settings: &Settings, timestep: f32, sigma: f64, next: f64) -> Call {
    let mut step = along(settings, sigma, next - sigma);
    step.latents = single(1.0 + f64::from(step.latents));
    Call::new(timestep, step)
}
