//! Does the plugin's table work when it is called as a framework calls it?
#![expect(unsafe_code, reason = "calls a plugin's table as C does")]

use std::path::Path;
use std::process::Command;
use std::ptr::{null, null_mut};

use preheat_pjrt::forward::{Raised, Real};
use preheat_pjrt::options;
use preheat_pjrt::sys::{
    Args as _, ClientCompileArgs, ClientCreateArgs, ExecuteOptions, LoadedExecutableExecuteArgs,
    PluginInitializeArgs, Program,
};

use crate::house;

const CONSTANT: &str = "func.func @main() -> tensor<2xf32> {
  %y = stablehlo.constant dense<3.0> : tensor<2xf32>
  return %y : tensor<2xf32>
}";

/// The size of `PJRT_ExecuteOptions` in the header that `torch_xla` 2.9 was built against.
const TORCH_XLA_2_9: usize = 80;

#[test]
fn it_exports_one_symbol() {
    let symbols = Command::new("nm").args(["-D", "--defined-only"]).arg(house::plugin()).output();
    let symbols = String::from_utf8(symbols.unwrap().stdout).unwrap();
    let names: Vec<&str> = symbols.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(names, ["GetPjrtApi"]);
}

#[test]
fn options_of_an_older_header_are_widened() {
    let alone = execute(&house::xla_cpu(), TORCH_XLA_2_9).unwrap_err();
    let (_, message) = alone.describe();
    assert!(message.contains("PJRT_ExecuteOptions size"), "{message}");
    execute(&house::plugin(), TORCH_XLA_2_9).unwrap();
    execute(&house::plugin(), ExecuteOptions::STRUCT_SIZE).unwrap();
}

/// Compiles a program and runs it with options of `options_bytes` bytes, which depend on the header
/// that a caller was built against.
fn execute(plugin: &Path, options_bytes: usize) -> Result<(), Raised> {
    let plugin = Real::open(plugin, None).unwrap();
    let options = options::encode(&options::BuildOptions::default(), std::iter::empty()).unwrap();
    let program = Program {
        code: CONSTANT.as_ptr().cast_mut().cast(),
        code_size: CONSTANT.len(),
        format: c"mlir".as_ptr(),
        format_size: 4,
        ..Program::new()
    };
    let mut client = ClientCreateArgs::new();
    // SAFETY: complete args.
    unsafe {
        plugin.call(&mut PluginInitializeArgs::new())?;
        plugin.call(&mut client)?;
    }
    let mut compile = ClientCompileArgs {
        client: client.client,
        program: &raw const program,
        compile_options: options.as_ptr().cast(),
        compile_options_size: options.len(),
        ..ClientCompileArgs::new()
    };
    // SAFETY: the client lives; program and options outlive the call.
    unsafe { plugin.call(&mut compile) }?;
    let mut execute_options =
        ExecuteOptions { struct_size: options_bytes, ..ExecuteOptions::new() };
    let mut results = [null_mut()];
    // There is one list for the one device, and it is empty.
    let argument_lists = [null()];
    let output_lists = [results.as_mut_ptr()];
    let mut execute = LoadedExecutableExecuteArgs {
        executable: compile.executable,
        options: &raw mut execute_options,
        argument_lists: argument_lists.as_ptr(),
        num_devices: 1,
        output_lists: output_lists.as_ptr(),
        ..LoadedExecutableExecuteArgs::new()
    };
    // SAFETY: there is one list of each kind for the one device, with room for the one result.
    unsafe { plugin.call(&mut execute) }?;
    assert_ne!(results[0].cast_const(), null());
    Ok(())
}
