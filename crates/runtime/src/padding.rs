//! What does a graph's builder declare so that an executable for a larger shape may serve a
//! request?
//!
//! It declares which dimensions grow with the shape. The tensors of a call are padded and cropped
//! by these declarations (`fit.rs`).

/// A dimension of an input or output that is a multiple of one number of the signature's
/// `input_shape`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scaled {
    /// Which dimension of the tensor, from 0.
    pub dimension: usize,
    /// Which number of `input_shape`, from 0.
    pub of: usize,
    /// The factor by which that number is multiplied.
    pub factor: u64,
}

/// Which dimensions of a graph's inputs and outputs grow with the shape in the signature.
///
/// A builder that declares this promises two things. First, it builds a graph of the same meaning
/// for every shape. Second, zeros after the end of the inputs change nothing that matters in the
/// part of the outputs that is kept. Only the builder's author can judge this: a convolution reads
/// the zeros near the edge, and a normalisation over the whole tensor reads all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Padding {
    /// Each declared dimension, with the position of its tensor.
    pub(super) inputs: Vec<(usize, Scaled)>,
    pub(super) outputs: Vec<(usize, Scaled)>,
}

impl Padding {
    /// Declares a dimension of input number `index`, from 0.
    #[must_use]
    pub fn input(mut self, index: usize, scaled: Scaled) -> Self {
        self.inputs.push((index, scaled));
        self
    }

    /// Declares a dimension of output number `index`, from 0.
    #[must_use]
    pub fn output(mut self, index: usize, scaled: Scaled) -> Self {
        self.outputs.push((index, scaled));
        self
    }

    /// Whether a request of `shape` may be served at the shape `larger`. A number in `larger` may
    /// exceed the number at the same position in `shape` if a dimension was declared for this
    /// position. All other numbers must be equal.
    pub(super) fn covers(&self, shape: &[u64], larger: &[u64]) -> bool {
        let declared = |side: usize| {
            self.inputs.iter().chain(&self.outputs).any(|(_, scaled)| scaled.of == side)
        };
        let mut sides = shape.iter().zip(larger).enumerate();
        shape.len() == larger.len()
            && sides.all(|(side, (own, larger))| own == larger || (own < larger && declared(side)))
    }
}
