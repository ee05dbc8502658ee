//! Which coefficients make the step graph compute UniPC?
//!
//! Every call corrects the latents that the call before it predicted, with the denoiser's output
//! for them, and then predicts the next latents: arXiv 2302.04867, algorithms 1 to 4.

use super::integrator::{Integral, Level};
use super::numbers::{real, single};
use super::settings::Settings;
use super::solver_levels::solver_levels;
use super::{Base, Call, Schedule, lagrange};

/// The calls of `UniPCMultistepScheduler`.
///
/// The corrected latents never leave the graph. The latents `L` of a call are what the call before
/// it predicted from its corrected latents, so the predictor's share is taken away from `L`, and
/// the corrector's share is added instead. Both begin with the same multiple of those latents.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Schedule {
    let (timesteps, sigmas) = solver_levels(settings, steps);
    let levels: Vec<Level> = sigmas.iter().copied().map(Level::new).collect();
    let solver = &settings.solver;
    let order = |index: usize| {
        let left = if solver.lower_order_final { timesteps.len() - index } else { solver.order };
        solver.order.min(left).min(settings.calls_before(index) + 1)
    };
    let call = |(index, &timestep): (usize, &f64)| {
        let [own, before @ ..] = Step::new(settings, &levels, index, order(index)).predicted();
        let integral = Integral::new(solver.algorithm, &levels[index], &levels[index + 1]);
        let mut output = own;
        let mut history = [before[0], before[1], 0.0];
        let corrects =
            |last: &usize| settings.calls_before(index) > 0 && !solver.uncorrected.contains(last);
        let corrected = index.checked_sub(1).filter(corrects);
        if let Some(last) = corrected {
            let step = Step::new(settings, &levels, last, order(last));
            let (this, right) = step.corrected();
            output += integral.latents * this;
            for (slot, (right, wrong)) in right.into_iter().zip(step.predicted()).enumerate() {
                history[slot] += integral.latents * (right - wrong);
            }
        }
        let to_noise = solver.algorithm.integrates_noise;
        let mut coefficients = levels[index].converted(settings.prediction, to_noise);
        coefficients.output = single(output);
        coefficients.history = history.map(single);
        // If a part of the picture is kept, the predictor's latents are not the latents of this
        // call. diffusers, too, corrects the predictor's, and only converts those of the call.
        let base = if corrected.is_some() && settings.from_picture.keeps_a_part {
            coefficients.base = single(integral.latents);
            Base::Unblended
        } else {
            coefficients.latents = single(integral.latents);
            Base::Current
        };
        Call { remembers: true, base, ..Call::new(single(timestep), coefficients) }
    };
    Schedule { init_noise_sigma: 1.0, calls: timesteps.iter().enumerate().map(call).collect() }
}

/// A step from one level to the next, and what the method's formulas need of it.
struct Step {
    integral: Integral,
    /// The distances of the earlier levels from this one, in units of the step's length.
    distances: Vec<f64>,
    /// `B(h)`, with the factor of the integral before it.
    scale: f64,
    /// The right sides of the equations for the weights: one more than there are distances.
    targets: Vec<f64>,
}

impl Step {
    /// The step that begins at level `index`, with the predictions of as many calls as its order.
    fn new(settings: &Settings, levels: &[Level], index: usize, order: usize) -> Self {
        let solver = &settings.solver;
        let (now, next) = (&levels[index], &levels[index + 1]);
        let integral = Integral::new(solver.algorithm, now, next);
        let step = now.distance(next);
        let length = if solver.algorithm.integrates_noise { step } else { -step };
        // The integral's constant is `-factor * (e^length - 1)`.
        let grown = length.exp_m1();
        let factor = -integral.constant / grown;
        let base = if solver.is_bh1 { length } else { grown };
        let mut targets = Vec::new();
        let mut factorial = 1.0;
        let mut phi = grown / length - 1.0;
        for power in 1..=order {
            targets.push(phi * factorial / base);
            factorial *= real(power + 1);
            phi = phi / length - 1.0 / factorial;
        }
        let distances = (1..order).map(|back| -levels[index - back].distance(now) / step).collect();
        Self { integral, distances, scale: -factor * base, targets }
    }

    /// The weights of this call's prediction and of those of earlier calls, the newest first, in
    /// what the predictor gives.
    fn predicted(&self) -> [f64; 3] {
        let weights = match self.distances.len() {
            // diffusers takes this weight for the second order, which the equation gives only for
            // short steps.
            1 => vec![0.5],
            count => solve(&self.distances, &self.targets[..count]),
        };
        self.weighed(&weights)
    }

    /// The weight of the next call's prediction in what the corrector gives, and the weights of
    /// this call's prediction and of those of earlier calls.
    fn corrected(&self) -> (f64, [f64; 3]) {
        let points: Vec<f64> = self.distances.iter().copied().chain([1.0]).collect();
        let mut weights = if points.len() == 1 { vec![0.5] } else { solve(&points, &self.targets) };
        let this = self.scale * weights.pop().unwrap_or_default();
        let mut others = self.weighed(&weights);
        others[0] -= this;
        (this, others)
    }

    /// The difference quotients of the predictions, each multiplied by its weight.
    fn weighed(&self, weights: &[f64]) -> [f64; 3] {
        let mut factors = [self.integral.constant, 0.0, 0.0];
        for (slot, (weight, distance)) in weights.iter().zip(&self.distances).enumerate() {
            let factor = self.scale * weight / distance;
            factors[0] -= factor;
            factors[slot + 1] += factor;
        }
        factors
    }
}

/// The weights for which the powers of the points, each multiplied by its weight, sum up to the
/// targets: `sum of weight[k] * points[k]^n = targets[n]`.
fn solve(points: &[f64], targets: &[f64]) -> Vec<f64> {
    let mut powers = [0.0; 4];
    powers.iter_mut().zip(targets).for_each(|(power, target)| *power = *target);
    lagrange::weights(points, powers)
}
