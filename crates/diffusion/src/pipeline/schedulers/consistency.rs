//! Which coefficients make the step graph compute LCM and TCD?
//!
//! Latent consistency models (arXiv 2310.04378, algorithm 3) predict the picture in each step, and
//! noise it again down to the next timestep. Trajectory consistency distillation (arXiv 2402.19159,
//! algorithm 1) goes to a timestep below the next one and noises from there, by a share eta.

use super::given_levels::GivenLevels;
use super::numbers::{real, single, whole};
use super::settings::{Beyond, Settings};
use super::{Call, Coefficients, Prediction, Schedule, SchedulerKind};

/// The calls of `LCMScheduler` and of `TCDScheduler`.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Result<Schedule, Beyond> {
    let timesteps = timesteps(settings, steps);
    let nexts = timesteps.iter().copied().map(Some).skip(1).chain([None]);
    let call = |(&timestep, next): (&f64, Option<f64>)| {
        let coefficients = match settings.name.kind {
            SchedulerKind::Tcd => trajectory(settings, timestep, next)?,
            _ => consistency(settings, timestep, next)?,
        };
        let draws_noise = coefficients.noise != 0.0;
        Ok(Call { draws_noise, ..Call::new(single(timestep), coefficients) })
    };
    Ok(Schedule {
        init_noise_sigma: 1.0,
        calls: timesteps.iter().zip(nexts).map(call).collect::<Result<_, _>>()?,
    })
}

/// The timesteps, evenly chosen from those of the distillation, of which there are
/// `original_inference_steps`.
fn timesteps(settings: &Settings, steps: usize) -> Vec<f64> {
    if let Some(given) = settings.given.as_ref().and_then(GivenLevels::timesteps) {
        return given;
    }
    let distilled = settings.most_steps;
    let stride = settings.train_timesteps / distilled;
    let at = |step: usize| {
        let from_end = (real(step) * (real(distilled) / real(steps))).floor();
        (real(distilled) - from_end) * real(stride) - 1.0
    };
    (0..steps).map(at).collect()
}

/// The factors of `m` and of `L` in the predicted picture.
fn picture(prediction: Prediction, alpha: f64) -> (f64, f64) {
    let (signal, noise) = (alpha.sqrt(), (1.0 - alpha).sqrt());
    match prediction {
        Prediction::Epsilon => (-noise / signal, 1.0 / signal),
        Prediction::V => (-noise, signal),
        Prediction::Sample => (1.0, 0.0),
    }
}

/// One step of LCM; `next` is `None` for the last one, which adds no noise.
fn consistency(
    settings: &Settings,
    timestep: f64,
    next: Option<f64>,
) -> Result<Coefficients, Beyond> {
    /// The standard deviation of the data for which the models are distilled.
    const SIGMA_DATA: f64 = 0.5;
    let alpha = settings.alpha(whole(timestep))?;
    let (signal, noise) = match next {
        Some(next) => {
            let alpha = settings.alpha(whole(next))?;
            (alpha.sqrt(), (1.0 - alpha).sqrt())
        }
        None => (1.0, 0.0),
    };
    let scaled = timestep * settings.timestep_scaling;
    let variance = scaled * scaled + SIGMA_DATA * SIGMA_DATA;
    let (skip, out) = (SIGMA_DATA * SIGMA_DATA / variance, scaled / variance.sqrt());
    let (model, latents) = picture(settings.prediction, alpha);
    Ok(Coefficients {
        output_model: single(model),
        output_latents: single(latents),
        clip: settings.clip.map_or(f32::INFINITY, single),
        latents: single(signal * skip),
        output: single(signal * out),
        noise: single(noise),
        ..Coefficients::NONE
    })
}

/// One step of TCD; `next` is `None` for the last one, which adds no noise.
fn trajectory(
    settings: &Settings,
    timestep: f64,
    next: Option<f64>,
) -> Result<Coefficients, Beyond> {
    let alpha = settings.alpha(whole(timestep))?;
    let next = next.unwrap_or(0.0);
    let is_last = next == 0.0;
    // Rounded to f32 before the floor, as in diffusers.
    let below = f64::from(single(1.0 - settings.eta) * single(next)).floor();
    let (target, below) = (settings.alpha(whole(next))?, settings.alpha(whole(below))?);
    let (signal, noise) = (alpha.sqrt(), (1.0 - alpha).sqrt());
    let (from_model, from_latents) = picture(settings.prediction, alpha);
    let epsilon = match settings.prediction {
        Prediction::Epsilon => (1.0, 0.0),
        Prediction::V => (signal, noise),
        Prediction::Sample => (-signal / noise, 1.0 / noise),
    };
    let (shrink, fresh) = if settings.eta > 0.0 && !is_last {
        ((target / below).sqrt(), (1.0 - target / below).max(0.0).sqrt())
    } else {
        (1.0, 0.0)
    };
    let (of_picture, of_noise) = (shrink * below.sqrt(), shrink * (1.0 - below).sqrt());
    Ok(Coefficients {
        model: single(of_picture * from_model + of_noise * epsilon.0),
        latents: single(of_picture * from_latents + of_noise * epsilon.1),
        noise: single(fresh),
        ..Coefficients::NONE
    })
}
