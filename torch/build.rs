//! Against which libtorch is `src/shim.cpp` compiled? Against the one that torch-sys was built
//! against.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=src/shim.cpp");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    // torch-sys stops the build if this is not set and the system has no libtorch.
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
