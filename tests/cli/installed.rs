//! Does preheat notice damage to files that it unpacked or installed? The tests also cover files
//! that Python would run from the current folder, caches without write permission, and limits on
//! threads. They use the binary.

#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::json;
use support::demo::copy_folder;
use support::lab::{DOUBLE, files_under};
use support::{Lab, Preheat, xla_cpu_plugin};

#[test]
fn a_demo_model_that_was_damaged_is_unpacked_again() {
    let lab = Lab::new();
    let data = lab.path("data");
    fs::create_dir(lab.cache()).unwrap();
    let lookup = || {
        lab.quick(&lab.no_compiles()).env("PREHEAT_DATA_DIR", &data).words("lookup").run().ended(3)
    };
    lookup().silent();
    let model = files_under(&data);
    assert!(model.len() >= 12, "{model:?}");
    let content = |path: &PathBuf| fs::read(path).unwrap();
    let before: Vec<_> = model.iter().map(content).collect();
    let weights = model
        .iter()
        .find(|path| path.ends_with("unet/diffusion_pytorch_model.safetensors"))
        .unwrap();
    File::options().write(true).open(weights).unwrap().set_len(1000).unwrap();
    fs::remove_file(model.iter().find(|path| path.ends_with("vae/config.json")).unwrap()).unwrap();
    let vocabulary = model.iter().find(|path| path.ends_with("tokenizer/vocab.json")).unwrap();
    // The damage keeps the length of the file.
    fs::write(vocabulary, vec![b' '; content(vocabulary).len()]).unwrap();
    lookup().says(&[
        "unet/diffusion_pytorch_model.safetensors is not as it was unpacked",
        "vocab.json",
        "vae/config",
    ]);
    assert!(before == model.iter().map(content).collect::<Vec<_>>());
    assert_eq!(files_under(&data), model, "and nothing else is there");
    lookup().silent();
}

/// Makes a data folder with the plugin, as an install by this release leaves it. Returns the folder
/// and the path of the plugin's library.
fn with_a_plugin(lab: &Lab) -> (PathBuf, PathBuf) {
    let installed = xla_cpu_plugin().parent().unwrap().to_owned();
    let folder = lab.path("data/plugins/xla-cpu").join(installed.file_name().unwrap());
    copy_folder(&installed, &folder);
    let path = folder.join("plugin.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for file in manifest["files"].as_array_mut().unwrap() {
        let path = folder.join(file["file"].as_str().unwrap());
        let modified = fs::metadata(path).unwrap().modified().unwrap();
        file["modified"] = json!(jiff::Timestamp::try_from(modified).unwrap());
    }
    fs::write(&path, manifest.to_string()).unwrap();
    (lab.path("data"), folder.join("xla_cpu_pjrt.so"))
}

#[test]
fn a_plugin_that_was_damaged_since_it_was_installed_is_not_loaded() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let (data, library) = with_a_plugin(&lab);
    let run = || {
        let run = lab.bare().env_remove("PREHEAT_XLA_CPU_PLUGIN").env("PREHEAT_DATA_DIR", &data);
        // No other plugin is found.
        run.env_remove("VIRTUAL_ENV").env("PATH", "").words("program run").arg(&program).run()
    };
    run().done();
    // If only the time of a file differs, its content is read once, and found to be the same.
    let modified = || fs::metadata(&library).unwrap().modified().unwrap();
    let installed = modified();
    let touch = || {
        let later = SystemTime::now() + Duration::from_secs(100);
        File::options().write(true).open(&library).unwrap().set_modified(later).unwrap();
    };
    touch();
    run().done();
    assert_eq!(modified(), installed, "the time is set back, so that the file is not read again");
    // One byte is changed.
    let mut content = fs::read(&library).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&library, &content).unwrap();
    touch();
    let advice = "preheat plugins install xla-cpu";
    run().ended(1).says(&["xla_cpu_pjrt.so has another content than was installed", advice]);
    // The end is cut off.
    File::options().write(true).open(&library).unwrap().set_len(middle as u64).unwrap();
    run().ended(1).says(&["xla_cpu_pjrt.so should be", advice]);
}

#[test]
fn a_plugin_that_was_cut_short_is_told_wherever_it_lies() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let library = lab.path("copy.so");
    fs::copy(xla_cpu_plugin(), &library).unwrap();
    let length = fs::metadata(&library).unwrap().len();
    for left in [length / 2, length / 10, 5000] {
        File::options().write(true).open(&library).unwrap().set_len(left).unwrap();
        let run = lab
            .bare()
            .env("PREHEAT_XLA_CPU_PLUGIN", &library)
            .words("program run")
            .arg(&program)
            .run();
        run.ended(1).says(&[
            "copy.so was cut short",
            "bytes are missing",
            "plugins install NAME --force",
        ]);
    }
}

#[test]
fn a_folder_named_pip_is_not_taken_for_pip() {
    let lab = Lab::new();
    fs::create_dir(lab.path("pip")).unwrap();
    let foreign = "open('foreign', 'w').write('ran')\nraise SystemExit(0)\n";
    for file in ["pip/__init__.py", "pip/__main__.py"] {
        lab.file(file, foreign);
    }
    let install = lab.bare().env("PREHEAT_DATA_DIR", lab.path("data")).env("PIP_NO_INDEX", "1");
    let install = install.env("PYTHONPATH", lab.path("")).words("plugins install xla-cpu");
    install.run().ended(1).says(&["pip"]);
    assert!(!lab.path("foreign").exists(), "a file of the current folder was run");
}

/// Runs `preheat` as a user who may read everything, but to whom limits and write permissions
/// apply. They do not apply to root, so if root runs this test, `preheat` runs as another user.
fn as_a_user(run: Preheat) -> Preheat {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout != b"0\n" {
        return run;
    }
    let who = ["--reuid", "61234", "--regid", "61234", "--clear-groups"];
    let reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
    run.through("setpriv", &[&who[..], &reads].concat())
}

#[test]
fn a_cache_that_may_not_be_written_is_used() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    lab.bare().words("program compile").arg(&program).run().done();
    Command::new("chmod").args(["-R", "a-w"]).arg(lab.cache()).status().unwrap();
    // The marks of loads are written to this folder instead.
    let temporary = lab.path("temporary");
    fs::create_dir(&temporary).unwrap();
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o777)).unwrap();
    let bare = || lab.bare().env("TMPDIR", &temporary).env("XDG_RUNTIME_DIR", "");
    let run = || bare().words("--json program run").arg(&program);
    let ran = as_a_user(run())
        .run()
        .done()
        .says(&["the cache may not be written, what is in it is used all the same"]);
    assert!(!ran.stderr.contains("going on without"), "{}", ran.stderr);
    assert_eq!(ran.json()["stages"][0]["source"], "disk");
    as_a_user(run().arg("--cache-read-only")).run().done().silent();
    let marks = fs::read_dir(&temporary).unwrap().next().expect("loads are marked there").unwrap();
    assert!(marks.file_name().to_str().unwrap().starts_with("preheat-marks-"), "{marks:?}");
    assert_eq!(fs::read_dir(marks.path().join("loading")).unwrap().count(), 0);
    Command::new("chmod").args(["-R", "u+w"]).arg(lab.cache()).status().unwrap();
}

#[test]
fn too_few_threads_are_an_error_in_words() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    fs::set_permissions(lab.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    for most in [1, 2, 3, 6, 10, 14] {
        let run = lab.preheat(&lab.sim()).words("program run").arg(&program);
        let ran = as_a_user(run.through("prlimit", &[&format!("--nproc={most}")])).run().ended(1);
        ran.says(&["error: preheat and its libraries need several threads", "ulimit -u"]);
    }
    lab.preheat(&lab.sim()).words("program run").arg(&program).run().done();
}
