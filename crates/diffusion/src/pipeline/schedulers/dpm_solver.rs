//! Which coefficients make the step graph compute DPM-Solver++ in its multistep form?
//!
//! arXiv 2211.01095, algorithm 2, and arXiv 2206.00927 for the third order and for solvers that
//! integrate predicted noise. `algorithm_type` `sde-dpmsolver++` adds noise in each step.

use super::integrator::{Integral, Level};
use super::numbers::single;
use super::settings::Settings;
use super::solver_levels::solver_levels;
use super::solver_settings::SecondOrder;
use super::{Call, Schedule};

/// With at least this many steps, the last steps are not of a lower order, unless another setting
/// asks for it.
pub(super) const FEW_STEPS: usize = 15;

/// The calls of `DPMSolverMultistepScheduler`.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Schedule {
    let (timesteps, sigmas) = solver_levels(settings, steps);
    let levels: Vec<Level> = sigmas.iter().copied().map(Level::new).collect();
    let call = |(index, update): (usize, Update)| {
        let now = &levels[index];
        let converted =
            now.converted(settings.prediction, settings.solver.algorithm.integrates_noise);
        update.call(Call::new(single(timesteps[index]), converted))
    };
    let calls = updates(settings, &levels).into_iter().enumerate().map(call).collect();
    Schedule { init_noise_sigma: 1.0, calls }
}

/// How one call updates the latents, given the predictions that it and the calls before it made.
pub(super) struct Update {
    latents: f64,
    /// The factors of this call's prediction and of the two before it, the newest first.
    predictions: [f64; 3],
    noise: f64,
}

impl Update {
    /// A call with this update. diffusers draws noise in every step of a stochastic solver.
    pub(super) fn call(&self, call: Call) -> Call {
        let [output, before, earlier] = self.predictions.map(single);
        let mut call = Call { remembers: true, draws_noise: self.noise != 0.0, ..call };
        call.coefficients.latents = single(self.latents);
        call.coefficients.output = output;
        call.coefficients.history = [before, earlier, 0.0];
        call.coefficients.noise = single(self.noise);
        call
    }
}

/// The updates of all steps; there is one level more than there are steps.
pub(super) fn updates(settings: &Settings, levels: &[Level]) -> Vec<Update> {
    let solver = &settings.solver;
    let steps = levels.len().saturating_sub(1);
    let is_short = solver.lower_order_final && steps < FEW_STEPS;
    let ends_without_noise = levels.last().is_some_and(|level| level.sigma == 0.0);
    let last_is_first_order = solver.euler_at_final || is_short || ends_without_noise;
    let update = |index: usize| {
        let left = steps - index;
        let most = match left {
            1 if last_is_first_order => 1,
            2 if is_short => solver.order.min(2),
            _ => solver.order,
        };
        let order = most.min(settings.calls_before(index) + 1);
        let integral = Integral::new(solver.algorithm, &levels[index], &levels[index + 1]);
        let before = &levels[index + 1 - order..=index + 1];
        let predictions = match *before {
            [earlier, before, now, next] => third_order(&integral, [earlier, before, now, next]),
            [before, now, next] => {
                second_order(&integral, solver.second_order, [before, now, next])
            }
            _ => [integral.constant, 0.0, 0.0],
        };
        Update { latents: integral.latents, predictions, noise: integral.noise }
    };
    (0..steps).map(update).collect()
}

/// The derivative is the difference of the last two predictions, divided by the distance of their
/// levels.
fn second_order(
    integral: &Integral,
    second_order: SecondOrder,
    [before, now, next]: [Level; 3],
) -> [f64; 3] {
    let ratio = now.distance(&next) / before.distance(&now);
    let first = integral.first(second_order) * ratio;
    [integral.constant + first, -first, 0.0]
}

/// The derivatives are those of the polynomial through the last three predictions.
fn third_order(integral: &Integral, [earlier, before, now, next]: [Level; 4]) -> [f64; 3] {
    let step = now.distance(&next);
    if step == 0.0 {
        return [integral.constant, 0.0, 0.0];
    }
    let (near, far) = (before.distance(&now) / step, earlier.distance(&before) / step);
    // The differences of neighbouring predictions, and then of those differences.
    let recent = [1.0 / near, -1.0 / near, 0.0];
    let older = [0.0, 1.0 / far, -1.0 / far];
    let weight = |index: usize| {
        let change = (recent[index] - older[index]) / (near + far);
        integral.slope * (recent[index] + near * change) + integral.curve * change
    };
    [integral.constant + weight(0), weight(1), weight(2)]
}
