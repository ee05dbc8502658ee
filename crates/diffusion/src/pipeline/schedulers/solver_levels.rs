//! At which timesteps and noise levels do the solvers of the DPM family step?

use super::given_levels::GivenLevels;
use super::noise_schedule;
use super::settings::Settings;
use super::sigma_forms::SigmaForm;
use super::sigmas::{interpolate, timesteps_of, with_final};

/// The timesteps, which are whole numbers, and the noise levels, of which there is one more.
pub(super) fn solver_levels(settings: &Settings, steps: usize) -> (Vec<f64>, Vec<f32>) {
    let trained = noise_schedule::sigmas(&settings.alphas_cumprod);
    let ends = [trained.last(), trained.first()].map(|end| f64::from(*end.unwrap_or(&f32::NAN)));
    let [most, least] = ends;
    let form = settings.sigma_form;
    let (timesteps, sigmas) = if let Some(sigmas) =
        form.levels(settings.sigma_range, most, least, steps)
    {
        let rounds = settings.rounds_timesteps && matches!(form, SigmaForm::Karras | SigmaForm::Lu);
        let round = |at: f64| if rounds { at.round_ties_even() } else { at.trunc() };
        (timesteps_of(&sigmas, &trained).into_iter().map(round).collect(), sigmas)
    } else {
        let timesteps = trained_timesteps(settings, steps);
        let at = |&timestep: &f64| interpolate(&trained, timestep);
        let sigmas = timesteps.iter().map(at).collect();
        (timesteps, sigmas)
    };
    let sigmas = with_final(&sigmas, settings, &trained);
    (timesteps, sigmas)
}

/// The timesteps to visit if the sigmas are those of the training.
fn trained_timesteps(settings: &Settings, steps: usize) -> Vec<f64> {
    let given = settings.given.as_ref().and_then(GivenLevels::timesteps);
    given.unwrap_or_else(|| {
        settings.spacing.solver_timesteps(
            settings.train_timesteps,
            settings.solver.train_timesteps,
            steps,
            settings.steps_offset,
        )
    })
}
