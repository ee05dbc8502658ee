//! Which coefficients make the step graph compute DPM-Solver++?
//!
//! The multistep solver of second order: arXiv 2211.01095, algorithm 2.

use super::numbers::single;
use super::settings::{SecondOrder, Settings};
use super::sigmas::{interpolate, karras, timesteps_of, with_final};
use super::{Call, Coefficients, Prediction, Schedule, noise_schedule};

/// With at least this many steps, the last step is of second order, unless another setting forbids
/// it.
const FEW_STEPS: usize = 15;

/// The calls of `DPMSolverMultistepScheduler`.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Schedule {
    let (timesteps, sigmas) = levels(settings, steps);
    let levels: Vec<Level> = sigmas.iter().copied().map(Level::new).collect();
    let solver = &settings.solver;
    let last_is_first_order = solver.euler_at_final
        || (solver.lower_order_final && timesteps.len() < FEW_STEPS)
        || sigmas.last() == Some(&0.0);
    let call = |(index, &timestep): (usize, &f64)| {
        let before = if index == 0 || (last_is_first_order && index + 1 == timesteps.len()) {
            None
        } else {
            Some(&levels[index - 1])
        };
        let update = update(
            settings.prediction,
            solver.second_order,
            before,
            &levels[index],
            &levels[index + 1],
        );
        Call { remembers: true, ..Call::new(single(timestep), update) }
    };
    Schedule { init_noise_sigma: 1.0, calls: timesteps.iter().enumerate().map(call).collect() }
}

/// A noise level, in the two forms that the solver uses.
struct Level {
    /// The standard deviation of the noise, if the picture is not scaled.
    sigma: f64,
    /// The factor of the picture, if picture and noise together have unit variance.
    alpha: f64,
}

impl Level {
    fn new(sigma: f32) -> Self {
        let sigma = f64::from(sigma);
        Self { sigma, alpha: 1.0 / (sigma * sigma + 1.0).sqrt() }
    }
}

/// The timesteps, which are whole numbers, and the noise levels, of which there is one more.
fn levels(settings: &Settings, steps: usize) -> (Vec<f64>, Vec<f32>) {
    let trained = noise_schedule::sigmas(&settings.alphas_cumprod);
    let (timesteps, sigmas) = if let (Some(range), [least, .., most] | [least @ most]) =
        (settings.karras, trained.as_slice())
    {
        let sigmas = karras(range, f64::from(*most), f64::from(*least), steps);
        let round = if settings.rounds_timesteps { f64::round_ties_even } else { f64::trunc };
        (timesteps_of(&sigmas, &trained).into_iter().map(round).collect(), sigmas)
    } else {
        let within = settings.solver.train_timesteps;
        let timesteps = settings.spacing.solver_timesteps(
            settings.train_timesteps,
            within,
            steps,
            settings.steps_offset,
        );
        let sigmas = timesteps.iter().map(|&timestep| interpolate(&trained, timestep)).collect();
        (timesteps, sigmas)
    };
    let sigmas = with_final(&sigmas, settings, &trained);
    (timesteps, sigmas)
}

/// A step from one noise level to the next; it is of second order if the level before is given.
///
/// The paper's `h` is the logarithm of the ratio of the two levels, so `exp(-h)` is that ratio
/// itself.
fn update(
    prediction: Prediction,
    second_order: SecondOrder,
    before: Option<&Level>,
    now: &Level,
    next: &Level,
) -> Coefficients {
    let shrink = next.sigma / now.sigma - 1.0;
    let direct = -next.alpha * shrink;
    // The factor of the difference between this output and the one before.
    let slope = before.map_or(0.0, |before| {
        let step = (now.sigma / next.sigma).ln();
        let ratio = step / (before.sigma / now.sigma).ln();
        ratio
            * match second_order {
                SecondOrder::Midpoint => 0.5 * direct,
                SecondOrder::Heun if step == 0.0 => 0.0,
                SecondOrder::Heun => next.alpha * (shrink / step + 1.0),
            }
    });
    let (output_model, output_latents) = match prediction {
        Prediction::Epsilon => (-now.sigma, 1.0 / now.alpha),
        Prediction::V => (-now.sigma * now.alpha, now.alpha),
        Prediction::Sample => (1.0, 0.0),
    };
    Coefficients {
        output_model: single(output_model),
        output_latents: single(output_latents),
        latents: single(next.sigma * next.alpha / (now.sigma * now.alpha)),
        output: single(direct + slope),
        history: [single(-slope), 0.0, 0.0],
        ..Coefficients::NONE
    }
}
