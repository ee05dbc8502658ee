//! What does one denoising step compute?
//!
//! One graph computes guidance, the network, and the scheduler's update. Every scheduler of the
//! pipeline is a choice of [`Coefficients`] and of the buffers that the graph reads. In the
//! formulas, `L` are the latents, `x` the scaled latents that the network reads, `B` the base
//! latents, `h1`, `h2` and `h3` the outputs of earlier calls, the newest first, and `n` the noise.
//! `m` is the network's output; the formula for `m` applies only with guidance:
//!
//! ```text
//! x      = input_scale * L
//! m      = unconditional + guidance * (conditional - unconditional)
//! out    = clamp(output_model * m + output_latents * L, -clip, clip)
//! new    = base * B + latents * L + model * m + output * out
//!          + history[0] * h1 + history[1] * h2 + history[2] * h3 + noise * n
//! ```

use preheat_ir::graph::{BinaryOp, FunctionBuilder, GraphError, Value, Verified};
use preheat_tensor::Dtype;
use preheat_tensor::TensorType;

use super::unet::{Added, AddedConfig, UnetConfig, unet};

/// What shapes the graph of a step besides the network's config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenoiserSpec {
    /// Whether the network also runs on a negative prompt.
    pub guided: bool,
    /// How many pictures are made at once.
    pub batch: u64,
    /// The picture's height in pixels / 8.
    pub latent_height: u64,
    /// The picture's width in pixels / 8.
    pub latent_width: u64,
    /// Tokens and features of each text encoder's `hidden`. The features of all encoders are
    /// concatenated to form the network's context.
    pub contexts: Vec<[u64; 2]>,
}

impl DenoiserSpec {
    /// The same step for prompts of this many chunks, whose tokens stand one after another.
    #[must_use]
    pub fn with_prompt_chunks(mut self, chunks: u64) -> Self {
        for [tokens, _] in &mut self.contexts {
            *tokens = tokens.saturating_mul(chunks);
        }
        self
    }
}

/// The coefficients of one call, as in the formulas at the head of this module. A scheduler chooses
/// them for each call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficients {
    /// The factor by which the latents are multiplied before the network reads them.
    pub input_scale: f32,
    /// The factor of the model's output in `out`.
    pub output_model: f32,
    /// The factor of the latents in `out`.
    pub output_latents: f32,
    /// `out` is clamped to plus and minus this; infinity if nothing is clipped.
    pub clip: f32,
    /// The factor of the base latents in the new latents.
    pub base: f32,
    /// The factor of the latents in the new latents.
    pub latents: f32,
    /// The factor of the model's output in the new latents.
    pub model: f32,
    /// The factor of `out` in the new latents.
    pub output: f32,
    /// The factors of the outputs of earlier calls in the new latents, the newest first.
    pub history: [f32; 3],
    /// The factor of the noise in the new latents.
    pub noise: f32,
}

impl Coefficients {
    /// An update whose result is zero; schedulers set the factors that they need.
    pub(crate) const NONE: Self = Self {
        input_scale: 1.0,
        output_model: 0.0,
        output_latents: 0.0,
        clip: f32::INFINITY,
        base: 0.0,
        latents: 0.0,
        model: 0.0,
        output: 0.0,
        history: [0.0; 3],
        noise: 0.0,
    };

    /// Whether every number except [`clip`](Self::clip) is finite.
    pub(crate) fn are_finite(&self) -> bool {
        [
            self.input_scale,
            self.output_model,
            self.output_latents,
            self.base,
            self.latents,
            self.model,
            self.output,
            self.noise,
        ]
        .iter()
        .chain(&self.history)
        .all(|number| number.is_finite())
    }
}

/// The numbers that a step gets at run time, in its input `scalars`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepScalars {
    /// The timestep that the network is given; it may lie between two timesteps of the training.
    pub timestep: f32,
    /// The cfg scale. An unguided step does not read it.
    pub guidance: f32,
    /// The coefficients of the scheduler's update.
    pub coefficients: Coefficients,
}

impl StepScalars {
    /// How many elements the input `scalars` has.
    pub const COUNT: u64 = 16;

    /// The input `scalars`. Its last two elements are unused.
    pub fn to_array(self) -> [f32; 16] {
        let of = self.coefficients;
        let [h1, h2, h3] = of.history;
        [
            self.timestep,
            self.guidance,
            of.input_scale,
            of.output_model,
            of.output_latents,
            of.clip,
            of.base,
            of.latents,
            of.model,
            of.output,
            h1,
            h2,
            h3,
            of.noise,
            0.0,
            0.0,
        ]
    }
}

/// The elements of `scalars` as scalar values, named as in [`StepScalars`].
struct Scalars {
    timestep: Value,
    guidance: Value,
    input_scale: Value,
    output_model: Value,
    output_latents: Value,
    clip: Value,
    base: Value,
    latents: Value,
    model: Value,
    output: Value,
    history: [Value; 3],
    noise: Value,
}

impl Scalars {
    fn read(b: &mut FunctionBuilder, scalars: Value) -> Result<Self, GraphError> {
        let mut at = 0..StepScalars::COUNT;
        let mut next = || {
            let index = at.next().unwrap_or(StepScalars::COUNT);
            let one = b.slice(scalars, 0, index, index + 1)?;
            b.reshape(one, [])
        };
        Ok(Self {
            timestep: next()?,
            guidance: next()?,
            input_scale: next()?,
            output_model: next()?,
            output_latents: next()?,
            clip: next()?,
            base: next()?,
            latents: next()?,
            model: next()?,
            output: next()?,
            history: [next()?, next()?, next()?],
            noise: next()?,
        })
    }
}

/// The graph of a step.
///
/// Inputs, in this order and all f32:
/// - `latents`, `base`, `history_1`, `history_2`, `history_3`, `noise`, each `[batch, out_channels,
///   latent_height, latent_width]`. A tensor whose factor is 0 is still multiplied by it, so it
///   must hold finite numbers;
/// - `scalars [16]`: [`StepScalars`];
/// - for each text encoder, counted from 1, `context_1 [1, tokens, features]` and, if guided,
///   `negative_context_1`;
/// - if the network has added conditioning, `pooled [1, pooled_size]` and `time_ids [1, 6]` and, if
///   guided, `negative_pooled` and `negative_time_ids`;
/// - if the network was made for inpainting, `mask [1, 1, latent_height, latent_width]`, which is 1
///   where the picture is made anew, and `masked_image_latents`, of the shape of `latents`.
///
/// Outputs: the new `latents`, in the memory of `base`; and `output`, in the memory of `history_3`.
///
/// # Errors
/// If the contexts do not have the features that the network is conditioned on, or the graph cannot
/// be built at that size.
pub fn denoiser(config: &UnetConfig, spec: &DenoiserSpec) -> Result<Verified, GraphError> {
    let mut b = FunctionBuilder::new("denoiser");
    let picture = TensorType::new(
        Dtype::Float32,
        [spec.batch, config.out_channels, spec.latent_height, spec.latent_width],
    );
    let [latents, base, history_1, history_2, history_3, noise] =
        ["latents", "base", "history_1", "history_2", "history_3", "noise"]
            .map(|name| b.input(name, picture.clone()));
    let scalars = b.input("scalars", TensorType::new(Dtype::Float32, [StepScalars::COUNT]));
    let context = contexts(&mut b, spec)?;
    let added = config.added.map(|added| added_inputs(&mut b, spec, added)).transpose()?;
    let masked = config.reads_a_mask().then(|| {
        let mask = [1, 1, spec.latent_height, spec.latent_width];
        let mask = b.input("mask", TensorType::new(Dtype::Float32, mask));
        (mask, b.input("masked_image_latents", picture.clone()))
    });
    let scalars = Scalars::read(&mut b, scalars)?;

    let mut x = b.mul(latents, scalars.input_scale)?;
    if let Some((mask, masked_image)) = masked {
        let of_each = [spec.batch, 1, spec.latent_height, spec.latent_width];
        let mask = b.broadcast(mask, of_each)?;
        x = b.concat([x, mask, masked_image], 1)?;
    }
    if spec.guided {
        x = b.concat([x, x], 0)?;
    }
    let predicted = unet(&mut b, config, x, scalars.timestep, context, added)?;
    let mut model = b.pin(predicted, Dtype::Float32);
    if spec.guided {
        let unconditional = b.slice(model, 0, 0, spec.batch)?;
        let conditional = b.slice(model, 0, spec.batch, 2 * spec.batch)?;
        let difference = b.binary(BinaryOp::Sub, conditional, unconditional)?;
        let difference = b.mul(difference, scalars.guidance)?;
        model = b.add(unconditional, difference)?;
    }

    let output = sum(&mut b, &[(model, scalars.output_model), (latents, scalars.output_latents)])?;
    let lowest = b.scale(scalars.clip, -1.0)?;
    let output = b.binary(BinaryOp::Max, output, lowest)?;
    let output = b.binary(BinaryOp::Min, output, scalars.clip)?;
    let [h1, h2, h3] = scalars.history;
    let new = sum(
        &mut b,
        &[
            (base, scalars.base),
            (latents, scalars.latents),
            (model, scalars.model),
            (output, scalars.output),
            (history_1, h1),
            (history_2, h2),
            (history_3, h3),
            (noise, scalars.noise),
        ],
    )?;
    b.output_into("latents", new, base);
    b.output_into("output", output, history_3);
    b.finish()
}

/// The contexts concatenated, `[n, tokens, features]`; if guided, the negative ones form the first
/// half of the batch.
fn contexts(b: &mut FunctionBuilder, spec: &DenoiserSpec) -> Result<Value, GraphError> {
    let (mut positive, mut negative) = (Vec::new(), Vec::new());
    for (index, &[tokens, features]) in (1..).zip(&spec.contexts) {
        let kind = TensorType::new(Dtype::Float32, [1, tokens, features]);
        positive.push(b.input(format!("context_{index}"), kind.clone()));
        if spec.guided {
            negative.push(b.input(format!("negative_context_{index}"), kind));
        }
    }
    let positive = b.concat(positive, 2)?;
    let negative = if spec.guided { Some(b.concat(negative, 2)?) } else { None };
    for_batch(b, spec, positive, negative)
}

fn added_inputs(
    b: &mut FunctionBuilder,
    spec: &DenoiserSpec,
    added: AddedConfig,
) -> Result<Added, GraphError> {
    let mut pair = |prefix: &str| {
        let [pooled, time_ids] =
            [("pooled", added.pooled_size), ("time_ids", AddedConfig::TIME_IDS)].map(
                |(name, size)| {
                    b.input(format!("{prefix}{name}"), TensorType::new(Dtype::Float32, [1, size]))
                },
            );
        (pooled, time_ids)
    };
    let positive = pair("");
    let negative = spec.guided.then(|| pair("negative_"));
    Ok(Added::Parts {
        text_embeds: for_batch(b, spec, positive.0, negative.map(|pair| pair.0))?,
        time_ids: for_batch(b, spec, positive.1, negative.map(|pair| pair.1))?,
    })
}

/// Repeats tensors, which are given once, for the pictures of the batch; the negative tensor comes
/// first.
fn for_batch(
    b: &mut FunctionBuilder,
    spec: &DenoiserSpec,
    positive: Value,
    negative: Option<Value>,
) -> Result<Value, GraphError> {
    let mut repeat = |x: Value| {
        let mut dims = b.dims(x).to_vec();
        dims[0] = spec.batch;
        if spec.batch == 1 { Ok(x) } else { b.broadcast(x, dims) }
    };
    let positive = repeat(positive)?;
    match negative.map(repeat).transpose()? {
        Some(negative) => b.concat([negative, positive], 0),
        None => Ok(positive),
    }
}

/// The sum of several values, each multiplied by its factor.
fn sum(b: &mut FunctionBuilder, terms: &[(Value, Value)]) -> Result<Value, GraphError> {
    let mut sum = None;
    for &(value, factor) in terms {
        let term = b.mul(value, factor)?;
        sum = Some(match sum {
            Some(sum) => b.add(sum, term)?,
            None => term,
        });
    }
    Ok(sum.unwrap_or_else(|| b.scalar(0.0)))
}

#[cfg(test)]
mod tests;
