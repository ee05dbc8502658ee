//! What does a shell need to complete this command line, and what does `man` need to show it?

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

use super::output::{self, line};
use super::{CliError, Status};

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// A folder for the pages of all commands, such as ~/.local/share/man/man1, in place of
    /// printing the main page
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Prints the script that completes this command line in a shell.
pub(super) fn completions(
    mut command: Command,
    args: &CompletionsArgs,
) -> Result<Status, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "preheat", &mut script);
    print(&script)
}

/// Prints the main page, or writes the page of every command into a folder.
pub(super) fn man(command: Command, args: &ManArgs) -> Result<Status, CliError> {
    let Some(folder) = &args.output else {
        return print(&page(command)?);
    };
    let failed =
        |doing: &'static str| move |cause| CliError::File { doing, path: folder.clone(), cause };
    std::fs::create_dir_all(folder).map_err(failed("creating"))?;
    clap_mangen::generate_to(command, folder).map_err(failed("writing to"))?;
    line(&format!("the pages of all commands are in {}", folder.display()))?;
    Ok(Status::Done)
}

/// Writes the text to standard output unchanged. It needs no escaping, because this program made
/// it.
fn print(text: &[u8]) -> Result<Status, CliError> {
    match output::write(Path::new("-"), text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(Status::Done),
    }
}

fn page(command: Command) -> Result<Vec<u8>, CliError> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text).map_err(CliError::Output)?;
    Ok(text)
}
