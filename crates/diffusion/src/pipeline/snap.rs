//! Which warm size can serve a request whose own padded size is cold?
//!
//! The smallest warm size that covers the request within the allowed waste serves it, and the
//! picture is cropped. The noise is drawn at the size that is computed. The same seed therefore
//! gives another picture than at the request's own size: it gives the top left corner of the larger
//! picture.

use preheat_runtime::{Executable, Lookup, Percent, Runtime, SnappedSize, Verdict};

use super::checked_request::{Prepared, RequestPlanner, Sizes};
use super::error::PipelineError;
use super::home::Homes;
use super::obtain::obtain;
use super::room::Admission;
use super::stage::Stage;
use super::stage_lookup::look_up;
use crate::models::LATENT_PX;

/// Serves requests at larger sizes than their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snapping<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) planner: &'a RequestPlanner,
    pub(super) homes: &'a Homes,
    /// The largest share of the computed area that may be wasted.
    pub(super) most_waste: Percent,
}

impl Snapping<'_> {
    /// The request at the smallest size at which every stage is warm, with the executables; `None`
    /// if no such size serves it. `found` has the executables of the request's own size, for the
    /// stages that are warm.
    pub(super) fn find<'r>(
        &self,
        own: &Prepared<'r>,
        found: &[Option<Executable>],
    ) -> Result<Option<(Prepared<'r>, Vec<Executable>)>, PipelineError> {
        let admission = Admission { model: &self.planner.model, homes: self.homes };
        for size in self.larger_sizes(own) {
            let larger = self.at(own, size)?;
            if let Err(error) = admission.check(&larger) {
                tracing::debug!(?size, %error, "a warm size cannot serve");
                continue;
            }
            // A stage whose graph does not depend on the size has been found already.
            let same = |(index, stage): (usize, &Stage)| {
                found.get(index)?.clone().filter(|_| stage.is_as_in(&own.stages.all[index]))
            };
            let kept: Vec<_> = larger.stages.iter().enumerate().map(same).collect();
            let executables =
                obtain(self.homes, &larger, &kept, |request| request.require_warm(true).get());
            let executables = match executables.into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(executables) => executables,
                Err(error) => {
                    tracing::debug!(?size, %error, "a warm size cannot serve");
                    continue;
                }
            };
            let SnappedSize { padded_size: [width, height], snapped_from, wasted_percent, .. } =
                size;
            let [own_width, own_height] = snapped_from;
            tracing::info!(
                model = self.planner.model.folder.id(),
                "snapped to {width}x{height} px, which is warm: {wasted_percent} of it is wasted on a request of {own_width}x{own_height} px"
            );
            return Ok(Some((larger, executables)));
        }
        let ([width, height], most_waste) = (own.plan.sizes.padded, self.most_waste);
        tracing::info!(
            "no warm size covers {width}x{height} px with at most {most_waste} of it wasted"
        );
        Ok(None)
    }

    /// The answer of a look-up at a larger size, for a request that is not warm at its own size;
    /// `None` if no larger size serves it.
    pub(super) fn look_up(&self, own: &Prepared<'_>) -> Result<Option<Lookup>, PipelineError> {
        for size in self.larger_sizes(own) {
            let answer = look_up(self.homes, &self.at(own, size)?)?;
            if answer.verdict == Verdict::Hit {
                return Ok(Some(answer.snapped_to(size)));
            }
        }
        Ok(None)
    }

    fn at<'r>(&self, own: &Prepared<'r>, size: SnappedSize) -> Result<Prepared<'r>, PipelineError> {
        self.planner.at(own, size, |stages| self.homes.place(stages))
    }

    fn larger_sizes(&self, own: &Prepared<'_>) -> Vec<SnappedSize> {
        let denoiser = &own.stages.all[own.stages.denoiser].graph;
        let recorded = self.runtime.recorded_shapes(&own.plan.signature, denoiser);
        larger_sizes(&recorded, own.plan.sizes, self.most_waste)
    }
}

/// The sizes that cover a request and whose denoiser is in the cache, the smallest area first.
/// `recorded` has the shapes of latents, `[batch, channels, height, width]`, that the cache knows.
fn larger_sizes(recorded: &[Vec<u64>], own: Sizes, most_waste: Percent) -> Vec<SnappedSize> {
    let larger = |shape: &Vec<u64>| {
        let &[_, _, height, width] = shape.as_slice() else { return None };
        let padded_size = [width.checked_mul(LATENT_PX)?, height.checked_mul(LATENT_PX)?];
        let wasted_percent = Percent::wasted(area(own.padded), area(padded_size));
        let covers = padded_size[0] >= own.requested[0] && padded_size[1] >= own.requested[1];
        let fits = covers && padded_size != own.padded && wasted_percent <= most_waste;
        fits.then_some(SnappedSize { padded_size, snapped_from: own.padded, wasted_percent })
    };
    let mut larger: Vec<SnappedSize> = recorded.iter().filter_map(larger).collect();
    larger.sort_by_key(|size| (area(size.padded_size), size.padded_size));
    larger
}

fn area([width, height]: [u64; 2]) -> u64 {
    width.saturating_mul(height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_size_that_covers_the_request_is_tried_first() {
        let own =
            Sizes { requested: [500, 300], padded: [512, 320], crop_origin: [0, 0], snapped: None };
        let shape = |width: u64, height: u64| vec![1, 4, height / LATENT_PX, width / LATENT_PX];
        let recorded = [
            shape(1024, 1024),
            shape(512, 512),
            shape(512, 320),
            shape(640, 320),
            shape(320, 1024),
            shape(504, 304),
            vec![1, 77],
            vec![1, 4, u64::MAX, 8],
        ];
        let sizes = |most_waste: &str| -> Vec<[u64; 2]> {
            larger_sizes(&recorded, own, most_waste.parse().unwrap())
                .iter()
                .map(|size| size.padded_size)
                .collect()
        };
        // A size that is smaller than the padded one, but covers the picture itself, comes first.
        assert_eq!(sizes("99"), [[504, 304], [640, 320], [512, 512], [1024, 1024]]);
        assert_eq!(sizes("40"), [[504, 304], [640, 320], [512, 512]]);
        assert_eq!(sizes("20"), [[504, 304], [640, 320]]);
        assert!(larger_sizes(&[], own, "99".parse().unwrap()).is_empty());
    }
}
