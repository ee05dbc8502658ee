//! Which fields does each class of diffusers have, and what are their defaults?
//!
//! The table has only the fields that several classes have and that differ between them.
//! `settings.rs` reads the fields.

use super::noise_schedule::ZeroSnr;
use super::spacing::Spacing;
use super::{Prediction, SchedulerKind};

/// What the constructor of a class takes.
pub(super) struct ClassDefaults {
    /// The values of `prediction_type` that the class accepts.
    pub(super) predictions: &'static [(&'static str, Prediction)],
    /// `beta_schedule`, `beta_start` and `beta_end`; `None` if the class reads no betas.
    pub(super) betas: Option<BetaDefaults>,
    /// `timestep_spacing`; `None` if the class has one spacing, and no such field.
    pub(super) spacing: Option<Spacing>,
    /// What `rescale_betas_zero_snr` does; [`ZeroSnr::Off`] if the class has no such field.
    pub(super) zero_snr: ZeroSnr,
    /// `clip_sample`; `None` if the class clips nothing.
    pub(super) clip: Option<bool>,
    /// Whether the class has `thresholding`, which is refused.
    pub(super) has_thresholding: bool,
    /// Whether the class has `final_sigmas_type`.
    pub(super) has_final_sigmas: bool,
}

/// The betas of a class whose configuration says nothing about them.
pub(super) struct BetaDefaults {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) run: BetaRun,
}

/// `beta_schedule`: how the betas change over the training's timesteps.
#[derive(Debug, Clone, Copy)]
pub(super) enum BetaRun {
    Linear,
    ScaledLinear,
    SquaredCosine,
}

const PREDICTIONS: &[(&str, Prediction)] = &[
    (Prediction::Epsilon.name(), Prediction::Epsilon),
    (Prediction::V.name(), Prediction::V),
    (Prediction::Sample.name(), Prediction::Sample),
];
const WITHOUT_SAMPLE: &[(&str, Prediction)] =
    &[(Prediction::Epsilon.name(), Prediction::Epsilon), (Prediction::V.name(), Prediction::V)];
/// The betas of "Denoising diffusion probabilistic models" (arXiv 2006.11239).
const OF_DDPM: BetaDefaults = BetaDefaults { start: 0.0001, end: 0.02, run: BetaRun::Linear };
/// The ends of latent diffusion's betas.
const OF_LATENTS: BetaDefaults = BetaDefaults { start: 0.00085, end: 0.012, run: BetaRun::Linear };
const SCALED_LINEAR: BetaDefaults = BetaDefaults { run: BetaRun::ScaledLinear, ..OF_LATENTS };

/// A class with the most common fields; each arm of [`ClassDefaults::of`] says what differs.
const COMMON: ClassDefaults = ClassDefaults {
    predictions: PREDICTIONS,
    betas: Some(OF_DDPM),
    spacing: Some(Spacing::Linspace),
    zero_snr: ZeroSnr::Off,
    clip: None,
    has_thresholding: false,
    has_final_sigmas: false,
};

impl ClassDefaults {
    /// The fields of a class, as diffusers 0.42.1 has them.
    pub(super) const fn of(kind: SchedulerKind) -> Self {
        match kind {
            SchedulerKind::Ddim | SchedulerKind::Ddpm => Self {
                spacing: Some(Spacing::Leading),
                zero_snr: ZeroSnr::Exact,
                clip: Some(true),
                has_thresholding: true,
                ..COMMON
            },
            SchedulerKind::Lcm => Self {
                betas: Some(SCALED_LINEAR),
                spacing: None,
                zero_snr: ZeroSnr::Exact,
                clip: Some(false),
                has_thresholding: true,
                ..COMMON
            },
            // TCD has `clip_sample` and `thresholding`, and uses neither.
            SchedulerKind::Tcd => Self {
                betas: Some(SCALED_LINEAR),
                spacing: None,
                zero_snr: ZeroSnr::Exact,
                ..COMMON
            },
            SchedulerKind::Pndm => {
                Self { predictions: WITHOUT_SAMPLE, spacing: Some(Spacing::Leading), ..COMMON }
            }
            SchedulerKind::Euler => {
                Self { zero_snr: ZeroSnr::Almost, has_final_sigmas: true, ..COMMON }
            }
            SchedulerKind::EulerAncestral => {
                Self { predictions: WITHOUT_SAMPLE, zero_snr: ZeroSnr::Almost, ..COMMON }
            }
            SchedulerKind::DpmSolverMultistep | SchedulerKind::UniPc => Self {
                zero_snr: ZeroSnr::Almost,
                has_thresholding: true,
                has_final_sigmas: true,
                ..COMMON
            },
            SchedulerKind::DpmSolverSinglestep => {
                Self { spacing: None, has_thresholding: true, has_final_sigmas: true, ..COMMON }
            }
            SchedulerKind::Deis => Self { has_thresholding: true, ..COMMON },
            SchedulerKind::Heun => Self {
                predictions: WITHOUT_SAMPLE,
                betas: Some(OF_LATENTS),
                clip: Some(false),
                ..COMMON
            },
            SchedulerKind::Kdpm2 | SchedulerKind::Kdpm2Ancestral => {
                Self { predictions: WITHOUT_SAMPLE, betas: Some(OF_LATENTS), ..COMMON }
            }
            SchedulerKind::Lms => COMMON,
            SchedulerKind::EdmEuler => Self {
                predictions: WITHOUT_SAMPLE,
                betas: None,
                spacing: None,
                has_final_sigmas: true,
                ..COMMON
            },
            SchedulerKind::EdmDpmSolverMultistep => Self {
                predictions: WITHOUT_SAMPLE,
                betas: None,
                spacing: None,
                has_thresholding: true,
                has_final_sigmas: true,
                ..COMMON
            },
            // IPNDM has no `prediction_type` either: its models predict what `out` is made of.
            SchedulerKind::Ipndm => {
                Self { predictions: WITHOUT_SAMPLE, betas: None, spacing: None, ..COMMON }
            }
        }
    }
}
