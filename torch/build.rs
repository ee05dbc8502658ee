//! Compiles `src/shim.cpp` against the libtorch that torch-sys was built against.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=src/shim.cpp");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    // torch-sys stops the build where this is not set and no libtorch is in the system.
    let libtorch =
        std::env::var_os("LIBTORCH").map_or_else(|| PathBuf::from("/usr"), PathBuf::from);
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .include(libtorch.join("include"))
        .file("src/shim.cpp")
        .compile("preheat_torch_shim");
}
