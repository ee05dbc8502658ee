//! How is a framework's program run over preheat's cache? `preheat exec` sets the variables by
//! which JAX, `torch_xla` and `TorchTPU` find a plugin, starts the program, and says at its end
//! what was compiled, served and saved. `preheat env` prints the same variables for a shell.
//! `preheat comfyui` starts its program in the same way.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::args::{EnvArgs, ExecArgs};
use super::context::Context;
use super::output::{document, line};
use super::{CliError, RuntimeArgs, Status};

/// The caching plugin's file.
pub(super) const LIBRARY: &str = "libpreheat_pjrt.so";
/// The variable that names it.
const VARIABLE: &str = "PREHEAT_PJRT_PLUGIN";

/// Runs a program over the cache. Its exit status becomes that of the command.
pub(super) fn exec(context: &Context, args: &ExecArgs) -> Result<Status, CliError> {
    let folder = tempfile::tempdir().map_err(not_started("running a program"))?;
    let log = folder.path().join("events");
    let mut variables = variables(&context.args, args.plugin.as_deref(), &process_env)?;
    // If the user has named a file for the events, the plugin appends to that file.
    let own_log = std::env::var_os("PREHEAT_PLUGIN_LOG").filter(|path| !path.is_empty());
    let log = own_log.map_or(log, PathBuf::from);
    let earlier = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
    variables.insert("PREHEAT_PLUGIN_LOG", log.clone().into_os_string());
    let status = run_program(context, &args.command, &variables)?;
    let text = std::fs::read(&log).unwrap_or_default();
    let new = text.get(usize::try_from(earlier).unwrap_or(usize::MAX)..).unwrap_or_default();
    let summary = Summary::of(&String::from_utf8_lossy(new));
    for said in summary.lines() {
        // The summary goes to standard error, because another program may read the program's
        // standard output.
        context.shown.suspend(|| say(&said));
    }
    Ok(status)
}

fn not_started(doing: &str) -> impl FnOnce(std::io::Error) -> CliError {
    let doing = doing.to_owned();
    move |cause| CliError::Started { doing, cause }
}

/// Runs a program with these variables until it ends, and returns the status that the command gets
/// from it. Signals are passed on to the program.
pub(super) fn run_program(
    context: &Context,
    words: &[OsString],
    variables: &BTreeMap<&'static str, OsString>,
) -> Result<Status, CliError> {
    let (program, arguments) = words.split_first().ok_or_else(|| {
        CliError::Usage("no program was given: `preheat exec -- python serve.py`".to_owned())
    })?;
    let mut command = Command::new(program);
    command.args(arguments).envs(variables);
    let status = context
        .program
        .run(&mut command)
        .map_err(not_started(&format!("running `{}`", program.to_string_lossy())))?;
    Ok(match status.code() {
        Some(0) => Status::Done,
        Some(code) => Status::OfProgram(u8::try_from(code).unwrap_or(1)),
        // A shell reports a program that a signal ended in the same way: 128 plus the signal's
        // number.
        None => Status::OfProgram(
            status.signal().and_then(|signal| u8::try_from(128 + signal).ok()).unwrap_or(1),
        ),
    })
}

fn say(text: &str) {
    use std::io::Write as _;
    // Standard error may be closed.
    let _ = writeln!(std::io::stderr(), "preheat: {text}");
}

/// Prints the variables for a shell.
pub(super) fn env(context: &Context, args: &EnvArgs) -> Result<Status, CliError> {
    let variables = variables(&context.args, args.plugin.as_deref(), &process_env)?;
    if context.json {
        let texts: BTreeMap<&str, String> = variables
            .into_iter()
            .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
            .collect();
        document(&texts)?;
        return Ok(Status::Done);
    }
    for (name, value) in variables {
        line(&format!("export {name}={}", quoted(&value.to_string_lossy())))?;
    }
    Ok(Status::Done)
}

/// A word as a shell reads it, whatever is in it.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Reads a variable of this process. An empty one counts as not set.
pub(super) fn process_env(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The variables that a framework's process needs.
fn variables(
    args: &RuntimeArgs,
    plugin: Option<&Path>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<BTreeMap<&'static str, OsString>, CliError> {
    let plugin = plugin_file(plugin, env)?;
    let mut variables = BTreeMap::new();
    if let Some(dir) = &args.cache_dir {
        let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
        variables.insert("PREHEAT_CACHE_DIR", absolute.into_os_string());
    }
    variables.insert("PREHEAT_CACHE_MAX_BYTES", args.cache_max_size.bytes().to_string().into());
    let switches = [
        ("PREHEAT_CACHE_READ_ONLY", args.cache_read_only),
        ("PREHEAT_CACHE_SHARED", args.cache_shared),
        ("PREHEAT_REQUIRE_WARM", args.require_warm.is_some()),
    ];
    for (name, _) in switches.into_iter().filter(|(_, is_on)| *is_on) {
        variables.insert(name, "1".into());
    }
    if !args.cache_fallback.is_empty() {
        let fallbacks = std::env::join_paths(&args.cache_fallback).map_err(|error| {
            CliError::Usage(format!("--cache-fallback cannot be passed on: {error}"))
        })?;
        variables.insert("PREHEAT_CACHE_FALLBACKS", fallbacks);
    }
    if !args.tpu_compilation_cache {
        variables.insert("PREHEAT_PLUGIN", "off".into());
    }
    let is_tpu = match args.device.as_str() {
        "tpu" => true,
        "auto" => Path::new("/dev/accel0").exists() && !args.tpu_disable,
        "cpu" | "xla-cpu" => false,
        "xla-cuda" | "cuda" => {
            return Err(CliError::Usage(
                "JAX finds its CUDA plugin only in a Python package, so `exec` has no variable to \
                 set: docs/plugin.md describes the package; --device tpu and xla-cpu work here"
                    .to_owned(),
            ));
        }
        other => {
            return Err(CliError::Usage(format!(
                "frameworks run over tpu and xla-cpu here, and --device is {other}"
            )));
        }
    };
    if is_tpu {
        // JAX, torch_xla and TorchTPU find a TPU's plugin by this variable. If the variable already
        // names a plugin, the caching plugin wraps that one.
        if let Some(named) = env("TPU_LIBRARY_PATH").filter(|named| Path::new(named) != plugin)
            && env("PREHEAT_REAL_PLUGIN").is_none()
        {
            variables.insert("PREHEAT_REAL_PLUGIN", named);
        }
        variables.insert("PREHEAT_DEVICE", "tpu".into());
        variables.insert("TPU_LIBRARY_PATH", plugin.into_os_string());
    } else {
        variables.insert("PREHEAT_DEVICE", "xla-cpu".into());
        let named: OsString = [OsStr::new("preheat:"), plugin.as_os_str()].into_iter().collect();
        variables.insert("PJRT_NAMES_AND_LIBRARY_PATHS", named);
        variables.insert("JAX_PLATFORMS", "preheat".into());
    }
    Ok(variables)
}

/// Finds the caching plugin: the file that the flag or the variable names, or else the one beside
/// this binary or in `../lib`.
pub(super) fn plugin_file(
    given: Option<&Path>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, CliError> {
    let named = given.map(Path::to_owned).or_else(|| env(VARIABLE).map(PathBuf::from));
    if let Some(path) = named {
        let path = std::path::absolute(&path).unwrap_or(path);
        if path.is_file() {
            return Ok(path);
        }
        return Err(CliError::Usage(format!("there is no plugin at {}", path.display())));
    }
    let binary = std::env::current_exe().and_then(|path| path.canonicalize());
    let folder = binary.ok().and_then(|path| Some(path.parent()?.to_owned()));
    let places = folder
        .into_iter()
        .flat_map(|folder| [folder.join(LIBRARY), folder.join("../lib").join(LIBRARY)]);
    places.into_iter().find(|place| place.is_file()).ok_or_else(|| {
        CliError::Usage(format!(
            "build the plugin with `cargo build --release -p preheat-pjrt-plugin`, or name it with \
             --plugin or {VARIABLE}: there is no {LIBRARY} beside this binary"
        ))
    })
}

/// How the compiles of a framework's program ended.
#[derive(Debug, Default, PartialEq)]
struct Summary {
    compiled: u64,
    compile_seconds: f64,
    served: u64,
    serve_seconds: f64,
    saved_seconds: f64,
    /// The reasons why compiles were not cached, and how many there were for each reason.
    others: BTreeMap<String, u64>,
}

impl Summary {
    /// Reads the plugin's events. A line that is cut short is skipped.
    fn of(events: &str) -> Self {
        let mut summary = Self::default();
        for event in events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let seconds = |field: &str| event[field].as_f64().unwrap_or(0.0);
            match event["outcome"].as_str() {
                Some("compiled") => {
                    summary.compiled += 1;
                    summary.compile_seconds += seconds("compile_seconds");
                }
                Some("served") => {
                    summary.served += 1;
                    summary.serve_seconds += seconds("seconds");
                    summary.saved_seconds += seconds("compile_seconds");
                }
                Some(other) => {
                    let reason = event["reason"].as_str().unwrap_or(other).to_owned();
                    *summary.others.entry(reason).or_default() += 1;
                }
                None => {}
            }
        }
        summary
    }

    fn lines(&self) -> [String; 3] {
        let others: u64 = self.others.values().sum();
        let reasons: Vec<String> =
            self.others.iter().map(|(reason, count)| format!("{count} for {reason}")).collect();
        [
            format!("compiled {} programs in {:.1} s", self.compiled, self.compile_seconds),
            format!(
                "served {} from the cache in {:.1} s, which had taken {:.1} s to compile",
                self.served, self.serve_seconds, self.saved_seconds
            ),
            if others == 0 {
                "nothing was left out of the cache".to_owned()
            } else {
                format!("left {others} out of the cache: {}", reasons.join(", "))
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_summed_up_in_three_lines() {
        let events = r#"{"outcome":"compiled","compile_seconds":1.5,"seconds":1.6}
{"outcome":"served","compile_seconds":2.0,"seconds":0.25}
{"outcome":"served","compile_seconds":3.0,"seconds":0.25}
{"outcome":"forwarded","reason":"a callback into the process"}
{"outcome":"not_warm"}
{"outcome":"comp"#;
        let [compiled, served, others] = Summary::of(events).lines();
        assert_eq!(compiled, "compiled 1 programs in 1.5 s");
        assert_eq!(served, "served 2 from the cache in 0.5 s, which had taken 5.0 s to compile");
        assert_eq!(
            others,
            "left 2 out of the cache: 1 for a callback into the process, 1 for not_warm"
        );
    }
}
