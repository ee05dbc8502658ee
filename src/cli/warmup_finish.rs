//! How does preheat compile the full executables that tiered commands have not finished? `preheat
//! warmup --finish` completes those of earlier commands, and a tiered warmup completes its own.

use preheat_runtime::{DeviceReport, Finished, Runtime, Upgrade};
use serde::Serialize;

use super::advice::all_advised;
use super::args::WarmupArgs;
use super::context::Context;
use super::output::{document, line, table};
use super::{CliError, Status};

/// What `warmup --finish` prints under `--json`.
#[derive(Debug, Serialize)]
struct FinishReport<'a> {
    device: &'a DeviceReport,
    upgrades: &'a [Upgrade],
    warnings: Vec<String>,
}

pub(super) fn finish(context: &Context, args: &WarmupArgs) -> Result<Status, CliError> {
    let runtime = context.builder_for(args.aot.as_ref())?.build()?;
    let upgrades = runtime.finish_upgrades(args.jobs.map(usize::from))?;
    context.shown.finish();
    if context.json {
        document(&FinishReport {
            device: runtime.device(),
            upgrades: &upgrades,
            warnings: all_advised(&runtime),
        })?;
    } else if upgrades.is_empty() {
        line(&format!("nothing was left behind for {}", runtime.device().selected))?;
    } else {
        print(&upgrades)?;
    }
    let reasons = || upgrades.iter().filter_map(|one| reason(&one.finished));
    match reasons().next() {
        None => Ok(Status::Done),
        Some(first) => Err(CliError::NotUpgraded {
            failed: reasons().count(),
            of: upgrades.len(),
            reason: first.to_owned(),
        }),
    }
}

/// Compiles the full executables for what a warmup compiled at a lower effort, so that they have
/// taken over when the warmup ends. Does nothing unless the runtime is tiered.
pub(super) fn of_tiered(runtime: &Runtime) -> Result<Vec<Upgrade>, CliError> {
    if runtime.waves().len() < 2 {
        return Ok(Vec::new());
    }
    Ok(runtime.finish_upgrades(None)?)
}

/// Stops the full compiles in the background before the process ends, and says so if some were not
/// finished.
pub(super) fn leave_upgrades(context: &Context, runtime: &Runtime) -> Result<(), CliError> {
    let left = runtime.stop_upgrades();
    if left == 0 || context.json {
        return Ok(());
    }
    line(&format!(
        "{left} stage{} ran at a lower compile effort, and the next run goes on compiling the full \
         one; `preheat warmup --finish` does that now",
        if left == 1 { "" } else { "s" }
    ))
}

/// Prints one row for each upgrade.
pub(super) fn print(upgrades: &[Upgrade]) -> Result<(), CliError> {
    if upgrades.is_empty() {
        return Ok(());
    }
    let mut rows = table(&["stage", "graph of the lower effort", "the full one"]);
    for one in upgrades {
        let how = match &one.finished {
            Finished::TookOver => "has taken over".to_owned(),
            Finished::Compiled => "is compiled".to_owned(),
            Finished::Refused(reason) => format!("cannot be used: {reason}"),
            Finished::Stopped => "was not completed".to_owned(),
        };
        rows.add_row([one.stage.clone(), one.graph_key.short(), how]);
    }
    rows.print()
}

fn reason(finished: &Finished) -> Option<&str> {
    match finished {
        Finished::Refused(reason) => Some(reason),
        Finished::TookOver | Finished::Compiled | Finished::Stopped => None,
    }
}
