//! Which stages does a request run?
//!
//! For each stage this module gives its graph, the parts of the request that shape the graph, and
//! the weights that the graph reads.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use preheat_cache::{
    CfgProjection, Digest, Keep, ModelProjection, Program, ProgramFormat, Projection,
};
use preheat_ir::graph::{GraphError, Verified, attention_in_float32, autocast};
use preheat_ir::lower::{self, LoweringTarget};
use preheat_runtime::device::fallback::tiles;
use preheat_runtime::device::{StageDtype, StageKind};
use preheat_runtime::{Graph, Runtime, Warning};
use preheat_tensor::Dtype;

use super::error::PipelineError;
use super::model::{Model, Tokenizers};
use crate::lora::{Adapters, ComponentAdapters};
use crate::models::{
    Component, DenoiserSpec, TextConfig, TextOutputs, UnetConfig, VaeConfig, VaeEncoderConfig,
    aliases, builder_id, denoiser, latent_blend, latent_blend_architecture, text_encoder,
    vae_decoder, vae_encoder,
};
use crate::weights::WantedWeight;

/// One stage, ready to be requested from the runtime.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) component: Component,
    /// The kind of stage, which decides its device and its dtype.
    pub(super) kind: StageKind,
    /// The dtype that it computes in.
    pub(super) dtype: StageDtype,
    /// The graph whose executable is requested from the runtime. Its program is built only if the
    /// look-up at level 1 finds no executable.
    pub(super) graph: Graph,
    pub(super) function: Arc<Verified>,
    /// The weights in the order in which the graph takes them, after its inputs.
    pub(super) wanted: Arc<[WantedWeight]>,
    /// The LoRAs that change the weights. The graph does not depend on them.
    pub(super) adapters: Arc<ComponentAdapters>,
}

/// The dtypes of the stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dtypes {
    pub(super) text_encoder: StageDtype,
    pub(super) denoiser: StageDtype,
    pub(super) vae: StageDtype,
}

impl Dtypes {
    /// Warnings about these dtypes for the user.
    pub(super) fn warnings(&self) -> impl Iterator<Item = &Warning> {
        let all = [&self.text_encoder, &self.denoiser, &self.vae];
        all.into_iter().filter_map(|dtype| dtype.warning.as_ref())
    }
}

/// The form in which a graph is handed to the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// StableHLO, for PJRT plugins.
    StableHlo(LoweringTarget),
    /// The graph itself, for libtorch.
    Graph,
}

impl Form {
    /// The form that the device of a runtime takes.
    pub(super) fn of(runtime: &Runtime) -> Self {
        if runtime.torch_device().is_some() {
            Self::Graph
        } else {
            Self::StableHlo(runtime.lowering_target())
        }
    }
}

/// The parts of a request that shape its graphs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a request")]
pub(super) struct Shape {
    pub(super) guided: bool,
    pub(super) batch: u64,
    /// Height and width of the latents.
    pub(super) latent_sides: [u64; 2],
    pub(super) clip_skip: u64,
    pub(super) dtypes: Dtypes,
    /// Whether zeros replace the encoded negative prompt, so that no text encoder runs on it.
    pub(super) negative_is_zeros: bool,
    /// How many chunks of tokens the denoiser reads of each prompt.
    pub(super) prompt_chunks: u64,
    /// Whether the run can begin with a picture and keep a part of it. Both need stages of their
    /// own, which are made ready together, so that one warmup is for both.
    pub(super) begins_with_a_picture: bool,
    /// Whether the latents are decoded. Those of a first pass are not.
    pub(super) decodes: bool,
    pub(super) form: Form,
}

/// A stage before its graph is built: enough to look it up if it was compiled before.
pub(super) struct Outline<'a> {
    pub(super) name: &'static str,
    component: Component,
    pub(super) kind: StageKind,
    dtype: Cow<'a, StageDtype>,
    form: Form,
    pub(super) projection: Projection,
    function: Function<'a>,
}

/// The model's component and the settings from which a stage's graph is built.
enum Function<'a> {
    TextEncoder(&'a TextConfig, TextOutputs),
    Denoiser(&'a UnetConfig, DenoiserSpec),
    VaeEncoder(&'a VaeEncoderConfig, [u64; 2]),
    /// The shape of the latents.
    LatentBlend([u64; 4]),
    VaeDecoder(&'a VaeConfig, [u64; 2]),
}

impl Function<'_> {
    fn build(&self) -> Result<Verified, GraphError> {
        match self {
            Self::TextEncoder(config, outputs) => text_encoder(config, *outputs),
            Self::Denoiser(config, spec) => denoiser(config, spec),
            Self::VaeEncoder(config, latent_sides) => vae_encoder(config, *latent_sides),
            Self::LatentBlend(dims) => latent_blend(*dims),
            Self::VaeDecoder(config, latent_sides) => vae_decoder(config, *latent_sides),
        }
    }
}

impl Outline<'_> {
    /// A graph for a look-up only: asking for its program gives an error.
    pub(super) fn never_built(&self) -> Graph {
        let refuse = || Err("it is only looked up".into());
        Graph::built_by(builder_id(), refuse).stage(self.name).projection(self.projection.clone())
    }
}

impl Stage {
    fn new(outline: Outline<'_>, tokenizers: &Tokenizers) -> Result<Self, PipelineError> {
        let Outline { name, component, kind, dtype, form, projection, function } = outline;
        let mut function = autocast(&function.build()?, dtype.dtype)?;
        if dtype.attention_in_float32 {
            function = attention_in_float32(&function);
        }
        let function = Arc::new(function);
        let orders = match form {
            Form::StableHlo(_) => lower::weight_orders(&function),
            Form::Graph => function
                .weights()
                .iter()
                .map(|weight| (0..weight.kind.dims.len()).collect())
                .collect(),
        };
        let wanted = function.weights().iter().zip(orders).map(|(weight, order)| WantedWeight {
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
            // Nothing is compiled for a model whose tokenizers cannot be read, because no prompt
            // could be encoded for it.
            tokenizers.get()?;
            Ok(match form {
                Form::StableHlo(target) => Program::new(
                    ProgramFormat::Mlir,
                    lower::stablehlo(&lowered, target).text.into_bytes(),
                ),
                Form::Graph => Program::new(ProgramFormat::Graph, lowered.encode()?),
            })
        };
        let graph = Graph::built_by(builder_id(), build).stage(name).projection(projection);
        let dtype = dtype.into_owned();
        let adapters = Arc::default();
        Ok(Self { name, component, kind, dtype, graph, function, wanted, adapters })
    }

    /// Whether this stage has the same graph as `other`, which is the same stage of the same model
    /// at another size.
    pub(super) fn is_as_in(&self, other: &Self) -> bool {
        let (own, other) = (self.graph.declared_projection(), other.graph.declared_projection());
        own == other && own.input_shape == Keep::Dropped
    }

    /// Bytes of the weights, in the dtype that they have on the device.
    pub(super) fn weight_bytes(&self) -> u64 {
        self.wanted.iter().map(bytes_of_weight).fold(0, u64::saturating_add)
    }

    /// Bytes of the weights at these positions.
    pub(super) fn bytes_of(&self, positions: &[usize]) -> u64 {
        let weights = positions.iter().filter_map(|&at| self.wanted.get(at));
        weights.map(bytes_of_weight).fold(0, u64::saturating_add)
    }

    /// The bytes that the inputs and the output of the largest op take. The executable needs at
    /// least that, and usually more.
    pub(super) fn least_activation_bytes(&self) -> u64 {
        let function = &self.function;
        let bytes = |kind: &preheat_tensor::TensorType| {
            product(&kind.dims).saturating_mul(bytes_of(kind.dtype))
        };
        let of_node = |node: &preheat_ir::graph::Node| {
            let operands =
                node.op.operands().into_iter().map(|operand| bytes(function.type_of(operand)));
            operands.fold(bytes(&node.kind), u64::saturating_add)
        };
        function.nodes().iter().map(of_node).max().unwrap_or(0)
    }
}

/// Every stage of a request, in the order in which they run, and the position of each.
#[derive(Debug)]
pub(super) struct Stages {
    pub(super) all: Vec<Stage>,
    /// The positions of the text encoders for the prompt.
    pub(super) encoders: Range<usize>,
    /// The positions of the text encoders for the negative prompt. They are the same as `encoders`
    /// if both prompts use the same graphs.
    pub(super) negative_encoders: Range<usize>,
    /// Whether zeros replace the encoded negative prompt.
    pub(super) negative_is_zeros: bool,
    /// The position of the encoder of pictures, if pictures are encoded.
    pub(super) image_encoder: Option<usize>,
    /// The position of the blend, if a part of a picture can be kept.
    pub(super) blend: Option<usize>,
    pub(super) denoiser: usize,
    /// The position of the decoder, if the latents are decoded.
    pub(super) decoder: Option<usize>,
}

impl Stages {
    pub(super) fn of(model: &Model, shape: &Shape) -> Result<Self, PipelineError> {
        let outlines = Self::outlines(model, shape);
        let among = |names: &[(&str, Component)]| {
            let is_one =
                |outline: &Outline<'_>| names.iter().any(|(name, _)| *name == outline.name);
            let first = outlines.iter().position(is_one)?;
            Some(first..first + outlines.iter().filter(|outline| is_one(outline)).count())
        };
        let encoders = among(&TEXT_ENCODERS).unwrap_or(0..0);
        let negative_encoders = among(&NEGATIVE_TEXT_ENCODERS).unwrap_or_else(|| encoders.clone());
        let negative_is_zeros = shape.negative_is_zeros;
        let named = |name| outlines.iter().position(|outline| outline.name == name);
        let (image_encoder, blend) = (named(VAE_ENCODER), named(LATENT_BLEND));
        let (denoiser, decoder) = (named(DENOISER).unwrap_or(0), named(VAE_DECODER));
        let all = outlines.into_iter().map(|outline| Stage::new(outline, &model.tokenizers));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            all,
            encoders,
            negative_encoders,
            negative_is_zeros,
            image_encoder,
            blend,
            denoiser,
            decoder,
        })
    }

    /// The stages of a request before their graphs are built: first the text encoders, then those
    /// for pictures that a request begins with, then the denoiser, then the decoder.
    pub(super) fn outlines<'a>(model: &'a Model, shape: &'a Shape) -> Vec<Outline<'a>> {
        let encoders = |clip_skip, names: [(&'static str, Component); 2]| {
            let outputs = model.folder.text_outputs(clip_skip).into_iter().enumerate();
            outputs.map(move |(index, outputs)| encoder(model, index, names[index], outputs, shape))
        };
        let mut all: Vec<_> = encoders(shape.clip_skip, TEXT_ENCODERS).collect();
        // As in diffusers, a negative prompt goes through all layers.
        if shape.guided && shape.clip_skip > 0 && !shape.negative_is_zeros {
            all.extend(encoders(0, NEGATIVE_TEXT_ENCODERS));
        }
        all.extend(image_encoder(model, shape));
        all.extend(blend(model, shape));
        all.push(denoising(model, shape));
        all.extend(shape.decodes.then(|| decoder(model, shape)));
        all
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Stage> {
        self.all.iter()
    }

    /// These stages, with weights that the LoRAs change.
    pub(super) fn with(mut self, adapters: &Adapters) -> Self {
        for stage in &mut self.all {
            stage.adapters = adapters.of(stage.component);
        }
        self
    }

    /// The decoder in float32, whatever dtype `shape` has for it.
    pub(super) fn decoder_in_f32(model: &Model, shape: &Shape) -> Result<Stage, PipelineError> {
        let mut shape = shape.clone();
        shape.dtypes.vae = in_float32("decoded again");
        Stage::new(decoder(model, &shape), &model.tokenizers)
    }

    /// The decoder for a part of the latents: `latent_sides` replaces the sides in `shape`.
    fn decoder_of(
        model: &Model,
        shape: &Shape,
        latent_sides: [u64; 2],
    ) -> Result<Stage, PipelineError> {
        Stage::new(decoder(model, &Shape { latent_sides, ..shape.clone() }), &model.tokenizers)
    }

    /// The decoder for one tile of a picture; `None` if the picture is no larger than a tile.
    pub(super) fn tile_decoder(
        model: &Model,
        shape: &Shape,
    ) -> Result<Option<Stage>, PipelineError> {
        let tiles = tiles(shape.latent_sides);
        let first = tiles.first().filter(|_| tiles.len() > 1);
        first.map(|tile| Self::decoder_of(model, shape, tile.sides)).transpose()
    }
}

const TEXT_ENCODERS: [(&str, Component); 2] =
    [("text_encoder", Component::TextEncoder), ("text_encoder_2", Component::TextEncoder2)];
const NEGATIVE_TEXT_ENCODERS: [(&str, Component); 2] = [
    ("negative_text_encoder", Component::TextEncoder),
    ("negative_text_encoder_2", Component::TextEncoder2),
];
const VAE_ENCODER: &str = "vae_encoder";
const LATENT_BLEND: &str = "latent_blend";
const DENOISER: &str = "denoiser";
const VAE_DECODER: &str = "vae_decoder";

fn encoder<'a>(
    model: &'a Model,
    index: usize,
    (name, component): (&'static str, Component),
    outputs: TextOutputs,
    shape: &'a Shape,
) -> Outline<'a> {
    let config = &model.folder.text_encoders()[index];
    let checkpoint = || model.checkpoint(component).names_and_shapes();
    let architecture =
        model.architecture(component, Some(outputs), || config.architecture(outputs, checkpoint()));
    let dtype = &shape.dtypes.text_encoder;
    Outline {
        name,
        component,
        kind: StageKind::TextEncoder,
        dtype: Cow::Borrowed(dtype),
        form: shape.form,
        projection: of_no_picture(architecture, dtype),
        function: Function::TextEncoder(config, outputs),
    }
}

fn denoising<'a>(model: &'a Model, shape: &'a Shape) -> Outline<'a> {
    let (config, component) = (model.folder.unet(), Component::Unet);
    let spec = model.folder.denoiser_spec(shape.guided, shape.batch, shape.latent_sides);
    let spec = spec.with_prompt_chunks(shape.prompt_chunks);
    let checkpoint = || model.checkpoint(component).names_and_shapes();
    let architecture = model.architecture(component, None, || config.architecture(checkpoint()));
    let dtype = &shape.dtypes.denoiser;
    let projection = Projection {
        // The shape of the prompts does not follow from the network's config, so it is added here.
        // The dtype is already in the signature.
        extra: format!("contexts {:?}{}", spec.contexts, attention(dtype)),
        ..Projection::step_graph(architecture)
    };
    let (kind, form, function) =
        (StageKind::Denoiser, shape.form, Function::Denoiser(config, spec));
    let dtype = Cow::Borrowed(dtype);
    Outline { name: DENOISER, component, kind, dtype, form, projection, function }
}

/// The encoder of pictures, one by one, if the request needs it. A request for a model whose
/// encoder is not supported is refused before this.
fn image_encoder<'a>(model: &'a Model, shape: &'a Shape) -> Option<Outline<'a>> {
    let config = model.folder.vae_encoder().ok().filter(|_| shape.begins_with_a_picture)?;
    let component = Component::Vae;
    let weights = model.checkpoint(component).names_and_shapes();
    let dtype = &shape.dtypes.vae;
    let mut projection = of_no_picture(config.architecture(weights), dtype);
    projection.extra = format!("{}, latents {:?}", projection.extra, shape.latent_sides);
    let kind = StageKind::Vae { force_upcast: model.folder.vae().force_upcast };
    let function = Function::VaeEncoder(config, shape.latent_sides);
    let (name, dtype, form) = (VAE_ENCODER, Cow::Borrowed(dtype), shape.form);
    Some(Outline { name, component, kind, dtype, form, projection, function })
}

/// The blend of latents and a picture. It runs where the denoiser runs, always in float32, and is
/// the same for every model. A network that reads a mask needs none.
fn blend<'a>(model: &'a Model, shape: &'a Shape) -> Option<Outline<'a>> {
    if !shape.begins_with_a_picture || model.folder.reads_a_mask() {
        return None;
    }
    let dtype = in_float32("latents are kept in float32");
    let [height, width] = shape.latent_sides;
    let dims = [shape.batch, model.folder.latent_channels(), height, width];
    let mut projection = of_no_picture(latent_blend_architecture(), &dtype);
    projection.extra = format!("latents {dims:?}");
    Some(Outline {
        name: LATENT_BLEND,
        component: Component::Unet,
        kind: StageKind::Denoiser,
        dtype: Cow::Owned(dtype),
        form: shape.form,
        projection,
        function: Function::LatentBlend(dims),
    })
}

fn in_float32(reason: &'static str) -> StageDtype {
    StageDtype { dtype: Dtype::Float32, attention_in_float32: false, reason, warning: None }
}

/// The decoder. It decodes pictures one by one, so the batch does not shape its graph.
fn decoder<'a>(model: &'a Model, shape: &'a Shape) -> Outline<'a> {
    let (config, component) = (model.folder.vae(), Component::Vae);
    let checkpoint = || model.checkpoint(component).names_and_shapes();
    let architecture = model.architecture(component, None, || config.architecture(checkpoint()));
    let dtype = &shape.dtypes.vae;
    let mut projection = of_no_picture(architecture, dtype);
    projection.extra = format!("{}, latents {:?}", projection.extra, shape.latent_sides);
    let kind = StageKind::Vae { force_upcast: config.force_upcast };
    let function = Function::VaeDecoder(config, shape.latent_sides);
    let (name, dtype, form) = (VAE_DECODER, Cow::Borrowed(dtype), shape.form);
    Outline { name, component, kind, dtype, form, projection, function }
}

/// The projection of a stage whose graph depends on the model, and on no other part of the
/// signature. The dtype in the signature is the denoiser's, so the stage's own dtype is added.
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

/// The text in `extra` if attention computes in another dtype than the rest of the stage.
fn attention(dtype: &StageDtype) -> &'static str {
    if dtype.attention_in_float32 { ", attention in float32" } else { "" }
}

fn bytes_of_weight(weight: &WantedWeight) -> u64 {
    product(&weight.dims).saturating_mul(bytes_of(weight.dtype))
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
