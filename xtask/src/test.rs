//! Does everything still work? `cargo xtask test` runs the checks one after the other, and times
//! each of them. It ends at the first failure. `--quick` runs only the checks that need no plugin;
//! once everything is built, they take half a minute on two idle cores. `--xla-rs`, `--torch`,
//! `--plugin`, `--python`, `--comfyui` and `--remote` run separate lists of checks, because these
//! need XLA, libtorch, JAX, Python packages, `ComfyUI` or servers.

use std::process::Command;
use std::time::Instant;

use crate::command::{Failure, Outcome, cargo, output, root, run as run_command};
use crate::setup::{Profile, install};
use crate::xla_rs::Extension;
use crate::{comfyui, frameworks, prerequisites, python, remote_servers, storm, table, torch};

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each of them is a flag")]
pub struct Arguments {
    /// Run only the tests that need no plugin and no download, without the slow ones.
    #[arg(long, conflicts_with_all = ["xla_rs", "torch", "python"])]
    quick: bool,
    /// Check the feature `xla-rs` instead: builds the `xla` crate with its own XLA, and compares
    /// the results of that XLA with those of the plugin.
    #[arg(long)]
    xla_rs: bool,
    /// Check the torch devices instead: builds the torch library against a libtorch of its own (540
    /// MB the first time), and runs every op and whole models on it.
    #[arg(long, conflicts_with_all = ["xla_rs", "python"])]
    torch: bool,
    /// Check the caching plugin under real frameworks instead: installs JAX with what it needs
    /// (160 MB the first time), and runs programs through it.
    #[arg(long, conflicts_with_all = ["quick", "xla_rs", "torch"])]
    plugin: bool,
    /// Check the Python package instead: builds its wheel, installs it into two empty virtual
    /// environments, one for the oldest and one for the newest Python on this machine, and tests it
    /// in both.
    #[arg(long, conflicts_with_all = ["quick", "xla_rs", "torch", "plugin"])]
    python: bool,
    /// Check the ComfyUI node pack instead: installs ComfyUI and torch (4 GB, minutes the first
    /// time), makes small models, and samples with them in the real server.
    #[arg(long, conflicts_with_all = ["quick", "xla_rs", "torch", "plugin", "python"])]
    comfyui: bool,
    /// Check the remotes with real servers instead: moto's S3, Redis and nginx, as far as they are
    /// here (moto is installed: 60 MB the first time).
    #[arg(long, conflicts_with_all = ["quick", "xla_rs", "torch", "plugin", "python", "comfyui"])]
    remote: bool,
    /// Arguments of the test programs, such as a part of a test's name.
    #[arg(last = true)]
    passed_on: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut steps = Steps::default();
    let all_steps = match arguments {
        Arguments { quick: true, .. } => quick_steps,
        Arguments { xla_rs: true, .. } => xla_rs_steps,
        Arguments { torch: true, .. } => torch_steps,
        Arguments { plugin: true, .. } => plugin_steps,
        Arguments { python: true, .. } => python_steps,
        Arguments { comfyui: true, .. } => comfyui_steps,
        Arguments { remote: true, .. } => remote_steps,
        _ => all_steps,
    };
    let outcome = all_steps(&mut steps, &arguments.passed_on);
    steps.print_summary();
    outcome
}

/// Runs all checks, the cheapest first, so that a mistake in the format is reported before a
/// download.
fn all_steps(steps: &mut Steps, test_arguments: &[String]) -> Outcome {
    steps.step("prerequisites", || prerequisites::check(prerequisites::TEST))?;
    steps.step("default build", links_no_xla)?;
    steps.command("format", &mut cargo(["fmt", "--all", "--check"]))?;
    steps.command("dependencies", &mut deny("Cargo.toml"))?;
    for folder in WORKSPACES_ASIDE {
        steps.command(
            &format!("dependencies of {folder}/"),
            &mut deny(&format!("{folder}/Cargo.toml")),
        )?;
    }
    steps.command(
        "clippy",
        &mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    )?;
    // `--all-targets` leaves these programs out. They run only after a set-up that takes long, so a
    // change that breaks one of them is reported here, before any set-up.
    let by_name =
        ["--package", "preheat", "--package", "preheat-pjrt-plugin", "--package", "xtask"]
            .into_iter()
            .chain(["--features", "xtask/xla-rs", "--bin", "xla-extension"])
            .chain(["--package", "preheat-remote", "--test", "servers"])
            .chain(["--test", "torch", "--test", "torch_runs", "--test", "frameworks"]);
    let lints = ["clippy"].into_iter().chain(by_name).chain(["--", "-D", "warnings"]);
    steps.command("clippy of programs that run by name", &mut cargo(lints))?;
    for folder in FUZZ {
        steps.command(&format!("targets of {folder}/"), &mut fuzz_targets(folder))?;
    }
    steps.command("set-up xla-cpu", &mut install("xla-cpu", Profile::Debug))?;
    steps.command("set-up tpu", &mut install("tpu", Profile::Debug))?;
    let mut tests = cargo(["test", "--workspace"]);
    tests.args(passed_on(test_arguments));
    steps.command("tests", &mut tests)?;
    // Only root can try what other users may do to a cache, and hosted continuous integration does
    // not run these tests. So this command runs them whenever root starts it.
    if prerequisites::is_root() {
        let owners = ["test", "--test", "store", "cache_folder::", "--", "--ignored"];
        steps.command("tests as other users", &mut cargo(owners))?;
        let limited = ["test", "-p", "preheat-cache", "--lib", "threads::", "--", "--ignored"];
        steps.command("tests as a user with a thread limit", &mut cargo(limited))?;
    } else {
        steps.left_out(
            "tests as other users",
            "only root can run as another user: `sudo -E cargo xtask test`",
        );
    }
    steps.step("storm", || storm::run(&storm::Arguments::short()))?;
    steps.command(
        "docs",
        cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Tests of the store that kill processes, damage every byte or fill gigabytes. They take four
/// fifths of the time of the unit tests.
const SLOW: [&str; 6] = [
    "store::tests::crash::",
    "store::tests::damage::",
    "store::tests::memory::",
    "store::tests::model::",
    "an_index_that_is_rewritten_keeps_everything_and_takes_less",
    "a_lock_whose_holder_shows_no_work_is_waited_for_once",
];

/// The checks that a developer runs between two changes. Once everything is built, they take half a
/// minute on two idle cores. All other checks need a plugin, or take long.
fn quick_steps(steps: &mut Steps, test_arguments: &[String]) -> Outcome {
    steps.command("format", &mut cargo(["fmt", "--all", "--check"]))?;
    let mut tests = cargo(["test", "--workspace", "--lib", "--bins", "--test", "quick", "--"]);
    tests.args(test_arguments).args(SLOW.iter().flat_map(|name| ["--skip", name]));
    steps.command("tests", &mut tests)
}

/// The folders with fuzz targets.
const FUZZ: [&str; 2] = ["fuzz", "cache/fuzz"];
/// The separate workspaces, whose dependencies are checked like those of this one.
const WORKSPACES_ASIDE: [&str; 3] = ["torch", FUZZ[0], FUZZ[1]];

/// Checks that the fuzz targets still compile. Running them needs a nightly toolchain; this check
/// does not. It uses the target folder of this workspace, so that no dependency is checked twice.
fn fuzz_targets(folder: &str) -> Command {
    let manifest = format!("{folder}/Cargo.toml");
    let mut check = cargo(["clippy", "--locked", "--manifest-path", &manifest, "--target-dir"]);
    check.arg(root().join("target")).args(["--all-targets", "--", "-D", "warnings"]);
    // Nothing is linked here, so any file can stand in for libFuzzer, whose C++ takes half a minute
    // to compile.
    check.env("CUSTOM_LIBFUZZER_PATH", root().join(&manifest));
    check
}

/// A plain build must not need TensorFlow and libclang: no dependency of the workspace leads to the
/// `xla` crate.
fn links_no_xla() -> Outcome {
    let tree = output(&mut cargo([
        "tree",
        "--locked",
        "--workspace",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    match tree.lines().find(|package| package.starts_with("xla ")) {
        Some(package) => Err(Failure::new(format!(
            "the default build contains {package}; `cargo tree -i xla` shows which crate needs it"
        ))),
        None => Ok(()),
    }
}

/// Checks licences, bans and sources of everything that a workspace may be built from (deny.toml).
/// Advisories are left out, because their database cannot be fetched everywhere; hosted continuous
/// integration checks them.
fn deny(manifest: &str) -> Command {
    let mut command =
        cargo(["deny", "--locked", "--manifest-path", manifest, "--config", "deny.toml", "check"]);
    // Each workspace uses only some of the crates that the bans and the exceptions name.
    for rule in ["unused-wrapper", "license-exception-not-encountered"] {
        command.args(["--allow", rule]);
    }
    command.args(["licenses", "bans", "sources"]);
    command
}

/// Runs the checks of the feature `xla-rs`. No step takes `--all-features`, because everything else
/// is checked without this feature.
fn xla_rs_steps(steps: &mut Steps, test_arguments: &[String]) -> Outcome {
    steps.step("prerequisites", || prerequisites::check(prerequisites::XLA_RS))?;
    steps.command("set-up xla-cpu", &mut install("xla-cpu", Profile::Debug))?;
    let mut extension = None;
    steps.step("set-up xla-rs", || {
        extension = Some(Extension::own_or_made()?);
        Ok(())
    })?;
    let Some(extension) = extension else { return Ok(()) };
    let feature = ["--package", "preheat", "--features", "xla-rs"];
    let cargo = |subcommand, rest: &[&'static str]| {
        extension.cargo([subcommand].into_iter().chain(feature).chain(rest.iter().copied()))
    };
    steps.command("example", &mut cargo("build", &["--example", "xla_rs"]))?;
    let tests_of_set_up =
        ["test", "--package", "xtask", "--features", "xla-rs", "--bin", "xla-extension"];
    steps.command("tests of the set-up", &mut extension.cargo(tests_of_set_up))?;
    // The conversions are in the crates that define the resulting types.
    let conversions = ["--package", "preheat-tensor", "--package", "preheat-cache", "--lib"];
    let features = ["--features", "preheat-tensor/xla-rs,preheat-cache/xla-rs"];
    let of_conversions = ["test"].into_iter().chain(conversions).chain(features);
    let mut of_conversions = extension.cargo(of_conversions);
    of_conversions.args(["--", "literal::", "program::"]);
    steps.command("tests of conversions", &mut of_conversions)?;
    let mut tests = cargo("test", &["--lib", "--test", "xla_rs"]);
    tests.args(passed_on(test_arguments));
    steps.command("tests", &mut tests)?;
    // The steps below type-check `xla` and link nothing. Cargo runs its build script for them
    // separately from the steps above. DOCS_RS makes that build script leave out its C++, which
    // takes more than a minute.
    let parts = ["--lib", "--test", "xla_rs", "--example", "xla_rs", "--", "-D", "warnings"];
    steps.command("clippy", cargo("clippy", &parts).env("DOCS_RS", "1"))?;
    let lints_of_set_up = [
        "clippy",
        "--package",
        "xtask",
        "--features",
        "xla-rs",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    steps.command("clippy of the set-up", &mut extension.cargo(lints_of_set_up))?;
    let docs = &mut cargo("doc", &["--no-deps", "--lib"]);
    steps.command("docs", docs.env("DOCS_RS", "1").env("RUSTDOCFLAGS", "-D warnings"))
}

/// Runs the checks of the torch library. The library is a separate workspace; its tests in this
/// workspace run only by name.
fn torch_steps(steps: &mut Steps, test_arguments: &[String]) -> Outcome {
    steps.step("prerequisites", || prerequisites::check(prerequisites::TORCH))?;
    steps.command("format", torch::cargo("fmt").args(["--check"]))?;
    let mut set_up = None;
    steps.step("set-up torch", || {
        set_up = Some(torch::SetUp::make(Profile::Debug)?);
        Ok(())
    })?;
    let Some(set_up) = set_up else { return Ok(()) };
    steps.command(
        "clippy",
        set_up.cargo("clippy").args(["--release", "--all-targets", "--", "-D", "warnings"]),
    )?;
    let programs = ["--package", "preheat", "--test", "torch", "--test", "torch_runs"];
    let lints = ["clippy"].into_iter().chain(programs).chain(["--", "-D", "warnings"]);
    steps.command("set-up xla-cpu", &mut install("xla-cpu", Profile::Debug))?;
    steps.command("clippy of the tests", &mut cargo(lints))?;
    steps.command("tests of the library", set_up.cargo("test").args(["--release"]))?;
    let mut tests = cargo(["test"].into_iter().chain(programs));
    tests
        .args(passed_on(test_arguments))
        .env("PREHEAT_TORCH_BACKEND", torch::built())
        .env("LIBTORCH", set_up.libtorch())
        // The tests run many small ops. On a busy machine, threads that wait for one another by
        // spinning would take most of the time.
        .env("OMP_WAIT_POLICY", "passive");
    steps.command("tests", &mut tests)
}

/// Runs the checks of the caching plugin under real frameworks. Its tests run only by name.
fn plugin_steps(steps: &mut Steps, test_arguments: &[String]) -> Outcome {
    steps.step("prerequisites", || prerequisites::check(prerequisites::PEERS))?;
    let mut set_up = None;
    steps.step("set-up", || {
        set_up = Some(frameworks::SetUp::make(Profile::Debug)?);
        Ok(())
    })?;
    let Some(set_up) = set_up else { return Ok(()) };
    let mut clippy = cargo(["clippy", "--package", "preheat-pjrt-plugin", "--test", "frameworks"]);
    steps.command("clippy of the tests", clippy.args(["--", "-D", "warnings"]))?;
    steps.command("tests", set_up.tests().args(passed_on(test_arguments)))
}

/// Runs the checks of the Python package.
fn python_steps(steps: &mut Steps, test_arguments: &[String]) -> Outcome {
    steps.step("prerequisites", || prerequisites::check(prerequisites::PYTHON))?;
    let lints = ["clippy", "--package", "preheat-python", "--", "-D", "warnings"];
    steps.command("clippy", &mut cargo(lints))?;
    steps.command("set-up xla-cpu", &mut install("xla-cpu", Profile::Debug))?;
    steps.command("wheel", &mut python::build_wheel())?;
    let wheel = python::wheel()?;
    for (version, program) in python::pythons()? {
        steps.step(&format!("installation, Python {version}"), || {
            run_command(&mut python::make_environment(&version, &program))?;
            run_command(&mut python::install(&version, &wheel))
        })?;
        steps.command(&format!("types, Python {version}"), &mut python::types(&version))?;
        let mut tests = python::tests(&version, test_arguments);
        steps.command(&format!("tests, Python {version}"), &mut tests)?;
    }
    Ok(())
}

/// Runs the checks of the node pack in a real `ComfyUI`.
fn comfyui_steps(steps: &mut Steps, test_arguments: &[String]) -> Outcome {
    steps.step("prerequisites", || prerequisites::check(prerequisites::PYTHON))?;
    steps.command("set-up xla-cpu", &mut install("xla-cpu", Profile::Debug))?;
    steps.command("wheel", &mut python::build_wheel())?;
    let wheel = python::wheel()?;
    steps.command("set-up ComfyUI", &mut comfyui::install())?;
    steps.step("installation of the pack", || comfyui::install_pack(&wheel))?;
    steps.command("models", &mut comfyui::make_models())?;
    if !comfyui::has_browser() {
        steps.left_out(
            "the page in a browser",
            "no Chromium was found: install it, or name one with PREHEAT_TEST_CHROMIUM",
        );
    }
    steps.command("tests", &mut comfyui::tests(test_arguments))
}

/// Runs the checks of the remotes with real servers.
fn remote_steps(steps: &mut Steps, test_arguments: &[String]) -> Outcome {
    steps.step("prerequisites", || prerequisites::check(prerequisites::REMOTE))?;
    let lints = ["clippy", "--package", "preheat-remote", "--test", "servers", "--"];
    steps.command("clippy of the tests", cargo(lints).args(["-D", "warnings"]))?;
    steps.step("set-up of moto", remote_servers::install_moto)?;
    for server in remote_servers::SYSTEM.iter().filter(|server| server.path().is_none()) {
        steps.left_out(server.name, &format!("it was not found: {}", server.advice));
    }
    steps.command("tests", &mut remote_servers::tests(test_arguments))
}

/// The arguments that `cargo test` passes on to the test programs.
fn passed_on(arguments: &[String]) -> Vec<&str> {
    let separator = if arguments.is_empty() { None } else { Some("--") };
    separator.into_iter().chain(arguments.iter().map(String::as_str)).collect()
}

/// The steps so far, with their seconds and whether they passed.
#[derive(Default)]
struct Steps {
    done: Vec<[String; 3]>,
}

impl Steps {
    fn command(&mut self, name: &str, command: &mut Command) -> Outcome {
        self.step(name, || run_command(command))
    }

    fn step(&mut self, name: &str, work: impl FnOnce() -> Outcome) -> Outcome {
        eprintln!("\n== {name}");
        let began = Instant::now();
        let outcome = work();
        let seconds = format!("{:.1} s", began.elapsed().as_secs_f64());
        let verdict = if outcome.is_ok() { "passed" } else { "FAILED" };
        eprintln!("== {name}: {verdict} in {seconds}");
        self.done.push([name.to_owned(), seconds, verdict.to_owned()]);
        outcome.map_err(Failure::context(format!("step `{name}`")))
    }

    /// Prints what was not checked here, and why.
    fn left_out(&mut self, name: &str, why: &str) {
        eprintln!("\n== {name}: left out: {why}");
        self.done.push([name.to_owned(), "-".to_owned(), "left out".to_owned()]);
    }

    fn print_summary(&self) {
        println!();
        table::print(["step", "time", "outcome"], &self.done);
    }
}
