//! How is a picture made in two passes, of which the second begins with enlarged latents?
//!
//! Everything that both passes need is made ready before the first one runs, so that a request that
//! cannot be served does no work.

use std::time::Instant;

use preheat_cache::Purpose;

use super::Pipeline;
use crate::models::LATENT_PX;
use crate::pipeline::error::PipelineError;
use crate::pipeline::image::Upscaled;
use crate::pipeline::made::Made;
use crate::pipeline::ready::Asking;
use crate::pipeline::request::TextToImage;
use crate::pipeline::upscale::{EnlargedLatents, LatentUpscale};

impl Pipeline {
    /// Makes the pictures of a request with `upscale_latents`.
    pub(super) fn run_twice(
        &self,
        request: &TextToImage,
        upscale: LatentUpscale,
        force_recompile: bool,
        began: Instant,
    ) -> Result<Made, PipelineError> {
        let first = TextToImage { upscale_latents: None, ..request.clone() };
        // Checked with both passes: the first one alone may be in order.
        let size = request.check(self.planner.sizes(&first)?.requested)?;
        let place = |stages: &_| self.homes.place(stages);
        let first_pass = self.planner.prepare_first(&first, place)?;
        let [width, height] = upscale.enlarged(size, LATENT_PX).map(Some);
        let seed = Some(first_pass.plan.seed);
        let second = TextToImage { width, height, seed, tpu_warmup: None, ..first.clone() };
        let mut second_pass = self.planner.prepare_second(&second, upscale, place)?;
        self.warn_of_dtypes();
        self.admission().check(&second_pass)?;
        if let Some(to_warm) = first.to_warm() {
            self.warm_first(&to_warm, force_recompile)?;
        }
        let asking = Asking { force_recompile, warming: false };
        let padded = second_pass.plan.sizes.padded;
        self.counted(Purpose::Serving, padded, |this| {
            let (larger, ready) =
                this.getting(&first_pass, this.snapping()).ready(&first_pass, asking)?;
            let first_pass = larger.as_ref().unwrap_or(&first_pass);
            let getting = this.getting(&second_pass, this.snapping());
            let (mut larger, ready_again) = getting.ready(&second_pass, asking)?;
            let latents = this.making(first_pass, &ready)?.latents()?.0;
            let enlarged = EnlargedLatents::of(&latents, upscale)?;
            let enlarged = Some((enlarged, Upscaled { from: size, by: upscale }));
            let second_pass = larger.as_mut().unwrap_or(&mut second_pass);
            second_pass.enlarged = enlarged;
            let mut made = this.making(second_pass, &ready_again)?.make(began)?;
            made.stages.splice(..0, ready.reports());
            Ok(made)
        })
    }
}
