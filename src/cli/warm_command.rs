//! Which command warms what a `run` or a `lookup` did not find?
//!
//! It is `warmup` with all flags of the command that failed that `warmup` has, too. A flag that is
//! added to both commands is taken over without a change here.

use std::ffi::{OsStr, OsString};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::exec::quoted;

/// Flags that say how the failed command runs, and not what it needs.
const LEFT_OUT: [&str; 4] = ["require_warm", "force_recompile", "json", "verbose"];

/// What a command needs that its flags do not say in the words of `warmup`.
#[derive(Debug, Clone, Default)]
pub(super) struct Needs {
    /// How many chunks of tokens the prompts fill; 0 if that is not known.
    pub(super) prompt_chunks: u64,
    /// The sizes in pixels, `[width, height]`, of one or two passes; none if only the flags say
    /// them.
    pub(super) sizes: Vec<[u64; 2]>,
    /// Whether the request begins with a picture.
    pub(super) image_to_image: bool,
}

/// The command that warms what the command of this process needs; `None` if the flags do not tell
/// what that is, as with a request file. `command_line` describes all commands.
pub(super) fn of_this_process(command_line: Command, needs: &Needs) -> Option<String> {
    of(command_line, std::env::args_os(), needs)
}

fn of(
    mut cli: Command,
    words: impl IntoIterator<Item = OsString>,
    needs: &Needs,
) -> Option<String> {
    // This passes the global flags on to each command.
    cli.build();
    let warmup = cli.find_subcommand("warmup")?.clone();
    let matches = cli.try_get_matches_from(words).ok()?;
    let (name, matches) = matches.subcommand()?;
    let has = |id: &str| is_given(matches, id);
    if !["run", "lookup"].contains(&name) || has("request") {
        return None;
    }
    // A size that a flag gives is that of the first pass alone.
    let sizes_by_flags = needs.sizes.len() < 2;
    let mut text = vec!["preheat".to_owned(), "warmup".to_owned()];
    for arg in warmup.get_arguments() {
        let id = arg.get_id().as_str();
        // `lookup --target` asks about another machine, for which `warmup --aot` compiles.
        let given = if id == "aot" && name == "lookup" { "target" } else { id };
        let is_size = ["width", "height"].contains(&id);
        if !LEFT_OUT.contains(&id) && has(given) && (sizes_by_flags || !is_size) {
            push(&mut text, arg, matches, given);
        }
    }
    match needs.sizes[..] {
        // A run that begins with a picture has the picture's size.
        [[width, height]] if needs.image_to_image && !has("width") => {
            text.push(format!("--width {width} --height {height}"));
        }
        [[width, height], [larger_width, larger_height]] => {
            text.push(format!("--resolutions {width}x{height},{larger_width}x{larger_height}"));
        }
        _ => {}
    }
    if needs.image_to_image && !has("image_to_image") {
        text.push("--image-to-image".to_owned());
    }
    if needs.prompt_chunks > 1 && !has("prompt_chunks") {
        text.push(format!("--prompt-chunks {}", needs.prompt_chunks));
    }
    Some(text.join(" "))
}

/// Whether a flag is on the command line. Variables of the environment act on both commands, and
/// are not repeated.
fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches.try_contains_id(id).is_ok_and(|there| there)
        && matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// Adds a flag with its values.
fn push(command: &mut Vec<String>, arg: &Arg, matches: &ArgMatches, given: &str) {
    let Some(long) = arg.get_long() else { return };
    let Ok(Some(values)) = matches.try_get_raw(given) else { return };
    if !arg.get_action().takes_values() {
        command.push(format!("--{long}"));
        return;
    }
    for value in values.map(OsStr::to_string_lossy) {
        let value = if is_plain(&value) { value.into_owned() } else { quoted(&value) };
        if arg.is_require_equals_set() {
            command.push(format!("--{long}={value}"));
        } else {
            command.extend([format!("--{long}"), value]);
        }
    }
}

/// Whether a shell takes a word as it is.
fn is_plain(word: &str) -> bool {
    let is_safe = |one: char| one.is_ascii_alphanumeric() || "_-+=:,./@%".contains(one);
    !word.is_empty() && word.chars().all(is_safe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn command(words: &str, prompt_chunks: u64) -> Option<String> {
        needing(words, &Needs { prompt_chunks, ..Needs::default() })
    }

    fn needing(words: &str, needs: &Needs) -> Option<String> {
        of(Cli::command(), words.split_whitespace().map(OsString::from), needs)
    }

    #[test]
    fn the_flags_that_matter_are_taken_over() {
        let run = "preheat --device xla-cpu run --require-warm --model a'b --width 64 --height 128 \
                   --cfg-scale 1 --prompt seven --seed 3 --output x.png --steps 4";
        assert_eq!(
            command(run, 1).unwrap(),
            r"preheat warmup --model 'a'\''b' --width 64 --height 128 --cfg-scale 1 --steps 4 --device xla-cpu"
        );
        assert!(command(run, 2).unwrap().ends_with(" --prompt-chunks 2"));
        let lookup = "preheat lookup --model m --target tpu:v5e:1x1 --batch 2";
        assert_eq!(
            command(lookup, 1).unwrap(),
            "preheat warmup --aot tpu:v5e:1x1 --model m --batch 2"
        );
    }

    #[test]
    fn two_passes_need_both_sizes_and_a_picture_its_own_stages() {
        let run = "preheat run --model m --width 64 --height 32 --prompt p --upscale-latents 2";
        let sizes = vec![[64, 32], [128, 64]];
        assert_eq!(
            needing(run, &Needs { sizes, ..Needs::default() }).unwrap(),
            "preheat warmup --model m --resolutions 64x32,128x64"
        );
        let run = "preheat run --model m --prompt p --image a.png --strength 0.5";
        let needs = Needs { sizes: vec![[64, 32]], image_to_image: true, ..Needs::default() };
        assert_eq!(
            needing(run, &needs).unwrap(),
            "preheat warmup --model m --width 64 --height 32 --image-to-image"
        );
    }

    #[test]
    fn a_request_file_or_another_command_gives_none() {
        assert_eq!(command("preheat run --request r.json --output x.png", 1), None);
        assert_eq!(command("preheat cache stats", 1), None);
        assert_eq!(command("preheat no-such-command", 1), None);
    }
}
