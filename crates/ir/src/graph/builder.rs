//! How is a graph built? Op by op, with the methods of [`FunctionBuilder`].

use preheat_tensor::Dtype;

use super::infer::infer;
use super::op::{Attention, BinaryOp, Norm, Op, UnaryOp};
use super::{
    Function, GraphError, InputDecl, Node, OutputDecl, TensorType, Value, Verified, WeightDecl,
};

/// Makes a [`Function`]. A method that adds an op fails at once if the operands do not fit, or if
/// the result would have more than 2^63 - 1 bytes. Shapes and formulas are documented at [`Op`].
#[derive(Debug)]
pub struct FunctionBuilder {
    function: Function,
}

impl FunctionBuilder {
    /// An empty function. Error messages contain its name.
    pub fn new(name: impl Into<String>) -> Self {
        let (name, nodes, inputs, weights, outputs) =
            (name.into(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { function: Function { name, nodes, inputs, weights, outputs } }
    }

    /// Declares an input: a tensor that the caller passes at each execution.
    pub fn input(&mut self, name: impl Into<String>, kind: TensorType) -> Value {
        let index = position(self.function.inputs.len());
        self.function.inputs.push(InputDecl { name: name.into(), kind: kind.clone() });
        self.push(Op::Input(index), kind)
    }

    /// Reads a tensor of the checkpoint, in f32. [`super::autocast`] decides which tensors are read
    /// in a smaller dtype.
    pub fn weight(&mut self, name: impl Into<String>, dims: impl Into<Vec<u64>>) -> Value {
        let (index, kind) =
            (position(self.function.weights.len()), TensorType::new(Dtype::Float32, dims));
        self.function.weights.push(WeightDecl { name: name.into(), kind: kind.clone() });
        self.push(Op::Weight(index), kind)
    }

    /// A constant of f32 numbers, row-major.
    ///
    /// # Errors
    /// If `dims` has more or fewer elements than `values`.
    pub fn literal(
        &mut self,
        dims: impl Into<Vec<u64>>,
        values: impl Into<Vec<f32>>,
    ) -> Result<Value, GraphError> {
        self.add_op(Op::Literal(values.into().into()), &TensorType::new(Dtype::Float32, dims))
    }

    /// An f32 scalar.
    pub fn scalar(&mut self, value: f32) -> Value {
        self.push(Op::Fill(value), TensorType::new(Dtype::Float32, []))
    }

    /// An op on each element.
    ///
    /// # Errors
    /// If `x` is not of a float dtype.
    pub fn unary(&mut self, op: UnaryOp, x: Value) -> Result<Value, GraphError> {
        self.shaped(Op::Unary(op, x))
    }

    /// An op on each pair of elements.
    ///
    /// # Errors
    /// If the operands do not have one float dtype, or their shapes do not fit each other.
    pub fn binary(&mut self, op: BinaryOp, x: Value, y: Value) -> Result<Value, GraphError> {
        self.shaped(Op::Binary(op, x, y))
    }

    /// `x + y`.
    ///
    /// # Errors
    /// The errors of [`Self::binary`].
    pub fn add(&mut self, x: Value, y: Value) -> Result<Value, GraphError> {
        self.binary(BinaryOp::Add, x, y)
    }

    /// `x * y`.
    ///
    /// # Errors
    /// The errors of [`Self::binary`].
    pub fn mul(&mut self, x: Value, y: Value) -> Result<Value, GraphError> {
        self.binary(BinaryOp::Mul, x, y)
    }

    /// `x * factor`.
    ///
    /// # Errors
    /// If `x` is not f32.
    pub fn scale(&mut self, x: Value, factor: f32) -> Result<Value, GraphError> {
        let factor = self.scalar(factor);
        self.mul(x, factor)
    }

    /// The same numbers in another dtype. [`super::autocast`] keeps the conversion. If `x` already
    /// has that dtype, no op is added and the result is `x`, whose dtype autocast can change.
    pub fn convert(&mut self, x: Value, dtype: Dtype) -> Value {
        if self.type_of(x).dtype == dtype {
            return x;
        }
        self.pin(x, dtype)
    }

    /// `x` converted to `dtype` explicitly, even if it already has that dtype. [`super::autocast`]
    /// keeps the conversion, so the result has that dtype, whatever autocast did to `x`.
    pub fn pin(&mut self, x: Value, dtype: Dtype) -> Value {
        let kind = TensorType::new(dtype, self.function.type_of(x).dims.clone());
        self.push(Op::Convert(x, dtype), kind)
    }

    /// A convolution.
    ///
    /// # Errors
    /// If dtypes, ranks, channels or sizes do not fit each other, or `stride` is 0.
    pub fn conv2d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        stride: u64,
        padding: u64,
    ) -> Result<Value, GraphError> {
        self.shaped(Op::Conv2d { x, weight, bias, stride, padding })
    }

    /// A linear layer.
    ///
    /// # Errors
    /// If dtypes, ranks or features do not fit each other.
    pub fn linear(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
    ) -> Result<Value, GraphError> {
        self.shaped(Op::Linear { x, weight, bias })
    }

    /// A group norm.
    ///
    /// # Errors
    /// If `x` does not have four dimensions and a float dtype, the number of channels is not a
    /// multiple of `groups`, scale or shift is not f32 `[channels]`, or `eps` is negative or not
    /// finite.
    pub fn group_norm(&mut self, norm: Norm, groups: u64) -> Result<Value, GraphError> {
        self.shaped(Op::GroupNorm { norm, groups })
    }

    /// A layer norm.
    ///
    /// # Errors
    /// If `x` is a scalar or not of a float dtype, scale or shift is not f32 with the size of the
    /// last dimension, or `eps` is negative or not finite.
    pub fn layer_norm(&mut self, norm: Norm) -> Result<Value, GraphError> {
        self.shaped(Op::LayerNorm(norm))
    }

    /// Attention.
    ///
    /// # Errors
    /// If the operands' dtypes or shapes do not fit each other, or the features are not a multiple
    /// of the heads.
    pub fn attention(&mut self, attention: Attention) -> Result<Value, GraphError> {
        self.shaped(Op::Attention(attention))
    }

    /// Enlarges a picture by repeating pixels.
    ///
    /// # Errors
    /// If `x` does not have four dimensions and a float dtype, or `size` is smaller than `x`.
    pub fn upsample(&mut self, x: Value, size: [u64; 2]) -> Result<Value, GraphError> {
        self.shaped(Op::Upsample { x, size })
    }

    /// Joins arrays along an axis.
    ///
    /// # Errors
    /// If there are no parts or no such axis, or if dtypes, ranks or the other axes differ.
    pub fn concat(
        &mut self,
        parts: impl Into<Vec<Value>>,
        axis: usize,
    ) -> Result<Value, GraphError> {
        self.shaped(Op::Concat { parts: parts.into(), axis })
    }

    /// The cells `start..end` of an axis.
    ///
    /// # Errors
    /// If there is no such axis, or if `start..end` is empty or not inside the axis.
    pub fn slice(
        &mut self,
        x: Value,
        axis: usize,
        start: u64,
        end: u64,
    ) -> Result<Value, GraphError> {
        self.shaped(Op::Slice { x, axis, start, end })
    }

    /// The same elements in another shape.
    ///
    /// # Errors
    /// If `dims` has more or fewer elements than `x`.
    pub fn reshape(&mut self, x: Value, dims: impl Into<Vec<u64>>) -> Result<Value, GraphError> {
        let kind = TensorType::new(self.function.type_of(x).dtype, dims);
        self.add_op(Op::Reshape(x), &kind)
    }

    /// The same elements with the dimensions in another order.
    ///
    /// # Errors
    /// If `order` does not name each dimension once.
    pub fn permute(&mut self, x: Value, order: impl Into<Vec<usize>>) -> Result<Value, GraphError> {
        self.shaped(Op::Permute(x, order.into()))
    }

    /// Repeats dimensions of size 1.
    ///
    /// # Errors
    /// If the ranks differ, or a dimension of another size than 1 would have to change.
    pub fn broadcast(&mut self, x: Value, dims: impl Into<Vec<u64>>) -> Result<Value, GraphError> {
        let kind = TensorType::new(self.function.type_of(x).dtype, dims);
        self.add_op(Op::Broadcast(x), &kind)
    }

    /// Rows of a table, chosen by their positions.
    ///
    /// # Errors
    /// If the table is not a matrix of a float dtype, or the ids are not int32.
    pub fn embedding(&mut self, table: Value, ids: Value) -> Result<Value, GraphError> {
        self.shaped(Op::Embedding { table, ids })
    }

    /// Takes one row from each element of a batch; `rows` has the positions of these rows.
    ///
    /// # Errors
    /// If `x` does not have three dimensions, or `rows` is not one int32 for each element of the
    /// batch.
    pub fn select_row(&mut self, x: Value, rows: Value) -> Result<Value, GraphError> {
        self.shaped(Op::SelectRow { x, rows })
    }

    /// Declares an output.
    pub fn output(&mut self, name: impl Into<String>, value: Value) {
        self.function.outputs.push(OutputDecl { name: name.into(), value, donated: None });
    }

    /// Declares an output that may take over the memory of the input `donated`, which has the same
    /// type.
    pub fn output_into(&mut self, name: impl Into<String>, value: Value, donated: Value) {
        self.function.outputs.push(OutputDecl { name: name.into(), value, donated: Some(donated) });
    }

    /// The type of a value that this builder made.
    pub fn type_of(&self, value: Value) -> &TensorType {
        self.function.type_of(value)
    }

    /// The shape of a value that this builder made.
    pub fn dims(&self, value: Value) -> &[u64] {
        &self.function.type_of(value).dims
    }

    /// Verifies the function and returns it.
    ///
    /// # Errors
    /// The first rule that the function breaks.
    pub fn finish(self) -> Result<Verified, GraphError> {
        self.function.verify()
    }

    /// Verifies the function and rewrites it so that its convolutions, matrix products and
    /// attention compute in `dtype`, and the other ops as docs/precision.md says. Inputs and
    /// outputs keep their types. A float32 weight is declared in `dtype`, unless a norm, `exp`,
    /// `sin`, `cos` or a conversion of the function reads it.
    ///
    /// ```
    /// use preheat_ir::graph::{FunctionBuilder, UnaryOp};
    /// use preheat_ir::lower::{LoweringTarget, stablehlo};
    /// use preheat_tensor::{Dtype, TensorType};
    ///
    /// # fn main() -> Result<(), preheat_ir::graph::GraphError> {
    /// let mut b = FunctionBuilder::new("layer");
    /// let x = b.input("x", TensorType::new(Dtype::Float32, [8, 64]));
    /// let weight = b.weight("proj.weight", [32, 64]);
    /// let y = b.linear(x, weight, None)?;
    /// let y = b.unary(UnaryOp::Silu, y)?;
    /// b.output("y", y);
    /// let layer = b.autocast(Dtype::BFloat16)?;
    /// assert_eq!(layer.weights()[0].kind.to_string(), "bfloat16[32, 64]");
    /// assert_eq!(layer.type_of(layer.outputs()[0].value).to_string(), "float32[8, 32]");
    ///
    /// // What XLA compiles:
    /// let text = stablehlo(&layer, LoweringTarget::Accelerator).text;
    /// assert!(text.contains("bf16"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`Self::finish`], and an error if `dtype` is not float32, bfloat16 or float16.
    pub fn autocast(self, dtype: Dtype) -> Result<Verified, GraphError> {
        super::autocast(&self.finish()?, dtype)
    }

    /// Adds an op whose type follows from its operands.
    pub(super) fn shaped(&mut self, op: Op) -> Result<Value, GraphError> {
        self.add_op(op, &TensorType::new(Dtype::Float32, []))
    }

    /// Adds an op. `claimed` is its type if that does not follow from the operands.
    pub(super) fn add_op(&mut self, op: Op, claimed: &TensorType) -> Result<Value, GraphError> {
        let kind = infer(&op, claimed, |value| self.function.type_of(value));
        match kind {
            Ok(kind) => Ok(self.push(op, kind)),
            Err(why) => {
                let index = self.function.nodes.len();
                Err(GraphError::of_op(&self.function.name, index, &op, why))
            }
        }
    }

    fn push(&mut self, op: Op, kind: TensorType) -> Value {
        let value = Value(position(self.function.nodes.len()));
        self.function.nodes.push(Node { op, kind });
        value
    }
}

/// A position as a handle holds it. It always fits, because a function of four billion nodes would
/// not fit in memory.
fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
