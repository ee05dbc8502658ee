//! What does a person see if an input is wrong? The tests expect an error that says what is wrong
//! and what to do, no panic, and no half-written file.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::path::{Path, PathBuf};
use std::process::Command;

use pjrt_sim::{Place, Sim, When};
use support::lab::{DOUBLE, SQUARE, files_under};
use support::tensors::{read_f32, write_f32};
use support::{Lab, Preheat, Ran, compile_c, repository};

/// A test environment (`Lab`) with a program in it.
fn lab() -> (Lab, PathBuf) {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    (lab, program)
}

/// Runs `program` over the test plugin as `sim` sets it up.
fn run(lab: &Lab, sim: &Sim, program: &Path) -> Ran {
    lab.preheat(sim).words("program run").arg(program).run()
}

/// Asserts that the failed run `ran` printed no result and left nothing.
#[track_caller]
fn leaves_nothing(lab: &Lab, ran: &Ran) {
    assert_eq!(ran.stdout, "", "a failed run prints no result");
    assert_eq!(lab.objects(), Vec::<PathBuf>::new());
    lab.assert_nothing_half_written();
}

/// Asserts that `preheat` does its work without its cache, and that one warning has all words of
/// `why`.
#[track_caller]
fn degrades(lab: &Lab, preheat: Preheat, why: &[&str]) {
    let program = lab.file("degrades.mlir", DOUBLE);
    let (inputs, output) = (lab.path("degrades.in"), lab.path("degrades.out"));
    write_f32(&inputs, &[("arg0", &[4], &[1.0, 2.0, 3.0, 4.0])]);
    let run = preheat.words("--json program run").arg(&program).arg("--inputs").arg(&inputs);
    let (ran, compiles) = lab.counting(|| run.arg("--output").arg(&output).run().done());
    assert_eq!(compiles, 1);
    assert_eq!(read_f32(&output, "out0"), [2.0, 4.0, 6.0, 8.0]);
    let warnings = ran.stderr.lines().filter(|line| line.contains("WARN")).count();
    assert_eq!(warnings, 1, "{}", ran.stderr);
    ran.says(&["the cache does not work, going on without it", "--cache-dir"]).says(why);
}

#[test]
fn files_that_are_no_program() {
    let lab = Lab::new();
    for (name, content, seen) in [
        ("empty.mlir", b"".as_slice(), "empty"),
        ("config.json", b"{\"a\": 1}", "JSON"),
        ("picture.png", b"\x89PNG\r\n\x1a\n\0\0", "PNG"),
        ("binary", b"\x7fELF\x02\x01\x01", "ELF"),
        ("module.txt", b"HloModule jit_f\nENTRY main {}", "HLO text"),
        ("notes.txt", b"Dear diary", "Dear diary"),
    ] {
        let file = lab.file(name, content);
        for command in ["program run", "program compile", "warmup --program", "lookup --program"] {
            let ran = lab.preheat(&lab.sim()).words(command).arg(&file).run().ended(1);
            leaves_nothing(&lab, &ran);
            ran.says(&[name, "no program", seen, "hint: "]);
        }
    }
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn a_program_that_is_not_there() {
    let lab = Lab::new();
    let ran = run(&lab, &lab.sim(), &lab.path("missing.mlir")).ended(1);
    leaves_nothing(&lab, &ran);
    ran.says(&["missing.mlir", "No such file"]);
    // If one of several files is missing, nothing is compiled.
    let there = lab.file("double.mlir", DOUBLE);
    let warmup = lab
        .preheat(&lab.sim())
        .words("warmup --program")
        .arg(&there)
        .arg("--program")
        .arg("missing.mlir");
    warmup.run().ended(1).says(&["missing.mlir"]);
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn a_program_that_is_cut_short_or_misspelt() {
    let lab = Lab::new();
    let bytecode = std::fs::read(repository("tests/programs/attention.mlirbc")).unwrap();
    let hlo = std::fs::read(repository("tests/programs/attention.hlo.pb")).unwrap();
    for (name, content) in [
        ("cut.mlirbc", &bytecode[..bytecode.len() / 2]),
        ("head.mlirbc", &bytecode[..8]),
        ("cut.mlir", &DOUBLE.as_bytes()[..DOUBLE.len() / 2]),
        ("misspelt.mlir", DOUBLE.replace("stablehlo.add", "stablehlo.ad").as_bytes()),
        ("cut.hlo.pb", &hlo[..hlo.len() / 2]),
    ] {
        let ran = run(&lab, &lab.sim(), &lab.file(name, content)).ended(1);
        leaves_nothing(&lab, &ran);
        ran.says(&[name]);
    }
    run(&lab, &lab.sim(), &lab.path("cut.mlirbc")).says(&["damaged, or newer"]);
    // A program that the compiler refuses is tried again the next time: failures are not cached.
    let (_, compiles) = lab.counting(|| run(&lab, &lab.sim(), &lab.path("misspelt.mlir")).ended(1));
    assert_eq!(compiles, 1);
}

#[test]
fn inputs_that_do_not_fit() {
    let (lab, program) = lab();
    let square = lab.file("square.mlir", SQUARE);
    let with = |inputs: &Path| {
        lab.preheat(&lab.sim())
            .words("--no-tpu-warmup program run")
            .arg(&program)
            .arg("--inputs")
            .arg(inputs)
            .run()
            .ended(1)
    };
    let write = |name: &str, tensors: &[(&str, &[usize], &[f32])]| {
        let path = lab.path(name);
        write_f32(&path, tensors);
        path
    };
    let four: (&[usize], &[f32]) = (&[4], &[0.0; 4]);
    with(&write("two", &[("arg0", four.0, four.1), ("arg1", four.0, four.1)])).says(&[
        "double.mlir",
        "takes 1 input, 2 were given",
        "hint: ",
    ]);
    with(&write("none", &[])).says(&["takes 1 input, 0 were given"]);
    with(&write("shape", &[("arg0", &[2, 2], four.1)])).says(&[
        "input 0",
        "float32[4]",
        "float32[2, 2]",
    ]);
    with(&write("names", &[("x", four.0, four.1)])).says(&["names", "arg0", "it has x"]);
    with(&write("gap", &[("arg1", four.0, four.1)])).says(&["gap", "arg0", "arg1"]);
    with(&lab.file("text.safetensors", "not tensors at all"))
        .says(&["text.safetensors", "not an intact safetensors"]);
    let good = std::fs::read(write("good", &[("arg0", four.0, four.1)])).unwrap();
    with(&lab.file("cut.safetensors", &good[..good.len() - 4]))
        .says(&["cut.safetensors", "not an intact safetensors"]);
    let fixture = repository("tests/programs/int8_dot.inputs.safetensors");
    with(&fixture).says(&["double.mlir", "input"]);
    let integers = String::from_utf8_lossy(&good).replace("\"F32\"", "\"I32\"");
    with(&lab.file("dtype.safetensors", integers)).says(&["input 0", "float32[4]", "int32[4]"]);
    assert_eq!(lab.executes(), 0);
    // The missing file is reported before anything is compiled.
    let missing = |flag: &str, path: &str| {
        lab.preheat(&lab.sim())
            .words("program run")
            .arg(&square)
            .arg(flag)
            .arg(lab.path(path))
            .run()
            .ended(1)
    };
    missing("--inputs", "nowhere.safetensors").says(&["nowhere.safetensors", "No such file"]);
    missing("--output", "nowhere/out.safetensors")
        .says(&["nowhere/out.safetensors", "there is no folder"]);
    assert_eq!(lab.compiles(), 1);
    // An output that cannot be replaced is an error, and leaves no file beside it.
    std::fs::create_dir(lab.path("folder")).unwrap();
    std::fs::create_dir(lab.path("folder/out")).unwrap();
    missing("--output", "folder/out").says(&["folder/out", "writing"]);
    assert_eq!(files_under(&lab.path("folder")), Vec::<PathBuf>::new());
}

#[test]
fn programs_that_take_more_memory_than_there_is() {
    let lab = Lab::new();
    let huge = |input: &str, output: &str, make: &str| {
        format!(
            "module {{ func.func public @main(%a: {input}) -> {output} {{ {make} return %b : {output} }} }}"
        )
    };
    let reduced = "%b = stablehlo.constant dense<0.0> : tensor<f32>";
    let spread = "%b = stablehlo.broadcast_in_dim %a, dims = [] : (tensor<f32>) -> tensor<25000000000000xf32>";
    for (name, program) in [
        ("input.mlir", huge("tensor<25000000000000xf32>", "tensor<f32>", reduced)),
        ("output.mlir", huge("tensor<f32>", "tensor<25000000000000xf32>", spread)),
    ] {
        let program = lab.file(name, program.as_bytes());
        for words in ["program run", "--no-tpu-warmup program run", "warmup --program"] {
            let ran = lab.preheat(&lab.sim()).words(words).arg(&program).run().ended(1);
            ran.says(&[
                name,
                "out of memory",
                "93132.3 GiB needed",
                "would not fit even if nothing else were on the device",
            ]);
        }
    }
    assert_eq!(lab.executes(), 0);
}

#[test]
fn plugins_that_are_none() {
    let (lab, program) = lab();
    let text = lab.file("text.so", "no library");
    let other = lab.path("other.so");
    compile_c("int answer(void) { return 42; }", &other, true);
    let with = |plugin: &Path| {
        let run = lab
            .preheat(&lab.sim())
            .env("PREHEAT_XLA_CPU_PLUGIN", plugin)
            .words("program run")
            .arg(&program);
        let ran = run.run().ended(1);
        leaves_nothing(&lab, &ran);
        ran
    };
    with(&text).says(&[
        "text.so",
        "cannot be loaded as a shared library",
        "preheat plugins install",
    ]);
    with(&other).says(&["other.so", "no PJRT plugin", "GetPjrtApi", "preheat plugins install"]);
    with(&lab.path("gone.so")).says(&[
        "gone.so",
        "PREHEAT_XLA_CPU_PLUGIN",
        "there is no file",
        "correct or remove it",
    ]);
}

#[test]
fn plugins_of_another_kind() {
    let (lab, program) = lab();
    let with = |sim: Sim| {
        let ran = run(&lab, &sim, &program).ended(1);
        leaves_nothing(&lab, &ran);
        ran.says(&["libpjrt_sim.so"])
    };
    with(lab.sim().api_version(1, 0)).says(&[
        "PJRT C API 1.0",
        "0.81",
        "install a plugin of major version 0",
    ]);
    with(lab.sim().table_end("PJRT_Client_Compile")).says(&["has no PJRT_", "a newer plugin may"]);
    with(lab.sim().table_end("PJRT_Plugin_Initialize")).says(&["a newer plugin"]);
    with(lab.sim().absent("PJRT_Client_Compile"))
        .says(&["has no PJRT_Client_Compile", "a newer plugin may"]);
    with(lab.sim().fail(Place::Initialize, When::Each))
        .says(&["told to fail initialize", "plugins install"]);
    with(lab.sim().fail(Place::Client, When::Each)).says(&["told to fail client", "plugins list"]);
    // A plugin works if it is newer only by a minor version, or lacks functions that nothing needs.
    run(&lab, &lab.sim().api_version(0, 999), &program).done();
    run(&lab, &lab.sim().absent("PJRT_Device_MemoryStats"), &program).done();
}

#[test]
fn flags_that_the_compiler_does_not_know() {
    let (lab, program) = lab();
    let with = |flags: &str| {
        lab.preheat(&lab.sim()).env("XLA_FLAGS", flags).words("program run").arg(&program).run()
    };
    // Here XLA itself ends the process.
    let ran = with("--xla_nonsense=1").ended(1).says(&["XLA_FLAGS", "--xla_nonsense"]);
    assert_eq!((ran.stdout.as_str(), lab.objects().len()), ("", 0));
    with("flags.txt").ended(1).says(&["XLA_FLAGS", "flags.txt", "No such file"]);
    with("").done();
}

#[test]
fn cache_folders_that_cannot_be_used() {
    let (lab, _) = lab();
    let file = lab.file("a-file", "");
    let preheat = || lab.preheat(&lab.sim());
    let at = |path: &Path| preheat().arg("--cache-dir").arg(path);
    let is_a_file = ["name a folder for the cache: ", "a-file\" is a file"];
    degrades(&lab, at(&file), &is_a_file);
    degrades(&lab, at(&file.join("below")), &is_a_file);
    at(&file).words("cache stats").run().ended(1).says(&is_a_file).says(&["--cache-dir"]);
    // Not even root can make folders in /proc.
    let nowhere = Path::new("/proc/preheat-test");
    degrades(&lab, at(nowhere), &["/proc/preheat-test", "cannot be written"]);
    // The cache's folder is a link to nothing.
    let link = lab.path("link");
    std::os::unix::fs::symlink(lab.path("gone"), &link).unwrap();
    degrades(&lab, at(&link), &["link", "cannot be written"]);
    // The folder belongs to another program.
    let other = lab.path("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("format"), "not ours").unwrap();
    at(&other).words("program run double.mlir").run().done().silent_about_the_cache();
    assert_eq!(std::fs::read(other.join("format")).unwrap(), b"not ours");
    // The folder has the name of preheat's store, but preheat did not make it.
    let taken = lab.path("taken");
    std::fs::create_dir_all(taken.join("preheat-store")).unwrap();
    std::fs::write(taken.join("preheat-store/novel.txt"), "mine").unwrap();
    degrades(&lab, at(&taken), &["taken/preheat-store", "preheat did not make this folder"]);
    assert_eq!(files_under(&taken).len(), 1);
}

#[test]
fn a_store_of_a_newer_release() {
    let (lab, program) = lab();
    std::fs::create_dir(lab.cache()).unwrap();
    std::fs::write(
        lab.cache().join("format"),
        "preheat-store 2\nread by preheat 3.0.0 and later\n",
    )
    .unwrap();
    degrades(&lab, lab.preheat(&lab.sim()), &["format 2", "format 1", "preheat 3.0.0 and later"]);
    for command in [
        "cache stats",
        "cache list",
        "cache clear --yes",
        "cache zero-stats",
        "lookup --program double.mlir",
    ] {
        let ran = lab.preheat(&lab.sim()).words(command).run();
        assert_eq!(ran.status, Some(1), "{command}: {}", ran.stderr);
        ran.says(&["preheat 3.0.0 and later"]);
    }
    assert_eq!(files_under(&lab.cache()).len(), 1, "the newer store was touched");
    assert!(program.exists());
}

/// Runs `program` with a limit on the length of files, which applies to root, too. The signal of
/// the limit is ignored, so that the write fails.
fn run_limited(lab: &Lab, program: &Path, blocks: u64) {
    let shell = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let run =
        lab.preheat(&lab.sim()).words("program run").arg(program).through("sh", &["-c", &shell]);
    run.run().done().says(&["the cache does not work", "File too large", "--cache-dir"]);
}

#[test]
fn files_that_may_not_grow() {
    let (lab, program) = lab();
    // The log of the test plugin grows as well, so the limit leaves room for the log and none for
    // the object.
    let object = {
        run(&lab, &lab.sim(), &program).done();
        let bytes = std::fs::metadata(&lab.objects()[0]).unwrap().len();
        std::fs::remove_dir_all(lab.cache()).unwrap();
        std::fs::remove_file(lab.path("log")).unwrap();
        bytes
    };
    let blocks = object / 512 - 1;
    assert!(blocks > 4, "the object has {object} bytes");
    run_limited(&lab, &program, blocks);
    assert!(lab.objects().is_empty());
    lab.assert_nothing_half_written();
    run(&lab, &lab.sim(), &program).done().silent_about_the_cache();
    assert_eq!(lab.objects().len(), 1);
}

/// With a limit of 0, not even the store's format file can be written.
#[test]
fn files_that_may_not_grow_at_all() {
    let (lab, program) = lab();
    run_limited(&lab, &program, 0);
}

/// The cache is on a file system of 16 KiB, which only exists in a mount namespace of this test.
#[test]
fn a_full_disk() {
    let mounts = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "-o", "size=16k", "none", "/mnt"])
        .status();
    assert!(
        mounts.is_ok_and(|status| status.success()),
        "no file system can be mounted: run the tests as root, or allow user namespaces"
    );
    let (lab, program) = lab();
    std::fs::create_dir(lab.cache()).unwrap();
    let script = "mount -t tmpfs -o size=16k,mode=700 none \"$PREHEAT_CACHE_DIR\" || exit 9; \"$0\" \"$@\" || exit; \
        cd \"$PREHEAT_CACHE_DIR\"; find objects-v1 tmp -type f >&2";
    let run = lab.preheat(&lab.sim()).words("--quiet --json program run").arg(&program);
    let ran = run.through("unshare", &["-rm", "sh", "-c", script]).run().done();
    let report = ran.json();
    let warnings = report["warnings"].as_array().unwrap();
    // There is no room for the index and the object; each of the two failures gives at most one
    // warning.
    assert!((1..=2).contains(&warnings.len()), "{warnings:?}");
    for said in warnings.iter().filter_map(serde_json::Value::as_str) {
        assert!(said.contains("no space is left") || said.contains("No space left"), "{said}");
    }
    // No part of the object exists, under its name or any other.
    assert_eq!(ran.stderr, "");
    assert_eq!(report["stages"][0]["source"], "compiled");
}

#[test]
fn a_read_only_cache_that_is_not_there() {
    let (lab, program) = lab();
    let read_only = || lab.preheat(&lab.sim()).arg("--cache-read-only");
    for _ in 0..2 {
        read_only().words("program run").arg(&program).run().done().silent_about_the_cache();
        assert!(!lab.cache().exists(), "a folder was made");
    }
    assert_eq!(lab.compiles(), 2);
    std::fs::create_dir(lab.cache()).unwrap();
    read_only().words("program run").arg(&program).run().done();
    read_only().words("--require-warm program run").arg(&program).run().ended(3);
    assert_eq!(files_under(&lab.cache()), Vec::<PathBuf>::new());
    read_only().words("cache clear --yes").run().ended(1).says(&["reading only"]);
}

/// Damages the only object with `damage`, and asserts that one compile replaces it.
fn is_healed(damage: impl Fn(&mut Vec<u8>)) {
    let (lab, program) = lab();
    run(&lab, &lab.sim(), &program).done();
    let object = lab.objects()[0].clone();
    let mut bytes = std::fs::read(&object).unwrap();
    damage(&mut bytes);
    std::fs::write(&object, &bytes).unwrap();
    let deserializes = lab.count(Place::Deserialize);
    let second = run(&lab, &lab.sim(), &program).done().says(&["is damaged", "is not used"]);
    assert!(second.stdout.contains("compiled"), "{}", second.stdout);
    assert_eq!(lab.compiles(), 2);
    assert_eq!(lab.count(Place::Deserialize), deserializes, "damaged bytes reached the plugin");
    let quarantine = files_under(&lab.cache().join("quarantine"));
    assert!(quarantine.iter().any(|path| std::fs::read(path).unwrap() == bytes), "{quarantine:?}");
    // The object was replaced: the third run finds it whole.
    let third =
        lab.preheat(&lab.no_compiles()).words("--json program run").arg(&program).run().done();
    assert_eq!(third.silent_about_the_cache().json()["stages"][0]["source"], "disk");
    let stats = lab.bare().words("--json cache stats").run().done().json();
    assert_eq!((&stats["quarantined"], &stats["entries"]), (&1.into(), &1.into()));
}

#[test]
fn an_object_with_a_flipped_bit_is_healed() {
    for place in [0.0, 0.1, 0.5, 0.9, 1.0] {
        is_healed(|bytes| {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a place in a small file"
            )]
            let at = ((bytes.len() - 1) as f64 * place) as usize;
            bytes[at] ^= 1;
        });
    }
}

#[test]
fn an_object_of_another_length_is_healed() {
    is_healed(|bytes| bytes.truncate(bytes.len() / 2));
    is_healed(Vec::clear);
    is_healed(|bytes| bytes.extend_from_slice(b"more"));
}

#[test]
fn an_object_under_another_name_is_healed() {
    let (lab, program) = lab();
    let square = lab.file("square.mlir", SQUARE);
    run(&lab, &lab.sim(), &program).done();
    let double = lab.objects()[0].clone();
    run(&lab, &lab.sim(), &square).done();
    let other = lab.objects().into_iter().find(|path| *path != double).unwrap();
    // The object is intact, but it holds the wrong machine code.
    std::fs::copy(&double, &other).unwrap();
    let (inputs, output) = (lab.path("in"), lab.path("out"));
    write_f32(&inputs, &[("arg0", &[4], &[3.0; 4])]);
    let run =
        lab.preheat(&lab.sim()).words("program run").arg(&square).arg("--inputs").arg(&inputs);
    run.arg("--output").arg(&output).run().done().says(&["damaged"]);
    assert_eq!(read_f32(&output, "out0"), [9.0; 4]);
    assert_eq!(lab.compiles(), 3);
}

#[test]
fn an_index_that_is_damaged_or_gone_costs_no_compile() {
    let (lab, program) = lab();
    run(&lab, &lab.sim(), &program).done();
    let index = lab.cache().join("graphs-v2");
    for file in files_under(&index) {
        std::fs::write(&file, "garbage").unwrap();
    }
    run(&lab, &lab.no_compiles(), &program).done();
    std::fs::remove_dir_all(&index).unwrap();
    run(&lab, &lab.no_compiles(), &program).done();
    let list = lab.bare().words("--json cache list").run().done().json();
    assert_eq!(list.as_array().unwrap().len(), 1, "the record was not rebuilt from its object");
    assert_eq!(lab.compiles(), 1);
}

#[test]
fn an_executable_that_the_plugin_refuses_is_compiled_anew() {
    for corrupt in [true, false] {
        let (lab, program) = lab();
        run(&lab, &lab.sim(), &program).done();
        let sim = if corrupt {
            lab.sim().corrupt_deserialize(When::Each)
        } else {
            lab.sim().fail(Place::Deserialize, When::Each)
        };
        let ran = run(&lab, &sim, &program).done().says(&["the plugin refused"]);
        assert_eq!(
            ran.stderr.matches("refused").count(),
            1,
            "the refused executable was tried twice: {}",
            ran.stderr
        );
        assert_eq!(lab.compiles(), 2);
        let warm = run(&lab, &lab.no_compiles(), &program).done();
        assert!(warm.silent_about_the_cache().stdout.contains("loaded from the cache"));
        // With `--require-warm`, an executable that cannot be used counts as not warm.
        lab.preheat(&sim)
            .words("--require-warm program run")
            .arg(&program)
            .run()
            .ended(3)
            .says(&["refused", "not warm"]);
    }
}

#[test]
fn a_device_without_memory() {
    let (lab, program) = lab();
    for place in [Place::Compile, Place::Execute, Place::HostToDevice, Place::DeviceToHost] {
        let ran = run(&lab, &lab.sim().out_of_memory(place, When::Each), &program).ended(1);
        ran.says(&["double.mlir", "out of memory", "hint: ", "smaller"]);
    }
    // The executable that was compiled before memory ran out is kept, so only the first two runs
    // compiled: the compile of the first one failed.
    assert_eq!(lab.compiles(), 2);
    lab.assert_nothing_half_written();
}

#[test]
fn a_compile_that_fails_is_not_cached() {
    let (lab, program) = lab();
    for attempt in 1..=2 {
        let ran = run(&lab, &lab.no_compiles(), &program).ended(1);
        leaves_nothing(&lab, &ran);
        ran.says(&["double.mlir", "xla-cpu could not compile", "told to fail"]);
        assert_eq!(lab.compiles(), attempt);
    }
    lab.preheat(&lab.sim()).words("lookup --program").arg(&program).run().ended(3);
    run(&lab, &lab.sim(), &program).done();
    let stats = lab.bare().words("--json cache stats").run().done().json();
    assert_eq!((&stats["failed_compiles"], &stats["compiles"]), (&2.into(), &1.into()));
}

#[test]
fn a_compiler_that_crashes_or_exits_leaves_a_cache_that_works() {
    let (lab, program) = lab();
    let crashed = run(&lab, &lab.sim().crash(Place::Compile, When::Each), &program);
    assert_eq!(crashed.status, None, "a signal ended the process");
    run(&lab, &lab.sim().exit(Place::Compile, When::Each), &program).ended(1);
    assert!(lab.objects().is_empty() && files_under(&lab.cache().join("tmp")).is_empty());
    run(&lab, &lab.sim(), &program).done().silent_about_the_cache();
    assert_eq!((lab.compiles(), lab.objects().len()), (3, 1));
    lab.assert_nothing_half_written();
}

#[test]
fn flags_that_act_on_models_are_refused_for_programs() {
    let (lab, program) = lab();
    for flag in [
        "--force-precision",
        "--offload model",
        "--reserve-memory 1GiB",
        "--text-encoder-device cpu",
        "--vae-device cpu",
    ] {
        let name = flag.split([' ', '=']).next().unwrap();
        for order in [format!("{flag} program run"), format!("program run {flag}")] {
            let ran = lab.preheat(&lab.sim()).words(&order).arg(&program).run().ended(2);
            leaves_nothing(&lab, &ran);
            ran.says(&[name, "acts on models"]);
        }
    }
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn flags_and_values_that_make_no_sense() {
    let (lab, program) = lab();
    for (words, said) in [
        ("--frobnicate", "--frobnicate"),
        ("--device nonsense", "unknown device `nonsense`"),
        ("--device cuda:x", "unknown device `cuda:x`"),
        ("--tpu-enable --tpu-disable", "--tpu-disable"),
        ("--tpu-enable --device xla-cpu", "leave one of them out"),
        ("--tpu-warmup-steps many", "give a whole number from 0 to 4294967295"),
        ("--steps 1.5", "give a whole number, 0 or more"),
        ("--steps 99999999999999999999", "the largest number here is 18446744073709551615"),
        ("--cfg-scale much", "give a number, such as 7.5"),
        ("--batch few", "give a whole number, or auto"),
        ("--tpu-compilation-cache=perhaps", "--tpu-compilation-cache"),
        (
            "--tpu-shape-padding-multiple 7 --width 512 --height 512",
            "7 px is no padding multiple: a multiple of 8",
        ),
        ("--tpu-shape-padding-multiple 0 --width 512 --height 512", "0 px is no padding multiple"),
        ("--width 0 --height 512", "0x512 px has no pixels"),
        ("--width 512", "--height"),
        ("--width -1 --height 8", "-1"),
        ("--batch 0", "batch_size is 0"),
        ("--cfg-scale nan", "cfg_scale is NaN"),
        ("--cfg-scale inf", "cfg_scale is inf"),
        ("--dtype float31", "\"float31\" is no element type"),
        ("--precision bf16", "--precision acts on models"),
        ("--vae-precision fp32", "--vae-precision acts on models"),
        ("--text-encoder-precision fp32", "--text-encoder-precision acts on models"),
        ("--denoiser-precision fp32", "--denoiser-precision acts on models"),
        ("--tpu-autocast-bf16=false", "--tpu-autocast-bf16=false acts on models"),
        ("--clip-skip 1", "--clip-skip acts on models"),
        ("--snap-to-warm 25", "--snap-to-warm acts on models"),
        ("--snap-to-warm -1", "\"-1\" is not a percentage: give a number from 0 to 100"),
        ("--snap-to-warm 101", "\"101\" is not a percentage"),
        ("--snap-to-warm abc", "\"abc\" is not a percentage"),
        ("--snap-to-warm 50%", "\"50%\" is not a percentage"),
        ("--snap-to-warm nan", "\"nan\" is not a percentage"),
    ] {
        let ran =
            lab.preheat(&lab.sim()).words("program run").arg(&program).words(words).run().ended(2);
        leaves_nothing(&lab, &ran);
        ran.says(&[said]);
    }
    std::fs::create_dir(lab.cache()).unwrap();
    for (words, said) in [
        ("", "no command was given"),
        ("frobnicate", "frobnicate"),
        ("program", "compile"),
        ("plugins install nonsense", "nonsense"),
        ("cache clear", "--yes"),
    ] {
        let ran = lab.preheat(&lab.sim()).words(words).run().ended(2);
        assert_eq!(ran.stdout, "", "{words}");
        ran.says(&[said]);
    }
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn devices_that_cannot_be_had() {
    let (lab, program) = lab();
    let on =
        |words: &str| lab.preheat(&lab.sim()).words(words).words("program run").arg(&program).run();
    for device in ["cuda", "cuda:1", "mps", "cpu"] {
        let said = [device, "libtorch", "PREHEAT_TORCH_BACKEND", "no-torch-library", "xla-cpu"];
        on(&format!("--device {device}")).done().says(&said);
        on(&format!("--device {device} --strict-device")).ended(1).says(&said);
    }
    on("--device mlx").ended(2).says(&["mlx", "framework of its own", "mps"]);
    // Nothing is installed in the places where these are searched.
    let nowhere = |words: &str| {
        let run = lab
            .preheat(&lab.sim())
            .env("XDG_DATA_HOME", lab.path("data"))
            .env("PATH", "")
            .env_remove("VIRTUAL_ENV");
        run.env("PREHEAT_TPU_PLUGIN", lab.path("libtpu.so"))
            .words(words)
            .words("program run")
            .arg(&program)
            .run()
    };
    nowhere("--device tpu --strict-device").ended(1).says(&[
        "tpu",
        "libtpu.so",
        "PREHEAT_TPU_PLUGIN",
    ]);
    nowhere("--device tpu").done().says(&[
        "running on xla-cpu instead",
        "libtpu.so",
        "--strict-device",
    ]);
    nowhere("--device auto --tpu-enable").ended(1).says(&["tpu", "libtpu.so"]);
    on("--device tpu --tpu-disable --strict-device").ended(1).says(&["--tpu-disable"]);
}

#[test]
fn what_is_not_warm_is_said() {
    let (lab, program) = lab();
    let ran =
        lab.preheat(&lab.sim()).words("--require-warm program run").arg(&program).run().ended(3);
    leaves_nothing(&lab, &ran);
    ran.says(&["double.mlir", "not warm", "preheat warmup"]);
    lab.preheat(&lab.sim()).words("lookup --program").arg(&program).run().ended(3);
    assert_eq!(lab.compiles(), 0);
    run(&lab, &lab.sim(), &program).done();
    let other = lab
        .preheat(&lab.sim())
        .env("NPROC", "77")
        .words("--require-warm program run")
        .arg(&program);
    other.run().ended(3).says(&["the nearest entry", "host.schedulable_cpus", "want 77"]);
    assert_eq!(lab.compiles(), 1);
}

#[test]
fn keys_that_name_nothing_or_too_much() {
    let (lab, program) = lab();
    let square = lab.file("square.mlir", SQUARE);
    for program in [&program, &square] {
        run(&lab, &lab.sim(), program).done();
    }
    let show = |key: &str| lab.bare().words("cache show").arg(key).run();
    show("no-key").ended(1).says(&["no graph key begins with `no-key`", "preheat cache list"]);
    show("").ended(1).says(&["2 graph keys begin with", "give more of it"]);
    let list = lab.bare().words("--json cache list").run().done().json();
    let key = list[0]["graph_key"].as_str().unwrap();
    show(&key[..20].to_uppercase()).done();
    show(&format!("{key}0")).ended(1);
    assert_eq!(lab.objects().len(), 2);
}

/// The real plugin has no build id, so the hash of its content is stored in the cache's folder,
/// if preheat may write to that folder.
#[test]
fn a_cache_that_is_only_read_is_never_written_not_even_by_the_real_plugin() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    lab.bare().words("--cache-read-only program run").arg(&program).run().done();
    assert!(!lab.cache().exists(), "{:?}", files_under(&lab.cache()));
    lab.bare().words("program run").arg(&program).run().done();
    let before = files_under(&lab.cache());
    let warm =
        lab.bare().words("--json --cache-read-only program run").arg(&program).run().done().json();
    assert_eq!(warm["stages"][0]["source"], "disk");
    assert_eq!(files_under(&lab.cache()), before);
}

#[test]
fn a_warmup_that_keeps_nothing_fails() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    for flag in ["--cache-read-only", "--tpu-compilation-cache=false", "--cache-dir=/proc/nowhere"]
    {
        let ran = lab
            .preheat(&lab.sim())
            .words(flag)
            .words("warmup --program")
            .arg(&program)
            .run()
            .ended(1);
        ran.says(&["1 of 1 programs were compiled and not kept", "--cache-read-only"]);
    }
    lab.preheat(&lab.sim()).words("warmup --program").arg(&program).run().done();
}

#[test]
fn a_program_that_wants_more_memory_than_there_is_is_an_error() {
    let lab = Lab::new();
    // Sizes just below the largest address, and 4 PiB.
    for length in ["2305843009213693950", "1125899906842624"] {
        let text = DOUBLE.replace("4xf32", &format!("{length}xf32"));
        let program = lab.file("huge.mlir", text);
        let ran = lab.bare().words("program run").arg(&program).run().ended(1);
        ran.says(&["memory"]);
    }
}

#[cfg(unix)]
#[test]
fn outputs_can_be_read_by_whom_the_mask_allows() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let output = lab.path("out.safetensors");
    lab.preheat(&lab.sim())
        .words("program run")
        .arg(&program)
        .arg("--output")
        .arg(&output)
        .run()
        .done();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    // A file that this process made shows which permissions the mask leaves.
    assert_eq!(mode(&output), mode(&program));
    assert_eq!(mode(&lab.objects()[0]), mode(&program));
}

#[test]
fn a_folder_that_is_not_there_is_named_and_not_a_file_that_nobody_asked_for() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    for words in ["--output no/x.safetensors", "--trace no/t.json"] {
        let run = lab.preheat(&lab.sim()).words("program run").arg(&program).words(words).run();
        let ran = run.ended(1).says(&["there is no folder no", "make it first"]);
        assert!(!ran.stderr.contains(".tmp"), "{}", ran.stderr);
        assert_eq!(
            lab.compiles(),
            0,
            "{words}: the missing folder is reported before anything is compiled"
        );
    }
}
