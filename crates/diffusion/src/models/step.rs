//! One denoising step as a graph: guidance, the network, and the scheduler's update.
//!
//! Every scheduler that the pipeline knows is a choice of [`Coefficients`] and of the buffers that
//! go in. With `x` the latents scaled, `m` the network's answer under guidance, and `L` the
//! latents:
//!
//! ```text
//! x      = input_scale * L
//! m      = unconditional + guidance * (conditional - unconditional)
//! out    = clamp(output_model * m + output_latents * L, -clip, clip)
//! new    = base * B + latents * L + model * m + output * out + history[0] * h1 + history[1] * h2 + history[2] * h3 + noise * n
//! ```

use preheat_ir::graph::{BinaryOp, Builder, GraphError, Type, Value, Verified};
use preheat_tensor::Dtype;

use super::unet::{Added, AddedConfig, UnetConfig, unet};

/// What shapes the graph of a step beside the network's config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenoiserSpec {
    /// Whether the network runs on a negative prompt, too.
    pub guided: bool,
    /// How many pictures.
    pub batch: u64,
    /// Pixels / 8.
    pub latent_height: u64,
    /// Pixels / 8.
    pub latent_width: u64,
    /// Tokens and features of each text encoder's `hidden`. Their features stand side by side in
    /// the network's context.
    pub contexts: Vec<[u64; 2]>,
}

/// The numbers of one call, as in the formula at the head of this module; a scheduler is a choice
/// of these.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficients {
    /// The denoiser is given the latents times this.
    pub input_scale: f32,
    /// `out`'s part of the model's output.
    pub output_model: f32,
    /// `out`'s part of the latents.
    pub output_latents: f32,
    /// `out` is kept within plus and minus this; infinity where nothing is clipped.
    pub clip: f32,
    /// The new latents' part of the base latents.
    pub base: f32,
    /// The new latents' part of the latents.
    pub latents: f32,
    /// The new latents' part of the model's output.
    pub model: f32,
    /// The new latents' part of `out`.
    pub output: f32,
    /// The new latents' parts of the outputs of earlier calls, newest first.
    pub history: [f32; 3],
    /// The new latents' part of the noise.
    pub noise: f32,
}

impl Coefficients {
    /// An update that leaves nothing: what schedulers start from.
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

    /// Whether every number but [`clip`](Self::clip) is finite.
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

/// The numbers that a step is given at run time, as the input `scalars` holds them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepScalars {
    /// What the network is told; it may lie between two steps of training.
    pub timestep: f32,
    /// The cfg scale. Without guidance it is not read.
    pub guidance: f32,
    /// What the scheduler makes of the network's answer.
    pub coefficients: Coefficients,
}

impl StepScalars {
    /// Elements of the input `scalars`.
    pub const COUNT: u64 = 16;

    /// The input `scalars`. Its last two elements are spare.
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

/// The elements of `scalars` as scalars, by the names of [`StepScalars`].
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
    fn read(b: &mut Builder, scalars: Value) -> Result<Self, GraphError> {
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
/// - `latents`, `base`, `history_1`, `history_2`, `history_3`, `noise`, each `[batch, in_channels,
///   latent_height, latent_width]`. One whose share is 0 is still multiplied by it, so it must hold
///   finite numbers;
/// - `scalars [16]`: [`StepScalars`];
/// - per text encoder, from 1, `context_1 [1, tokens, features]` and, guided, `negative_context_1`;
/// - where the network has added conditioning, `pooled [1, pooled_size]` and `time_ids [1, 6]` and,
///   guided, `negative_pooled` and `negative_time_ids`.
///
/// Outputs: `latents`, the new ones, in the memory of `base`; and `output`, in the memory of
/// `history_3`.
///
/// # Errors
/// Where the contexts do not make up what the network is conditioned on.
pub fn denoiser(config: &UnetConfig, spec: &DenoiserSpec) -> Result<Verified, GraphError> {
    let mut b = Builder::new("denoiser");
    let picture = Type::new(
        Dtype::Float32,
        [spec.batch, config.in_channels, spec.latent_height, spec.latent_width],
    );
    let [latents, base, history_1, history_2, history_3, noise] =
        ["latents", "base", "history_1", "history_2", "history_3", "noise"]
            .map(|name| b.input(name, picture.clone()));
    let scalars = b.input("scalars", Type::new(Dtype::Float32, [StepScalars::COUNT]));
    let context = contexts(&mut b, spec)?;
    let added = config.added.map(|added| added_inputs(&mut b, spec, added)).transpose()?;
    let scalars = Scalars::read(&mut b, scalars)?;

    let mut x = b.mul(latents, scalars.input_scale)?;
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

/// The contexts side by side, `[n, tokens, features]`: where guided, the negative ones for the
/// first half of the batch.
fn contexts(b: &mut Builder, spec: &DenoiserSpec) -> Result<Value, GraphError> {
    let (mut positive, mut negative) = (Vec::new(), Vec::new());
    for (index, &[tokens, features]) in (1..).zip(&spec.contexts) {
        let kind = Type::new(Dtype::Float32, [1, tokens, features]);
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
    b: &mut Builder,
    spec: &DenoiserSpec,
    added: AddedConfig,
) -> Result<Added, GraphError> {
    let mut pair = |prefix: &str| {
        let [pooled, time_ids] =
            [("pooled", added.pooled_size), ("time_ids", AddedConfig::TIME_IDS)].map(
                |(name, size)| {
                    b.input(format!("{prefix}{name}"), Type::new(Dtype::Float32, [1, size]))
                },
            );
        (pooled, time_ids)
    };
    let positive = pair("");
    let negative = spec.guided.then(|| pair("negative_"));
    Ok(Added {
        text_embeds: for_batch(b, spec, positive.0, negative.map(|pair| pair.0))?,
        time_ids: for_batch(b, spec, positive.1, negative.map(|pair| pair.1))?,
    })
}

/// What is given once, repeated for each picture; the negative one first.
fn for_batch(
    b: &mut Builder,
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

/// The sum of values, each times its factor.
fn sum(b: &mut Builder, terms: &[(Value, Value)]) -> Result<Value, GraphError> {
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
