//! Pseudo linear multistep: arXiv 2202.09778, equations 9 and 12, started by a step that is done twice.

use super::numbers::{single, whole};
use super::settings::{Beyond, Settings};
use super::{Base, Call, Coefficients, Prediction, Schedule};

/// The calls of `PNDMScheduler` with `skip_prk_steps`.
///
/// The second timestep is called twice. The first time, its output is averaged with that of the first one, and the first step is done
/// again with it, from where it began; this output is not remembered.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Result<Schedule, Beyond> {
    let stride = settings.stride(steps);
    let spaced = settings.spacing.timesteps(settings.train_timesteps, steps, settings.steps_offset);
    let mut timesteps: Vec<f64> = spaced.into_iter().map(f64::round_ties_even).collect();
    if let Some(&second) = timesteps.get(1) {
        timesteps.insert(1, second);
    }
    let redoes = timesteps.len() > 1;
    let call = |(index, timestep): (usize, f64)| {
        let at = whole(timestep);
        let (from, to) = if index == 1 { (at + stride, at) } else { (at, at - stride) };
        let step = Transfer::new(settings.prediction, settings.alpha(from)?, settings.alpha(to)?);
        let [model, history @ ..] = WEIGHTS[index.min(WEIGHTS.len() - 1)].map(|weight| single(weight * step.model));
        let (base, latents) = if index == 1 { (single(step.latents), 0.0) } else { (0.0, single(step.latents)) };
        Ok(Call {
            base: if index == 1 { Base::Saved } else { Base::Current },
            saves_latents: index == 0 && redoes,
            remembers: index != 1,
            ..Call::new(
                single(timestep),
                Coefficients { output_model: 1.0, base, latents, model, history, ..Coefficients::NONE },
            )
        })
    };
    Ok(Schedule {
        init_noise_sigma: 1.0,
        calls: timesteps.into_iter().enumerate().map(call).collect::<Result<_, _>>()?,
    })
}

/// How this output and the remembered ones, newest first, are weighted: by call, the last line from then on. Adams and Bashforth's,
/// but for the second line.
const WEIGHTS: [[f64; 4]; 5] = [
    [1.0, 0.0, 0.0, 0.0],
    [1.0 / 2.0, 1.0 / 2.0, 0.0, 0.0],
    [3.0 / 2.0, -1.0 / 2.0, 0.0, 0.0],
    [23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0, 0.0],
    [55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// Equation 9: from one noise level to the next, given the noise.
struct Transfer {
    latents: f64,
    model: f64,
}

impl Transfer {
    fn new(prediction: Prediction, alpha: f64, next: f64) -> Self {
        let from_latents = (next / alpha).sqrt();
        let from_noise = (alpha - next) / (alpha * (1.0 - next).sqrt() + (alpha * (1.0 - alpha) * next).sqrt());
        match prediction {
            Prediction::V => {
                Self { latents: from_latents + from_noise * (1.0 - alpha).sqrt(), model: from_noise * alpha.sqrt() }
            }
            Prediction::Epsilon | Prediction::Sample => Self { latents: from_latents, model: from_noise },
        }
    }
}
