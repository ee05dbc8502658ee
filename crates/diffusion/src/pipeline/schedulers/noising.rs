//! How noisy is a picture that a call of the denoiser begins with?
//!
//! These are the factors of `add_noise` of diffusers' schedulers, for requests that begin with a
//! picture and for pictures of which a part is kept.

use super::edm;
use super::numbers::{single, whole};
use super::settings::{Beyond, Settings};
use super::sigmas::Levels;
use super::solver_levels::solver_levels;
use super::{Call, Noising, SchedulerKind};

/// The factors for each call. `calls` are all calls of the schedule, or for PNDM those that are
/// made.
pub(super) fn noisings(
    settings: &Settings,
    steps: usize,
    calls: &[Call],
) -> Result<Vec<Noising>, Beyond> {
    use SchedulerKind::{
        Ddim, Ddpm, Deis, DpmSolverMultistep, DpmSolverSinglestep, EdmDpmSolverMultistep, EdmEuler,
        Euler, EulerAncestral, Heun, Ipndm, Kdpm2, Kdpm2Ancestral, Lcm, Lms, Pndm, Tcd, UniPc,
    };
    let unscaled = |sigma: &f32| Noising { picture: 1.0, noise: *sigma };
    Ok(match settings.name.kind {
        Ddim | Ddpm | Pndm | Lcm | Tcd => {
            let of_call = |call: &Call| {
                let alpha = settings.alpha(whole(f64::from(call.timestep)))?;
                Ok(Noising { picture: single(alpha.sqrt()), noise: single((1.0 - alpha).sqrt()) })
            };
            calls.iter().map(of_call).collect::<Result<_, Beyond>>()?
        }
        Euler | EulerAncestral | Lms => {
            Levels::new(settings, steps).sigmas.iter().map(unscaled).collect()
        }
        // The second call of a step, at whatever level it is, counts as the next step's first.
        Heun | Kdpm2 | Kdpm2Ancestral => {
            let sigmas = Levels::new(settings, steps).sigmas;
            let first = sigmas.iter().take(1);
            let others = sigmas.iter().skip(1).flat_map(|sigma| [sigma, sigma]);
            first.chain(others).map(unscaled).collect()
        }
        DpmSolverMultistep | DpmSolverSinglestep | UniPc | Deis => {
            let scaled = |sigma: &f32| {
                let sigma = f64::from(*sigma);
                let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
                Noising { picture: single(alpha), noise: single(sigma * alpha) }
            };
            solver_levels(settings, steps).1.iter().map(scaled).collect()
        }
        EdmEuler | EdmDpmSolverMultistep => {
            edm::sigmas(settings, steps).iter().map(unscaled).collect()
        }
        // It cannot begin with a picture: `from_picture.rs` refuses it.
        Ipndm => Vec::new(),
    })
}
