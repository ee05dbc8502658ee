//! The names of schedulers.

use std::fmt;
use std::str::FromStr;

use super::SchedulerError;

/// A scheduler's update rule; one for each class of diffusers that is supported.
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
    /// `PNDMScheduler` without Runge-Kutta steps.
    Pndm,
}

impl SchedulerKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Ddim, Self::Euler, Self::EulerAncestral, Self::DpmSolverMultistep, Self::Pndm];

    /// The name of the class in diffusers.
    pub const fn class_name(self) -> &'static str {
        match self {
            Self::Ddim => "DDIMScheduler",
            Self::Euler => "EulerDiscreteScheduler",
            Self::EulerAncestral => "EulerAncestralDiscreteScheduler",
            Self::DpmSolverMultistep => "DPMSolverMultistepScheduler",
            Self::Pndm => "PNDMScheduler",
        }
    }

    /// The kind of a class of diffusers.
    pub(super) fn of_class(class: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.class_name() == class)
    }

    /// Whether the class reads `use_karras_sigmas`.
    pub(super) const fn has_karras(self) -> bool {
        matches!(self, Self::Euler | Self::DpmSolverMultistep)
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
        })
    }
}

/// A scheduler as a user names it: a kind, and whether its sigmas are Karras's.
///
/// A short name says all of it: `euler` has no Karras sigmas, `euler_karras` has. The name of a class of diffusers says nothing
/// of them, and leaves them as the model's configuration has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SchedulerName {
    /// The update rule.
    pub kind: SchedulerKind,
    /// The field `use_karras_sigmas`; `None` leaves it as the model's configuration has it.
    pub karras: Option<bool>,
}

/// Every name that is understood besides those of classes; the first of a line is the one that is displayed.
const NAMES: [(&[&str], SchedulerKind, Option<bool>); 7] = [
    (&["ddim"], SchedulerKind::Ddim, None),
    (&["euler"], SchedulerKind::Euler, Some(false)),
    (&["euler_karras"], SchedulerKind::Euler, Some(true)),
    (&["euler_a", "euler_ancestral"], SchedulerKind::EulerAncestral, None),
    (&["dpm++_2m", "dpmpp_2m"], SchedulerKind::DpmSolverMultistep, Some(false)),
    (&["dpm++_2m_karras", "dpmpp_2m_karras"], SchedulerKind::DpmSolverMultistep, Some(true)),
    (&["pndm"], SchedulerKind::Pndm, None),
];

impl SchedulerName {
    /// The short names, for a message: `ddim, euler, ...`.
    pub fn known() -> String {
        NAMES.map(|(names, _, _)| names[0]).join(", ")
    }
}

impl FromStr for SchedulerName {
    type Err = SchedulerError;

    /// Takes the short names in any case, and the names of classes of diffusers.
    fn from_str(name: &str) -> Result<Self, SchedulerError> {
        if let Some(kind) = SchedulerKind::of_class(name) {
            return Ok(Self { kind, karras: None });
        }
        let lower = name.to_ascii_lowercase();
        NAMES
            .iter()
            .find(|(names, _, _)| names.contains(&lower.as_str()))
            .map(|&(_, kind, karras)| Self { kind, karras })
            .ok_or_else(|| SchedulerError::UnknownName { name: name.to_owned() })
    }
}

impl From<SchedulerKind> for SchedulerName {
    /// Leaves Karras sigmas as the model's configuration has them.
    fn from(kind: SchedulerKind) -> Self {
        Self { kind, karras: None }
    }
}

impl fmt::Display for SchedulerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let karras = self.kind.has_karras() && self.karras == Some(true);
        write!(f, "{}{}", self.kind, if karras { "_karras" } else { "" })
    }
}
