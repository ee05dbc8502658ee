//! What are the factors of one step of an exponential integrator?
//!
//! DPM-Solver (arXiv 2206.00927), DPM-Solver++ (arXiv 2211.01095), UniPC (arXiv 2302.04867) and
//! DEIS solve the part of the differential equation that is linear in the latents exactly. What is
//! left is the integral of the predicted picture, or of the predicted noise, from one noise level
//! to the next. They approximate it by a polynomial through the predictions of several calls.

use super::numbers::single;
use super::solver_settings::{Algorithm, SecondOrder};
use super::{Coefficients, Prediction};

/// A noise level, in the two forms that the solvers use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    /// The standard deviation of the noise, if the picture is not scaled.
    pub(super) sigma: f64,
    /// The factor of the picture in the latents.
    pub(super) alpha: f64,
}

impl Level {
    /// A level of latents that have unit variance.
    pub(super) fn new(sigma: f32) -> Self {
        let sigma = f64::from(sigma);
        Self { sigma, alpha: 1.0 / (sigma * sigma + 1.0).sqrt() }
    }

    /// A level of latents whose picture is not scaled.
    pub(super) fn unscaled(sigma: f32) -> Self {
        Self { sigma: f64::from(sigma), alpha: 1.0 }
    }

    /// The factor of the noise in the latents.
    fn noise(&self) -> f64 {
        self.sigma * self.alpha
    }

    /// The paper's `h`: the difference of the two levels' lambdas.
    pub(super) fn distance(&self, next: &Self) -> f64 {
        (self.sigma / next.sigma).ln()
    }

    /// Coefficients whose `out` is the predicted picture, or the predicted noise.
    pub(super) fn converted(&self, prediction: Prediction, to_noise: bool) -> Coefficients {
        let (output_model, output_latents) = match (prediction, to_noise) {
            (Prediction::Epsilon, false) => (-self.sigma, 1.0 / self.alpha),
            (Prediction::V, false) => (-self.noise(), self.alpha),
            (Prediction::Sample, false) | (Prediction::Epsilon, true) => (1.0, 0.0),
            (Prediction::V, true) => (self.alpha, self.noise()),
            (Prediction::Sample, true) => (-1.0 / self.sigma, 1.0 / self.noise()),
        };
        Coefficients {
            output_model: single(output_model),
            output_latents: single(output_latents),
            ..Coefficients::NONE
        }
    }
}

/// The factors of one step, from one noise level to another.
///
/// The new latents are `latents * L + noise * n`, plus `constant` times the value of the prediction
/// at the step's beginning, plus `slope` times its first derivative there, plus `curve` times its
/// second one. The derivatives are by lambda, in units of the step's length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Integral {
    pub(super) latents: f64,
    pub(super) constant: f64,
    /// The factor of the first derivative that the solvers take for `solver_type` `midpoint`.
    pub(super) half: f64,
    pub(super) slope: f64,
    pub(super) curve: f64,
    pub(super) noise: f64,
}

impl Integral {
    pub(super) fn new(algorithm: Algorithm, now: &Level, next: &Level) -> Self {
        let step = now.distance(next);
        // exp(-step), without a detour over the logarithm.
        let ratio = next.sigma / now.sigma;
        let Algorithm { integrates_noise, is_stochastic } = algorithm;
        // The terms of the two functions phi that the papers use, at the length `length`.
        let phi = |shrink: f64, length: f64| {
            if length == 0.0 {
                [0.0, 0.0]
            } else {
                [shrink / length - 1.0, (shrink - length) / (length * length) - 0.5]
            }
        };
        if integrates_noise {
            let growth = 1.0 / ratio - 1.0;
            let factor = if is_stochastic { -2.0 * next.noise() } else { -next.noise() };
            let [slope, curve] = phi(growth, step).map(|term| factor * term);
            let variance = if is_stochastic { 1.0 / (ratio * ratio) - 1.0 } else { 0.0 };
            return Self {
                latents: next.alpha / now.alpha,
                constant: factor * growth,
                half: factor * growth / 2.0,
                slope,
                curve,
                noise: next.noise() * variance.max(0.0).sqrt(),
            };
        }
        let (decay, length) =
            if is_stochastic { (ratio * ratio, -2.0 * step) } else { (ratio, -step) };
        let shrink = decay - 1.0;
        let [slope, curve] = phi(shrink, length).map(|term| -next.alpha * term);
        let (latents, variance) =
            if is_stochastic { (ratio * decay.sqrt(), -shrink) } else { (ratio, 0.0) };
        Self {
            latents: latents * next.alpha / now.alpha,
            constant: -next.alpha * shrink,
            half: -next.alpha * shrink / 2.0,
            slope,
            // diffusers subtracts the one half here where the integral would have it added.
            curve: if is_stochastic { curve - next.alpha } else { curve },
            noise: next.noise() * variance.max(0.0).sqrt(),
        }
    }

    /// The factor of the first derivative.
    pub(super) fn first(&self, second_order: SecondOrder) -> f64 {
        match second_order {
            SecondOrder::Midpoint => self.half,
            SecondOrder::Heun => self.slope,
        }
    }
}
