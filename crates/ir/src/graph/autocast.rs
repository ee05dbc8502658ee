//! Which dtype does each op compute in, when a model runs in a smaller dtype than float32? Rewrites
//! a function accordingly.

use std::collections::HashMap;

use preheat_tensor::Dtype;

use super::infer::infer;
use super::{BinaryOp, Function, GraphError, Node, Op, Type, UnaryOp, Value, Verified};

/// `function` with its convolutions, matrix products and attention in `dtype`, and the rest as
/// docs/precision.md says.
///
/// Inputs and outputs keep their types. A weight that only ops in `dtype` read is declared in
/// `dtype`. A value that the function converts itself ([`super::Builder::convert`],
/// [`super::Builder::pin`]) stays in the dtype of that conversion. With float32 the function stays
/// as it is.
///
/// # Errors
/// Where `dtype` is not a float dtype of 16 or 32 bits.
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

/// `function` with its attention computed in float32, whatever the dtype of its operands.
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
    /// In the dtype of the operand that it works on; a scale or shift stays f32.
    Follow,
    /// In the smaller dtype where every operand that is not a scalar has it, else in f32.
    Widest,
    /// In the smaller dtype where at least one operand has it.
    Narrowest,
    /// It has no float operands, or declares its dtype itself.
    AsIs,
}

/// The rule of each op, as a table; docs/precision.md gives the reasons.
fn rule(op: &Op) -> Rule {
    match op {
        Op::Conv2d { .. } | Op::Linear { .. } | Op::Attention(_) | Op::Embedding { .. } => {
            Rule::Low
        }
        Op::Unary(UnaryOp::Exp | UnaryOp::Sin | UnaryOp::Cos, _) => Rule::Float32,
        // Each by its name: a new one has to be decided on.
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
    /// The new value for each old one. `None` for a fill: each use makes it, in the dtype that the
    /// use needs.
    now: Vec<Option<Value>>,
    /// For each value, its conversion to each other dtype that an op needed.
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

    /// The op, in the dtype that its rule gives.
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

    /// f32 where an operand that is not a scalar is f32. Scalars decide only where all operands are
    /// scalars, and fills never decide.
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
            let fill = self.push(node.op.clone(), &Type::new(dtype, node.kind.dims.clone()))?;
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

    fn push(&mut self, op: Op, claimed: &Type) -> Result<Value, GraphError> {
        let index = self.to.nodes.len();
        let kind = infer(&op, claimed, |value| self.to.type_of(value))
            .map_err(|why| GraphError::of_op(&self.to.name, index, &op, why))?;
        self.to.nodes.push(Node { op, kind });
        // There are at most three casts for each old value, and old values are numbered in 32 bits.
        Ok(Value(u32::try_from(index).unwrap_or(u32::MAX)))
    }
}

/// For each weight, whether something that needs f32 reads it: a norm, `exp` and the like, or a
/// conversion in the function itself.
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
