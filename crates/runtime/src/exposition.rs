//! How are the cache's statistics written for Prometheus?
//!
//! They are written in version 0.0.4 of its text format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! Every name begins with `preheat_`. Counters only grow, until `preheat cache zero-stats` sets
//! them to zero. Prometheus handles this as it handles a process that was started again.

use std::fmt::{Display, Write as _};

use preheat_cache::{
    GroupStatistics, Histogram, Hits, Outcomes, RemoteStatistics, RequestStatistics, Statistics,
    WarmingStatistics,
};
use preheat_io::printable::is_printable;

/// The media type of [`prometheus`].
pub const PROMETHEUS_MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Picks one of the histograms of a group.
type Pick = fn(&GroupStatistics) -> &Histogram;

/// The labels of a sample, in the order in which they are written.
type Labels<'a> = &'a [(&'a str, &'a str)];

/// The statistics in the text format of Prometheus.
pub fn prometheus(statistics: &Statistics) -> String {
    let mut page = Page(String::with_capacity(16 << 10));
    let purposes = [("serving", &statistics.requests), ("warming", &statistics.warming.requests)];
    page.requests(&purposes);
    page.times(&purposes);
    page.stages(statistics);
    page.store(statistics);
    page.remotes(statistics);
    page.0
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a `String` never fails.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{}\"", escaped(text));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.sample(name, &[], value);
    }

    fn requests(&mut self, purposes: &[(&str, &RequestStatistics)]) {
        let name = "preheat_requests_total";
        self.head(name, "counter", "Requests that ended, by how they ended.");
        for (purpose, statistics) in purposes {
            for group in &statistics.groups {
                for (outcome, count) in Outcomes::each(&group.outcomes) {
                    let outcome = [("outcome", outcome)];
                    self.sample(name, &[&of(purpose, group), outcome.as_slice()].concat(), count);
                }
            }
        }
        let name = "preheat_requests_in_flight";
        self.head(name, "gauge", "Requests that have begun and not ended.");
        for (purpose, statistics) in purposes {
            self.sample(name, &[("purpose", purpose)], statistics.in_flight);
        }
    }

    fn times(&mut self, purposes: &[(&str, &RequestStatistics)]) {
        let histograms: [(&str, &str, Pick); 4] = [
            ("preheat_request_seconds", "How long served requests took.", |group| {
                &group.request_seconds
            }),
            (
                "preheat_stage_load_seconds",
                "How long each load of a stage from the cache took.",
                |group| &group.stage_load_seconds,
            ),
            (
                "preheat_stage_wait_seconds",
                "How long each wait of a stage for a compile of another thread or process took.",
                |group| &group.stage_wait_seconds,
            ),
            ("preheat_stage_compile_seconds", "How long each compile of a stage took.", |group| {
                &group.stage_compile_seconds
            }),
        ];
        for (name, help, pick) in histograms {
            self.head(name, "histogram", help);
            for (purpose, statistics) in purposes {
                for group in &statistics.groups {
                    self.histogram(name, &of(purpose, group), pick(group));
                }
            }
        }
    }

    fn histogram(&mut self, name: &str, labels: Labels<'_>, histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        for (limit, count) in histogram.at_most() {
            let limit = limit.to_string();
            self.sample(&bucket, &[labels, &[("le", &limit)]].concat(), count);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), histogram.count);
        self.sample(&format!("{name}_sum"), labels, histogram.sum_seconds);
        self.sample(&format!("{name}_count"), labels, histogram.count);
    }

    fn stages(&mut self, statistics: &Statistics) {
        let warming = &statistics.warming;
        let hits: [(&str, &Hits); 2] =
            [("serving", &statistics.stages.hits), ("warming", &warming.hits)];
        let name = "preheat_stage_hits_total";
        self.head(name, "counter", "Stages whose executable was found, by how it matched.");
        for (purpose, hits) in hits {
            let each =
                [("exact", hits.exact), ("equivalent", hits.equivalent), ("graph", hits.graph)];
            for (matched, count) in each {
                self.sample(name, &[("purpose", purpose), ("match", matched)], count);
            }
        }
        let name = "preheat_stage_hits_by_source_total";
        self.head(name, "counter", "The same hits, by where the executable came from.");
        for (purpose, hits) in hits {
            let each = [
                ("memory", hits.memory),
                ("disk", hits.disk),
                ("fallback", hits.fallback),
                ("remote", hits.remote),
            ];
            for (source, count) in each {
                self.sample(name, &[("purpose", purpose), ("source", source)], count);
            }
        }
        self.single(
            "preheat_stage_misses_total",
            "counter",
            "Stages of served requests whose executable was not found.",
            statistics.stages.misses,
        );
        let WarmingStatistics { compiles, failed_compiles, single_flight_waits, .. } = warming;
        for (name, help, serving, warming) in [
            (
                "preheat_compiles_total",
                "Compiles that ended with an executable.",
                statistics.stages.compiles,
                compiles,
            ),
            (
                "preheat_failed_compiles_total",
                "Compiles that failed.",
                statistics.stages.failed_compiles,
                failed_compiles,
            ),
            (
                "preheat_single_flight_waits_total",
                "How often a stage waited for the compile of another thread or process.",
                statistics.stages.single_flight_waits,
                single_flight_waits,
            ),
        ] {
            self.head(name, "counter", help);
            self.sample(name, &[("purpose", "serving")], serving);
            self.sample(name, &[("purpose", "warming")], warming);
        }
        self.single(
            "preheat_compile_seconds_saved_total",
            "counter",
            "The compile time that hits of served requests saved.",
            statistics.stages.compile_seconds_saved,
        );
    }

    fn store(&mut self, statistics: &Statistics) {
        let name = "preheat_entries";
        self.head(name, "gauge", "Entries of the cache whose object is there.");
        for (device, of_device) in &statistics.by_device {
            self.sample(name, &[("device", device)], of_device.entries);
        }
        for (name, help, value) in [
            (
                "preheat_cached_signatures",
                "Distinct requests that the entries were recorded for.",
                statistics.cached_signatures,
            ),
            ("preheat_stored_bytes", "The length of all objects.", statistics.stored_bytes),
            (
                "preheat_uncompressed_bytes",
                "The length of their machine code before it was compressed.",
                statistics.uncompressed_bytes,
            ),
        ] {
            self.single(name, "gauge", help, value);
        }
        self.single(
            "preheat_evictions_total",
            "counter",
            "Entries removed to keep the limit.",
            statistics.evictions,
        );
        self.single(
            "preheat_quarantined_total",
            "counter",
            "Objects that failed a check.",
            statistics.quarantined,
        );
        self.single(
            "preheat_statistics_since_timestamp_seconds",
            "gauge",
            "When counting began, in seconds since 1970.",
            statistics.since.as_second(),
        );
        let name = "preheat_build_info";
        self.head(name, "gauge", "The release that wrote this; the value is always 1.");
        self.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    }
}

/// Picks one of the figures of a remote.
type PickRemote = fn(&RemoteStatistics) -> f64;

impl Page {
    /// What was exchanged with each remote.
    fn remotes(&mut self, statistics: &Statistics) {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        let figures: [(&str, &str, PickRemote); 9] = [
            ("preheat_remote_fetched_total", "Objects fetched from a remote.", |one| {
                one.fetched as f64
            }),
            ("preheat_remote_fetched_bytes_total", "The length of these objects.", |one| {
                one.fetched_bytes as f64
            }),
            (
                "preheat_remote_fetch_seconds_total",
                "How long fetching and verifying them took.",
                |one| one.fetch_seconds,
            ),
            ("preheat_remote_uploaded_total", "Objects uploaded to a remote.", |one| {
                one.uploaded as f64
            }),
            ("preheat_remote_uploaded_bytes_total", "The length of these objects.", |one| {
                one.uploaded_bytes as f64
            }),
            ("preheat_remote_upload_seconds_total", "How long uploading them took.", |one| {
                one.upload_seconds
            }),
            (
                "preheat_remote_refused_total",
                "Objects and pointers of a remote that were damaged or of something else.",
                |one| one.refused as f64,
            ),
            (
                "preheat_remote_failures_total",
                "Requests to a remote that failed or took too long.",
                |one| one.failures as f64,
            ),
            (
                "preheat_remote_breaker_opened_total",
                "How often a remote was left alone for a while, because it kept failing.",
                |one| one.breaker_opened as f64,
            ),
        ];
        for (name, help, pick) in figures {
            self.head(name, "counter", help);
            for (remote, figures) in &statistics.remotes {
                self.sample(name, &[("remote", remote)], pick(figures));
            }
        }
    }
}

fn of<'a>(purpose: &'a str, group: &'a GroupStatistics) -> [(&'a str, &'a str); 4] {
    [
        ("purpose", purpose),
        ("model", &group.model_id),
        ("size", &group.size),
        ("device", &group.device),
    ]
}

/// The value of a label, escaped as the format requires. Characters that could control a terminal
/// are replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            other if !is_printable(other) => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_people_chose_cannot_break_out_of_its_label() {
        assert_eq!(escaped("a\"} 7\n\\\u{1b}"), "a\\\"} 7\\n\\\\\u{fffd}");
    }

    #[test]
    fn every_sample_has_a_head_and_every_head_stands_once() {
        let page = prometheus(&Statistics::default());
        let heads: Vec<&str> =
            page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let mut names: Vec<&str> = heads.iter().filter_map(|h| h.split(' ').next()).collect();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(names.contains(&name), "{name} has no head");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
