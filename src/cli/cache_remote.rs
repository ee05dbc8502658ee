//! How are entries brought to remotes, and from them? This module has `preheat cache push|pull`.
//! Neither opens a device.

use clap::Args;
use indicatif::HumanBytes;
use preheat_cache::GraphRecord;
use serde_json::json;

use super::cache::{FilterArgs, open};
use super::context::Context;
use super::output::{document, line, objects};
use super::{CliError, Status};
use preheat_runtime::RemoteExchange;

#[derive(Debug, Args)]
pub(super) struct PushArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Only the graph with this key, or with the only key that begins with these digits; may be
    /// given several times
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
}

pub(super) fn push(context: &Context, args: &PushArgs) -> Result<Status, CliError> {
    let writable = context.args.remotes()?.iter().any(preheat_remote::RemoteAddress::is_writable);
    if !writable {
        return Err(CliError::Usage(
            "no remote may be written: --cache-remote names one; a web server needs `?mode=rw` in \
             its URL"
                .to_owned(),
        ));
    }
    let cache = open(context)?;
    let wanted = args.filter.with_keys(&cache, &args.key)?;
    shown(context, "pushed", &cache.push(wanted, || !context.cancel.is_cancelled())?)
}

pub(super) fn pull(context: &Context, filter: &FilterArgs) -> Result<Status, CliError> {
    if context.args.remotes()?.is_empty() {
        return Err(CliError::Usage("no remote is named: --cache-remote names one".to_owned()));
    }
    // A pull may create the cache, so a missing folder is no error here.
    let cache = context.builder()?.open_cache()?;
    let wanted = |record: &GraphRecord| filter.takes(record);
    shown(context, "pulled", &cache.pull(wanted, || !context.cancel.is_cancelled())?)
}

fn shown(context: &Context, did: &str, all: &[RemoteExchange]) -> Result<Status, CliError> {
    if context.cancel.is_cancelled() {
        return Err(CliError::Interrupted);
    }
    if context.json {
        document(&json!({ "remotes": all }))?;
    } else {
        for one in all {
            for refused in &one.refused {
                let key = refused.graph_key.get(..12).unwrap_or_default();
                line(&format!("refused: {key}: {}", refused.reason))?;
            }
            line(&format!(
                "{}: {} {did}, {}; {} were there",
                one.remote,
                objects(one.objects),
                HumanBytes(one.object_bytes),
                one.were_there
            ))?;
            if let Some(failed) = &one.failed {
                line(&format!("{}: ended early: {failed}", one.remote))?;
            }
        }
    }
    let whole = all.iter().all(RemoteExchange::is_whole);
    Ok(if whole { Status::Done } else { Status::Failed })
}
