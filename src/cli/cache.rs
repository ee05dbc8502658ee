//! What does the cache hold? This module has `preheat cache list|show|clear|zero-stats`. None
//! of them opens a device.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use indicatif::HumanBytes;
use preheat_cache::GraphRecord;
use preheat_io::printable::printable;
use serde::Serialize;

use super::context::Context;
use super::output::{document, entries, line, seconds, table};
use super::size::Age;
use super::{CliError, Status};
use preheat_runtime::{Cache, CompileEffort, target_of};

/// One line of `cache list`.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    graph_key: String,
    stage: &'a str,
    model_id: Option<&'a str>,
    signature_digests: Vec<String>,
    target: String,
    dtype: Option<String>,
    effort: CompileEffort,
    stored_bytes: u64,
    compile_seconds: f64,
    created: String,
    last_used: Option<String>,
    hits: u64,
    pinned: bool,
}

impl<'a> Listed<'a> {
    fn of(record: &'a GraphRecord) -> Self {
        let latest = record.signatures.last().map(|recorded| &recorded.signature);
        Self {
            graph_key: record.graph_key.to_string(),
            stage: &record.stage,
            model_id: latest.map(|signature| signature.model_id.as_str()),
            signature_digests: record
                .signatures
                .iter()
                .map(|one| one.signature.digest().to_string())
                .collect(),
            target: target_of(record),
            dtype: latest.map(|signature| signature.dtype.to_string()),
            effort: CompileEffort::of_record(record),
            stored_bytes: record.object.as_ref().map_or(0, |object| object.stored_bytes),
            compile_seconds: record.measurements.compile_seconds,
            created: record.created.to_string(),
            last_used: record.statistics.last_used.map(|time| time.to_string()),
            hits: record.statistics.hits,
            pinned: record.pinned,
        }
    }
}

/// The entries that a command acts on.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct FilterArgs {
    /// Only entries of this model
    #[arg(long, value_name = "ID")]
    pub(super) model: Option<String>,
    /// Only entries of this stage
    #[arg(long, value_name = "NAME")]
    pub(super) stage: Option<String>,
    /// Only entries for this target, as `cache list` names it, or its first parts, such as `tpu`
    #[arg(long, value_name = "TARGET")]
    pub(super) target: Option<String>,
    /// Only entries that were not used for this long, such as 12h, 30d or 8w
    #[arg(long, value_name = "AGE")]
    pub(super) older_than: Option<Age>,
}

impl FilterArgs {
    /// A function that tells whether a record is taken. With keys, or beginnings of keys, only the
    /// graphs that they name are taken.
    pub(super) fn with_keys(
        &self,
        cache: &Cache,
        keys: &[String],
    ) -> Result<impl Fn(&GraphRecord) -> bool, CliError> {
        let keys = keys
            .iter()
            .map(|key| Ok(find(cache, key)?.graph_key))
            .collect::<Result<Vec<_>, CliError>>()?;
        Ok(move |record: &GraphRecord| {
            self.takes(record) && (keys.is_empty() || keys.contains(&record.graph_key))
        })
    }

    pub(super) fn takes(&self, record: &GraphRecord) -> bool {
        let target = target_of(record);
        let of_target =
            |wanted: &String| target == *wanted || target.starts_with(&format!("{wanted}:"));
        self.model.as_ref().is_none_or(|model| {
            record.signatures.iter().any(|one| one.signature.model_id == *model)
        }) && self.stage.as_ref().is_none_or(|stage| record.stage == *stage)
            && self.target.as_ref().is_none_or(of_target)
            && self.older_than.is_none_or(|age| last_used(record) < before(age))
    }
}

fn last_used(record: &GraphRecord) -> jiff::Timestamp {
    record.statistics.last_used.unwrap_or(record.created).max(record.created)
}

/// The moment that was `age` ago.
pub(super) fn before(age: Age) -> jiff::Timestamp {
    jiff::Timestamp::now().checked_sub(age.0).unwrap_or(jiff::Timestamp::MIN)
}

pub(super) fn list(context: &Context, filter: &FilterArgs) -> Result<Status, CliError> {
    let all = open(context)?.records()?;
    let (count, mut records) = (all.len(), all);
    records.retain(|record| filter.takes(record));
    records.sort_by_key(|record| {
        std::cmp::Reverse(record.statistics.last_used.max(Some(record.created)))
    });
    let listed: Vec<_> = records.iter().map(Listed::of).collect();
    if context.json {
        document(&listed)?;
        return Ok(Status::Done);
    }
    if listed.is_empty() {
        line(if count == 0 { "the cache is empty" } else { "no graph in the cache matches" })?;
        return Ok(Status::Done);
    }
    let mut rows =
        table(&["graph", "model", "stage", "target", "on disk", "compile", "hits", "last used"]);
    for one in &listed {
        rows.add_row([
            one.graph_key[..12].to_owned(),
            one.model_id.unwrap_or_default().to_owned(),
            with_effort(one.stage, Some(one.effort)),
            one.target.clone(),
            HumanBytes(one.stored_bytes).to_string(),
            seconds(one.compile_seconds),
            one.hits.to_string(),
            one.last_used
                .as_deref()
                .unwrap_or(&one.created)
                .get(..19)
                .unwrap_or_default()
                .replace('T', " "),
        ]);
    }
    rows.print()?;
    Ok(Status::Done)
}

/// A stage as tables show it: with its compile effort, unless that is `full`.
pub(super) fn with_effort(stage: &str, effort: Option<CompileEffort>) -> String {
    match effort {
        None | Some(CompileEffort::Full) => stage.to_owned(),
        Some(effort) => format!("{stage} ({effort})"),
    }
}

pub(super) fn show(context: &Context, key: &str, program: bool) -> Result<Status, CliError> {
    let cache = open(context)?;
    let record = find(&cache, key)?;
    if program {
        let missing = || {
            CliError::Declined(format!("the program of graph {} is gone", record.graph_key.short()))
        };
        let program = cache.program(&record.graph_key)?.ok_or_else(missing)?;
        if context.json {
            // JSON cannot carry bytecode: bytes that are not UTF-8 text are replaced. `--program`
            // without `--json` gives the bytes as they are.
            let text = String::from_utf8_lossy(program.bytes());
            document(
                &serde_json::json!({"graph_key": record.graph_key, "format": program.format(), "program": text}),
            )?;
            return Ok(Status::Done);
        }
        let mut out = std::io::stdout().lock();
        if out.is_terminal() {
            drop(out);
            String::from_utf8_lossy(program.bytes()).lines().try_for_each(line)?;
            return Ok(Status::Done);
        }
        return match out.write_all(program.bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(CliError::Output(error))
            }
            _ => Ok(Status::Done),
        };
    }
    if context.json {
        document(&record)?;
    } else {
        print_record(&record)?;
    }
    Ok(Status::Done)
}

/// The record whose key begins with `key`.
pub(super) fn find(cache: &Cache, key: &str) -> Result<GraphRecord, CliError> {
    /// The most keys that are counted: enough for a message that says how many there are.
    const COUNTED: usize = 100;
    let mut matching = cache.records_beginning(key, COUNTED)?;
    match (matching.len(), matching.pop()) {
        (1, Some(record)) => Ok(record),
        (0, _) => Err(CliError::Declined(format!(
            "no graph key begins with `{key}`: `preheat cache list` lists them"
        ))),
        (count, _) => Err(CliError::Declined(format!(
            "{count} graph keys begin with `{key}`: give more of it"
        ))),
    }
}

fn print_record(record: &GraphRecord) -> Result<(), CliError> {
    let env = &record.environment;
    let mut rows = vec![
        ("graph key".to_owned(), record.graph_key.to_string()),
        ("stage".to_owned(), record.stage.clone()),
        ("target".to_owned(), target_of(record)),
        ("compile effort".to_owned(), CompileEffort::of_record(record).to_string()),
        (
            "program".to_owned(),
            format!(
                "{}, {}, {}",
                record.program.format,
                HumanBytes(record.program.bytes),
                record.program.digest
            ),
        ),
        ("plugin build".to_owned(), env.plugin_build.clone()),
        // This differs from the plugin build if the executable was kept over an upgrade, or was
        // taken over by hardware that describes itself differently.
        (
            "compiled by".to_owned(),
            record.compiled_by.clone().unwrap_or_else(|| "that build".to_owned()),
        ),
        (
            "platform".to_owned(),
            format!("{} {}", env.platform, env.platform_version.replace('\n', ", ")),
        ),
        ("device kind".to_owned(), env.device_kind.clone()),
        ("topology".to_owned(), env.topology.to_string()),
        ("device assignment".to_owned(), format!("{:?}", env.device_assignment)),
        ("XLA_FLAGS".to_owned(), env.xla_flags.to_string()),
        ("LIBTPU_INIT_ARGS".to_owned(), env.libtpu_init_args.to_string()),
    ];
    if let Some(host) = &env.host {
        rows.push(("schedulable CPUs".to_owned(), host.schedulable_cpus.to_string()));
        rows.push(("host features".to_owned(), host.features.join(" ")));
    }
    rows.push((
        "replicas, partitions".to_owned(),
        format!("{}, {}", record.options.num_replicas, record.options.num_partitions),
    ));
    for (name, value) in &record.options.overrides {
        rows.push((format!("option {name}"), value.to_string()));
    }
    if let Some(interface) = &record.interface {
        // A model has hundreds of weights. The first few identify the program; --json lists all.
        const SHOWN: usize = 12;
        for (name, specs) in [("input", &interface.inputs), ("output", &interface.outputs)] {
            rows.extend(
                specs
                    .iter()
                    .take(SHOWN)
                    .enumerate()
                    .map(|(i, spec)| (format!("{name} {i}"), spec.to_string())),
            );
            if specs.len() > SHOWN {
                rows.push((
                    format!("{name}s"),
                    format!("and {} more, in --json", specs.len() - SHOWN),
                ));
            }
        }
    }
    for recorded in &record.signatures {
        let s = &recorded.signature;
        let text = format!(
            "{} {:?} batch {} cfg {} {}steps {} {} ({})",
            s.model_id,
            s.input_shape,
            s.batch_size,
            s.cfg_scale,
            if s.scheduler.is_empty() { String::new() } else { format!("{} ", s.scheduler) },
            s.steps,
            s.dtype,
            s.digest().short()
        );
        rows.push(("signature".to_owned(), text));
    }
    rows.push(("compile".to_owned(), seconds(record.measurements.compile_seconds)));
    if let Some(load) = record.measurements.load_seconds {
        rows.push(("last load".to_owned(), seconds(load)));
    }
    if let Some(object) = &record.object {
        let text = format!(
            "{} on disk, {} uncompressed, blake3 {}",
            HumanBytes(object.stored_bytes),
            HumanBytes(object.payload_bytes),
            object.payload_digest
        );
        rows.push(("machine code".to_owned(), text));
    }
    rows.push(("created".to_owned(), record.created.to_string()));
    rows.push(("hits".to_owned(), record.statistics.hits.to_string()));
    for (name, value) in rows {
        line(&format!("{name:<22} {value}"))?;
    }
    Ok(())
}

pub(super) fn clear(context: &Context, yes: bool) -> Result<Status, CliError> {
    let cache = open(context)?;
    if !yes {
        let statistics = cache.statistics()?;
        let question = format!(
            "remove {}, {}, from {}? [y/N] ",
            entries(statistics.entries),
            HumanBytes(statistics.stored_bytes),
            cache.dir().display()
        );
        if !std::io::stdin().is_terminal() {
            return Err(CliError::Usage(
                "there is no terminal to ask on: give --yes to clear the cache without asking"
                    .to_owned(),
            ));
        }
        if !ask(&question)? {
            return Err(CliError::Declined("nothing was removed".to_owned()));
        }
    }
    let cleared = cache.clear()?;
    if context.json {
        document(&cleared)?;
    } else {
        line(&format!(
            "removed {}, {}",
            entries(cleared.removed),
            HumanBytes(cleared.stored_bytes)
        ))?;
    }
    Ok(Status::Done)
}

pub(super) fn zero_stats(context: &Context) -> Result<Status, CliError> {
    let cache = open(context)?;
    cache.zero_statistics()?;
    if context.json {
        document(&cache.statistics()?)?;
    } else {
        line("the counters are set to zero")?;
    }
    Ok(Status::Done)
}

/// Opens the cache for a command that reads it and never creates it. If the user named a folder
/// that does not exist, this is an error, because the name is probably misspelt.
pub(super) fn open(context: &Context) -> Result<Cache, CliError> {
    context.refuse_missing_cache()?;
    Ok(context.builder()?.open_cache()?)
}

/// Asks on standard error, so that standard output holds nothing but the result.
fn ask(question: &str) -> Result<bool, CliError> {
    let mut err = std::io::stderr().lock();
    write!(err, "{}", printable(question)).and_then(|()| err.flush()).map_err(CliError::Output)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(CliError::Output)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
