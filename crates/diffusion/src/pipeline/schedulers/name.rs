//! Which scheduler does a name mean?
//!
//! A name is either a short name, in the spelling of a common user interface, or the name of a
//! class of diffusers. It gives an update rule and a variant of that rule.

use std::fmt;
use std::str::FromStr;

/// A scheduler's update rule; each supported class of diffusers has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchedulerKind {
    /// `DDIMScheduler` with eta 0.
    Ddim,
    /// `EulerDiscreteScheduler`.
    Euler,
    /// `EulerAncestralDiscreteScheduler`.
    EulerAncestral,
    /// `DPMSolverMultistepScheduler`: DPM++ 2M.
    DpmSolverMultistep,
    /// `PNDMScheduler`.
    Pndm,
    /// `HeunDiscreteScheduler`.
    Heun,
}

impl SchedulerKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Ddim,
        Self::Euler,
        Self::EulerAncestral,
        Self::DpmSolverMultistep,
        Self::Pndm,
        Self::Heun,
    ];

    /// The name of the class in diffusers.
    pub const fn class_name(self) -> &'static str {
        match self {
            Self::Ddim => "DDIMScheduler",
            Self::Euler => "EulerDiscreteScheduler",
            Self::EulerAncestral => "EulerAncestralDiscreteScheduler",
            Self::DpmSolverMultistep => "DPMSolverMultistepScheduler",
            Self::Pndm => "PNDMScheduler",
            Self::Heun => "HeunDiscreteScheduler",
        }
    }

    /// The kind that corresponds to a class of diffusers.
    pub(super) fn of_class(class: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.class_name() == class)
    }

    /// Whether the class reads `use_karras_sigmas`.
    pub(super) const fn has_karras(self) -> bool {
        matches!(self, Self::Euler | Self::DpmSolverMultistep | Self::Heun)
    }
}

impl fmt::Display for SchedulerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ddim => "ddim",
            Self::Euler => "euler",
            Self::EulerAncestral => "euler_a",
            Self::DpmSolverMultistep => "dpm++_2m",
            Self::Pndm => "pndm",
            Self::Heun => "heun",
        })
    }
}

/// A scheduler as a user names it: a kind, and a variant of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SchedulerName {
    /// The update rule.
    pub kind: SchedulerKind,
    /// The variant of the update rule.
    pub variant: Variant,
}

/// A variant of an update rule: its noise levels, its solver, and whether it starts with
/// Runge-Kutta steps.
///
/// A short name decides all of these, whatever the model's configuration says: `euler` has no
/// Karras sigmas, `euler_karras` has them, and `dpm++_2m` is not a stochastic solver. `ddim` clips
/// nothing unless the configuration asks for it. The name of a class of diffusers decides none of
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// The variant that the model's configuration describes.
    Configured,
    /// The variant without options.
    Plain,
    /// The variant with Karras sigmas.
    Karras,
}

/// Every short name, in the form that [`normalized`] gives; the first one of each line is
/// displayed.
const NAMES: [(&[&str], SchedulerKind, Variant); 9] = [
    (&["ddim"], SchedulerKind::Ddim, Variant::Plain),
    (&["euler"], SchedulerKind::Euler, Variant::Plain),
    (&["euler_karras"], SchedulerKind::Euler, Variant::Karras),
    (&["euler_a", "euler_ancestral"], SchedulerKind::EulerAncestral, Variant::Plain),
    (&["dpm++_2m"], SchedulerKind::DpmSolverMultistep, Variant::Plain),
    (&["dpm++_2m_karras"], SchedulerKind::DpmSolverMultistep, Variant::Karras),
    (&["pndm", "plms"], SchedulerKind::Pndm, Variant::Plain),
    (&["heun"], SchedulerKind::Heun, Variant::Plain),
    (&["heun_karras"], SchedulerKind::Heun, Variant::Karras),
];

/// A name in the form of [`NAMES`]. `DPM++ 2M Karras` of AUTOMATIC1111's web UI, `dpmpp_2m_karras`
/// of ComfyUI and `k_dpmpp_2m_karras` of k-diffusion all give the same name.
fn normalized(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase().replace([' ', '-'], "_").replace("dpmpp", "dpm++");
    name.strip_prefix("k_").unwrap_or(&name).to_owned()
}

impl SchedulerName {
    /// The short names, for a message: `ddim, euler, ...`.
    pub fn known() -> String {
        NAMES.map(|(names, _, _)| names[0]).join(", ")
    }
}

/// The text is not the name of a scheduler.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no scheduler `{0}`; there are {known} and the names of their classes in diffusers",
    known = SchedulerName::known()
)]
pub struct ParseSchedulerError(String);

impl FromStr for SchedulerName {
    type Err = ParseSchedulerError;

    /// Accepts the short names, in the spelling of a common user interface, and the class names of
    /// diffusers.
    fn from_str(name: &str) -> Result<Self, ParseSchedulerError> {
        if let Some(kind) = SchedulerKind::of_class(name) {
            return Ok(kind.into());
        }
        let short = normalized(name);
        NAMES
            .iter()
            .find(|(names, _, _)| names.contains(&short.as_str()))
            .map(|&(_, kind, variant)| Self { kind, variant })
            .ok_or_else(|| ParseSchedulerError(name.to_owned()))
    }
}

impl From<SchedulerKind> for SchedulerName {
    /// Leaves the variant to the model's configuration.
    fn from(kind: SchedulerKind) -> Self {
        Self { kind, variant: Variant::Configured }
    }
}

impl fmt::Display for SchedulerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, if self.variant == Variant::Karras { "_karras" } else { "" })
    }
}
