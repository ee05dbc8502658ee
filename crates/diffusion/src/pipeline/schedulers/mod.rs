//! Which inputs does each call of the denoiser get, and how does its output update the latents?
//!
//! A scheduler here is not an object with state. It is a table, computed before the first call, of
//! the numbers that the step graph takes. One call of the graph computes
//!
//! ```text
//! out = clamp(output_model * m + output_latents * L, -clip, clip)
//! new = base * B + latents * L + model * m + output * out
//!       + history[0] * h1 + history[1] * h2 + history[2] * h3 + noise * n
//! ```
//!
//! where `L` are the present latents, `m` the guided output of the denoiser for `input_scale * L`
//! at `timestep`, `B` the latents of an earlier call ([`Base`]), `h1`, `h2` and `h3` the `out` of
//! the last remembered calls, the newest first, and `n` normal noise. Every update that is linear
//! in these can be expressed in this form.
//!
//! | scheduler | history keeps | source |
//! |---|---|---|
//! | [`Ddim`](SchedulerKind::Ddim) | nothing; `out` is the clipped picture, if pictures are clipped; draws noise if eta is not 0 | arXiv 2010.02502, equations 12 and 16 |
//! | [`Euler`](SchedulerKind::Euler) | nothing | arXiv 2206.00364, algorithm 1 without its second-order correction |
//! | [`EulerAncestral`](SchedulerKind::EulerAncestral) | nothing; draws noise | arXiv 2010.02502, equation 16 with eta 1, in terms of sigmas |
//! | [`DpmSolverMultistep`](SchedulerKind::DpmSolverMultistep) | predicted pictures, or noise for `dpmsolver`; its SDE draws noise | arXiv 2211.01095, algorithm 2 |
//! | [`Pndm`](SchedulerKind::Pndm) | the denoiser's outputs | arXiv 2202.09778, equations 9, 12 and 13 |
//! | [`Heun`](SchedulerKind::Heun) | slopes, or predicted pictures if they are clipped; two calls for each step except the last | arXiv 2206.00364, algorithm 1 without churn |
//! | [`UniPc`](SchedulerKind::UniPc) | predicted pictures, or noise without `predict_x0` | arXiv 2302.04867, algorithms 1 to 4 |
//! | [`DpmSolverSinglestep`](SchedulerKind::DpmSolverSinglestep) | as the multistep form | arXiv 2211.01095, algorithm 1 |
//! | [`Deis`](SchedulerKind::Deis) | predicted noise | arXiv 2204.13902, equation 15 |
//! | [`Kdpm2`](SchedulerKind::Kdpm2) | nothing; two calls for each step except the last | arXiv 2206.00927, algorithm 1 |
//! | [`Kdpm2Ancestral`](SchedulerKind::Kdpm2Ancestral) | nothing; two calls for each step except the last, of which the second draws noise | the same, and the noise of `EulerAncestral` |
//! | [`Lms`](SchedulerKind::Lms) | slopes | Adams and Bashforth's method for uneven steps |
//! | [`Ddpm`](SchedulerKind::Ddpm) | nothing; `out` is the clipped picture, if pictures are clipped; draws noise | arXiv 2006.11239, equation 7 |
//! | [`Lcm`](SchedulerKind::Lcm) | nothing; `out` is the predicted picture; draws noise | arXiv 2310.04378, algorithm 3 |
//! | [`Tcd`](SchedulerKind::Tcd) | nothing; draws noise if eta is not 0 | arXiv 2402.19159, algorithm 1 |
//! | [`EdmEuler`](SchedulerKind::EdmEuler) | nothing | arXiv 2206.00364, algorithm 1 without its second-order correction, and table 1 |
//! | [`EdmDpmSolverMultistep`](SchedulerKind::EdmDpmSolverMultistep) | predicted pictures; its SDE draws noise | arXiv 2211.01095, algorithm 2, with the picture of arXiv 2206.00364, table 1 |
//! | [`Ipndm`](SchedulerKind::Ipndm) | the derivatives that the denoiser's outputs stand for | arXiv 2202.09778, equations 9 and 12 |
//!
//! The numbers follow diffusers 0.42.1, including its rounding of timesteps, since models were
//! released with it.

mod class_defaults;
mod config;
mod consistency;
mod ddim;
mod ddpm;
mod deis;
mod dpm_solver;
mod dpm_solver_singlestep;
mod edm;
mod error;
mod euler;
mod euler_ancestral;
mod fields;
mod from_picture;
mod given_levels;
mod heun;
mod integrator;
mod ipndm;
mod kdpm2;
mod lagrange;
mod lms;
mod name;
mod noise_schedule;
mod noising;
mod numbers;
mod pndm;
mod settings;
mod sigma_forms;
mod sigmas;
mod solver_levels;
mod solver_settings;
mod spacing;
mod unipc;

pub use config::SchedulerConfig;
pub use error::SchedulerError;
pub use name::{ParseSchedulerError, SchedulerKind, SchedulerName, Variant};

pub use crate::models::Coefficients;

/// The meaning of a denoiser's output: the field `prediction_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prediction {
    /// The noise in the latents.
    Epsilon,
    /// The velocity, `sqrt(alpha) * noise - sqrt(1 - alpha) * picture` (arXiv 2202.00512, appendix
    /// D).
    V,
    /// The latents without their noise.
    Sample,
}

impl Prediction {
    /// Its name in configs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Epsilon => "epsilon",
            Self::V => "v_prediction",
            Self::Sample => "sample",
        }
    }
}

impl std::str::FromStr for Prediction {
    type Err = ParsePredictionError;

    fn from_str(text: &str) -> Result<Self, ParsePredictionError> {
        [Self::Epsilon, Self::V, Self::Sample]
            .into_iter()
            .find(|prediction| prediction.name() == text)
            .ok_or_else(|| ParsePredictionError(text.to_owned()))
    }
}

/// The error for a text that is not the name of a prediction type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("take epsilon, v_prediction or sample: `{0}` is none of them")]
pub struct ParsePredictionError(String);

/// All calls of the denoiser for one picture.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Schedule {
    /// The factor that turns unit normal noise into the first latents.
    pub init_noise_sigma: f32,
    /// The calls in order. Usually there is one call for each step. PNDM has one call more if there
    /// are at least two steps, or nine more if it starts with Runge-Kutta steps. Heun and DPM2
    /// have two calls for each step except the last. DPM++ has fewer calls if
    /// `lambda_min_clipped` cuts off strides of trailing spacing.
    pub calls: Vec<Call>,
}

impl Schedule {
    /// How many earlier outputs any call reads: 0 to 3.
    pub fn history_length(&self) -> usize {
        let used = |call: &Call| {
            call.coefficients
                .history
                .iter()
                .rposition(|&weight| weight != 0.0)
                .map_or(0, |last| last + 1)
        };
        self.calls.iter().map(used).max().unwrap_or(0)
    }
}

/// One call of the denoiser, and how its output is used.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Call {
    /// The timestep that the denoiser is given. It is a whole number for DDIM, PNDM, DDPM, LCM, TCD
    /// and the solvers of the DPM family. The others have fractions with linspace spacing or with
    /// a form of sigmas. It is from 0 to 1 for IPNDM, and a logarithm, which may be negative, for
    /// the EDM schedulers.
    pub timestep: f32,
    /// The coefficients of the update.
    pub coefficients: Coefficients,
    /// Which latents are in the slot `B`.
    pub base: Base,
    /// Whether the `L` of this call is kept; a later call then reads it as [`Base::Saved`].
    pub saves_latents: bool,
    /// Whether this call's `out` becomes `h1` of the next call, while `h1` becomes `h2` and `h2`
    /// becomes `h3`. If not, `out` becomes `h3`.
    pub remembers: bool,
    /// How `h3` is treated; every call reuses the memory of `h3`.
    pub third: Third,
    /// Whether noise is drawn for this call. If not, the slot may hold any finite numbers.
    pub draws_noise: bool,
    /// How noisy a picture is that a run begins with at this call.
    pub noising: Noising,
}

/// The factors by which `add_noise` of diffusers multiplies a picture's latents and normal noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noising {
    /// The factor of the picture.
    pub picture: f32,
    /// The factor of the noise.
    pub noise: f32,
}

impl Noising {
    /// The picture without noise.
    pub const NONE: Self = Self { picture: 1.0, noise: 0.0 };
}

/// Which latents are in the slot `B` of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Base {
    /// No latents besides `L` are needed. The coefficient [`base`](Coefficients::base) is zero, so
    /// the slot may hold any finite numbers.
    Current,
    /// The latents of the last call with [`saves_latents`](Call::saves_latents).
    Saved,
    /// What the call before this one returned, before a part of it was replaced by the picture that
    /// is kept. Only schedules for such requests have it.
    Unblended,
}

/// How the third remembered output is treated before and after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Third {
    /// The call reads `h3`, and reuses its memory.
    Stays,
    /// `h3` is set aside before the call, which reads zeros in its place.
    SetAside,
    /// After the call, the output that was set aside is put back.
    TakenBack,
}

impl Call {
    /// A call that reads only latents, and whose output is not remembered.
    const fn new(timestep: f32, coefficients: Coefficients) -> Self {
        Self {
            timestep,
            coefficients,
            base: Base::Current,
            saves_latents: false,
            remembers: false,
            third: Third::Stays,
            draws_noise: false,
            noising: Noising::NONE,
        }
    }
}
