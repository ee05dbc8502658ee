//! Can a request be run at all?
//!
//! If the weights do not fit the graphs, or the pictures do not fit into memory, a request is
//! refused before minutes are spent on compiling it.

use preheat_runtime::device::placement::HOST;

use super::checked_request::Prepared;
use super::error::PipelineError;
use super::home::Homes;
use super::model::Model;
use super::stage::{Stage, Stages};
use crate::weights;

/// Accepts the requests that a model can serve on its devices, and refuses the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admission<'a> {
    pub(super) model: &'a Model,
    pub(super) homes: &'a Homes,
}

/// The least memory that a stage takes, and the free memory of its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Need {
    stage: &'static str,
    activation_bytes: u64,
    weight_bytes: u64,
    free_bytes: u64,
}

impl Need {
    /// The bytes that the device lacks.
    fn lacking(&self) -> u64 {
        self.activation_bytes.saturating_add(self.weight_bytes).saturating_sub(self.free_bytes)
    }

    /// The stage that lacks the most memory, if any stage lacks memory.
    fn unmet(needs: impl IntoIterator<Item = Self>) -> Option<Self> {
        needs.into_iter().max_by_key(Self::lacking).filter(|need| need.lacking() > 0)
    }
}

impl Admission<'_> {
    pub(super) fn check(&self, prepared: &Prepared<'_>) -> Result<(), PipelineError> {
        self.check_weights(&prepared.stages)?;
        self.check_room(prepared)
    }

    /// Checks that the files have the weights that the graphs read, as far as they are not in
    /// memory already.
    pub(super) fn check_weights(&self, stages: &Stages) -> Result<(), PipelineError> {
        let missing =
            stages.iter().filter(|stage| !self.homes.of_stage(stage).resident().has(stage));
        for stage in missing {
            weights::check(self.model.checkpoint(stage.component), &stage.wanted)?;
        }
        Ok(())
    }

    /// Checks that each stage fits into memory on its own. The weights of other stages can be
    /// dropped if there is no room for all. On a device that can offload, the stage's own weights
    /// need not be there as a whole. A request that passes may still be too large, because an
    /// executable needs more than its largest op.
    fn check_room(&self, prepared: &Prepared<'_>) -> Result<(), PipelineError> {
        let tile = Stages::tile_decoder(self.model, &prepared.shape)?;
        let needs = prepared.stages.iter().filter_map(|stage| self.need(stage, tile.as_ref()));
        let Some(need) = Need::unmet(needs) else { return Ok(()) };
        let Need { stage, activation_bytes, weight_bytes, free_bytes } = need;
        Err(PipelineError::NoRoom {
            batch_size: prepared.request.batch_size,
            size: prepared.plan.sizes.padded,
            stage,
            activation_bytes,
            weight_bytes,
            free_bytes,
        })
    }

    /// The need of a stage; `None` if the device's free memory is not known. Through libtorch, a
    /// picture for which the decoder has no room is decoded in tiles, so the decoder needs only the
    /// memory of a tile.
    fn need(&self, stage: &Stage, tile: Option<&Stage>) -> Option<Need> {
        let home = self.homes.of_stage(stage);
        let runtime = &home.runtime;
        let offloads = runtime.torch_device().is_some_and(|device| device.id != HOST);
        let is_there = offloads || home.resident().has(stage);
        let in_tiles = runtime.torch_device().and(tile).filter(|tile| tile.name == stage.name);
        Some(Need {
            stage: stage.name,
            activation_bytes: in_tiles.unwrap_or(stage).least_activation_bytes(),
            weight_bytes: if is_there { 0 } else { stage.weight_bytes() },
            free_bytes: runtime.bytes_that_can_be_had()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_that_lacks_most_is_named_and_one_that_just_fits_is_not() {
        let need = |stage, activation_bytes, weight_bytes| Need {
            stage,
            activation_bytes,
            weight_bytes,
            free_bytes: 10,
        };
        assert_eq!(Need::unmet([need("text_encoder", 4, 6), need("denoiser", 10, 0)]), None);
        let all = [need("text_encoder", 5, 6), need("denoiser", 20, 5), need("vae_decoder", 12, 0)];
        assert_eq!(Need::unmet(all), Some(all[1]));
        assert_eq!(
            Need::unmet([need("denoiser", u64::MAX, u64::MAX)]).map(|n| n.lacking()),
            Some(u64::MAX - 10)
        );
        assert_eq!(Need::unmet([]), None);
    }
}
