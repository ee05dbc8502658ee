//! When does the library serve a request whose shape is cold at a larger warm shape? It does if the
//! graph's builder declares a padding, and if the share of the padding is within the given limit.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use preheat::{
    BuilderId, Dtype, Graph, Program, Runtime, Signature, Source, Tensor,
    create_execution_signature,
};
use preheat_runtime::device::{DeviceName, DeviceRequest};
use preheat_runtime::{Error, Padding, Percent, RuntimeBuilder, Scaled};
use support::lab::library;
use support::{Lab, in_child};

fn builder(lab: &Lab) -> RuntimeBuilder {
    let request = DeviceRequest { device: DeviceName::XlaCpu, ..DeviceRequest::default() };
    Runtime::builder().device(request).plugin(library()).cache_dir(lab.cache())
}

fn open(lab: &Lab) -> Runtime {
    builder(lab).build().unwrap()
}

fn percent(value: f64) -> Percent {
    Percent::new(value).unwrap()
}

fn signature(shape: [u64; 2]) -> Signature {
    create_execution_signature("model", shape, 1, 7.0, "euler", 20, Dtype::Float32).unwrap()
}

/// A program that doubles both sides of an `f32[height, width]`, so that each pixel becomes two by
/// two, and adds a scalar. It returns the scalar as a second result, whose shape does not grow.
fn program([height, width]: [u64; 2]) -> Program {
    let (tall, wide) = (2 * height, 2 * width);
    let text = format!(
        "module @twice {{
          func.func public @main(%x: tensor<{height}x{width}xf32>, %bias: tensor<f32>) -> (tensor<{tall}x{wide}xf32>, tensor<f32>) {{
            %y = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<{height}x{width}xf32>) -> tensor<{height}x2x{width}x2xf32>
            %z = stablehlo.reshape %y : (tensor<{height}x2x{width}x2xf32>) -> tensor<{tall}x{wide}xf32>
            %b = stablehlo.broadcast_in_dim %bias, dims = [] : (tensor<f32>) -> tensor<{tall}x{wide}xf32>
            %w = stablehlo.add %z, %b : tensor<{tall}x{wide}xf32>
            return %w, %bias : tensor<{tall}x{wide}xf32>, tensor<f32>
          }}
        }}"
    );
    Program::sniff(text.as_bytes()).unwrap()
}

fn padding() -> Padding {
    let side = |side, factor| Scaled { dimension: side, of: side, factor };
    let padding = Padding::default().input(0, side(0, 1)).input(0, side(1, 1));
    padding.output(0, side(0, 2)).output(0, side(1, 2))
}

/// The graph for a shape; it counts how often it is built.
fn graph(shape: [u64; 2], builds: &Arc<AtomicUsize>) -> Graph {
    let builds = Arc::clone(builds);
    let build = move || {
        builds.fetch_add(1, Ordering::SeqCst);
        Ok(program(shape))
    };
    Graph::built_by(BuilderId("twice-1".to_owned()), build).stage("upsampler").padding(padding())
}

/// An `f32[height, width]` of ascending numbers, and the same with doubled sides and 100 added.
fn tensors([height, width]: [u64; 2]) -> ([Tensor; 2], Vec<f32>) {
    let pixel = |row: u64, column: u64| f32::from(u16::try_from(row * width + column).unwrap());
    let values: Vec<f32> = (0..height * width).map(|at| pixel(at / width, at % width)).collect();
    let inputs = [
        Tensor::from_f32(&[height, width], &values).unwrap(),
        Tensor::from_f32(&[], &[100.0]).unwrap(),
    ];
    let doubled = (0..4 * height * width).map(|at| (at / (2 * width), at % (2 * width)));
    (inputs, doubled.map(|(row, column)| pixel(row / 2, column / 2) + 100.0).collect())
}

#[test]
fn a_larger_executable_serves_padded_and_cropped() {
    in_child("a_larger_executable_serves_padded_and_cropped", Lab::sim, |lab| {
        let builds = Arc::new(AtomicUsize::new(0));
        let get = |runtime: &Runtime, shape, most| {
            runtime.get_or_snap(&signature(shape), &graph(shape, &builds), percent(most)).unwrap()
        };
        let first = open(lab);
        for shape in [[16, 16], [8, 10], [8, 8]] {
            let made = get(&first, shape, 0.0);
            assert_eq!(
                (made.executable().report().source, made.larger_shape()),
                (Source::Compiled, None)
            );
        }
        assert_eq!((lab.compiles(), builds.swap(0, Ordering::SeqCst)), (3, 6));
        // The larger shape serves in the same process, and in others, which find it through the
        // index.
        for (runtime, source) in [(&first, Source::Memory), (&open(lab), Source::Disk)] {
            for (shape, larger, wasted) in
                [([6, 8], [8, 8], 25.0), ([5, 9], [8, 10], 43.75), ([9, 8], [16, 16], 71.875)]
            {
                let snapped = get(runtime, shape, 72.0);
                assert_eq!(snapped.larger_shape().unwrap(), (&larger[..], percent(wasted)));
                assert_eq!(snapped.executable().report().source, source);
                let (inputs, wanted) = tensors(shape);
                let outputs = snapped.run_to_host(&inputs).unwrap();
                assert_eq!(
                    outputs[0].kind().to_string(),
                    format!("float32[{}, {}]", 2 * shape[0], 2 * shape[1])
                );
                assert_eq!(outputs[0].to_f32().unwrap(), wanted);
                assert_eq!(outputs[1].to_f32().unwrap(), [100.0]);
            }
        }
        assert_eq!(lab.compiles(), 3);
        // When the request's own shape is warm, it is used first.
        let own = open(lab).get_or_compile(&signature([6, 8]), &graph([6, 8], &builds)).unwrap();
        assert_eq!((own.report().source, lab.compiles()), (Source::Compiled, 4));
        let served = get(&open(lab), [6, 8], 100.0);
        assert_eq!(
            (served.larger_shape(), served.executable().graph_key()),
            (None, own.graph_key())
        );
        let (inputs, wanted) = tensors([6, 8]);
        assert_eq!(served.run_to_host(&inputs).unwrap()[0].to_f32().unwrap(), wanted);
    });
}

#[test]
fn what_does_not_fit_is_not_used() {
    in_child("what_does_not_fit_is_not_used", Lab::sim, |lab| {
        let builds = Arc::default();
        open(lab).get_or_compile(&signature([8, 8]), &graph([8, 8], &builds)).unwrap();
        let runtime = builder(lab).require_warm(true).build().unwrap();
        let refused = |signature: &Signature, graph: &Graph, most| {
            let refused = runtime.get_or_snap(signature, graph, percent(most));
            assert!(matches!(refused, Err(Error::NotWarm(_))), "{refused:?}");
        };
        let small = signature([6, 8]);
        let own = || graph([6, 8], &builds);
        assert!(
            runtime.get_or_snap(&small, &own(), percent(25.0)).unwrap().larger_shape().is_some()
        );
        refused(&small, &own(), 24.9);
        refused(&signature([6, 9]), &graph([6, 9], &builds), 100.0);
        // A larger shape does not serve requests that differ in a field that the projection keeps,
        // in the builder or in the stage.
        refused(&Signature { steps: 21, ..small.clone() }, &own(), 100.0);
        refused(&Signature { batch_size: 2, ..small.clone() }, &own(), 100.0);
        refused(&small, &own().stage("denoiser"), 100.0);
        let other = Graph::built_by(BuilderId("twice-2".to_owned()), || Ok(program([6, 8])));
        refused(&small, &other.stage("upsampler").padding(padding()), 100.0);
        // It also does not serve a graph without a declared padding, a graph with a padding of
        // other sides, or a program, which has only one shape.
        let undeclared = Graph::built_by(BuilderId("twice-1".to_owned()), || Ok(program([6, 8])))
            .stage("upsampler");
        refused(&small, &undeclared, 100.0);
        let columns = Padding::default().input(0, Scaled { dimension: 1, of: 1, factor: 1 });
        refused(&small, &own().padding(columns), 100.0);
        refused(
            &small,
            &Graph::from_program(program([6, 8])).stage("upsampler").padding(padding()),
            100.0,
        );
        assert_eq!(lab.compiles(), 1);
        // If the larger shape's machine code is gone, only the request's own shape is compiled.
        builder(lab).open_cache().unwrap().clear().unwrap();
        let runtime = open(lab);
        let compiled = runtime.get_or_snap(&small, &own(), percent(100.0)).unwrap();
        assert_eq!((compiled.larger_shape(), lab.compiles()), (None, 2));
    });
}

#[test]
fn tensors_that_are_not_as_declared_are_named() {
    in_child("tensors_that_are_not_as_declared_are_named", Lab::sim, |lab| {
        let builds = Arc::default();
        let runtime = open(lab);
        runtime.get_or_compile(&signature([8, 8]), &graph([8, 8], &builds)).unwrap();
        let message = |graph: &Graph, inputs: &[Tensor]| {
            let snapped = runtime.get_or_snap(&signature([6, 8]), graph, percent(50.0)).unwrap();
            snapped.run_to_host(inputs).unwrap_err().to_string()
        };
        let (right, _) = tensors([6, 8]);
        let (large, _) = tensors([8, 8]);
        assert_eq!(
            message(&graph([6, 8], &builds), &large),
            "stage `upsampler`, input 0 is float32[8, 8], and the graph declares that dimension 0 \
             is 1 times number 0 of [6, 8]"
        );
        let said = message(&graph([6, 8], &builds), &right[..1]);
        assert_eq!(said, "stage `upsampler` takes 2 inputs, 1 was given");
        let of = |dimension, of, factor| Scaled { dimension, of, factor };
        for (wrong, said) in [
            (
                padding().output(0, of(0, 0, 3)),
                "output 0 is float32[16, 16], and the graph declares that dimension 0 is 3",
            ),
            (
                padding().output(1, of(0, 0, 1)),
                "output 1 is float32[], and the graph declares that dimension 0 is 1 times",
            ),
            (
                padding().input(0, of(1, 7, 1)),
                "input 0 is float32[6, 8], and the graph declares that dimension 1 is 1 times \
                 number 7",
            ),
        ] {
            let message = message(&graph([6, 8], &builds).padding(wrong), &right);
            assert!(message.contains(said), "{message}");
        }
        assert_eq!(lab.compiles(), 1);
    });
}
