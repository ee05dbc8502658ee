//! Which batch makes the most pictures a second?
//!
//! The answer is measured: pictures are made with several batches.

use std::ops::RangeInclusive;
use std::time::Instant;

use preheat_runtime::device::offload::Mode;
use preheat_runtime::human;

use super::error::PipelineError;
use super::home::Home;
use super::{Pipeline, TextToImage};

/// How many steps are run for each batch, after one step on zeros that is not counted. The result
/// is the median of their times, because other work on the machine can make single steps slow.
const STEPS: u64 = 5;

/// A batch that was tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// How many pictures are made at once.
    pub batch_size: u64,
    /// The result.
    pub outcome: Tuned,
}

/// The result for one batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Tuned {
    /// It was run at this speed.
    Ran(Speed),
    /// It does not fit into memory, for this reason.
    TooLarge(String),
}

/// How fast a batch runs once everything is ready.
#[derive(Debug, Clone, Copy, PartialEq)]
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

impl Pipeline {
    /// Runs the request with each batch of `range`, from the smallest on, until one does not fit:
    /// because the estimate, which is asked first, says so, or because the device runs out of
    /// memory. If not even the smallest fits, smaller ones are tried, down to the first that fits.
    /// Only a few denoising steps are run, after one that is not counted; the time of all the steps
    /// that the request asks for is computed from them. `begin` is called before each batch.
    ///
    /// # Errors
    /// Where this model cannot serve the request, or where a run fails for another reason than
    /// memory.
    pub fn tune(
        &self,
        request: &TextToImage,
        range: RangeInclusive<u64>,
        mut begin: impl FnMut(u64),
    ) -> Result<Vec<Tried>, PipelineError> {
        let mut tried = Vec::new();
        climb(range, |batch_size| {
            begin(batch_size);
            let outcome = match self.speed_of(&TextToImage { batch_size, ..request.clone() }) {
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

    fn speed_of(&self, request: &TextToImage) -> Result<Tuned, PipelineError> {
        if let Some(why) = self.too_large_by_the_estimate(request)? {
            return Ok(Tuned::TooLarge(why));
        }
        let few = TextToImage { steps: STEPS, ..request.clone() };
        let calls = |request: &TextToImage| {
            Ok::<_, PipelineError>(self.prepare(request)?.schedule.calls.len())
        };
        let (calls_wanted, calls_run) = (calls(request)?, calls(&few)?);
        self.homes.iter().for_each(Home::forget_learned);
        self.get_ready(&few)?;
        let began = Instant::now();
        let made = self.run(&few)?;
        let seconds = began.elapsed().as_secs_f64();
        if let Some(mode) =
            self.homes.iter().map(Home::most_learned).max().filter(|mode| *mode > Mode::None)
        {
            return Ok(Tuned::TooLarge(format!(
                "the device ran out of memory, and ended up with offload {mode}"
            )));
        }
        #[expect(clippy::cast_precision_loss, reason = "steps and pictures")]
        let [wanted, run, images] =
            [calls_wanted as f64, calls_run as f64, request.batch_size as f64];
        let steps = made.steps.first_seconds + (run - 1.0) * made.steps.mean_seconds;
        let seconds_per_step = made.steps.p50_seconds;
        let of_request = (seconds - steps).max(0.0) + wanted * seconds_per_step;
        Ok(Tuned::Ran(Speed {
            seconds_per_step,
            decode_seconds_per_image: made.decode_seconds / images,
            images_per_second: images / of_request,
        }))
    }

    /// The reason why a batch is not worth trying, according to the estimate of its memory. A
    /// single picture is always tried, as a run would try it too. Devices of XLA have no estimate.
    fn too_large_by_the_estimate(
        &self,
        request: &TextToImage,
    ) -> Result<Option<String>, PipelineError> {
        if request.batch_size == 1 {
            return Ok(None);
        }
        let single = TextToImage { batch_size: 1, ..request.clone() };
        let Some(one) = self.prepare(&single)?.placement else { return Ok(None) };
        let Some(all) = self.prepare(request)?.placement else { return Ok(None) };
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
        let why = || format!("it would need offload {mode} where a single picture has {wanted}");
        Ok((mode > wanted).then(why))
    }
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

    use super::*;

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
}
