//! Can a scheduler begin with a picture, and keep a part of it?

use super::{SchedulerError, SchedulerKind, SchedulerName};

/// How a run begins with a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FromPicture {
    /// The step with which the run begins; those before it are not made. A scheduler that uses the
    /// outputs of earlier calls begins without any, as diffusers' schedulers do.
    pub(super) first_step: usize,
    /// Whether a part of the picture is kept: whether the latents are changed between the calls.
    pub(super) keeps_a_part: bool,
}

impl FromPicture {
    /// Refuses schedulers whose arithmetic does not allow it. `runge_kutta` says whether PNDM
    /// begins with Runge-Kutta steps, and `order` is the order of a solver.
    pub(super) fn check(
        self,
        name: SchedulerName,
        runge_kutta: bool,
        order: usize,
    ) -> Result<(), SchedulerError> {
        let Self { first_step, keeps_a_part } = self;
        let refused = |what: &'static str, why: &'static str| {
            let scheduler = name.to_string();
            Err(SchedulerError::Picture { scheduler, what, why })
        };
        match name.kind {
            SchedulerKind::Ipndm => {
                refused("begin with a picture", "it has no way to add noise to one")
            }
            SchedulerKind::Pndm if runge_kutta && first_step > 0 => refused(
                "begin with a picture and a strength below 1",
                "its Runge-Kutta steps (`skip_prk_steps` is off) are the first of a schedule",
            ),
            SchedulerKind::Pndm if runge_kutta && keeps_a_part => refused(
                "keep a part of a picture",
                "its Runge-Kutta steps (`skip_prk_steps` is off) compute latents from later ones",
            ),
            SchedulerKind::DpmSolverSinglestep if order > 2 && keeps_a_part => refused(
                "keep a part of a picture",
                "its steps of the third order (`solver_order`) compute latents from later ones",
            ),
            _ => Ok(()),
        }
    }
}
