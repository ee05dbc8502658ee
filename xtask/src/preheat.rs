//! How does a task get results from the built binary? It runs the binary with `--json`, and reads
//! the same JSON on which other programs rely.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::command::{Failure, Outcome, cargo, command, output, spelled};
use crate::setup::Profile;

/// A build of the binary.
pub struct Preheat {
    executable: PathBuf,
}

impl Preheat {
    /// A release build.
    pub fn build() -> Outcome<Self> {
        Self::built(Profile::Release)
    }

    /// Builds the binary, if it is not up to date, and takes its path from cargo's messages.
    pub fn built(profile: Profile) -> Outcome<Self> {
        let mut build = cargo(["build", "--package", "preheat", "--bin", "preheat"]);
        if let Profile::Release = profile {
            build.arg("--release");
        }
        build.arg("--message-format=json-render-diagnostics");
        eprintln!("$ {}", spelled(&build));
        let messages = output(&mut build)?;
        let executable = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|message| message["target"]["name"] == "preheat")
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .ok_or_else(|| {
                Failure::new("cargo built preheat and did not say where the program is")
            })?;
        Ok(Self { executable })
    }

    /// The binary that was named, or a release build.
    pub fn given_or_built(given: Option<&Path>) -> Outcome<Self> {
        let Some(given) = given else { return Self::build() };
        let executable =
            given.canonicalize().map_err(Failure::context(given.display().to_string()))?;
        Ok(Self { executable })
    }

    /// A command with these arguments.
    pub fn command<S: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        command(&self.executable, arguments)
    }

    /// The path at which the binary found a plugin's library.
    pub fn plugin(&self, name: &str) -> Outcome<PathBuf> {
        let mut list = self.command(["--json", "plugins", "list"]);
        let plugins = json(&mut list)?;
        let plugin = plugins.as_array().into_iter().flatten().find(|plugin| plugin["name"] == name);
        plugin
            .and_then(|plugin| plugin["plugin"]["path"].as_str().or(plugin["path"].as_str()))
            .map(PathBuf::from)
            .ok_or_else(|| {
                Failure::new(format!("`{}` names no {name} plugin:\n{plugins:#}", spelled(&list)))
            })
    }
}

/// Runs a command that prints JSON.
pub fn json(command: &mut Command) -> Outcome<Value> {
    let text = output(command)?;
    parse_json(&text)
        .ok_or_else(|| Failure::new(format!("`{}` printed no JSON:\n{text}", spelled(command))))
}

/// The JSON in a program's output: one document, or the last line that is JSON.
pub fn parse_json(text: &str) -> Option<Value> {
    serde_json::from_str(text)
        .ok()
        .or_else(|| text.lines().rev().find_map(|line| serde_json::from_str(line).ok()))
}

/// A number in a JSON document, by its path from the root.
pub fn number(document: &Value, pointer: &str) -> Outcome<f64> {
    document
        .pointer(pointer)
        .and_then(Value::as_f64)
        .ok_or_else(|| Failure::new(format!("there is no number at {pointer} in:\n{document:#}")))
}

/// The stages in the JSON of a run.
pub fn stages(document: &Value) -> Outcome<&[Value]> {
    let stages = document["stages"].as_array().filter(|stages| !stages.is_empty());
    stages
        .map(Vec::as_slice)
        .ok_or_else(|| Failure::new(format!("there are no stages in:\n{document:#}")))
}

/// Where the executables of a run came from, such as `disk`.
pub fn sources(document: &Value) -> Outcome<String> {
    let sources = stages(document)?.iter().map(|stage| stage["source"].as_str().unwrap_or("?"));
    Ok(sources.collect::<Vec<_>>().join(", "))
}
