//! Which tensors does an executable of libtorch get?
//!
//! Each input is on the device that executes, in the type that the graph declares.
//! [`Reader::arguments`] is the only function that makes [`Arguments`]. It copies an input from
//! another device, and refuses a tensor of another type. The back end executes graphs on
//! [`Arguments`] only. So no execution can read an input from the wrong device or in the wrong
//! type.

use preheat_ir::graph::Verified;
use preheat_tensor::TensorType;

use super::TorchId;

/// A tensor with its device and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    tensor: T,
    place: TorchId,
    kind: TensorType,
}

impl<T> Placed<T> {
    /// A tensor on the device and of the type that its maker states.
    pub fn new(tensor: T, place: TorchId, kind: TensorType) -> Self {
        Self { tensor, place, kind }
    }

    /// The tensor.
    pub fn tensor(&self) -> &T {
        &self.tensor
    }

    /// The device that the tensor is on.
    pub fn place(&self) -> TorchId {
        self.place
    }

    /// Its dtype and shape.
    pub fn kind(&self) -> &TensorType {
        &self.kind
    }
}

/// The tensors of one execution, each of the type that the graph declares. The inputs are on the
/// device that executes; weights may rest on another one.
#[derive(Debug)]
pub struct Arguments<T> {
    tensors: Vec<Placed<T>>,
    weights_are_elsewhere: bool,
}

impl<T> Arguments<T> {
    /// Inputs and weights, in the graph's order.
    pub fn tensors(&self) -> &[Placed<T>] {
        &self.tensors
    }

    /// Whether a weight rests on another device than the one that executes, so that it has to be
    /// streamed.
    pub fn weights_are_elsewhere(&self) -> bool {
        self.weights_are_elsewhere
    }
}

/// Why a graph's tensors are refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError<E> {
    /// A tensor of another dtype or shape than the graph takes.
    #[error("graph `{graph}` takes {wanted} as `{name}`, and {given} was given")]
    Kind {
        /// The graph.
        graph: String,
        /// The input or weight.
        name: String,
        /// What the graph declares.
        wanted: TensorType,
        /// The tensor's type.
        given: TensorType,
    },
    /// More or fewer tensors than the graph takes.
    #[error("graph `{graph}` takes {wanted} tensors, and {given} were given")]
    Count {
        /// The graph.
        graph: String,
        /// How many inputs and weights it has.
        wanted: usize,
        /// How many it was given.
        given: usize,
    },
    /// An input could not be copied to the device.
    #[error(transparent)]
    Bring(E),
}

/// What a graph reads, and the device that executes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    graph: String,
    executes: TorchId,
    inputs: usize,
    /// Names and types of the inputs and then of the weights.
    reads: Vec<(String, TensorType)>,
}

impl Reader {
    /// What `function` reads when the device `executes` runs it.
    pub fn of(function: &Verified, executes: TorchId) -> Self {
        let inputs = function.inputs().iter().map(|input| (input.name.clone(), input.kind.clone()));
        let weights =
            function.weights().iter().map(|weight| (weight.name.clone(), weight.kind.clone()));
        Self {
            graph: function.name().to_owned(),
            executes,
            inputs: function.inputs().len(),
            reads: inputs.chain(weights).collect(),
        }
    }

    /// The tensors of one execution: inputs, then weights. `bring` copies an input from another
    /// device to the device that executes. Weights stay where they rest, because offloading put
    /// them there.
    ///
    /// # Errors
    /// If `bring` fails, if there are more or fewer tensors than the graph takes, or if a tensor is
    /// not of the type that the graph declares.
    pub fn arguments<T, E>(
        &self,
        given: Vec<Placed<T>>,
        mut bring: impl FnMut(T) -> Result<T, E>,
    ) -> Result<Arguments<T>, ArgumentError<E>> {
        if given.len() != self.reads.len() {
            let (wanted, given) = (self.reads.len(), given.len());
            return Err(ArgumentError::Count { graph: self.graph.clone(), wanted, given });
        }
        let mut weights_are_elsewhere = false;
        let mut one =
            |(at, (given, (name, wanted))): (usize, (Placed<T>, &(String, TensorType)))| {
                if given.kind != *wanted {
                    let (graph, name, wanted) = (self.graph.clone(), name.clone(), wanted.clone());
                    return Err(ArgumentError::Kind { graph, name, wanted, given: given.kind });
                }
                if given.place == self.executes {
                    return Ok(given);
                }
                if at >= self.inputs {
                    weights_are_elsewhere = true;
                    return Ok(given);
                }
                let tensor = bring(given.tensor).map_err(ArgumentError::Bring)?;
                Ok(Placed { tensor, place: self.executes, kind: given.kind })
            };
        let tensors = given
            .into_iter()
            .zip(&self.reads)
            .enumerate()
            .map(&mut one)
            .collect::<Result<_, _>>()?;
        Ok(Arguments { tensors, weights_are_elsewhere })
    }
}

#[cfg(test)]
mod tests {
    use preheat_ir::graph::FunctionBuilder;
    use preheat_tensor::Dtype;

    use super::*;

    const CARD: TorchId = TorchId::Cuda(1);

    fn f32s(dims: &[u64]) -> TensorType {
        TensorType::new(Dtype::Float32, dims)
    }

    /// A graph that multiplies latents by a weight and adds noise.
    fn reader() -> Reader {
        let mut b = FunctionBuilder::new("denoiser");
        let [latents, noise] = ["latents", "noise"].map(|name| b.input(name, f32s(&[8, 8])));
        let weight = b.weight("weight", [8, 8]);
        let y = b.linear(latents, weight, None).and_then(|y| b.add(y, noise)).unwrap();
        b.output("latents", y);
        Reader::of(&b.finish().unwrap(), CARD)
    }

    fn placed(places: [TorchId; 3]) -> Vec<Placed<&'static str>> {
        places.into_iter().map(|place| Placed::new("made", place, f32s(&[8, 8]))).collect()
    }

    #[test]
    fn inputs_come_to_the_device_that_executes_and_weights_stay_where_they_rest() {
        for (places, brought, elsewhere) in [
            ([CARD; 3], [false; 2], false),
            ([TorchId::Cpu, CARD, CARD], [true, false], false),
            ([TorchId::Cuda(0), TorchId::Cpu, TorchId::Cpu], [true, true], true),
        ] {
            let arguments = reader().arguments(placed(places), |_| Ok::<_, ()>("brought")).unwrap();
            for (tensor, brought) in arguments.tensors().iter().zip(brought) {
                assert_eq!(
                    (tensor.place(), *tensor.tensor() == "brought"),
                    (CARD, brought),
                    "{places:?}"
                );
            }
            assert_eq!(arguments.tensors()[2].place(), places[2]);
            assert_eq!(arguments.weights_are_elsewhere(), elsewhere, "{places:?}");
        }
    }

    #[test]
    fn another_dtype_or_shape_is_refused_by_name() {
        for kind in [TensorType::new(Dtype::BFloat16, [8, 8]), f32s(&[8, 9])] {
            let mut given = placed([CARD; 3]);
            given[1] = Placed::new("made", CARD, kind.clone());
            let error = reader().arguments(given, Ok::<_, ()>).unwrap_err();
            assert!(
                matches!(&error, ArgumentError::Kind { name, given, .. } if name == "noise" && *given == kind)
            );
        }
        let mut given = placed([CARD; 3]);
        given.pop();
        let error = reader().arguments(given, Ok::<_, ()>).unwrap_err();
        assert_eq!(
            error,
            ArgumentError::Count { graph: "denoiser".to_owned(), wanted: 3, given: 2 }
        );
    }

    #[test]
    fn what_cannot_be_brought_is_told() {
        let error = reader().arguments(placed([TorchId::Cpu; 3]), |_| Err("no room")).unwrap_err();
        assert_eq!(error, ArgumentError::Bring("no room"));
    }
}
