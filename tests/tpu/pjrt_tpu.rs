//! libtpu on a machine that need not have a TPU: topologies by name, and compiling for hardware
//! that is not here.
//!
//! One process may initialise libtpu once, and it reads its surroundings from the environment; so
//! the test runs itself again as a child with that environment.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![expect(unsafe_code, reason = "asks the plugin's C functions which sizes they expect")]

use crate::support;

use preheat::pjrt::sys::{self, abi_version};
use preheat::pjrt::{
    Compatibility, ErrorCode, Executable, ExecutableAbiVersion, PjrtError, Plugin, Program,
    RuntimeAbiVersion, Topology, Value, compile_ahead, options,
};
use support::tpu::TpuVersion;

/// The same program for a TPU of another kind.
const OTHER_TARGET: &str = "v6e:1x1";

const PROGRAM: &str = "module @step {
  func.func public @main(%x: tensor<8x128xbf16> {tf.aliasing_output = 0 : i32}, %w: tensor<128x128xbf16>) -> tensor<8x128xbf16> {
    %y = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<8x128xbf16>, tensor<128x128xbf16>) -> tensor<8x128xbf16>
    return %y : tensor<8x128xbf16>
  }
}";

#[test]
fn libtpu_compiles_for_a_tpu_that_is_not_here() {
    if let Some(library) = support::tpu::library_of_child() {
        return in_child(&library);
    }
    support::tpu::child("libtpu_compiles_for_a_tpu_that_is_not_here", &support::tpu_plugin(), &[]);
}

fn in_child(library: &std::path::Path) {
    let plugin = Plugin::open(library).unwrap();
    let topology = Topology::create(&plugin, "v5e:1x1", &[]).unwrap();
    assert_eq!(topology.platform_name().unwrap(), "tpu");
    assert!(topology.platform_version().unwrap().contains("TPU v5 lite"));
    let devices = topology.device_descriptions().unwrap();
    assert_eq!((devices.len(), devices[0].kind.as_str()), (1, "TPU v5 lite"));
    assert_eq!(devices[0].attributes.get("coords"), Some(&Value::IntList(vec![0, 0, 0])));
    assert_eq!(
        topology.serialize().unwrap(),
        Topology::create(&plugin, "v5e:1x1", &[]).unwrap().serialize().unwrap()
    );

    let options = options::encode(1, 1, None, &[], std::iter::empty()).unwrap();
    let executable =
        compile_ahead(&topology, Program::mlir(PROGRAM.as_bytes()), &options, None).unwrap();
    assert!(executable.serialize().unwrap().len() > 1000);
    let shape = executable.program_shape().unwrap();
    let text =
        |kinds: &[preheat::TensorType]| kinds.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text(&shape.parameters), ["8x128xbf16", "128x128xbf16"]);
    assert_eq!(text(&shape.results), ["8x128xbf16"]);

    abi_versions(&plugin, &executable, &options);
    abi_version_layout(library);

    let unknown = Topology::create(&plugin, "v5e:7x9x3", &[]).err().unwrap();
    assert_eq!(unknown.code(), Some(ErrorCode::InvalidArgument), "{unknown}");
    // libtpu takes it for a v2.
    assert!(matches!(Topology::create(&plugin, "", &[]), Err(PjrtError::EmptyTopologyName)));
    let broken = compile_ahead(&topology, Program::mlir(b"module {"), &options, None);
    assert!(matches!(broken, Err(PjrtError::Call { .. })));
}

/// What the plugin says of executables and runtimes. A runtime's own version takes a client, and so
/// a TPU; what stands in for it is the runtime that libtpu's compiler compiles for, as the
/// executable's version names it.
fn abi_versions(plugin: &Plugin, executable: &Executable, options: &[u8]) {
    let of_executable = executable.abi_version().unwrap().unwrap();
    let bytes = of_executable.to_bytes().unwrap();
    let read = ExecutableAbiVersion::from_bytes(plugin, &bytes).unwrap().unwrap();
    assert_eq!(read.to_bytes().unwrap(), bytes);

    let needed = TpuVersion::read(&bytes);
    let takes = |runtime: &TpuVersion, executable: &ExecutableAbiVersion| {
        support::tpu::takes(plugin, runtime, executable)
    };
    assert_eq!(takes(&needed, &read), Compatibility::Compatible);
    assert_eq!(takes(&needed, &of_executable), Compatibility::Compatible);
    let refusal = |runtime: &TpuVersion| match takes(runtime, &read) {
        Compatibility::Incompatible(reason) => reason,
        Compatibility::Compatible => panic!("{runtime:?} takes it"),
    };
    for (base, hardware, reason) in
        [(1, 0, "base ABI version"), (-1, 0, "base ABI version"), (0, 1, "hardware-specific")]
    {
        let mut other = needed.clone();
        (other.base, other.hardware) = (needed.base + base, needed.hardware + hardware);
        assert!(refusal(&other).contains(reason));
    }

    let topology = Topology::create(plugin, OTHER_TARGET, &[]).unwrap();
    let other = compile_ahead(&topology, Program::mlir(PROGRAM.as_bytes()), options, None).unwrap();
    let other = other.abi_version().unwrap().unwrap();
    assert!(matches!(takes(&needed, &other), Compatibility::Incompatible(_)));

    let runtime = RuntimeAbiVersion::from_bytes(plugin, &needed.of_runtime()).unwrap().unwrap();
    assert!(
        runtime.takes_as(&runtime).is_err_and(|error| error.is_unimplemented()),
        "libtpu compares no runtimes"
    );
    assert!(matches!(
        RuntimeAbiVersion::from_bytes(plugin, b"\xff\xff"),
        Err(PjrtError::Call { .. })
    ));
}

/// The header of the `AbiVersion` extension comes with no plugin; but every function says which
/// size it expects of its args.
fn abi_version_layout(library: &std::path::Path) {
    // SAFETY: the plugin is loaded already, and this shares it.
    let library = unsafe { libloading::Library::new(library) }.unwrap();
    // SAFETY: PJRT gives this symbol this type; it takes nothing.
    let api = unsafe { library.get::<sys::GetPjrtApi>(b"GetPjrtApi").unwrap()() };
    // SAFETY: libtpu's table reaches so far: it was initialised by a function behind these.
    let (mut extension, describe) =
        unsafe { ((*api).extension_start.cast_const(), (*api).error_message.unwrap()) };
    // SAFETY: each link of the chain is an extension that lives as long as the library.
    while unsafe { (*extension).r#type } != abi_version::ABI_VERSION {
        // SAFETY: as above; `abi_versions` showed that the chain has one.
        extension = unsafe { (*extension).next };
    }
    // SAFETY: as above.
    assert_eq!(unsafe { (*extension).struct_size }, size_of::<abi_version::Extension>());

    for (index, layout) in abi_version::STRUCTS.iter().enumerate() {
        let function = size_of::<sys::ExtensionBase>() + index * size_of::<usize>();
        // SAFETY: the extension is one pointer to a function for each struct behind its base, as
        // its size confirms.
        let function =
            unsafe { extension.byte_add(function).cast::<sys::Function<[usize; 8]>>().read() };
        let mut args = [0_usize; 8];
        // SAFETY: told that the args have no fields, the function reads none of them; and there is
        // room for all of them.
        let error = unsafe { function(&raw mut args) };
        let mut message = sys::ErrorMessageArgs { error, ..sys::Args::new() };
        // SAFETY: an error that was just returned. It is not given back: the process ends soon.
        let text = unsafe {
            describe(&raw mut message);
            std::slice::from_raw_parts(message.message.cast::<u8>(), message.message_size)
        };
        let text = std::str::from_utf8(text).unwrap();
        let expected =
            format!("{} size: expected {}, got 0", layout.c_name, layout.struct_size.unwrap());
        assert!(text.contains(&expected), "{expected}: {text}");
    }
}
