//! Which coefficients make the step graph compute the linear multistep method?
//!
//! The slope of the latents along the probability flow is integrated over sigma, as the polynomial
//! through the slopes of up to four calls. k-diffusion made the method known; the formulas are
//! those of Adams and Bashforth for uneven steps.

use super::numbers::single;
use super::settings::Settings;
use super::sigmas::Levels;
use super::{Call, Coefficients, Schedule, heun, lagrange};

/// How many slopes a step uses.
const ORDER: usize = 4;

/// The calls of `LMSDiscreteScheduler`.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Schedule {
    let levels = Levels::new(settings, steps);
    let call = |(index, (timestep, sigma, next)): (usize, (f32, f64, f64))| {
        let order = ORDER.min(index + 1);
        let points: Vec<f64> =
            (0..order).map(|back| f64::from(levels.sigmas[index - back]) - sigma).collect();
        let way = next - sigma;
        let powers = [way, way.powi(2) / 2.0, way.powi(3) / 3.0, way.powi(4) / 4.0];
        // diffusers takes the weights of the full order even if the run begins at this call, and
        // leaves out those slopes that are not known.
        let known = settings.calls_before(index) + 1;
        let mut weights = lagrange::weights(&points, powers).into_iter().take(known).map(single);
        let slope = heun::along(settings, sigma, 0.0);
        let coefficients = Coefficients {
            latents: 1.0,
            output: weights.next().unwrap_or(0.0),
            history: std::array::from_fn(|_| weights.next().unwrap_or(0.0)),
            model: 0.0,
            ..slope
        };
        Call { remembers: true, ..Call::new(timestep, coefficients) }
    };
    Schedule {
        init_noise_sigma: levels.init_noise_sigma(settings.spacing),
        calls: levels.steps().enumerate().map(call).collect(),
    }
}
