//! Which rules does every function keep? Back ends rely on them and check none of them again.
//!
//! 1. An op uses only values that stand before it.
//! 2. Each node's type is the type that its op has for its operands (`infer.rs`).
//! 3. An input or weight node names a declaration of its own type, and each declaration has exactly
//!    one node.
//! 4. No two inputs, no two weights and no two outputs share a name.
//! 5. No dimension is 0: nothing would be computed, and back ends differ on what that means.
//! 6. There is at least one output, and each output is a value of the function.
//! 7. A donated value is an input of the same type as its output, and is donated only once.
//! 8. The size in bytes of a value, and of an attention's scores in float32, fits in 63 bits.

use std::collections::HashSet;

use super::infer::infer;
use super::{Function, GraphError, Op, TensorType};

pub(super) fn verify(function: &Function) -> Result<(), GraphError> {
    let mut seen = (HashSet::new(), HashSet::new());
    for (index, node) in function.nodes.iter().enumerate() {
        let fail = |why: String| GraphError::of_op(&function.name, index, &node.op, why);
        if let Some(value) = node.op.operands().into_iter().find(|value| value.index() >= index) {
            return Err(fail(format!("it uses value {}, which stands after it", value.index())));
        }
        let kind = infer(&node.op, &node.kind, |value| function.type_of(value)).map_err(fail)?;
        if kind != node.kind {
            return Err(fail(format!("its type is {}, and should be {kind}", node.kind)));
        }
        if kind.dims.contains(&0) {
            return Err(fail(format!("{kind} has nothing in it")));
        }
        let declared: Option<(&TensorType, bool)> = match node.op {
            Op::Input(at) => {
                function.inputs.get(at as usize).map(|decl| (&decl.kind, seen.0.insert(at)))
            }
            Op::Weight(at) => {
                function.weights.get(at as usize).map(|decl| (&decl.kind, seen.1.insert(at)))
            }
            _ => continue,
        };
        if !matches!(declared, Some((declared, true)) if *declared == kind) {
            return Err(fail("it is not declared with this type, or has two nodes".to_owned()));
        }
    }
    outside(function, &seen).map_err(|why| GraphError::of_function(&function.name, why))
}

/// Checks the rules on everything outside the nodes.
fn outside(function: &Function, seen: &(HashSet<u32>, HashSet<u32>)) -> Result<(), String> {
    if seen.0.len() != function.inputs.len() || seen.1.len() != function.weights.len() {
        return Err("an input or weight is declared and has no node".to_owned());
    }
    unique("inputs", function.inputs.iter().map(|decl| &decl.name))?;
    unique("weights", function.weights.iter().map(|decl| &decl.name))?;
    unique("outputs", function.outputs.iter().map(|decl| &decl.name))?;
    if function.outputs.is_empty() {
        return Err("there is no output".to_owned());
    }
    let mut donated = HashSet::new();
    for output in &function.outputs {
        let node = function.nodes.get(output.value.index());
        let Some(node) = node else { return Err(format!("output {} is no value", output.name)) };
        let Some(input) = output.donated else { continue };
        let is_input = matches!(function.nodes.get(input.index()), Some(given) if matches!(given.op, Op::Input(_)) && given.kind == node.kind);
        if !is_input || !donated.insert(input) {
            return Err(format!("output {} cannot take over value {}", output.name, input.index()));
        }
    }
    Ok(())
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("two {what} are called {name}"));
        }
    }
    Ok(())
}
