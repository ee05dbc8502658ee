//! In which order does the program hold each value's dimensions? This module walks over the
//! function and keeps track of the orders.

use super::LoweringTarget;
use super::text::{Array, Kind, Name, Text};
use preheat_tensor::TensorType;

use crate::graph::{Node, Op, Value, Verified};

/// Channels last: the order in which values of pictures are held.
pub(super) const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];

/// An array that holds a value.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) array: Array,
    /// Dimension `i` of the array is dimension `order[i]` of the value.
    pub(super) order: Vec<usize>,
}

impl Held {
    /// A value that is held in its declared order.
    pub(super) fn row_major(array: Array) -> Self {
        let order = (0..array.dims.len()).collect();
        Self { array, order }
    }

    /// The position of the value's dimension `axis` in the array.
    pub(super) fn position(&self, axis: usize) -> usize {
        position(&self.order, axis)
    }
}

/// The position of `axis` in `order`, which contains it.
pub(super) fn position(order: &[usize], axis: usize) -> usize {
    order.iter().position(|&held| held == axis).unwrap_or(axis)
}

/// `items` in `order`.
pub(super) fn arranged<T: Copy>(items: &[T], order: &[usize]) -> Vec<T> {
    order.iter().map(|&at| items[at]).collect()
}

/// A function that is being lowered.
pub(super) struct Lowering<'f> {
    pub(super) function: &'f Verified,
    pub(super) target: LoweringTarget,
    pub(super) text: Text,
    /// Each value, in each order that an op has needed so far. The first is the order in which the
    /// value was made. A fill is made where it is used.
    held: Vec<Vec<Held>>,
    weight_orders: &'f [Vec<usize>],
}

impl<'f> Lowering<'f> {
    pub(super) fn new(
        function: &'f Verified,
        target: LoweringTarget,
        weight_orders: &'f [Vec<usize>],
    ) -> Self {
        let nodes = function.nodes().len();
        Self {
            function,
            target,
            text: Text::with_room_for(nodes),
            held: vec![Vec::new(); nodes],
            weight_orders,
        }
    }

    /// Lowers the function and returns the whole text.
    pub(super) fn run(mut self) -> String {
        self.head();
        for (value, node) in self.function.values() {
            let held = match &node.op {
                Op::Fill(_) => continue,
                op => self.lower(op, node),
            };
            self.held[value.index()].push(held);
        }
        let outputs: Vec<Array> =
            self.function.outputs().iter().map(|output| self.row_major(output.value)).collect();
        self.text.raw(format_args!("    return"));
        self.listed(&outputs, |text, array| text.raw(format_args!("{}", array.name)));
        self.text.raw(format_args!(" :"));
        self.listed(&outputs, |text, array| text.raw(format_args!("{}", array.kind())));
        self.text.raw(format_args!("\n  }}\n}}\n"));
        self.text.into_string()
    }

    fn listed(&mut self, arrays: &[Array], write: impl Fn(&mut Text, &Array)) {
        for (index, array) in arrays.iter().enumerate() {
            self.text.raw(format_args!("{}", if index == 0 { " " } else { ", " }));
            write(&mut self.text, array);
        }
    }

    /// The module's and the function's first lines.
    fn head(&mut self) {
        let function = self.function;
        self.text.raw(format_args!("module @preheat {{\n  func.func public @main("));
        let inputs = function.inputs().len();
        for index in 0..inputs + function.weights().len() {
            if index > 0 {
                self.text.raw(format_args!(", "));
            }
            let (kind, order) = self.argument(index);
            let dims = arranged(&kind.dims, &order);
            self.text.raw(format_args!("%arg{index}: {}", Kind(kind.dtype, &dims)));
            let donated = |value: Value| matches!(function.nodes()[value.index()].op, Op::Input(at) if at as usize == index);
            if let Some(at) =
                function.outputs().iter().position(|output| output.donated.is_some_and(donated))
            {
                self.text.raw(format_args!(" {{tf.aliasing_output = {at} : i32}}"));
            }
        }
        self.text.raw(format_args!(") -> ("));
        for (index, output) in function.outputs().iter().enumerate() {
            let kind = function.type_of(output.value);
            let comma = if index == 0 { "" } else { ", " };
            self.text.raw(format_args!("{comma}{}", Kind(kind.dtype, &kind.dims)));
        }
        self.text.raw(format_args!(") {{\n"));
        self.text.indent(1);
    }

    /// The type of a parameter, and the order in which the program takes its dimensions.
    fn argument(&self, index: usize) -> (&'f TensorType, Vec<usize>) {
        let inputs = self.function.inputs();
        match inputs.get(index) {
            Some(decl) => (&decl.kind, (0..decl.kind.dims.len()).collect()),
            None => (
                &self.function.weights()[index - inputs.len()].kind,
                self.weight_orders[index - inputs.len()].clone(),
            ),
        }
    }

    fn parameter(&self, index: usize) -> Held {
        let (kind, order) = self.argument(index);
        // The function has no more parameters than nodes, and nodes are numbered in 32 bits.
        let name = Name::Argument(u32::try_from(index).unwrap_or(u32::MAX));
        Held { array: Array { name, dtype: kind.dtype, dims: arranged(&kind.dims, &order) }, order }
    }

    fn lower(&mut self, op: &Op, node: &Node) -> Held {
        match op {
            Op::Input(index) => self.parameter(*index as usize),
            Op::Weight(index) => self.parameter(self.function.inputs().len() + *index as usize),
            Op::Literal(values) => self.literal(values, &node.kind.dims),
            Op::Fill(value) => {
                Held::row_major(self.text.splat(*value, node.kind.dtype, &node.kind.dims))
            }
            Op::Unary(op, x) => self.unary(*op, *x),
            Op::Binary(op, x, y) => self.binary(*op, *x, *y, &node.kind.dims),
            Op::Convert(x, dtype) => {
                let Held { array, order } = self.any(*x);
                Held { array: self.text.convert(&array, *dtype), order }
            }
            Op::Conv2d { x, weight, bias, stride, padding } => {
                self.conv2d([*x, *weight], *bias, [*stride, *padding], &node.kind.dims)
            }
            Op::Linear { x, weight, bias } => self.linear(*x, *weight, *bias),
            Op::GroupNorm { norm, groups } => self.group_norm(norm, *groups),
            Op::LayerNorm(norm) => self.layer_norm(norm),
            Op::Attention(attention) => self.attention(attention),
            Op::Upsample { x, size } => self.upsample(*x, *size),
            Op::Concat { parts, axis } => self.concat(parts, *axis, &node.kind.dims),
            Op::Slice { x, axis, start, end } => self.slice(*x, *axis, *start, *end),
            Op::Reshape(x) => self.reshape(*x, &node.kind.dims),
            Op::Permute(x, order) => self.permute(*x, order),
            Op::Broadcast(x) => self.broadcast(*x, &node.kind.dims),
            Op::Embedding { table, ids } => self.embedding(*table, *ids),
            Op::SelectRow { x, rows } => self.select_row(*x, *rows),
        }
    }

    /// `value` in the order in which it was made.
    pub(super) fn any(&mut self, value: Value) -> Held {
        if let Some(held) = self.held[value.index()].first() {
            return held.clone();
        }
        let node = &self.function.nodes()[value.index()];
        self.lower(&node.op, node)
    }

    /// `value` with its dimensions in `order`.
    pub(super) fn in_order(&mut self, value: Value, order: &[usize]) -> Array {
        if let Some(held) = self.held[value.index()].iter().find(|held| held.order == order) {
            return held.array.clone();
        }
        let held = self.any(value);
        let moved: Vec<usize> = order.iter().map(|&axis| held.position(axis)).collect();
        let array = self.text.transpose(&held.array, &moved);
        let made = &mut self.held[value.index()];
        if !made.is_empty() {
            made.push(Held { array: array.clone(), order: order.to_vec() });
        }
        array
    }

    /// `value` in its declared order.
    pub(super) fn row_major(&mut self, value: Value) -> Array {
        let rank = self.function.type_of(value).dims.len();
        self.in_order(value, &(0..rank).collect::<Vec<_>>())
    }

    /// The order for an op on `values` whose result has `rank` dimensions: the order of the largest
    /// value. Among equally large values, one that is not row-major wins. Fills, and values of
    /// other ranks such as scalars, do not count.
    pub(super) fn common_order(&mut self, values: &[Value], rank: usize) -> Vec<usize> {
        let mut best: Option<((u64, bool), Vec<usize>)> = None;
        for &value in values {
            let kind = self.function.type_of(value);
            if kind.dims.len() != rank || self.is_fill(value) {
                continue;
            }
            let (elements, order) = (kind.elements(), self.any(value).order);
            let rating = (elements, !order.is_sorted());
            if best.as_ref().is_none_or(|(so_far, _)| rating > *so_far) {
                best = Some((rating, order));
            }
        }
        best.map_or_else(|| (0..rank).collect(), |(_, order)| order)
    }

    /// Whether `value` is a fill: the same number in every element, so that its order does not
    /// matter.
    pub(super) fn is_fill(&self, value: Value) -> bool {
        matches!(self.function.nodes()[value.index()].op, Op::Fill(_))
    }
}
