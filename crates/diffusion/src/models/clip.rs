//! How is CLIP's text encoder built as a graph?
//!
//! It is `CLIPTextModel` or `CLIPTextModelWithProjection` of `transformers`.

use std::path::Path;

use preheat_ir::graph::{Attention, FunctionBuilder, GraphError, Norm, UnaryOp, Value, Verified};
use preheat_tensor::Dtype;
use preheat_tensor::TensorType;
use serde::Serialize;
use serde_json::json;

use super::config::Fields;
use super::layers::{attention_scale, layer_norm, linear, projection};
use super::{ModelError, config};

/// The fields of a text encoder's config that its graph depends on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextConfig {
    /// Features of a token.
    pub hidden_size: u64,
    /// Features between the two linear layers of each block.
    pub intermediate_size: u64,
    /// How many blocks there are.
    pub layers: u64,
    /// Attention heads of each block.
    pub heads: u64,
    /// The activation between the two linear layers.
    pub activation: TextActivation,
    /// The epsilon of each layer norm.
    pub layer_norm_eps: f32,
    /// How many rows the token table has.
    pub vocabulary: u64,
    /// How many tokens a prompt and the graph's input have: as many as the tokenizer gives, but at
    /// most `positions`.
    pub tokens: u64,
    /// How many rows the table of positions has; a prompt uses the first of them. This number is in
    /// the weights' shapes.
    #[serde(skip)]
    pub positions: u64,
    /// Features of the pooled output, if the model projects it.
    pub projection: Option<u64>,
    /// The id of the token that ends a prompt, as the config has it. [`Self::eos_position`] reads
    /// it; the graph does not depend on it.
    #[serde(skip)]
    pub eos_token_id: i32,
}

/// The class of a text encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextClass {
    /// `CLIPTextModel`.
    Plain,
    /// `CLIPTextModelWithProjection`: `pooled` is multiplied by a matrix.
    WithProjection,
}

/// The activation of a text encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TextActivation {
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// GELU in its exact form.
    Gelu,
}

/// Which outputs of a text encoder are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TextOutputs {
    /// How many of the last blocks are left out of `hidden`.
    pub skipped_layers: u64,
    /// Whether the final layer norm is applied to `hidden`.
    pub normed: bool,
    /// Whether the output `pooled` is wanted: the features of the token at `eos_position` after all
    /// blocks and the final norm, projected if the model has a projection.
    pub pooled: bool,
}

impl TextOutputs {
    /// The outputs that Stable Diffusion 1.x and 2.x condition on. `clip_skip` counts as in
    /// diffusers: 0 for all blocks.
    pub fn stable_diffusion(clip_skip: u64) -> Self {
        Self { skipped_layers: clip_skip, normed: true, pooled: false }
    }

    /// The outputs that Stable Diffusion XL conditions on: without the last block, not normed, and
    /// with `pooled` for the second encoder only.
    pub fn stable_diffusion_xl(clip_skip: u64, pooled: bool) -> Self {
        Self { skipped_layers: clip_skip.saturating_add(1), normed: false, pooled }
    }
}

impl TextConfig {
    /// Reads the config of a text encoder as diffusers does: for the class that `model_index.json`
    /// names, whatever the field `architectures` says. `path` is the path that messages name.
    ///
    /// # Errors
    /// If the text is not a JSON object, or a field that shapes the graph has a value that is not
    /// supported.
    pub fn read(path: &Path, text: &str, class: TextClass) -> Result<Self, ModelError> {
        let fields = Fields::parse(path, text)?;
        fields.neutrals(&[
            ("model_type", json!("clip_text_model")),
            ("use_attention_mask", json!(false)),
        ])?;
        let hidden_size = fields.count("hidden_size", Some(512))?;
        let heads = fields.count("num_attention_heads", Some(8))?;
        config::divides(&fields, "num_attention_heads", heads, "hidden_size", hidden_size)?;
        let activation = match fields.one_of("hidden_act", "quick_gelu", &["quick_gelu", "gelu"])? {
            "gelu" => TextActivation::Gelu,
            _ => TextActivation::QuickGelu,
        };
        let eos = fields.get("eos_token_id").map_or(Some(49407), serde_json::Value::as_i64);
        let eos_token_id = eos
            .and_then(|id| i32::try_from(id).ok())
            .ok_or_else(|| fields.unsupported("eos_token_id", "the number of a token"))?;
        let layers = fields.count("num_hidden_layers", Some(12))?;
        fields.bound_layers("num_hidden_layers", layers)?;
        let positions = fields.count("max_position_embeddings", Some(77))?;
        let projected = class == TextClass::WithProjection;
        Ok(Self {
            hidden_size,
            intermediate_size: fields.count("intermediate_size", Some(2048))?,
            layers,
            heads,
            activation,
            layer_norm_eps: fields.number("layer_norm_eps", 1e-5)?,
            vocabulary: fields.count("vocab_size", Some(49408))?,
            tokens: positions,
            positions,
            projection: projected.then(|| fields.count("projection_dim", Some(512))).transpose()?,
            eos_token_id,
        })
    }

    /// The same encoder for prompts of this many tokens, or of as many tokens as it has positions
    /// if there are fewer positions.
    #[must_use]
    pub fn with_tokens(self, tokens: u64) -> Self {
        Self { tokens: tokens.min(self.positions), ..self }
    }

    /// The position of the token that `pooled` is taken from. Configs from before
    /// transformers#24773 say 2 as the end-of-text token; the position is then that of the first
    /// token with the largest id. Otherwise it is that of the first end-of-text token, or 0 if
    /// there is none.
    pub fn eos_position(&self, ids: &[i32]) -> usize {
        let wanted = if self.eos_token_id == 2 {
            ids.iter().copied().max()
        } else {
            Some(self.eos_token_id)
        };
        ids.iter().position(|&id| Some(id) == wanted).unwrap_or(0)
    }

    /// How many features `pooled` has.
    pub fn pooled_size(&self) -> u64 {
        self.projection.unwrap_or(self.hidden_size)
    }
}

/// The graph of a text encoder, for one prompt.
///
/// Inputs: `ids int32[1, tokens]` and, if `pooled` is wanted, `eos_position int32[1]`. Outputs:
/// `hidden f32[1, tokens, hidden_size]` and, if wanted, `pooled f32[1, pooled_size]`. Blocks and
/// weights that no output depends on are left out.
///
/// # Errors
/// If more blocks are to be skipped than the encoder has.
pub fn text_encoder(config: &TextConfig, outputs: TextOutputs) -> Result<Verified, GraphError> {
    let mut b = FunctionBuilder::new("text_encoder");
    let Some(hidden_layers) = config.layers.checked_sub(outputs.skipped_layers) else {
        let (skipped, layers) = (outputs.skipped_layers, config.layers);
        let why = format!("{skipped} of {layers} layers cannot be skipped");
        return Err(GraphError::of_function("text_encoder", why));
    };
    let ids = b.input("ids", TensorType::new(Dtype::Int32, [1, config.tokens]));
    let eos_position =
        outputs.pooled.then(|| b.input("eos_position", TensorType::new(Dtype::Int32, [1])));

    let mut x = embed(&mut b, config, ids)?;
    let mut hidden = x;
    for layer in 0..if outputs.pooled { config.layers } else { hidden_layers } {
        x = block(&mut b, config, &format!("text_model.encoder.layers.{layer}"), x)?;
        if layer + 1 == hidden_layers {
            hidden = x;
        }
    }

    if outputs.normed || outputs.pooled {
        let [weight, bias] = ["weight", "bias"].map(|name| {
            b.weight(format!("text_model.final_layer_norm.{name}"), [config.hidden_size])
        });
        let norm = |x| Norm { x, weight, bias, eps: config.layer_norm_eps };
        let last = x;
        if outputs.pooled {
            x = b.layer_norm(norm(last))?;
        }
        if outputs.normed {
            // If both outputs come from the last block, one norm serves both.
            hidden = if outputs.pooled && hidden == last { x } else { b.layer_norm(norm(hidden))? };
        }
    }
    let hidden = b.pin(hidden, Dtype::Float32);
    b.output("hidden", hidden);
    if let Some(eos_position) = eos_position {
        let mut pooled = b.select_row(x, eos_position)?;
        if let Some(size) = config.projection {
            pooled = projection(&mut b, "text_projection", pooled, size)?;
        }
        let pooled = b.pin(pooled, Dtype::Float32);
        b.output("pooled", pooled);
    }
    b.finish()
}

/// The sum of token and position embeddings, `[1, tokens, hidden_size]`.
fn embed(b: &mut FunctionBuilder, config: &TextConfig, ids: Value) -> Result<Value, GraphError> {
    let path = "text_model.embeddings";
    let table =
        b.weight(format!("{path}.token_embedding.weight"), [config.vocabulary, config.hidden_size]);
    let mut positions = b.weight(
        format!("{path}.position_embedding.weight"),
        [config.positions, config.hidden_size],
    );
    if config.tokens < config.positions {
        positions = b.slice(positions, 0, 0, config.tokens)?;
    }
    let tokens = b.embedding(table, ids)?;
    let positions = b.reshape(positions, [1, config.tokens, config.hidden_size])?;
    b.add(tokens, positions)
}

/// One block: attention of each token to itself and the tokens before it, then two linear layers.
/// Each of these two parts follows a norm and has a residual connection.
fn block(
    b: &mut FunctionBuilder,
    config: &TextConfig,
    path: &str,
    x: Value,
) -> Result<Value, GraphError> {
    let normed = layer_norm(b, &format!("{path}.layer_norm1"), x, config.layer_norm_eps)?;
    let mut project = |name: &str, of| {
        linear(b, &format!("{path}.self_attn.{name}_proj"), of, config.hidden_size)
    };
    let (query, key, value) = (project("q", normed)?, project("k", normed)?, project("v", normed)?);
    let (heads, scale) = (config.heads, attention_scale(config.hidden_size, config.heads));
    let attended =
        b.attention(Attention { query, key, value, heads, scale, causal: true, upcast: false })?;
    let attended = linear(b, &format!("{path}.self_attn.out_proj"), attended, config.hidden_size)?;
    let x = b.add(x, attended)?;

    let normed = layer_norm(b, &format!("{path}.layer_norm2"), x, config.layer_norm_eps)?;
    let inner = linear(b, &format!("{path}.mlp.fc1"), normed, config.intermediate_size)?;
    let inner = b.unary(
        match config.activation {
            TextActivation::QuickGelu => UnaryOp::QuickGelu,
            TextActivation::Gelu => UnaryOp::Gelu,
        },
        inner,
    )?;
    let inner = linear(b, &format!("{path}.mlp.fc2"), inner, config.hidden_size)?;
    b.add(x, inner)
}

#[cfg(test)]
mod tests;
