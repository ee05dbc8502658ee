//! How does a graph run with libtorch in as little memory as possible?
//!
//! A value is dropped after the last op that uses it, and a value that nothing needs is not
//! computed. A weight becomes a value only when an op needs it: if the weight rests on another
//! device, it is copied at that time, and the copy is dropped like every other value.

use std::collections::HashMap;
use std::sync::Arc;

use preheat_ir::graph::{Node, Op, Value, Verified};
use preheat_tensor::TensorType;
use preheat_torch_abi::TorchFallback;
use preheat_torch_abi::code;
use tch::{Device, Tensor};

use crate::failure::{Failure, Outcome};
use crate::fallback::Lack;
use crate::held::Held;
use crate::kinds::{kind_of, sizes};
use crate::ops;
use crate::session::{Place, Session, dense_copy};
use crate::shim;

/// A function that is ready to run on one device.
pub struct Graph {
    pub session: Arc<Session>,
    pub function: Verified,
    /// The device's position.
    pub position: u32,
    /// For each input, whether an output takes over its memory.
    pub is_donated: Vec<bool>,
    /// Literals and fills, by their nodes.
    constants: HashMap<usize, Arc<Held>>,
    /// For each node, the values that no later node uses; `None` for a node that nothing needs.
    finished: Vec<Option<Vec<usize>>>,
}

/// The outputs of a run, and the ops that it ran on the CPU for the first time.
pub struct Results {
    pub outputs: Vec<Arc<Held>>,
    pub notices: Vec<TorchFallback>,
}

/// The values that were computed so far, by node.
type Values = Vec<Option<Arc<Held>>>;

impl Graph {
    pub fn load(session: &Arc<Session>, position: u32, function: Verified) -> Outcome<Self> {
        let place = session.place(position)?;
        let _no_gradients = tch::no_grad_guard();
        let mut constants = HashMap::new();
        let finished = finished(&function);
        for (value, node) in
            function.values().filter(|(value, _)| finished[value.index()].is_some())
        {
            let tensor = match &node.op {
                Op::Literal(numbers) => {
                    let bytes: Vec<u8> =
                        numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                    place.make(&node.kind, &bytes)?
                }
                Op::Fill(number) => {
                    let options = (kind_of(node.kind.dtype)?, place.device);
                    place.hold(Tensor::f_full(
                        sizes(&node.kind.dims)?,
                        f64::from(*number),
                        options,
                    )?)?
                }
                _ => continue,
            };
            constants.insert(value.index(), tensor);
        }
        let is_donated = donated(&function);
        Ok(Self {
            session: Arc::clone(session),
            function,
            position,
            is_donated,
            constants,
            finished,
        })
    }

    /// Runs the function. There are as many `inputs` and `weights` as the function declares, with
    /// the declared types, and the inputs are on the device.
    pub fn run(&self, inputs: Vec<Arc<Held>>, weights: &[Arc<Held>]) -> Outcome<Results> {
        let place = self.session.place(self.position)?;
        let _no_gradients = tch::no_grad_guard();
        let mut notices = Vec::new();
        let mut values: Values = vec![None; self.function.nodes().len()];
        let mut inputs: Vec<Option<Arc<Held>>> = inputs.into_iter().map(Some).collect();
        for (index, node) in self.function.nodes().iter().enumerate() {
            let Some(finished) = &self.finished[index] else { continue };
            match &node.op {
                Op::Weight(_) | Op::Literal(_) | Op::Fill(_) => {}
                Op::Input(at) => values[index] = inputs[*at as usize].take(),
                op => {
                    for operand in op.operands() {
                        self.fetch(place, operand.index(), weights, &mut values)?;
                    }
                    let tensor = self.compute(place, node, &values, &mut notices);
                    let held = tensor.and_then(|tensor| place.hold(tensor));
                    values[index] = Some(held.map_err(|failure| failure.at(op.name(), index))?);
                }
            }
            for &done in finished {
                values[done] = None;
            }
        }
        let outputs = self
            .function
            .outputs()
            .iter()
            .map(|output| self.output(place, output.value, weights, &mut values));
        Ok(Results { outputs: outputs.collect::<Outcome<_>>()?, notices })
    }

    /// Turns a weight or constant into a value, for an op that is about to use it.
    fn fetch(
        &self,
        place: &Place,
        index: usize,
        weights: &[Arc<Held>],
        values: &mut Values,
    ) -> Outcome<()> {
        if values[index].is_some() {
            return Ok(());
        }
        values[index] = Some(match &self.function.nodes()[index].op {
            Op::Weight(at) => {
                let weight = &weights[*at as usize];
                if weight.device == self.position {
                    Arc::clone(weight)
                } else {
                    place.copy(weight)?
                }
            }
            op => match self.constants.get(&index) {
                Some(constant) => Arc::clone(constant),
                None => {
                    return Err(Failure::new(
                        code::BUG,
                        format!("value {index} ({}) is gone", op.name()),
                    ));
                }
            },
        });
        Ok(())
    }

    /// Computes the result of an op: on the device, or on the CPU if the device lacks the op.
    fn compute(
        &self,
        place: &Place,
        node: &Node,
        values: &Values,
        notices: &mut Vec<TorchFallback>,
    ) -> Outcome<Tensor> {
        let op = &node.op;
        // `fetch` was called for every operand, so none is missing. If one were, `missing` would
        // panic, and the interface would report it.
        let of = |value: Value| {
            values[value.index()].as_ref().map_or_else(|| missing(op), |held| held.tensor())
        };
        if place.is_host() {
            return ops::compute(op, &node.kind, &of);
        }
        let kind = op.operands().first().and_then(|&value| of(value).f_kind().ok());
        let lack = Lack { device: place.id, op: op.name(), kind };
        let mut reason = None;
        if !self.session.fallbacks.is_known(lack) {
            match place.check_has(op.name()).and_then(|()| ops::compute(op, &node.kind, &of)) {
                Err(failure) if failure.code == code::UNSUPPORTED => reason = Some(failure.message),
                outcome => return outcome,
            }
        }
        let tensor = on_cpu(op, &node.kind, &of)?;
        notices.extend(self.session.fallbacks.count(lack, reason));
        Ok(tensor.f_to(place.device)?)
    }

    /// An output in its own memory, because a view of a larger tensor would keep the whole tensor
    /// alive.
    fn output(
        &self,
        place: &Place,
        value: Value,
        weights: &[Arc<Held>],
        values: &mut Values,
    ) -> Outcome<Arc<Held>> {
        self.fetch(place, value.index(), weights, values)?;
        let Some(held) = &values[value.index()] else {
            return Err(Failure::new(code::BUG, "an output is gone"));
        };
        let wanted = self.function.type_of(value);
        let (have, want) = (held.tensor().size(), sizes(&wanted.dims)?);
        if have != want || held.tensor().f_kind()? != kind_of(wanted.dtype)? {
            return Err(Failure::new(
                code::BUG,
                format!("an output is {:?}, and should be {wanted}", held.tensor()),
            ));
        }
        if shim::storage(held.tensor())?.1 == wanted.bytes() {
            return Ok(Arc::clone(held));
        }
        place.hold(dense_copy(&held.tensor().f_contiguous()?)?)
    }
}

/// Computes an op on the CPU, from copies of its operands.
fn on_cpu<'t>(op: &Op, kind: &TensorType, of: &dyn Fn(Value) -> &'t Tensor) -> Outcome<Tensor> {
    let copies: HashMap<Value, Tensor> = op
        .operands()
        .into_iter()
        .map(|value| Ok((value, of(value).f_to(Device::Cpu)?)))
        .collect::<Outcome<_>>()?;
    ops::compute(op, kind, &|value| &copies[&value])
}

fn missing(op: &Op) -> ! {
    // The interface turns this panic into an answer. Only a bug in this file can cause it.
    unreachable!("an operand of {} is gone", op.name())
}

/// For each input, whether an output takes over its memory.
fn donated(function: &Verified) -> Vec<bool> {
    let mut donated = vec![false; function.inputs().len()];
    for value in function.outputs().iter().filter_map(|output| output.donated) {
        if let Op::Input(at) = function.nodes()[value.index()].op {
            donated[at as usize] = true;
        }
    }
    donated
}

/// For each node, the values that are used there for the last time; `None` for a node that nothing
/// needs.
fn finished(function: &Verified) -> Vec<Option<Vec<usize>>> {
    let nodes = function.nodes();
    let mut finished: Vec<Option<Vec<usize>>> = vec![None; nodes.len()];
    let mut is_used = vec![false; nodes.len()];
    for output in function.outputs() {
        is_used[output.value.index()] = true;
    }
    for index in (0..nodes.len()).rev() {
        if !is_used[index] {
            continue;
        }
        let mut last_uses = Vec::new();
        for operand in nodes[index].op.operands() {
            if !is_used[operand.index()] {
                is_used[operand.index()] = true;
                last_uses.push(operand.index());
            }
        }
        finished[index] = Some(last_uses);
    }
    finished
}
