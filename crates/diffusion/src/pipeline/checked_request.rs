//! What will a request compute?
//!
//! Before anything is loaded, the request is checked and padded, and its signature, schedule and
//! stages are worked out.

use std::hash::{BuildHasher as _, RandomState};

use preheat_cache::{Signature, create_execution_signature, normalize_shape};
use preheat_runtime::SnappedSize;
use preheat_runtime::device::StageKind;
use preheat_runtime::device::placement::{self, HOST};
use serde::Serialize;

use super::error::PipelineError;
use super::home::Home;
use super::schedulers::{Schedule, SchedulerConfig};
use super::stage::{Dtypes, Form, Shape, Stages};
use super::{Pipeline, TextToImage};
use crate::models::LATENT_PX;
use crate::weights;

/// Sizes in pixels, `[width, height]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sizes {
    /// The size that the request asks for.
    pub requested: [u64; 2],
    /// The size that is computed.
    pub padded: [u64; 2],
    /// Where the picture begins in the computed one.
    pub crop_origin: [u64; 2],
    /// Both sizes, if a warm size larger than the request's own padded size is computed in place of
    /// that one.
    pub snapped: Option<SnappedSize>,
}

/// The result of planning a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The signature that the request is recorded and looked up by.
    pub signature: Signature,
    /// Its sizes.
    pub sizes: Sizes,
    /// The seed of the first picture. If the request has no seed, every plan gets another one.
    pub seed: u64,
}

/// A request before its graphs are built.
pub(super) struct Sketch {
    pub(super) plan: Plan,
    scheduler: SchedulerConfig,
    pub(super) shape: Shape,
}

/// A request that is ready to be run.
pub(super) struct Prepared<'a> {
    pub(super) request: &'a TextToImage,
    pub(super) plan: Plan,
    pub(super) schedule: Schedule,
    /// The parts of the request that shape its graphs.
    pub(super) shape: Shape,
    pub(super) stages: Stages,
    /// Where the weights rest, on devices of libtorch.
    pub(super) placement: Option<placement::Plan>,
}

impl Pipeline {
    pub(super) fn prepare<'a>(
        &self,
        request: &'a TextToImage,
    ) -> Result<Prepared<'a>, PipelineError> {
        let Sketch { plan, scheduler, shape } = self.sketch(request)?;
        let schedule = scheduler.schedule(request.steps)?;
        let stages = Stages::of(&self.model, &shape)?;
        let placement = self.placement(&stages);
        Ok(Prepared { request, plan, schedule, shape, stages, placement })
    }

    /// The size that a request asks for and the size that is computed for it, in pixels, `[width,
    /// height]`.
    ///
    /// # Errors
    /// Where the model cannot serve the request.
    pub fn sizes(&self, request: &TextToImage) -> Result<Sizes, PipelineError> {
        let [own_height, own_width] = self.model.folder.default_size_px();
        let requested = request.check([own_width, own_height])?;
        self.check_clip_skip(request.clip_skip)?;
        let padded = normalize_shape(requested, self.settings.padding_multiple_px)
            .map_err(preheat_runtime::Error::from)?;
        Ok(Sizes { requested, padded, crop_origin: [0, 0], snapped: None })
    }

    pub(super) fn sketch(&self, request: &TextToImage) -> Result<Sketch, PipelineError> {
        let folder = &self.model.folder;
        let sizes = self.sizes(request)?;
        let padded = sizes.padded;
        let scheduler = match &request.scheduler {
            Some(name) => self.model.scheduler.with_name(name.parse()?),
            None => self.model.scheduler.clone(),
        };
        let dtypes = self.dtypes();
        let latent_sides = [padded[1] / LATENT_PX, padded[0] / LATENT_PX];
        let signature = create_execution_signature(
            folder.id(),
            self.input_shape(request, latent_sides),
            request.batch_size,
            request.cfg_scale,
            scheduler.name()?.to_string(),
            request.steps,
            dtypes.denoiser.dtype,
        )
        .map_err(preheat_runtime::Error::from)?;
        let shape = Shape {
            guided: signature.is_guided(),
            batch: request.batch_size,
            latent_sides,
            clip_skip: request.clip_skip,
            dtypes,
            negative_is_zeros: self.model.is_xl()
                && folder.force_zeros_for_empty_prompt()
                && request.negative_prompt.is_none(),
            form: Form::of(&self.runtime),
        };
        let seed = request.seed.unwrap_or_else(any_seed);
        Ok(Sketch { plan: Plan { signature, sizes, seed }, scheduler, shape })
    }

    /// The same request at another size than its own.
    pub(super) fn at<'a>(
        &self,
        own: &Prepared<'a>,
        size: SnappedSize,
    ) -> Result<Prepared<'a>, PipelineError> {
        let latent_sides = [size.padded_size[1] / LATENT_PX, size.padded_size[0] / LATENT_PX];
        let shape = Shape { latent_sides, ..own.shape.clone() };
        let mut plan = own.plan.clone();
        plan.signature.input_shape = self.input_shape(own.request, latent_sides);
        plan.sizes = Sizes { padded: size.padded_size, snapped: Some(size), ..plan.sizes };
        let stages = Stages::of(&self.model, &shape)?;
        let placement = self.placement(&stages);
        Ok(Prepared {
            request: own.request,
            plan,
            schedule: own.schedule.clone(),
            stages,
            shape,
            placement,
        })
    }

    fn input_shape(&self, request: &TextToImage, [height, width]: [u64; 2]) -> Vec<u64> {
        vec![request.batch_size, self.model.folder.latent_channels(), height, width]
    }

    fn check_clip_skip(&self, clip_skip: u64) -> Result<(), PipelineError> {
        let layers =
            self.model.folder.text_encoders().iter().map(|config| config.layers).min().unwrap_or(0);
        // Every model may skip all blocks and keep the embeddings. Stable Diffusion XL leaves out
        // its last block already with a clip skip of 0, so it can skip one block fewer.
        let most = layers.saturating_sub(u64::from(self.model.is_xl()));
        if clip_skip <= most {
            return Ok(());
        }
        Err(PipelineError::request(
            "clip_skip",
            clip_skip,
            format!("this model's text encoder can skip {most} at most"),
        ))
    }

    fn dtypes(&self) -> Dtypes {
        let of = |stage| {
            let decided =
                self.settings.precisions.of(stage, self.runtime.for_stage(stage).arithmetic());
            if let Some(warning) = &decided.warning {
                self.runtime.warn(warning.clone());
            }
            decided
        };
        Dtypes {
            text_encoder: of(StageKind::TextEncoder),
            denoiser: of(StageKind::Denoiser),
            vae: of(StageKind::Vae { force_upcast: self.model.folder.vae().force_upcast }),
        }
    }

    /// Refuses a request that cannot be run before minutes are spent on compiling it: where the
    /// weights do not fit the graphs, or the pictures do not fit into memory.
    pub(super) fn check(&self, prepared: &Prepared<'_>) -> Result<(), PipelineError> {
        self.check_weights(&prepared.stages)?;
        self.check_room(prepared)
    }

    pub(super) fn check_weights(&self, stages: &Stages) -> Result<(), PipelineError> {
        let missing = stages.iter().filter(|stage| !self.home(stage).resident.has(stage));
        for stage in missing {
            weights::check(self.model.checkpoint(stage.component), &stage.wanted)?;
        }
        Ok(())
    }

    /// Checks that each stage fits into memory on its own. The weights of other stages can be
    /// dropped if there is no room for all, and where a device offloads, the stage's own weights
    /// need not be there as a whole. A request that passes may still be too large, because an
    /// executable needs more than its largest op.
    fn check_room(&self, prepared: &Prepared<'_>) -> Result<(), PipelineError> {
        // Through libtorch, a picture for which the decoder has no room is decoded in tiles, so the
        // decoder needs no more memory than that of a tile.
        let tile = self.tile_decoder(&prepared.shape)?;
        let needs = prepared.stages.iter().filter_map(|stage| {
            let Home { runtime, resident, .. } = self.home(stage);
            let offloads = runtime.torch_device().is_some_and(|device| device.id != HOST);
            let weight_bytes =
                if offloads || resident.has(stage) { 0 } else { stage.weight_bytes() };
            let in_tiles =
                runtime.torch_device().and(tile.as_ref()).filter(|tile| tile.name == stage.name);
            let activation_bytes = in_tiles.unwrap_or(stage).least_activation_bytes();
            Some((activation_bytes, weight_bytes, stage.name, runtime.bytes_that_can_be_had()?))
        });
        let lacking = |(activations, weights, _, free): &(u64, u64, _, u64)| {
            activations.saturating_add(*weights).saturating_sub(*free)
        };
        let Some(largest) = needs.max_by_key(lacking).filter(|largest| lacking(largest) > 0) else {
            return Ok(());
        };
        let (activation_bytes, weight_bytes, stage, free_bytes) = largest;
        let (batch_size, size) = (prepared.request.batch_size, prepared.plan.sizes.padded);
        Err(PipelineError::NoRoom {
            batch_size,
            size,
            stage,
            activation_bytes,
            weight_bytes,
            free_bytes,
        })
    }
}

/// A seed for a request without one, small enough to be typed again.
fn any_seed() -> u64 {
    u64::from(u32::try_from(RandomState::new().hash_one(std::process::id()) >> 32).unwrap_or(0))
}
