//! Which coefficients make the step graph compute PNDM?
//!
//! Pseudo linear multistep: arXiv 2202.09778, equations 9 and 12. It is started either by doing the
//! first step twice, or by three steps of Runge-Kutta (equation 13).

use super::numbers::{single, whole};
use super::settings::{Beyond, Settings};
use super::{Base, Call, Coefficients, Prediction, Schedule, Third};

/// How many steps are done by Runge-Kutta if `skip_prk_steps` is off.
const RUNGE_KUTTA_STEPS: usize = 3;
/// The smallest number of steps with Runge-Kutta: the last of its three steps leads to a fourth
/// timestep.
pub(super) const LEAST_RUNGE_KUTTA_STEPS: usize = RUNGE_KUTTA_STEPS + 1;

/// The calls of `PNDMScheduler`.
pub(super) fn schedule(settings: &Settings, steps: usize) -> Result<Schedule, Beyond> {
    let spaced = settings.spacing.timesteps(settings.train_timesteps, steps, settings.steps_offset);
    let timesteps: Vec<f64> = spaced.into_iter().map(f64::round_ties_even).collect();
    let stride = settings.stride(steps);
    let calls = if settings.runge_kutta {
        after_runge_kutta(settings, stride, &timesteps)
    } else {
        multistep(settings, stride, timesteps)
    };
    Ok(Schedule { init_noise_sigma: 1.0, calls: calls? })
}

/// The calls with `skip_prk_steps`.
///
/// The second timestep is called twice. The output of the first of these two calls is averaged with
/// the output of the call before it. With the average, the first step is done again, from the
/// latents at which it began. The output of the first of the two calls is not remembered.
fn multistep(
    settings: &Settings,
    stride: i64,
    mut timesteps: Vec<f64>,
) -> Result<Vec<Call>, Beyond> {
    if let Some(&second) = timesteps.get(1) {
        timesteps.insert(1, second);
    }
    // A run that begins with a picture begins in this list. As in diffusers, its second call then
    // counts as the one at the same timestep, whatever its timestep is.
    timesteps.drain(..settings.from_picture.first_step.min(timesteps.len()));
    let redoes = timesteps.len() > 1;
    let call = |(index, timestep): (usize, f64)| {
        let at = whole(timestep);
        let (from, to) = if index == 1 { (at + stride, at) } else { (at, at - stride) };
        let step = Transfer::of(settings, from, to)?;
        let [model, history @ ..] =
            WEIGHTS[index.min(WEIGHTS.len() - 1)].map(|weight| single(weight * step.model));
        let (base, latents) =
            if index == 1 { (single(step.latents), 0.0) } else { (0.0, single(step.latents)) };
        Ok(Call {
            base: if index == 1 { Base::Saved } else { Base::Current },
            saves_latents: index == 0 && redoes,
            remembers: index != 1,
            ..Call::new(
                single(timestep),
                Coefficients {
                    output_model: 1.0,
                    base,
                    latents,
                    model,
                    history,
                    ..Coefficients::NONE
                },
            )
        })
    };
    timesteps.into_iter().enumerate().map(call).collect()
}

/// The calls without `skip_prk_steps`: four for each of the first three steps, then one for each
/// timestep from the fourth on.
fn after_runge_kutta(
    settings: &Settings,
    stride: i64,
    timesteps: &[f64],
) -> Result<Vec<Call>, Beyond> {
    let mut calls = Vec::new();
    for (index, pair) in timesteps.windows(2).take(RUNGE_KUTTA_STEPS).enumerate() {
        let is_last = index + 1 == RUNGE_KUTTA_STEPS;
        calls.extend(runge_kutta(settings, stride / 2, [whole(pair[0]), whole(pair[1])], is_last)?);
    }
    for &timestep in timesteps.iter().skip(RUNGE_KUTTA_STEPS) {
        let step = Transfer::of(settings, whole(timestep), whole(timestep) - stride)?;
        let [model, history @ ..] =
            WEIGHTS[WEIGHTS.len() - 1].map(|weight| single(weight * step.model));
        let latents = single(step.latents);
        let coefficients =
            Coefficients { output_model: 1.0, latents, model, history, ..Coefficients::NONE };
        calls.push(Call { remembers: true, ..Call::new(single(timestep), coefficients) });
    }
    Ok(calls)
}

/// One step of Runge-Kutta, `from` one timestep `to` the next.
///
/// Its four calls give the outputs `e0` to `e3`, each for the latents that the call before
/// produced. All four start from the same latents `S`, and the last one moves from `S` by `e0 / 6 +
/// e1 / 3 + e2 / 3 + e3 / 6`.
///
/// There are slots for three earlier outputs, and the multistep method that follows needs all
/// three. `S` and `e1` are therefore not kept. They are computed from the latents `L` of a later
/// call, because `L` is `latents * S + model * e` with the coefficients of the transfer that
/// produced it. The third call leaves `weight * e2 + L / second.model` in `h3`. The weight is
/// chosen such that the last call finds in `h3` and in its own latents all that it needs of `S`,
/// `e1` and `e2`.
fn runge_kutta(
    settings: &Settings,
    half: i64,
    [from, to]: [i64; 2],
    is_last: bool,
) -> Result<[Call; 4], Beyond> {
    let middle = to + half;
    let (first, second, whole_step) = (
        Transfer::of(settings, from, from - half)?,
        Transfer::of(settings, from, middle)?,
        Transfer::of(settings, from, to)?,
    );
    let share = (whole_step.latents - whole_step.model / 3.0 * second.latents / second.model)
        / whole_step.latents;
    let [start, between, end] = [from, middle, to].map(timestep);
    let begin = Coefficients {
        output_model: 1.0,
        latents: single(first.latents),
        model: single(first.model),
        ..Coefficients::NONE
    };
    let restart = second.latents / first.latents;
    let again = Coefficients {
        latents: single(restart),
        model: single(second.model),
        history: [single(-restart * first.model), 0.0, 0.0],
        ..Coefficients::NONE
    };
    let further = Coefficients {
        output_model: single(1.0 - 3.0 * share),
        output_latents: single(1.0 / second.model),
        base: single(whole_step.latents),
        model: single(whole_step.model),
        ..Coefficients::NONE
    };
    let done = Coefficients {
        latents: single(share),
        model: single(whole_step.model / 6.0),
        history: [single(whole_step.model / 6.0), 0.0, single(whole_step.model / 3.0)],
        ..Coefficients::NONE
    };
    // In the first two of these steps, the slot `h3` is free. In the last one, all three slots hold
    // earlier outputs that are still needed.
    let [aside, back] =
        if is_last { [Third::SetAside, Third::TakenBack] } else { [Third::Stays; 2] };
    Ok([
        Call { saves_latents: true, remembers: true, ..Call::new(start, begin) },
        Call { third: aside, ..Call::new(between, again) },
        Call { base: Base::Saved, ..Call::new(between, further) },
        Call { third: back, ..Call::new(end, done) },
    ])
}

/// A timestep in the form that the denoiser takes.
#[expect(clippy::cast_precision_loss, reason = "there are 100000 timesteps at most")]
fn timestep(whole: i64) -> f32 {
    whole as f32
}

/// The weights of this output and of the remembered ones, the newest first. The first row is for
/// the first call, and so on; the last row is also for all later calls. All rows except the second
/// are those of Adams and Bashforth's method.
const WEIGHTS: [[f64; 4]; 5] = [
    [1.0, 0.0, 0.0, 0.0],
    [1.0 / 2.0, 1.0 / 2.0, 0.0, 0.0],
    [3.0 / 2.0, -1.0 / 2.0, 0.0, 0.0],
    [23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0, 0.0],
    [55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// Equation 9: the factors that lead from one noise level to the next, given the noise.
struct Transfer {
    latents: f64,
    model: f64,
}

impl Transfer {
    fn of(settings: &Settings, from: i64, to: i64) -> Result<Self, Beyond> {
        Ok(Self::new(settings.prediction, settings.alpha(from)?, settings.alpha(to)?))
    }

    fn new(prediction: Prediction, alpha: f64, next: f64) -> Self {
        let from_latents = (next / alpha).sqrt();
        let from_noise =
            (alpha - next) / (alpha * (1.0 - next).sqrt() + (alpha * (1.0 - alpha) * next).sqrt());
        match prediction {
            Prediction::V => Self {
                latents: from_latents + from_noise * (1.0 - alpha).sqrt(),
                model: from_noise * alpha.sqrt(),
            },
            Prediction::Epsilon | Prediction::Sample => {
                Self { latents: from_latents, model: from_noise }
            }
        }
    }
}
