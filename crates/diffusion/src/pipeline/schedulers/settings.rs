//! What do the fields of a configuration mean to one scheduler?
//!
//! The defaults of the fields are defined here, too.

use std::path::Path;

use serde_json::{Map, Value};

use super::fields::Fields;
use super::noise_schedule::{Betas, ZeroSnr, alphas_cumprod};
use super::spacing::Spacing;
use super::{Prediction, SchedulerError, SchedulerKind, SchedulerName, Variant};

/// A configuration, checked for one scheduler.
#[expect(clippy::struct_excessive_bools, reason = "diffusers' fields, one by one")]
pub(super) struct Settings {
    pub(super) name: SchedulerName,
    pub(super) prediction: Prediction,
    /// `num_train_timesteps`, at least 1.
    pub(super) train_timesteps: usize,
    /// One value for each of the training's timesteps.
    pub(super) alphas_cumprod: Vec<f32>,
    /// `rescale_betas_zero_snr`.
    pub(super) rescale_zero_snr: bool,
    pub(super) spacing: Spacing,
    pub(super) steps_offset: u32,
    /// `set_alpha_to_one`: whether the picture after the last step is free of noise; for DDIM and
    /// PNDM.
    pub(super) final_alpha_one: bool,
    /// `clip_sample_range`, if `clip_sample` is on; for DDIM and Heun.
    pub(super) clip: Option<f64>,
    /// The opposite of `skip_prk_steps`: whether PNDM begins with Runge-Kutta steps.
    pub(super) runge_kutta: bool,
    /// The range of Karras sigmas, if they are on; for Euler, Heun and DPM++.
    pub(super) karras: Option<KarrasRange>,
    /// Whether DPM++ rounds the timesteps of Karras sigmas to the nearest integer. It truncates
    /// them if `beta_schedule` is `squaredcos_cap_v2`.
    pub(super) rounds_timesteps: bool,
    pub(super) final_sigma: FinalSigma,
    pub(super) solver: Solver,
}

/// The error for a timestep that the model was not trained with.
pub(super) struct Beyond {
    pub(super) timestep: i64,
}

/// `sigma_min` and `sigma_max`: the ends of the Karras sigmas; `None` for the ends of the
/// training's noise levels.
#[derive(Debug, Clone, Copy)]
pub(super) struct KarrasRange {
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
}

/// `final_sigmas_type`: the noise that is left after the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FinalSigma {
    Zero,
    /// `sigma_min`: the noise of the training's first timestep.
    Least,
}

/// The settings that only DPM++ reads.
pub(super) struct Solver {
    pub(super) second_order: SecondOrder,
    pub(super) lower_order_final: bool,
    pub(super) euler_at_final: bool,
    /// How many of the training's timesteps may be visited: those whose lambda, half the logarithm
    /// of the signal-to-noise ratio, is not below `lambda_min_clipped`.
    pub(super) train_timesteps: usize,
}

/// `solver_type`: how the second-order term is weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecondOrder {
    Midpoint,
    Heun,
}

/// The largest number of timesteps that is accepted, more than any model is trained with. It limits
/// how much work a damaged file can cause.
const MOST_TIMESTEPS: usize = 100_000;

const PREDICTIONS: [(&str, Prediction); 3] = [
    (Prediction::Epsilon.name(), Prediction::Epsilon),
    (Prediction::V.name(), Prediction::V),
    (Prediction::Sample.name(), Prediction::Sample),
];
const SPACINGS: [(&str, Spacing); 3] = [
    ("leading", Spacing::Leading),
    ("trailing", Spacing::Trailing),
    ("linspace", Spacing::Linspace),
];
const FINAL_SIGMAS: [(&str, FinalSigma); 2] =
    [("zero", FinalSigma::Zero), ("sigma_min", FinalSigma::Least)];
/// The last three names belong to other solvers; for this one they mean the default.
const SOLVER_TYPES: [(&str, SecondOrder); 5] = [
    ("midpoint", SecondOrder::Midpoint),
    ("heun", SecondOrder::Heun),
    ("logrho", SecondOrder::Midpoint),
    ("bh1", SecondOrder::Midpoint),
    ("bh2", SecondOrder::Midpoint),
];

impl Settings {
    /// Reads the fields that a scheduler has, and refuses values that it does not support.
    pub(super) fn new(
        file: &Path,
        fields: &Map<String, Value>,
        name: SchedulerName,
    ) -> Result<Self, SchedulerError> {
        use SchedulerKind::{Ddim, DpmSolverMultistep, EulerAncestral, Heun, Pndm};
        let kind = name.kind;
        let fields = Fields { file, values: fields, name };
        refuse_unsupported(&fields)?;

        let train_timesteps = fields.count("num_train_timesteps", 1000, 1..=MOST_TIMESTEPS)?;
        let rescale_zero_snr =
            !matches!(kind, Pndm | Heun) && fields.flag("rescale_betas_zero_snr", false)?;
        if rescale_zero_snr && train_timesteps == 1 {
            let supported = format!("2 to {MOST_TIMESTEPS} where `rescale_betas_zero_snr` is true");
            return Err(fields.error("num_train_timesteps", supported));
        }
        let zero_snr = match (rescale_zero_snr, kind) {
            (false, _) => ZeroSnr::Off,
            (true, Ddim) => ZeroSnr::Exact,
            (true, _) => ZeroSnr::Almost,
        };
        let predictions = if matches!(kind, Pndm | EulerAncestral | Heun) {
            &PREDICTIONS[..2]
        } else {
            &PREDICTIONS
        };
        let spacing =
            if matches!(kind, Ddim | Pndm) { Spacing::Leading } else { Spacing::Linspace };
        // The DDIM class of diffusers clips by default, although latents exceed 1. The scheduler
        // that other programs call `ddim` does not clip.
        let has_clip = matches!(kind, Ddim | Heun)
            && fields.flag("clip_sample", kind == Ddim && name.variant == Variant::Configured)?;
        let alphas_cumprod = read_alphas(&fields, train_timesteps, zero_snr)?;
        let has_sigmas = kind.has_karras();
        let has_karras = match name.variant {
            Variant::Configured => has_sigmas && fields.flag("use_karras_sigmas", false)?,
            Variant::Plain => false,
            Variant::Karras => true,
        };
        let solver = if kind == DpmSolverMultistep {
            Solver::read(&fields, &alphas_cumprod)?
        } else {
            Solver::UNUSED
        };
        Ok(Self {
            solver,
            name,
            prediction: fields.word("prediction_type", Prediction::Epsilon, predictions)?,
            train_timesteps,
            rescale_zero_snr,
            spacing: fields.word("timestep_spacing", spacing, &SPACINGS)?,
            steps_offset: u32::try_from(fields.count("steps_offset", 0, 0..=MOST_TIMESTEPS)?)
                .unwrap_or(u32::MAX),
            final_alpha_one: matches!(kind, Ddim | Pndm)
                && fields.flag("set_alpha_to_one", kind == Ddim)?,
            clip: if has_clip {
                Some(fields.positive("clip_sample_range")?.unwrap_or(1.0))
            } else {
                None
            },
            runge_kutta: kind == Pndm
                && name.variant == Variant::Configured
                && !fields.flag("skip_prk_steps", false)?,
            karras: if has_karras { Some(KarrasRange::read(&fields)?) } else { None },
            rounds_timesteps: !fields.holds("beta_schedule", "squaredcos_cap_v2"),
            final_sigma: if has_sigmas && kind != Heun {
                fields.word("final_sigmas_type", FinalSigma::Zero, &FINAL_SIGMAS)?
            } else {
                FinalSigma::Zero
            },
            alphas_cumprod,
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

impl KarrasRange {
    fn read(fields: &Fields) -> Result<Self, SchedulerError> {
        Ok(Self { min: fields.positive("sigma_min")?, max: fields.positive("sigma_max")? })
    }
}

impl Solver {
    /// The values for schedulers that do not use this solver.
    const UNUSED: Self = Self {
        second_order: SecondOrder::Midpoint,
        lower_order_final: true,
        euler_at_final: false,
        train_timesteps: 0,
    };

    fn read(fields: &Fields, alphas_cumprod: &[f32]) -> Result<Self, SchedulerError> {
        let least_lambda = fields.number("lambda_min_clipped", f64::NEG_INFINITY)?;
        let lambda = |alpha: f32| ((alpha / (1.0 - alpha)).ln() / 2.0).into();
        let train_timesteps = alphas_cumprod
            .iter()
            .rposition(|&alpha| least_lambda <= lambda(alpha))
            .map_or(0, |last| last + 1);
        if train_timesteps == 0 {
            return Err(
                fields.error("lambda_min_clipped", "a number that leaves timesteps to visit")
            );
        }
        Ok(Self {
            second_order: fields.word("solver_type", SecondOrder::Midpoint, &SOLVER_TYPES)?,
            lower_order_final: fields.flag("lower_order_final", true)?,
            euler_at_final: fields.flag("euler_at_final", false)?,
            train_timesteps,
        })
    }
}

/// Refuses values of the scheduler's fields that ask for an unsupported feature.
fn refuse_unsupported(fields: &Fields) -> Result<(), SchedulerError> {
    let kind = fields.name.kind;
    if matches!(kind, SchedulerKind::Ddim | SchedulerKind::DpmSolverMultistep) {
        fields.only_off("thresholding")?;
    }
    match kind {
        SchedulerKind::Euler => {
            fields.word("interpolation_type", (), &[("linear", ())])?;
            fields.word("timestep_type", (), &[("discrete", ())])?;
        }
        SchedulerKind::DpmSolverMultistep => {
            fields.none_of("variance_type", &["learned", "learned_range"])?;
        }
        _ => {}
    }
    if fields.name.variant == Variant::Configured {
        refuse_unsupported_variants(fields)
    } else {
        Ok(())
    }
}

/// Refuses unsupported values of the fields that a short name would override.
fn refuse_unsupported_variants(fields: &Fields) -> Result<(), SchedulerError> {
    let kind = fields.name.kind;
    if kind.has_karras() {
        fields.only_off("use_exponential_sigmas")?;
        fields.only_off("use_beta_sigmas")?;
    }
    if kind == SchedulerKind::DpmSolverMultistep {
        fields.only_off("use_lu_lambdas")?;
        fields.only_off("use_flow_sigmas")?;
        // `deis` belongs to another solver; for this one it means the default.
        fields.word("algorithm_type", (), &[("dpmsolver++", ()), ("deis", ())])?;
        fields.count("solver_order", 2, 2..=2)?;
    }
    Ok(())
}

fn read_alphas(
    fields: &Fields,
    train_timesteps: usize,
    zero_snr: ZeroSnr,
) -> Result<Vec<f32>, SchedulerError> {
    #[derive(Clone, Copy)]
    enum Run {
        Linear,
        ScaledLinear,
        SquaredCosine,
    }
    const RUNS: [(&str, Run); 3] = [
        ("linear", Run::Linear),
        ("scaled_linear", Run::ScaledLinear),
        ("squaredcos_cap_v2", Run::SquaredCosine),
    ];
    let (start, end) =
        if fields.name.kind == SchedulerKind::Heun { (0.00085, 0.012) } else { (0.0001, 0.02) };
    let start = fields.number("beta_start", start)?;
    let end = fields.number("beta_end", end)?;
    let trained = fields.numbers("trained_betas", train_timesteps)?;
    let at_fault = if trained.is_some() { "trained_betas" } else { "beta_end" };
    let betas = match (trained, fields.word("beta_schedule", Run::Linear, &RUNS)?) {
        (Some(betas), _) => Betas::Trained(betas),
        (None, Run::Linear) => Betas::Linear { start, end },
        (None, Run::ScaledLinear) => Betas::ScaledLinear { start, end },
        (None, Run::SquaredCosine) => Betas::SquaredCosine,
    };
    alphas_cumprod(&betas, train_timesteps, zero_snr)
        .ok_or_else(|| fields.error(at_fault, "betas above 0 and below 1"))
}
