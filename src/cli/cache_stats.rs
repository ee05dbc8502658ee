//! How well does the cache work? `preheat cache stats` shows it to a person, to a program or to
//! Prometheus, once or again and again.

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::HumanBytes;
use preheat_cache::{
    GroupStatistics, Histogram, Hits, Outcomes, RemoteStatistics, RequestStatistics, Statistics,
    WarmingStatistics,
};
use preheat_io::printable::printable;

use super::cache::open;
use super::context::Context;
use super::output::{json_text, seconds, table};
use super::size::Age;
use super::{CliError, Status, number};
use preheat_runtime::prometheus;

/// How often `--watch` checks whether it was interrupted.
const TURN: Duration = Duration::from_millis(50);

#[derive(Debug, Default, Args)]
pub(super) struct StatsArgs {
    /// The form of the statistics [default: table; with --json: json]
    #[arg(long, value_name = "FORMAT")]
    format: Option<StatsFormat>,
    /// Count only events since this time: an age such as 24h or 7d, or a time such as 2026-11-20 or
    /// 2026-11-20T08:00:00Z. If this time is within the last three days, counting begins with the
    /// hour that contains it; otherwise, with the day in UTC that contains it
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    since: Option<Since>,
    /// Show the statistics again every few seconds, until the command is interrupted; JSON has one
    /// document per line
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true,
          default_missing_value = "2", value_parser = number::whole(1..=86_400_u32))]
    watch: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatsFormat {
    /// For a person
    Table,
    /// One JSON document
    Json,
    /// The text format of Prometheus
    Prometheus,
}

/// The time that `--since` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Since(jiff::Timestamp);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = || {
            let day: jiff::civil::Date = text.parse().ok()?;
            format!("{day}T00:00:00Z").parse::<jiff::Timestamp>().ok()
        };
        if let Some(time) = text.parse().ok().or_else(day) {
            return Ok(Self(time));
        }
        let Age(age) = text.parse().map_err(|_| {
            "give an age such as 24h or 7d, or a time such as 2026-11-20 or 2026-11-20T08:00:00Z"
                .to_owned()
        })?;
        let then = jiff::Timestamp::now().checked_sub(age);
        Ok(Self(then.unwrap_or(jiff::Timestamp::UNIX_EPOCH)))
    }
}

pub(super) fn stats(context: &Context, args: &StatsArgs) -> Result<Status, CliError> {
    let format = format(context, args)?;
    let cache = open(context)?;
    let since = args.since.map(|Since(time)| time);
    let show = |again: bool| {
        let statistics = cache.statistics_since(since)?;
        let text = match format {
            StatsFormat::Table => as_table(&statistics),
            StatsFormat::Json if args.watch.is_some() => json_text(&statistics, false)? + "\n",
            StatsFormat::Json => json_text(&statistics, true)? + "\n",
            StatsFormat::Prometheus => prometheus(&statistics),
        };
        shown(&text, again && format == StatsFormat::Table)
    };
    let mut goes_on = show(false)?;
    let Some(every) = args.watch else { return Ok(Status::Done) };
    let mut next = Instant::now();
    while goes_on {
        next += Duration::from_secs(every.into());
        while Instant::now() < next {
            if context.cancel.is_cancelled() {
                return Err(CliError::Interrupted);
            }
            std::thread::sleep(TURN);
        }
        goes_on = show(true)?;
    }
    Ok(Status::Done)
}

fn format(context: &Context, args: &StatsArgs) -> Result<StatsFormat, CliError> {
    let format =
        args.format.unwrap_or(if context.json { StatsFormat::Json } else { StatsFormat::Table });
    if context.json && format != StatsFormat::Json {
        return Err(CliError::Usage(
            "leave out --json or --format: --json asks for --format json".to_owned(),
        ));
    }
    if format == StatsFormat::Prometheus && args.since.is_some() {
        return Err(CliError::Usage(
            "leave out --since: Prometheus computes periods itself, for example with \
             increase(preheat_requests_total[1d])"
                .to_owned(),
        ));
    }
    Ok(format)
}

/// Writes a text to standard output. The text must not have control characters, which could change
/// the terminal. With `in_place`, the text replaces the previous one on a terminal. Returns `false`
/// if the reader has closed the pipe.
fn shown(text: &str, in_place: bool) -> Result<bool, CliError> {
    let mut out = std::io::stdout().lock();
    let clear = if in_place && out.is_terminal() { "\u{1b}[H\u{1b}[2J" } else { "" };
    let written = write!(out, "{clear}{text}").and_then(|()| out.flush());
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CliError::Output(error)),
    }
}

fn as_table(s: &Statistics) -> String {
    let (requests, warming) = (&s.requests, &s.warming);
    let mut rows = vec![
        ("entries", format!("{} for {} signatures", s.entries, s.cached_signatures)),
        (
            "objects",
            format!(
                "{} on disk, {} uncompressed",
                HumanBytes(s.stored_bytes),
                HumanBytes(s.uncompressed_bytes)
            ),
        ),
        ("requests", ended(requests)),
        ("  hit rate", rate(requests.hit_rate)),
        ("  took", quantiles(&requests.request_seconds)),
        ("  stages", hits(&s.stages.hits, s.stages.misses)),
        (
            "  compiles",
            compiles(s.stages.compiles, s.stages.compile_seconds, s.stages.failed_compiles),
        ),
        ("  each compile", quantiles(&requests.stage_compile_seconds)),
        ("  each load", quantiles(&requests.stage_load_seconds)),
        ("  each wait", quantiles(&requests.stage_wait_seconds)),
        ("  compile time saved", seconds(s.stages.compile_seconds_saved)),
    ];
    rows.extend(warmed(warming));
    rows.push(("evicted, quarantined", format!("{}, {}", s.evictions, s.quarantined)));
    let mut rows: Vec<(&str, String)> = rows;
    for (device, d) in &s.by_device {
        let value = format!("{} entries, {} hits, {} compiles", d.entries, d.hits, d.compiles);
        rows.push((device, value));
    }
    for (remote, figures) in &s.remotes {
        rows.push((remote, exchanged(figures)));
    }
    rows.push(("since", s.since.to_string()));
    // In a store of an earlier release, requests are counted only since this release first used it.
    if let Some(since) = requests.since.filter(|since| *since > s.since) {
        rows.push(("requests since", since.to_string()));
    }
    let mut lines: Vec<String> =
        rows.iter().map(|(name, value)| format!("{name:<22} {value}")).collect();
    if requests.groups.len() > 1 {
        lines.push(String::new());
        lines.extend(by_group(&requests.groups).lines().map(str::to_owned));
    }
    // The names of devices are read from records, which others may have written.
    lines.iter().flat_map(|line| [printable(line).to_string(), "\n".to_owned()]).collect()
}

fn exchanged(one: &RemoteStatistics) -> String {
    format!(
        "fetched {}, {} in {}; uploaded {}, {} in {}; refused {}, failed {}, left alone {} times",
        one.fetched,
        HumanBytes(one.fetched_bytes),
        seconds(one.fetch_seconds),
        one.uploaded,
        HumanBytes(one.uploaded_bytes),
        seconds(one.upload_seconds),
        one.refused,
        one.failures,
        one.breaker_opened
    )
}

fn ended(requests: &RequestStatistics) -> String {
    let Outcomes { served_warm, served_after_compile, refused, failed, interrupted } =
        requests.outcomes;
    let under_way = match requests.in_flight {
        0 => String::new(),
        count => format!("; {count} under way"),
    };
    format!(
        "{}: warm {served_warm}, after a compile {served_after_compile}, refused {refused}, \
         failed {failed}, interrupted {interrupted}{under_way}",
        requests.outcomes.total()
    )
}

fn rate(rate: Option<f64>) -> String {
    rate.map_or_else(|| "none yet".to_owned(), |rate| format!("{:.1} %", rate * 100.0))
}

fn hits(hits: &Hits, misses: u64) -> String {
    format!(
        "hits {} (exact {}, equivalent {}, graph {}; memory {}, disk {}, fallback {}, remote {}), \
         misses {misses}",
        hits.total(),
        hits.exact,
        hits.equivalent,
        hits.graph,
        hits.memory,
        hits.disk,
        hits.fallback,
        hits.remote
    )
}

fn compiles(count: u64, spent: f64, failed: u64) -> String {
    format!("{count} in {} (failed {failed})", seconds(spent))
}

/// The quantiles, given as the upper limits of their buckets, because the exact times are not
/// known.
fn quantiles(histogram: &Histogram) -> String {
    if histogram.count == 0 {
        return "none".to_owned();
    }
    format!("half {}, 99 % {}", limit(histogram, 0.5), limit(histogram, 0.99))
}

fn limit(histogram: &Histogram, quantile: f64) -> String {
    match histogram.quantile(quantile) {
        None => String::new(),
        Some(between) => match between.at_most_seconds {
            Some(most) => format!("<= {}", short(most)),
            None => format!("> {}", seconds(between.above_seconds)),
        },
    }
}

/// A limit with enough digits to tell it from the next one.
fn short(value: f64) -> String {
    if value < 0.01 { format!("{:.2} ms", value * 1000.0) } else { seconds(value) }
}

fn warmed(warming: &WarmingStatistics) -> Vec<(&'static str, String)> {
    let WarmingStatistics { requests, compiles: count, failed_compiles, compile_seconds, .. } =
        warming;
    if requests.outcomes.total() + requests.in_flight == 0 {
        return vec![("warmups", "none".to_owned())];
    }
    let Outcomes { served_warm, served_after_compile, refused: _, failed, interrupted } =
        requests.outcomes;
    vec![
        (
            "warmups",
            format!(
                "{}: nothing to do {served_warm}, compiled {served_after_compile}, failed \
                 {failed}, interrupted {interrupted}",
                requests.outcomes.total()
            ),
        ),
        ("  compiles", compiles(*count, *compile_seconds, *failed_compiles)),
    ]
}

fn by_group(groups: &[GroupStatistics]) -> String {
    let mut rows = table(&[
        "model",
        "size",
        "device",
        "requests",
        "hit rate",
        "took 99 %",
        "load 99 %",
        "wait 99 %",
        "compile 99 %",
    ]);
    for group in groups {
        rows.add_row([
            group.model_id.clone(),
            group.size.clone(),
            group.device.clone(),
            group.outcomes.total().to_string(),
            rate(group.hit_rate),
            limit(&group.request_seconds, 0.99),
            limit(&group.stage_load_seconds, 0.99),
            limit(&group.stage_wait_seconds, 0.99),
            limit(&group.stage_compile_seconds, 0.99),
        ]);
    }
    rows.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_an_age_or_a_date() {
        let since = |text: &str| text.parse::<Since>().map(|Since(time)| time.to_string());
        assert_eq!(since("2026-11-20").unwrap(), "2026-11-20T00:00:00Z");
        assert_eq!(since("2026-11-20T08:00:00+02:00").unwrap(), "2026-11-20T06:00:00Z");
        let day = jiff::Timestamp::now() - "24h".parse::<Since>().unwrap().0;
        assert!((day.total(jiff::Unit::Second).unwrap() - 86_400.0).abs() < 60.0);
        for text in ["", "yesterday", "-1h", "2026-13-01", "24 parsecs", "nan"] {
            assert!(since(text).unwrap_err().contains("24h"), "{text}");
        }
    }
}
