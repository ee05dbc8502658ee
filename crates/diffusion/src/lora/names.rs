//! Which weight of a model does the name of a layer in a LoRA file mean?
//!
//! kohya replaces each dot by `_`, which cannot be undone. The dots in the names of the model's own
//! weights are therefore replaced as well, and names are compared in that form. Other spellings of
//! a layer are further names of the same weight.

use std::collections::HashMap;

use super::ldm;
use crate::models::{Component, UnetConfig, canonical};

/// The weights of a model that a LoRA can change, by all the names of their layers.
#[derive(Debug, Default)]
pub(crate) struct ModuleNames {
    weights: Vec<NamedWeight>,
    by_name: HashMap<(Component, String), Found>,
}

/// A weight of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedWeight {
    pub(super) component: Component,
    /// Its name, as graphs use it.
    pub(super) name: String,
    pub(super) dims: Vec<u64>,
}

/// Which weight a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    at: usize,
    /// Whether the name is that of the original code.
    is_original: bool,
}

impl ModuleNames {
    /// The names of these weights, which are given by component, name and shape.
    pub(crate) fn new<'a>(
        unet: &UnetConfig,
        weights: impl IntoIterator<Item = (Component, &'a str, &'a [u64])>,
    ) -> Self {
        let mut names = Self::default();
        for (component, name, dims) in weights {
            names.add(unet, component, &canonical(name), dims);
        }
        names
    }

    fn add(&mut self, unet: &UnetConfig, component: Component, name: &str, dims: &[u64]) {
        // Biases and the scales of norms have one dimension.
        let Some(layer) = name.strip_suffix(".weight").filter(|_| dims.len() >= 2) else { return };
        let at = self.weights.len();
        self.weights.push(NamedWeight { component, name: name.to_owned(), dims: dims.to_vec() });
        let mut insert = |layer: &str, is_original| {
            let key = (component, flat(layer));
            self.by_name.entry(key).or_insert(Found { at, is_original });
        };
        insert(layer, false);
        if component == Component::Unet {
            if let Some(short) = layer.strip_suffix(".to_out.0") {
                insert(&format!("{short}.to_out"), false);
            }
            if let Some(original) = ldm::original(unet, layer) {
                insert(&original, true);
            }
        } else {
            // Older releases of diffusers named these layers as diffusers' own attention class
            // does. transformers 5 leaves out the prefix `text_model.`.
            let bare = layer.strip_prefix("text_model.").unwrap_or(layer);
            insert(bare, false);
            for (own, old) in TEXT_ATTENTION {
                if let Some(start) = bare.strip_suffix(own) {
                    insert(&format!("text_model.{start}{old}"), false);
                    insert(&format!("{start}{old}"), false);
                }
            }
        }
    }

    /// The weight that `layer` means, and whether `layer` is its name in the original code.
    pub(super) fn find(&self, component: Component, layer: &str) -> Option<(&NamedWeight, bool)> {
        let found = self.by_name.get(&(component, flat(layer)))?;
        Some((&self.weights[found.at], found.is_original))
    }

    #[cfg(test)]
    pub(super) fn weights(&self) -> &[NamedWeight] {
        &self.weights
    }
}

const TEXT_ATTENTION: [(&str, &str); 4] = [
    (".self_attn.q_proj", ".self_attn.to_q"),
    (".self_attn.k_proj", ".self_attn.to_k"),
    (".self_attn.v_proj", ".self_attn.to_v"),
    (".self_attn.out_proj", ".self_attn.to_out"),
];

/// A layer's name in kohya's form.
pub(super) fn flat(layer: &str) -> String {
    layer.replace('.', "_")
}
