//! What do the fields of a configuration mean to the solvers of the DPM family?
//!
//! These are DPM-Solver in its multistep and its singlestep form, UniPC and DEIS. The fields that
//! other schedulers have as well are in `settings.rs`.

use super::fields::Fields;
use super::{SchedulerError, SchedulerKind, Variant};

/// The settings that only the solvers of the DPM family read.
pub(super) struct Solver {
    pub(super) algorithm: Algorithm,
    /// `solver_order`: 1 to 3.
    pub(super) order: usize,
    pub(super) second_order: SecondOrder,
    pub(super) lower_order_final: bool,
    pub(super) euler_at_final: bool,
    /// How many of the training's timesteps may be visited: those whose lambda, half the logarithm
    /// of the signal-to-noise ratio, is not below `lambda_min_clipped`.
    pub(super) train_timesteps: usize,
    /// `solver_type` `bh1` of UniPC, where `bh2` is the default.
    pub(super) is_bh1: bool,
    /// `disable_corrector` of UniPC: the steps whose result is not corrected.
    pub(super) uncorrected: Vec<usize>,
}

/// `algorithm_type`: which integral a solver approximates, and whether it adds noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Algorithm {
    /// Whether the integral is over predicted noise, and not over predicted pictures: `dpmsolver`
    /// and `sde-dpmsolver`, DEIS, and UniPC without `predict_x0`.
    pub(super) integrates_noise: bool,
    /// `sde-dpmsolver++` and `sde-dpmsolver`.
    pub(super) is_stochastic: bool,
}

/// `solver_type`: how the second-order term is weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecondOrder {
    Midpoint,
    Heun,
}

/// The last three names belong to other solvers; for DPM-Solver they mean the default.
const SOLVER_TYPES: [(&str, SecondOrder); 5] = [
    ("midpoint", SecondOrder::Midpoint),
    ("heun", SecondOrder::Heun),
    ("logrho", SecondOrder::Midpoint),
    ("bh1", SecondOrder::Midpoint),
    ("bh2", SecondOrder::Midpoint),
];
/// The last three names belong to other solvers; for UniPC they mean the default.
const UNIPC_SOLVER_TYPES: [(&str, bool); 5] =
    [("bh1", true), ("bh2", false), ("midpoint", false), ("heun", false), ("logrho", false)];
/// The names other than `logrho` belong to other solvers; for DEIS they mean the default.
const DEIS_SOLVER_TYPES: [(&str, ()); 5] =
    [("logrho", ()), ("midpoint", ()), ("heun", ()), ("bh1", ()), ("bh2", ())];

impl Algorithm {
    const PICTURES: Self = Self { integrates_noise: false, is_stochastic: false };
    const NOISE: Self = Self { integrates_noise: true, is_stochastic: false };
    const PICTURES_SDE: Self = Self { integrates_noise: false, is_stochastic: true };
    const NOISE_SDE: Self = Self { integrates_noise: true, is_stochastic: true };

    /// `algorithm_type` of a class. `deis` belongs to another solver; for DPM-Solver it means the
    /// default.
    fn configured(fields: &Fields) -> Result<Self, SchedulerError> {
        const NAMES: [(&str, Algorithm); 5] = [
            ("dpmsolver++", Algorithm::PICTURES),
            ("sde-dpmsolver++", Algorithm::PICTURES_SDE),
            ("deis", Algorithm::PICTURES),
            ("dpmsolver", Algorithm::NOISE),
            ("sde-dpmsolver", Algorithm::NOISE_SDE),
        ];
        let names = match fields.name.kind {
            SchedulerKind::EdmDpmSolverMultistep => &NAMES[..3],
            SchedulerKind::DpmSolverSinglestep => &NAMES[..4],
            _ => &NAMES[..],
        };
        let algorithm = fields.word("algorithm_type", Self::PICTURES, names)?;
        let is_zero = !fields.holds("final_sigmas_type", "sigma_min");
        if algorithm.integrates_noise && is_zero {
            return Err(fields.error(
                "final_sigmas_type",
                "sigma_min where `algorithm_type` is dpmsolver or sde-dpmsolver",
            ));
        }
        Ok(algorithm)
    }
}

impl Solver {
    /// The values for schedulers that do not use these solvers.
    const UNUSED: Self = Self {
        algorithm: Algorithm::PICTURES,
        order: 2,
        second_order: SecondOrder::Midpoint,
        lower_order_final: true,
        euler_at_final: false,
        train_timesteps: 0,
        is_bh1: false,
        uncorrected: Vec::new(),
    };

    /// Reads the fields that a solver has; other schedulers get values that they do not use.
    pub(super) fn read(fields: &Fields, alphas_cumprod: &[f32]) -> Result<Self, SchedulerError> {
        let train_timesteps = alphas_cumprod.len();
        match fields.name.kind {
            SchedulerKind::DpmSolverMultistep => {
                fields.none_of("variance_type", &["learned", "learned_range"])?;
                Ok(Self {
                    train_timesteps: unclipped_timesteps(fields, alphas_cumprod)?,
                    lower_order_final: fields.flag("lower_order_final", true)?,
                    ..Self::dpm_solver(fields)?
                })
            }
            SchedulerKind::DpmSolverSinglestep => {
                fields.none_of("variance_type", &["learned", "learned_range"])?;
                Ok(Self {
                    train_timesteps: unclipped_timesteps(fields, alphas_cumprod)?,
                    lower_order_final: fields.flag("lower_order_final", false)?,
                    ..Self::dpm_solver(fields)?
                })
            }
            SchedulerKind::EdmDpmSolverMultistep => Ok(Self {
                lower_order_final: fields.flag("lower_order_final", true)?,
                ..Self::dpm_solver(fields)?
            }),
            SchedulerKind::UniPc => Self::unipc(fields, train_timesteps),
            SchedulerKind::Deis => Self::deis(fields, train_timesteps),
            _ => Ok(Self::UNUSED),
        }
    }

    fn dpm_solver(fields: &Fields) -> Result<Self, SchedulerError> {
        let kind = fields.name.kind;
        let algorithm = match fields.name.variant {
            Variant::Configured => Algorithm::configured(fields)?,
            _ if fields.name.stochastic => Algorithm::PICTURES_SDE,
            _ => Algorithm::PICTURES,
        };
        let order = order(fields)?;
        // diffusers has no third order for `sde-dpmsolver` and for EDM's SDE. In the singlestep
        // form, noise that the second call adds would have to be taken away for the third one, and
        // no call has both noises.
        let is_multistep = kind == SchedulerKind::DpmSolverMultistep;
        let has_third = !algorithm.is_stochastic || (is_multistep && !algorithm.integrates_noise);
        if order == 3 && !has_third {
            let supported = "1 to 2 where `algorithm_type` is a stochastic one";
            return Err(fields.error("solver_order", supported));
        }
        Ok(Self {
            algorithm,
            order,
            second_order: fields.word("solver_type", SecondOrder::Midpoint, &SOLVER_TYPES)?,
            euler_at_final: kind != SchedulerKind::DpmSolverSinglestep
                && fields.flag("euler_at_final", false)?,
            ..Self::UNUSED
        })
    }

    fn unipc(fields: &Fields, train_timesteps: usize) -> Result<Self, SchedulerError> {
        fields.only_missing("solver_p")?;
        fields.only_missing("shift_terminal")?;
        fields.only_off("use_dynamic_shifting")?;
        let of_pictures = fields.flag("predict_x0", true)?;
        if !of_pictures && !fields.holds("final_sigmas_type", "sigma_min") {
            return Err(fields.error("final_sigmas_type", "sigma_min where `predict_x0` is false"));
        }
        Ok(Self {
            algorithm: if of_pictures { Algorithm::PICTURES } else { Algorithm::NOISE },
            order: order(fields)?,
            is_bh1: fields.word("solver_type", false, &UNIPC_SOLVER_TYPES)?,
            lower_order_final: fields.flag("lower_order_final", true)?,
            uncorrected: fields.counts("disable_corrector")?,
            train_timesteps,
            ..Self::UNUSED
        })
    }

    fn deis(fields: &Fields, train_timesteps: usize) -> Result<Self, SchedulerError> {
        if fields.name.variant == Variant::Configured {
            let names = [("deis", ()), ("dpmsolver", ()), ("dpmsolver++", ())];
            fields.word("algorithm_type", (), &names)?;
        }
        fields.word("solver_type", (), &DEIS_SOLVER_TYPES)?;
        Ok(Self {
            algorithm: Algorithm::NOISE,
            order: order(fields)?,
            lower_order_final: fields.flag("lower_order_final", true)?,
            train_timesteps,
            ..Self::UNUSED
        })
    }
}

/// `solver_order`; a short name means the second order.
fn order(fields: &Fields) -> Result<usize, SchedulerError> {
    if fields.name.variant == Variant::Configured {
        fields.count("solver_order", 2, 1..=3)
    } else {
        Ok(2)
    }
}

/// How many of the training's timesteps `lambda_min_clipped` leaves to visit.
fn unclipped_timesteps(fields: &Fields, alphas_cumprod: &[f32]) -> Result<usize, SchedulerError> {
    let least_lambda = fields.number("lambda_min_clipped", f64::NEG_INFINITY)?;
    let lambda = |alpha: f32| ((alpha / (1.0 - alpha)).ln() / 2.0).into();
    alphas_cumprod
        .iter()
        .rposition(|&alpha| least_lambda <= lambda(alpha))
        .map(|last| last + 1)
        .ok_or_else(|| {
            fields.error("lambda_min_clipped", "a number that leaves timesteps to visit")
        })
}
