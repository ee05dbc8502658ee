//! At which noise levels do the schedulers step that think in sigmas?
//!
//! The levels are interpolated between those of the training's timesteps, or have a form of their
//! own (`sigma_forms.rs`). A sigma is the standard deviation of the noise, if the picture is not
//! scaled.

use super::given_levels::GivenLevels;
use super::noise_schedule;
use super::numbers::{position, real, single};
use super::settings::{FinalSigma, Settings};
use super::sigma_forms::SigmaForm;
use super::spacing::Spacing;

/// Noise levels, the noisiest first: one for each call, and the one that is left after the last
/// call.
pub(super) struct Levels {
    pub(super) timesteps: Vec<f32>,
    /// One element longer than `timesteps`.
    pub(super) sigmas: Vec<f32>,
}

impl Levels {
    /// The levels of the Euler schedulers, Heun, KDPM2 and LMS.
    pub(super) fn new(settings: &Settings, steps: usize) -> Self {
        let trained = noise_schedule::sigmas(&settings.alphas_cumprod);
        if let Some(GivenLevels::Sigmas(given)) = &settings.given {
            let sigmas: Vec<f32> = given.iter().copied().map(single).collect();
            let levels: Vec<f64> = sigmas.iter().copied().map(f64::from).collect();
            let mut timesteps = timesteps_of(&levels, &trained);
            timesteps.truncate(given.len().saturating_sub(1));
            return Self { timesteps: timesteps.into_iter().map(single).collect(), sigmas };
        }
        let mut timesteps: Vec<f32> = settings.timesteps(steps).into_iter().map(single).collect();
        let mut sigmas: Vec<f64> =
            timesteps.iter().map(|&timestep| interpolate(&trained, f64::from(timestep))).collect();
        let ends = [sigmas.first(), sigmas.last()].map(|end| end.copied().unwrap_or(f64::NAN));
        let [most, least] = ends;
        let form = settings.sigma_form;
        if let Some(levels) = form.levels(settings.sigma_range, most, least, steps) {
            sigmas = levels;
            let rounds = settings.rounds_timesteps && form == SigmaForm::Karras;
            let round = |at: f64| if rounds { at.round_ties_even() } else { at };
            let of_levels = timesteps_of(&sigmas, &trained);
            timesteps = of_levels.into_iter().map(round).map(single).collect();
        }
        Self { timesteps, sigmas: with_final(&sigmas, settings, &trained) }
    }

    /// The standard deviation of the first latents.
    pub(super) fn init_noise_sigma(&self, spacing: Spacing) -> f32 {
        let most = self.sigmas.iter().copied().fold(0.0, f32::max);
        match spacing {
            Spacing::Linspace | Spacing::Trailing => most,
            Spacing::Leading => (most * most + 1.0).sqrt(),
        }
    }

    /// Timestep, noise level and next noise level of each call.
    pub(super) fn steps(&self) -> impl Iterator<Item = (f32, f64, f64)> {
        let pairs = self.sigmas.windows(2).map(|pair| (f64::from(pair[0]), f64::from(pair[1])));
        self.timesteps.iter().zip(pairs).map(|(&timestep, (sigma, next))| (timestep, sigma, next))
    }
}

/// The levels in f32, followed by the level that is left after the last call.
pub(super) fn with_final(sigmas: &[f64], settings: &Settings, trained: &[f32]) -> Vec<f32> {
    let last = match settings.final_sigma {
        FinalSigma::Zero => 0.0,
        FinalSigma::Least => trained.first().copied().unwrap_or(0.0),
        FinalSigma::Last => sigmas.last().copied().map_or(0.0, single),
    };
    sigmas.iter().copied().map(single).chain([last]).collect()
}

/// The value at a position between two entries of a table; beyond an end of the table, the value at
/// that end.
pub(super) fn interpolate(table: &[f32], at: f64) -> f64 {
    let at = at.clamp(0.0, real(table.len().saturating_sub(1)));
    let below = position(at);
    let value = |index: usize| table.get(index).copied().map(f64::from);
    match (value(below), value(below + 1)) {
        (Some(low), Some(high)) => (high - low) * (at - real(below)) + low,
        (Some(only), None) => only,
        _ => f64::NAN,
    }
}

/// The timesteps, with fractions, that correspond to these levels. They are interpolated between
/// the trained levels, in the logarithm of sigma.
pub(super) fn timesteps_of(sigmas: &[f64], trained: &[f32]) -> Vec<f64> {
    let logs: Vec<f64> =
        trained.iter().map(|&sigma| f64::from(single(f64::from(sigma).ln()))).collect();
    let timestep = |sigma: &f64| {
        let log = sigma.max(1e-10).ln();
        let below = logs
            .iter()
            .rposition(|trained| *trained <= log)
            .unwrap_or(0)
            .min(logs.len().saturating_sub(2));
        match logs.get(below..below + 2) {
            Some(&[low, high]) => {
                let share = ((low - log) / (low - high)).clamp(0.0, 1.0);
                (1.0 - share) * real(below) + share * real(below + 1)
            }
            _ => 0.0,
        }
    };
    sigmas.iter().map(timestep).collect()
}
