//! Does libtpu do what preheat expects? The tests need no TPU. They cover topologies by name, and
//! compiling for hardware that this machine does not have.
//!
//! One process may initialise libtpu only once, and libtpu reads its settings from the environment.
//! So the test runs itself again as a child with that environment.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![expect(unsafe_code, reason = "asks the plugin's C functions which sizes they expect")]

use crate::support;

use preheat_pjrt::sys::{self, abi_version};
use preheat_pjrt::{
    Compatibility, ErrorCode, ExecutableAbiVersion, PjrtError, PjrtExecutable, PjrtProgram,
    PjrtTopology, PjrtValue, Plugin, RuntimeAbiVersion, compile_ahead, options,
};
use support::tpu::TpuVersion;

/// A target of another kind, for which the same program is compiled.
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
    let topology = PjrtTopology::create(&plugin, "v5e:1x1", &[]).unwrap();
    assert_eq!(topology.platform_name().unwrap(), "tpu");
    assert!(topology.platform_version().unwrap().contains("TPU v5 lite"));
    let devices = topology.device_descriptions().unwrap();
    assert_eq!((devices.len(), devices[0].kind.as_str()), (1, "TPU v5 lite"));
    assert_eq!(devices[0].attributes.get("coords"), Some(&PjrtValue::IntList(vec![0, 0, 0])));
    assert_eq!(
        topology.serialize().unwrap(),
        PjrtTopology::create(&plugin, "v5e:1x1", &[]).unwrap().serialize().unwrap()
    );

    let options = options::encode(&options::BuildOptions::default(), std::iter::empty()).unwrap();
    let executable =
        compile_ahead(&topology, PjrtProgram::mlir(PROGRAM.as_bytes()), &options, None).unwrap();
    assert!(executable.serialize().unwrap().len() > 1000);
    let shape = executable.program_shape().unwrap();
    let text =
        |kinds: &[preheat::TensorType]| kinds.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text(&shape.parameters), ["bfloat16[8, 128]", "bfloat16[128, 128]"]);
    assert_eq!(text(&shape.results), ["bfloat16[8, 128]"]);

    abi_versions(&plugin, &executable, &options);
    abi_version_layout(library);

    let unknown = PjrtTopology::create(&plugin, "v5e:7x9x3", &[]).err().unwrap();
    assert_eq!(unknown.code(), Some(ErrorCode::InvalidArgument), "{unknown}");
    // libtpu would take an empty name for a v2.
    assert!(matches!(PjrtTopology::create(&plugin, "", &[]), Err(PjrtError::EmptyTopologyName)));
    let broken = compile_ahead(&topology, PjrtProgram::mlir(b"module {"), &options, None);
    assert!(matches!(broken, Err(PjrtError::Call { .. })));
}

/// Checks what the plugin reports about the ABI versions of executables and runtimes. A runtime's
/// own version comes from a client, which needs a TPU. So the test takes the version of the runtime
/// for which libtpu compiles, which is in the executable's version.
fn abi_versions(plugin: &Plugin, executable: &PjrtExecutable, options: &[u8]) {
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

    let topology = PjrtTopology::create(plugin, OTHER_TARGET, &[]).unwrap();
    let other =
        compile_ahead(&topology, PjrtProgram::mlir(PROGRAM.as_bytes()), options, None).unwrap();
    let other = other.abi_version().unwrap().unwrap();
    assert!(matches!(takes(&needed, &other), Compatibility::Incompatible(_)));

    let runtime = RuntimeAbiVersion::from_bytes(plugin, &needed.of_runtime()).unwrap().unwrap();
    assert!(
        runtime.takes_as(&runtime).is_err_and(|error| error.is_unimplemented()),
        "libtpu does not compare runtimes"
    );
    assert!(matches!(
        RuntimeAbiVersion::from_bytes(plugin, b"\xff\xff"),
        Err(PjrtError::Call { .. })
    ));
}

/// Compares the layout in `sys` with the sizes that libtpu expects. No plugin ships the header of
/// the `AbiVersion` extension, but the error of each function names the size that its arguments
/// should have.
fn abi_version_layout(library: &std::path::Path) {
    // SAFETY: the plugin is loaded already, and this handle shares it.
    let library = unsafe { libloading::Library::new(library) }.unwrap();
    // SAFETY: PJRT gives this symbol this type; the function takes no arguments.
    let api = unsafe { library.get::<sys::GetPjrtApi>(b"GetPjrtApi").unwrap()() };
    // SAFETY: libtpu's table is long enough for these two fields, because they precede the function
    // that initialised the plugin.
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
        // SAFETY: behind its base, the extension has one pointer to a function for each struct, as
        // its size confirms.
        let function =
            unsafe { extension.byte_add(function).cast::<sys::ApiFunction<[usize; 8]>>().read() };
        let mut args = [0_usize; 8];
        // SAFETY: the first field gives the size of the arguments as 0, so the function reads no
        // other field. Besides, the array has room for all fields.
        let error = unsafe { function(&raw mut args) };
        let mut message = sys::ErrorMessageArgs { error, ..sys::Args::new() };
        // SAFETY: the error was just returned. It is not freed, because the process ends soon.
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
