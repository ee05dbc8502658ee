//! Which timesteps or noise levels did a request give, and can the scheduler follow them?

use super::numbers::single;
use super::sigma_forms::SigmaForm;
use super::{SchedulerError, SchedulerKind, SchedulerName};

/// What a request gives in the place of a number of steps.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum GivenLevels {
    /// One timestep for each step, the noisiest first.
    Timesteps(Vec<u32>),
    /// One noise level for each step, the noisiest first, and the one that is left at the end.
    Sigmas(Vec<f64>),
}

impl GivenLevels {
    /// How many steps they make.
    pub(super) fn steps(&self) -> usize {
        match self {
            Self::Timesteps(timesteps) => timesteps.len(),
            Self::Sigmas(sigmas) => sigmas.len().saturating_sub(1),
        }
    }

    /// The timesteps, if these were given.
    pub(super) fn timesteps(&self) -> Option<Vec<f64>> {
        match self {
            Self::Timesteps(timesteps) => Some(timesteps.iter().copied().map(f64::from).collect()),
            Self::Sigmas(_) => None,
        }
    }

    /// Refuses levels that are no levels of the model, and schedulers that do not take any. The
    /// classes are those whose `set_timesteps` in diffusers has the argument.
    pub(super) fn check(
        &self,
        name: SchedulerName,
        form: SigmaForm,
        train_timesteps: usize,
    ) -> Result<(), SchedulerError> {
        use SchedulerKind::{Ddpm, DpmSolverMultistep, DpmSolverSinglestep, Euler, Heun, Lcm, Tcd};
        let kind = name.kind;
        let refused = |field: &'static str, why: String| {
            let scheduler = name.to_string();
            Err(SchedulerError::Given { scheduler, field, why })
        };
        match self {
            Self::Timesteps(timesteps) => {
                let takers = [Ddpm, DpmSolverMultistep, DpmSolverSinglestep, Euler, Heun, Lcm, Tcd];
                if !takers.contains(&kind) {
                    return refused("timesteps", format!("only {} take them", list(&takers)));
                }
                if form != SigmaForm::Trained {
                    let why = "a form of sigmas has timesteps of its own".to_owned();
                    return refused("timesteps", why);
                }
                let most = train_timesteps - 1;
                let falls = timesteps.is_sorted_by(|one, next| one > next);
                let begins = timesteps.first().is_some_and(|first| *first as usize <= most);
                if !falls || !begins {
                    let why = format!("give numbers from {most} to 0, each below the one before");
                    return refused("timesteps", why);
                }
            }
            Self::Sigmas(sigmas) => {
                if kind != Euler {
                    return refused("sigmas", format!("only {} takes them", list(&[Euler])));
                }
                let falls = sigmas.is_sorted_by(|one, next| single(*one) > single(*next));
                let ends = sigmas.last().is_some_and(|last| *last >= 0.0);
                if sigmas.len() < 2 || !falls || !ends || !sigmas.iter().all(|s| s.is_finite()) {
                    let why = "give at least two numbers, each below the one before, down to 0";
                    return refused("sigmas", why.to_owned());
                }
            }
        }
        Ok(())
    }
}

fn list(kinds: &[SchedulerKind]) -> String {
    kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
