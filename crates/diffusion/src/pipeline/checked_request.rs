//! What will a request compute?
//!
//! Before anything is loaded, the request is checked and padded, and its signature, schedule and
//! stages are worked out. This needs a model, settings and a few facts about the devices, but no
//! device. `room.rs` checks whether the request fits into a device's memory.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use preheat_cache::{Signature, create_execution_signature, normalize_shape};
use preheat_io::printable::beginning;
use preheat_runtime::device::placement;
use preheat_runtime::device::{Arithmetic, Precisions, StageKind};
use preheat_runtime::{Runtime, SnappedSize};
use serde::Serialize;

use super::error::PipelineError;
use super::given_picture::GivenPicture;
use super::image::Upscaled;
use super::model::Model;
use super::read_prompts;
use super::request::TextToImage;
use super::schedulers::{Schedule, SchedulerConfig, SchedulerError};
use super::stage::{Dtypes, Form, Shape, Stages};
use super::upscale::{EnlargedLatents, LatentUpscale};
use crate::lora::Adapters;
use crate::models::{Component, LATENT_PX};

/// Sizes in pixels, `[width, height]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sizes {
    /// The size that the request asks for.
    pub requested: [u64; 2],
    /// The size that is computed.
    pub padded: [u64; 2],
    /// The corner at which the picture begins in the computed picture, `[x, y]`.
    pub crop_origin: [u64; 2],
    /// Both sizes, if a larger warm size is computed in place of the request's own padded size.
    pub snapped: Option<SnappedSize>,
}

/// The result of planning a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The signature under which the request is recorded and looked up.
    pub signature: Signature,
    /// Its sizes.
    pub sizes: Sizes,
    /// How many chunks of tokens the denoiser reads of each prompt.
    pub prompt_chunks: u64,
    /// The seed of the first picture. If the request has no seed, each plan gets a new random one.
    pub seed: u64,
    /// How the run begins with a picture; `None` if it begins with noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_picture: Option<PlannedPicture>,
}

/// How a run begins with a picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PlannedPicture {
    /// How much of the picture is made anew: above 0 and up to 1.
    pub strength: f64,
    /// The step with which the run begins, counted from 0. Those before it are not made.
    pub first_step: u64,
}

/// A request before its graphs are built.
pub(super) struct Sketch {
    pub(super) plan: Plan,
    scheduler: SchedulerConfig,
    pub(super) shape: Shape,
}

/// A request whose schedule and stages are known. Nothing is loaded for it yet.
pub(super) struct Prepared<'a> {
    pub(super) request: &'a TextToImage,
    pub(super) plan: Plan,
    pub(super) schedule: Schedule,
    /// The picture that the run begins with.
    pub(super) given_picture: Option<GivenPicture>,
    /// The latents of a first pass, enlarged, if the run begins with them, and how that was done.
    pub(super) enlarged: Option<(EnlargedLatents, Upscaled)>,
    /// The parts of the request that shape its graphs.
    pub(super) shape: Shape,
    pub(super) stages: Stages,
    /// The LoRAs that change the weights of the stages.
    pub(super) adapters: Adapters,
    /// Where the weights are kept, on devices of libtorch.
    pub(super) placement: Option<placement::PlacementPlan>,
}

/// The facts about the devices of a pipeline that shape its graphs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine {
    /// The form in which the devices take graphs.
    pub(super) form: Form,
    pub(super) text_encoder: Arithmetic,
    pub(super) denoiser: Arithmetic,
    pub(super) vae: Arithmetic,
}

impl Machine {
    /// The facts about the devices of a runtime.
    pub(super) fn of(runtime: &Runtime) -> Self {
        let of = |stage| runtime.for_stage(stage).arithmetic();
        Self {
            form: Form::of(runtime),
            text_encoder: of(StageKind::TextEncoder),
            denoiser: of(StageKind::Denoiser),
            vae: of(StageKind::Vae { force_upcast: false }),
        }
    }

    fn of_stage(self, stage: StageKind) -> Arithmetic {
        match stage {
            StageKind::TextEncoder => self.text_encoder,
            StageKind::Denoiser => self.denoiser,
            StageKind::Vae { .. } => self.vae,
        }
    }
}

/// Works out what requests compute, for one model on one machine.
#[derive(Debug)]
pub(super) struct RequestPlanner {
    pub(super) model: Arc<Model>,
    /// The multiple that sizes are rounded up to.
    pub(super) padding_multiple_px: u64,
    pub(super) precisions: Precisions,
    pub(super) machine: Machine,
}

impl RequestPlanner {
    /// Prepares a request: its plan, schedule, stages and LoRAs. `place` decides where the weights
    /// of its stages are kept.
    pub(super) fn prepare<'a>(
        &self,
        request: &'a TextToImage,
        place: impl FnOnce(&Stages) -> Option<placement::PlacementPlan>,
    ) -> Result<Prepared<'a>, PipelineError> {
        let sketch = self.sketch(request)?;
        self.with_stages(request, sketch, place)
    }

    /// Prepares the first pass of a request with `upscale_latents`, which is not decoded.
    pub(super) fn prepare_first<'a>(
        &self,
        request: &'a TextToImage,
        place: impl FnOnce(&Stages) -> Option<placement::PlacementPlan>,
    ) -> Result<Prepared<'a>, PipelineError> {
        let mut sketch = self.sketch(request)?;
        sketch.shape.decodes = false;
        self.with_stages(request, sketch, place)
    }

    /// Prepares the second pass of a request with `upscale_latents`. Its latents are not there yet.
    pub(super) fn prepare_second<'a>(
        &self,
        request: &'a TextToImage,
        upscale: LatentUpscale,
        place: impl FnOnce(&Stages) -> Option<placement::PlacementPlan>,
    ) -> Result<Prepared<'a>, PipelineError> {
        let planned = || planned_from(upscale.strength, request.steps_taken()).map(Some);
        let sketch = self.sketch_from(request, planned)?;
        self.with_stages(request, sketch, place)
    }

    fn with_stages<'a>(
        &self,
        request: &'a TextToImage,
        Sketch { plan, scheduler, shape }: Sketch,
        place: impl FnOnce(&Stages) -> Option<placement::PlacementPlan>,
    ) -> Result<Prepared<'a>, PipelineError> {
        let given_picture = GivenPicture::of(request, plan.sizes.requested)?;
        let schedule = scheduler.schedule(request.steps_taken())?;
        let adapters = self.model.adapters(&request.loras)?;
        let stages = Stages::of(&self.model, &shape)?.with(&adapters);
        let placement = place(&stages);
        Ok(Prepared {
            request,
            plan,
            schedule,
            given_picture,
            enlarged: None,
            shape,
            stages,
            adapters,
            placement,
        })
    }

    /// The size that a request asks for and the size that is computed for it.
    pub(super) fn sizes(&self, request: &TextToImage) -> Result<Sizes, PipelineError> {
        let [own_height, own_width] = self.model.folder.default_size_px();
        let own = GivenPicture::size(request)?.unwrap_or([own_width, own_height]);
        let requested = request.check(own)?;
        self.check_picture(request)?;
        check_passes(request, requested)?;
        self.check_clip_skip(request.clip_skip)?;
        self.check_second_prompts(request)?;
        let padded = normalize_shape(requested, self.padding_multiple_px)
            .map_err(preheat_runtime::Error::from)?;
        Ok(Sizes { requested, padded, crop_origin: [0, 0], snapped: None })
    }

    pub(super) fn sketch(&self, request: &TextToImage) -> Result<Sketch, PipelineError> {
        self.sketch_from(request, || planned_picture(request))
    }

    fn sketch_from(
        &self,
        request: &TextToImage,
        from_picture: impl FnOnce() -> Result<Option<PlannedPicture>, PipelineError>,
    ) -> Result<Sketch, PipelineError> {
        let folder = &self.model.folder;
        let sizes = self.sizes(request)?;
        let padded = sizes.padded;
        let scheduler = match &request.scheduler {
            Some(name) => {
                self.model.scheduler.with_name(name.parse().map_err(SchedulerError::from)?)
            }
            None => self.model.scheduler.clone(),
        }
        .with_eta(request.eta);
        let scheduler = match (request.timesteps.as_slice(), request.sigmas.as_slice()) {
            ([], []) => scheduler,
            ([], sigmas) => scheduler.with_sigmas(sigmas),
            (timesteps, _) => scheduler.with_timesteps(timesteps),
        };
        let from_picture = from_picture()?;
        let scheduler = match from_picture {
            Some(PlannedPicture { first_step, .. }) => {
                let keeps_a_part = request.mask.is_some() && !folder.reads_a_mask();
                scheduler.from_picture(first_step, keeps_a_part)
            }
            None => scheduler,
        };
        let dtypes = self.dtypes();
        let latent_sides = [padded[1] / LATENT_PX, padded[0] / LATENT_PX];
        let signature = create_execution_signature(
            folder.id(),
            self.input_shape(request, latent_sides),
            request.batch_size,
            request.cfg_scale,
            scheduler.name()?.to_string(),
            request.steps_taken(),
            dtypes.denoiser.dtype,
        )
        .map_err(preheat_runtime::Error::from)?;
        let negative_is_zeros = self.model.is_xl()
            && folder.force_zeros_for_empty_prompt()
            && request.negative_prompt.is_none();
        let reads_negative = signature.is_guided() && !negative_is_zeros;
        let prompt_chunks = read_prompts::chunks(request, reads_negative, &self.model)?;
        let shape = Shape {
            guided: signature.is_guided(),
            batch: request.batch_size,
            latent_sides,
            clip_skip: request.clip_skip,
            dtypes,
            negative_is_zeros,
            prompt_chunks,
            begins_with_a_picture: request.begins_with_a_picture() || folder.reads_a_mask(),
            decodes: true,
            form: self.machine.form,
        };
        let seed = request.seed.unwrap_or_else(any_seed);
        let plan = Plan { signature, sizes, prompt_chunks, seed, from_picture };
        Ok(Sketch { plan, scheduler, shape })
    }

    /// The same request at another size than its own.
    pub(super) fn at<'a>(
        &self,
        own: &Prepared<'a>,
        size: SnappedSize,
        place: impl FnOnce(&Stages) -> Option<placement::PlacementPlan>,
    ) -> Result<Prepared<'a>, PipelineError> {
        let latent_sides = [size.padded_size[1] / LATENT_PX, size.padded_size[0] / LATENT_PX];
        let shape = Shape { latent_sides, ..own.shape.clone() };
        let mut plan = own.plan.clone();
        plan.signature.input_shape = self.input_shape(own.request, latent_sides);
        plan.sizes = Sizes { padded: size.padded_size, snapped: Some(size), ..plan.sizes };
        let adapters = own.adapters.clone();
        let stages = Stages::of(&self.model, &shape)?.with(&adapters);
        let placement = place(&stages);
        Ok(Prepared {
            request: own.request,
            plan,
            schedule: own.schedule.clone(),
            given_picture: own.given_picture.clone(),
            enlarged: own.enlarged.clone(),
            stages,
            shape,
            adapters,
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
            format!("this model's text encoder can skip at most {most} layers"),
        ))
    }

    /// Refuses a request that begins with a picture if the model has no encoder for it, and one
    /// that does not if the model is made for inpainting.
    fn check_picture(&self, request: &TextToImage) -> Result<(), PipelineError> {
        let folder = &self.model.folder;
        if folder.reads_a_mask() {
            let missing = [("image", request.image.is_none()), ("mask", request.mask.is_none())];
            let missing = missing.into_iter().find(|(_, is_missing)| *is_missing);
            // A warmup and a look-up need no picture.
            if let Some((field, _)) = missing.filter(|_| !request.image_to_image) {
                let why = "this model is made for inpainting: give an image and a mask, or \
                           warm it for image to image"
                    .to_owned();
                return Err(PipelineError::request(field, "missing", why));
            }
        }
        if !request.begins_with_a_picture() {
            return Ok(());
        }
        folder
            .vae_encoder()
            .map_err(|error| PipelineError::NoEncoder { why: error.to_string() })?;
        let vae = self.model.checkpoint(Component::Vae);
        if vae.names_and_shapes().any(|(name, _)| name.starts_with("encoder.")) {
            return Ok(());
        }
        let why = format!(
            "the VAE of {} has weights of its decoder only; take one that has an encoder, too",
            folder.id()
        );
        Err(PipelineError::NoEncoder { why })
    }

    fn check_second_prompts(&self, request: &TextToImage) -> Result<(), PipelineError> {
        let second =
            [("prompt_2", &request.prompt_2), ("negative_prompt_2", &request.negative_prompt_2)];
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let given = second.into_iter().find_map(|(field, text)| Some((field, given(text)?)));
        match given.filter(|_| !self.model.is_xl()) {
            Some((field, text)) => Err(PipelineError::request(
                field,
                format!("{:?}", beginning(&text, MOST_SHOWN)),
                "this model has one text encoder, which reads one prompt".to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// The dtypes of the stages, which are the same for all requests.
    pub(super) fn dtypes(&self) -> Dtypes {
        let of = |stage| self.precisions.of(stage, self.machine.of_stage(stage));
        Dtypes {
            text_encoder: of(StageKind::TextEncoder),
            denoiser: of(StageKind::Denoiser),
            vae: of(StageKind::Vae { force_upcast: self.model.folder.vae().force_upcast }),
        }
    }
}

/// Refuses a request with two passes where one is asked for: a run takes them apart before.
fn check_passes(request: &TextToImage, size: [u64; 2]) -> Result<(), PipelineError> {
    let Some(upscale) = request.upscale_latents else { return Ok(()) };
    let ([width, height], [new_width, new_height]) = (size, upscale.enlarged(size, LATENT_PX));
    let why = format!(
        "this is for one size: name {width}x{height} px and {new_width}x{new_height} px, one \
         after the other"
    );
    Err(PipelineError::request("upscale_latents", upscale.factor, why))
}

/// How a request begins with a picture, if it does.
fn planned_picture(request: &TextToImage) -> Result<Option<PlannedPicture>, PipelineError> {
    if request.image.is_none() {
        return Ok(None);
    }
    planned_from(request.strength_taken(), request.steps_taken()).map(Some)
}

/// The step with which a run of this strength begins: `get_timesteps` of diffusers' pipelines.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "truncated as in Python; a strength is from 0 to 1"
)]
fn planned_from(strength: f64, steps: u64) -> Result<PlannedPicture, PipelineError> {
    let made = ((steps as f64 * strength) as u64).min(steps);
    if made > 0 {
        return Ok(PlannedPicture { strength, first_step: steps - made });
    }
    let why = format!("it leaves none of the {steps} steps: take a higher one, or more steps");
    Err(PipelineError::request("strength", strength, why))
}

/// How many characters of a prompt an error shows.
const MOST_SHOWN: usize = 40;

/// A seed for a request without one, small enough to be typed again.
fn any_seed() -> u64 {
    u64::from(u32::try_from(RandomState::new().hash_one(std::process::id()) >> 32).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use preheat_runtime::Percent;
    use preheat_tensor::Dtype;

    use super::*;
    use crate::pipeline::stage::Stage;
    use crate::pipeline::test_model;

    fn of_size(width: u64, height: u64) -> TextToImage {
        TextToImage { width: Some(width), height: Some(height), ..TextToImage::new("seven") }
    }

    #[test]
    fn sizes_are_rounded_up_and_shape_the_latents_with_the_height_first() {
        let request = TextToImage { batch_size: 3, ..of_size(100, 40) };
        let planner = test_model::planner(64);
        let Sketch { plan, shape, .. } = planner.sketch(&request).unwrap();
        assert_eq!((plan.sizes.requested, plan.sizes.padded), ([100, 40], [128, 64]));
        assert_eq!((plan.sizes.crop_origin, plan.sizes.snapped), ([0, 0], None));
        assert_eq!(shape.latent_sides, [8, 16]);
        let channels = planner.model.folder.latent_channels();
        assert_eq!(plan.signature.input_shape, [3, channels, 8, 16]);
        let exact = test_model::planner(8).sketch(&request).unwrap();
        assert_eq!(exact.plan.sizes.padded, [104, 40]);
    }

    #[test]
    fn the_signature_says_what_runs_and_not_what_the_picture_shows() {
        let planner = test_model::planner(64);
        let signature = |request: &TextToImage| planner.sketch(request).unwrap().plan.signature;
        let request = TextToImage { seed: Some(1), ..of_size(64, 64) };
        let other = TextToImage { prompt: "eight".to_owned(), seed: Some(2), ..request.clone() };
        assert_eq!(signature(&request), signature(&other));
        assert_eq!(signature(&request).dtype, Dtype::Float32, "on the CPU");
        let unguided = TextToImage { cfg_scale: 1.0, ..request };
        assert!(!planner.sketch(&unguided).unwrap().shape.guided);
    }

    #[test]
    fn the_number_of_chunks_shapes_only_the_denoiser() {
        let planner = test_model::planner(8);
        let stages = |prompt_chunks| {
            let request = TextToImage { prompt_chunks, ..of_size(32, 32) };
            let prepared = planner.prepare(&request, |_| None).unwrap();
            let stages = prepared.stages.iter();
            let projected = stages.map(|stage| {
                prepared.plan.signature.project(stage.graph.declared_projection()).digest()
            });
            projected.collect::<Vec<_>>()
        };
        let extra = |prompt_chunks| {
            let request = TextToImage { prompt_chunks, ..of_size(32, 32) };
            let prepared = planner.prepare(&request, |_| None).unwrap();
            let denoiser = &prepared.stages.all[prepared.stages.denoiser].graph;
            denoiser.declared_projection().extra.clone()
        };
        // Earlier releases wrote this text into the keys of the denoiser, which must stay.
        assert_eq!(extra(None), "contexts [[77, 64]]");
        assert_eq!(extra(Some(2)), "contexts [[154, 64]]");
        assert_eq!(stages(None), stages(Some(1)));
        let (one, two) = (stages(None), stages(Some(2)));
        let same: Vec<bool> = one.iter().zip(&two).map(|(one, two)| one == two).collect();
        assert_eq!(same, [true, false, true]);
    }

    #[test]
    fn a_seed_is_kept_and_a_missing_one_is_drawn_anew() {
        let planner = test_model::planner(64);
        let seed = |seed| {
            let request = TextToImage { seed, ..of_size(64, 64) };
            planner.sketch(&request).unwrap().plan.seed
        };
        assert_eq!(seed(Some(u64::MAX)), u64::MAX);
        let drawn: std::collections::HashSet<u64> = (0..8).map(|_| seed(None)).collect();
        assert!(drawn.len() > 1 && drawn.iter().all(|&seed| u32::try_from(seed).is_ok()));
    }

    #[test]
    fn what_this_model_cannot_do_is_refused_by_name() {
        let planner = test_model::planner(64);
        let refused =
            |request: TextToImage| planner.sketch(&request).err().map(|error| error.to_string());
        let clip_skip = refused(TextToImage { clip_skip: 99, ..of_size(64, 64) }).unwrap();
        assert!(clip_skip.contains("clip_skip is 99: this model's text encoder can skip"));
        assert!(refused(of_size(0, 64)).unwrap().contains("width is 0"));
        let prompt_2 = Some("a fox".to_owned());
        assert_eq!(
            refused(TextToImage { prompt_2, ..of_size(64, 64) }).unwrap(),
            "prompt_2 is \"a fox\": this model has one text encoder, which reads one prompt"
        );
        let many = refused(TextToImage { prompt_chunks: Some(65), ..of_size(64, 64) }).unwrap();
        assert_eq!(many, "prompt_chunks is 65: a prompt has from 1 to 64 chunks");
        let scheduler = Some("no such".to_owned());
        assert!(refused(TextToImage { scheduler, ..of_size(64, 64) }).is_some());
        assert_eq!(refused(of_size(64, 64)), None);
    }

    #[test]
    fn a_picture_brings_its_size_and_its_stages_and_changes_no_other() {
        let planner = test_model::planner(8);
        let images = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/images");
        let image = Some(format!("{images}/photo.png").into());
        let mask = Some(format!("{images}/mask.png").into());
        let stages = |request: &TextToImage| {
            let prepared = planner.prepare(request, |_| None).unwrap();
            let project = |stage: &Stage| {
                let digest = prepared.plan.signature.project(stage.graph.declared_projection());
                (stage.name, digest.digest())
            };
            prepared.stages.iter().map(project).collect::<Vec<_>>()
        };
        let plain = stages(&of_size(72, 88));
        let begun = TextToImage { image, ..TextToImage::new("seven") };
        let repainted = TextToImage { mask, ..begun.clone() };
        let warmed = TextToImage { image_to_image: true, ..of_size(72, 88) };
        let names = |stages: &[(&'static str, _)]| -> Vec<&str> {
            stages.iter().map(|(name, _)| *name).collect()
        };
        let all = ["text_encoder", "vae_encoder", "latent_blend", "denoiser", "vae_decoder"];
        assert_eq!(names(&plain), [all[0], all[3], all[4]]);
        assert_eq!(names(&stages(&repainted)), all);
        assert_eq!([stages(&begun), stages(&warmed)], [stages(&repainted), stages(&repainted)]);
        let without =
            stages(&repainted).into_iter().filter(|(name, _)| names(&plain).contains(name));
        assert_eq!(without.collect::<Vec<_>>(), plain);
    }

    #[test]
    fn a_strength_leaves_out_the_first_steps() {
        let image = Some("photo.png".into());
        let first = |steps, strength| {
            let request =
                TextToImage { image: image.clone(), steps, strength, ..TextToImage::new("seven") };
            let planned = planned_picture(&request).map_err(|error| error.to_string())?;
            Ok::<_, String>(planned.map(|one| (one.strength, one.first_step)).unwrap())
        };
        assert_eq!(first(20, None), Ok((0.8, 4)));
        assert_eq!(first(20, Some(1.0)), Ok((1.0, 0)));
        assert_eq!(first(7, Some(0.6)), Ok((0.6, 3)));
        // 0.29 * 100 is 28.999999999999996, and Python truncates it.
        assert_eq!(first(100, Some(0.29)), Ok((0.29, 72)));
        let none =
            "strength is 0.04: it leaves none of the 20 steps: take a higher one, or more steps";
        assert_eq!(first(20, Some(0.04)), Err(none.to_owned()));
        assert_eq!(planned_picture(&TextToImage::new("seven")).unwrap(), None);
    }

    #[test]
    fn at_a_larger_size_only_the_size_is_another() {
        let planner = test_model::planner(8);
        let request = TextToImage { seed: Some(1), ..of_size(32, 32) };
        let own = planner.prepare(&request, |_| None).unwrap();
        let wasted_percent = Percent::wasted(1, 2);
        let size = SnappedSize { padded_size: [64, 32], snapped_from: [32, 32], wasted_percent };
        let larger = planner.at(&own, size, |_| None).unwrap();
        let sizes = larger.plan.sizes;
        assert_eq!(
            (sizes.requested, sizes.padded, sizes.snapped),
            ([32, 32], [64, 32], Some(size))
        );
        assert_eq!((larger.plan.seed, larger.shape.latent_sides), (1, [4, 8]));
        let as_before: Vec<bool> = larger
            .stages
            .iter()
            .zip(own.stages.iter())
            .map(|(larger, own)| larger.is_as_in(own))
            .collect();
        assert_eq!(as_before, [true, false, false], "a prompt has no size");
    }
}
