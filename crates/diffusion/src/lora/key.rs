//! What does the name of a tensor in a LoRA file mean?
//!
//! A name consists of the component (`unet.`, `lora_te1_`), the layer, and the tensor's part in the
//! layer's change (`.lora_A.weight`). These parts alone distinguish the formats.

use crate::models::Component;

/// A tensor's name, split into its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) component: Component,
    /// The layer's name without its component, in whichever spelling the file has.
    pub(super) layer: String,
    pub(super) part: Part,
}

/// The role of a tensor in the change of its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    Up,
    Down,
    /// The core between `up` and `down` (LyCORIS, for convolutions).
    Mid,
    Alpha,
    /// The norms of the changed weight's rows (DoRA), as LyCORIS stores them.
    DoraScale,
    /// The same norms, as PEFT stores them.
    Magnitude,
    HadaW1A,
    HadaW1B,
    HadaW2A,
    HadaW2B,
    HadaT1,
    HadaT2,
    LokrW1,
    LokrW1A,
    LokrW1B,
    LokrW2,
    LokrW2A,
    LokrW2B,
    LokrT2,
}

/// The suffixes of names. The first suffix that fits is taken, so none may be a suffix of a later
/// one.
const PARTS: &[(&str, Part)] = &[
    (".lora_linear_layer.up.weight", Part::Up),
    (".lora_linear_layer.down.weight", Part::Down),
    (".lora.up.weight", Part::Up),
    (".lora.down.weight", Part::Down),
    ("_lora.up.weight", Part::Up),
    ("_lora.down.weight", Part::Down),
    (".lora_up.weight", Part::Up),
    (".lora_down.weight", Part::Down),
    (".lora_mid.weight", Part::Mid),
    (".lora_B.weight", Part::Up),
    (".lora_A.weight", Part::Down),
    (".alpha", Part::Alpha),
    (".dora_scale", Part::DoraScale),
    (".lora_magnitude_vector.weight", Part::Magnitude),
    (".lora_magnitude_vector", Part::Magnitude),
    (".hada_w1_a", Part::HadaW1A),
    (".hada_w1_b", Part::HadaW1B),
    (".hada_w2_a", Part::HadaW2A),
    (".hada_w2_b", Part::HadaW2B),
    (".hada_t1", Part::HadaT1),
    (".hada_t2", Part::HadaT2),
    (".lokr_w1_a", Part::LokrW1A),
    (".lokr_w1_b", Part::LokrW1B),
    (".lokr_w1", Part::LokrW1),
    (".lokr_w2_a", Part::LokrW2A),
    (".lokr_w2_b", Part::LokrW2B),
    (".lokr_w2", Part::LokrW2),
    (".lokr_t2", Part::LokrT2),
];

/// The prefixes of names. The first prefix that fits is taken, so none may be a prefix of a later
/// one.
const COMPONENTS: &[(&str, Component)] = &[
    ("lora_unet_", Component::Unet),
    ("lora_te_", Component::TextEncoder),
    ("lora_te1_", Component::TextEncoder),
    ("lora_te2_", Component::TextEncoder2),
    ("unet.", Component::Unet),
    ("diffusion_model.", Component::Unet),
    ("text_encoder_2.", Component::TextEncoder2),
    ("text_encoder.", Component::TextEncoder),
];

impl Key {
    /// Splits a name into its parts; `None` if it ends in no known suffix.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let name = without_adapter(name);
        let (rest, part) =
            PARTS.iter().find_map(|&(end, part)| Some((name.strip_suffix(end)?, part)))?;
        let rest = rest.strip_prefix("base_model.model.").unwrap_or(rest);
        let found = COMPONENTS
            .iter()
            .find_map(|&(start, component)| Some((rest.strip_prefix(start)?, component)));
        // If a file has only layers of the UNet, older releases of diffusers wrote them without a
        // prefix, and PEFT still does.
        let (layer, component) = found.unwrap_or((rest, Component::Unet));
        let layer = layer.replace(".processor.", ".");
        Some(Self { component, layer, part })
    }
}

/// Removes the adapter's name, which PEFT inserts before the end of a name while a model is in
/// memory: `.lora_A.default.weight`.
fn without_adapter(name: &str) -> String {
    for part in [".lora_A.", ".lora_B.", ".lora_magnitude_vector."] {
        if let Some((before, after)) = name.rsplit_once(part)
            && let Some((adapter, "weight")) = after.rsplit_once('.')
            && !adapter.contains('.')
        {
            return format!("{before}{part}weight");
        }
    }
    name.to_owned()
}
