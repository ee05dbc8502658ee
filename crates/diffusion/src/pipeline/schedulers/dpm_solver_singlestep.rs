//! Which coefficients make the step graph compute DPM-Solver++ in its singlestep form?
//!
//! The steps are grouped in blocks. Every call of a block starts again from the latents at the
//! block's beginning, with the predictions of the block's earlier calls: arXiv 2206.00927,
//! algorithms 4 and 5, and arXiv 2211.01095, algorithm 1.

use super::integrator::{Integral, Level};
use super::numbers::single;
use super::settings::{FinalSigma, Settings};
use super::solver_levels::solver_levels;
use super::solver_settings::SecondOrder;
use super::{Base, Call, Schedule};

/// The calls of `DPMSolverSinglestepScheduler`.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Schedule {
    let (timesteps, sigmas) = solver_levels(settings, steps);
    let levels: Vec<Level> = sigmas.iter().copied().map(Level::new).collect();
    let solver = &settings.solver;
    let mut orders = orders(settings, timesteps.len());
    for (index, order) in orders.iter_mut().enumerate() {
        *order = (*order).min(settings.calls_before(index) + 1);
    }
    let call = |(index, &timestep): (usize, &f64)| {
        let order = orders[index];
        let follows = orders.get(index + 1).copied().unwrap_or(1);
        let block = &levels[index + 1 - order..=index + 1];
        let now = &levels[index];
        let next = &levels[index + 1];
        let integral = Integral::new(solver.algorithm, &block[0], next);
        let [output, before, earlier] = match *block {
            [first, second, _, _] => {
                third_order(&integral, solver.second_order, &first, &second, now, next)
            }
            [first, _, _] => second_order(&integral, solver.second_order, &first, now, next),
            _ => [integral.constant, 0.0, 0.0],
        };
        let mut call = Call {
            remembers: true,
            draws_noise: integral.noise != 0.0,
            saves_latents: order == 1 && follows > 1,
            ..Call::new(
                single(timestep),
                now.converted(settings.prediction, solver.algorithm.integrates_noise),
            )
        };
        let of = &mut call.coefficients;
        of.output = single(output);
        of.history = [single(before), single(earlier), 0.0];
        of.noise = single(integral.noise);
        if order == 1 {
            of.latents = single(integral.latents);
        } else if follows == 3 {
            // The saved latents are for the next call. Here, they are computed from the latents
            // that the call before this one left.
            let left = Integral::new(solver.algorithm, &block[0], now);
            let share = integral.latents / left.latents;
            of.latents = single(share);
            of.history[0] = single(before - share * left.constant);
        } else {
            of.base = single(integral.latents);
            call.base = Base::Saved;
        }
        call
    };
    Schedule { init_noise_sigma: 1.0, calls: timesteps.iter().enumerate().map(call).collect() }
}

/// The order of each step; a block begins with a step of order 1.
fn orders(settings: &Settings, steps: usize) -> Vec<usize> {
    let order = settings.solver.order;
    let ends_without_noise = settings.final_sigma == FinalSigma::Zero;
    let mut orders: Vec<usize> = (0..steps).map(|step| step % order + 1).collect();
    let is_last_block_whole = steps.is_multiple_of(order);
    let ends_lower = settings.solver.lower_order_final && is_last_block_whole;
    if let Some(last) = orders.last_mut()
        && (ends_lower || ends_without_noise)
    {
        *last = 1;
    }
    orders
}

/// `first` is the level at which the block began.
fn second_order(
    integral: &Integral,
    second_order: SecondOrder,
    first: &Level,
    now: &Level,
    next: &Level,
) -> [f64; 3] {
    let slope = integral.first(second_order) * first.distance(next) / first.distance(now);
    [slope, integral.constant - slope, 0.0]
}

/// `first` and `second` are the levels of the block's earlier calls.
fn third_order(
    integral: &Integral,
    second_order: SecondOrder,
    first: &Level,
    second: &Level,
    now: &Level,
    next: &Level,
) -> [f64; 3] {
    let step = first.distance(next);
    let (near, far) = (first.distance(second) / step, first.distance(now) / step);
    // The differences of the block's second and third prediction from its first one.
    let [mut of_second, of_third] = match second_order {
        SecondOrder::Midpoint => [0.0, integral.slope],
        SecondOrder::Heun => {
            let (slope, curve) = (integral.slope / (far - near), integral.curve / (far - near));
            [slope * far - 2.0 * curve, 2.0 * curve - slope * near]
        }
    };
    of_second /= near;
    let of_third = of_third / far;
    [of_third, of_second, integral.constant - of_second - of_third]
}
