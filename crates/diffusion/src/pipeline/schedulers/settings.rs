//! What do the fields of a configuration mean to one scheduler?
//!
//! `class_defaults.rs` has the defaults of the fields that several classes have, and
//! `solver_settings.rs` the fields of the DPM family.

use std::path::Path;

use serde_json::{Map, Value};

use super::class_defaults::{BetaDefaults, BetaRun, ClassDefaults};
use super::fields::Fields;
use super::from_picture::FromPicture;
use super::given_levels::GivenLevels;
use super::noise_schedule::{Betas, ZeroSnr, alphas_cumprod};
use super::sigma_forms::{SigmaForm, SigmaRange};
use super::solver_settings::Solver;
use super::spacing::Spacing;
use super::{Prediction, SchedulerError, SchedulerKind, SchedulerName, Variant};

/// A configuration, checked for one scheduler.
#[expect(clippy::struct_excessive_bools, reason = "diffusers' fields, one by one")]
pub(super) struct Settings {
    pub(super) name: SchedulerName,
    pub(super) prediction: Prediction,
    /// `num_train_timesteps`, at least 1.
    pub(super) train_timesteps: usize,
    /// The largest number of steps: `original_inference_steps` for LCM and TCD, and
    /// `num_train_timesteps` for the others.
    pub(super) most_steps: usize,
    /// One value for each of the training's timesteps; empty for the EDM schedulers and IPNDM.
    pub(super) alphas_cumprod: Vec<f32>,
    /// `rescale_betas_zero_snr`.
    pub(super) rescale_zero_snr: bool,
    pub(super) spacing: Spacing,
    pub(super) steps_offset: u32,
    /// `set_alpha_to_one`: whether the picture after the last step is free of noise. DDIM and PNDM
    /// have the field, and DDPM always ends so.
    pub(super) final_alpha_one: bool,
    /// `clip_sample_range`, if `clip_sample` is on.
    pub(super) clip: Option<f64>,
    /// The opposite of `skip_prk_steps`: whether PNDM begins with Runge-Kutta steps.
    pub(super) runge_kutta: bool,
    pub(super) sigma_form: SigmaForm,
    pub(super) sigma_range: SigmaRange,
    /// Whether the timesteps of Karras and of Lu's sigmas are rounded to the nearest integer. The
    /// solvers truncate other fractions, and DPM++ also these if `beta_schedule` is
    /// `squaredcos_cap_v2`. The schedulers that are not solvers keep other fractions.
    pub(super) rounds_timesteps: bool,
    pub(super) final_sigma: FinalSigma,
    pub(super) solver: Solver,
    /// `variance_type` `fixed_large` of DDPM: whether the noise of a step is that of the forward
    /// process, and not that of its reverse.
    pub(super) has_large_variance: bool,
    /// `timestep_scaling` of LCM.
    pub(super) timestep_scaling: f64,
    pub(super) edm: Edm,
    /// How much of the noise that a step takes away is added again, from 0 to 1; for DDIM and TCD.
    /// A request gives it.
    pub(super) eta: f64,
    /// What a request gives in the place of a number of steps.
    pub(super) given: Option<GivenLevels>,
    /// How the run begins with a picture; the default if it does not.
    pub(super) from_picture: FromPicture,
}

/// The error for a timestep that the model was not trained with.
pub(super) struct Beyond {
    pub(super) timestep: i64,
}

/// `final_sigmas_type`: the noise that is left after the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FinalSigma {
    Zero,
    /// `sigma_min`: the noise of the training's first timestep.
    Least,
    /// The noise of the last step: `sigma_min` of EDM's Euler and of UniPC with sigmas of a form,
    /// and DEIS with such sigmas.
    Last,
}

/// The fields of the EDM schedulers (arXiv 2206.00364).
pub(super) struct Edm {
    /// `sigma_min` and `sigma_max`.
    pub(super) ends: [f64; 2],
    /// `sigma_data`: the standard deviation of the training's data.
    pub(super) data: f64,
    /// `rho`: how the Karras sigmas are spaced.
    pub(super) rho: f64,
    /// `sigma_schedule`: whether the sigmas are evenly spaced in their logarithm instead.
    pub(super) is_exponential: bool,
}

/// The largest number of timesteps that is accepted, more than any model is trained with. It limits
/// how much work a damaged file can cause.
const MOST_TIMESTEPS: usize = 100_000;

const SPACINGS: [(&str, Spacing); 3] = [
    ("leading", Spacing::Leading),
    ("trailing", Spacing::Trailing),
    ("linspace", Spacing::Linspace),
];

impl Settings {
    /// Reads the fields that a scheduler has, and refuses values that it does not support.
    pub(super) fn new(
        file: &Path,
        fields: &Map<String, Value>,
        name: SchedulerName,
    ) -> Result<Self, SchedulerError> {
        use SchedulerKind::{Ddim, Ddpm, Lcm, Pndm, Tcd};
        let kind = name.kind;
        let class = ClassDefaults::of(kind);
        let fields = Fields { file, values: fields, name };
        refuse_unsupported(&fields, &class)?;

        let train_timesteps = fields.count("num_train_timesteps", 1000, 1..=MOST_TIMESTEPS)?;
        let rescale_zero_snr =
            class.zero_snr != ZeroSnr::Off && fields.flag("rescale_betas_zero_snr", false)?;
        if rescale_zero_snr && train_timesteps == 1 {
            let supported = format!("2 to {MOST_TIMESTEPS} where `rescale_betas_zero_snr` is true");
            return Err(fields.error("num_train_timesteps", supported));
        }
        let zero_snr = if rescale_zero_snr { class.zero_snr } else { ZeroSnr::Off };
        let alphas_cumprod = match &class.betas {
            Some(betas) => read_alphas(&fields, betas, train_timesteps, zero_snr)?,
            None => Vec::new(),
        };
        let solver = Solver::read(&fields, &alphas_cumprod)?;
        let sigma_form = read_sigma_form(&fields)?;
        let (spacing, steps_offset) = match class.spacing {
            None => (Spacing::Linspace, 0),
            Some(default) => (
                fields.word("timestep_spacing", default, &SPACINGS)?,
                fields.count("steps_offset", 0, 0..=MOST_TIMESTEPS)?,
            ),
        };
        let most_steps = if matches!(kind, Lcm | Tcd) {
            fields.count("original_inference_steps", 50, 1..=train_timesteps)?
        } else {
            train_timesteps
        };
        let final_alpha_one = match kind {
            Ddim | Pndm => fields.flag("set_alpha_to_one", kind == Ddim)?,
            _ => kind == Ddpm,
        };
        Ok(Self {
            solver,
            name,
            prediction: read_prediction(&fields, &class)?,
            train_timesteps,
            most_steps,
            rescale_zero_snr,
            spacing,
            steps_offset: u32::try_from(steps_offset).unwrap_or(u32::MAX),
            final_alpha_one,
            clip: read_clip(&fields, &class)?,
            runge_kutta: kind == Pndm
                && name.variant == Variant::Configured
                && !fields.flag("skip_prk_steps", false)?,
            sigma_form,
            sigma_range: read_sigma_range(&fields, sigma_form)?,
            rounds_timesteps: rounds_timesteps(&fields),
            final_sigma: read_final_sigma(&fields, &class, sigma_form)?,
            has_large_variance: kind == Ddpm && fields.holds("variance_type", "fixed_large"),
            timestep_scaling: fields.number("timestep_scaling", 10.0)?,
            edm: Edm::read(&fields)?,
            eta: 0.0,
            given: None,
            from_picture: FromPicture::default(),
            alphas_cumprod,
        })
    }

    /// Whether UniPC's last step, to a picture without noise, is of a high order, which has no
    /// finite result.
    pub(super) fn ends_at_high_order(&self) -> bool {
        self.name.kind == SchedulerKind::UniPc
            && self.final_sigma == FinalSigma::Zero
            && !self.solver.lower_order_final
            && self.solver.order > 1
    }

    /// How many calls before the one at `index` a solver knows the outputs of. It knows none of the
    /// steps that are left out because the run begins with a picture.
    pub(super) fn calls_before(&self, index: usize) -> usize {
        index.saturating_sub(self.from_picture.first_step)
    }

    /// How many calls of the whole schedule are not made because the run begins with a picture.
    /// PNDM leaves them out by itself.
    pub(super) fn calls_left_out(&self) -> usize {
        let calls_per_step = match self.name.kind {
            SchedulerKind::Pndm => 0,
            SchedulerKind::Heun | SchedulerKind::Kdpm2 | SchedulerKind::Kdpm2Ancestral => 2,
            _ => 1,
        };
        self.from_picture.first_step.saturating_mul(calls_per_step)
    }

    /// The timesteps to visit, the noisiest first. With linspace spacing they have fractions.
    pub(super) fn timesteps(&self, steps: usize) -> Vec<f64> {
        let given = self.given.as_ref().and_then(GivenLevels::timesteps);
        given.unwrap_or_else(|| {
            self.spacing.timesteps(self.train_timesteps, steps, self.steps_offset)
        })
    }

    /// The distance between two neighbouring timesteps, if the spacing has whole strides.
    pub(super) fn stride(&self, steps: usize) -> i64 {
        i64::try_from(self.train_timesteps / steps).unwrap_or(i64::MAX)
    }

    /// The cumulative product of alphas at a timestep. Below the first timestep it is that of the
    /// finished picture.
    pub(super) fn alpha(&self, timestep: i64) -> Result<f64, Beyond> {
        let index = usize::try_from(timestep).ok();
        let alpha = match index {
            None if self.final_alpha_one => return Ok(1.0),
            None => self.alphas_cumprod.first(),
            Some(index) => self.alphas_cumprod.get(index),
        };
        alpha.copied().map(f64::from).ok_or(Beyond { timestep })
    }
}

impl Edm {
    /// The values for schedulers that do not read these fields.
    const UNUSED: Self = Self { ends: [0.002, 80.0], data: 0.5, rho: 7.0, is_exponential: false };

    fn read(fields: &Fields) -> Result<Self, SchedulerError> {
        if !matches!(
            fields.name.kind,
            SchedulerKind::EdmEuler | SchedulerKind::EdmDpmSolverMultistep
        ) {
            return Ok(Self::UNUSED);
        }
        let positive =
            |field, default: f64| fields.positive(field).map(|given| given.unwrap_or(default));
        let [least, most] = Self::UNUSED.ends;
        Ok(Self {
            ends: [positive("sigma_min", least)?, positive("sigma_max", most)?],
            data: positive("sigma_data", Self::UNUSED.data)?,
            rho: positive("rho", Self::UNUSED.rho)?,
            is_exponential: fields.word(
                "sigma_schedule",
                false,
                &[("karras", false), ("exponential", true)],
            )?,
        })
    }
}

/// Refuses values of the scheduler's fields that ask for an unsupported feature.
fn refuse_unsupported(fields: &Fields, class: &ClassDefaults) -> Result<(), SchedulerError> {
    if class.has_thresholding {
        fields.only_off("thresholding")?;
    }
    match fields.name.kind {
        SchedulerKind::Euler => {
            fields.word("interpolation_type", (), &[("linear", ())])?;
            fields.word("timestep_type", (), &[("discrete", ())])?;
        }
        SchedulerKind::Ddpm => {
            let supported = [("fixed_small", ()), ("fixed_small_log", ()), ("fixed_large", ())];
            fields.word("variance_type", (), &supported)?;
        }
        SchedulerKind::Ipndm => fields.only_missing("trained_betas")?,
        _ => {}
    }
    if fields.name.variant == Variant::Configured
        && matches!(
            fields.name.kind,
            SchedulerKind::DpmSolverMultistep
                | SchedulerKind::DpmSolverSinglestep
                | SchedulerKind::UniPc
                | SchedulerKind::Deis
        )
    {
        fields.only_off("use_flow_sigmas")?;
    }
    Ok(())
}

fn read_prediction(fields: &Fields, class: &ClassDefaults) -> Result<Prediction, SchedulerError> {
    if fields.name.kind == SchedulerKind::Ipndm {
        return Ok(Prediction::Epsilon);
    }
    fields.word("prediction_type", Prediction::Epsilon, class.predictions)
}

/// The largest magnitude of a predicted picture's values, if pictures are clipped.
///
/// The classes DDIM and DDPM of diffusers clip by default, although latents exceed 1. The
/// schedulers that other programs call `ddim` and `ddpm` do not clip.
fn read_clip(fields: &Fields, class: &ClassDefaults) -> Result<Option<f64>, SchedulerError> {
    let Some(default) = class.clip else { return Ok(None) };
    if !fields.flag("clip_sample", default && fields.name.variant == Variant::Configured)? {
        return Ok(None);
    }
    Ok(Some(fields.positive("clip_sample_range")?.unwrap_or(1.0)))
}

fn read_sigma_form(fields: &Fields) -> Result<SigmaForm, SchedulerError> {
    const FLAGS: [(&str, SigmaForm); 3] = [
        ("use_karras_sigmas", SigmaForm::Karras),
        ("use_exponential_sigmas", SigmaForm::Exponential),
        ("use_beta_sigmas", SigmaForm::Beta),
    ];
    let kind = fields.name.kind;
    if !kind.has_sigma_forms() {
        return Ok(SigmaForm::Trained);
    }
    match fields.name.variant {
        Variant::Plain => return Ok(SigmaForm::Trained),
        Variant::Karras => return Ok(SigmaForm::Karras),
        Variant::Exponential => return Ok(SigmaForm::Exponential),
        Variant::Beta => return Ok(SigmaForm::Beta),
        Variant::Configured => {}
    }
    let mut asked: Option<(&str, SigmaForm)> = None;
    for (field, form) in FLAGS {
        if fields.flag(field, false)? {
            if let Some((other, _)) = asked {
                return Err(fields.error(field, format!("false where `{other}` is true")));
            }
            asked = Some((field, form));
        }
    }
    let form = asked.map_or(SigmaForm::Trained, |(_, form)| form);
    let is_lu = kind == SchedulerKind::DpmSolverMultistep
        && fields.flag("use_lu_lambdas", false)?
        && form != SigmaForm::Karras;
    Ok(if is_lu { SigmaForm::Lu } else { form })
}

/// The ends of the sigmas. LMS ignores these fields for Karras sigmas, as does every class for
/// Lu's.
fn read_sigma_range(fields: &Fields, form: SigmaForm) -> Result<SigmaRange, SchedulerError> {
    let is_lms = fields.name.kind == SchedulerKind::Lms;
    match form {
        SigmaForm::Trained | SigmaForm::Lu => Ok(SigmaRange::OF_TRAINING),
        SigmaForm::Karras if is_lms => Ok(SigmaRange::OF_TRAINING),
        _ => Ok(SigmaRange {
            min: fields.positive("sigma_min")?,
            max: fields.positive("sigma_max")?,
        }),
    }
}

fn rounds_timesteps(fields: &Fields) -> bool {
    match fields.name.kind {
        SchedulerKind::DpmSolverMultistep => !fields.holds("beta_schedule", "squaredcos_cap_v2"),
        SchedulerKind::DpmSolverSinglestep
        | SchedulerKind::UniPc
        | SchedulerKind::Deis
        | SchedulerKind::Kdpm2
        | SchedulerKind::Kdpm2Ancestral => true,
        _ => false,
    }
}

fn read_final_sigma(
    fields: &Fields,
    class: &ClassDefaults,
    form: SigmaForm,
) -> Result<FinalSigma, SchedulerError> {
    let kind = fields.name.kind;
    let ends_at_last = match kind {
        SchedulerKind::UniPc | SchedulerKind::Deis => form != SigmaForm::Trained,
        _ => kind == SchedulerKind::EdmEuler,
    };
    let least = if ends_at_last { FinalSigma::Last } else { FinalSigma::Least };
    if kind == SchedulerKind::Deis {
        return Ok(least);
    }
    if !class.has_final_sigmas {
        return Ok(FinalSigma::Zero);
    }
    let words = [("zero", FinalSigma::Zero), ("sigma_min", least)];
    fields.word("final_sigmas_type", FinalSigma::Zero, &words)
}

fn read_alphas(
    fields: &Fields,
    defaults: &BetaDefaults,
    train_timesteps: usize,
    zero_snr: ZeroSnr,
) -> Result<Vec<f32>, SchedulerError> {
    const RUNS: [(&str, BetaRun); 3] = [
        ("linear", BetaRun::Linear),
        ("scaled_linear", BetaRun::ScaledLinear),
        ("squaredcos_cap_v2", BetaRun::SquaredCosine),
    ];
    let start = fields.number("beta_start", defaults.start)?;
    let end = fields.number("beta_end", defaults.end)?;
    let trained = fields.numbers("trained_betas", train_timesteps)?;
    let at_fault = if trained.is_some() { "trained_betas" } else { "beta_end" };
    let betas = match (trained, fields.word("beta_schedule", defaults.run, &RUNS)?) {
        (Some(betas), _) => Betas::Trained(betas),
        (None, BetaRun::Linear) => Betas::Linear { start, end },
        (None, BetaRun::ScaledLinear) => Betas::ScaledLinear { start, end },
        (None, BetaRun::SquaredCosine) => Betas::SquaredCosine,
    };
    alphas_cumprod(&betas, train_timesteps, zero_snr)
        .ok_or_else(|| fields.error(at_fault, "betas above 0 and below 1"))
}
