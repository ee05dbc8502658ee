//! Which warm size can serve a request whose own padded size is cold?
//!
//! The smallest warm size that covers the request serves it, and the picture is cropped. The noise
//! is drawn at the size that is computed, so the same seed gives another picture than at the
//! request's own size: the top left corner of the picture of the larger size.

use preheat_runtime::{Executable, Lookup, Percent, SnappedSize, Verdict};

use super::checked_request::Prepared;
use super::error::PipelineError;
use super::{Pipeline, stage::Stage};
use crate::models::LATENT_PX;

impl Pipeline {
    /// The request at the smallest size at which every stage is warm, with the executables; `None`
    /// if no such size serves it. `found` has the executables of the request's own size, for the
    /// stages that are warm.
    pub(super) fn snap<'a>(
        &self,
        own: &Prepared<'a>,
        found: &[Option<Executable>],
        most_waste: Percent,
    ) -> Result<Option<(Prepared<'a>, Vec<Executable>)>, PipelineError> {
        for size in self.larger_sizes(own, most_waste) {
            let larger = self.at(own, size)?;
            if let Err(error) = self.check(&larger) {
                tracing::debug!(?size, %error, "a warm size cannot serve");
                continue;
            }
            // A stage whose graph does not depend on the size has been found already.
            let same = |(index, stage): (usize, &Stage)| {
                found.get(index)?.clone().filter(|_| stage.is_as_in(&own.stages.all[index]))
            };
            let kept: Vec<_> = larger.stages.iter().enumerate().map(same).collect();
            let executables =
                self.obtain(&larger, &kept, |request| request.require_warm(true).get());
            let executables = match executables.into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(executables) => executables,
                Err(error) => {
                    tracing::debug!(?size, %error, "a warm size cannot serve");
                    continue;
                }
            };
            let SnappedSize { padded_size: [width, height], snapped_from, wasted_percent } = size;
            let [own_width, own_height] = snapped_from;
            tracing::info!(
                model = self.model_id(),
                "snapped to {width}x{height} px, which is warm: {wasted_percent} of it is wasted on a request of {own_width}x{own_height} px"
            );
            return Ok(Some((larger, executables)));
        }
        let [width, height] = own.plan.sizes.padded;
        tracing::info!(
            "no warm size covers {width}x{height} px with at most {most_waste} of it wasted"
        );
        Ok(None)
    }

    /// The answer of a look-up at a larger size, for a request that is not warm at its own; `None`
    /// if no larger size serves it.
    pub(super) fn look_up_larger(
        &self,
        own: &Prepared<'_>,
        most_waste: Percent,
    ) -> Result<Option<Lookup>, PipelineError> {
        for size in self.larger_sizes(own, most_waste) {
            let answer = self.look_up(&self.at(own, size)?)?;
            if answer.verdict == Verdict::Hit {
                return Ok(Some(Lookup { snapped: Some(size), ..answer }));
            }
        }
        Ok(None)
    }

    /// The sizes that cover the request and whose denoiser is in the cache, the smallest area
    /// first.
    fn larger_sizes(&self, own: &Prepared<'_>, most_waste: Percent) -> Vec<SnappedSize> {
        let sizes = own.plan.sizes;
        let denoiser = &own.stages.all[own.stages.denoiser].graph;
        let recorded = self.runtime.recorded_shapes(&own.plan.signature, denoiser);
        let mut larger: Vec<SnappedSize> = recorded
            .iter()
            .filter_map(|shape| {
                let &[_, _, height, width] = shape.as_slice() else { return None };
                let padded_size = [width.checked_mul(LATENT_PX)?, height.checked_mul(LATENT_PX)?];
                let wasted_percent = Percent::wasted(area(sizes.padded), area(padded_size));
                let covers =
                    padded_size[0] >= sizes.requested[0] && padded_size[1] >= sizes.requested[1];
                let fits = covers && padded_size != sizes.padded && wasted_percent <= most_waste;
                fits.then_some(SnappedSize {
                    padded_size,
                    snapped_from: sizes.padded,
                    wasted_percent,
                })
            })
            .collect();
        larger.sort_by_key(|size| (area(size.padded_size), size.padded_size));
        larger
    }
}

fn area([width, height]: [u64; 2]) -> u64 {
    width.saturating_mul(height)
}
