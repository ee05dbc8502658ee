//! Do two requests need the same graph? The execution signature is what the user asked to run; its
//! projection is the part of it that shapes a graph.

use preheat_tensor::Dtype;
use serde::{Deserialize, Serialize};

use crate::environment::Difference;
use crate::hash::{Digest, FramedHasher};

/// The version of the list of fields that [`Signature::digest`] covers.
const SIGNATURE_TAG: &str = "preheat-signature-v1";
/// The version of the list of fields that [`ProjectedSignature::digest`] covers.
const PROJECTION_TAG: &str = "preheat-projected-signature-v1";

/// What the user asked to run. The names of the fields are those of preheat's specification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// The model's name: by default, the name of its folder.
    pub model_id: String,
    /// The padded shape of the input; for latents `[batch, 4, height/8, width/8]`.
    pub input_shape: Vec<u64>,
    /// How many pictures are made in one run.
    pub batch_size: u64,
    /// The scale of classifier-free guidance; 1 or less means no guidance.
    pub cfg_scale: f64,
    /// The scheduler's name, such as `euler`.
    pub scheduler: String,
    /// The number of denoising steps.
    pub steps: u64,
    /// The type that the bulk of the graph computes in.
    pub dtype: Dtype,
}

/// The reasons why a signature is not valid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The cfg scale is NaN or infinite.
    #[error("cfg_scale is {0}, which is not a finite number")]
    CfgScale(f64),
    /// The model id is empty, so the signatures of different models would be equal.
    #[error("model_id is empty")]
    ModelId,
    /// The batch size is 0.
    #[error("batch_size is 0; at least 1 is wanted")]
    BatchSize,
}

/// Makes a signature and checks it. The function's name is that of preheat's specification.
///
/// # Errors
/// See [`Signature::validate`].
pub fn create_execution_signature(
    model_id: impl Into<String>,
    input_shape: impl Into<Vec<u64>>,
    batch_size: u64,
    cfg_scale: f64,
    scheduler: impl Into<String>,
    steps: u64,
    dtype: Dtype,
) -> Result<Signature, SignatureError> {
    let (model_id, input_shape, scheduler) =
        (model_id.into(), input_shape.into(), scheduler.into());
    let signature =
        Signature { model_id, input_shape, batch_size, cfg_scale, scheduler, steps, dtype };
    signature.validate()?;
    Ok(signature)
}

impl Signature {
    /// Refuses a cfg scale that is not finite, an empty model id and an empty batch. A shape may
    /// hold zeros: programs can have empty inputs.
    pub fn validate(&self) -> Result<(), SignatureError> {
        if !self.cfg_scale.is_finite() {
            return Err(SignatureError::CfgScale(self.cfg_scale));
        }
        if self.model_id.is_empty() {
            return Err(SignatureError::ModelId);
        }
        if self.batch_size == 0 {
            return Err(SignatureError::BatchSize);
        }
        Ok(())
    }

    /// The digest of every field: two signatures have the same digest exactly if they are equal.
    pub fn digest(&self) -> Digest {
        let mut hasher = FramedHasher::new(SIGNATURE_TAG);
        hasher.text(&self.model_id);
        hasher.list(&self.input_shape, |hasher, side| hasher.integer(*side));
        hasher
            .integer(self.batch_size)
            .float(self.cfg_scale)
            .text(&self.scheduler)
            .integer(self.steps);
        hasher.integer(self.dtype.ordinal()).finish()
    }

    /// Whether the guided graph runs. As in diffusers, a scale of 1 or less means no guidance:
    /// distilled models are run at 0.
    pub fn is_guided(&self) -> bool {
        self.cfg_scale > 1.0
    }

    /// Each field in which `self`, the signature in the store, differs from `want`.
    pub fn differences(&self, want: &Self) -> Vec<Difference> {
        let (have_shape, want_shape) = (&self.input_shape, &want.input_shape);
        [
            Difference::between("model_id", &self.model_id, &want.model_id, String::clone),
            Difference::between("input_shape", have_shape, want_shape, |shape| {
                format!("{shape:?}")
            }),
            Difference::between("batch_size", &self.batch_size, &want.batch_size, u64::to_string),
            Difference::between("cfg_scale", &self.cfg_scale, &want.cfg_scale, f64::to_string),
            Difference::between("scheduler", &self.scheduler, &want.scheduler, String::clone),
            Difference::between("steps", &self.steps, &want.steps, u64::to_string),
            Difference::between("dtype", &self.dtype, &want.dtype, Dtype::to_string),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The differences from `want` that matter to a graph with this projection: cfg scale,
    /// scheduler and steps are left out where the projection makes them equal. The other fields
    /// always stay: a graph that does not take its size or dtype from them takes it from elsewhere,
    /// and differs along with them.
    pub fn differences_of_graph(&self, want: &Self, projection: &Projection) -> Vec<Difference> {
        let (own, other) = (self.project(projection), want.project(projection));
        let matters = |difference: &Difference| match difference.field.as_str() {
            "cfg_scale" => own.cfg != other.cfg,
            "scheduler" => own.scheduler != other.scheduler,
            "steps" => own.steps != other.steps,
            _ => true,
        };
        self.differences(want).into_iter().filter(matters).collect()
    }

    /// The part of this signature that `projection` keeps.
    pub fn project(&self, projection: &Projection) -> ProjectedSignature {
        ProjectedSignature {
            model: match projection.model_id {
                ModelProjection::Exact => ProjectedModel::Id(self.model_id.clone()),
                ModelProjection::Architecture(digest) => ProjectedModel::Architecture(digest),
            },
            input_shape: projection.input_shape.of(&self.input_shape),
            batch_size: projection.batch_size.of(&self.batch_size),
            cfg: match projection.cfg_scale {
                CfgProjection::Exact => ProjectedCfg::Scale(self.cfg_scale),
                CfgProjection::Guided => ProjectedCfg::Guided(self.is_guided()),
                CfgProjection::Dropped => ProjectedCfg::Dropped,
            },
            scheduler: projection.scheduler.of(&self.scheduler),
            steps: projection.steps.of(&self.steps),
            dtype: projection.dtype.of(&self.dtype),
            extra: projection.extra.clone(),
        }
    }
}

/// Whether a field of the signature stays in its projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// The field shapes the graph, or may do so.
    #[default]
    Exact,
    /// The graph is the same for every value of the field.
    Dropped,
}

impl Keep {
    fn of<T: Clone>(self, value: &T) -> Option<T> {
        (self == Self::Exact).then(|| value.clone())
    }
}

/// How much of the model shapes the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ModelProjection {
    /// The model's name: level 1 finds a graph only for the model that it was built for.
    #[default]
    Exact,
    /// The digest of the config fields that the graph reads and of the names and shapes of its
    /// weights.
    Architecture(Digest),
}

/// How much of the cfg scale shapes the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CfgProjection {
    /// The scale is a constant in the graph.
    #[default]
    Exact,
    /// Only whether there is guidance ([`Signature::is_guided`]) shapes the graph.
    Guided,
    /// The cfg scale does not shape the graph, as in a text encoder.
    Dropped,
}

/// Which fields of a signature shape a graph. The code that builds the graph declares them.
///
/// The default drops nothing: if a builder declares nothing, level 1 finds its graphs only by the
/// exact signature.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Projection {
    /// What is kept of `model_id`.
    pub model_id: ModelProjection,
    /// What is kept of `input_shape`.
    pub input_shape: Keep,
    /// What is kept of `batch_size`.
    pub batch_size: Keep,
    /// What is kept of `cfg_scale`.
    pub cfg_scale: CfgProjection,
    /// What is kept of `scheduler`.
    pub scheduler: Keep,
    /// What is kept of `steps`.
    pub steps: Keep,
    /// What is kept of `dtype`.
    pub dtype: Keep,
    /// Facts that shape the graph but are in no field of the signature, such as the precision of
    /// one stage.
    pub extra: String,
}

impl Projection {
    /// Keeps every field.
    pub fn exact() -> Self {
        Self::default()
    }

    /// The projection of a denoising step whose scale, scheduler and steps are runtime inputs. It
    /// keeps the model's architecture, whether there is guidance, and the shape, batch and dtype.
    pub fn step_graph(architecture: Digest) -> Self {
        Self {
            model_id: ModelProjection::Architecture(architecture),
            cfg_scale: CfgProjection::Guided,
            scheduler: Keep::Dropped,
            steps: Keep::Dropped,
            ..Self::default()
        }
    }
}

/// The model in a projected signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectedModel {
    /// The model's name.
    Id(String),
    /// The architecture's digest.
    Architecture(Digest),
}

/// The cfg scale in a projected signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectedCfg {
    /// The exact scale.
    Scale(f64),
    /// Whether there is guidance.
    Guided(bool),
    /// The scale was dropped.
    Dropped,
}

/// The part of a signature that shapes a graph; a field that was dropped is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProjectedSignature {
    /// The model or its architecture.
    pub model: ProjectedModel,
    /// The padded input shape.
    pub input_shape: Option<Vec<u64>>,
    /// The batch.
    pub batch_size: Option<u64>,
    /// What the projection kept of the cfg scale.
    pub cfg: ProjectedCfg,
    /// The scheduler.
    pub scheduler: Option<String>,
    /// The steps.
    pub steps: Option<u64>,
    /// The dtype.
    pub dtype: Option<Dtype>,
    /// Other facts that shape the graph, such as the autocast policy.
    pub extra: String,
}

impl ProjectedSignature {
    /// The digest of every field.
    pub fn digest(&self) -> Digest {
        let mut hasher = FramedHasher::new(PROJECTION_TAG);
        match &self.model {
            ProjectedModel::Id(id) => hasher.integer(0).text(id),
            ProjectedModel::Architecture(digest) => hasher.integer(1).digest(digest),
        };
        hasher.option(self.input_shape.as_deref(), |hasher, shape| {
            hasher.list(shape, |hasher, side| hasher.integer(*side))
        });
        hasher.option(self.batch_size, |hasher, batch| hasher.integer(batch));
        match self.cfg {
            ProjectedCfg::Scale(scale) => hasher.integer(0).float(scale),
            ProjectedCfg::Guided(guided) => hasher.integer(1).boolean(guided),
            ProjectedCfg::Dropped => hasher.integer(2),
        };
        hasher.option(self.scheduler.as_deref(), |hasher, name| hasher.text(name));
        hasher.option(self.steps, |hasher, steps| hasher.integer(steps));
        hasher.option(self.dtype, |hasher, dtype| hasher.integer(dtype.ordinal()));
        hasher.text(&self.extra).finish()
    }
}

/// Why a size cannot be padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// One of the sides is 0.
    #[error("a picture of {width_px}x{height_px} px has no pixels")]
    Zero {
        /// The width asked for.
        width_px: u64,
        /// The height asked for.
        height_px: u64,
    },
    /// The padding multiple is 0, or it is not a multiple of 8, so a side of the latents would not
    /// be a whole number.
    #[error("{0} px is no padding multiple: a multiple of 8 of at least 8 is wanted")]
    Multiple(u64),
    /// The padded side would be longer than [`LARGEST_SIDE_PX`].
    #[error(
        "{side_px} px, rounded up to a multiple of {multiple} px, is more than {LARGEST_SIDE_PX} px, which no picture is longer than"
    )]
    TooLarge {
        /// The side asked for.
        side_px: u64,
        /// The padding multiple.
        multiple: u64,
    },
}

/// The longest side that a picture may have, in pixels, padding included.
pub const LARGEST_SIDE_PX: u64 = 1 << 16;

/// Rounds `[width_px, height_px]` up to multiples of `multiple` px, so that near sizes share their
/// graphs.
///
/// # Errors
/// If a side is 0, if it would be longer than [`LARGEST_SIDE_PX`] with its padding, and if
/// `multiple` is 0 or not a multiple of 8.
pub fn normalize_shape(size_px: [u64; 2], multiple: u64) -> Result<[u64; 2], ShapeError> {
    if multiple == 0 || !multiple.is_multiple_of(8) {
        return Err(ShapeError::Multiple(multiple));
    }
    if size_px.contains(&0) {
        return Err(ShapeError::Zero { width_px: size_px[0], height_px: size_px[1] });
    }
    let round_up = |side_px: u64| {
        let padded =
            side_px.checked_next_multiple_of(multiple).filter(|padded| *padded <= LARGEST_SIDE_PX);
        padded.ok_or(ShapeError::TooLarge { side_px, multiple })
    };
    Ok([round_up(size_px[0])?, round_up(size_px[1])?])
}

/// The latents of a padded `[width_px, height_px]`: `[batch, 4, height/8, width/8]`.
pub fn latent_shape(batch: u64, size_px: [u64; 2]) -> [u64; 4] {
    [batch, 4, size_px[1] / 8, size_px[0] / 8]
}

#[cfg(test)]
mod tests;
