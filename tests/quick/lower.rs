//! To which text are small graphs lowered? With `PREHEAT_BLESS=1` in the environment, the expected
//! texts are written instead of compared.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::op_suite;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use op_suite::cases::{block, cases, function};
use preheat::Dtype;
use preheat_ir::graph::{FunctionBuilder, Norm, UnaryOp, Verified, autocast};
use preheat_ir::lower::{LoweringTarget, stablehlo, weight_orders};
use preheat_tensor::TensorType;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lower")
}

/// The file of a case.
fn file(name: &str) -> String {
    format!("{}.mlir", name.replace([' ', '/'], "_"))
}

/// The lines between the first and the last difference of the two texts, in the form of a diff.
fn difference(have: &str, want: &str) -> String {
    let (have, want): (Vec<&str>, Vec<&str>) = (have.lines().collect(), want.lines().collect());
    let same = have.iter().zip(&want).take_while(|(have, want)| have == want).count();
    let (have, want) = (&have[same..], &want[same..]);
    let tail =
        have.iter().rev().zip(want.iter().rev()).take_while(|(have, want)| have == want).count();
    let shown = |sign: &str, lines: &[&str]| -> String {
        lines[..lines.len() - tail].iter().flat_map(|line| [sign, line, "\n"]).collect()
    };
    format!("@@ line {} @@\n{}{}", same + 1, shown("-", want), shown("+", have))
}

/// The files and their texts: every case for CPUs, and the cases of attention also for
/// accelerators.
fn texts() -> Vec<(String, String)> {
    let mut texts: Vec<(String, String)> = cases()
        .iter()
        .map(|case| (file(case.name), stablehlo(&case.function, LoweringTarget::Cpu).text))
        .collect();
    for case in cases().iter().filter(|case| case.name.starts_with("attention")) {
        let name = format!("{} on an accelerator", case.name);
        texts.push((file(&name), stablehlo(&case.function, LoweringTarget::Accelerator).text));
    }
    texts.push((
        file("large attention on an accelerator"),
        stablehlo(&large_attention(), LoweringTarget::Accelerator).text,
    ));
    texts.push((file("declarations"), stablehlo(&declarations(), LoweringTarget::Cpu).text));
    texts
}

/// Attention whose scores take 800 MiB.
fn large_attention() -> Verified {
    function("large attention", |b| {
        let x = b.input("x", TensorType::new(Dtype::Float32, [2, 7001, 6]));
        let attention = preheat_ir::graph::Attention {
            query: x,
            key: x,
            value: x,
            heads: 3,
            scale: 0.5,
            causal: true,
            upcast: false,
        };
        b.attention(attention)
    })
}

/// A function with several inputs, outputs and donations, and with a value that is an output twice.
fn declarations() -> Verified {
    let mut b = FunctionBuilder::new("declarations");
    let kind = TensorType::new(Dtype::Float32, [1, 2, 3, 4]);
    let (x, y, z) = (b.input("x", kind.clone()), b.input("y", kind.clone()), b.input("z", kind));
    let sum = b.add(x, y).unwrap();
    b.output("unchanged", x);
    b.output_into("sum", sum, y);
    b.output_into("again", sum, z);
    b.finish().unwrap()
}

#[test]
fn the_texts_are_as_they_were() {
    let bless = std::env::var_os("PREHEAT_BLESS").is_some();
    let (texts, mut wrong) = (texts(), Vec::new());
    if bless {
        std::fs::create_dir_all(folder()).unwrap();
    }
    for (file, text) in &texts {
        let path = folder().join(file);
        if bless {
            std::fs::write(&path, text).unwrap();
            continue;
        }
        match std::fs::read_to_string(&path) {
            Ok(kept) if kept == *text => {}
            Ok(kept) => wrong.push(format!("{file} {}", difference(text, &kept))),
            Err(error) => wrong.push(format!("{file}: {error}")),
        }
    }
    let there: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let made: BTreeSet<String> = texts.into_iter().map(|(file, _)| file).collect();
    wrong.extend(there.difference(&made).map(|file| format!("{file}: no case has this name")));
    assert!(wrong.is_empty(), "{}\nPREHEAT_BLESS=1 writes them anew", wrong.join("\n"));
}

#[test]
fn weight_orders_are_known_without_the_text() {
    for case in cases() {
        assert_eq!(
            weight_orders(&case.function),
            stablehlo(&case.function, LoweringTarget::Cpu).weight_orders,
            "{}",
            case.name
        );
    }
    let function = function("block", block);
    let orders = weight_orders(&function);
    for (decl, order) in function.weights().iter().zip(&orders) {
        let wanted: &[usize] = match decl.kind.dims.len() {
            4 => &[2, 3, 1, 0],
            2 => &[1, 0],
            _ => &[0],
        };
        assert_eq!(order, wanted, "{}", decl.name);
    }
    // A weight that is cast before it is read has the same order as without the cast.
    let cast = autocast(&function, Dtype::BFloat16).unwrap();
    assert_eq!(weight_orders(&cast), orders);
}

/// Between the first convolution and the last, only attention transposes, to split its heads and to
/// join them again. Each of the two attentions needs four transposes: one each for query, key,
/// value and result.
#[test]
fn what_is_held_channels_last_stays_so() {
    let text = stablehlo(&function("block", block), LoweringTarget::Cpu).text;
    let transposes: Vec<&str> =
        text.lines().filter(|line| line.contains("stablehlo.transpose")).collect();
    let of_heads = transposes.iter().filter(|line| line.contains("dims = [0, 2, 1, 3]")).count();
    assert_eq!((transposes.len(), of_heads), (10, 8), "{}", transposes.join("\n"));
}

/// A chain of blocks with more nodes than the denoiser of Stable Diffusion 1.5, which has about
/// 3,000.
fn large() -> Verified {
    let mut b = FunctionBuilder::new("large");
    let mut x = b.input("x", TensorType::new(Dtype::Float32, [2, 320, 64, 64]));
    let mut at = 0;
    while at < 500 {
        let weight = |b: &mut FunctionBuilder, name: &str, dims: &[u64]| {
            b.weight(format!("{at}.{name}"), dims)
        };
        let norm = Norm {
            x,
            weight: weight(&mut b, "scale", &[320]),
            bias: weight(&mut b, "shift", &[320]),
            eps: 1e-5,
        };
        let (kernel, bias) =
            (weight(&mut b, "kernel", &[320, 320, 3, 3]), weight(&mut b, "bias", &[320]));
        let y = b.group_norm(norm, 32).unwrap();
        let y = b.unary(UnaryOp::Silu, y).unwrap();
        let y = b.conv2d(y, kernel, Some(bias), 1, 1).unwrap();
        x = b.add(x, y).unwrap();
        at += 1;
    }
    b.output("y", x);
    b.finish().unwrap()
}

#[test]
fn a_large_graph_is_lowered_at_once() {
    let function = large();
    assert!(function.nodes().len() > 4000);
    let start = Instant::now();
    let text = stablehlo(&function, LoweringTarget::Cpu).text;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} nodes, {} bytes of text, {:.1} ms",
        function.nodes().len(),
        text.len(),
        seconds * 1e3
    );
    assert_eq!(text.matches("stablehlo.convolution").count(), 500);
    // When this test was written, lowering took 0.01 s, and 0.1 s without optimisation. So the test
    // fails only if the time grows with the square of the graph's size.
    assert!(seconds < 5.0, "{seconds} s");
}
