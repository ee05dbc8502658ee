//! The stages of a model that a request runs: for each its graph, what shapes it, and the weights it reads.

use std::ops::Range;
use std::sync::Arc;

use preheat_cache::{CfgProjection, Digest, Dtype, Keep, ModelProjection, Program, ProgramFormat, Projection};

use super::error::PipelineError;
use super::model::{Model, Tokenizers};
use crate::device::{StageDtype, StageKind};
use crate::graph::{Verified, attention_in_float32, autocast};
use crate::lower::{self, Target};
use crate::models::{Component, TextOutputs, aliases, builder_id, denoiser, text_encoder, vae_decoder};
use crate::runtime::{Graph, Runtime};
use crate::weights::Wanted;

/// One stage, ready to be asked for.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) component: Component,
    /// What decides its device and its dtype.
    pub(super) kind: StageKind,
    /// What it computes in.
    pub(super) dtype: StageDtype,
    /// What the runtime is asked for. Its StableHLO is written only where no earlier request led to an executable.
    pub(super) graph: Graph,
    pub(super) function: Arc<Verified>,
    /// The weights in the order in which the graph takes them, after its inputs.
    pub(super) wanted: Arc<[Wanted]>,
}

/// The dtypes of the stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dtypes {
    pub(super) text_encoder: StageDtype,
    pub(super) denoiser: StageDtype,
    pub(super) vae: StageDtype,
}

/// What a graph is handed over as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// StableHLO, for PJRT plugins.
    StableHlo(Target),
    /// The graph itself, for libtorch.
    Graph,
}

impl Form {
    /// What the device of a runtime takes.
    pub(super) fn of(runtime: &Runtime) -> Self {
        if runtime.torch_device().is_some() { Self::Graph } else { Self::StableHlo(runtime.lowering_target()) }
    }
}

/// What of a request shapes its graphs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) guided: bool,
    pub(super) batch: u64,
    /// Height and width of the latents.
    pub(super) latent_sides: [u64; 2],
    pub(super) clip_skip: u64,
    pub(super) dtypes: Dtypes,
    /// Whether zeros stand for the negative prompt, so that no text encoder sees it.
    pub(super) negative_is_zeros: bool,
    pub(super) form: Form,
}

/// What a stage is besides its graph.
struct Traits<'a> {
    name: &'static str,
    component: Component,
    kind: StageKind,
    dtype: &'a StageDtype,
    form: Form,
}

impl Stage {
    fn new(
        Traits { name, component, kind, dtype, form }: Traits<'_>,
        function: &Verified,
        projection: Projection,
        tokenizers: &Tokenizers,
    ) -> Result<Self, PipelineError> {
        let mut function = autocast(function, dtype.dtype)?;
        if dtype.attention_in_float32 {
            function = attention_in_float32(&function);
        }
        let function = Arc::new(function);
        let orders = match form {
            Form::StableHlo(_) => lower::weight_orders(&function),
            Form::Graph => function.weights().iter().map(|weight| (0..weight.kind.dims.len()).collect()).collect(),
        };
        let wanted = function.weights().iter().zip(orders).map(|(weight, order)| Wanted {
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
            Ok(match form {
                Form::StableHlo(target) => {
                    Program::new(ProgramFormat::Mlir, lower::stablehlo(&lowered, target).text.into_bytes())
                }
                Form::Graph => Program::new(ProgramFormat::Graph, lowered.encode()?),
            })
        };
        let graph = Graph::built_by(builder_id(), build).stage(name).projection(projection);
        let dtype = dtype.clone();
        Ok(Self { name, component, kind, dtype, graph, function, wanted })
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
    pub(super) fn of(model: &Model, shape: &Shape) -> Result<Self, PipelineError> {
        let mut all = Vec::new();
        for (index, outputs) in model.folder.text_outputs(shape.clip_skip).into_iter().enumerate() {
            all.push(encoder(model, index, TEXT_ENCODERS[index], outputs, shape)?);
        }
        let encoders = 0..all.len();
        let mut negative_encoders = encoders.clone();
        // As in diffusers, a negative prompt passes all layers.
        if shape.guided && shape.clip_skip > 0 && !shape.negative_is_zeros {
            for (index, outputs) in model.folder.text_outputs(0).into_iter().enumerate() {
                all.push(encoder(model, index, NEGATIVE_TEXT_ENCODERS[index], outputs, shape)?);
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

    /// The decoder in float32, whatever `shape` has for it.
    pub(super) fn decoder_in_f32(model: &Model, shape: &Shape) -> Result<Stage, PipelineError> {
        let mut shape = shape.clone();
        shape.dtypes.vae =
            StageDtype { dtype: Dtype::Float32, attention_in_float32: false, reason: "decoded again", warning: None };
        decoder(model, &shape)
    }

    /// The decoder of a part of the latents, of other sides than `shape` has.
    pub(super) fn decoder_of(model: &Model, shape: &Shape, latent_sides: [u64; 2]) -> Result<Stage, PipelineError> {
        decoder(model, &Shape { latent_sides, ..shape.clone() })
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
    shape: &Shape,
) -> Result<Stage, PipelineError> {
    let config = &model.folder.text_encoders()[index];
    let architecture = config.architecture(outputs, model.checkpoint(component).names_and_shapes());
    let function = text_encoder(config, outputs)?;
    let dtype = &shape.dtypes.text_encoder;
    let traits = Traits { name, component, kind: StageKind::TextEncoder, dtype, form: shape.form };
    Stage::new(traits, &function, of_no_picture(architecture, dtype), &model.tokenizers)
}

fn denoising(model: &Model, shape: &Shape) -> Result<Stage, PipelineError> {
    let config = model.folder.unet();
    let spec = model.folder.denoiser_spec(shape.guided, shape.batch, shape.latent_sides);
    let architecture = config.architecture(model.checkpoint(Component::Unet).names_and_shapes());
    let function = denoiser(config, &spec)?;
    let projection = Projection {
        // The shape of the prompts is not the network's own; its dtype is the signature's.
        extra: format!("contexts {:?}{}", spec.contexts, attention(&shape.dtypes.denoiser)),
        ..Projection::step_graph(architecture)
    };
    let (kind, dtype) = (StageKind::Denoiser, &shape.dtypes.denoiser);
    let traits = Traits { name: DENOISER, component: Component::Unet, kind, dtype, form: shape.form };
    Stage::new(traits, &function, projection, &model.tokenizers)
}

/// Pictures are decoded one by one, so the batch shapes nothing here.
fn decoder(model: &Model, shape: &Shape) -> Result<Stage, PipelineError> {
    let config = model.folder.vae();
    let architecture = config.architecture(model.checkpoint(Component::Vae).names_and_shapes());
    let function = vae_decoder(config, shape.latent_sides)?;
    let dtype = &shape.dtypes.vae;
    let mut projection = of_no_picture(architecture, dtype);
    projection.extra = format!("{}, latents {:?}", projection.extra, shape.latent_sides);
    let kind = StageKind::Vae { force_upcast: config.force_upcast };
    let traits = Traits { name: VAE_DECODER, component: Component::Vae, kind, dtype, form: shape.form };
    Stage::new(traits, &function, projection, &model.tokenizers)
}

/// The projection of a stage of which the signature says nothing but the model; its own dtype takes the place of the signature's,
/// which is the denoiser's.
fn of_no_picture(architecture: Digest, dtype: &StageDtype) -> Projection {
    Projection {
        model_id: ModelProjection::Architecture(architecture),
        input_shape: Keep::Dropped,
        batch_size: Keep::Dropped,
        cfg_scale: CfgProjection::Dropped,
        scheduler: Keep::Dropped,
        steps: Keep::Dropped,
        dtype: Keep::Dropped,
        extra: format!("computes in {}{}", dtype.dtype, attention(dtype)),
    }
}

/// What is said of attention that computes in another dtype than the rest.
fn attention(dtype: &StageDtype) -> &'static str {
    if dtype.attention_in_float32 { ", attention in float32" } else { "" }
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
