//! Which batch makes the most pictures a second?
//!
//! The answer is measured: pictures are made with several batches.

use std::ops::RangeInclusive;

use preheat_runtime::device::offload::Mode;
use preheat_runtime::device::placement;
use preheat_runtime::{StepTimes, human};
use serde::Serialize;

use super::error::PipelineError;
use super::request::TextToImage;

/// How many steps are run for each batch, after one step on zeros that is not counted. The result
/// is the median of their times, because other work on the machine can make single steps slow.
const STEPS: u64 = 5;

/// A batch that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// How many pictures are made at once.
    pub batch_size: u64,
    /// How fast the batch ran, or why it does not fit.
    pub outcome: Tuned,
}

/// The result for one batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tuned {
    /// It was run at this speed.
    Ran(Speed),
    /// It does not fit into memory, for this reason.
    TooLarge(String),
}

/// How fast a batch runs once everything is ready.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Speed {
    /// Seconds for one step of the whole batch.
    pub seconds_per_step: f64,
    /// Seconds for decoding one picture.
    pub decode_seconds_per_image: f64,
    /// Pictures a second with the number of steps that the request asks for.
    pub images_per_second: f64,
}

impl Tried {
    /// The batch, among those that ran, that makes the most pictures a second.
    pub fn best(tried: &[Self]) -> Option<(u64, Speed)> {
        let ran = tried.iter().filter_map(|one| match &one.outcome {
            Tuned::Ran(speed) => Some((one.batch_size, *speed)),
            Tuned::TooLarge(_) => None,
        });
        ran.max_by(|(_, one), (_, other)| one.images_per_second.total_cmp(&other.images_per_second))
    }
}

/// Runs the trials: a model on a device, or a fake one in tests.
pub(super) trait Trials {
    /// The estimated placement of the request's weights: on the device, or in the host's memory.
    /// `None` if there is no estimate, as on XLA devices.
    fn placement(
        &self,
        request: &TextToImage,
    ) -> Result<Option<placement::PlacementPlan>, PipelineError>;

    /// How often a request calls the denoiser.
    fn calls(&self, request: &TextToImage) -> Result<usize, PipelineError>;

    /// Forgets which stages ran out of memory in earlier runs, so that the estimate decides again;
    /// then makes the request ready and runs it.
    fn run(&self, request: &TextToImage) -> Result<Ran, PipelineError>;
}

/// The measurements of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ran {
    /// The time that the whole run took, in seconds.
    pub(super) seconds: f64,
    pub(super) steps: StepTimes,
    /// The time that decoding all pictures took, in seconds.
    pub(super) decode_seconds: f64,
    /// The strongest mode of offloading that a stage needed because the device ran out of memory.
    pub(super) most_offload: Mode,
}

/// Runs the request with each batch of `range`, from the smallest on, until one does not fit. If
/// not even the smallest fits, smaller ones are tried, down to the first that fits. `begin` is
/// called before each batch.
pub(super) fn tune(
    on: &impl Trials,
    request: &TextToImage,
    range: RangeInclusive<u64>,
    mut begin: impl FnMut(u64),
) -> Result<Vec<Tried>, PipelineError> {
    let mut tried = Vec::new();
    climb(range, |batch_size| {
        begin(batch_size);
        let outcome = match speed_of(on, &TextToImage { batch_size, ..request.clone() }) {
            Err(error @ PipelineError::NoRoom { .. }) => Tuned::TooLarge(error.to_string()),
            Err(error) if error.is_out_of_memory() => Tuned::TooLarge(error.to_string()),
            outcome => outcome?,
        };
        let fits = matches!(outcome, Tuned::Ran(_));
        tried.push(Tried { batch_size, outcome });
        Ok::<_, PipelineError>(fits)
    })?;
    Ok(tried)
}

fn speed_of(on: &impl Trials, request: &TextToImage) -> Result<Tuned, PipelineError> {
    if let Some(why) = too_large_by_the_estimate(on, request)? {
        return Ok(Tuned::TooLarge(why));
    }
    let few = TextToImage { steps: STEPS, ..request.clone() };
    let (calls_wanted, calls_run) = (on.calls(request)?, on.calls(&few)?);
    let ran = on.run(&few)?;
    if ran.most_offload > Mode::None {
        let mode = ran.most_offload;
        return Ok(Tuned::TooLarge(format!(
            "the device ran out of memory, and ended up with offload {mode}"
        )));
    }
    #[expect(clippy::cast_precision_loss, reason = "steps and pictures")]
    let [wanted, run, images] = [calls_wanted as f64, calls_run as f64, request.batch_size as f64];
    let steps = ran.steps.first_seconds + (run - 1.0) * ran.steps.mean_seconds;
    let seconds_per_step = ran.steps.p50_seconds;
    let of_request = (ran.seconds - steps).max(0.0) + wanted * seconds_per_step;
    Ok(Tuned::Ran(Speed {
        seconds_per_step,
        decode_seconds_per_image: ran.decode_seconds / images,
        images_per_second: images / of_request,
    }))
}

/// The reason why a batch is not worth trying, according to the estimate of its memory. A single
/// picture is always tried, as a run would try it too. Devices of XLA have no estimate.
fn too_large_by_the_estimate(
    on: &impl Trials,
    request: &TextToImage,
) -> Result<Option<String>, PipelineError> {
    if request.batch_size == 1 {
        return Ok(None);
    }
    let single = TextToImage { batch_size: 1, ..request.clone() };
    let Some(one) = on.placement(&single)? else { return Ok(None) };
    let Some(all) = on.placement(request)? else { return Ok(None) };
    if all.fits() == Some(false) {
        let lacking = all.devices.iter().find(|decision| decision.fits() == Some(false));
        let figures = lacking.map(|decision| {
            let (takes, free) =
                (decision.figures.under(decision.mode), decision.budget_bytes().unwrap_or(0));
            format!(
                ": by the estimate it takes {} of {}'s memory, and {} are available",
                human(takes),
                decision.device.id,
                human(free)
            )
        });
        return Ok(Some(format!("it does not fit{}", figures.unwrap_or_default())));
    }
    let (wanted, mode) = (one.mode(), all.mode());
    let why = || {
        format!(
            "this batch would need offload {mode}, but a single picture needs only offload {wanted}"
        )
    };
    Ok((mode > wanted).then(why))
}

/// Tries the sizes of `range` upwards until one does not fit. If the smallest does not fit, tries
/// smaller ones downwards until one fits.
fn climb<E>(
    range: RangeInclusive<u64>,
    mut fits: impl FnMut(u64) -> Result<bool, E>,
) -> Result<(), E> {
    let (least, most) = range.into_inner();
    if fits(least)? {
        for size in least + 1..=most {
            if !fits(size)? {
                break;
            }
        }
    } else {
        for size in (1..least).rev() {
            if fits(size)? {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use preheat_runtime::device::offload::{Decision, Offload, StageNeed};

    use super::*;
    use crate::pipeline::test_model;

    /// The sizes that are tried if `most_that_fits` is the largest one that fits.
    fn tried(range: RangeInclusive<u64>, most_that_fits: u64) -> Vec<u64> {
        let mut tried = Vec::new();
        let Ok(()) = climb(range, |size| {
            tried.push(size);
            Ok::<_, Infallible>(size <= most_that_fits)
        });
        tried
    }

    #[test]
    fn the_climb_ends_with_what_does_not_fit_and_goes_down_only_where_nothing_did() {
        assert_eq!(tried(4..=8, 100), [4, 5, 6, 7, 8]);
        assert_eq!(tried(4..=8, 5), [4, 5, 6]);
        assert_eq!(tried(4..=8, 2), [4, 3, 2]);
        assert_eq!(tried(4..=8, 0), [4, 3, 2, 1]);
        assert_eq!(tried(1..=4, 0), [1]);
        assert_eq!(tried(2..=2, 9), [2]);
    }

    #[test]
    fn the_best_makes_most_pictures_a_second_and_need_not_be_the_largest() {
        let ran = |batch_size, images_per_second| {
            let speed =
                Speed { seconds_per_step: 1.0, decode_seconds_per_image: 1.0, images_per_second };
            Tried { batch_size, outcome: Tuned::Ran(speed) }
        };
        let too_large = Tried { batch_size: 4, outcome: Tuned::TooLarge("full".to_owned()) };
        let all = [ran(1, 0.5), ran(2, 0.9), ran(3, 0.8), too_large.clone()];
        assert_eq!(Tried::best(&all).map(|(batch, _)| batch), Some(2));
        assert_eq!(Tried::best(&[too_large]), None);
    }

    /// A fake device on which a step takes one second, and the first one three. Each field is the
    /// largest batch that fits: by the estimate, in fact, and without offloading.
    struct Fake {
        estimated_room: u64,
        room: u64,
        without_offload: u64,
    }

    impl Trials for Fake {
        fn placement(
            &self,
            asked: &TextToImage,
        ) -> Result<Option<placement::PlacementPlan>, PipelineError> {
            let bytes = |pictures| pictures * 100;
            let need = StageNeed {
                weight_bytes: 1,
                largest_layer_bytes: 1,
                activation_bytes: bytes(asked.batch_size),
            };
            let card = test_model::card(bytes(self.estimated_room) + 1);
            let decision = Decision::of(Offload::Auto, &card, &[need], Some(0));
            Ok(Some(placement::PlacementPlan { devices: vec![decision], stages: Vec::new() }))
        }

        fn calls(&self, request: &TextToImage) -> Result<usize, PipelineError> {
            Ok(usize::try_from(request.steps).unwrap())
        }

        fn run(&self, request: &TextToImage) -> Result<Ran, PipelineError> {
            let batch = request.batch_size;
            if batch > self.room {
                return Err(PipelineError::NoRoom {
                    batch_size: batch,
                    size: [64, 64],
                    stage: "denoiser",
                    activation_bytes: 2,
                    weight_bytes: 0,
                    free_bytes: 1,
                });
            }
            let steps = StepTimes {
                first_seconds: 3.0,
                mean_seconds: 1.0,
                p50_seconds: 1.0,
                p99_seconds: 3.0,
            };
            let most_offload =
                if batch > self.without_offload { Mode::Sequential } else { Mode::None };
            Ok(Ran { seconds: 10.0, steps, decode_seconds: 2.0, most_offload })
        }
    }

    fn outcomes(on: &Fake, range: RangeInclusive<u64>) -> Vec<(u64, Tuned)> {
        let request = TextToImage { steps: 7, ..TextToImage::new("seven") };
        let tried = tune(on, &request, range, |_| {}).unwrap();
        tried.into_iter().map(|one| (one.batch_size, one.outcome)).collect()
    }

    #[test]
    fn batches_are_run_until_the_estimate_the_device_or_its_offloading_says_no() {
        let why_not = |on: Fake| match outcomes(&on, 1..=4).pop() {
            Some((3, Tuned::TooLarge(why))) => why,
            other => panic!("three pictures do not fit: {other:?}"),
        };
        let all = Fake { estimated_room: 9, room: 9, without_offload: 9 };
        assert!(why_not(Fake { estimated_room: 2, ..all }).contains("by the estimate it takes"));
        assert!(why_not(Fake { room: 2, ..all }).contains("3 x 64x64 px does not fit"));
        let offloads = why_not(Fake { without_offload: 2, ..all });
        assert!(offloads.contains("ended up with offload sequential"), "{offloads}");
        let all = Fake { estimated_room: 9, room: 9, without_offload: 9 };
        assert_eq!(outcomes(&all, 2..=4).len(), 3);
    }

    #[test]
    fn the_speed_is_that_of_the_steps_that_were_asked_for() {
        let all = Fake { estimated_room: 9, room: 9, without_offload: 9 };
        let Some((2, Tuned::Ran(speed))) = outcomes(&all, 2..=2).pop() else { panic!("it fits") };
        // The run took 10 s, of which its 5 steps took 3 + 4 * 1 = 7 s. The other 3 s and the 7
        // wanted steps of 1 s each give 10 s for the request.
        assert!((speed.images_per_second - 2.0 / 10.0).abs() < 1e-9, "{speed:?}");
        assert!((speed.decode_seconds_per_image - 1.0).abs() < 1e-9, "{speed:?}");
    }

    #[test]
    fn outcomes_serialise_by_their_names() {
        let tried = Tried { batch_size: 4, outcome: Tuned::TooLarge("full".to_owned()) };
        let json = serde_json::to_value(tried).unwrap();
        assert_eq!(json, serde_json::json!({"batch_size": 4, "outcome": {"too_large": "full"}}));
    }
}
