//! Do the networks of the fixture models compute on libtorch what diffusers computes? Their results
//! on the CPU, and on a card or Apple's GPU if there is one, must be within the same bound as those
//! on XLA:CPU (tests/fixtures/README.md).

use preheat::Tensor;
use preheat_diffusion::models::Component;
use preheat_ir::graph::Verified;
use preheat_runtime::backend::torch::{Torch, TorchTensor, WeightPlace};
use preheat_runtime::device::TorchDevice;
use preheat_tensor::TensorType;

use super::session::{accelerator, cpu, numbers, open};
use crate::parity::fixture::Fixture;
use crate::parity::parts::{self, Engine, Network};

fn on_cpu(fixture: &Fixture, component: Component, function: &Verified) -> Network {
    let torch = open(Vec::new());
    let device = cpu(&torch).clone();
    on(torch, device, fixture, component, function)
}

fn on_accelerator(fixture: &Fixture, component: Component, function: &Verified) -> Network {
    let torch = open(Vec::new());
    let device = accelerator(&torch).unwrap().clone();
    on(torch, device, fixture, component, function)
}

fn on(
    torch: Torch,
    device: TorchDevice,
    fixture: &Fixture,
    component: Component,
    function: &Verified,
) -> Network {
    let as_stored =
        function.weights().iter().map(|weight| (0..weight.kind.dims.len()).collect()).collect();
    let weights = parts::weights(fixture, component, function, as_stored);
    let weights = function.weights().iter().zip(&weights);
    let weights: Vec<TorchTensor> = weights
        .map(|(decl, weight)| torch.tensor(&device, &decl.kind, weight.bytes()).unwrap())
        .collect();
    let graph = torch.load(&device, function).unwrap();
    Box::new(move |inputs| {
        let given = |input: &Tensor| torch.tensor(&device, &type_of(input), input.bytes()).unwrap();
        let inputs: Vec<TorchTensor> = inputs.iter().map(given).collect();
        let given: Vec<&TorchTensor> = inputs.iter().chain(&weights).collect();
        graph.run(&given, WeightPlace::OnDevice).unwrap().iter().map(numbers).collect()
    })
}

fn type_of(tensor: &Tensor) -> TensorType {
    tensor.kind().clone()
}

/// The CPU, then the first other real device if there is one.
fn engines() -> Vec<Engine> {
    let torch = open(Vec::new());
    println!("on the CPU, then on {:?}", accelerator(&torch).map(TorchDevice::label));
    [Some(on_cpu as Engine), accelerator(&torch).map(|_| on_accelerator as Engine)]
        .into_iter()
        .flatten()
        .collect()
}

macro_rules! models {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let fixture = Fixture::new(stringify!($name));
            for engine in engines() {
                parts::text_encoders(&fixture, engine);
                parts::unet(&fixture, engine);
                parts::vae(&fixture, engine);
            }
        }
    )*};
}

models!(sd15 sd21 sdxl mixed odd down_first);
