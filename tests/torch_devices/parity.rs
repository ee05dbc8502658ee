//! The networks of the fixture models on the CPU, within the bound that XLA:CPU keeps, too (tests/fixtures/README.md).

use preheat::backend::torch::{TorchTensor, WeightPlace};
use preheat::graph::{Type, Verified};
use preheat::models::Component;
use preheat::pjrt::ElementType;
use preheat::{Dtype, Tensor};

use super::session::{cpu, numbers, open};
use crate::parity::fixture::Fixture;
use crate::parity::parts::{self, Network};

fn torch(fixture: &Fixture, component: Component, function: &Verified) -> Network {
    let torch = open(Vec::new());
    let as_stored = function.weights().iter().map(|weight| (0..weight.kind.dims.len()).collect()).collect();
    let weights = parts::weights(fixture, component, function, as_stored);
    let weights: Vec<TorchTensor> = function
        .weights()
        .iter()
        .zip(&weights)
        .map(|(decl, weight)| torch.tensor(cpu(&torch), &decl.kind, weight.bytes()).unwrap())
        .collect();
    let weights: Vec<&TorchTensor> = weights.iter().collect();
    let graph = torch.load(cpu(&torch), function, &weights, WeightPlace::OnDevice).unwrap();
    Box::new(move |inputs| {
        let given = |input: &Tensor| torch.tensor(cpu(&torch), &type_of(input), input.bytes()).unwrap();
        let inputs: Vec<TorchTensor> = inputs.iter().map(given).collect();
        let outputs = graph.run(&inputs.iter().collect::<Vec<_>>()).unwrap();
        outputs.iter().map(numbers).collect()
    })
}

fn type_of(tensor: &Tensor) -> Type {
    let dtype = match tensor.kind().element_type {
        ElementType::F32 => Dtype::Float32,
        ElementType::I32 => Dtype::Int32,
        other => panic!("{other}"),
    };
    let dims: Vec<u64> = tensor.kind().dimensions.iter().map(|&dim| u64::try_from(dim).unwrap()).collect();
    Type::new(dtype, dims)
}

macro_rules! models {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let fixture = Fixture::new(stringify!($name));
            parts::text_encoders(&fixture, torch);
            parts::unet(&fixture, torch);
            parts::vae(&fixture, torch);
        }
    )*};
}

models!(sd15 sd21 sdxl mixed odd down_first);
