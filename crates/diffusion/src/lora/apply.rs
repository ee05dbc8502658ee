//! How is a weight changed?
//!
//! The weight is a matrix of f32 in the order of the model's file. Some rows at a time, one LoRA
//! after the other changes it in place, and the caller rounds it once at the end.

use std::sync::Arc;

use ndarray::{ArrayViewMut2, Axis};

use super::LoraError;
use super::file::{Layer, LoraFile};
use super::network::{ReadyNetwork, Values as _};
use crate::models::Component;

/// One LoRA's change of one weight.
#[derive(Debug, Clone)]
pub(super) struct Patch {
    pub(super) file: Arc<LoraFile>,
    /// The file's number in this process.
    pub(super) file_id: u64,
    /// The LoRA's weight in the request.
    pub(super) weight: f32,
    pub(super) component: Component,
    /// The weight's name.
    pub(super) name: String,
}

impl Patch {
    fn layer(&self) -> Option<&Layer> {
        self.file.layers.get(&self.component)?.get(&self.name)
    }
}

impl PartialEq for Patch {
    fn eq(&self, other: &Self) -> bool {
        (self.file_id, self.weight.to_bits()) == (other.file_id, other.weight.to_bits())
    }
}

/// The changes of one weight by some patches, one after the other. Everything that they need from
/// the patches' files is in memory.
pub(super) struct Ready {
    patches: Vec<ReadyPatch>,
}

struct ReadyPatch {
    network: ReadyNetwork,
    scale: f32,
    /// The norms of the changed rows.
    norms: Option<Vec<f32>>,
}

impl Ready {
    /// Reads what the patches need.
    pub(super) fn new(patches: &[Patch]) -> Result<Self, LoraError> {
        let mut ready = Vec::with_capacity(patches.len());
        for patch in patches {
            let Some(layer) = patch.layer() else { continue };
            let norms = layer.magnitude.as_ref().map(|norms| patch.file.matrix(norms));
            ready.push(ReadyPatch {
                network: layer.network.ready(&*patch.file)?,
                scale: layer.scale * patch.weight,
                norms: norms.transpose()?.map(|norms| norms.iter().copied().collect()),
            });
        }
        Ok(Self { patches: ready })
    }

    /// Changes some rows of the weight, of `columns` values each. `first` is the number of the
    /// first one.
    pub(super) fn change(&self, first: usize, columns: usize, values: &mut [f32]) {
        let rows = values.len() / columns.max(1);
        // There are only whole rows.
        let Ok(mut weight) = ArrayViewMut2::from_shape((rows, columns), values) else { return };
        for patch in &self.patches {
            patch.network.add_to(&mut weight, first, patch.scale);
            if let Some(norms) = &patch.norms {
                normalise(&mut weight, norms.iter().copied().skip(first));
            }
        }
    }
}

/// Gives each row the norm that was learned for it (DoRA, arXiv 2402.09353, equation 5).
#[expect(clippy::cast_possible_truncation, reason = "weights are changed in f32")]
fn normalise(weight: &mut ArrayViewMut2<'_, f32>, norms: impl Iterator<Item = f32>) {
    for (mut row, norm) in weight.axis_iter_mut(Axis(0)).zip(norms) {
        let squares: f64 = row.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        let factor = norm / squares.sqrt() as f32;
        row.mapv_inplace(|value| value * factor);
    }
}
