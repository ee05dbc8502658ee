use super::*;

/// A folder with libraries at the given places.
fn tree(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    root
}

/// What is found with these variables, whose values are below `root`.
fn found(root: &Path, variables: &[(&str, &str)], interpreter: &str) -> Result<PathBuf, String> {
    let env = |name: &str| {
        let value = variables.iter().find(|(known, _)| *known == name)?.1;
        Some(if name == "PREHEAT_DEVICE" { value.into() } else { root.join(value).into() })
    };
    let search = Search {
        env: &env,
        own: Some(root.join("libpreheat_pjrt.so")),
        interpreter: Some(root.join(interpreter)),
    };
    let path = search.find()?;
    Ok(path.strip_prefix(root).unwrap().to_owned())
}

const LIBTPU: &str = "venv/lib/python3.12/site-packages/libtpu/libtpu.so";

#[test]
fn the_variable_decides() {
    let root = tree(&["real.so", LIBTPU]);
    let variables = [(VARIABLE, "real.so"), ("PREHEAT_DEVICE", "tpu"), ("VIRTUAL_ENV", "venv")];
    assert_eq!(found(root.path(), &variables, "python"), Ok("real.so".into()));
}

#[test]
fn it_never_wraps_itself() {
    let root = tree(&["libpreheat_pjrt.so", LIBTPU]);
    let variables = [("TPU_LIBRARY_PATH", "libpreheat_pjrt.so"), ("VIRTUAL_ENV", "venv")];
    assert_eq!(found(root.path(), &variables, "python"), Ok(LIBTPU.into()));
    let variables = [
        ("PREHEAT_XLA_CPU_PLUGIN", "libpreheat_pjrt.so"),
        ("PREHEAT_DEVICE", "xla-cpu"),
        ("PREHEAT_DATA_DIR", "data"),
    ];
    let missing = found(root.path(), &variables, "python");
    assert!(missing.is_err() || !missing.unwrap().ends_with("libpreheat_pjrt.so"));
}

#[test]
fn the_libtpu_of_the_interpreters_environment_comes_first() {
    let other = "other/lib/python3.12/site-packages/libtpu/libtpu.so";
    let root = tree(&[LIBTPU, other, "venv/pyvenv.cfg", "venv/bin/python"]);
    let variables = [("PREHEAT_DEVICE", "tpu"), ("VIRTUAL_ENV", "other")];
    assert_eq!(found(root.path(), &variables, "venv/bin/python"), Ok(LIBTPU.into()));
    assert_eq!(found(root.path(), &variables, "bin/python"), Ok(other.into()));
}

#[test]
fn a_device_that_does_not_exist_is_named() {
    let root = tree(&[]);
    let error = found(root.path(), &[("PREHEAT_DEVICE", "npu")], "python").unwrap_err();
    assert!(error.contains("PREHEAT_DEVICE"), "{error}");
}
