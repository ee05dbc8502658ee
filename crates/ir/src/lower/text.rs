//! How are statements of StableHLO written? They are appended to one string.
//!
//! Each operation that several ops need has a method, which takes arrays, computes the type of the
//! result, and writes the statement. If a reshape, transpose, slice or the like would change
//! nothing, its method writes nothing. The files of the other operations write them with
//! `Text::statement`.

use std::fmt::{self, Display, Write};

use preheat_tensor::Dtype;

/// The name of a value in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// A parameter of the function.
    Argument(u32),
    /// The only result of a statement, or an argument of a region.
    Result(u32),
    /// One of the results of a statement.
    Part(u32, u32),
}

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(index) => write!(f, "%arg{index}"),
            Self::Result(index) => write!(f, "%{index}"),
            Self::Part(index, part) => write!(f, "%{index}#{part}"),
        }
    }
}

/// A value in the text. Its dimensions are in the order in which it is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Array {
    pub(super) name: Name,
    pub(super) dtype: Dtype,
    pub(super) dims: Vec<u64>,
}

impl Array {
    /// The type as StableHLO writes it.
    pub(super) fn kind(&self) -> Kind<'_> {
        Kind(self.dtype, &self.dims)
    }
}

/// A tensor type, shown as StableHLO writes it.
pub(super) struct Kind<'a>(pub(super) Dtype, pub(super) &'a [u64]);

impl Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensor<")?;
        for dim in self.1 {
            write!(f, "{dim}x")?;
        }
        write!(f, "{}>", self.0.stablehlo())
    }
}

/// Numbers with commas between them, in brackets.
pub(super) struct List<'a, T>(pub(super) &'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (index, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
        }
        f.write_char(']')
    }
}

/// The text written so far.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
    results: u32,
    /// The number of regions around the next statement.
    depth: usize,
}

impl Text {
    /// Reserves space for a function of `nodes` nodes.
    pub(super) fn with_room_for(nodes: usize) -> Self {
        Self { out: String::with_capacity(nodes * 400), ..Self::default() }
    }

    pub(super) fn into_string(self) -> String {
        self.out
    }

    /// Writes text that is not a statement.
    pub(super) fn raw(&mut self, written: fmt::Arguments<'_>) {
        // Writing to a string fails only if a `Display` implementation fails, and those used here
        // do not.
        let _ = self.out.write_fmt(written);
    }

    /// Writes a line.
    pub(super) fn line(&mut self, written: fmt::Arguments<'_>) {
        for _ in 0..=self.depth {
            self.out.push_str("  ");
        }
        self.raw(written);
        self.out.push('\n');
    }

    /// A number that no other value has, for a new name.
    pub(super) fn fresh(&mut self) -> u32 {
        self.results += 1;
        self.results - 1
    }

    /// Opens a region, or closes one if `by` is negative.
    pub(super) fn indent(&mut self, by: isize) {
        self.depth = self.depth.saturating_add_signed(by);
    }

    /// Writes a statement whose result is an array of `dims`.
    pub(super) fn statement(
        &mut self,
        dtype: Dtype,
        dims: Vec<u64>,
        written: fmt::Arguments<'_>,
    ) -> Array {
        let index = self.fresh();
        self.line(format_args!("%{index} = {written}"));
        Array { name: Name::Result(index), dtype, dims }
    }

    /// An op that keeps the type of its operand.
    pub(super) fn unary(&mut self, op: &str, x: &Array) -> Array {
        self.statement(x.dtype, x.dims.clone(), format_args!("{op} {} : {}", x.name, x.kind()))
    }

    /// An op on two arrays of one type.
    pub(super) fn binary(&mut self, op: &str, x: &Array, y: &Array) -> Array {
        let written = format_args!("stablehlo.{op} {}, {} : {}", x.name, y.name, x.kind());
        self.statement(x.dtype, x.dims.clone(), written)
    }

    pub(super) fn convert(&mut self, x: &Array, dtype: Dtype) -> Array {
        if x.dtype == dtype {
            return x.clone();
        }
        let (from, to) = (x.kind(), Kind(dtype, &x.dims));
        self.statement(
            dtype,
            x.dims.clone(),
            format_args!("stablehlo.convert {} : ({from}) -> {to}", x.name),
        )
    }

    pub(super) fn reshape(&mut self, x: &Array, dims: Vec<u64>) -> Array {
        if x.dims == dims {
            return x.clone();
        }
        let name = x.name;
        let index = self.fresh();
        self.line(format_args!(
            "%{index} = stablehlo.reshape {name} : ({}) -> {}",
            x.kind(),
            Kind(x.dtype, &dims)
        ));
        Array { name: Name::Result(index), dtype: x.dtype, dims }
    }

    /// Dimension `i` of the result is dimension `order[i]` of `x`. If only dimensions of size 1
    /// change their positions, no element moves, and a reshape is written.
    pub(super) fn transpose(&mut self, x: &Array, order: &[usize]) -> Array {
        if order.iter().enumerate().all(|(to, &from)| to == from) {
            return x.clone();
        }
        let dims: Vec<u64> = order.iter().map(|&from| x.dims[from]).collect();
        if order.iter().filter(|&&from| x.dims[from] != 1).is_sorted() {
            return self.reshape(x, dims);
        }
        let index = self.fresh();
        let to = Kind(x.dtype, &dims);
        self.line(format_args!(
            "%{index} = stablehlo.transpose {}, dims = {} : ({}) -> {to}",
            x.name,
            List(order),
            x.kind()
        ));
        Array { name: Name::Result(index), dtype: x.dtype, dims }
    }

    /// Dimension `i` of `x` becomes dimension `at[i]` of an array of `dims`; it is repeated if it
    /// has size 1.
    pub(super) fn broadcast(&mut self, x: &Array, at: &[usize], dims: &[u64]) -> Array {
        if x.dims == dims {
            return x.clone();
        }
        let (from, to) = (x.kind(), Kind(x.dtype, dims));
        let written = format_args!(
            "stablehlo.broadcast_in_dim {}, dims = {} : ({from}) -> {to}",
            x.name,
            List(at)
        );
        self.statement(x.dtype, dims.to_vec(), written)
    }

    /// An array with `value` in every element.
    pub(super) fn splat(&mut self, value: f32, dtype: Dtype, dims: &[u64]) -> Array {
        let index = self.fresh();
        let (value, kind) = (Number(value, dtype), Kind(dtype, dims));
        self.line(format_args!("%{index} = stablehlo.constant dense<{value}> : {kind}"));
        Array { name: Name::Result(index), dtype, dims: dims.to_vec() }
    }

    /// A whole number in an int32 scalar.
    pub(super) fn integer(&mut self, value: u64) -> Array {
        let written = format_args!("stablehlo.constant dense<{value}> : tensor<i32>");
        self.statement(Dtype::Int32, Vec::new(), written)
    }

    /// Whole numbers, each in 0 to 2^31 - 1.
    pub(super) fn integers(&mut self, values: &[u64]) -> Array {
        let length = values.len();
        let written =
            format_args!("stablehlo.constant dense<{}> : tensor<{length}xi32>", List(values));
        self.statement(Dtype::Int32, vec![length as u64], written)
    }

    /// 0, 1, 2, ... along `axis`, in int32.
    pub(super) fn iota(&mut self, axis: usize, dims: &[u64]) -> Array {
        let written = format_args!("stablehlo.iota dim = {axis} : {}", Kind(Dtype::Int32, dims));
        self.statement(Dtype::Int32, dims.to_vec(), written)
    }

    /// Compares two int32 arrays.
    pub(super) fn compare(&mut self, how: &str, x: &Array, y: &Array) -> Array {
        let (kind, truth) = (x.kind(), Kind(Dtype::Bool, &x.dims));
        let written = format_args!(
            "stablehlo.compare {how}, {}, {}, SIGNED : ({kind}, {kind}) -> {truth}",
            x.name, y.name
        );
        self.statement(Dtype::Bool, x.dims.clone(), written)
    }

    /// `x` where `condition` holds, else `y`.
    pub(super) fn select(&mut self, condition: &Array, x: &Array, y: &Array) -> Array {
        let (truth, kind) = (condition.kind(), x.kind());
        let written = format_args!(
            "stablehlo.select {}, {}, {} : {truth}, {kind}",
            condition.name, x.name, y.name
        );
        self.statement(x.dtype, x.dims.clone(), written)
    }

    /// Reduces the dimensions `over`, with `first` as the initial value.
    pub(super) fn reduce(&mut self, op: &str, x: &Array, over: &[usize], first: f32) -> Array {
        let first = self.splat(first, x.dtype, &[]);
        let stays = |(at, _): &(usize, &u64)| !over.contains(at);
        let dims: Vec<u64> = x.dims.iter().enumerate().filter(stays).map(|(_, &dim)| dim).collect();
        let index = self.fresh();
        self.line(format_args!(
            "%{index} = stablehlo.reduce({} init: {}) applies stablehlo.{op} across dimensions = {} : ({}, {}) -> {}",
            x.name,
            first.name,
            List(over),
            x.kind(),
            first.kind(),
            Kind(x.dtype, &dims)
        ));
        Array { name: Name::Result(index), dtype: x.dtype, dims }
    }

    /// The cells `from[i]..to[i]` of each dimension.
    pub(super) fn slice(&mut self, x: &Array, from: &[u64], to: &[u64]) -> Array {
        let dims: Vec<u64> = from.iter().zip(to).map(|(from, to)| to - from).collect();
        if dims == x.dims {
            return x.clone();
        }
        let index = self.fresh();
        let ranges: Vec<String> =
            from.iter().zip(to).map(|(from, to)| format!("{from}:{to}")).collect();
        self.line(format_args!(
            "%{index} = stablehlo.slice {} {} : ({}) -> {}",
            x.name,
            List(&ranges),
            x.kind(),
            Kind(x.dtype, &dims)
        ));
        Array { name: Name::Result(index), dtype: x.dtype, dims }
    }

    /// The part of `x` that has the shape `size` and begins at `at`. XLA moves the beginning so
    /// that the part lies inside `x`.
    pub(super) fn dynamic_slice(&mut self, x: &Array, at: &[&Array], size: &[u64]) -> Array {
        let (names, kinds) = starts(at);
        let (from, to, size_list) = (x.kind(), Kind(x.dtype, size), List(size));
        let written = format_args!(
            "stablehlo.dynamic_slice {}, {names}, sizes = {size_list} : ({from}, {kinds}) -> {to}",
            x.name
        );
        self.statement(x.dtype, size.to_vec(), written)
    }

    /// `x` with `part` written over the place that begins at `at`.
    pub(super) fn dynamic_update_slice(&mut self, x: &Array, part: &Array, at: &[&Array]) -> Array {
        let (names, kinds) = starts(at);
        let (whole, given) = (x.kind(), part.kind());
        let written = format_args!(
            "stablehlo.dynamic_update_slice {}, {}, {names} : ({whole}, {given}, {kinds}) -> {whole}",
            x.name, part.name
        );
        self.statement(x.dtype, x.dims.clone(), written)
    }

    /// A loop that runs `body` `times` times. `body` receives its previous results, or `carried`
    /// the first time. The first array is an int32 counter, which starts at 0 and which `body`
    /// increments.
    pub(super) fn repeat(
        &mut self,
        carried: &[Array],
        times: u64,
        body: impl FnOnce(&mut Self, &[Array]) -> Vec<Array>,
    ) -> Vec<Array> {
        let result = self.fresh();
        let rename = |array: &Array, name| Array { name, ..array.clone() };
        let inside: Vec<Array> =
            carried.iter().map(|array| rename(array, Name::Result(self.fresh()))).collect();
        let given: Vec<String> = inside
            .iter()
            .zip(carried)
            .map(|(to, from)| format!("{} = {}", to.name, from.name))
            .collect();
        let kinds = kinds_of(carried);
        self.line(format_args!(
            "%{result}:{} = stablehlo.while({}) : {kinds}",
            carried.len(),
            given.join(", ")
        ));
        self.line(format_args!("cond {{"));
        self.indent(1);
        let limit = self.integer(times);
        if let Some(counter) = inside.first() {
            let more = self.compare("LT", counter, &limit);
            self.line(format_args!("stablehlo.return {} : {}", more.name, more.kind()));
        }
        self.indent(-1);
        self.line(format_args!("}} do {{"));
        self.indent(1);
        let next = body(self, &inside);
        let names: Vec<String> = next.iter().map(|array| array.name.to_string()).collect();
        self.line(format_args!("stablehlo.return {} : {kinds}", names.join(", ")));
        self.indent(-1);
        self.line(format_args!("}}"));
        (0..).zip(carried).map(|(part, array)| rename(array, Name::Part(result, part))).collect()
    }

    /// A matrix product: products over the contracted dimensions, summed in `dtype`.
    pub(super) fn dot(&mut self, x: &Array, y: &Array, dims: &Dot<'_>, dtype: Dtype) -> Array {
        let of = |array: &Array, skip: [&[usize]; 2]| -> Vec<u64> {
            let stays = |at: usize| !skip.iter().any(|skip| skip.contains(&at));
            array
                .dims
                .iter()
                .enumerate()
                .filter(|(at, _)| stays(*at))
                .map(|(_, &dim)| dim)
                .collect()
        };
        let mut result: Vec<u64> = dims.batch.0.iter().map(|&at| x.dims[at]).collect();
        result.extend(of(x, [dims.batch.0, dims.contract.0]));
        result.extend(of(y, [dims.batch.1, dims.contract.1]));
        let index = self.fresh();
        self.line(format_args!(
            "%{index} = stablehlo.dot_general {}, {}, {dims}, precision = {} : ({}, {}) -> {}",
            x.name,
            y.name,
            dims.precision.pair(),
            x.kind(),
            y.kind(),
            Kind(dtype, &result)
        ));
        Array { name: Name::Result(index), dtype, dims: result }
    }
}

/// The names and the types of the scalars at which a part begins.
fn starts(at: &[&Array]) -> (String, String) {
    let names: Vec<String> = at.iter().map(|start| start.name.to_string()).collect();
    let kinds: Vec<String> = at.iter().map(|start| start.kind().to_string()).collect();
    (names.join(", "), kinds.join(", "))
}

fn kinds_of(arrays: &[Array]) -> String {
    let kinds: Vec<String> = arrays.iter().map(|array| array.kind().to_string()).collect();
    kinds.join(", ")
}

/// The dimensions of the operands of a product.
pub(super) struct Dot<'a> {
    pub(super) batch: (&'a [usize], &'a [usize]),
    pub(super) contract: (&'a [usize], &'a [usize]),
    pub(super) precision: Precision,
}

impl Display for Dot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.batch.0.is_empty() {
            write!(f, "batching_dims = {} x {}, ", List(self.batch.0), List(self.batch.1))?;
        }
        write!(f, "contracting_dims = {} x {}", List(self.contract.0), List(self.contract.1))
    }
}

/// How exactly a TPU multiplies f32. By default it rounds the factors to bf16 first. On a CPU this
/// changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// Factors are rounded to bf16.
    Default,
    /// Factors are not rounded.
    Highest,
}

impl Precision {
    /// The precision for operands of `dtype`: products of f32 are computed in full f32.
    pub(super) fn of(dtype: Dtype) -> Self {
        if dtype == Dtype::Float32 { Self::Highest } else { Self::Default }
    }

    pub(super) fn pair(self) -> &'static str {
        match self {
            Self::Default => "[DEFAULT, DEFAULT]",
            Self::Highest => "[HIGHEST, HIGHEST]",
        }
    }
}

/// A number as a constant of a dtype: a decimal that is read back as the same f32, or the number's
/// bits if it is not finite.
struct Number(f32, Dtype);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self(value, dtype) = self;
        if !value.is_finite() {
            let negative = value.is_sign_negative() && !value.is_nan();
            return f.write_str(match (dtype, value.is_nan(), negative) {
                (Dtype::BFloat16, true, _) => "0x7FC0",
                (Dtype::BFloat16, _, false) => "0x7F80",
                (Dtype::BFloat16, _, true) => "0xFF80",
                (Dtype::Float16, true, _) => "0x7E00",
                (Dtype::Float16, _, false) => "0x7C00",
                (Dtype::Float16, _, true) => "0xFC00",
                (_, true, _) => "0x7FC00000",
                (_, _, false) => "0x7F800000",
                (_, _, true) => "0xFF800000",
            });
        }
        // The grammar requires a decimal point in a float; Rust omits it before an exponent.
        let plain = value == 0.0 || (1e-4..1e9).contains(&value.abs());
        if plain {
            return write!(f, "{value:?}");
        }
        let scientific = format!("{value:e}");
        match scientific.split_once('e') {
            Some((mantissa, exponent)) if !mantissa.contains('.') => {
                write!(f, "{mantissa}.0e{exponent}")
            }
            _ => f.write_str(&scientific),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_as_they_were() {
        for value in [
            0.0,
            -0.0,
            1.0,
            0.1,
            1e-5,
            1e-6,
            3.4e38,
            1.2e-38,
            1e-45,
            -1.5e20,
            1e9,
            16_777_217.0,
            0.707_106_77,
        ] {
            let text = Number(value, Dtype::Float32).to_string();
            assert!(text.contains('.'), "{text}");
            #[expect(clippy::cast_possible_truncation, reason = "the text's parser does the same")]
            let read = text.parse::<f64>().unwrap() as f32;
            assert_eq!(read.to_bits(), value.to_bits(), "{text}");
        }
        assert_eq!(Number(f32::NEG_INFINITY, Dtype::BFloat16).to_string(), "0xFF80");
        assert_eq!(Number(f32::NEG_INFINITY, Dtype::Float32).to_string(), "0xFF800000");
    }
}
