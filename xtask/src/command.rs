//! How does a task run a command? Every command runs in the workspace's root, and most commands are
//! printed before they start. The message of a failure has the command in a form that can be typed
//! again.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// An error message for the person who typed the command.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// For `map_err`: puts a description of the attempt in front of the reason.
    pub fn context<E: fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The outcome of a task.
pub type Outcome<T = ()> = Result<T, Failure>;

/// The workspace's root.
pub fn root() -> PathBuf {
    let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest_dir.parent().map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// A command that runs in the workspace's root.
pub fn command<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// `cargo` with these arguments.
pub fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    command("cargo", arguments)
}

/// The command as a person would type it in the workspace's root.
pub fn spelled(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted);
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |character: char| character.is_alphanumeric() || "-_./=:+,@%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Shows a command, runs it, and passes its output through.
pub fn run(command: &mut Command) -> Outcome {
    let spelled = spelled(command);
    eprintln!("$ {spelled}");
    let status =
        command.status().map_err(Failure::context(format!("`{spelled}` could not be started")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure(format!("this command failed ({status}); to repeat it:\n  {spelled}")))
    }
}

/// Runs a command and returns its standard output. Its standard error is passed through.
pub fn output(command: &mut Command) -> Outcome<String> {
    let spelled = spelled(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(Failure::context(format!("`{spelled}` could not be started")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(Failure(format!(
            "this command failed ({}); to repeat it:\n  {spelled}\n{text}",
            output.status
        )))
    }
}

/// Whether a command runs and succeeds; its output is thrown away.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_spelled_so_that_a_shell_reads_it_back() {
        let mut command = cargo(["doc", "--target-dir", "a b", "it's"]);
        command.env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            spelled(&command),
            r"RUSTDOCFLAGS='-D warnings' cargo doc --target-dir 'a b' 'it'\''s'"
        );
    }
}
