//! How is the cache kept small, and how is it moved to another machine? This module has
//! `preheat cache info|prune|pin|unpin|export|import`. None of them opens a device.

use std::collections::BTreeSet;
use std::io::{BufReader, BufWriter, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::HumanBytes;
use preheat_cache::{Digest, EXPORT_START, GraphRecord, PruneReason};
use preheat_io::input;
use preheat_io::result_file::Existing;
use serde_json::json;

use super::cache::{FilterArgs, before, find, open};
use super::context::Context;
use super::output::{self, Destination, document, entries, line, objects, seconds, table};
use super::size::{Age, Size};
use super::{CliError, Status};
use preheat_runtime::{PruneRule, target_of};

#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Keep at most this many bytes, such as 5GiB; the graphs that are worth least are removed
    #[arg(long, value_name = "SIZE")]
    max_size: Option<Size>,
    /// Remove graphs that were not used for this long, such as 12h, 30d or 8w
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
    /// Remove graphs whose plugin build is installed in none of the places that `preheat plugins
    /// list` searches
    #[arg(long)]
    stale: bool,
    /// Only show what would be removed
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct PinArgs {
    /// The graph key, or the beginning of it
    key: Option<String>,
    /// The digest of a request's signature, as `cache list --json` shows it, or the beginning of
    /// the digest: acts on every graph of the request, including those that are compiled later
    #[arg(long, value_name = "DIGEST")]
    signature: Option<String>,
}

pub(super) fn info(context: &Context) -> Result<Status, CliError> {
    let info = open(context)?.info()?;
    if context.json {
        document(&info)?;
        return Ok(Status::Done);
    }
    let exists = if info.exists { "" } else { " (made when something is stored)" };
    let rows = [
        ("folder", format!("{}{exists}", info.dir.display())),
        (
            "objects",
            format!(
                "{} in {}, of {} at most",
                HumanBytes(info.object_bytes),
                info.objects,
                HumanBytes(info.max_bytes)
            ),
        ),
        ("index", HumanBytes(info.index_bytes).to_string()),
        ("quarantine", HumanBytes(info.quarantine_bytes).to_string()),
        ("being written", HumanBytes(info.temporary_bytes).to_string()),
        ("read-only", if info.read_only { "yes" } else { "no" }.to_owned()),
    ];
    for (name, value) in rows {
        line(&format!("{name:<22} {value}"))?;
    }
    info.fallbacks
        .iter()
        .try_for_each(|dir| line(&format!("{:<22} {}", "fallback", dir.display())))
        .map(|()| Status::Done)
}

pub(super) fn prune(context: &Context, args: &PruneArgs) -> Result<Status, CliError> {
    if args.max_size.is_none() && args.older_than.is_none() && !args.stale {
        return Err(CliError::Usage(
            "nothing says what to prune: give --max-size, --older-than or --stale".to_owned(),
        ));
    }
    let rule = PruneRule {
        max_bytes: args.max_size.map(Size::bytes),
        used_before: args.older_than.map(before),
        stale: args.stale,
        dry_run: args.dry_run,
    };
    let pruned = open(context)?.prune(rule)?;
    if context.json {
        document(&json!({
            "dry_run": args.dry_run, "removed": pruned.entries.len(), "stored_bytes": pruned.stored_bytes,
            "in_use": pruned.in_use, "entries": pruned.entries,
        }))?;
        return Ok(Status::Done);
    }
    if !pruned.entries.is_empty() {
        let mut rows = table(&["graph", "stage", "on disk", "compile", "because"]);
        for one in &pruned.entries {
            let reason = match one.reason {
                PruneReason::Stale => "its plugin is not installed",
                PruneReason::Age => "not used for long",
                PruneReason::Size => "worth least",
            };
            let key = one.graph_key.short();
            let bytes = HumanBytes(one.stored_bytes).to_string();
            rows.add_row([
                key,
                one.stage.clone(),
                bytes,
                seconds(one.compile_seconds),
                reason.to_owned(),
            ]);
        }
        rows.print()?;
    }
    let removed = if args.dry_run { "would remove" } else { "removed" };
    let stays =
        if pruned.in_use > 0 { format!("; {} in use stay", pruned.in_use) } else { String::new() };
    line(&format!(
        "{removed} {}, {}{stays}",
        entries(pruned.entries.len() as u64),
        HumanBytes(pruned.stored_bytes)
    ))?;
    Ok(Status::Done)
}

pub(super) fn pin(context: &Context, args: &PinArgs, pinned: bool) -> Result<Status, CliError> {
    let cache = open(context)?;
    let (what, name, entries) = if let Some(begins) = &args.signature {
        let digest = signature_beginning(&cache.records()?, begins)?;
        ("signature_digest", digest.to_string(), cache.set_signature_pinned(&digest, pinned)?)
    } else {
        let key = find(&cache, args.key.as_deref().unwrap_or_default())?.graph_key;
        ("graph_key", key.to_string(), u64::from(cache.set_pinned(&key, pinned)?))
    };
    if context.json {
        document(&json!({ what: name, "pinned": pinned, "entries": entries }))?;
    } else {
        line(&format!(
            "{} is {}: {}",
            &name[..12],
            if pinned { "pinned" } else { "no longer pinned" },
            self::entries(entries)
        ))?;
    }
    Ok(Status::Done)
}

/// The digest of the one recorded signature that begins with these digits. A whole digest is
/// accepted even if no such signature was recorded.
fn signature_beginning(records: &[GraphRecord], begins: &str) -> Result<Digest, CliError> {
    if let Ok(whole) = begins.parse() {
        return Ok(whole);
    }
    let begins = begins.to_ascii_lowercase();
    let all =
        records.iter().flat_map(|record| &record.signatures).map(|one| one.signature.digest());
    let matching: std::collections::BTreeSet<Digest> =
        all.filter(|digest| digest.to_string().starts_with(&begins)).collect();
    match (matching.len(), matching.first()) {
        (1, Some(digest)) => Ok(*digest),
        (0, _) => Err(CliError::Declined(format!(
            "no signature's digest begins with `{begins}`: `preheat --json cache list` has them"
        ))),
        (count, _) => Err(CliError::Declined(format!(
            "{count} signatures' digests begin with `{begins}`: give more of it"
        ))),
    }
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The file to write; - is standard output
    pub(super) file: PathBuf,
    /// Replace the file if it already exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    filter: FilterArgs,
    /// Only the graph with this key, or with the only key that begins with these digits; may be
    /// given several times
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
}

pub(super) fn export(context: &Context, args: &ExportArgs) -> Result<Status, CliError> {
    let file = args.file.as_path();
    let failed = |cause: std::io::Error| match cause.kind() {
        ErrorKind::AlreadyExists => CliError::Declined(format!(
            "{} is there already, and an export replaces no file: name another file, or give --force",
            file.display()
        )),
        _ => CliError::File { doing: "writing", path: file.to_owned(), cause },
    };
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    output::check(file, existing).map_err(failed)?;
    let cache = open(context)?;
    let wanted = args.filter.with_keys(&cache, &args.key)?;
    let mut to = Counted {
        to: BufWriter::new(Destination::create(file, existing).map_err(failed)?),
        bytes: 0,
    };
    let exported = cache.export(&mut to, wanted, |_| !context.cancel.is_cancelled())?;
    let Counted { to, bytes } = to;
    let whole = to.into_inner().map_err(|error| failed(error.into_error()))?;
    if context.cancel.is_cancelled() {
        return Err(CliError::Interrupted);
    }
    if exported.objects == 0 && exported.left_out.is_empty() {
        let targets: BTreeSet<String> = cache.records()?.iter().map(target_of).collect();
        let held = if targets.is_empty() {
            "it is empty".to_owned()
        } else {
            format!("it holds graphs for {}", targets.into_iter().collect::<Vec<_>>().join(", "))
        };
        return Err(CliError::Declined(format!(
            "no graph in the cache is one of those to be exported: {held}"
        )));
    }
    whole.finish().map_err(failed)?;
    if context.json {
        document(&json!({
            "file": file.display().to_string(), "file_bytes": bytes, "objects": exported.objects,
            "object_bytes": exported.object_bytes, "left_out": exported.left_out,
        }))?;
    } else {
        exported
            .left_out
            .iter()
            .try_for_each(|one| line(&format!("left out: {}: {}", one.name, one.reason)))?;
        line(&format!(
            "{} in {}, {}",
            objects(exported.objects),
            file.display(),
            HumanBytes(bytes)
        ))?;
    }
    Ok(if exported.left_out.is_empty() { Status::Done } else { Status::Failed })
}

/// A writer that counts the bytes that pass through it.
struct Counted<W> {
    to: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

pub(super) fn import(context: &Context, file: &Path, trust: bool) -> Result<Status, CliError> {
    // An import may create the cache, so a missing folder is no error here.
    let cache = context.builder()?.open_cache()?;
    let failed = |cause| CliError::File { doing: "reading", path: file.to_owned(), cause };
    let from = input::open(file).map_err(failed)?;
    // A file that is not an export is refused before the user is asked to trust it.
    let mut start = Vec::new();
    (&from).take(EXPORT_START.len() as u64).read_to_end(&mut start).map_err(failed)?;
    if !start.is_empty() && start != EXPORT_START {
        let why = "it is not a file that `preheat cache export` wrote";
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidData, why)));
    }
    let from = start.as_slice().chain(from);
    if !trust {
        return Err(CliError::Usage(format!(
            "nothing was imported: {} brings machine code that preheat will run as you, and nothing in it proves who made it. \
             Add --trust if you trust whoever made the file and everybody who could have changed it since",
            file.display()
        )));
    }
    let imported = cache.import(BufReader::new(from), |_| !context.cancel.is_cancelled())?;
    if context.cancel.is_cancelled() {
        return Err(CliError::Interrupted);
    }
    if context.json {
        document(&imported)?;
    } else {
        let lists = [
            ("refused", &imported.refused, imported.refused_more),
            ("left out", &imported.left_out, imported.left_out_more),
        ];
        for (what, named, more) in lists {
            named
                .iter()
                .try_for_each(|one| line(&format!("{what}: {}: {}", one.name, one.reason)))?;
            if more > 0 {
                line(&format!("{what}: {more} more"))?;
            }
        }
        let (added, kept) = (imported.added, imported.kept);
        line(&format!(
            "{} added, {}; {kept} were here",
            objects(added),
            HumanBytes(imported.added_bytes)
        ))?;
    }
    Ok(if imported.is_whole() { Status::Done } else { Status::Failed })
}
