//! Which claims of the documentation, which nobody could verify for want of the hardware, hold on
//! this machine? `preheat doctor --report FILE` tries each of them in processes of its own and
//! writes what came out: figures, and no names or paths.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;

use super::context::Context;
use super::devices_measure::Running;
use super::output::{self, is_standard_output, json_text, line};
use super::{CliError, Status};
use preheat_io::result_file::Existing;

/// The version of the report's format.
const REPORT_VERSION: u32 = 1;

/// The program that is compiled where a model would be more than is needed.
const PROGRAM: &str = "module @double { func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> \
                       { %y = stablehlo.add %x, %x : tensor<4xf32> return %y : tensor<4xf32> } }";

/// A picture of the demo model.
const PICTURE: &str = "run --prompt seven --seed 7 --steps 4 --output picture.png";

/// What JAX runs through the caching plugin; it prints 64.
const JAX: &str = "import jax, jax.numpy as jnp; \
                   print(float(jax.jit(lambda x: (x * 2 + 1).sum())(jnp.arange(8.0))))";

/// A report, as it is written.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: u32,
    preheat: &'static str,
    operating_system: &'static str,
    architecture: &'static str,
    devices: Vec<SeenDevice>,
    claims: Vec<Answer>,
}

/// A device, without the path of its plugin.
#[derive(Debug, Serialize)]
struct SeenDevice {
    name: String,
    available: bool,
    kind: Option<String>,
    platform_version: Option<String>,
    topology: Option<String>,
}

/// What came out for one claim.
#[derive(Debug, Serialize)]
struct Answer {
    claim: &'static str,
    statement: &'static str,
    #[serde(flatten)]
    outcome: Outcome,
}

/// The outcome of trying a claim.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Outcome {
    Held { figures: Figures },
    Failed { because: String },
    NotRun { because: String },
}

/// Figures by name, each with its unit in the name.
type Figures = BTreeMap<String, f64>;

/// Why a claim was not shown.
enum Problem {
    /// It does not hold, or could not be tried, for this reason.
    Failed(String),
    /// Somebody asked to stop, or this command itself failed.
    Ends(CliError),
}

impl From<CliError> for Problem {
    fn from(error: CliError) -> Self {
        Self::Ends(error)
    }
}

/// What a claim needs.
#[derive(Clone, Copy)]
enum Needs {
    /// A device of this name.
    Device(&'static str),
    /// A TPU, JAX, and the caching plugin.
    JaxOnTpu,
    /// This operating system, and this architecture unless it is empty.
    Machine(&'static str, &'static str),
}

/// A claim, and how it is tried.
struct Claim {
    name: &'static str,
    statement: &'static str,
    needs: Needs,
    run: fn(&Trial<'_>) -> Result<Figures, Problem>,
}

const TPU: Needs = Needs::Device("tpu");

/// Every claim that docs/status.md and docs/tpu.md list as not verified, and that a machine can try
/// by itself.
const CLAIMS: [Claim; 13] = [
    Claim {
        name: "tpu_memory",
        statement: "a TPU reports its memory",
        needs: TPU,
        run: tpu_memory,
    },
    Claim {
        name: "tpu_program",
        statement: "a TPU runs a program, and a second process loads its executable",
        needs: TPU,
        run: tpu_program,
    },
    Claim {
        name: "tpu_ahead",
        statement: "a TPU loads and runs what was compiled ahead of time, under the same key",
        needs: TPU,
        run: tpu_ahead,
    },
    Claim {
        name: "tpu_efforts",
        statement: "the steps of each compile effort on a TPU",
        needs: TPU,
        run: tpu_efforts,
    },
    Claim {
        name: "tpu_swap",
        statement: "a full executable takes over from one of a lower effort on a TPU",
        needs: TPU,
        run: tpu_swap,
    },
    Claim {
        name: "tpu_steps_without_a_wait",
        statement: "steps on a TPU are queued without a wait of the host",
        needs: TPU,
        run: tpu_steps_without_a_wait,
    },
    Claim {
        name: "tpu_keeps_executables",
        statement: "the runtime of a TPU says which executables of another build it accepts",
        needs: TPU,
        run: tpu_keeps_executables,
    },
    Claim {
        name: "tpu_pictures",
        statement: "pictures of a TPU agree with those of XLA:CPU",
        needs: TPU,
        run: |trial| trial.agreement("tpu,xla-cpu"),
    },
    Claim {
        name: "tpu_jax",
        statement: "JAX runs through the caching plugin on a TPU",
        needs: Needs::JaxOnTpu,
        run: tpu_jax,
    },
    Claim {
        name: "mac_gpu",
        statement: "pictures of a Mac's GPU agree with those of its CPU",
        needs: Needs::Device("mps"),
        run: |trial| trial.agreement("mps,cpu"),
    },
    Claim {
        name: "mac_cpu",
        statement: "libtorch makes pictures on a Mac's CPU",
        needs: Needs::Machine("macos", ""),
        run: |trial| trial.picture("mac", "--device cpu --strict-device"),
    },
    Claim {
        name: "windows_cpu",
        statement: "libtorch makes pictures on a CPU under Windows",
        needs: Needs::Machine("windows", ""),
        run: |trial| trial.picture("windows", "--device cpu --strict-device"),
    },
    Claim {
        name: "arm_xla_cpu",
        statement: "XLA:CPU makes pictures on aarch64 Linux",
        needs: Needs::Machine("linux", "aarch64"),
        run: |trial| trial.picture("arm", "--device xla-cpu --strict-device"),
    },
];

/// Tries every claim, and writes the report to `path`. `no_jax` says why JAX cannot be tried, if it
/// cannot.
pub(super) fn report(
    context: &Context,
    path: &Path,
    no_jax: Option<&str>,
) -> Result<(Report, Status), CliError> {
    let unwritable =
        |cause| CliError::File { doing: "writing the report to", path: path.to_owned(), cause };
    output::check(path, Existing::Replace).map_err(unwritable)?;
    let folder = tempfile::tempdir().map_err(failed_to_start)?;
    std::fs::write(folder.path().join("double.mlir"), PROGRAM).map_err(failed_to_start)?;
    let mut trial = Trial { context, folder, devices: Vec::new(), no_jax };
    let devices = trial.json("devices", "devices").map_err(|problem| match problem {
        Problem::Ends(error) => error,
        Problem::Failed(why) => CliError::Usage(why),
    })?;
    trial.devices =
        serde_json::from_value(devices).map_err(|error| failed_to_start(error.into()))?;
    let mut claims = Vec::with_capacity(CLAIMS.len());
    for claim in &CLAIMS {
        let outcome = match trial.lacks(claim.needs) {
            Some(because) => Outcome::NotRun { because },
            None => match (claim.run)(&trial) {
                Ok(figures) => Outcome::Held { figures },
                Err(Problem::Failed(because)) => Outcome::Failed { because },
                Err(Problem::Ends(error)) => return Err(error),
            },
        };
        claims.push(Answer { claim: claim.name, statement: claim.statement, outcome });
    }
    let devices = trial.devices.iter().map(|device| SeenDevice {
        name: device.name.clone(),
        available: device.available,
        kind: device.kind.as_deref().map(without_names),
        platform_version: device.platform_version.as_deref().map(without_names),
        topology: device.topology.clone(),
    });
    let report = Report {
        version: REPORT_VERSION,
        preheat: env!("CARGO_PKG_VERSION"),
        operating_system: std::env::consts::OS,
        architecture: std::env::consts::ARCH,
        devices: devices.collect(),
        claims,
    };
    let text = json_text(&report, true)? + "\n";
    output::write(path, text.as_bytes()).map_err(unwritable)?;
    let has_failed =
        report.claims.iter().any(|answer| matches!(answer.outcome, Outcome::Failed { .. }));
    Ok((report, if has_failed { Status::Failed } else { Status::Done }))
}

/// Prints a line for each claim, and below it the reason, if it did not hold. A reason can be
/// longer than a terminal is wide, so it is in no table.
pub(super) fn print(report: &Report, path: &Path) -> Result<(), CliError> {
    for Answer { statement, outcome, .. } in &report.claims {
        let (outcome, because) = match outcome {
            Outcome::Held { .. } => ("held", None),
            Outcome::Failed { because } => ("failed", Some(because)),
            Outcome::NotRun { because } => ("not run", Some(because)),
        };
        line(&format!("{outcome:<7}  {statement}"))?;
        if let Some(because) = because {
            line(&format!("         {because}"))?;
        }
    }
    if is_standard_output(path) {
        return Ok(());
    }
    line(&format!("{}: the report, which names nobody and no path of this machine", path.display()))
}

/// A device, as `preheat devices` lists it.
#[derive(Debug, Deserialize)]
struct Device {
    name: String,
    available: bool,
    reason: String,
    kind: Option<String>,
    plugin: Option<String>,
    platform_version: Option<String>,
    topology: Option<String>,
    memory_total_bytes: Option<u64>,
    memory_free_bytes: Option<u64>,
}

/// The folder in which claims are tried, and the devices of this machine.
struct Trial<'a> {
    context: &'a Context,
    folder: TempDir,
    devices: Vec<Device>,
    /// Why JAX cannot be tried, if it cannot.
    no_jax: Option<&'a str>,
}

/// How a command of preheat ended.
struct Ended {
    is_success: bool,
    stdout: String,
    stderr: String,
}

impl Trial<'_> {
    fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// Why a claim cannot be tried here; `None` if it can.
    fn lacks(&self, needs: Needs) -> Option<String> {
        match needs {
            Needs::Device(name) => match self.device(name) {
                Some(device) if device.available => None,
                Some(device) => {
                    Some(format!("{name} cannot be used: {}", without_names(&device.reason)))
                }
                None => Some(format!("{name} is not known here")),
            },
            Needs::JaxOnTpu => self.lacks(TPU).or_else(|| self.no_jax.map(str::to_owned)),
            Needs::Machine(system, architecture) => {
                let (own_system, own) = (std::env::consts::OS, std::env::consts::ARCH);
                let is_this =
                    own_system == system && (architecture.is_empty() || own == architecture);
                (!is_this).then(|| format!("this machine is {own_system} on {own}"))
            }
        }
    }

    /// Runs `preheat` with these words, over a cache of this name.
    fn run(&self, cache: &str, words: &[&str]) -> Result<Ended, Problem> {
        let program = std::env::current_exe().map_err(failed_to_start)?;
        let mut command = Command::new(program);
        let mut outputs = [tempfile::tempfile(), tempfile::tempfile()];
        let clone = |output: &std::io::Result<File>| match output {
            Ok(file) => file.try_clone(),
            Err(error) => Err(error.kind().into()),
        };
        let [stdout, stderr] = [clone(&outputs[0]), clone(&outputs[1])];
        command
            .arg("--cache-dir")
            .arg(self.folder.path().join(cache))
            .args(words)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(stdout.map_err(failed_to_start)?)
            .stderr(stderr.map_err(failed_to_start)?);
        let ended = Running::start(&mut command)
            .and_then(|mut child| child.wait(&self.context.cancel))
            .map_err(failed_to_start)?;
        let Some(status) = ended else { return Err(CliError::Interrupted.into()) };
        let read = |output: &mut std::io::Result<File>| {
            let mut text = Vec::new();
            let file = output.as_mut().map_err(|error| std::io::Error::from(error.kind()))?;
            file.rewind()?;
            file.read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        let [stdout, stderr] = &mut outputs;
        Ok(Ended {
            is_success: status.success(),
            stdout: read(stdout).map_err(failed_to_start)?,
            stderr: read(stderr).map_err(failed_to_start)?,
        })
    }

    /// Runs `preheat` with these words, which must succeed, and returns its document.
    fn json(&self, cache: &str, words: &str) -> Result<Value, Problem> {
        let words: Vec<&str> = ["--json"].into_iter().chain(words.split_whitespace()).collect();
        let ended = self.run(cache, &words)?;
        if !ended.is_success {
            return Err(Problem::Failed(last_line(&ended.stderr)));
        }
        serde_json::from_str(&ended.stdout)
            .map_err(|_| Problem::Failed("a command printed no document".to_owned()))
    }

    /// Makes a picture twice; the second process must compile nothing.
    fn picture(&self, cache: &str, flags: &str) -> Result<Figures, Problem> {
        let words = format!("{flags} {PICTURE}");
        let first = self.json(cache, &words)?;
        let again = self.json(cache, &words)?;
        let mut figures = Figures::from([("compile_seconds".to_owned(), compile_seconds(&first))]);
        figures.extend(number(&again, "/timings/seconds_per_step").map(named("seconds_per_step")));
        if compile_seconds(&again) > 0.0 {
            return Err(Problem::Failed("a second process compiled again".to_owned()));
        }
        Ok(figures)
    }

    /// Compares the pictures of two devices.
    fn agreement(&self, devices: &str) -> Result<Figures, Problem> {
        let compared = self.json("bench", &format!("devices bench --devices {devices}"))?;
        let mut figures = Figures::new();
        for device in compared["devices"].as_array().into_iter().flatten() {
            let name = device["device"].as_str().unwrap_or_default();
            if device["measured"] != true {
                let why = device["reason"].as_str().unwrap_or_default();
                return Err(Problem::Failed(format!("{name}: {}", without_names(why))));
            }
            let is_within = device["agreement"]["is_within"] != false;
            if !is_within {
                return Err(Problem::Failed(format!("the pictures of {name} differ too much")));
            }
            for (field, figure) in
                [("/agreement/psnr_db", "psnr_db"), ("/seconds_per_step", "seconds_per_step")]
            {
                figures.extend(number(device, field).map(named(&format!("{name}_{figure}"))));
            }
        }
        Ok(figures)
    }
}

fn tpu_memory(trial: &Trial<'_>) -> Result<Figures, Problem> {
    let device = trial.device("tpu");
    let total = device.and_then(|device| device.memory_total_bytes);
    let free = device.and_then(|device| device.memory_free_bytes);
    let Some((total, free)) = total.zip(free) else {
        return Err(Problem::Failed("the plugin reports no memory".to_owned()));
    };
    #[expect(clippy::cast_precision_loss, reason = "bytes of a device")]
    let figures = [("memory_total_bytes", total as f64), ("memory_free_bytes", free as f64)];
    Ok(figures.map(|(name, value)| (name.to_owned(), value)).into())
}

const ON_TPU: &str = "--device tpu --strict-device";

fn tpu_program(trial: &Trial<'_>) -> Result<Figures, Problem> {
    let words = format!("{ON_TPU} program run double.mlir");
    let first = trial.json("program", &words)?;
    let again = trial.json("program", &words)?;
    loaded(&again)?;
    let mut figures = Figures::from([("compile_seconds".to_owned(), compile_seconds(&first))]);
    figures.extend(number(&again, "/stages/0/load_seconds").map(named("load_seconds")));
    Ok(figures)
}

fn tpu_ahead(trial: &Trial<'_>) -> Result<Figures, Problem> {
    trial.json("program", &format!("{ON_TPU} program run double.mlir"))?;
    let listed = trial.json("program", "cache list")?;
    let target = listed[0]["target"].as_str().unwrap_or_default().to_owned();
    let warmed = trial.json("ahead", &format!("warmup --aot {target} --program double.mlir"))?;
    let ran = trial.json("ahead", &format!("{ON_TPU} --require-warm program run double.mlir"))?;
    loaded(&ran)?;
    Ok(Figures::from([("compile_seconds".to_owned(), compile_seconds(&warmed))]))
}

fn tpu_efforts(trial: &Trial<'_>) -> Result<Figures, Problem> {
    let mut figures = Figures::new();
    for effort in ["full", "balanced", "fast"] {
        let words = format!("{ON_TPU} --compile-effort {effort} {PICTURE}");
        let made = trial.json(effort, &words)?;
        figures.insert(format!("{effort}_compile_seconds"), compile_seconds(&made));
        let step = number(&made, "/timings/seconds_per_step");
        figures.extend(step.map(named(&format!("{effort}_seconds_per_step"))));
    }
    Ok(figures)
}

fn tpu_swap(trial: &Trial<'_>) -> Result<Figures, Problem> {
    let first = trial.json("swap", &format!("{ON_TPU} --compile-effort tiered {PICTURE}"))?;
    let finished = trial.json("swap", &format!("{ON_TPU} warmup --finish"))?;
    let upgrades = finished["upgrades"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(other) = upgrades.iter().find(|upgrade| upgrade["upgrade"] != "took_over") {
        let why = other["reason"].as_str().unwrap_or("it was stopped");
        return Err(Problem::Failed(format!(
            "a full executable is not used: {}",
            without_names(why)
        )));
    }
    trial.json("swap", &format!("{ON_TPU} --require-warm=full {PICTURE}"))?;
    Ok(Figures::from([("first_compile_seconds".to_owned(), compile_seconds(&first))]))
}

fn tpu_steps_without_a_wait(trial: &Trial<'_>) -> Result<Figures, Problem> {
    let mut figures = Figures::new();
    for (steps, name) in [("0", "seconds_per_step"), ("1", "seconds_per_step_with_a_wait")] {
        let words = format!("{ON_TPU} --compile-effort full --tpu-sync-steps {steps} {PICTURE}");
        let made = trial.json("full", &words)?;
        figures.extend(number(&made, "/timings/seconds_per_step").map(named(name)));
    }
    Ok(figures)
}

fn tpu_keeps_executables(trial: &Trial<'_>) -> Result<Figures, Problem> {
    trial.json("program", &format!("{ON_TPU} program run double.mlir"))?;
    let plugin = trial.device("tpu").and_then(|device| device.plugin.clone()).unwrap_or_default();
    let words = ["--json", "--device", "tpu", "cache", "rewarm", "--plugin", &plugin];
    let ended = trial.run("program", &words)?;
    if ended.is_success {
        Ok(Figures::new())
    } else {
        Err(Problem::Failed(last_line(&ended.stderr)))
    }
}

fn tpu_jax(trial: &Trial<'_>) -> Result<Figures, Problem> {
    let words = ["exec", "--device", "tpu", "--", "python3", "-c", JAX];
    let mut served = None;
    for _ in 0..2 {
        let ended = trial.run("jax", &words)?;
        if !ended.is_success {
            return Err(Problem::Failed(last_line(&ended.stderr)));
        }
        if ended.stdout.trim() != "64.0" {
            return Err(Problem::Failed("JAX computed another result".to_owned()));
        }
        served = ended.stderr.lines().find_map(|line| {
            line.strip_prefix("preheat: served ")?.split(' ').next()?.parse::<f64>().ok()
        });
    }
    match served {
        Some(served) if served > 0.0 => Ok(Figures::from([("programs_served".to_owned(), served)])),
        _ => Err(Problem::Failed("the second process was served nothing".to_owned())),
    }
}

/// Checks that the stage of a program was loaded from the cache.
fn loaded(ran: &Value) -> Result<(), Problem> {
    match ran["stages"][0]["source"].as_str() {
        Some("disk") => Ok(()),
        other => Err(Problem::Failed(format!(
            "the executable was not loaded from the cache, but {}",
            other.unwrap_or("not there")
        ))),
    }
}

fn number(document: &Value, field: &str) -> Option<f64> {
    document.pointer(field)?.as_f64()
}

fn named(name: &str) -> impl FnOnce(f64) -> (String, f64) {
    let name = name.to_owned();
    move |value| (name, value)
}

/// The seconds of all compiles of a document.
fn compile_seconds(document: &Value) -> f64 {
    let stages = document["stages"].as_array().into_iter().flatten();
    let seconds = stages.filter_map(|stage| {
        // A warmup reports a stage within the report of its warmup.
        stage["compile_seconds"].as_f64().or_else(|| stage["stage"]["compile_seconds"].as_f64())
    });
    seconds.sum()
}

/// The last line that a command wrote, which says why it failed.
fn last_line(stderr: &str) -> String {
    let line = stderr.lines().rev().find(|line| !line.trim().is_empty());
    without_names(line.unwrap_or("it said nothing"))
}

/// A text in which words that may be paths, or the names of the user and the machine, are replaced.
fn without_names(text: &str) -> String {
    let own: Vec<String> = ["USER", "LOGNAME", "USERNAME", "HOSTNAME", "COMPUTERNAME"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty())
        .collect();
    let words = text.split_whitespace().map(|word| {
        let is_path = word.contains(['/', '\\']) || word.starts_with('~');
        if is_path || own.iter().any(|name| word.contains(name)) { "(left out)" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn failed_to_start(cause: std::io::Error) -> CliError {
    CliError::Started { doing: "trying a claim".to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_left_out_and_reasons_stay() {
        let said = "error: /home/someone/double.mlir: no device at ~/x or C:\\plugins here";
        assert_eq!(
            without_names(said),
            "error: (left out) no device at (left out) or (left out) here"
        );
        assert_eq!(last_line("one\ntwo of /tmp/x\n\n"), "two of (left out)");
        assert_eq!(last_line(""), "it said nothing");
    }

    #[test]
    fn every_claim_has_a_name_of_its_own() {
        let mut names: Vec<_> = CLAIMS.iter().map(|claim| claim.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CLAIMS.len());
    }
}
