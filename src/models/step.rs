//! One denoising step as a graph: guidance, the network, and the scheduler's update.
//!
//! Every scheduler that the pipeline knows is a choice of [`StepScalars`] and of the buffers that go in. With `x` the latents scaled, `m`
//! the network's answer under guidance, and `L` the latents:
//!
//! ```text
//! x      = input_scale * L
//! m      = unconditional + guidance * (conditional - unconditional)
//! output = clamp(output_model * m + output_latents * L, -clip, clip)
//! new    = base * B + latents * L + model * m + outputs[0] * output
//!        + outputs[1] * history_1 + outputs[2] * history_2 + outputs[3] * history_3 + noise * N
//! ```

use preheat_cache::Dtype;

use super::unet::{Added, AddedConfig, UnetConfig, unet};
use crate::graph::{BinaryOp, Builder, GraphError, Type, Value, Verified};

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
    /// Tokens and features of each text encoder's `hidden`. Their features stand side by side in the network's context.
    pub contexts: Vec<[u64; 2]>,
}

/// The numbers that a step is given at run time, as the input `scalars` holds them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepScalars {
    /// What the network is told; it may lie between two steps of training.
    pub timestep: f32,
    /// The cfg scale. Without guidance it is not read.
    pub guidance: f32,
    /// What the latents are multiplied by for the network.
    pub input_scale: f32,
    /// The network's share of `output`.
    pub output_model: f32,
    /// The latents' share of `output`.
    pub output_latents: f32,
    /// `output` is held between this and its negative; infinity lets it pass.
    pub clip: f32,
    /// The share of the input `base` in the new latents.
    pub base: f32,
    /// The latents' share in the new latents.
    pub latents: f32,
    /// The network's own share in the new latents.
    pub model: f32,
    /// The shares of `output`, `history_1`, `history_2` and `history_3` in the new latents.
    pub outputs: [f32; 4],
    /// The share of the input `noise` in the new latents.
    pub noise: f32,
}

impl StepScalars {
    /// Elements of the input `scalars`.
    pub const COUNT: u64 = 16;

    /// The input `scalars`. Its last two elements are spare.
    pub fn to_array(self) -> [f32; 16] {
        let [b0, b1, b2, b3] = self.outputs;
        [
            self.timestep,
            self.guidance,
            self.input_scale,
            self.output_model,
            self.output_latents,
            self.clip,
            self.base,
            self.latents,
            self.model,
            b0,
            b1,
            b2,
            b3,
            self.noise,
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
    outputs: [Value; 4],
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
            outputs: [next()?, next()?, next()?, next()?],
            noise: next()?,
        })
    }
}

/// The graph of a step.
///
/// Inputs, in this order and all f32:
/// - `latents`, `base`, `history_1`, `history_2`, `history_3`, `noise`, each `[batch, in_channels, latent_height, latent_width]`. One whose
///   share is 0 is still multiplied by it, so it must hold finite numbers;
/// - `scalars [16]`: [`StepScalars`];
/// - per text encoder, from 1, `context_1 [1, tokens, features]` and, guided, `negative_context_1`;
/// - where the network has added conditioning, `pooled [1, pooled_size]` and `time_ids [1, 6]` and, guided, `negative_pooled` and
///   `negative_time_ids`.
///
/// Outputs: `latents`, the new ones, in the memory of `base`; and `output`, in the memory of `history_3`.
///
/// # Errors
/// Where the contexts do not make up what the network is conditioned on.
pub fn denoiser(config: &UnetConfig, spec: &DenoiserSpec) -> Result<Verified, GraphError> {
    let mut b = Builder::new("denoiser");
    let picture = Type::new(Dtype::Float32, [spec.batch, config.in_channels, spec.latent_height, spec.latent_width]);
    let [latents, base, history_1, history_2, history_3, noise] =
        ["latents", "base", "history_1", "history_2", "history_3", "noise"].map(|name| b.input(name, picture.clone()));
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
    let [b0, b1, b2, b3] = scalars.outputs;
    let new = sum(
        &mut b,
        &[
            (base, scalars.base),
            (latents, scalars.latents),
            (model, scalars.model),
            (output, b0),
            (history_1, b1),
            (history_2, b2),
            (history_3, b3),
            (noise, scalars.noise),
        ],
    )?;
    b.output_into("latents", new, base);
    b.output_into("output", output, history_3);
    b.finish()
}

/// The contexts side by side, `[n, tokens, features]`: where guided, the negative ones for the first half of the batch.
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

fn added_inputs(b: &mut Builder, spec: &DenoiserSpec, added: AddedConfig) -> Result<Added, GraphError> {
    let mut pair = |prefix: &str| {
        let [pooled, time_ids] = [("pooled", added.pooled_size), ("time_ids", AddedConfig::TIME_IDS)]
            .map(|(name, size)| b.input(format!("{prefix}{name}"), Type::new(Dtype::Float32, [1, size])));
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
