//! What happens with the files that a command names? Results are written through links, and into
//! devices and pipes. Named pipes and devices are refused as inputs at once. Names cannot control
//! the terminal.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::demo::{copy_folder, demo_model};
use support::lab::DOUBLE;
use support::tensors::{read_f32, write_f32};
use support::{Lab, Preheat, Ran};

/// More than the size of any file that these tests read, and more than the free memory of any
/// machine that runs them.
const SPARSE_BYTES: u64 = 1 << 40;

/// A test environment (`Lab`) with a program and its inputs in it.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("double.mlir", DOUBLE);
    write_f32(&lab.path("in"), &[("arg0", &[4], &[1.0, 2.0, 3.0, 4.0])]);
    lab
}

fn double(lab: &Lab, words: &str) -> Preheat {
    lab.preheat(&lab.sim()).words(words).words("program run double.mlir --inputs in")
}

/// Runs the command, and fails if it takes longer than two minutes: a command that waits for a pipe
/// would never end.
#[track_caller]
fn at_once(preheat: Preheat) -> Ran {
    let mut started = preheat.start();
    let began = Instant::now();
    while started.is_running() {
        if began.elapsed() > Duration::from_mins(2) {
            started.signal("KILL");
            panic!("the command hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    started.wait()
}

/// The bytes on standard output, and the text on standard error.
fn piped(mut preheat: Preheat) -> (Vec<u8>, String) {
    let output = preheat.command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (output.stdout, said)
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn outputs_follow_links_and_go_into_what_is_no_file() {
    let lab = lab();
    let doubled = [2.0, 4.0, 6.0, 8.0];
    for folder in ["links", "elsewhere"] {
        fs::create_dir(lab.path(folder)).unwrap();
    }
    // First the link's target does not exist yet, and then it does.
    symlink("../elsewhere/out", lab.path("links/out")).unwrap();
    for _ in 0..2 {
        double(&lab, "").words("--output links/out").run().done();
        assert!(fs::symlink_metadata(lab.path("links/out")).unwrap().is_symlink());
        assert_eq!(read_f32(&lab.path("elsewhere/out"), "out0"), doubled);
    }
    for folder in ["links", "elsewhere"] {
        assert_eq!(names(&lab.path(folder)), ["out"]);
    }
    symlink("/dev/null", lab.path("links/null")).unwrap();
    double(&lab, "--trace links/null").words("--output links/null").run().done();
    assert!(fs::metadata(lab.path("links/null")).unwrap().file_type().is_char_device());
    // The reader of the pipe gets the file, and the pipe stays a pipe.
    let pipe = lab.path("pipe");
    make_pipe(&pipe);
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    at_once(double(&lab, "").words("--output pipe")).done();
    let read = lab.file("read", reader.join().unwrap());
    assert_eq!(read_f32(&read, "out0"), doubled);
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
}

#[test]
fn a_pipe_that_nobody_reads_is_refused_before_the_work() {
    let lab = lab();
    make_pipe(&lab.path("pipe"));
    double(&lab, "").run().done();
    fs::write(lab.path("log.jsonl"), "{\"width\": 64, \"height\": 64}\n").unwrap();
    let model = demo_model();
    let compiles = lab.compiles();
    for (words, takes_model) in [
        ("program run double.mlir --inputs in --force-recompile --output pipe", false),
        ("--trace pipe program run double.mlir --inputs in --force-recompile", false),
        ("cache export pipe", false),
        ("run --prompt seven --output pipe --model", true),
        ("plan --budget 2h --requests log.jsonl --output pipe --model", true),
    ] {
        let run = lab.preheat(&lab.sim()).words(words);
        let began = Instant::now();
        let ran = at_once(if takes_model { run.arg(&model) } else { run });
        assert!(matches!(ran.status, Some(1 | 2)), "{words}: {ran:?}");
        ran.says(&["pipe", "no program reads from", "start its reader first"]);
        assert!(began.elapsed() < Duration::from_secs(20), "{words}: {:?}", began.elapsed());
    }
    assert_eq!(lab.compiles(), compiles, "no work was done for an output that nobody reads");
    // A reader that opens the pipe a moment later gets the whole file, once.
    let going_on = double(&lab, "").words("--output pipe").start();
    let reader = std::thread::spawn({
        let pipe = lab.path("pipe");
        move || fs::read(pipe).unwrap()
    });
    going_on.wait().done();
    let read = lab.file("read", reader.join().unwrap());
    assert_eq!(read_f32(&read, "out0"), [2.0, 4.0, 6.0, 8.0]);
}

#[test]
fn a_hyphen_is_standard_output_and_what_a_person_is_told_goes_elsewhere() {
    let lab = lab();
    for name in ["-", "/dev/stdout"] {
        let (bytes, said) = piped(double(&lab, "").words("--output").arg(name));
        assert_eq!(read_f32(&lab.file("read", bytes), "out0"), [2.0, 4.0, 6.0, 8.0]);
        assert!(said.contains("double: "), "{said}");
    }
    let (_, said) = piped(double(&lab, "-q").words("--output -"));
    assert_eq!(said, "");
    let (bytes, _) = piped(double(&lab, "--trace -"));
    assert!(serde_json::from_slice::<Value>(&bytes).unwrap()["traceEvents"].is_array());
    for (words, both) in [("--json", "--json"), ("--trace /dev/stdout", "--trace")] {
        let ran = double(&lab, words).words("--output -").run().ended(2);
        ran.says(&["--output", both, "both want standard output"]);
    }
    let ran = lab.bare().words("run --prompt seven --log-requests -").run().ended(2);
    ran.says(&["--log-requests"]);
    assert!(!lab.path("-").exists());
    // Text that was in the file before it was opened for standard error is still there.
    let log = lab.path("log.txt");
    fs::write(&log, "before\n").unwrap();
    let mut append = double(&lab, "-q").words("--trace /dev/stderr");
    append.command.stdout(Stdio::null()).stderr(File::options().append(true).open(&log).unwrap());
    assert!(append.command.status().unwrap().success());
    assert!(fs::read_to_string(&log).unwrap().starts_with("before\n{\""));
}

#[test]
fn a_picture_goes_to_standard_output_and_several_do_not() {
    let lab = Lab::new();
    let run = |output: &str, words: &str| {
        let run = lab.quick(&lab.sim()).words("--no-tpu-warmup run --prompt seven --steps 1");
        run.words("--output").arg(output).words(words).arg("--model").arg(demo_model())
    };
    let (picture, said) = piped(run("-", ""));
    assert!(picture.starts_with(b"\x89PNG") && said.contains("seed"), "{said}");
    run("-", "--batch 2").run().ended(2).says(&["standard output takes one picture"]);
    fs::create_dir(lab.path("links")).unwrap();
    symlink("/dev/null", lab.path("links/null")).unwrap();
    run("links/null", "--batch 2").run().done();
    assert_eq!(names(&lab.path("links")), ["null"]);
    // The file name of a batch is not UTF-8, and keeps its bytes.
    let batch = lab.quick(&lab.sim()).words("--json run --prompt seven --steps 1 --batch 2");
    let batch = batch.arg("--model").arg(demo_model());
    let ran = batch.arg("--output").arg(OsStr::from_bytes(b"links/\xff.png")).run().done();
    assert!(lab.path("links").join(OsStr::from_bytes(b"\xff-1.png")).is_file());
    assert_eq!(ran.json()["images"][1], "links/\u{fffd}-1.png");
}

#[test]
fn an_export_replaces_no_file_unasked_and_goes_through_pipes() {
    let lab = lab();
    double(&lab, "").run().done();
    let kept = lab.file("thesis.txt", "years of work");
    let refused = lab.bare().words("cache export thesis.txt").run().ended(1);
    refused.says(&["thesis.txt is there already", "--force"]);
    assert_eq!(fs::read_to_string(&kept).unwrap(), "years of work");
    lab.bare().words("cache export --force thesis.txt").run().done();
    assert_ne!(fs::read(&kept).unwrap(), b"years of work");
    let (archive, said) = piped(lab.bare().words("cache export -"));
    assert!(said.contains("1 object in -"), "{said}");
    assert_eq!(archive.len(), usize::try_from(fs::metadata(&kept).unwrap().len()).unwrap());
    let ran = lab.bare().words("--json cache export -").run().ended(2);
    ran.says(&["--json both want standard output"]);
    // The export goes through a pipe into the import, as over ssh.
    let preheat = env!("CARGO_BIN_EXE_preheat");
    let import = format!("{preheat} --cache-dir other cache import --trust /dev/stdin");
    let mut shell = Command::new("sh")
        .args(["-c", &format!("cat | {import}")])
        .current_dir(lab.path(""))
        .env("PREHEAT_DEVICE", "xla-cpu")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap().write_all(&archive).unwrap();
    let output = shell.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 object added"));
    let mut left = names(&lab.path(""));
    left.retain(|name| name.contains("thesis"));
    assert_eq!(left, ["thesis.txt"]);
}

#[test]
fn a_manifest_goes_to_standard_output() {
    let lab = Lab::new();
    lab.file("log.jsonl", "{\"width\": 64, \"height\": 64}\n");
    let plan = |words: &str| {
        let quick = lab.quick(&lab.no_compiles()).words(words);
        quick.words("plan --budget 2h --requests log.jsonl --output -")
    };
    let (manifest, said) = piped(plan("").arg("--model").arg(demo_model()));
    let manifest = String::from_utf8(manifest).unwrap();
    assert!(manifest.contains("[[model]]") && manifest.contains("64x64"), "{manifest}");
    let served = "requests are served";
    assert!(said.contains(served) && !manifest.contains(served), "{said}");
    let odd = lab.path("").join(OsStr::from_bytes(b"model-\xff"));
    copy_folder(&demo_model(), &odd);
    plan("-q").arg("--model").arg(odd).run().ended(2).says(&["a manifest is UTF-8 text"]);
}

/// Three kinds of files that are not acceptable as inputs. The first two are not regular files, and
/// errors name them with these words. The third is a sparse file that is larger than any input.
const NO_FILES: [&str; 3] = ["named pipe", "device", "sparse"];

/// Replaces the file at `path` by one of the kinds in [`NO_FILES`].
fn put(no_file: &str, path: &Path) {
    let _ = fs::remove_file(path);
    match no_file {
        "named pipe" => make_pipe(path),
        "device" => symlink("/dev/zero", path).unwrap(),
        _ => File::create(path).unwrap().set_len(SPARSE_BYTES).unwrap(),
    }
}

#[test]
fn inputs_that_are_no_files_are_refused_at_once_by_name() {
    let lab = lab();
    let input = lab.path("input");
    for words in [
        "run --output a.png --request",
        "program run",
        "program run double.mlir --inputs",
        "warmup --manifest",
        "audit --requests",
        "plan --budget 2h --requests",
        "cache import",
        "cache rewarm --plugin",
        "plugins install xla-cpu --force --wheel",
    ] {
        for no_file in NO_FILES {
            // These commands may read a file of any length, because they do not keep it in memory.
            // They read logs and exports in pieces, and wheels and plugins for their checksums.
            let streaming = ["audit", "plan", "plugins", "cache"];
            let is_streamed = streaming.iter().any(|command| words.starts_with(command));
            if no_file == "sparse" && is_streamed {
                continue;
            }
            put(no_file, &input);
            let said = if no_file == "sparse" { "" } else { no_file };
            let run = lab.preheat(&lab.sim()).env("PREHEAT_DATA_DIR", lab.path("data"));
            let ran = at_once(run.words(words).arg(&input));
            assert!(ran.status == Some(1) || ran.status == Some(2), "{words}: {ran:?}");
            let stderr = &ran.stderr;
            assert!(stderr.contains("input") && stderr.contains(said), "{words}: {stderr}");
        }
    }
}

#[test]
fn models_whose_files_are_no_files_are_refused_at_once_by_name() {
    let lab = Lab::new();
    for file in [
        "model_index.json",
        "unet/config.json",
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/special_tokens_map.json",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors.index.json",
    ] {
        let model = lab.path("model");
        copy_folder(&demo_model(), &model);
        if file.ends_with(".index.json") {
            fs::remove_file(model.join("text_encoder/model.safetensors")).unwrap();
        }
        let path = model.join(file);
        for no_file in NO_FILES {
            put(no_file, &path);
            let said = if no_file == "sparse" { "" } else { no_file };
            let run = lab.quick(&lab.no_compiles()).words("run --prompt seven --output a.png");
            let ran = at_once(run.arg("--model").arg(&model)).ended(1);
            let stderr = &ran.stderr;
            assert!(stderr.contains(file) && stderr.contains(said), "{file}: {stderr}");
        }
        fs::remove_dir_all(&model).unwrap();
    }
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn a_request_is_read_from_an_open_pipe_and_a_mark_before_json_is_none_of_it() {
    let lab = Lab::new();
    let model = lab.path("model");
    copy_folder(&demo_model(), &model);
    let config = model.join("unet/config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("\u{feff}{text}")).unwrap();
    let run = |request: &str| {
        let run = lab.quick(&lab.sim()).words("--require-warm run --output a.png");
        let mut run = run.words("--request /dev/stdin --model").arg(&model);
        let pipes = run.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    // The request and the configuration were read: the only failure left is that the request is not
    // warm.
    let output = run("\u{feff}{\"prompt\": \"seven\"}");
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(&config, text.replace('{', "{\n<<<<<<< HEAD\n")).unwrap();
    let said = String::from_utf8_lossy(&run("{\"prompt\": \"seven\"}").stderr).into_owned();
    for part in ["unet/config.json", "line 2 is git's mark of a merge conflict"] {
        assert!(said.contains(part), "{said}");
    }
    let merged = lab.file("request.json", "{\n<<<<<<< HEAD\n\"prompt\": \"a\"\n=======\n");
    let ran = lab.preheat(&lab.sim()).words("run --request").arg(merged).run().ended(2);
    ran.says(&["request.json", "merge conflict"]);
}

#[test]
fn the_end_of_a_long_prompt_is_not_said_whole() {
    let lab = Lab::new();
    let prompt = "a lighthouse \\u001b[2J ".repeat(50_000);
    let request = lab.file("request.json", format!("{{\"prompt\": \"{prompt}\"}}"));
    let run = lab.quick(&lab.sim()).words("--json --no-tpu-warmup run --steps 1 --output a.png");
    let run = run.arg("--request").arg(request);
    let ran = run.arg("--model").arg(demo_model()).run().done().says(&["its end is ignored"]);
    assert!(ran.stderr.len() < 2000, "{} bytes", ran.stderr.len());
    assert!(ran.json()["warnings"].to_string().len() < 1000);
    let wrong = lab.file("request.json", format!("{{\"steps\": \"{}\"}}", "many ".repeat(200_000)));
    let ran = lab.quick(&lab.sim()).words("run --output a.png --request").arg(wrong).run().ended(2);
    assert!(ran.says(&["expected u64"]).stderr.len() < 30_000);
}

/// Asserts that the output has no character that controls a terminal.
#[track_caller]
fn is_plain(ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        let turns = '\u{202a}'..='\u{202e}';
        let acts = |c: char| (c.is_control() && c != '\n') || turns.contains(&c);
        assert!(!text.contains(acts), "{text:?}");
    }
}

#[test]
fn names_reach_the_terminal_as_text_alone() {
    let lab = Lab::new();
    let name = "evil\u{1b}]0;owned\u{7}\u{202e}\nhint: run rm -rf";
    let program = lab.file(&format!("{name}.mlir"), DOUBLE);
    let preheat = || lab.preheat(&lab.sim());
    is_plain(&preheat().words("-v program run").arg(&program).run().done());
    is_plain(&preheat().words("warmup --program").arg(&program).run().done());
    is_plain(&preheat().words("lookup --program").arg(&program).run().done());
    let listed = preheat().words("cache list").run().done();
    is_plain(&listed);
    assert!(listed.stdout.contains("evil\\u{1b}]0;owned\\u{7}"), "{}", listed.stdout);
    assert!(!listed.stdout.lines().any(|line| line.starts_with("hint")), "{}", listed.stdout);
    let listed = preheat().words("--json cache list").run().done();
    is_plain(&listed);
    assert_eq!(listed.json()[0]["model_id"], name);
    let key = listed.json()[0]["graph_key"].as_str().unwrap().to_owned();
    is_plain(&preheat().words("cache show").arg(key).run().done());
    let missing = preheat().words("run --prompt x --output a.png --model").arg(lab.path(name));
    let missing = missing.run().ended(1);
    is_plain(&missing);
    let hints = |line: &str| line.starts_with("hint: run rm");
    assert!(!missing.stderr.lines().any(hints), "{}", missing.stderr);
}

#[test]
fn paths_that_are_no_text_are_shown_and_cost_no_result() {
    let lab = Lab::new();
    let folder = lab.path("").join(OsStr::from_bytes(b"cache-\xff"));
    let at = || lab.preheat(&lab.sim()).env("PREHEAT_CACHE_DIR", &folder);
    let preheat = |words: &str| at().words(words);
    let program: PathBuf = lab.path("").join(OsStr::from_bytes(b"double-\xff.mlir"));
    fs::write(&program, DOUBLE).unwrap();
    let ran = preheat("--json program run").arg(&program).run().done();
    assert_eq!(ran.json()["signature"]["model_id"], "double-\u{fffd}");
    let info = preheat("--json cache info").run().done().json();
    assert!(info["dir"].as_str().unwrap().ends_with("cache-\u{fffd}"), "{info}");
    // The findings of `cache verify` contain paths, too.
    let object = support::lab::files_under(&folder.join("objects-v1")).remove(0);
    fs::write(object, "damaged").unwrap();
    let found = preheat("--json cache verify").run().ended(4).json();
    assert!(found["findings"][0]["path"].as_str().unwrap().contains("cache-\u{fffd}"), "{found}");
}
