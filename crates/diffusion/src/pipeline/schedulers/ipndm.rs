//! Which coefficients make the step graph compute IPNDM?
//!
//! The improved pseudo linear multistep method of k-diffusion's author, for models whose timesteps
//! are from 0 to 1: equations 9 and 12 of arXiv 2202.09778, begun with lower orders.

use std::f32::consts::PI;

use super::noise_schedule::linspace;
use super::numbers::single;
use super::{Call, Coefficients, Schedule};

/// The calls of `IPNDMScheduler`.
pub(super) fn schedule(steps: usize) -> Schedule {
    // The noise levels, rounded to f32 where diffusers rounds them: for the noisiest ones,
    // `1 - beta^2` loses most of its digits.
    let levels: Vec<(f32, f32)> = linspace(1.0, 0.0, steps + 1)
        .into_iter()
        .map(|share| {
            let root = (share * PI / 2.0).sin();
            let noise = root * root;
            (noise, (1.0 - noise * noise).sqrt())
        })
        .collect();
    let call = |(index, pair): (usize, &[(f32, f32)])| {
        let [(noise, signal), (next_noise, next_signal)] = [pair[0], pair[1]];
        let timestep = noise.atan2(signal) / PI * 2.0;
        let [noise, signal, next_noise, next_signal] =
            [noise, signal, next_noise, next_signal].map(f64::from);
        let kept = next_signal / signal.max(LEAST_SIGNAL);
        let of_slope = next_noise - kept * noise;
        let [own, history @ ..] = WEIGHTS[index.min(WEIGHTS.len() - 1)];
        // At the first level, the factors of `L` are large and cancel, so they are added here.
        let (own_latents, slope) = if signal < LEAST_SIGNAL {
            (next_noise * noise, next_noise * own)
        } else {
            (kept + of_slope * own * noise, of_slope * own)
        };
        let coefficients = Coefficients {
            output_model: single(signal),
            output_latents: single(noise),
            latents: single(own_latents),
            model: single(slope * signal),
            history: history.map(|weight| single(weight * of_slope)),
            ..Coefficients::NONE
        };
        Call { remembers: true, ..Call::new(timestep, coefficients) }
    };
    Schedule { init_noise_sigma: 1.0, calls: levels.windows(2).enumerate().map(call).collect() }
}

/// diffusers divides by no less than this.
const LEAST_SIGNAL: f64 = 1e-8;

/// The weights of this output and of the remembered ones, the newest first; the last row is also
/// for all later calls. They are those of Adams and Bashforth's method.
const WEIGHTS: [[f64; 4]; 4] = [
    [1.0, 0.0, 0.0, 0.0],
    [3.0 / 2.0, -1.0 / 2.0, 0.0, 0.0],
    [23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0, 0.0],
    [55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];
