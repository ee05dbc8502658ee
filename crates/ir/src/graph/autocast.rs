//! Which dtype does each op compute in, when a model runs in a smaller dtype than float32? This
//! module rewrites a function accordingly.

use std::collections::HashMap;

use preheat_tensor::Dtype;

use super::infer::infer;
use super::{BinaryOp, Function, GraphError, Node, Op, TensorType, UnaryOp, Value, Verified};

/// Rewrites `function` so that its convolutions, matrix products and attention compute in `dtype`,
/// and the other ops as docs/precision.md says.
///
/// Inputs and outputs keep their types. A float32 weight is declared in `dtype`, unless a norm,
/// `exp`, `sin`, `cos` or a conversion of the function reads it. A conversion that the function
/// contains ([`super::FunctionBuilder::convert`], [`super::FunctionBuilder::pin`]) is kept, with
/// its dtype. With float32, the function is not changed.
///
/// # Errors
/// If `dtype` is not a float dtype of 16 or 32 bits.
pub fn autocast(function: &Verified, dtype: Dtype) -> Result<Verified, GraphError> {
    match dtype {
        Dtype::Float32 => Ok(function.clone()),
        Dtype::BFloat16 | Dtype::Float16 => Cast::new(function, dtype).run(),
        _ => Err(GraphError::of_function(
            function.name(),
            format!("it can compute in bfloat16, float16 or float32, not in {dtype}"),
        )),
    }
}

/// `function` with [`upcast`](super::Attention::upcast) set in each attention, so that products of
/// queries and keys are computed in float32 even if their dtype is smaller.
pub fn attention_in_float32(function: &Verified) -> Verified {
    let mut function = function.0.clone();
    for node in &mut function.nodes {
        if let Op::Attention(attention) = &mut node.op {
            attention.upcast = true;
        }
    }
    // No type changes, so this breaks none of the verifier's rules.
    Verified(function)
}

/// Which dtype an op computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// All operands in the smaller dtype.
    Low,
    /// All operands in f32.
    Float32,
    /// In the dtype of its first operand; a scale or shift stays f32.
    Follow,
    /// In the smaller dtype if every operand that is not a scalar has it, else in f32
    /// ([`Cast::widest`] has the details).
    Widest,
    /// In the smaller dtype if at least one operand has it.
    Narrowest,
    /// The op has no float operands, or declares its dtype itself.
    AsIs,
}

/// The rule of each op, as a table; docs/precision.md gives the reasons.
fn rule(op: &Op) -> Rule {
    match op {
        Op::Conv2d { .. } | Op::Linear { .. } | Op::Attention(_) | Op::Embedding { .. } => {
            Rule::Low
        }
        Op::Unary(UnaryOp::Exp | UnaryOp::Sin | UnaryOp::Cos, _) => Rule::Float32,
        // No wildcard is used here, so that the code does not compile until a new op has a rule.
        Op::Unary(UnaryOp::Sigmoid | UnaryOp::Silu | UnaryOp::Gelu | UnaryOp::QuickGelu, _)
        | Op::GroupNorm { .. }
        | Op::LayerNorm(_)
        | Op::Upsample { .. }
        | Op::Slice { .. }
        | Op::Reshape(_)
        | Op::Permute(..)
        | Op::Broadcast(_)
        | Op::SelectRow { .. } => Rule::Follow,
        Op::Binary(
            BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Min
            | BinaryOp::Max,
            ..,
        ) => Rule::Widest,
        Op::Concat { .. } => Rule::Narrowest,
        Op::Input(_) | Op::Weight(_) | Op::Literal(_) | Op::Fill(_) | Op::Convert(..) => Rule::AsIs,
    }
}

/// The rule of an op, in the words of docs/precision.md.
#[cfg(test)]
pub(super) fn rule_name(op: &Op) -> &'static str {
    match rule(op) {
        Rule::Low => "low",
        Rule::Float32 => "float32",
        Rule::Follow => "follow",
        Rule::Widest => "widest",
        Rule::Narrowest => "narrowest",
        Rule::AsIs => "as it is",
    }
}

/// A function that is being rewritten.
struct Cast<'f> {
    from: &'f Verified,
    to: Function,
    low: Dtype,
    /// The new value for each old one. `None` for a fill, which is made anew in each dtype that an
    /// op needs (`fills`).
    now: Vec<Option<Value>>,
    /// For each new value, its conversions to the other dtypes that ops needed.
    casts: HashMap<(Value, Dtype), Value>,
    /// For each old fill, the fill in each dtype that an op needed.
    fills: HashMap<(Value, Dtype), Value>,
}

impl<'f> Cast<'f> {
    fn new(from: &'f Verified, low: Dtype) -> Self {
        let mut weights = from.weights().to_vec();
        for (decl, wide) in weights.iter_mut().zip(read_wide(from)) {
            if !wide && decl.kind.dtype == Dtype::Float32 {
                decl.kind.dtype = low;
            }
        }
        let name = from.name().to_owned();
        let to = Function {
            name,
            nodes: Vec::new(),
            inputs: from.inputs().to_vec(),
            weights,
            outputs: Vec::new(),
        };
        let now = vec![None; from.nodes().len()];
        Self { from, to, low, now, casts: HashMap::new(), fills: HashMap::new() }
    }

    fn run(mut self) -> Result<Verified, GraphError> {
        let from = self.from;
        for (value, node) in from.values() {
            if !matches!(node.op, Op::Fill(_)) {
                self.now[value.index()] = Some(self.rewritten(node)?);
            }
        }
        for output in from.outputs() {
            let mut output = output.clone();
            output.value = self.wanted(output.value, from.type_of(output.value).dtype)?;
            output.donated = output.donated.and_then(|input| self.now[input.index()]);
            self.to.outputs.push(output);
        }
        self.to.verify()
    }

    /// Adds the op of `node` to the new function, in the dtype that the op's rule gives.
    fn rewritten(&mut self, node: &Node) -> Result<Value, GraphError> {
        let mut op = node.op.clone();
        if let Op::Convert(x, dtype) = op
            && self.dtype(x) != dtype
        {
            return self.wanted(x, dtype);
        }
        let operands = op.operands();
        let rule = rule(&op);
        let dtype = match rule {
            Rule::Low => Some(self.low),
            Rule::Float32 => Some(Dtype::Float32),
            Rule::Follow => operands.first().map(|&x| self.dtype(x)),
            Rule::Widest => Some(self.widest(&operands)),
            Rule::Narrowest => {
                let parts = operands
                    .iter()
                    .filter(|part| !self.is_fill(**part))
                    .map(|part| self.dtype(*part));
                parts.reduce(|dtype, part| if part == self.low { part } else { dtype })
            }
            Rule::AsIs => None,
        };
        // The scale and shift of a norm are f32, whatever the dtype of its input; positions are not
        // floats.
        let is_norm = matches!(op, Op::GroupNorm { .. } | Op::LayerNorm(_));
        let (mut at, mut failed) = (0, None);
        op.visit_operands(|operand| {
            let own = self.dtype(*operand);
            let wanted = match dtype {
                _ if is_norm && at > 0 => Dtype::Float32,
                Some(dtype) if is_float(own) => dtype,
                _ => own,
            };
            match self.wanted(*operand, wanted) {
                Ok(value) => *operand = value,
                Err(error) => failed = Some(error),
            }
            at += 1;
        });
        let mut kind = node.kind.clone();
        if let Op::Weight(index) = op {
            kind = self.to.weights[index as usize].kind.clone();
        }
        failed.map_or_else(|| self.push(op, &kind), Err)
    }

    /// The dtype that `Rule::Widest` gives: f32 if an operand that is not a scalar is f32. Scalars
    /// count only if there are no larger operands. Fills do not count; without any other operand
    /// the dtype is f32.
    fn widest(&self, operands: &[Value]) -> Dtype {
        let given = operands.iter().filter(|operand| !self.is_fill(**operand));
        let is_scalar = |value: Value| self.from.type_of(value).dims.is_empty();
        let (scalars, larger): (Vec<Value>, Vec<Value>) =
            given.partition(|operand| is_scalar(**operand));
        let deciding = if larger.is_empty() { scalars } else { larger };
        let all_low =
            !deciding.is_empty() && deciding.iter().all(|operand| self.dtype(*operand) == self.low);
        if all_low { self.low } else { Dtype::Float32 }
    }

    /// The dtype of the new value for an old one.
    fn dtype(&self, old: Value) -> Dtype {
        match self.now[old.index()] {
            Some(value) => self.to.type_of(value).dtype,
            None => self.from.type_of(old).dtype,
        }
    }

    fn is_fill(&self, old: Value) -> bool {
        matches!(self.from.nodes()[old.index()].op, Op::Fill(_))
    }

    /// The new value for an old one, converted to `dtype`.
    fn wanted(&mut self, old: Value, dtype: Dtype) -> Result<Value, GraphError> {
        let from = self.from;
        let node = &from.nodes()[old.index()];
        let Some(value) = self.now[old.index()] else {
            if let Some(fill) = self.fills.get(&(old, dtype)) {
                return Ok(*fill);
            }
            let fill =
                self.push(node.op.clone(), &TensorType::new(dtype, node.kind.dims.clone()))?;
            self.fills.insert((old, dtype), fill);
            return Ok(fill);
        };
        if self.to.type_of(value).dtype == dtype {
            return Ok(value);
        }
        if let Some(cast) = self.casts.get(&(value, dtype)) {
            return Ok(*cast);
        }
        let cast = self.push(Op::Convert(value, dtype), &node.kind)?;
        self.casts.insert((value, dtype), cast);
        Ok(cast)
    }

    fn push(&mut self, op: Op, claimed: &TensorType) -> Result<Value, GraphError> {
        let index = self.to.nodes.len();
        let kind = infer(&op, claimed, |value| self.to.type_of(value))
            .map_err(|why| GraphError::of_op(&self.to.name, index, &op, why))?;
        self.to.nodes.push(Node { op, kind });
        // The index always fits: a function of four billion nodes would not fit in memory.
        Ok(Value(u32::try_from(index).unwrap_or(u32::MAX)))
    }
}

/// For each weight, whether an op that needs it in f32 reads it: a norm, `exp`, `sin`, `cos`, or a
/// conversion that the function contains.
fn read_wide(function: &Verified) -> Vec<bool> {
    let mut wide = vec![false; function.weights().len()];
    for node in function.nodes() {
        let wants = match &node.op {
            Op::GroupNorm { norm, .. } | Op::LayerNorm(norm) => vec![norm.weight, norm.bias],
            Op::Convert(x, _) => vec![*x],
            op if rule(op) == Rule::Float32 => op.operands(),
            _ => continue,
        };
        for value in wants {
            if let Op::Weight(index) = function.nodes()[value.index()].op {
                wide[index as usize] = true;
            }
        }
    }
    wide
}

fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::Float32 | Dtype::BFloat16 | Dtype::Float16)
}
