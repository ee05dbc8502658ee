//! Which shapes could serve a given one, or be served by it?
//!
//! Shapes of one kind are sorted by their number of pixels. The possible answers are then next to
//! each other, and few other shapes have to be checked.

use std::collections::HashMap;

use super::problem::waste_percent;
use crate::evidence::Shape;

/// Shapes with their positions, grouped by kind and sorted by number of pixels.
pub(super) struct Near {
    kinds: HashMap<Shape, Vec<(u64, Shape, usize)>>,
}

/// A shape without its size: shapes of one kind differ in their size only.
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

    /// The positions of the shapes that could serve `own`, including that of `own` itself, the
    /// smallest first.
    pub(super) fn larger(&self, own: Shape, most_waste: f64) -> impl Iterator<Item = usize> {
        let of_kind = self.of_kind(own);
        let first = of_kind.partition_point(|(pixels, ..)| *pixels < own.pixels());
        let near = of_kind[first..]
            .iter()
            .take_while(move |(_, other, _)| waste_percent(own, *other) <= most_waste);
        near.filter(move |(_, other, _)| own.fits(*other)).map(|(.., position)| *position)
    }

    /// The positions of the shapes that `larger` could serve, including that of `larger` itself.
    pub(super) fn smaller(&self, larger: Shape, most_waste: f64) -> impl Iterator<Item = usize> {
        let of_kind = self.of_kind(larger);
        let end = of_kind.partition_point(|(pixels, ..)| *pixels <= larger.pixels());
        let near = of_kind[..end]
            .iter()
            .rev()
            .take_while(move |(_, own, _)| waste_percent(*own, larger) <= most_waste);
        near.filter(move |(_, own, _)| own.fits(larger)).map(|(.., position)| *position)
    }

    /// The shapes of the same kind with at least as many pixels as `own`, up to the number of
    /// pixels at which the waste becomes too large.
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
