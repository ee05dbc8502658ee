//! How are the tensors of a call brought to the shape of a larger executable, and back?

use preheat_tensor::{AlignedBytes, Tensor, TensorError, TensorType};

use super::error::Error;
use super::padding::{Padding, Scaled};

/// Converts the tensors of one call from the request's shape to the executable's shape, and the
/// results back.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    pub(super) stage: String,
    pub(super) padding: Padding,
    /// The shape of the request.
    pub(super) own: Vec<u64>,
    /// The shape that the executable was compiled for.
    pub(super) larger: Vec<u64>,
}

impl Fit {
    /// The inputs, with zeros appended.
    pub(super) fn pad(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        self.resize("input", inputs, &self.padding.inputs, &self.own, &self.larger)
    }

    /// The beginning of each output, which is the part that the request asked for.
    pub(super) fn crop(&self, outputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        self.resize("output", outputs, &self.padding.outputs, &self.larger, &self.own)
    }

    fn resize(
        &self,
        what: &'static str,
        tensors: &[Tensor],
        declared: &[(usize, Scaled)],
        from: &[u64],
        to: &[u64],
    ) -> Result<Vec<Tensor>, Error> {
        let one = |(index, tensor): (usize, &Tensor)| {
            let mut kind = tensor.kind().clone();
            for (_, scaled) in declared.iter().filter(|(of, _)| *of == index) {
                let size = |shape: &[u64]| {
                    shape.get(scaled.of).and_then(|side| side.checked_mul(scaled.factor))
                };
                let misfit = || self.misfit(what, index, *scaled, from, tensor.kind());
                let (wanted, has) = (size(from), tensor.kind().dims.get(scaled.dimension).copied());
                let (Some(new), Some(place)) = (size(to), kind.dims.get_mut(scaled.dimension))
                else {
                    return Err(misfit());
                };
                if wanted != has {
                    return Err(misfit());
                }
                *place = new;
            }
            Ok(resized(tensor, kind)?)
        };
        tensors.iter().enumerate().map(one).collect()
    }

    fn misfit(
        &self,
        what: &'static str,
        index: usize,
        scaled: Scaled,
        shape: &[u64],
        kind: &TensorType,
    ) -> Error {
        let Scaled { dimension, of, factor } = scaled;
        let declared = format!("dimension {dimension} is {factor} times number {of} of {shape:?}");
        Error::Padding { stage: self.stage.clone(), what, index, declared, given: kind.to_string() }
    }
}

/// A tensor of type `kind`. It has the elements of `tensor` that lie within both shapes, and zeros
/// elsewhere. `kind` and `tensor` have the same rank and dtype.
fn resized(tensor: &Tensor, kind: TensorType) -> Result<Tensor, TensorError> {
    if *tensor.kind() == kind {
        return Ok(tensor.clone());
    }
    let element_bytes = kind.dtype.bytes()?;
    let sizes = |kind: &TensorType| -> Vec<usize> {
        kind.dims.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect()
    };
    let (from, to) = (sizes(tensor.kind()), sizes(&kind));
    let mut bytes = AlignedBytes::zeroed(kind.dtype.array_bytes(&kind.dims)?)?;
    let common: Vec<usize> = from.iter().zip(&to).map(|(from, to)| *from.min(to)).collect();
    let Some((&run, outer)) = common.split_last() else { return Ok(tensor.clone()) };
    // The offset at which a row of the last dimension begins in a tensor of `sizes`. The row's
    // number counts the rows that both tensors have.
    let offset = |sizes: &[usize], mut row: usize| {
        let (mut offset, mut stride) = (0, sizes.last().copied().unwrap_or(1));
        for (size, common) in sizes.iter().zip(outer).rev() {
            offset += row % common * stride;
            row /= common;
            stride *= size;
        }
        offset * element_bytes
    };
    let run = run * element_bytes;
    for row in 0..outer.iter().product() {
        let (read, write) = (offset(&from, row), offset(&to, row));
        bytes[write..write + run].copy_from_slice(&tensor.bytes()[read..read + run]);
    }
    Ok(Tensor::from_aligned(kind, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dimensions: &[u64]) -> Tensor {
        let count = u16::try_from(dimensions.iter().product::<u64>()).unwrap();
        let values: Vec<f32> = (1..=count).map(f32::from).collect();
        Tensor::from_f32(dimensions, &values).unwrap()
    }

    fn to(tensor: &Tensor, dimensions: &[u64]) -> Vec<f32> {
        let kind = TensorType { dims: dimensions.to_vec(), ..tensor.kind().clone() };
        resized(tensor, kind).unwrap().to_f32().unwrap()
    }

    #[test]
    fn padding_adds_zeros_behind_and_cropping_takes_them_off() {
        assert_eq!(to(&tensor(&[2, 2]), &[3, 4]), [1., 2., 0., 0., 3., 4., 0., 0., 0., 0., 0., 0.]);
        assert_eq!(to(&tensor(&[3, 4]), &[2, 2]), [1., 2., 5., 6.]);
        assert_eq!(
            to(&tensor(&[2, 1, 2]), &[2, 2, 3]),
            [1., 2., 0., 0., 0., 0., 3., 4., 0., 0., 0., 0.]
        );
        // One side grows while the other shrinks.
        assert_eq!(to(&tensor(&[2, 2]), &[1, 3]), [1., 2., 0.]);
        assert_eq!(to(&tensor(&[0, 2]), &[1, 2]), [0., 0.]);
        assert_eq!(to(&tensor(&[2, 2]), &[0, 2]), [] as [f32; 0]);
        assert_eq!(to(&tensor(&[]), &[]), [1.]);
        let wide = tensor(&[2, 3, 4, 5]);
        let padded =
            resized(&wide, TensorType { dims: vec![3, 3, 7, 6], ..wide.kind().clone() }).unwrap();
        assert_eq!(to(&padded, &[2, 3, 4, 5]), wide.to_f32().unwrap());
    }

    #[test]
    fn only_declared_sides_may_grow() {
        let rows = Scaled { dimension: 0, of: 2, factor: 1 };
        let padding = Padding::default().input(0, rows);
        assert!(
            padding.covers(&[1, 4, 8, 8], &[1, 4, 9, 8])
                && padding.covers(&[1, 4, 8, 8], &[1, 4, 8, 8])
        );
        for larger in [&[1, 4, 7, 8][..], &[1, 4, 9, 9], &[2, 4, 9, 8], &[1, 4, 9]] {
            assert!(!padding.covers(&[1, 4, 8, 8], larger), "{larger:?}");
        }
    }
}
