//! How are a graph's entries in the index linked to each other? Each function here works within one
//! transaction, and keeps all entries of a graph consistent.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Resolved;
use super::check::counted_anew;
use super::codec::{
    decode_json, decode_program, decode_record, encode_program, get_json, put_json, split_record,
    store_beside_record, store_record,
};
use super::pins::{let_go, pin_by};
use super::transaction::{Fault, Transaction};
use crate::hash::{Digest, FramedHasher};
use crate::key::GraphKey;
use crate::object::{HELD_PROGRAM_BYTES, ProgramFrame};
use crate::record::{GraphRecord, RecordStatistics, RecordedSignature};
use crate::statistics::{Match, Statistics};
use crate::store::WantedEntry;

/// The version of the hash in an entry that leads from a projection to a graph.
const LEAD_TAG: &str = "preheat-lead-v1";
/// The version of the keys under which the lists of similar graphs are stored.
const LIKE_TAG: &str = "preheat-like-v1";
/// The time without use after which a graph is worth half as much.
pub(super) const HALF_LIFE_SECONDS: f64 = 7.0 * 24.0 * 3600.0;
/// The longest program that is packed together with others. A longer program has its own value in
/// sled.
const SMALL_PROGRAM_BYTES: usize = 1024;
/// The most graphs in a list.
const LISTED: usize = 32;
/// The shortest compile time that is assumed, for example if none was measured: a millisecond.
const LEAST_COMPILE_SECONDS: f64 = 0.001;

/// The part of a record that changes on every hit. Fields with their default value are not written:
/// every record has such a part, so it has to be short.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Usage {
    #[serde(skip_serializing_if = "is_default")]
    pub(super) statistics: RecordStatistics,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) load_seconds: Option<f64>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) pinned: bool,
    /// Loads from the store itself. They show what the object on disk has saved; hits in memory
    /// need no object.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) loads: u64,
    /// The pinned requests that led to this graph.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) pinned_by: Vec<Digest>,
    /// The graph's place in the order of eviction, if it has one; see [`place`].
    #[serde(skip_serializing_if = "is_default")]
    pub(super) place: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Usage {
    pub(super) fn is_pinned(&self) -> bool {
        self.pinned || !self.pinned_by.is_empty()
    }
}

/// A key of the index: the letter of its kind, then digests.
pub(super) fn key(kind: u8, digests: &[&Digest]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + 32 * digests.len());
    bytes.push(kind);
    for digest in digests {
        bytes.extend_from_slice(digest.as_bytes());
    }
    bytes
}

pub(super) fn digest_at(bytes: &[u8], at: usize) -> Option<Digest> {
    Some(Digest::from_bytes(bytes.get(at..at + 32)?.try_into().ok()?))
}

/// The value that leads from a projection to a graph. The value contains a hash of the projection's
/// key and the graph's key, so that it is invalid under any other projection.
fn lead(projection: &Digest, graph: &Digest) -> Vec<u8> {
    let hash = FramedHasher::new(LEAD_TAG).digest(projection).digest(graph).finish();
    [graph.as_bytes().as_slice(), hash.as_bytes()].concat()
}

/// The graph that a projection leads to. `None` if the stored value was not made for this
/// projection.
pub(super) fn led_to(index: &Transaction, projection: &Digest) -> Result<Option<Digest>, Fault> {
    let Some(stored) = index.get(&key(b'j', &[projection]))? else { return Ok(None) };
    Ok(digest_at(&stored, 0).filter(|graph| stored == lead(projection, graph)))
}

pub(super) fn resolve_one(
    index: &Transaction,
    projection: &Digest,
    signature: &Digest,
) -> Result<Option<Resolved>, Fault> {
    let Some(graph) = led_to(index, projection)? else { return Ok(None) };
    let Some(record) = load_record(index, &GraphKey(graph))? else { return Ok(None) };
    let exact = index.get(&key(b's', &[signature, &graph]))?.is_some();
    let matched = if exact { Match::Exact } else { Match::Equivalent };
    let compile_seconds = record.measurements.compile_seconds;
    Ok(Some(Resolved { graph_key: GraphKey(graph), matched, compile_seconds }))
}

/// Whether a graph replaces another graph to which the same projection leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum TakeOver {
    /// This graph was compiled or used just now.
    Always,
    /// This record was read from an object, and objects are read in no particular order. So the
    /// graph that was compiled later wins.
    FromOlder,
}

/// Adds or replaces a record. The recorded use of the graph stays.
pub(in crate::store) fn insert(
    index: &mut Transaction,
    record: &GraphRecord,
    program: Option<&ProgramFrame>,
    take_over: TakeOver,
) -> Result<(), Fault> {
    let mut statistics = load_statistics(index)?;
    let mut record = record.clone();
    let mut usage = load_usage(index, &record.graph_key)?;
    if let Some(old) = load_record(index, &record.graph_key)? {
        count_entry(&mut statistics, &old, false);
        let new = std::mem::replace(&mut record.signatures, old.signatures.clone());
        for signature in new {
            record.add_signature(signature);
        }
        forget_dropped(index, &record, &old.signatures, &mut statistics)?;
        usage.pinned |= record.pinned;
    } else {
        usage = Usage {
            statistics: record.statistics.clone(),
            load_seconds: record.measurements.load_seconds,
            pinned: record.pinned || usage.pinned,
            ..usage
        };
    }
    count_entry(&mut statistics, &record, true);
    for signature in &record.signatures {
        link_signature(index, &record, signature, &mut statistics, take_over)?;
        pin_by(index, &record.graph_key, signature, &mut usage)?;
    }
    let digest = &record.program.digest;
    let is_long = record.program.bytes > HELD_PROGRAM_BYTES;
    if let Some(program) = program.filter(|_| !is_long) {
        // sled does not free the space of an overwritten value, so a sound program is not written
        // again.
        if !load_program(index, digest)?.is_some_and(|known| known.is_of(digest)) {
            put_program(index, digest, program);
        }
    }
    if program.is_some() || is_long {
        index.put(key(b'q', &[digest, &record.graph_key.0]), Vec::new());
    }
    list_first(index, like(&record.stage, None), &record)?;
    store_record(index, &record)?;
    store_usage(index, &record, usage)?;
    store_statistics(index, &statistics)
}

/// The key of the list of the newest graphs of a stage, for one model or for all models.
fn like(stage: &str, model: Option<&str>) -> Vec<u8> {
    let list = FramedHasher::new(LIKE_TAG)
        .text(stage)
        .option(model, |hasher, model| hasher.text(model))
        .finish();
    key(b'n', &[&list])
}

fn listed(index: &Transaction, list: &[u8]) -> Result<Vec<GraphKey>, Fault> {
    let stored = index.get(list)?.unwrap_or_default();
    Ok(stored.chunks_exact(32).filter_map(graph_at_end).collect())
}

/// Puts a graph at the front of a list, unless it is in the list. If the list is full, its last
/// graph is dropped from it: [`load_candidates`] may no longer find that graph, but its other
/// entries stay.
fn list_first(index: &mut Transaction, list: Vec<u8>, record: &GraphRecord) -> Result<(), Fault> {
    let mut graphs = listed(index, &list)?;
    if graphs.contains(&record.graph_key) {
        return Ok(());
    }
    graphs.insert(0, record.graph_key);
    put_list(index, list, &graphs);
    Ok(())
}

fn unlist(index: &mut Transaction, list: Vec<u8>, graph: &GraphKey) -> Result<(), Fault> {
    let mut graphs = listed(index, &list)?;
    if graphs.contains(graph) {
        graphs.retain(|one| one != graph);
        put_list(index, list, &graphs);
    }
    Ok(())
}

fn put_list(index: &mut Transaction, list: Vec<u8>, graphs: &[GraphKey]) {
    if graphs.is_empty() {
        index.remove(list);
    } else {
        index.put(list, graphs.iter().take(LISTED).flat_map(|graph| *graph.0.as_bytes()).collect());
    }
}

/// The least and the greatest key of records for graph keys that begin with `digits`. `None` if no
/// graph key can begin with them.
pub(super) fn range_beginning(digits: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let fill = |with: char| {
        let mut whole = digits.to_ascii_lowercase();
        whole.extend(std::iter::repeat_n(with, 64_usize.checked_sub(digits.len())?));
        Some(key(b'r', &[&whole.parse().ok()?]))
    };
    Some((fill('0')?, fill('f')?))
}

/// The graph at the end of an entry's key.
pub(in crate::store) fn graph_at_end(entry: &[u8]) -> Option<GraphKey> {
    digest_at(entry, entry.len().checked_sub(32)?).map(GraphKey)
}

/// Stores the use of a graph, and moves the graph to its place in the order of eviction.
pub(super) fn store_usage(
    index: &mut Transaction,
    record: &GraphRecord,
    mut usage: Usage,
) -> Result<(), Fault> {
    let place = (!usage.is_pinned()).then(|| place(record, &usage));
    if usage.place != place {
        if let Some(old) = usage.place {
            index.remove(in_order(old, &record.graph_key));
        }
        if let Some(new) = place {
            index.put(in_order(new, &record.graph_key), Vec::new());
        }
        usage.place = place;
    }
    store_beside_record(index, &record.graph_key, &usage)
}

/// The place that a new graph would have in the order of eviction. Graphs with smaller places are
/// evicted before the new one.
pub(in crate::store) fn place_in_order(
    index: &Transaction,
    coming: &GraphRecord,
) -> Result<Vec<u8>, Fault> {
    let usage = match load_record(index, &coming.graph_key)? {
        Some(_) => load_usage(index, &coming.graph_key)?,
        None => Usage { statistics: coming.statistics.clone(), ..Usage::default() },
    };
    Ok([b"v", place(coming, &usage).to_be_bytes().as_slice()].concat())
}

/// The place of a graph without any recorded use.
pub(in crate::store) fn place_unused(record: &GraphRecord) -> u64 {
    place(record, &Usage::default())
}

pub(super) fn in_order(place: u64, graph: &GraphKey) -> Vec<u8> {
    [b"v", place.to_be_bytes().as_slice(), graph.0.as_bytes()].concat()
}

/// The place of a graph in the order of eviction: the graph with the lowest place is evicted first.
///
/// The worth of an object is `compile_seconds * (1 + loads) / stored_bytes`. This is the compile
/// time that its loads have saved and that the next load would save, for each stored byte. The
/// worth is halved for each [`HALF_LIFE_SECONDS`] without use. It is rounded to sixteenths of a
/// doubling, so that the last use decides between entries that are worth about the same. The
/// logarithm of the worth falls at the same rate for all graphs. So the place of a graph does not
/// change while the graph is not used, and neither does the order of two unused graphs.
fn place(record: &GraphRecord, usage: &Usage) -> u64 {
    let seconds = record.measurements.compile_seconds.max(LEAST_COMPILE_SECONDS);
    let stored_bytes = record.object.as_ref().map_or(1, |object| object.stored_bytes.max(1));
    #[expect(clippy::cast_precision_loss, reason = "an order, which needs no more than 52 bits")]
    let worth = seconds * (1.0 + usage.loads as f64) / stored_bytes as f64;
    // A time in the future, from a wrong clock or a forger, would keep the graph for ever.
    let last_used = usage
        .statistics
        .last_used
        .unwrap_or(record.created)
        .max(record.created)
        .min(jiff::Timestamp::now());
    let halvings =
        last_used.duration_since(jiff::Timestamp::UNIX_EPOCH).as_secs_f64() / HALF_LIFE_SECONDS;
    // Once the sign bit is set, the bits of a positive float sort as the number does. The bits of a
    // negative float sort in the opposite order, so all of them are inverted.
    let bits = ((worth.log2() * 16.0).round() / 16.0 + halvings).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// Removes a record and all entries that belong to it. Returns whether there was such a record.
pub(in crate::store) fn remove(
    index: &mut Transaction,
    graph: &GraphKey,
    statistics: &mut Statistics,
) -> Result<bool, Fault> {
    let known = load_record(index, graph)?;
    if let Some(record) = &known {
        count_entry(statistics, record, false);
        unlist(index, like(&record.stage, None), graph)?;
        for signature in &record.signatures {
            unlist(index, like(&record.stage, Some(&signature.signature.model_id)), graph)?;
        }
    }
    if let Some(record) = &known {
        for signature in &record.signatures {
            unlink_signature(index, graph, signature, &[], statistics)?;
        }
        let program = &record.program.digest;
        index.remove(key(b'q', &[program, &graph.0]));
        if !index.any(&key(b'q', &[program]))? {
            index.remove(key(b'k', &[program]));
            index.remove(key(b'p', &[program]));
        }
    }
    let mut usage = load_usage(index, graph)?;
    let_go(index, graph, &mut usage);
    if let Some(place) = usage.place {
        index.remove(in_order(place, graph));
    }
    index.remove(key(b'r', &[&graph.0]));
    Ok(known.is_some())
}

/// Removes the entries of requests that the record no longer names, because a record names only the
/// newest requests.
pub(super) fn forget_dropped(
    index: &mut Transaction,
    record: &GraphRecord,
    before: &[RecordedSignature],
    statistics: &mut Statistics,
) -> Result<(), Fault> {
    for dropped in before.iter().filter(|one| !record.signatures.contains(one)) {
        unlink_signature(index, &record.graph_key, dropped, &record.signatures, statistics)?;
    }
    Ok(())
}

/// Removes the entries that lead from a request to a graph, except for those that the remaining
/// requests need as well.
fn unlink_signature(
    index: &mut Transaction,
    graph: &GraphKey,
    signature: &RecordedSignature,
    staying: &[RecordedSignature],
    statistics: &mut Statistics,
) -> Result<(), Fault> {
    let digest = signature.signature.digest();
    let place = key(b's', &[&digest, &graph.0]);
    if !staying.iter().any(|one| one.signature.digest() == digest) && index.get(&place)?.is_some() {
        index.remove(place);
        if !index.any(&key(b's', &[&digest]))? {
            statistics.cached_signatures = statistics.cached_signatures.saturating_sub(1);
        }
    }
    let projection = &signature.projection_key;
    // The projection may lead to another graph now, because the same stage was compiled again.
    let moved = led_to(index, projection)?.is_some_and(|other| other != graph.0);
    if !moved && !staying.iter().any(|one| one.projection_key == *projection) {
        index.remove(key(b'j', &[projection]));
    }
    Ok(())
}

pub(super) fn link_signature(
    index: &mut Transaction,
    record: &GraphRecord,
    signature: &RecordedSignature,
    statistics: &mut Statistics,
    take_over: TakeOver,
) -> Result<(), Fault> {
    let graph = &record.graph_key;
    let digest = signature.signature.digest();
    if !index.any(&key(b's', &[&digest]))? {
        statistics.cached_signatures += 1;
    }
    index.put(key(b's', &[&digest, &graph.0]), Vec::new());
    list_first(index, like(&record.stage, Some(&signature.signature.model_id)), record)?;
    let projection = &signature.projection_key;
    let other = led_to(index, projection)?.filter(|other| *other != graph.0);
    if let (TakeOver::FromOlder, Some(other)) = (take_over, other)
        && load_record(index, &GraphKey(other))?.is_some_and(|other| other.created > record.created)
    {
        return Ok(());
    }
    index.put(key(b'j', &[projection]), lead(projection, &graph.0));
    Ok(())
}

/// Adds a record to the totals, or subtracts it. A record without an object does not change the
/// totals.
pub(super) fn count_entry(statistics: &mut Statistics, record: &GraphRecord, added: bool) {
    let Some((stored, uncompressed)) =
        record.object.as_ref().map(|info| (info.stored_bytes, info.payload_bytes))
    else {
        return;
    };
    let step = |total: &mut u64, by: u64| {
        *total = if added { *total + by } else { total.saturating_sub(by) }
    };
    step(&mut statistics.entries, 1);
    step(&mut statistics.stored_bytes, stored);
    step(&mut statistics.uncompressed_bytes, uncompressed);
    step(&mut statistics.by_device.entry(record.device.clone()).or_default().entries, 1);
}

/// The program that is stored under a digest. In a damaged index it may be another program.
pub(super) fn load_program(
    index: &Transaction,
    digest: &Digest,
) -> Result<Option<ProgramFrame>, Fault> {
    let stored = match index.get(&key(b'k', &[digest]))? {
        None => index.get(&key(b'p', &[digest]))?,
        small => small,
    };
    Ok(stored.and_then(|stored| decode_program(&stored)))
}

fn put_program(index: &mut Transaction, digest: &Digest, program: &ProgramFrame) {
    let value = encode_program(program);
    let (kind, other) =
        if value.len() <= SMALL_PROGRAM_BYTES { (b'k', b'p') } else { (b'p', b'k') };
    index.remove(key(other, &[digest]));
    index.put(key(kind, &[digest]), value);
}

/// The statistics. The counters start at zero if the index has no statistics, or if this release
/// does not understand them.
pub(in crate::store) fn load_statistics(index: &Transaction) -> Result<Statistics, Fault> {
    match get_json(index, b"mstatistics")? {
        Some(statistics) => Ok(statistics),
        None => counted_anew(
            index,
            Statistics { since: jiff::Timestamp::now(), ..Statistics::default() },
        ),
    }
}

pub(in crate::store) fn store_statistics(
    index: &mut Transaction,
    statistics: &Statistics,
) -> Result<(), Fault> {
    // The counts of requests have entries of their own (`requests.rs`).
    let mut stored = serde_json::to_value(statistics).map_err(|error| Fault::Io(error.into()))?;
    if let Some(stored) = stored.as_object_mut() {
        stored.remove("requests");
        stored.remove("warming");
    }
    put_json(index, b"mstatistics".to_vec(), &stored)
}

pub(super) fn load_usage(index: &Transaction, graph: &GraphKey) -> Result<Usage, Fault> {
    let Some(stored) = index.get(&key(b'r', &[&graph.0]))? else { return Ok(Usage::default()) };
    usage_in(&stored)
}

/// The recorded use of a graph. It is empty if this release does not understand it.
pub(super) fn usage_in(stored: &[u8]) -> Result<Usage, Fault> {
    let usage = split_record(stored)?.0;
    Ok(if usage.is_empty() { Usage::default() } else { decode_json(usage).unwrap_or_default() })
}

pub(in crate::store) fn load_record(
    index: &Transaction,
    graph: &GraphKey,
) -> Result<Option<GraphRecord>, Fault> {
    let Some(stored) = index.get(&key(b'r', &[&graph.0]))? else { return Ok(None) };
    decode_record(&stored)?
        .map(|record| with_usage(&stored, graph.0.as_bytes(), record))
        .transpose()
}

/// The records that are most likely similar to the wanted entry. They have the same program, the
/// same request, the same stage and model, or the same stage. There are at most [`LISTED`] of each
/// of these kinds.
pub(super) fn load_candidates(
    index: &Transaction,
    wanted: &WantedEntry<'_>,
) -> Result<Vec<GraphRecord>, Fault> {
    let mut prefixes = Vec::new();
    prefixes.extend(wanted.program.map(|program| key(b'q', &[&program])));
    if let Some(signature) = wanted.signature {
        prefixes.push(key(b's', &[&signature.digest()]));
    }
    let mut graphs: BTreeSet<GraphKey> =
        listed(index, &like(wanted.stage, None))?.into_iter().collect();
    if let Some(signature) = wanted.signature {
        graphs.extend(listed(index, &like(wanted.stage, Some(&signature.model_id)))?);
    }
    for prefix in prefixes {
        graphs.extend(
            index.scan_first(&prefix, LISTED)?.iter().filter_map(|(entry, _)| graph_at_end(entry)),
        );
    }
    graphs.iter().filter_map(|graph| load_record(index, graph).transpose()).collect()
}

/// All records that this release understands.
pub(super) fn load_records(index: &Transaction) -> Result<Vec<GraphRecord>, Fault> {
    let mut records = Vec::new();
    for (key, stored) in index.scan(b"r")? {
        if let Some(record) = decode_record(&stored)? {
            records.push(with_usage(&stored, &key[1..], record)?);
        }
    }
    Ok(records)
}

pub(super) fn with_usage(
    stored: &[u8],
    graph: &[u8],
    mut record: GraphRecord,
) -> Result<GraphRecord, Fault> {
    if record.graph_key.0.as_bytes() != graph {
        return Err(Fault::Damaged("a record is stored under the key of another record".into()));
    }
    let usage = usage_in(stored)?;
    record.pinned = usage.is_pinned();
    record.statistics = usage.statistics;
    record.measurements.load_seconds = usage.load_seconds;
    Ok(record)
}
