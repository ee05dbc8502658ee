//! Do the totals, the order of eviction and the programs in the index match its records?

use std::collections::{BTreeMap, BTreeSet};

use super::codec::{decode_program, decode_record, store_record};
use super::entries::{
    Usage, count_entry, digest_at, graph_at_end, in_order, load_program, load_record,
    load_statistics, load_usage, store_statistics, store_usage, usage_in, with_usage,
};
use super::transaction::{Fault, Transaction};
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::object::{HELD_PROGRAM_BYTES, ProgramFrame};
use crate::record::{GraphRecord, ObjectInfo};
use crate::statistics::Statistics;

/// The most programs that one transaction reads, and the most bytes that they may take together.
const PROGRAMS: usize = 4096;
const PROGRAMS_BYTES: usize = 32 << 20;

/// A program, if this release understands it, and the digest that it is stored under.
pub(in crate::store) type Stored = (Digest, Option<ProgramFrame>);

/// The entries of the index, and which of them can be read but are wrong.
#[derive(Debug)]
pub(in crate::store) struct Checked {
    /// The graphs, each with what its record says about its object.
    pub(in crate::store) records: BTreeMap<GraphKey, Option<ObjectInfo>>,
    /// The graphs for which the program is missing, or is not the one that the record names.
    pub(in crate::store) wrong_programs: BTreeSet<GraphKey>,
    /// The graphs with a program so long that only the object contains it.
    pub(in crate::store) programs_elsewhere: BTreeSet<GraphKey>,
    /// The totals or the order of eviction do not match the records.
    pub(in crate::store) wrong_totals: bool,
}

/// Reads every entry of the index, except for the programs in `sound`, which were already found to
/// match their digests.
pub(in crate::store) fn check(
    index: &Transaction,
    sound: &BTreeSet<Digest>,
) -> Result<Checked, Fault> {
    for kind in [b"q", b"j", b"n", b"i", b"t", b"y", b"m"] {
        index.scan(kind)?;
    }
    let (mut wrong_programs, mut programs_elsewhere) = (BTreeSet::new(), BTreeSet::new());
    let stated = load_statistics(index)?;
    let walked = walk(index, stated.clone())?;
    for (record, _) in &walked.records {
        let digest = &record.program.digest;
        // The program may have been written after the programs were checked.
        let is_sound = || {
            Ok::<_, Fault>(
                load_program(index, digest)?.is_some_and(|program| program.is_of(digest)),
            )
        };
        if !sound.contains(digest) && !is_sound()? {
            let is_long = record.program.bytes > HELD_PROGRAM_BYTES;
            let astray = if is_long { &mut programs_elsewhere } else { &mut wrong_programs };
            astray.insert(record.graph_key);
        }
    }
    let totals =
        |one: &Statistics| (one.cached_signatures, one.stored_bytes, one.uncompressed_bytes);
    // An earlier release also counts records whose objects are gone.
    let entries = walked.statistics.entries..=walked.records.len() as u64;
    let wrong_totals = totals(&stated) != totals(&walked.statistics)
        || !entries.contains(&stated.entries)
        || !walked.astray.is_empty()
        || walked.is_disordered();
    let records =
        walked.records.into_iter().map(|(record, _)| (record.graph_key, record.object)).collect();
    Ok(Checked { records, wrong_programs, programs_elsewhere, wrong_totals })
}

/// The next programs after the given key, each with the digest that it is stored under, and the key
/// of the last one.
pub(in crate::store) fn programs_behind(
    index: &Transaction,
    last: &[u8],
) -> Result<(Vec<Stored>, Vec<u8>), Fault> {
    for kind in [b'k', b'p'] {
        let from = if last.first().is_some_and(|first| *first >= kind) {
            [last, &[0]].concat()
        } else {
            vec![kind]
        };
        if from.first() != Some(&kind) {
            continue;
        }
        let found = index.range_some(
            &from,
            &[&[kind], [u8::MAX; 64].as_slice()].concat(),
            PROGRAMS,
            PROGRAMS_BYTES,
        )?;
        if let Some((last, _)) = found.last() {
            let last = last.clone();
            let program = |(key, value): (Vec<u8>, Vec<u8>)| {
                Some((digest_at(&key, 1)?, decode_program(&value)))
            };
            return Ok((found.into_iter().filter_map(program).collect(), last));
        }
    }
    Ok((Vec::new(), Vec::new()))
}

/// Notes that a graph has no object. Its record stays with the program, from which the graph can be
/// compiled again.
pub(in crate::store) fn store_without_object(
    index: &mut Transaction,
    graph: &GraphKey,
) -> Result<(), Fault> {
    let Some(mut record) = load_record(index, graph)? else { return Ok(()) };
    let mut statistics = load_statistics(index)?;
    count_entry(&mut statistics, &record, false);
    record.object = None;
    count_entry(&mut statistics, &record, true);
    store_record(index, &record)?;
    let usage = load_usage(index, graph)?;
    store_usage(index, &record, usage)?;
    store_statistics(index, &statistics)
}

/// Counts the entries again, and corrects the order of eviction. The counters stay.
pub(in crate::store) fn recount(index: &mut Transaction) -> Result<(), Fault> {
    let walked = walk(index, load_statistics(index)?)?;
    for entry in walked.astray {
        index.remove(entry);
    }
    for (record, usage) in walked.records {
        if usage.place.is_some() == usage.is_pinned() || walked.missing.contains(&record.graph_key)
        {
            store_usage(index, &record, Usage { place: None, ..usage })?;
        }
    }
    store_statistics(index, &walked.statistics)
}

/// The statistics with the entries counted anew.
pub(super) fn counted_anew(
    index: &Transaction,
    statistics: Statistics,
) -> Result<Statistics, Fault> {
    Ok(walk(index, statistics)?.statistics)
}

/// The result of a walk over all records.
struct Walked {
    records: Vec<(GraphRecord, Usage)>,
    /// The given counters, with the totals of the records.
    statistics: Statistics,
    /// Entries of the order of eviction that belong to no record.
    astray: Vec<Vec<u8>>,
    /// The graphs for which the order of eviction has no entry at the place that the record names.
    missing: BTreeSet<GraphKey>,
}

impl Walked {
    fn is_disordered(&self) -> bool {
        let misplaced =
            |(_, usage): &(GraphRecord, Usage)| usage.place.is_some() == usage.is_pinned();
        !self.missing.is_empty() || self.records.iter().any(misplaced)
    }
}

fn walk(index: &Transaction, mut statistics: Statistics) -> Result<Walked, Fault> {
    (statistics.entries, statistics.stored_bytes, statistics.uncompressed_bytes) = (0, 0, 0);
    statistics.by_device.values_mut().for_each(|device| device.entries = 0);
    let mut order: BTreeSet<Vec<u8>> =
        index.scan(b"v")?.into_iter().map(|(entry, _)| entry).collect();
    let (mut records, mut missing, mut foreign) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for (key, stored) in index.scan(b"r")? {
        let Some(record) = decode_record(&stored)? else {
            foreign.extend(graph_at_end(&key));
            continue;
        };
        let record = with_usage(&stored, &key[1..], record)?;
        let usage = usage_in(&stored)?;
        count_entry(&mut statistics, &record, true);
        if let Some(place) = usage.place
            && !order.remove(&in_order(place, &record.graph_key))
        {
            missing.insert(record.graph_key);
        }
        records.push((record, usage));
    }
    // A record that another release wrote, and that this one does not understand, may have its
    // place in the order.
    let belongs =
        |entry: &Vec<u8>| graph_at_end(entry).is_some_and(|graph| foreign.contains(&graph));
    let astray = order.into_iter().filter(|entry| !belongs(entry)).collect();
    let mut signatures: Vec<Option<Digest>> =
        index.scan(b"s")?.iter().map(|(key, _)| digest_at(key, 1)).collect();
    signatures.dedup();
    statistics.cached_signatures = signatures.len() as u64;
    Ok(Walked { records, statistics, astray, missing })
}
