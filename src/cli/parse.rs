//! If a person types a command that does not exist, which command did they mean? Most often the
//! command has another name, or is a subcommand of another command.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _, Parser as _};

use super::commands::Command as Chosen;
use super::{Cli, comfyui};

/// Names that other programs use for the same commands.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("clean", "cache clear"),
    ("compile", "warmup"),
    ("gc", "cache prune"),
    ("generate", "run"),
    ("ls", "cache list"),
    ("rm", "cache clear"),
    ("statistics", "cache stats"),
    ("txt2img", "run"),
    ("version", "--version"),
];

/// Reads the command line of this process. The process ends here if the command line is wrong, or
/// asks for help.
pub fn parse() -> Cli {
    let words: Vec<OsString> = std::env::args_os().collect();
    read(&words).unwrap_or_else(|error| with_what_was_meant(error).exit())
}

/// Reads a command line.
fn read(words: &[OsString]) -> Result<Cli, clap::Error> {
    let cli = Cli::try_parse_from(words)?;
    match cli.command {
        Some(Chosen::Comfyui(_)) => Cli::try_parse_from(comfyui::with_flags_in_front(words)),
        _ => Ok(cli),
    }
}

/// Adds the commands that the user may have meant to an error about an unknown command.
fn with_what_was_meant(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let meant = meant_by(name, error.get(ContextKind::SuggestedSubcommand).is_some());
    if !meant.is_empty() {
        let tips = meant.iter().map(|words| StyledStr::from(format!("`preheat {words}` is there")));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips.collect()));
    }
    error
}

/// The commands that `name` may mean: subcommands with this name, and commands for which other
/// programs use it. If there are none and clap suggests nothing, commands with a similar name.
fn meant_by(name: &str, is_suggested: bool) -> Vec<String> {
    let mut all = Vec::new();
    collect(&Cli::command(), "", &mut all);
    let mut meant: Vec<String> = all
        .iter()
        .filter(|words| words.split(' ').next_back() == Some(name) && words.contains(' '))
        .cloned()
        .collect();
    let others = OTHER_NAMES.iter().filter(|(other, _)| *other == name);
    meant.extend(others.map(|(_, words)| (*words).to_owned()));
    if meant.is_empty() && !is_suggested {
        let is_near =
            |words: &&String| words.split(' ').next_back().is_some_and(|own| near(own, name));
        meant.extend(all.iter().filter(is_near).cloned());
    }
    meant
}

/// Adds the words of each command below `command`: `cache`, `cache stats`, ...
fn collect(command: &Command, above: &str, all: &mut Vec<String>) {
    for own in command.get_subcommands() {
        let words = format!("{above}{}", own.get_name());
        collect(own, &format!("{words} "), all);
        all.push(words);
    }
}

/// Whether one letter was added, left out or replaced, or two neighbours changed places.
fn near(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let begin = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[begin..], &other[begin..]);
    let end = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[..one.len() - end], &other[..other.len() - end]);
    match (one, other) {
        ([], [_]) | ([_], [] | [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &str) -> String {
        let words = std::iter::once("preheat").chain(words.split(' '));
        with_what_was_meant(Cli::try_parse_from(words).unwrap_err()).to_string()
    }

    #[test]
    fn a_command_that_stands_below_another_is_pointed_to() {
        for (words, meant) in [
            ("stats", "`preheat cache stats` is there"),
            ("--json stats", "`preheat cache stats` is there"),
            ("stat", "`preheat cache stats` is there"),
            ("prune", "`preheat cache prune` is there"),
            ("install xla-cpu", "`preheat plugins install` is there"),
            ("tune", "`preheat devices tune` is there"),
            ("cache install", "`preheat plugins install` is there"),
            ("ls", "`preheat cache list` is there"),
            ("version", "`preheat --version` is there"),
        ] {
            let said = told(words);
            assert!(said.contains(meant), "{words}: {said}");
        }
        let lists = told("list");
        assert!(lists.contains("`preheat cache list`"), "{lists}");
        assert!(lists.contains("`preheat plugins list`"), "{lists}");
        let compile = told("compile");
        assert!(compile.contains("`preheat program compile`"), "{compile}");
        assert!(compile.contains("`preheat warmup`"), "{compile}");
    }

    #[test]
    fn what_is_like_nothing_points_to_nothing_and_other_errors_stay_as_they_are() {
        assert!(!told("frobnicate").contains("is there"), "{}", told("frobnicate"));
        assert!(told("wamrup").contains("'warmup'"));
        assert!(told("run --frobnicate").contains("--frobnicate"));
    }

    #[test]
    fn other_names_lead_to_commands_that_are_there() {
        let mut all = vec!["--version".to_owned()];
        collect(&Cli::command(), "", &mut all);
        for (name, words) in OTHER_NAMES {
            assert!(all.iter().any(|known| known == words), "{words}");
            assert!(!all.iter().any(|known| known == name), "{name} is a command");
        }
    }

    #[test]
    fn one_slip_of_the_finger_is_near() {
        for (one, other) in
            [("stats", "stat"), ("stat", "stats"), ("prune", "prnue"), ("list", "lisp")]
        {
            assert!(near(one, other), "{one} {other}");
        }
        for (one, other) in [("stats", "stats"), ("list", "ls"), ("pin", "unpin"), ("", "ab")] {
            assert!(!near(one, other), "{one} {other}");
        }
    }
}
