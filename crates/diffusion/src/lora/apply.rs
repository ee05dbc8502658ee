//! How is a weight changed?
//!
//! The weight is a matrix of f32 in the order of the model's file. One LoRA after the other changes
//! it in place, and the caller rounds it once at the end.

use std::sync::Arc;

use ndarray::{ArrayViewMut2, Axis};

use super::LoraError;
use super::file::{Layer, LoraFile};
use super::network::Values as _;
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

/// Changes `values`, a weight of `rows` rows, by these patches.
pub(super) fn apply(values: &mut [f32], rows: usize, patches: &[Patch]) -> Result<(), LoraError> {
    let columns = values.len() / rows.max(1);
    // A weight has as many values as its shape says.
    let Ok(mut weight) = ArrayViewMut2::from_shape((rows, columns), values) else { return Ok(()) };
    for patch in patches {
        let Some(layer) = patch.layer() else { continue };
        layer.network.add_to(&mut weight, layer.scale * patch.weight, &*patch.file)?;
        if let Some(magnitude) = &layer.magnitude {
            let norms = patch.file.matrix(magnitude)?;
            normalise(&mut weight, norms.iter().copied());
        }
    }
    Ok(())
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
