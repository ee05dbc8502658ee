use preheat_ir::graph::Op;

use super::*;
use crate::models::ModelFolder;
use crate::models::tests::{altered, open};

fn inputs(graph: &Verified) -> Vec<String> {
    graph.inputs().iter().map(|input| format!("{} {}", input.name, input.kind)).collect()
}

#[test]
fn inputs_stand_in_the_documented_order() {
    let model = open("sdxl");
    let graph = denoiser(model.unet(), &model.denoiser_spec(true, 2, [16, 24])).unwrap();
    let pictures = ["latents", "base", "history_1", "history_2", "history_3", "noise"];
    let mut expected: Vec<String> =
        pictures.map(|name| format!("{name} float32[2, 4, 16, 24]")).into();
    expected.extend(
        [
            "scalars float32[16]",
            "context_1 float32[1, 77, 768]",
            "negative_context_1 float32[1, 77, 768]",
            "context_2 float32[1, 77, 1280]",
            "negative_context_2 float32[1, 77, 1280]",
            "pooled float32[1, 1280]",
            "time_ids float32[1, 6]",
            "negative_pooled float32[1, 1280]",
            "negative_time_ids float32[1, 6]",
        ]
        .map(str::to_owned),
    );
    assert_eq!(inputs(&graph), expected);

    let model = open("sd15");
    let graph = denoiser(model.unet(), &model.denoiser_spec(false, 1, [16, 24])).unwrap();
    assert_eq!(inputs(&graph)[6..], ["scalars float32[16]", "context_1 float32[1, 77, 768]"]);
}

#[test]
fn a_network_for_inpainting_reads_a_mask_and_the_masked_picture() {
    let folder = altered("sd15", "unet/config.json", |config| config["in_channels"] = 9.into());
    let model = ModelFolder::open(folder.path()).unwrap();
    assert!(model.reads_a_mask() && !open("sd15").reads_a_mask());
    assert_eq!(model.latent_channels(), 4);
    let graph = denoiser(model.unet(), &model.denoiser_spec(true, 2, [16, 24])).unwrap();
    let all = inputs(&graph);
    assert_eq!(all[0], "latents float32[2, 4, 16, 24]");
    let last = ["mask float32[1, 1, 16, 24]", "masked_image_latents float32[2, 4, 16, 24]"];
    assert_eq!(all[all.len() - 2..], last);
}

#[test]
fn outputs_take_over_the_buffers_that_are_done_with() {
    let model = open("sd15");
    let graph = denoiser(model.unet(), &model.denoiser_spec(true, 3, [8, 8])).unwrap();
    let name = |value: Value| match graph.nodes()[value.index()].op {
        Op::Input(at) => graph.inputs()[at as usize].name.as_str(),
        _ => "no input",
    };
    let outputs: Vec<_> = graph
        .outputs()
        .iter()
        .map(|output| (output.name.as_str(), output.donated.map(name)))
        .collect();
    assert_eq!(outputs, [("latents", Some("base")), ("output", Some("history_3"))]);
    for output in graph.outputs() {
        assert_eq!(graph.type_of(output.value).to_string(), "float32[3, 4, 8, 8]");
    }
}

#[test]
fn the_network_runs_on_both_prompts_where_guided() {
    let model = open("sd15");
    for (guided, batch, expected) in [(true, 1, 2), (true, 3, 6), (false, 3, 3)] {
        let graph = denoiser(model.unet(), &model.denoiser_spec(guided, batch, [8, 8])).unwrap();
        let convolved = graph.nodes().iter().filter(|node| matches!(node.op, Op::Conv2d { .. }));
        assert!(convolved.into_iter().all(|node| node.kind.dims[0] == expected));
        // The network's output is f32 from here on, whatever dtype autocast gives to the network.
        assert!(graph.nodes().iter().any(|node| matches!(node.op, Op::Convert(_, Dtype::Float32))));
    }
}

#[test]
fn scalars_stand_in_the_order_in_which_the_graph_reads_them() {
    let coefficients = Coefficients {
        input_scale: 2.0,
        output_model: 3.0,
        output_latents: 4.0,
        clip: 5.0,
        base: 6.0,
        latents: 7.0,
        model: 8.0,
        output: 9.0,
        history: [10.0, 11.0, 12.0],
        noise: 13.0,
    };
    let scalars = StepScalars { timestep: 0.0, guidance: 1.0, coefficients };
    assert_eq!(
        scalars.to_array()[..14],
        std::array::from_fn::<f32, 14, _>(|index| u8::try_from(index).unwrap().into())
    );

    let mut b = FunctionBuilder::new("scalars");
    let input = b.input("scalars", TensorType::new(Dtype::Float32, [16]));
    let read = Scalars::read(&mut b, input).unwrap();
    let [h1, h2, h3] = read.history;
    let in_order = [
        read.timestep,
        read.guidance,
        read.input_scale,
        read.output_model,
        read.output_latents,
        read.clip,
        read.base,
        read.latents,
        read.model,
        read.output,
        h1,
        h2,
        h3,
        read.noise,
    ];
    b.output("last", read.noise);
    let graph = b.finish().unwrap();
    for (index, value) in (0..).zip(in_order) {
        let Op::Reshape(slice) = graph.nodes()[value.index()].op else { panic!("no reshape") };
        assert!(
            matches!(graph.nodes()[slice.index()].op, Op::Slice { start, .. } if start == index),
            "{index}"
        );
    }
}

#[test]
fn contexts_must_make_up_what_the_network_is_conditioned_on() {
    let model = open("sd15");
    let mut spec = model.denoiser_spec(true, 1, [8, 8]);
    spec.contexts = vec![[77, 1024]];
    let error = denoiser(model.unet(), &spec).unwrap_err().to_string();
    assert!(error.contains("the features of the prompt are 1024, and should be 768"), "{error}");
    spec.contexts.clear();
    assert!(denoiser(model.unet(), &spec).is_err());
}
