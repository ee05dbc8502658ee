//! Does each network alone compute what diffusers computes?

use std::sync::Mutex;

use preheat::TensorType;
use preheat::{Dtype, Graph, Program, ProgramFormat, Tensor, create_execution_signature};
use preheat_diffusion::models::{
    Added, AddedConfig, Component, TextConfig, TextOutputs, aliases, text_encoder,
};
use preheat_diffusion::weights::{Checkpoint, WantedWeight, load};
use preheat_ir::graph::{FunctionBuilder, Value, Verified};
use preheat_ir::lower::{LoweringTarget, stablehlo};
use preheat_runtime::DeviceTensor;
use preheat_runtime::progress::Cancel;

use super::fixture::{Case, Fixture, Worst, error, noise};
use crate::support::random_model::{seed, splitmix64};

/// The largest error, relative to the reference's largest absolute value.
const LIMIT: f64 = 1e-4;
const SEQUENCES: usize = 20;
const TOKENS: u64 = 77;

/// A graph that is ready to run. It takes the inputs, and returns the values of its f32 outputs.
pub type Network = Box<dyn Fn(&[Tensor]) -> Vec<Vec<f32>>>;
/// Makes the graph of a component ready to run, with the weights of the fixture.
pub type Engine = fn(&Fixture, Component, &Verified) -> Network;

/// Makes a graph ready on XLA:CPU, with the runtime.
pub fn xla(fixture: &Fixture, component: Component, function: &Verified) -> Network {
    let lowered = stablehlo(function, LoweringTarget::Cpu);
    let weights = weights(fixture, component, function, lowered.weight_orders);
    let weights: Vec<DeviceTensor> =
        weights.iter().map(|tensor| fixture.runtime().to_device(tensor).unwrap()).collect();
    let program = Program::new(ProgramFormat::Mlir, lowered.text.into_bytes());
    let graph = Graph::from_program(program).stage(component.name());
    let signature =
        create_execution_signature(fixture.name, [1, 4, 8, 8], 1, 1.0, "none", 1, Dtype::Float32);
    let executable = fixture.runtime().get_or_compile(&signature.unwrap(), &graph).unwrap();
    Box::new(move |inputs| {
        let inputs: Vec<DeviceTensor> =
            inputs.iter().map(|input| executable.to_device(input).unwrap()).collect();
        let outputs = executable.run_to_host(inputs.iter().chain(&weights)).unwrap();
        outputs.iter().map(|output| output.to_f32().unwrap()).collect()
    })
}

/// The weights that a function reads, in its order, each with its dimensions in the order of
/// `orders`.
pub fn weights(
    fixture: &Fixture,
    component: Component,
    function: &Verified,
    orders: Vec<Vec<usize>>,
) -> Vec<Tensor> {
    let wanted: Vec<WantedWeight> = function
        .weights()
        .iter()
        .zip(orders)
        .map(|(weight, order)| WantedWeight {
            name: weight.name.clone(),
            aliases: aliases(&weight.name),
            dims: weight.kind.dims.clone(),
            dtype: weight.kind.dtype,
            order,
        })
        .collect();
    let stem =
        if component.name().starts_with("text") { "model" } else { "diffusion_pytorch_model" };
    let checkpoint = Checkpoint::open(&fixture.folder.join(component.name()), stem, None).unwrap();
    let loaded = Mutex::new(Vec::new());
    let ready = |at: usize, tensor: Tensor| -> Result<(), preheat_runtime::Error> {
        loaded.lock().unwrap().push((at, tensor));
        Ok(())
    };
    load(&checkpoint, &wanted, 2, &Cancel::default(), ready).unwrap();
    let mut loaded = loaded.into_inner().unwrap();
    loaded.sort_by_key(|(at, _)| *at);
    loaded.into_iter().map(|(_, tensor)| tensor).collect()
}

fn f32s(dims: &[u64], values: &[f32]) -> Tensor {
    Tensor::from_f32(dims, values).unwrap()
}

fn i32s(dims: &[u64], values: &[i32]) -> Tensor {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor::new(TensorType::new(Dtype::Int32, dims), &bytes).unwrap()
}

/// A sequence of random tokens, by the rule in tests/fixtures/README.md.
fn sequence(index: usize, config: &TextConfig, padding: i32) -> Vec<i32> {
    let seed = seed(&format!("ids/{index}"));
    let drawn: Vec<u64> = (0..TOKENS).map(|at| splitmix64(seed, at)).collect();
    let (begin, end) = (config.vocabulary - 2, config.vocabulary - 1);
    let count = usize::try_from(drawn[0] % (TOKENS - 1)).unwrap();
    let tokens = drawn[1..=count].iter().map(|token| token % begin);
    let mut ids: Vec<i32> = [begin]
        .into_iter()
        .chain(tokens)
        .chain([end])
        .map(|id| i32::try_from(id).unwrap())
        .collect();
    ids.resize(TOKENS.try_into().unwrap(), padding);
    ids
}

/// Checks that sequence 0 begins as tests/fixtures/README.md says.
fn check_sequences(config: &TextConfig) {
    let first = sequence(0, config, 0);
    assert_eq!(first[..4], [757, 716, 73, 539]);
    assert_eq!(first.iter().position(|&id| id == 758), Some(39));
}

/// The id with which a tokenizer pads a sequence.
fn padding(fixture: &Fixture, tokenizer: Component) -> i32 {
    let path = fixture.model.component(tokenizer).join("tokenizer_config.json");
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let token = &config["pad_token"];
    match token.as_str().or(token["content"].as_str()).unwrap() {
        "!" => 0,
        "<|endoftext|>" => 758,
        other => panic!("{other}"),
    }
}

pub fn text_encoders(fixture: &Fixture, engine: Engine) {
    let is_xl = fixture.model.text_encoders().len() == 2;
    let components = [
        (Component::TextEncoder, Component::Tokenizer),
        (Component::TextEncoder2, Component::Tokenizer2),
    ];
    for (config, (component, tokenizer)) in fixture.model.text_encoders().iter().zip(components) {
        check_sequences(config);
        let padding = padding(fixture, tokenizer);
        let skipping = |skip| {
            if is_xl {
                TextOutputs::stable_diffusion_xl(skip, false)
            } else {
                TextOutputs::stable_diffusion(skip)
            }
        };
        let graphs: [(&[&str], TextOutputs); 4] = [
            (&["last", "pooled"], TextOutputs { skipped_layers: 0, normed: true, pooled: true }),
            (&["hidden_2"], TextOutputs { skipped_layers: 1, normed: false, pooled: false }),
            (&["clip_skip_1"], skipping(1)),
            (&["clip_skip_2"], skipping(2)),
        ];
        let mut worst = Worst::new(fixture, component.name(), LIMIT);
        for (names, outputs) in graphs {
            let network = engine(fixture, component, &text_encoder(config, outputs).unwrap());
            let expected: Vec<_> = names
                .iter()
                .map(|name| fixture.expected(&format!("{}.{name}", component.name())))
                .collect();
            for index in 0..SEQUENCES {
                let ids = sequence(index, config, padding);
                let mut inputs = vec![i32s(&[1, 77], &ids)];
                if outputs.pooled {
                    inputs.push(i32s(&[1], &[config.eos_position(&ids).try_into().unwrap()]));
                }
                for ((name, expected), output) in names.iter().zip(&expected).zip(network(&inputs))
                {
                    // For some outputs, the fixture has diffusers' results for only the first few
                    // sequences.
                    if index < expected.dims[0] {
                        worst.add(
                            &format!("{name}, sequence {index}"),
                            error(&output, expected.row(index)),
                        );
                    }
                }
            }
        }
        worst.check();
    }
}

/// The UNet's graph. Its inputs are the sample, the timestep, the context and, for Stable Diffusion
/// XL, the additional conditions.
fn unet_graph(fixture: &Fixture, [batch, height, width]: [u64; 3]) -> Verified {
    let config = fixture.model.unet();
    let mut b = FunctionBuilder::new("unet");
    let input = |b: &mut FunctionBuilder, name: &str, dims: &[u64]| -> Value {
        b.input(name, TensorType::new(Dtype::Float32, dims))
    };
    let sample = input(&mut b, "sample", &[batch, config.in_channels, height, width]);
    let timestep = input(&mut b, "timestep", &[]);
    let context = input(&mut b, "context", &[batch, TOKENS, config.context_size]);
    let added = config.added.map(|added| Added::Parts {
        text_embeds: input(&mut b, "text_embeds", &[batch, added.pooled_size]),
        time_ids: input(&mut b, "time_ids", &[batch, AddedConfig::TIME_IDS]),
    });
    let predicted =
        preheat_diffusion::models::unet(&mut b, config, sample, timestep, context, added).unwrap();
    b.output("predicted", predicted);
    b.finish().unwrap()
}

#[expect(clippy::cast_precision_loss, reason = "sides and seeds are small")]
fn unet_inputs(fixture: &Fixture, case: &Case) -> Vec<Tensor> {
    let config = fixture.model.unet();
    let ([batch, height, width], seed) = (shape_of(case), seed_of(case));
    let sample = [batch, config.in_channels, height, width];
    let context = [batch, TOKENS, config.context_size];
    let mut values = noise(1000 + seed, &sample);
    if case.tensor == "unet.zeros" {
        values.fill(0.0);
    }
    let mut inputs = vec![
        f32s(&sample, &values),
        f32s(&[], &[case.timestep.unwrap()]),
        f32s(&context, &noise(2000 + seed, &context)),
    ];
    if let Some(added) = config.added {
        let pooled = [batch, added.pooled_size];
        let row = |row| {
            [8 * height, 8 * width, 8 * (seed % 3), 4 * (seed % 5), 8 * height, 1024 - row]
                .map(|number| number as f32)
        };
        inputs.push(f32s(&pooled, &noise(3000 + seed, &pooled)));
        inputs.push(f32s(
            &[batch, AddedConfig::TIME_IDS],
            &(0..batch).flat_map(row).collect::<Vec<_>>(),
        ));
    }
    inputs
}

fn shape_of(case: &Case) -> [u64; 3] {
    [case.batch.unwrap(), case.height.unwrap(), case.width.unwrap()]
}

fn seed_of(case: &Case) -> u64 {
    case.seed.as_ref().map_or(0, |seed| seed.to_vec()[0])
}

/// The cases, grouped by shape.
fn by_shape<'a>(
    cases: impl Iterator<Item = &'a Case>,
    shape: impl Fn(&Case) -> [u64; 3],
) -> Vec<Vec<&'a Case>> {
    let mut groups = std::collections::BTreeMap::<_, Vec<_>>::new();
    for case in cases {
        groups.entry(shape(case)).or_default().push(case);
    }
    groups.into_values().collect()
}

pub fn unet(fixture: &Fixture, engine: Engine) {
    let mut worst = Worst::new(fixture, "unet", LIMIT);
    for cases in by_shape(fixture.cases("unet."), shape_of) {
        let network = engine(fixture, Component::Unet, &unet_graph(fixture, shape_of(cases[0])));
        for case in cases {
            let output = network(&unet_inputs(fixture, case)).remove(0);
            worst.add(&case.tensor, error(&output, &fixture.expected(&case.tensor).values));
        }
    }
    all_were_compared(fixture, "unet.", &worst);
    worst.check();
}

pub fn vae(fixture: &Fixture, engine: Engine) {
    let config = fixture.model.vae();
    let mut worst = Worst::new(fixture, "vae", LIMIT);
    let of_one = |case: &Case| [1, case.height.unwrap(), case.width.unwrap()];
    for cases in by_shape(fixture.cases("vae."), of_one) {
        let [_, height, width] = of_one(cases[0]);
        let one = [1, config.latent_channels, height, width];
        let mut b = FunctionBuilder::new("vae");
        let latents = b.input("latents", TensorType::new(Dtype::Float32, one));
        let image = preheat_diffusion::models::vae(&mut b, config, latents).unwrap();
        b.output("image", image);
        let network = engine(fixture, Component::Vae, &b.finish().unwrap());
        for case in cases {
            let batch = case.batch.unwrap();
            let all = [batch, config.latent_channels, height, width];
            let mut latents = noise(4000 + seed_of(case), &all);
            if case.seed.is_none() {
                latents.fill(0.0);
            }
            let latents = latents.chunks_exact(latents.len() / usize::try_from(batch).unwrap());
            let images: Vec<f32> =
                latents.flat_map(|latents| network(&[f32s(&one, latents)]).remove(0)).collect();
            worst.add(&case.tensor, error(&images, &fixture.expected(&case.tensor).values));
        }
    }
    all_were_compared(fixture, "vae.", &worst);
    worst.check();
}

/// Asserts that every tensor of a part has a case, and was compared.
fn all_were_compared(fixture: &Fixture, prefix: &str, worst: &Worst) {
    let mut wanted = fixture.tensors();
    wanted.retain(|tensor| tensor.starts_with(prefix));
    wanted.sort();
    assert!(wanted.len() >= 20, "{wanted:?}");
    assert_eq!(worst.tensors(), wanted);
}
