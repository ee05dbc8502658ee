//! libtpu on a machine that need not have a TPU: topologies by name, and compiling for hardware that is not here.
//!
//! One process may initialise libtpu once, and it reads its surroundings from the environment; so the test runs itself again
//! as a child with that environment.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod support;

use std::process::Command;

use preheat::pjrt::{ErrorCode, PjrtError, Plugin, Program, Topology, Value, compile_ahead, options};

const CHILD: &str = "PREHEAT_TEST_LIBTPU";

const PROGRAM: &str = "module @step {
  func.func public @main(%x: tensor<8x128xbf16> {tf.aliasing_output = 0 : i32}, %w: tensor<128x128xbf16>) -> tensor<8x128xbf16> {
    %y = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<8x128xbf16>, tensor<128x128xbf16>) -> tensor<8x128xbf16>
    return %y : tensor<8x128xbf16>
  }
}";

#[test]
fn libtpu_compiles_for_a_tpu_that_is_not_here() {
    if let Some(library) = std::env::var_os(CHILD) {
        return in_child(library.as_ref());
    }
    // What libtpu needs to answer at once, to share its machine-wide lock and to be quiet (docs/status.md).
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["libtpu_compiles_for_a_tpu_that_is_not_here", "--exact", "--nocapture"])
        .env(CHILD, support::tpu_plugin())
        .env("TPU_SKIP_MDS_QUERY", "1")
        .env("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
        .env("TPU_ACCELERATOR_TYPE", "v5litepod-1")
        .env("TPU_WORKER_HOSTNAMES", "localhost")
        .env("TPU_MIN_LOG_LEVEL", "3")
        .env("TPU_STDERR_LOG_LEVEL", "3")
        .env("TPU_LOG_DIR", "disabled")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

fn in_child(library: &std::path::Path) {
    let plugin = Plugin::open(library).unwrap();
    let topology = Topology::create(&plugin, "v5e:1x1", &[]).unwrap();
    assert_eq!(topology.platform_name().unwrap(), "tpu");
    assert!(topology.platform_version().unwrap().contains("TPU v5 lite"));
    let devices = topology.device_descriptions().unwrap();
    assert_eq!((devices.len(), devices[0].kind.as_str()), (1, "TPU v5 lite"));
    assert_eq!(devices[0].attributes.get("coords"), Some(&Value::IntList(vec![0, 0, 0])));
    assert_eq!(topology.serialize().unwrap(), Topology::create(&plugin, "v5e:1x1", &[]).unwrap().serialize().unwrap());

    let options = options::encode(1, 1, false, &[], std::iter::empty()).unwrap();
    let executable = compile_ahead(&topology, Program::mlir(PROGRAM.as_bytes()), &options, None).unwrap();
    assert!(executable.serialize().unwrap().len() > 1000);
    let shape = executable.program_shape().unwrap();
    let text = |kinds: &[preheat::pjrt::hlo::TensorType]| kinds.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text(&shape.parameters), ["8x128xbf16", "128x128xbf16"]);
    assert_eq!(text(&shape.results), ["8x128xbf16"]);

    let unknown = Topology::create(&plugin, "v5e:7x9x3", &[]).err().unwrap();
    assert_eq!(unknown.code(), Some(ErrorCode::InvalidArgument), "{unknown}");
    // libtpu takes it for a v2.
    assert!(matches!(Topology::create(&plugin, "", &[]), Err(PjrtError::EmptyTopologyName)));
    let broken = compile_ahead(&topology, Program::mlir(b"module {"), &options, None);
    assert!(matches!(broken, Err(PjrtError::Call { .. })));
}
