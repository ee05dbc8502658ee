//! Which scheduler does a name mean?
//!
//! A name is either a short name, in the spelling of a common user interface, or the name of a
//! class of diffusers. It gives an update rule and a variant of that rule.

use std::fmt;
use std::str::FromStr;

/// A scheduler's update rule; each supported class of diffusers has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
    /// `UniPCMultistepScheduler`.
    UniPc,
    /// `DPMSolverSinglestepScheduler`: DPM++ 2S.
    DpmSolverSinglestep,
    /// `DEISMultistepScheduler`.
    Deis,
    /// `KDPM2DiscreteScheduler`: DPM2.
    Kdpm2,
    /// `KDPM2AncestralDiscreteScheduler`: DPM2 a.
    Kdpm2Ancestral,
    /// `LMSDiscreteScheduler`.
    Lms,
    /// `DDPMScheduler`.
    Ddpm,
    /// `LCMScheduler`.
    Lcm,
    /// `TCDScheduler`.
    Tcd,
    /// `EDMEulerScheduler`.
    EdmEuler,
    /// `EDMDPMSolverMultistepScheduler`.
    EdmDpmSolverMultistep,
    /// `IPNDMScheduler`.
    Ipndm,
}

impl SchedulerKind {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::Ddim,
        Self::Euler,
        Self::EulerAncestral,
        Self::DpmSolverMultistep,
        Self::Pndm,
        Self::Heun,
        Self::UniPc,
        Self::DpmSolverSinglestep,
        Self::Deis,
        Self::Kdpm2,
        Self::Kdpm2Ancestral,
        Self::Lms,
        Self::Ddpm,
        Self::Lcm,
        Self::Tcd,
        Self::EdmEuler,
        Self::EdmDpmSolverMultistep,
        Self::Ipndm,
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
            Self::UniPc => "UniPCMultistepScheduler",
            Self::DpmSolverSinglestep => "DPMSolverSinglestepScheduler",
            Self::Deis => "DEISMultistepScheduler",
            Self::Kdpm2 => "KDPM2DiscreteScheduler",
            Self::Kdpm2Ancestral => "KDPM2AncestralDiscreteScheduler",
            Self::Lms => "LMSDiscreteScheduler",
            Self::Ddpm => "DDPMScheduler",
            Self::Lcm => "LCMScheduler",
            Self::Tcd => "TCDScheduler",
            Self::EdmEuler => "EDMEulerScheduler",
            Self::EdmDpmSolverMultistep => "EDMDPMSolverMultistepScheduler",
            Self::Ipndm => "IPNDMScheduler",
        }
    }

    /// The kind that corresponds to a class of diffusers.
    pub(super) fn of_class(class: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.class_name() == class)
    }

    /// Whether the class reads `use_karras_sigmas`, `use_exponential_sigmas` and `use_beta_sigmas`.
    pub(super) const fn has_sigma_forms(self) -> bool {
        matches!(
            self,
            Self::Euler
                | Self::DpmSolverMultistep
                | Self::Heun
                | Self::UniPc
                | Self::DpmSolverSinglestep
                | Self::Deis
                | Self::Kdpm2
                | Self::Kdpm2Ancestral
                | Self::Lms
        )
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
            Self::UniPc => "unipc",
            Self::DpmSolverSinglestep => "dpm++_2s",
            Self::Deis => "deis",
            Self::Kdpm2 => "dpm2",
            Self::Kdpm2Ancestral => "dpm2_a",
            Self::Lms => "lms",
            Self::Ddpm => "ddpm",
            Self::Lcm => "lcm",
            Self::Tcd => "tcd",
            Self::EdmEuler => "edm_euler",
            Self::EdmDpmSolverMultistep => "edm_dpm++_2m",
            Self::Ipndm => "ipndm",
        })
    }
}

/// A scheduler as a user names it: a kind, and a variant of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SchedulerName {
    /// The update rule.
    pub kind: SchedulerKind,
    /// Whether the solver adds noise in each step: SDE-DPM-Solver++, `algorithm_type`
    /// `sde-dpmsolver++`. Only [`SchedulerKind::DpmSolverMultistep`] has this form as a name.
    pub stochastic: bool,
    /// The variant of the update rule.
    pub variant: Variant,
}

/// A variant of an update rule: its noise levels, its solver, and whether it starts with
/// Runge-Kutta steps.
///
/// A short name decides all of these, whatever the model's configuration says: `euler` has the
/// noise levels of the training, `euler_karras` has Karras sigmas, and `dpm++_2m` is not a
/// stochastic solver. `ddim` and `ddpm` clip nothing unless the configuration asks for it. The name
/// of a class of diffusers decides none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Variant {
    /// The variant that the model's configuration describes.
    Configured,
    /// The variant without options.
    Plain,
    /// The variant with Karras sigmas (arXiv 2206.00364).
    Karras,
    /// The variant whose sigmas are evenly spaced in their logarithm.
    Exponential,
    /// The variant whose sigmas follow a beta distribution (arXiv 2407.12173).
    Beta,
}

impl Variant {
    /// The variants that a name's end asks for.
    const WITH_SUFFIX: [Self; 3] = [Self::Karras, Self::Exponential, Self::Beta];

    const fn suffix(self) -> &'static str {
        match self {
            Self::Configured | Self::Plain => "",
            Self::Karras => "_karras",
            Self::Exponential => "_exponential",
            Self::Beta => "_beta",
        }
    }
}

/// Every short name without the end that names its sigmas, in the form that [`normalized`] gives;
/// the first one of each line is displayed.
const NAMES: [(&[&str], SchedulerKind, bool); 19] = [
    (&["ddim"], SchedulerKind::Ddim, false),
    (&["euler"], SchedulerKind::Euler, false),
    (&["euler_a", "euler_ancestral"], SchedulerKind::EulerAncestral, false),
    (&["dpm++_2m"], SchedulerKind::DpmSolverMultistep, false),
    (&["dpm++_2m_sde"], SchedulerKind::DpmSolverMultistep, true),
    (&["pndm", "plms"], SchedulerKind::Pndm, false),
    (&["heun"], SchedulerKind::Heun, false),
    (&["unipc", "uni_pc", "uni_pc_bh2"], SchedulerKind::UniPc, false),
    (&["dpm++_2s"], SchedulerKind::DpmSolverSinglestep, false),
    (&["deis"], SchedulerKind::Deis, false),
    (&["dpm2", "dpm_2", "kdpm2"], SchedulerKind::Kdpm2, false),
    (
        &["dpm2_a", "dpm_2_ancestral", "dpm2_ancestral", "kdpm2_a"],
        SchedulerKind::Kdpm2Ancestral,
        false,
    ),
    (&["lms"], SchedulerKind::Lms, false),
    (&["ddpm"], SchedulerKind::Ddpm, false),
    (&["lcm"], SchedulerKind::Lcm, false),
    (&["tcd"], SchedulerKind::Tcd, false),
    (&["edm_euler"], SchedulerKind::EdmEuler, false),
    (&["edm_dpm++_2m"], SchedulerKind::EdmDpmSolverMultistep, false),
    (&["ipndm"], SchedulerKind::Ipndm, false),
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

    /// The short names that may end in the name of a form of sigmas, for a message.
    fn known_with_forms() -> String {
        let with_forms: Vec<_> = NAMES
            .iter()
            .filter(|(_, kind, _)| kind.has_sigma_forms())
            .map(|(names, _, _)| names[0])
            .collect();
        with_forms.join(", ")
    }
}

/// The text is not the name of a scheduler.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no scheduler `{0}`{why}; there are {known} and the names of their classes in \
     diffusers; _karras, _exponential or _beta may follow {forms}",
    why = reason(.0),
    known = SchedulerName::known(),
    forms = SchedulerName::known_with_forms()
)]
pub struct ParseSchedulerError(String);

/// Why there is no scheduler of a name that other programs have.
fn reason(name: &str) -> &'static str {
    if normalized(name).starts_with("dpm++_sde") {
        ", because its noise comes from a Brownian tree of torchsde and not from the request's seed"
    } else {
        ""
    }
}

impl FromStr for SchedulerName {
    type Err = ParseSchedulerError;

    /// Accepts the short names, in the spelling of a common user interface, and the class names of
    /// diffusers.
    fn from_str(name: &str) -> Result<Self, ParseSchedulerError> {
        if let Some(kind) = SchedulerKind::of_class(name) {
            return Ok(kind.into());
        }
        let short = normalized(name);
        let (base, variant) = Variant::WITH_SUFFIX
            .into_iter()
            .find_map(|variant| Some((short.strip_suffix(variant.suffix())?, variant)))
            .unwrap_or((&short, Variant::Plain));
        NAMES
            .iter()
            .find(|(names, _, _)| names.contains(&base))
            .filter(|(_, kind, _)| variant == Variant::Plain || kind.has_sigma_forms())
            .map(|&(_, kind, stochastic)| Self { kind, stochastic, variant })
            .ok_or_else(|| ParseSchedulerError(name.to_owned()))
    }
}

impl From<SchedulerKind> for SchedulerName {
    /// Leaves the variant to the model's configuration.
    fn from(kind: SchedulerKind) -> Self {
        Self { kind, stochastic: false, variant: Variant::Configured }
    }
}

impl fmt::Display for SchedulerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noise = if self.stochastic { "_sde" } else { "" };
        write!(f, "{}{noise}{}", self.kind, self.variant.suffix())
    }
}
