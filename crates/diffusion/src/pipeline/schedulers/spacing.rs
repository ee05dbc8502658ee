//! Which of the training's timesteps does a schedule with a given number of steps visit?
//!
//! The formulas are those of table 2 of arXiv 2305.08891, rounded as in diffusers.

use super::numbers::real;

/// The field `timestep_spacing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spacing {
    /// Whole strides from the first timestep upwards, which leaves out the last timestep.
    Leading,
    /// Strides from the last timestep downwards.
    Trailing,
    /// Evenly spaced from the first timestep to the last.
    Linspace,
}

impl Spacing {
    /// The timesteps of a scheduler other than DPM-Solver, the largest first. With
    /// [`Linspace`](Self::Linspace) they have fractions.
    pub(super) fn timesteps(self, train_timesteps: usize, steps: usize, offset: u32) -> Vec<f64> {
        match self {
            Self::Leading => leading(train_timesteps, steps, offset),
            Self::Trailing => trailing(train_timesteps, real(train_timesteps) / real(steps)),
            Self::Linspace => {
                linspace(0.0, real(train_timesteps - 1), steps).into_iter().rev().collect()
            }
        }
    }

    /// The timesteps of DPM-Solver, the largest first. Except with [`Trailing`](Self::Trailing),
    /// DPM-Solver divides the range into one step more, and leaves out the end of the last step.
    ///
    /// `within` is the number of timesteps that remain after `lambda_min_clipped` cuts off the
    /// noisiest ones.
    pub(super) fn solver_timesteps(
        self,
        train_timesteps: usize,
        within: usize,
        steps: usize,
        offset: u32,
    ) -> Vec<f64> {
        let mut timesteps = match self {
            Self::Leading => leading(within, steps + 1, offset),
            Self::Trailing => return trailing(within, real(train_timesteps) / real(steps)),
            Self::Linspace => {
                let stop = real(within) - 1.0;
                linspace(0.0, stop, steps + 1).into_iter().rev().map(f64::round_ties_even).collect()
            }
        };
        timesteps.truncate(steps);
        timesteps
    }
}

fn leading(span: usize, count: usize, offset: u32) -> Vec<f64> {
    let stride = span / count;
    (0..count).rev().map(|index| real(index * stride) + f64::from(offset)).collect()
}

/// Timesteps in strides from `start` downwards, each reduced by one.
///
/// For some numbers of steps (61 is the first, with 1000 timesteps), rounding errors in
/// `numpy.arange` give one value more. That value is near zero, so diffusers makes one more call at
/// timestep -1, for which DDIM looks up the noisiest level of all. That call is left out here.
fn trailing(start: usize, stride: f64) -> Vec<f64> {
    let count = (real(start) / stride).ceil();
    let step = (real(start) - stride) - real(start);
    let at = |index: usize| (real(start) + real(index) * step).round_ties_even() - 1.0;
    (0..=start)
        .take_while(|&index| real(index) < count)
        .map(at)
        .filter(|timestep| *timestep >= 0.0)
        .collect()
}

/// `numpy.linspace`: `count` numbers from `start` to `end`.
pub(super) fn linspace(start: f64, end: f64, count: usize) -> Vec<f64> {
    if count <= 1 {
        return vec![start; count];
    }
    let stride = (end - start) / real(count - 1);
    (0..count)
        .map(|index| if index + 1 == count { end } else { real(index) * stride + start })
        .collect()
}
