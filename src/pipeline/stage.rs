//! The stages of a model that a request runs: for each its graph, what shapes it, and the weights it reads.

use std::ops::Range;
use std::sync::Arc;

use preheat_cache::{CfgProjection, Digest, Dtype, Keep, ModelProjection, Program, ProgramFormat, Projection};

use super::error::PipelineError;
use super::model::{Model, Tokenizers};
use crate::graph::{Verified, autocast};
use crate::lower::{self, Target};
use crate::models::{Component, TextOutputs, aliases, builder_id, denoiser, text_encoder, vae_decoder};
use crate::runtime::Graph;
use crate::weights::Wanted;

/// One stage, ready to be asked for.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) component: Component,
    /// What it computes in.
    pub(super) dtype: Dtype,
    /// What the runtime is asked for. Its StableHLO is written only where no earlier request led to an executable.
    pub(super) graph: Graph,
    pub(super) function: Arc<Verified>,
    /// The weights in the order in which the graph takes them, after its inputs.
    pub(super) wanted: Arc<[Wanted]>,
}

/// The dtypes of the stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dtypes {
    pub(super) text_encoder: Dtype,
    pub(super) denoiser: Dtype,
    pub(super) vae: Dtype,
}

/// What of a request shapes its graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) guided: bool,
    pub(super) batch: u64,
    /// Height and width of the latents.
    pub(super) latent_sides: [u64; 2],
    pub(super) clip_skip: u64,
    pub(super) dtypes: Dtypes,
    /// Whether zeros stand for the negative prompt, so that no text encoder sees it.
    pub(super) negative_is_zeros: bool,
    pub(super) target: Target,
}

/// In which dtype a stage computes, and on what.
#[derive(Debug, Clone, Copy)]
struct Computes {
    dtype: Dtype,
    target: Target,
}

impl Shape {
    fn computes(&self, dtype: Dtype) -> Computes {
        Computes { dtype, target: self.target }
    }
}

impl Stage {
    fn new(
        name: &'static str,
        component: Component,
        function: &Verified,
        Computes { dtype, target }: Computes,
        projection: Projection,
        tokenizers: &Tokenizers,
    ) -> Result<Self, PipelineError> {
        let function = Arc::new(autocast(function, dtype)?);
        let wanted = function.weights().iter().zip(lower::weight_orders(&function)).map(|(weight, order)| Wanted {
            name: weight.name.clone(),
            aliases: aliases(&weight.name),
            dims: weight.kind.dims.clone(),
            dtype: weight.kind.dtype,
            order,
        });
        let wanted = wanted.collect();
        let lowered = Arc::clone(&function);
        let tokenizers = tokenizers.clone();
        let build = move || {
            // Nothing is compiled for a model that could not be told anything.
            tokenizers.get()?;
            let text = lower::stablehlo(&lowered, target).text;
            Ok(Program::new(ProgramFormat::Mlir, text.into_bytes()))
        };
        let graph = Graph::built_by(builder_id(), build).stage(name).projection(projection);
        Ok(Self { name, component, dtype, graph, function, wanted })
    }

    /// Whether this is the very graph that `other` is, which is the same stage of the same model at another size.
    pub(super) fn is_as_in(&self, other: &Self) -> bool {
        let (own, other) = (self.graph.declared_projection(), other.graph.declared_projection());
        own == other && own.input_shape == Keep::Dropped
    }

    /// Bytes of the weights, as they rest on the device.
    pub(super) fn weight_bytes(&self) -> u64 {
        let of_one = |weight: &Wanted| product(&weight.dims).saturating_mul(bytes_of(weight.dtype));
        self.wanted.iter().map(of_one).fold(0, u64::saturating_add)
    }

    /// What the largest op takes and gives, in bytes. The executable cannot do with less; it will need more.
    pub(super) fn least_activation_bytes(&self) -> u64 {
        let function = &self.function;
        let bytes = |kind: &crate::graph::Type| product(&kind.dims).saturating_mul(bytes_of(kind.dtype));
        let of_node = |node: &crate::graph::Node| {
            let operands = node.op.operands().into_iter().map(|operand| bytes(function.type_of(operand)));
            operands.fold(bytes(&node.kind), u64::saturating_add)
        };
        function.nodes().iter().map(of_node).max().unwrap_or(0)
    }
}

/// Every stage of a request, in the order in which they run, and where each stands.
#[derive(Debug)]
pub(super) struct Stages {
    pub(super) all: Vec<Stage>,
    /// The positions of the text encoders for the prompt.
    pub(super) encoders: Range<usize>,
    /// Those for the negative prompt; the same where nothing tells them apart.
    pub(super) negative_encoders: Range<usize>,
    /// Whether zeros stand for the negative prompt.
    pub(super) negative_is_zeros: bool,
    pub(super) denoiser: usize,
    pub(super) decoder: usize,
}

impl Stages {
    pub(super) fn of(model: &Model, shape: Shape) -> Result<Self, PipelineError> {
        let mut all = Vec::new();
        let computes = shape.computes(shape.dtypes.text_encoder);
        for (index, outputs) in model.folder.text_outputs(shape.clip_skip).into_iter().enumerate() {
            all.push(encoder(model, index, TEXT_ENCODERS[index], outputs, computes)?);
        }
        let encoders = 0..all.len();
        let mut negative_encoders = encoders.clone();
        // As in diffusers, a negative prompt passes all layers.
        if shape.guided && shape.clip_skip > 0 && !shape.negative_is_zeros {
            for (index, outputs) in model.folder.text_outputs(0).into_iter().enumerate() {
                all.push(encoder(model, index, NEGATIVE_TEXT_ENCODERS[index], outputs, computes)?);
            }
            negative_encoders = encoders.end..all.len();
        }
        let denoiser = all.len();
        all.push(denoising(model, shape)?);
        all.push(decoder(model, shape)?);
        let negative_is_zeros = shape.negative_is_zeros;
        Ok(Self { all, encoders, negative_encoders, negative_is_zeros, denoiser, decoder: denoiser + 1 })
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Stage> {
        self.all.iter()
    }

    /// The decoder in another dtype than `shape` has for it.
    pub(super) fn decoder_in(model: &Model, shape: Shape, dtype: Dtype) -> Result<Stage, PipelineError> {
        decoder(model, Shape { dtypes: Dtypes { vae: dtype, ..shape.dtypes }, ..shape })
    }
}

const TEXT_ENCODERS: [(&str, Component); 2] =
    [("text_encoder", Component::TextEncoder), ("text_encoder_2", Component::TextEncoder2)];
const NEGATIVE_TEXT_ENCODERS: [(&str, Component); 2] =
    [("negative_text_encoder", Component::TextEncoder), ("negative_text_encoder_2", Component::TextEncoder2)];
const DENOISER: &str = "denoiser";
const VAE_DECODER: &str = "vae_decoder";

fn encoder(
    model: &Model,
    index: usize,
    (name, component): (&'static str, Component),
    outputs: TextOutputs,
    computes: Computes,
) -> Result<Stage, PipelineError> {
    let config = &model.folder.text_encoders()[index];
    let architecture = config.architecture(outputs, model.checkpoint(component).names_and_shapes());
    let function = text_encoder(config, outputs)?;
    Stage::new(name, component, &function, computes, of_no_picture(architecture, computes.dtype), &model.tokenizers)
}

fn denoising(model: &Model, shape: Shape) -> Result<Stage, PipelineError> {
    let config = model.folder.unet();
    let spec = model.folder.denoiser_spec(shape.guided, shape.batch, shape.latent_sides);
    let architecture = config.architecture(model.checkpoint(Component::Unet).names_and_shapes());
    let function = denoiser(config, &spec)?;
    let projection = Projection {
        // The shape of the prompts is not the network's own.
        extra: format!("contexts {:?}", spec.contexts),
        ..Projection::step_graph(architecture)
    };
    Stage::new(
        DENOISER,
        Component::Unet,
        &function,
        shape.computes(shape.dtypes.denoiser),
        projection,
        &model.tokenizers,
    )
}

/// Pictures are decoded one by one, so the batch shapes nothing here.
fn decoder(model: &Model, shape: Shape) -> Result<Stage, PipelineError> {
    let config = model.folder.vae();
    let architecture = config.architecture(model.checkpoint(Component::Vae).names_and_shapes());
    let function = vae_decoder(config, shape.latent_sides)?;
    let computes = shape.computes(shape.dtypes.vae);
    let mut projection = of_no_picture(architecture, computes.dtype);
    projection.extra = format!("{}, latents {:?}", projection.extra, shape.latent_sides);
    Stage::new(VAE_DECODER, Component::Vae, &function, computes, projection, &model.tokenizers)
}

/// The projection of a stage of which the signature says nothing but the model; its own dtype takes the place of the signature's,
/// which is the denoiser's.
fn of_no_picture(architecture: Digest, dtype: Dtype) -> Projection {
    Projection {
        model_id: ModelProjection::Architecture(architecture),
        input_shape: Keep::Dropped,
        batch_size: Keep::Dropped,
        cfg_scale: CfgProjection::Dropped,
        scheduler: Keep::Dropped,
        steps: Keep::Dropped,
        dtype: Keep::Dropped,
        extra: format!("computes in {dtype}"),
    }
}

fn product(dims: &[u64]) -> u64 {
    dims.iter().copied().fold(1, u64::saturating_mul)
}

fn bytes_of(dtype: Dtype) -> u64 {
    match dtype {
        Dtype::BFloat16 | Dtype::Float16 => 2,
        _ => 4,
    }
}
