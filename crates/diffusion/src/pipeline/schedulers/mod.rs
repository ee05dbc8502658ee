//! Schedulers: what each call of the denoiser is given, and how its output updates the latents.
//!
//! A scheduler here is no object with state: it is a table, computed before the first call, of the
//! numbers that the step graph takes. One call of the graph, with `m` the guided output of the
//! denoiser for `input_scale * L` at `timestep`, computes
//!
//! ```text
//! out = clamp(output_model * m + output_latents * L, -clip, clip)
//! new = base * B + latents * L + model * m + output * out + history[0] * h1 + history[1] * h2 + history[2] * h3 + noise * n
//! ```
//!
//! where `L` are the latents that the denoiser sees, `B` the latents of an earlier call ([`Base`]),
//! `h1`, `h2`, `h3` the `out` of the last calls that were remembered, newest first, and `n` is
//! normal noise. Every update that is linear in these fits.
//!
//! | scheduler | history keeps | source |
//! |---|---|---|
//! | [`Ddim`](SchedulerKind::Ddim) | nothing; `out` is the clipped picture | arXiv 2010.02502, equations 12 and 16 |
//! | [`Euler`](SchedulerKind::Euler) | nothing | arXiv 2206.00364, algorithm 1 without its second-order correction |
//! | [`EulerAncestral`](SchedulerKind::EulerAncestral) | nothing; draws noise | arXiv 2010.02502, equation 16 with eta 1, in terms of sigmas |
//! | [`DpmSolverMultistep`](SchedulerKind::DpmSolverMultistep) | predicted pictures | arXiv 2211.01095, algorithm 2 |
//! | [`Pndm`](SchedulerKind::Pndm) | the denoiser's outputs | arXiv 2202.09778, equations 9, 12 and 13 |
//!
//! The numbers follow diffusers 0.42.1, its roundings of timesteps included, since that is what
//! models were released with.

mod config;
mod ddim;
mod dpm_solver;
mod error;
mod euler;
mod euler_ancestral;
mod fields;
mod name;
mod noise_schedule;
mod numbers;
mod pndm;
mod settings;
mod sigmas;
mod spacing;

pub use config::SchedulerConfig;
pub use error::SchedulerError;
pub use name::{SchedulerKind, SchedulerName, Variant};

pub use crate::models::Coefficients;

/// What a denoiser's output means: the field `prediction_type`.
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

/// All calls of the denoiser for one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// What unit normal noise is multiplied with to become the first latents.
    pub init_noise_sigma: f32,
    /// The calls in order. As many as there are steps; one more with PNDM from two steps on, nine
    /// more where it starts with Runge-Kutta, and fewer with DPM++ where `lambda_min_clipped` cuts
    /// trailing strides off.
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

/// One call of the denoiser, and what becomes of its output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// What the denoiser is told. A whole number, except with linspace spacing or Karras sigmas of
    /// the Euler schedulers.
    pub timestep: f32,
    /// The numbers of the update.
    pub coefficients: Coefficients,
    /// Which latents stand in the slot `B`.
    pub base: Base,
    /// Whether this call's `L` are kept: a later call has them as [`Base::Saved`].
    pub saves_latents: bool,
    /// Whether this call's `out` becomes `h1` of the next one, and `h1` becomes `h2`, `h2` becomes
    /// `h3`. Otherwise it becomes `h3`.
    pub remembers: bool,
    /// What becomes of `h3`, whose memory every call takes over.
    pub third: Third,
    /// Whether noise is drawn for this call. Where it is not, the slot may hold anything finite.
    pub draws_noise: bool,
}

/// Which latents stand in the slot `B` of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Base {
    /// Those that the denoiser sees; the coefficient [`base`](Coefficients::base) is zero, so that
    /// the slot may hold anything finite.
    Current,
    /// Those of the last call with [`saves_latents`](Call::saves_latents).
    Saved,
}

/// What becomes of the third remembered output around a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Third {
    /// It is read, and gone after the call.
    Stays,
    /// It is kept elsewhere before the call, which finds zeros in its place.
    SetAside,
    /// The one that was set aside stands in its place again after the call.
    TakenBack,
}

impl Call {
    /// A call that neither reads nor leaves anything beside the latents.
    const fn new(timestep: f32, coefficients: Coefficients) -> Self {
        Self {
            timestep,
            coefficients,
            base: Base::Current,
            saves_latents: false,
            remembers: false,
            third: Third::Stays,
            draws_noise: false,
        }
    }
}
