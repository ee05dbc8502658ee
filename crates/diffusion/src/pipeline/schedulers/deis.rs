//! Which coefficients make the step graph compute DEIS?
//!
//! The predicted noise is integrated over sigma as a polynomial in the logarithm of sigma: arXiv
//! 2204.13902, equation 15, in the form that the paper calls rho AB with log rho.

use super::dpm_solver::FEW_STEPS;
use super::integrator::{Integral, Level};
use super::numbers::single;
use super::settings::Settings;
use super::solver_levels::solver_levels;
use super::{Call, Schedule, lagrange};

/// The calls of `DEISMultistepScheduler`.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Schedule {
    let (timesteps, sigmas) = solver_levels(settings, steps);
    let levels: Vec<Level> = sigmas.iter().copied().map(Level::new).collect();
    let solver = &settings.solver;
    let count = timesteps.len();
    let is_short = solver.lower_order_final && count < FEW_STEPS;
    let call = |(index, &timestep): (usize, &f64)| {
        let left = count - index;
        let most = if is_short { left } else { solver.order };
        let order = solver.order.min(most).min(settings.calls_before(index) + 1);
        let (now, next) = (&levels[index], &levels[index + 1]);
        let integral = Integral::new(solver.algorithm, now, next);
        let mut factors = [integral.constant, 0.0, 0.0];
        if order > 1 {
            let points: Vec<f64> =
                (0..order).map(|back| levels[index - back].distance(now)).collect();
            let weights = lagrange::weights(&points, powers(now, next));
            factors.iter_mut().zip(weights).for_each(|(factor, weight)| *factor = weight);
        }
        let mut coefficients = now.converted(settings.prediction, true);
        coefficients.latents = single(integral.latents);
        coefficients.output = single(factors[0]);
        coefficients.history = [single(factors[1]), single(factors[2]), 0.0];
        Call { remembers: true, ..Call::new(single(timestep), coefficients) }
    };
    Schedule { init_noise_sigma: 1.0, calls: timesteps.iter().enumerate().map(call).collect() }
}

/// The integrals over sigma, from one level to the next, of the powers of `ln(sigma / now.sigma)`,
/// multiplied by the next level's factor of the picture.
fn powers(now: &Level, next: &Level) -> [f64; 4] {
    // With sigma = now.sigma * e^u, they are now.sigma times the integrals of u^n e^u, which
    // partial integration leads back to the power before.
    let end = -now.distance(next);
    let scale = next.alpha * now.sigma;
    let mut integral = end.exp_m1();
    let mut powers = [scale * integral, 0.0, 0.0, 0.0];
    for (exponent, power) in (1_i32..).zip(&mut powers[1..]) {
        integral = end.powi(exponent) * end.exp() - f64::from(exponent) * integral;
        *power = scale * integral;
    }
    powers
}
