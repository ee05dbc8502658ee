//! Is anything in the cache damaged or gone? `preheat cache verify` answers, and with `--repair`
//! repairs what can be repaired. It opens a device only to compile lost executables again.

use std::collections::BTreeSet;

use indicatif::HumanBytes;
use preheat_cache::{Finding, FindingKind, GraphKey, GraphRecord, VerifyReport};
use serde_json::json;

use super::cache::open;
use super::context::Context;
use super::errors::with_causes;
use super::output::{document, line};
use super::{CliError, Status};
use preheat_runtime::{Cache, Remade, target_of};

pub(super) fn verify(context: &Context, repair: bool) -> Result<Status, CliError> {
    let cache = open(context)?;
    let verified = cache.verify(repair, |verifying| {
        context.shown.count("checking", verifying.checked, verifying.objects);
        !context.cancel.is_cancelled()
    })?;
    context.shown.finish();
    if verified.cancelled {
        return Err(CliError::Interrupted);
    }
    let lost = cache.without_executable()?;
    let (remade, gone) = if repair {
        remake(context, lost)?
    } else {
        (Vec::new(), lost.into_iter().map(Gone::new).collect())
    };
    let nothing_left = nothing_left(&cache, &verified, &gone);
    let damaged = verified.is_damaged();
    if context.json {
        let key = |record: &GraphRecord| json!({ "graph_key": record.graph_key, "stage": record.stage, "target": target_of(record) });
        let gone_as_json = |one: &Gone| {
            let mut json = key(&one.record);
            json["reason"] = one.reason.clone().into();
            json
        };
        document(&json!({
            "objects": verified.objects, "object_bytes": verified.object_bytes, "records": verified.records,
            "damaged": damaged, "findings": verified.findings.iter().map(as_json).collect::<Vec<_>>(),
            "remade": remade.iter().map(key).collect::<Vec<_>>(),
            "gone": gone.iter().map(gone_as_json).collect::<Vec<_>>(),
        }))?;
    } else {
        print_findings(&verified)?;
        remade.iter().try_for_each(|record| line(&format!("compiled again: {}", named(record))))?;
        gone.iter().try_for_each(|one| line(&one.to_string()))?;
        let lost = "nothing of it is left; the request that needs it compiles it anew";
        nothing_left
            .iter()
            .try_for_each(|key| line(&format!("gone: graph {}: {lost}", key.short())))?;
        print_verdict(&verified, repair, gone.len() + nothing_left.len())?;
    }
    let whole = !damaged && gone.is_empty() && nothing_left.is_empty();
    Ok(if whole { Status::Done } else { Status::Damage })
}

/// A graph whose executable is gone.
struct Gone {
    record: GraphRecord,
    /// Why it could not be compiled again, if that was tried.
    reason: Option<String>,
}

impl Gone {
    fn new(record: GraphRecord) -> Self {
        Self { record, reason: None }
    }
}

impl std::fmt::Display for Gone {
    /// Says which executable is gone, why, and how to warm it again.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "gone: the executable of {}", named(&self.record))?;
        if let Some(reason) = &self.reason {
            write!(f, ", which cannot be compiled again here: {reason}")?;
        }
        let (device, key) = (&self.record.device, self.record.graph_key.short());
        let model = self
            .record
            .signatures
            .last()
            .map(|one| one.signature.model_id.escape_debug().to_string());
        let model = model.unwrap_or_default();
        let repair = if self.reason.is_some() {
            "where that device is"
        } else {
            "or all that are gone at once"
        };
        write!(
            f,
            "; `preheat --device {device} program run --key {key}`, or a warmup of {model:?}, warms it again, and \
             `preheat cache verify --repair` does {repair}"
        )
    }
}

/// A graph as text: its key, its stage, its model and its target.
fn named(record: &GraphRecord) -> String {
    let model = record.signatures.last().map_or("", |one| one.signature.model_id.as_str());
    let (key, stage) = (record.graph_key.short(), record.stage.escape_debug());
    format!("graph {key} ({stage} of {}, for {})", model.escape_debug(), target_of(record))
}

/// Compiles lost executables again if that is possible. Returns the records of the compiled ones,
/// and the graphs without an executable.
fn remake(
    context: &Context,
    lost: Vec<GraphRecord>,
) -> Result<(Vec<GraphRecord>, Vec<Gone>), CliError> {
    if lost.is_empty() {
        return Ok(Default::default());
    }
    let (mut remade, mut gone) = (Vec::new(), Vec::new());
    for Remade { record, outcome, .. } in context.builder()?.remake(lost)? {
        match outcome {
            Ok(_) => remade.push(record),
            Err(error) => gone.push(Gone { record, reason: Some(with_causes(error.as_ref())) }),
        }
    }
    context.shown.finish();
    Ok((remade, gone))
}

/// The graphs for which the repair had to remove everything, even the record.
fn nothing_left(cache: &Cache, verified: &VerifyReport, gone: &[Gone]) -> BTreeSet<GraphKey> {
    let took = |kind| matches!(kind, FindingKind::DamagedObject | FindingKind::DamagedProgram);
    let taken = verified
        .findings
        .iter()
        .filter(|one| took(one.kind) && one.repaired)
        .filter_map(|one| one.graph_key);
    let is_known = |key: &GraphKey| gone.iter().any(|one| one.record.graph_key == *key);
    taken.filter(|key| !cache.has_executable(key) && !is_known(key)).collect()
}

/// A finding for `--json`. Bytes of a path that are not Unicode become U+FFFD, because JSON holds
/// only Unicode.
fn as_json(finding: &Finding) -> serde_json::Value {
    json!({
        "kind": finding.kind, "graph_key": finding.graph_key, "path": finding.path.to_string_lossy(),
        "reason": finding.reason, "repaired": finding.repaired,
    })
}

fn print_findings(verified: &VerifyReport) -> Result<(), CliError> {
    for finding in &verified.findings {
        let what = match finding.kind {
            FindingKind::DamagedObject => "damaged object",
            FindingKind::StrayFile => "stray file",
            FindingKind::DamagedIndex => "damaged index",
            FindingKind::RecordDiffers => "outdated record",
            FindingKind::DamagedProgram => "damaged program",
            FindingKind::WrongTotals => "wrong totals",
            FindingKind::UnreadableObject => "unreadable object",
            FindingKind::ObjectWithoutRecord => "object without a record",
            FindingKind::RecordWithoutObject => "record without an object",
            FindingKind::LeftOver => "left-over",
        };
        let done = if finding.repaired { " (repaired)" } else { "" };
        line(&format!("{what}: {}: {}{done}", finding.path.display(), finding.reason))?;
    }
    Ok(())
}

fn print_verdict(verified: &VerifyReport, repair: bool, gone: usize) -> Result<(), CliError> {
    let damage = verified.findings.iter().filter(|finding| finding.kind.is_damage()).count();
    let verdict = match (damage, verified.is_damaged(), gone) {
        (0, _, 0) => "nothing is damaged".to_owned(),
        (0, _, gone) => format!("nothing is damaged, and {gone} executables are gone"),
        (count, false, 0) => format!("{count} damaged, all of it repaired"),
        (count, false, gone) => {
            format!("{count} damaged and repaired, and {gone} executables are gone")
        }
        (count, true, _) if repair => format!("{count} damaged"),
        (count, true, _) => {
            format!("{count} damaged: `preheat cache verify --repair` repairs what it can")
        }
    };
    line(&format!(
        "{} objects ({}) and {} records checked: {verdict}",
        verified.objects,
        HumanBytes(verified.object_bytes),
        verified.records
    ))
}
