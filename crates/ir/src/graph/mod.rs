//! What does a model compute, before any device or compiler is known? This module is the tensor IR.
//!
//! A [`FunctionBuilder`] makes a [`Function`] op by op and reports an error at the op that causes
//! it. [`FunctionBuilder::finish`] passes the function to the verifier, and back ends accept only a
//! function that was verified ([`Verified`]). [`autocast`] rewrites a function to compute in a
//! smaller dtype.
//!
//! Shapes are those of the checkpoints: pictures and latents are `[batch, channels, height,
//! width]`, a convolution's weights `[out, in, height, width]`, a linear layer's `[out, in]`. The
//! back end decides in which order a device holds the dimensions. The ops are as large as the fused
//! operations that back ends have (convolution, norms, attention), so that no back end has to
//! recognise such an operation from its parts.
//!
//! ```
//! use preheat_tensor::{Dtype, TensorType};
//! use preheat_ir::graph::FunctionBuilder;
//!
//! # fn main() -> Result<(), preheat_ir::graph::GraphError> {
//! let mut b = FunctionBuilder::new("double");
//! let x = b.input("x", TensorType::new(Dtype::Float32, [2, 3]));
//! let weight = b.weight("proj.weight", [4, 3]);
//! let y = b.linear(x, weight, None)?;
//! b.output("y", y);
//! let function = b.finish()?;
//! assert_eq!(function.type_of(y).to_string(), "float32[2, 4]");
//! # Ok(())
//! # }
//! ```

mod autocast;
mod builder;
mod codec;
mod infer;
mod op;
#[cfg(test)]
mod tests;
mod verify;

use std::ops::Deref;

pub use autocast::{attention_in_float32, autocast};
pub use builder::FunctionBuilder;
pub use codec::CodecError;
pub use op::{Attention, BinaryOp, Norm, Op, UnaryOp};
use preheat_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// The result of one op of a [`Function`]. It is a handle, and is valid only in the function that
/// it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Value(u32);

impl Value {
    /// Its position among the function's nodes.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An op and the type of its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The op.
    pub op: Op,
    /// The type of the result.
    pub kind: TensorType,
}

/// A tensor that is given to a function for each execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputDecl {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: TensorType,
}

/// A tensor of the checkpoint. It is the same in every execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightDecl {
    /// Its name in the checkpoint.
    pub name: String,
    /// Its shape in the checkpoint, and the dtype in which the graph reads it.
    pub kind: TensorType,
}

/// An output of a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputDecl {
    /// Its name.
    pub name: String,
    /// The value that is returned.
    pub value: Value,
    /// The input whose memory the output may take over. That input cannot be used afterwards.
    pub donated: Option<Value>,
}

/// A graph: it takes inputs and weights, and returns outputs. Each node uses only nodes that stand
/// before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Function {
    name: String,
    nodes: Vec<Node>,
    inputs: Vec<InputDecl>,
    weights: Vec<WeightDecl>,
    outputs: Vec<OutputDecl>,
}

impl Function {
    /// Its name, for messages; it has no influence on the result.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its nodes, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Its inputs, which are given for each execution, in order. A back end takes these first.
    pub fn inputs(&self) -> &[InputDecl] {
        &self.inputs
    }

    /// Its weights, which are read from the checkpoint, in order. A back end takes these after the
    /// inputs.
    pub fn weights(&self) -> &[WeightDecl] {
        &self.weights
    }

    /// Its outputs, in order.
    pub fn outputs(&self) -> &[OutputDecl] {
        &self.outputs
    }

    /// The type of a value of this function.
    pub fn type_of(&self, value: Value) -> &TensorType {
        &self.nodes[value.index()].kind
    }

    /// Its values, in the order of its nodes.
    pub fn values(&self) -> impl Iterator<Item = (Value, &Node)> {
        (0..).map(Value).zip(&self.nodes)
    }
}

/// A function that passed the verifier. Back ends accept no other.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified(Function);

impl Deref for Verified {
    type Target = Function;

    fn deref(&self) -> &Function {
        &self.0
    }
}

impl Function {
    /// Checks every rule that `graph/verify.rs` lists.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(self) -> Result<Verified, GraphError> {
        verify::verify(&self)?;
        Ok(Verified(self))
    }
}

/// The reason why a graph is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("graph `{function}`{}: {why}", in_words(.op.as_ref()))]
#[non_exhaustive]
pub struct GraphError {
    /// The function's name.
    pub function: String,
    /// The op that is wrong: its position among the function's nodes, and its name. `None` if the
    /// error is about the whole function, or about the settings that it was built with.
    pub op: Option<(usize, &'static str)>,
    /// What is wrong.
    pub why: String,
}

impl GraphError {
    /// An error of the function as a whole.
    pub fn of_function(function: impl Into<String>, why: impl Into<String>) -> Self {
        Self { function: function.into(), op: None, why: why.into() }
    }

    fn of_op(function: &str, index: usize, op: &Op, why: String) -> Self {
        Self { function: function.to_owned(), op: Some((index, op.name())), why }
    }
}

fn in_words(op: Option<&(usize, &'static str)>) -> String {
    op.map(|(index, name)| format!(", op {index} ({name})")).unwrap_or_default()
}
