//! Does the safe API work over the real xla-cpu plugin?

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::iter::empty;
use std::sync::{Arc, LazyLock, mpsc};
use std::time::Duration;

use preheat::TensorType;
use preheat_pjrt::hlo::ProgramShape;
use preheat_pjrt::options::{self, OptionOverride, Partitioner};
use preheat_pjrt::{
    Buffer, Client, ErrorCode, ExecutableAbiVersion, ExecuteOptions, HostTransfer,
    LoadedExecutable, PjrtError, PjrtProgram, PjrtTopology, PjrtValue, Plugin, compile_ahead,
};
use preheat_tensor::{AlignedBytes, ArrayError, Dtype};
use prost::Message;

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let plugin = Plugin::open(&support::xla_cpu_plugin()).unwrap();
    Client::create(&plugin, &[("cpu_device_count", PjrtValue::Int(2))]).unwrap()
});

const ADD: &str = "func.func @main(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %sum = stablehlo.add %x, %y : tensor<2x3xf32>
  return %sum : tensor<2x3xf32>
}";

fn options() -> Vec<u8> {
    options::encode(&options::BuildOptions::default(), empty()).unwrap()
}

fn compile(text: &str) -> LoadedExecutable {
    CLIENT.compile(PjrtProgram::mlir(text.as_bytes()), &options()).unwrap()
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

fn put(dims: &[u64], values: &[f32]) -> Buffer {
    let device = &CLIENT.addressable_devices().unwrap()[0];
    CLIENT.buffer_from_host(device, Dtype::Float32, dims, &bytes(values)).unwrap()
}

fn run(executable: &LoadedExecutable, arguments: &[&Buffer]) -> Vec<Buffer> {
    executable.execute(arguments, ExecuteOptions::default()).unwrap()
}

fn tensor(dtype: Dtype, dims: &[u64]) -> TensorType {
    TensorType::new(dtype, dims)
}

#[test]
fn the_plugin_and_its_client_describe_themselves() {
    let plugin = CLIENT.plugin();
    assert_eq!(plugin.api_version().major, 0);
    let Some(PjrtValue::IntList(stablehlo)) =
        plugin.attributes().unwrap().remove("stablehlo_current_version")
    else {
        panic!("no StableHLO version")
    };
    assert_eq!(stablehlo.len(), 3);
    assert!(
        plugin.extensions().iter().any(|extension| extension.name() == Some("Layouts")),
        "{:?}",
        plugin.extensions()
    );

    assert_eq!(CLIENT.platform_name().unwrap(), "cpu");
    assert_eq!(CLIENT.platform_version().unwrap(), "cpu");
    assert_eq!(CLIENT.process_index().unwrap(), 0);
    let devices = CLIENT.addressable_devices().unwrap();
    assert_eq!(devices.len(), 2, "the plugin obeys cpu_device_count");
    assert_eq!(CLIENT.devices().unwrap().len(), 2);
    assert_eq!(CLIENT.default_device_assignment(1, 2).unwrap(), [0, 1]);
    for device in &devices {
        assert!(device.is_addressable().unwrap());
        let description = device.description().unwrap();
        assert_eq!((description.id, description.kind), (device.id(), device.kind().unwrap()));
        assert_eq!(device.memory_stats().unwrap(), None);
        device.local_hardware_id().unwrap();
    }
}

#[test]
fn the_same_library_is_opened_once_also_through_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("plugin.so");
    std::os::unix::fs::symlink(support::xla_cpu_plugin(), &link).unwrap();
    let plugin = Plugin::open(&link).unwrap();
    assert_eq!(plugin.path(), CLIENT.plugin().path());
}

#[test]
fn a_client_has_a_topology_and_the_plugin_makes_none_by_name() {
    let topology = CLIENT.topology().unwrap();
    assert_eq!(topology.platform_name().unwrap(), "cpu");
    assert_eq!(topology.platform_version().unwrap(), "cpu");
    assert_eq!(topology.device_descriptions().unwrap().len(), 2);
    assert_eq!(topology.serialize().unwrap(), CLIENT.topology().unwrap().serialize().unwrap());
    assert!(!topology.serialize().unwrap().is_empty());
    topology.attributes().unwrap();

    let error = |name| PjrtTopology::create(CLIENT.plugin(), name, &[]).err().unwrap();
    assert!(matches!(error(""), PjrtError::EmptyTopologyName));
    assert_eq!(error("v5e:1x1").code(), Some(ErrorCode::Unimplemented));
    let ahead = compile_ahead(&topology, PjrtProgram::mlir(ADD.as_bytes()), &options(), None);
    assert_eq!(
        ahead.err().unwrap().code(),
        Some(ErrorCode::NotFound),
        "the plugin has no compiler without a client"
    );
}

#[test]
fn a_program_is_compiled_run_serialised_and_loaded_again() {
    let compiled = compile(ADD);
    let serialized = compiled.executable().serialize().unwrap();
    let loaded = CLIENT.deserialize_and_load(&serialized, None).unwrap();
    drop(serialized);
    let (x, y) = (put(&[2, 3], &[0., 1., 2., 3., 4., 5.]), put(&[2, 3], &[10.; 6]));
    for executable in [&compiled, &loaded] {
        assert_eq!(executable.num_outputs(), 1);
        assert_eq!(executable.addressable_devices().unwrap().len(), 1);
        let about = executable.executable();
        assert_eq!(about.num_outputs().unwrap(), 1);
        assert_eq!((about.num_replicas().unwrap(), about.num_partitions().unwrap()), (1, 1));
        assert_eq!(about.outputs().unwrap(), [tensor(Dtype::Float32, &[2, 3])]);
        let memory = about.compiled_memory_stats().unwrap().unwrap();
        assert_eq!((memory.argument_bytes, memory.output_bytes), (48, 24));
        let cost = about.cost_analysis().unwrap().unwrap();
        assert_eq!(cost.get("flops"), Some(&PjrtValue::Float(6.)), "{cost:?}");
        about.generated_code_bytes().unwrap();
        about.fingerprint().unwrap();
        assert!(!about.name().unwrap().is_empty());

        let sum = run(executable, &[&x, &y]).remove(0);
        assert_eq!(sum.dtype().unwrap(), Dtype::Float32);
        assert_eq!(sum.dims().unwrap(), [2, 3]);
        assert_eq!(sum.on_device_bytes().unwrap(), 24);
        assert_eq!(sum.device().unwrap().id(), x.device().unwrap().id());
        assert_eq!(floats(&sum.to_host().unwrap()), [10., 11., 12., 13., 14., 15.]);
    }
}

#[test]
fn xla_cpu_knows_no_abi_versions() {
    let executable = compile(ADD);
    assert!(executable.client().abi_version().unwrap().is_none());
    assert!(executable.executable().abi_version().unwrap().is_none());
    assert!(ExecutableAbiVersion::from_bytes(executable.client().plugin(), b"").unwrap().is_none());
}

#[test]
fn an_executable_outlives_every_other_handle_to_its_client() {
    let plugin = Plugin::open(&support::xla_cpu_plugin()).unwrap();
    let client = Client::create(&plugin, &[]).unwrap();
    let device = client.addressable_devices().unwrap().remove(0);
    let x = client.buffer_from_host(&device, Dtype::Float32, &[2, 3], &bytes(&[1.; 6])).unwrap();
    let executable = client.compile(PjrtProgram::mlir(ADD.as_bytes()), &options()).unwrap();
    drop((device, client, plugin));
    let sum = executable.execute(&[&x, &x], ExecuteOptions::default()).unwrap().remove(0);
    drop((executable, x));
    assert_eq!(floats(&sum.to_host().unwrap()), [2.; 6]);
}

/// XLA:CPU frees nothing before the last handle is dropped. So the test checks only that `delete`
/// and a later `is_deleted` give no error.
#[test]
fn deleting_an_executable_is_taken_without_an_error() {
    let executable = compile(ADD);
    assert!(!executable.is_deleted().unwrap());
    executable.delete().unwrap();
    executable.is_deleted().unwrap();
}

/// A program whose result reuses the memory of its argument `x`.
const DONATE: &str =
    "func.func @main(%x: tensor<64xf32> {tf.aliasing_output = 0 : i32}, %y: tensor<64xf32>) -> tensor<64xf32> {
  %sum = stablehlo.add %x, %y : tensor<64xf32>
  return %sum : tensor<64xf32>
}";

#[test]
fn a_donated_argument_becomes_the_result() {
    let executable = compile(DONATE);
    let (x, y) = (put(&[64], &[1.; 64]), put(&[64], &[2.; 64]));
    let address = x.address().unwrap();
    let sum = run(&executable, &[&x, &y]).remove(0);
    assert!(x.is_deleted().unwrap() && !y.is_deleted().unwrap());
    assert_eq!(sum.address().unwrap(), address);
    assert_eq!(floats(&sum.to_host().unwrap()), [3.; 64]);
    assert_eq!(x.to_host().unwrap_err().code(), Some(ErrorCode::InvalidArgument));
    let again = executable.execute(&[&x, &y], ExecuteOptions::default());
    assert_eq!(again.err().unwrap().code(), Some(ErrorCode::InvalidArgument));
    let twice = executable.execute(&[&y, &y], ExecuteOptions::default());
    assert_eq!(twice.err().unwrap().code(), Some(ErrorCode::InvalidArgument));
    assert!(executable.executable().compiled_memory_stats().unwrap().unwrap().alias_bytes >= 256);
}

#[test]
fn an_argument_that_is_kept_is_not_donated() {
    let executable = compile(DONATE);
    let x = put(&[64], &[1.; 64]);
    let sum = executable
        .execute(&[&x, &x], ExecuteOptions { keep: &[0], ..Default::default() })
        .unwrap()
        .remove(0);
    assert!(!x.is_deleted().unwrap());
    assert_eq!(floats(&x.to_host().unwrap()), [1.; 64]);
    assert_eq!(floats(&sum.to_host().unwrap()), [2.; 64]);
}

/// Waits until the plugin has dropped its reference to `owner`, which was lent to it.
fn released<T>(owner: &std::sync::Weak<T>) -> bool {
    (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        owner.strong_count() == 0
    })
}

#[test]
fn aligned_host_memory_is_used_in_place_and_kept_until_the_buffer_is_gone() {
    let device = &CLIENT.addressable_devices().unwrap()[0];
    let owner = Arc::new(AlignedBytes::copy_of(&bytes(&[7.; 64])).unwrap());
    let (address, weak) = (owner.as_ptr().addr(), Arc::downgrade(&owner));
    let x = CLIENT
        .buffer_from_owner(device, Dtype::Float32, &[64], owner, HostTransfer::ZeroCopy)
        .unwrap();
    assert_eq!(x.address().unwrap(), address);
    x.ready().unwrap().wait().unwrap();
    assert_eq!(weak.strong_count(), 1);

    let executable = compile(DONATE);
    let y = put(&[64], &[1.; 64]);
    let sum = executable.execute(&[&x, &y], ExecuteOptions::default()).unwrap().remove(0);
    assert_eq!(floats(&sum.to_host().unwrap()), [8.; 64]);
    assert_ne!(sum.address().unwrap(), address, "host memory is never written to");
    drop((x, sum));
    assert!(released(&weak));
}

#[test]
fn an_owner_lent_for_a_copy_is_let_go_while_the_buffer_lives() {
    let device = &CLIENT.addressable_devices().unwrap()[0];
    let owner = Arc::new(bytes(&[7.; 5]));
    let weak = Arc::downgrade(&owner);
    let x =
        CLIENT.buffer_from_owner(device, Dtype::Float32, &[5], owner, HostTransfer::Copy).unwrap();
    assert!(released(&weak));
    assert_eq!(floats(&x.to_host().unwrap()), [7.; 5]);
}

#[test]
fn an_owner_is_let_go_when_its_buffer_cannot_be_made() {
    let device = &CLIENT.addressable_devices().unwrap()[0];
    let owner = Arc::new(vec![0_u8; 3]);
    let made = CLIENT.buffer_from_owner(
        device,
        Dtype::Float32,
        &[1],
        Arc::clone(&owner),
        HostTransfer::ZeroCopy,
    );
    assert!(matches!(made.err(), Some(PjrtError::WrongSize { expected: 4, actual: 3, .. })));
    assert_eq!(Arc::strong_count(&owner), 1);
}

#[test]
fn events_call_back_once_and_a_panic_ends_there() {
    let (sender, receiver) = mpsc::channel();
    let event = put(&[2], &[1., 2.]).ready().unwrap();
    let panics = sender.clone();
    event
        .on_ready(move |_| {
            panics.send(Ok(())).unwrap();
            panic!("a callback that fails");
        })
        .unwrap();
    event.on_ready(move |result| sender.send(result).unwrap()).unwrap();
    event.wait().unwrap();
    assert!(event.is_ready().unwrap());
    drop(event);
    for _ in 0..2 {
        receiver.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
    }
    assert!(
        receiver.recv_timeout(Duration::from_secs(10)).is_err(),
        "the closures, and so the senders, are gone"
    );
}

#[test]
fn many_arguments_and_results_are_passed_in_order() {
    let count = 100;
    let list = |f: &dyn Fn(usize) -> String| (0..count).map(f).collect::<Vec<_>>().join(", ");
    let types = list(&|_| "tensor<f32>".into());
    let text = format!(
        "func.func @main({}) -> ({types}) {{ return {} : {types} }}",
        list(&|i| format!("%a{i}: tensor<f32>")),
        list(&|i| format!("%a{}", count - 1 - i)),
    );
    let executable = compile(&text);
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let arguments: Vec<Buffer> = (0..count).map(|i| put(&[], &[i as f32])).collect();
    let results = run(&executable, &arguments.iter().collect::<Vec<_>>());
    for (i, result) in results.iter().rev().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let expected = [i as f32];
        assert_eq!(floats(&result.to_host().unwrap()), expected);
    }
}

#[test]
fn arrays_of_no_elements_and_of_every_width_go_there_and_back() {
    let device = &CLIENT.addressable_devices().unwrap()[0];
    for &dtype in Dtype::ALL {
        let Ok(width) = dtype.bytes() else {
            let made = CLIENT.buffer_from_host(device, dtype, &[2], &[0, 0]);
            assert!(
                matches!(made, Err(PjrtError::Array(ArrayError::NotWholeBytes { .. }))),
                "{dtype}"
            );
            continue;
        };
        for dimensions in [&[][..], &[3], &[0], &[2, 0, 3]] {
            let size = dtype.array_bytes(dimensions).unwrap();
            // The bytes are only zeroes and ones, because a Boolean can have no other value.
            let data: Vec<u8> = (0..size).map(|i| u8::from(i % width == 0)).collect();
            let there = CLIENT.buffer_from_host(device, dtype, dimensions, &data).unwrap();
            assert_eq!(
                (there.dtype().unwrap(), there.dims().unwrap()),
                (dtype, dimensions.to_vec())
            );
            assert_eq!(there.to_host().unwrap(), data, "{dtype} {dimensions:?}");
        }
    }
}

#[test]
fn the_host_sees_row_major_whatever_the_layout_on_the_device() {
    let text =
        "func.func @main(%x: tensor<2x3xf32>) -> (tensor<2x3xf32> {mhlo.layout_mode = \"{0,1}\"}) {
      %y = stablehlo.add %x, %x : tensor<2x3xf32>
      return %y : tensor<2x3xf32>
    }";
    let doubled = run(&compile(text), &[&put(&[2, 3], &[0., 1., 2., 3., 4., 5.])]).remove(0);
    assert_eq!(floats(&doubled.to_host().unwrap()), [0., 2., 4., 6., 8., 10.]);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let device = &CLIENT.addressable_devices().unwrap()[0];
    let made =
        |dims: &[u64], data: &[u8]| CLIENT.buffer_from_host(device, Dtype::Float32, dims, data);
    let error = made(&[2, 3], &[0; 20]).unwrap_err();
    assert_eq!(error.to_string(), "float32[2, 3] has 24 bytes, not 20");
    assert!(matches!(
        made(&[u64::MAX, 2], &[]),
        Err(PjrtError::Array(ArrayError::Dimensions { .. }))
    ));
    assert!(matches!(
        put(&[2], &[1., 2.]).to_host_into(&mut [0; 7]),
        Err(PjrtError::WrongSize { actual: 7, .. })
    ));

    let executable = compile(ADD);
    let x = put(&[2, 3], &[0.; 6]);
    let run = |arguments: &[&Buffer]| executable.execute(arguments, ExecuteOptions::default());
    assert_eq!(run(&[&x]).unwrap_err().code(), Some(ErrorCode::InvalidArgument), "too few");
    assert_eq!(
        run(&[&x, &x, &x]).unwrap_err().code(),
        Some(ErrorCode::InvalidArgument),
        "too many"
    );
    assert!(run(&[&x, &put(&[2], &[0.; 2])]).is_err(), "another shape");

    let other = Client::create(CLIENT.plugin(), &[]).unwrap();
    let theirs = other.addressable_devices().unwrap().remove(0);
    let foreign =
        other.buffer_from_host(&theirs, Dtype::Float32, &[2, 3], &bytes(&[0.; 6])).unwrap();
    assert_eq!(
        run(&[&x, &foreign]).unwrap_err().to_string(),
        "argument 1 belongs to another client"
    );
    let misplaced = CLIENT.buffer_from_host(&theirs, Dtype::Float32, &[1], &[0; 4]);
    assert!(matches!(misplaced, Err(PjrtError::ForeignHandle { .. })));
}

#[test]
fn bad_programs_bytes_and_options_are_errors() {
    let compile = |program| CLIENT.compile(program, &options()).err().unwrap();
    for program in [
        PjrtProgram::mlir(b"no program"),
        PjrtProgram::mlir(b""),
        PjrtProgram::mlir(b"ML\xefRtruncated"),
        PjrtProgram::mlir(&BYTECODE[..BYTECODE.len() / 2]),
        PjrtProgram::hlo(b"no program"),
        PjrtProgram::hlo(ADD.as_bytes()),
        PjrtProgram::mlir(
            b"func.func @main(%x: tensor<2xf32>) -> tensor<3xf32> { return %x : tensor<2xf32> }",
        ),
    ] {
        let error = compile(program);
        assert!(error.code().is_some(), "{error}");
    }
    let PjrtError::Call { function, message, .. } = compile(PjrtProgram::mlir(b"no program"))
    else {
        panic!()
    };
    assert_eq!(function, "PJRT_Client_Compile");
    assert!(!message.is_empty());

    let serialized = self::compile(ADD).executable().serialize().unwrap();
    for bytes in [&[][..], b"garbage", &serialized[..serialized.len() / 2]] {
        let error = CLIENT.deserialize_and_load(bytes, None).err().unwrap();
        assert!(error.code().is_some(), "{error}");
    }

    for options in [&[][..], b"\xff\xff\xff"] {
        let refused = CLIENT.compile(PjrtProgram::mlir(ADD.as_bytes()), options);
        assert!(matches!(refused.err(), Some(PjrtError::BadOptions { .. })));
        let refused = CLIENT.deserialize_and_load(&serialized, Some(options));
        assert!(matches!(refused.err(), Some(PjrtError::BadOptions { .. })));
    }
}

/// xla-cpu reads only as many bytes as the size says. libtpu reads up to a zero byte, so its
/// program is passed with a zero byte at the end (crates/pjrt/src/program.rs adds it).
#[test]
fn what_lies_behind_a_program_is_not_read() {
    let longer = format!("{ADD}\nand more that is no program");
    let program = PjrtProgram::mlir(&longer.as_bytes()[..ADD.len()]);
    CLIENT.compile(program, &options()).unwrap();
}

#[test]
fn options_reach_the_compiler() {
    let with = |name, value| {
        let options =
            options::encode(&options::BuildOptions::default(), [(name, value)].into_iter())
                .unwrap();
        CLIENT.compile(PjrtProgram::mlir(ADD.as_bytes()), &options)
    };
    let error = with("xla_no_such_flag", OptionOverride::Bool(true)).err().unwrap();
    assert!(error.to_string().contains("xla_no_such_flag"), "{error}");
    with("xla_cpu_enable_fast_math", OptionOverride::Bool(true)).unwrap();
    with("xla_cpu_parallel_codegen_split_count", OptionOverride::Int(1)).unwrap();
    with("xla_cpu_prefer_vector_width", OptionOverride::Text("128".into())).unwrap();
    let error = with("xla_cpu_parallel_codegen_split_count", OptionOverride::Text("many".into()))
        .err()
        .unwrap();
    assert!(error.to_string().contains("xla_cpu_parallel_codegen_split_count"), "{error}");
}

#[test]
fn an_override_changes_what_the_compiler_makes() {
    let text = "func.func @main(%x: tensor<64xf32>) -> tensor<64xf32> {
      %zero = stablehlo.constant dense<0.0> : tensor<64xf32>
      %a = stablehlo.add %x, %zero : tensor<64xf32>
      %b = stablehlo.negate %a : tensor<64xf32>
      %c = stablehlo.negate %b : tensor<64xf32>
      return %c : tensor<64xf32>
    }";
    let flops = |disabled: &str| {
        let passes = [("xla_disable_hlo_passes", OptionOverride::Text(disabled.into()))];
        let options =
            options::encode(&options::BuildOptions::default(), passes.into_iter()).unwrap();
        let compiled = CLIENT.compile(PjrtProgram::mlir(text.as_bytes()), &options).unwrap();
        let code = compiled.executable().optimized_program().unwrap().code;
        String::from_utf8_lossy(&code).matches("negate").count()
    };
    assert!(flops("") < flops("algsimp"), "{} {}", flops(""), flops("algsimp"));
}

#[test]
fn the_device_assignment_decides_where_it_runs() {
    let devices = CLIENT.addressable_devices().unwrap();
    let second = u64::try_from(devices[1].id()).unwrap();
    let options = options::encode(
        &options::BuildOptions { device_assignment: &[second], ..options::BuildOptions::default() },
        empty(),
    )
    .unwrap();
    let executable = CLIENT.compile(PjrtProgram::mlir(ADD.as_bytes()), &options).unwrap();
    assert_eq!(executable.addressable_devices().unwrap()[0].id(), devices[1].id());
    let x =
        CLIENT.buffer_from_host(&devices[1], Dtype::Float32, &[2, 3], &bytes(&[2.; 6])).unwrap();
    assert_eq!(run(&executable, &[&x, &x])[0].device().unwrap().id(), devices[1].id());

    let serialized = compile(ADD).executable().serialize().unwrap();
    let moved = CLIENT.deserialize_and_load(&serialized, Some(&options)).unwrap();
    assert_eq!(moved.addressable_devices().unwrap()[0].id(), devices[1].id());

    let both = options::encode(
        &options::BuildOptions {
            num_partitions: 2,
            partitioner: Some(Partitioner::Gspmd),
            device_assignment: &[0, second],
            ..options::BuildOptions::default()
        },
        empty(),
    )
    .unwrap();
    let executable = CLIENT.compile(PjrtProgram::mlir(ADD.as_bytes()), &both).unwrap();
    assert_eq!(executable.executable().num_partitions().unwrap(), 2);
    let refused = executable.execute(&[&x, &x], ExecuteOptions::default());
    assert!(matches!(refused, Err(PjrtError::SeveralDevices { devices: 2 })));
}

#[test]
fn parameters_and_results_are_read_back_from_any_form_of_program() {
    let f32_2x3 = || tensor(Dtype::Float32, &[2, 3]);
    let check = |executable: &LoadedExecutable, shape: &ProgramShape| {
        assert_eq!(executable.executable().program_shape().unwrap(), *shape);
        assert_eq!(executable.executable().outputs().unwrap(), shape.results);
        let serialized = executable.executable().serialize().unwrap();
        let loaded = CLIENT.deserialize_and_load(&serialized, None).unwrap();
        assert_eq!(loaded.executable().program_shape().unwrap(), *shape);
        assert_eq!(loaded.executable().outputs().unwrap(), shape.results);
    };

    check(
        &compile(ADD),
        &ProgramShape { parameters: vec![f32_2x3(), f32_2x3()], results: vec![f32_2x3()] },
    );

    let scalar = || tensor(Dtype::Float32, &[]);
    let two_results =
        ProgramShape { parameters: vec![f32_2x3(), f32_2x3()], results: vec![f32_2x3(), scalar()] };
    let bytecode = CLIENT.compile(PjrtProgram::mlir(BYTECODE), &options()).unwrap();
    check(&bytecode, &two_results);
    let x = put(&[2, 3], &[1.; 6]);
    assert_eq!(floats(&run(&bytecode, &[&x, &x])[1].to_host().unwrap()), [12.]);

    let hlo = CLIENT.compile(PjrtProgram::hlo(&hlo_module()), &options()).unwrap();
    let f32_2 = || tensor(Dtype::Float32, &[2]);
    check(&hlo, &ProgramShape { parameters: vec![f32_2()], results: vec![f32_2(), f32_2()] });
    assert_eq!(floats(&run(&hlo, &[&put(&[2], &[1., 2.])])[1].to_host().unwrap()), [2., 4.]);

    let odd = compile(
        "func.func @main(%a: tensor<0x3xbf16>, %b: tensor<complex<f32>>, %c: tensor<4xi1>, %unused: tensor<7xui8>)
            -> (tensor<4xi1>, tensor<0x3xbf16>, tensor<complex<f32>>) {
          return %c, %a, %b : tensor<4xi1>, tensor<0x3xbf16>, tensor<complex<f32>>
        }",
    );
    let (a, b, c) = (
        tensor(Dtype::BFloat16, &[0, 3]),
        tensor(Dtype::Complex64, &[]),
        tensor(Dtype::Bool, &[4]),
    );
    let parameters = vec![a.clone(), b.clone(), c.clone(), tensor(Dtype::UInt8, &[7])];
    check(&odd, &ProgramShape { parameters, results: vec![c, a, b] });

    let nothing = compile("func.func @main() { return }");
    check(&nothing, &ProgramShape { parameters: vec![], results: vec![] });
    assert!(run(&nothing, &[]).is_empty());
}

/// `(x + y, sum(2 x))` for `2x3xf32`, as `jax.export` writes it: StableHLO bytecode.
const BYTECODE: &[u8] = include_bytes!("pjrt_cpu/two_results.mlirbc");

/// `(x, x + x)` for `2xf32`, as a serialised `HloModuleProto`.
fn hlo_module() -> Vec<u8> {
    let array = hlo::Shape { dtype: 11, dimensions: vec![2], ..Default::default() };
    let tuple = hlo::Shape {
        dtype: 13,
        tuple_shapes: vec![array.clone(), array.clone()],
        ..Default::default()
    };
    let instruction =
        |id: i64, opcode: &str, shape: &hlo::Shape, operand_ids: &[i64]| hlo::Instruction {
            name: format!("{opcode}.{id}"),
            opcode: opcode.into(),
            shape: Some(shape.clone()),
            id,
            operand_ids: operand_ids.to_vec(),
        };
    let program_shape = hlo::ProgramShape {
        parameters: vec![array.clone()],
        result: Some(tuple.clone()),
        parameter_names: vec!["x".into()],
    };
    let computation = hlo::Computation {
        name: "main".into(),
        instructions: vec![
            instruction(1, "parameter", &array, &[]),
            instruction(2, "add", &array, &[1, 1]),
            instruction(3, "tuple", &tuple, &[1, 2]),
        ],
        program_shape: Some(program_shape.clone()),
        id: 5,
        root_id: 3,
    };
    let module = hlo::Module {
        name: "by_hand".into(),
        entry_computation_name: "main".into(),
        computations: vec![computation],
        host_program_shape: Some(program_shape),
        entry_computation_id: 5,
    };
    module.encode_to_vec()
}

/// The parts of `hlo.proto` that are needed to write a module.
mod hlo {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Module {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub entry_computation_name: String,
        #[prost(message, repeated, tag = "3")]
        pub computations: Vec<Computation>,
        #[prost(message, optional, tag = "4")]
        pub host_program_shape: Option<ProgramShape>,
        #[prost(int64, tag = "6")]
        pub entry_computation_id: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Computation {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(message, repeated, tag = "2")]
        pub instructions: Vec<Instruction>,
        #[prost(message, optional, tag = "4")]
        pub program_shape: Option<ProgramShape>,
        #[prost(int64, tag = "5")]
        pub id: i64,
        #[prost(int64, tag = "6")]
        pub root_id: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Instruction {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub opcode: String,
        #[prost(message, optional, tag = "3")]
        pub shape: Option<Shape>,
        #[prost(int64, tag = "35")]
        pub id: i64,
        #[prost(int64, repeated, tag = "36")]
        pub operand_ids: Vec<i64>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ProgramShape {
        #[prost(message, repeated, tag = "1")]
        pub parameters: Vec<Shape>,
        #[prost(message, optional, tag = "2")]
        pub result: Option<Shape>,
        #[prost(string, repeated, tag = "3")]
        pub parameter_names: Vec<String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Shape {
        #[prost(int32, tag = "2")]
        pub dtype: i32,
        #[prost(int64, repeated, tag = "3")]
        pub dimensions: Vec<i64>,
        #[prost(message, repeated, tag = "4")]
        pub tuple_shapes: Vec<Shape>,
    }
}
