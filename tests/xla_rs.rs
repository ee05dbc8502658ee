//! Do graphs of the `xla` crate (feature `xla-rs`) work with the cache, keys, store and warmup? The
//! tests also compare their results with those of the crate's own XLA, which is another build of
//! XLA than the plugin's. `cargo xtask test --xla-rs` runs them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "xla_rs/graphs.rs"]
mod graphs;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use graphs::{Case, cases};
use pjrt_sim::Count;
use preheat::TensorType;
use preheat::{
    BuilderId, Digest, Dtype, Executable, Graph, Match, Program, Projection, Runtime, Signature,
    Source, Tensor, create_execution_signature,
};
use preheat_runtime::device::{DeviceName, DeviceRequest};
use preheat_runtime::{RuntimeBuilder, Verdict};
use support::lab::{Lab, in_child, library};
use xla::{Literal, PjRtClient, PjRtLoadedExecutable, XlaBuilder};

fn builder(lab: &Lab) -> RuntimeBuilder {
    let request = DeviceRequest { device: DeviceName::XlaCpu, ..DeviceRequest::default() };
    Runtime::builder().device(request).plugin(library()).cache_dir(lab.cache())
}

fn open(lab: &Lab) -> Runtime {
    builder(lab).build().unwrap()
}

fn signature() -> Signature {
    create_execution_signature("xla-rs", [1, 4, 64, 64], 1, 7.0, "euler", 20, Dtype::Float32)
        .unwrap()
}

fn case(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap()
}

fn tensors<'a>(literals: impl IntoIterator<Item = &'a Literal>) -> Vec<Tensor> {
    literals.into_iter().map(|literal| Tensor::try_from(literal).unwrap()).collect()
}

/// The results that the crate's own XLA computes.
fn oracle(executable: &PjRtLoadedExecutable, inputs: &[Literal]) -> Vec<Tensor> {
    let outputs = executable.execute::<Literal>(inputs).unwrap();
    let literals: Vec<Literal> =
        outputs[0].iter().map(|buffer| buffer.to_literal_sync().unwrap()).collect();
    tensors(&literals)
}

fn run(executable: &Executable, inputs: &[Literal]) -> Vec<Tensor> {
    executable.run_to_host(&tensors(inputs)).unwrap()
}

fn bytes(tensors: &[Tensor]) -> Vec<&[u8]> {
    tensors.iter().map(Tensor::bytes).collect()
}

/// Describes where two lists of results differ by more than `rtol` of the larger number.
fn difference(have: &[Tensor], want: &[Tensor], rtol: f64) -> Option<String> {
    if have.len() != want.len() {
        return Some(format!("{} results, and {} are wanted", have.len(), want.len()));
    }
    have.iter().zip(want).enumerate().find_map(|(number, (have, want))| {
        if have.kind() != want.kind() {
            return Some(format!(
                "result {number} is {}, and {} is wanted",
                have.kind(),
                want.kind()
            ));
        }
        match (numbers(have), numbers(want)) {
            (Some(have), Some(want)) if rtol > 0.0 => {
                have.into_iter().zip(want).enumerate().find_map(|(index, (have, want))| {
                    // The limit also has an absolute part, for small numbers that are differences
                    // of larger ones.
                    let near = (have - want).abs() <= rtol * (have.abs().max(want.abs()) + 0.1);
                    let same = near
                        || (have.is_nan() && want.is_nan())
                        || have.to_bits() == want.to_bits();
                    (!same).then(|| {
                        format!("result {number}[{index}] is {have:e}, and {want:e} is wanted")
                    })
                })
            }
            _ => (have.bytes() != want.bytes()).then(|| format!("result {number} has other bytes")),
        }
    })
}

/// A tensor's values, if its dtype is a floating-point or complex one.
fn numbers(tensor: &Tensor) -> Option<Vec<f64>> {
    let data = tensor.bytes();
    Some(match tensor.kind().dtype {
        Dtype::Float32 | Dtype::Complex64 => data
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes(four.try_into().unwrap()).into())
            .collect(),
        Dtype::Float64 => data
            .chunks_exact(8)
            .map(|eight| f64::from_le_bytes(eight.try_into().unwrap()))
            .collect(),
        Dtype::Float16 => data
            .chunks_exact(2)
            .map(|two| half::f16::from_le_bytes(two.try_into().unwrap()).into())
            .collect(),
        Dtype::BFloat16 => data
            .chunks_exact(2)
            .map(|two| half::bf16::from_le_bytes(two.try_into().unwrap()).into())
            .collect(),
        _ => return None,
    })
}

#[test]
fn there_are_graphs_of_every_topic() {
    let names: BTreeSet<_> = cases().iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases().len(), "two cases have the same name");
    assert!(names.len() >= 25, "{} graphs", names.len());
    let topics = "operations reduc convolution dot_general gather loop branches tuple bf16 donation scatter sort random";
    for topic in topics.split(' ') {
        assert!(names.iter().any(|name| name.contains(topic)), "no graph of {topic} in {names:?}");
    }
}

#[test]
fn a_difference_is_seen() {
    let tensor = |values: [f32; 2]| vec![Tensor::from_f32(&[2], &values).unwrap()];
    assert_eq!(difference(&tensor([1.0, -2.0]), &tensor([1.0, -2.0]), 0.0), None);
    assert_eq!(
        difference(&tensor([1.0, f32::INFINITY]), &tensor([1.000_001, f32::INFINITY]), 1e-5),
        None
    );
    assert!(difference(&tensor([1.0, -2.0]), &tensor([1.0, -2.001]), 1e-5).is_some());
    assert!(difference(&tensor([1.0, f32::NAN]), &tensor([1.0, 2.0]), 1e-5).is_some());
    assert!(difference(&tensor([1.0, 2.0]), &tensor([1.0, 2.000_000_2]), 0.0).is_some());
    assert!(difference(&tensor([1.0, 2.0]), &[], 0.0).is_some());
    let other_shape = [Tensor::from_f32(&[2, 1], &[1.0, 2.0]).unwrap()];
    assert!(difference(&tensor([1.0, 2.0]), &other_shape, 1.0).is_some());
}

/// The variable that is set in the process of the oracle, which computes with the crate's own XLA.
const ORACLE: &str = "XLA_RS_TEST_ORACLE";

/// The XLA that the crate links runs in a process of its own. TensorFlow's build of it crashes if
/// it compiles the parts of a module in parallel, and the plugin would also read the flag that
/// prevents this (docs/xla-rs.md).
#[test]
fn both_xlas_compute_the_same() {
    let test = "both_xlas_compute_the_same";
    in_child(test, Lab::sim, |lab| {
        if std::env::var_os(ORACLE).is_some() {
            write_what_the_oracle_gives(lab);
            return;
        }
        let variables = [(ORACLE, "1"), ("XLA_FLAGS", "--xla_cpu_parallel_codegen_split_count=1")];
        again(test, variables.map(|(name, value)| (name.into(), value.into())));

        let (compiling, loading) = (open(lab), open(lab));
        let mut wrong = Vec::new();
        for case in cases() {
            let computation = case.computation();
            let ours = compiling.get_or_compile(&signature(), &computation).unwrap();
            // The executable from the disk must give the same results as the compiled one.
            let loaded = loading.get_or_compile(&signature(), &computation).unwrap();
            let sources = (ours.report().source, loaded.report().source);
            assert_eq!(sources, (Source::Compiled, Source::Disk), "{}", case.name);
            for (number, inputs) in case.inputs().iter().enumerate() {
                let have = run(&ours, inputs);
                if let Some(difference) =
                    difference(&have, &what_the_oracle_gave(lab, &case, number), case.rtol)
                {
                    wrong.push(format!("{}, run {number}: {difference}", case.name));
                }
                if bytes(&run(&loaded, inputs)) != bytes(&have) {
                    wrong.push(format!(
                        "{}, run {number}: the loaded executable gives other bytes",
                        case.name
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
        assert_eq!((lab.compiles(), lab.log().deserializes()), (cases().len(), cases().len()));
    });
}

/// Writes each result of each run to a file of its own: a line of JSON with dtype and dimensions,
/// then the bytes.
fn write_what_the_oracle_gives(lab: &Lab) {
    let client = PjRtClient::cpu().unwrap();
    for case in cases() {
        let executable = client.compile(&case.computation()).unwrap();
        for (number, inputs) in case.inputs().iter().enumerate() {
            for (index, tensor) in oracle(&executable, inputs).iter().enumerate() {
                let kind = tensor.kind();
                let mut content = serde_json::to_vec(&(kind.dtype.name(), &kind.dims)).unwrap();
                content.push(b'\n');
                content.extend_from_slice(tensor.bytes());
                lab.file(&result_file(&case, number, index), content);
            }
        }
    }
}

fn what_the_oracle_gave(lab: &Lab, case: &Case, number: usize) -> Vec<Tensor> {
    let contents =
        (0..).map_while(|index| std::fs::read(lab.path(&result_file(case, number, index))).ok());
    let tensor = |content: Vec<u8>| {
        let end = content.iter().position(|&byte| byte == b'\n').unwrap();
        let (name, dims): (String, Vec<u64>) = serde_json::from_slice(&content[..end]).unwrap();
        let kind = TensorType::new(name.parse().unwrap(), dims);
        Tensor::new(kind, &content[end + 1..]).unwrap()
    };
    contents.map(tensor).collect()
}

fn result_file(case: &Case, number: usize, index: usize) -> String {
    format!("{}.{number}.{index}", case.name)
}

/// Runs the calling test in another process, with the same folder and these variables.
fn again(test: &str, variables: impl IntoIterator<Item = (OsString, OsString)>) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture", "--test-threads=1"]).envs(variables);
    let ran = child.output().unwrap();
    let said =
        [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("");
    assert!(ran.status.success() && said.contains("1 passed"), "{}: {said}", ran.status);
}

/// The variable that is set in the second process of a test; the test itself is the first one.
const SECOND: &str = "XLA_RS_TEST_SECOND";

#[test]
fn a_second_process_has_the_same_keys_and_compiles_nothing() {
    let test = "a_second_process_has_the_same_keys_and_compiles_nothing";
    in_child(test, Lab::sim, |lab| {
        let second = std::env::var_os(SECOND).is_some();
        let runtime = open(lab);
        let mut lines = Vec::new();
        for case in cases() {
            let executable = runtime.get_or_compile(&signature(), &case.computation());
            let executable = executable.unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
            let report = executable.report();
            let expected = if second {
                (Source::Disk, Match::Exact)
            } else {
                (Source::Compiled, Match::Compiled)
            };
            assert_eq!((report.source, report.matched), expected, "{}", case.name);
            lines.push(format!("{} {}", executable.graph_key(), case.name));
        }
        let keys: BTreeSet<_> = lines.iter().map(|line| line.split_once(' ').unwrap().0).collect();
        assert_eq!(keys.len(), cases().len(), "two graphs share a key");
        if second {
            lab.file("keys", lines.join("\n"));
            return;
        }
        let variables =
            lab.no_compiles().envs().into_iter().map(|(name, value)| (name.into(), value.into()));
        again(test, variables.chain([(SECOND.into(), "1".into())]));
        assert_eq!(std::fs::read_to_string(lab.path("keys")).unwrap(), lines.join("\n"));
        assert_eq!((lab.compiles(), lab.log().deserializes()), (cases().len(), cases().len()));
    });
}

#[test]
fn a_computation_is_looked_up_warmed_stored_and_repaired() {
    in_child("a_computation_is_looked_up_warmed_stored_and_repaired", Lab::sim, |lab| {
        let case = case("a step of Euler's method");
        let computation = case.computation();
        let first = open(lab);
        assert_eq!(first.lookup(&signature(), &computation).unwrap().verdict, Verdict::Miss);
        let (warmed, _) = first.warmup(&signature(), &computation).unwrap();
        assert_eq!(
            (warmed.report().source, lab.compiles(), lab.executes()),
            (Source::Compiled, 1, 1)
        );
        assert_eq!(first.lookup(&signature(), &computation).unwrap().verdict, Verdict::Hit);
        let statistics = first.stats().unwrap();
        let compiles = statistics.warming.compiles;
        assert_eq!((statistics.entries, compiles, lab.objects().len()), (1, 1, 1));
        let want = run(&warmed, &case.inputs()[0]);

        // Another signature of the same graph shares the executable.
        let more_steps = Signature { steps: 25, ..signature() };
        let shared = first.get_or_compile(&more_steps, &case.computation()).unwrap();
        assert_eq!(
            (shared.report().matched, shared.graph_key()),
            (Match::Graph, warmed.graph_key())
        );
        drop(first);

        // The object is damaged. The next request compiles it again and gets the right results.
        let object = lab.objects().remove(0);
        let mut content = std::fs::read(&object).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 0xff;
        std::fs::write(&object, content).unwrap();
        let repaired = open(lab).get_or_compile(&signature(), &computation).unwrap();
        assert_eq!(repaired.report().source, Source::Compiled);
        assert_eq!(bytes(&run(&repaired, &case.inputs()[0])), bytes(&want));
        assert_eq!(
            open(lab).get_or_compile(&signature(), &computation).unwrap().report().source,
            Source::Disk
        );
        assert_eq!(lab.compiles(), 2);
    });
}

#[test]
fn an_alias_donates_its_input() {
    in_child("an_alias_donates_its_input", Lab::sim, |lab| {
        let case = case("donation");
        let inputs = tensors(&case.inputs()[0]);
        for round in 0..2 {
            let executable = open(lab).get_or_compile(&signature(), &case.computation()).unwrap();
            let [given, kept] = [0, 1].map(|index| executable.to_device(&inputs[index]).unwrap());
            let sums = executable.run([&given, &kept]).unwrap()[0].to_host().unwrap();
            let values = |tensor: &Tensor| tensor.to_f32().unwrap();
            let want: Vec<f32> =
                values(&inputs[0]).iter().zip(values(&inputs[1])).map(|(x, y)| x + y).collect();
            assert_eq!(values(&sums), want, "round {round}");
            assert!(given.to_host().is_err(), "round {round}: the donated input can still be read");
            assert_eq!(kept.to_host().unwrap().bytes(), inputs[1].bytes());
        }
        assert_eq!(lab.compiles(), 1);
    });
}

#[test]
fn a_builder_of_computations_is_asked_only_when_nothing_is_known() {
    in_child("a_builder_of_computations_is_asked_only_when_nothing_is_known", Lab::sim, |lab| {
        let built = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&built);
        let graph = Graph::built_by(BuilderId("xla-rs-test-1".to_owned()), move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Program::try_from(&case("softmax").computation())?)
        })
        .projection(Projection::step_graph(Digest::of(b"architecture")));
        assert_eq!(
            open(lab).get_or_compile(&signature(), &graph).unwrap().report().source,
            Source::Compiled
        );
        let more_steps = Signature { steps: 25, ..signature() };
        let second = open(lab).get_or_compile(&more_steps, &graph).unwrap();
        assert_eq!(
            (second.report().source, second.report().matched),
            (Source::Disk, Match::Equivalent)
        );
        assert_eq!((built.load(Ordering::SeqCst), lab.compiles()), (1, 1));
    });
}

#[test]
fn what_xla_cannot_compile_is_an_error_in_words() {
    in_child("what_xla_cannot_compile_is_an_error_in_words", Lab::sim, |lab| {
        let builder = XlaBuilder::new("unknown");
        let x = builder.parameter(0, xla::ElementType::F32, &[2], "x").unwrap();
        let call = builder
            .custom_call("nobody_registered_this", &[x], xla::ElementType::F32, &[2], b"")
            .unwrap();
        let error = open(lab).get_or_compile(&signature(), &call.build().unwrap()).unwrap_err();
        let mut said = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(next) = cause {
            said = format!("{said}: {next}");
            cause = next.source();
        }
        assert!(said.contains("nobody_registered_this"), "{said}");
        assert!(lab.objects().is_empty());
    });
}

#[test]
fn the_second_process_of_the_example_compiles_nothing() {
    let lab = Lab::new();
    let executable = std::env::current_exe().unwrap();
    let example = executable.ancestors().nth(2).unwrap().join("examples/xla_rs");
    assert!(
        example.is_file(),
        "no {}: cargo build --features xla-rs --example xla_rs",
        example.display()
    );
    let printed = [lab.sim(), lab.no_compiles()].map(|sim| {
        let mut command = Command::new(&example);
        command
            .env("XDG_CACHE_HOME", lab.path("cache"))
            .env("PREHEAT_XLA_CPU_PLUGIN", library())
            .envs(sim.envs());
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    });
    let [first, second] = printed.map(|text| {
        text.lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>()
    });
    assert!(
        first["source"].starts_with("Compiled") && second["source"].starts_with("Disk"),
        "{first:?} {second:?}"
    );
    assert_eq!(first["latents after 4 steps"], second["latents after 4 steps"]);
    assert_eq!((lab.compiles(), lab.log().deserializes()), (1, 1));
}
