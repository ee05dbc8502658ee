//! Shapes by their pixels: those that one could serve, or be served by, lie next to each other.

use std::collections::HashMap;

use super::{Shape, waste_percent};

/// Shapes with their positions, by kind and number of pixels.
pub(super) struct Near {
    kinds: HashMap<Shape, Vec<(u64, Shape, usize)>>,
}

/// A shape but for its size.
pub(super) fn kind(shape: Shape) -> Shape {
    Shape { size: [0, 0], ..shape }
}

impl Near {
    pub(super) fn new(shapes: impl Iterator<Item = Shape>) -> Self {
        let mut kinds: HashMap<Shape, Vec<_>> = HashMap::new();
        for (position, shape) in shapes.enumerate() {
            kinds.entry(kind(shape)).or_default().push((shape.pixels(), shape, position));
        }
        for shapes in kinds.values_mut() {
            shapes.sort_unstable();
        }
        Self { kinds }
    }

    /// The shapes that could serve `own`, the smallest first; itself among them.
    pub(super) fn larger(&self, own: Shape, most_waste: f64) -> impl Iterator<Item = usize> {
        let of_kind = self.of_kind(own);
        let first = of_kind.partition_point(|(pixels, ..)| *pixels < own.pixels());
        let near = of_kind[first..]
            .iter()
            .take_while(move |(_, other, _)| waste_percent(own, *other) <= most_waste);
        near.filter(move |(_, other, _)| own.fits(*other)).map(|(.., position)| *position)
    }

    /// The shapes that `larger` could serve; itself among them.
    pub(super) fn smaller(&self, larger: Shape, most_waste: f64) -> impl Iterator<Item = usize> {
        let of_kind = self.of_kind(larger);
        let end = of_kind.partition_point(|(pixels, ..)| *pixels <= larger.pixels());
        let near = of_kind[..end]
            .iter()
            .rev()
            .take_while(move |(_, own, _)| waste_percent(*own, larger) <= most_waste);
        near.filter(move |(_, own, _)| own.fits(larger)).map(|(.., position)| *position)
    }

    /// The shapes of a kind with at least as many pixels as `own`, as long as a shape of theirs
    /// could serve it.
    pub(super) fn not_smaller(&self, own: Shape, most_waste: f64) -> impl Iterator<Item = Shape> {
        let of_kind = self.of_kind(own);
        let first = of_kind.partition_point(|(pixels, ..)| *pixels < own.pixels());
        let near = of_kind[first..]
            .iter()
            .take_while(move |(_, other, _)| waste_percent(own, *other) <= most_waste);
        near.map(|(_, other, _)| *other)
    }

    fn of_kind(&self, shape: Shape) -> &[(u64, Shape, usize)] {
        self.kinds.get(&kind(shape)).map_or(&[], Vec::as_slice)
    }
}
