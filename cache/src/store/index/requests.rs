//! How do the journals of all processes become counts, exactly once?
//!
//! A journal is the file in which a process records its requests. For each journal, the index
//! stores the position up to which it was read, and the requests that had not ended there
//! ([`Progress`]). The position and the counts are updated in one transaction. Counts are kept for
//! each group of requests three times: for all time, by days and by hours. The entries are of two
//! kinds:
//!
//! | key | value |
//! |---|---|
//! | `t` level, number of the period, group | [`Kept`], as JSON |
//! | `y` owner of a journal | [`Progress`], as JSON |
//!
//! A release that does not know these kinds does not change them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::codec::{decode_json, get_json, put_json};
use super::entries::{load_statistics, store_statistics};
use super::transaction::{Fault, Transaction};
use crate::files::Folder;
use crate::statistics::event::Open;
use crate::statistics::{
    Counted, Counters, FinishedRequest, Purpose, RequestEvent, RequestGroup, RequestStatistics,
    Statistics, WarmingStatistics,
};
use crate::store::Store;
use crate::store::requests::{Found, read_events};

/// How many groups have counts for all time. Requests of further models and sizes are counted
/// together, so that the index stays small even if a program serves any size.
const GROUPS: usize = if cfg!(test) { 8 } else { 512 };
/// For how many hours hourly counts are kept, and for how many days daily counts are kept.
const HOURS: u32 = 72;
const DAYS: u32 = 400;
/// The entry with the time since when requests are counted. A store that an earlier release made
/// has older counters, which began before this time.
const SINCE: &[u8] = b"mrequests-since";
/// How many periods that are too old are removed at a time.
const REMOVED: usize = 256;

/// The position up to which a journal was read, and its open requests.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    segment: u64,
    offset: u64,
    open: Open,
}

/// The counts of one group of requests in one period. If `group` is `None`, they are the counts
/// that belong to no request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    group: Option<RequestGroup>,
    counted: Counted,
}

/// A period in which requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Period {
    AllTime,
    /// Days since 1970 in UTC.
    Day(u32),
    /// Hours since 1970.
    Hour(u32),
}

impl Period {
    fn key(self) -> Vec<u8> {
        let (level, number) = match self {
            Self::AllTime => (0, 0),
            Self::Day(day) => (1, day),
            Self::Hour(hour) => (2, hour),
        };
        [&[b't', level], number.to_be_bytes().as_slice()].concat()
    }
}

fn hour_of(at: Timestamp) -> u32 {
    u32::try_from(at.as_second().max(0) / 3600).unwrap_or(u32::MAX)
}

/// The events that a transaction took from the journals.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The journals as they were found.
    pub(super) found: Vec<Found>,
    /// The number of counted events of this process that exist only in memory, because no journal
    /// could be written.
    pub(super) unwritten: usize,
    /// How many requests are under way in living processes, by purpose.
    pub(super) in_flight: BTreeMap<Purpose, u64>,
}

/// Counts of several groups that are to be added to the index.
#[derive(Default)]
struct Batch(BTreeMap<(Option<RequestGroup>, u32), Counted>);

impl Batch {
    fn at(&mut self, group: Option<&RequestGroup>, at: Timestamp) -> &mut Counted {
        self.0.entry((group.cloned(), hour_of(at))).or_default()
    }

    fn store(self, index: &mut Transaction) -> Result<(), Fault> {
        if index.get(SINCE)?.is_none() {
            put_json(index, SINCE.to_vec(), &Timestamp::now())?;
        }
        for ((group, hour), counted) in self.0 {
            let group = group.map(|group| kept_group(index, group)).transpose()?;
            for period in [Period::AllTime, Period::Day(hour / 24), Period::Hour(hour)] {
                add(index, period, group.as_ref(), &counted)?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Counts everything that is new in the journals of all processes, and the given requests.
    pub(super) fn take_requests(
        &self,
        root: &Folder,
        index: &mut Transaction,
        also: &[FinishedRequest],
    ) -> Result<Taken, Fault> {
        let unwritten = self.unwritten();
        let mut taken = Taken { unwritten: unwritten.len(), ..Taken::default() };
        taken.found = self.journals(root).map_err(Fault::Io)?;
        let mut finished = also.to_vec();
        for found in &taken.found {
            let own = if found.is_own { unwritten.as_slice() } else { &[] };
            let open = follow(root, index, found, own, &mut finished)?;
            for group in open.groups() {
                *taken.in_flight.entry(group.purpose).or_default() += 1;
            }
        }
        let owners: BTreeSet<&[u8]> =
            taken.found.iter().map(|found| found.owner.as_bytes()).collect();
        for (key, stored) in index.scan(b"y")? {
            if owners.contains(&key[1..]) {
                continue;
            }
            // This owner has no journal files left: they were removed after they were counted, or
            // somebody deleted them.
            let mut progress: Progress = decode_json(&stored).unwrap_or_default();
            finished.extend(progress.open.interrupt());
            index.remove(key);
        }
        if !finished.is_empty() {
            self.count_requests(index, &finished)?;
        }
        Ok(taken)
    }

    fn count_requests(
        &self,
        index: &mut Transaction,
        all: &[FinishedRequest],
    ) -> Result<(), Fault> {
        let mut statistics = load_statistics(index)?;
        let mut batch = Batch::default();
        for one in all {
            let serves = one.group.purpose == Purpose::Serving;
            let mut counted = Counted::default();
            counted.count_end(one);
            for stage in &one.stages {
                let seconds = self.record_use(index, &stage.used, serves, &mut statistics)?;
                counted.count(stage, if serves { seconds } else { 0.0 });
            }
            if serves {
                statistics.take(&counted);
            }
            batch.at(Some(&one.group), one.at).merge(&counted);
        }
        store_statistics(index, &statistics)?;
        batch.store(index)
    }
}

/// Reads the new events of a journal, and appends every request that has ended to `finished`.
/// Returns the requests that are still open.
fn follow(
    root: &Folder,
    index: &mut Transaction,
    found: &Found,
    unwritten: &[RequestEvent],
    finished: &mut Vec<FinishedRequest>,
) -> Result<Open, Fault> {
    let key = [b"y", found.owner.as_bytes()].concat();
    let stored = index.get(&key)?;
    let mut progress: Progress = stored.as_deref().and_then(decode_json).unwrap_or_default();
    for (number, path) in found.segments.range(progress.segment..) {
        let from = if *number == progress.segment { progress.offset } else { 0 };
        let (events, offset) = read_events(root, path, from).map_err(Fault::Io)?;
        (progress.segment, progress.offset) = (*number, offset);
        finished.extend(events.into_iter().filter_map(|event| progress.open.take(event)));
    }
    finished.extend(unwritten.iter().filter_map(|event| progress.open.take(event.clone())));
    if found.dead.is_some() {
        finished.extend(progress.open.interrupt());
    }
    let is_nothing = stored.is_none() && progress.open.is_empty() && progress.offset == 0;
    let json = serde_json::to_vec(&progress).map_err(|error| Fault::Io(error.into()))?;
    if !is_nothing && stored.as_deref() != Some(json.as_slice()) {
        index.put(key, json);
    }
    Ok(progress.open)
}

/// Counts evictions, quarantined objects and what remotes did, which belong to no request.
pub(in crate::store) fn count_upkeep(
    index: &mut Transaction,
    counters: &Counters,
    at: Timestamp,
) -> Result<(), Fault> {
    let Counters {
        misses: _,
        failed_compiles: _,
        single_flight_waits: _,
        evictions,
        quarantined,
        ref remotes,
    } = *counters;
    if evictions == 0 && quarantined == 0 && remotes.is_empty() {
        return Ok(());
    }
    let remotes = remotes.clone();
    let mut batch = Batch::default();
    batch.at(None, at).merge(&Counted { evictions, quarantined, remotes, ..Counted::default() });
    batch.store(index)
}

fn entry(period: Period, group: Option<&RequestGroup>) -> Vec<u8> {
    let mut key = period.key();
    if let Some(group) = group {
        key.extend_from_slice(group.digest().as_bytes());
    }
    key
}

/// The group under which requests are counted: their own group, or the group for all others if
/// there are too many groups already.
fn kept_group(index: &Transaction, group: RequestGroup) -> Result<RequestGroup, Fault> {
    if index.get(&entry(Period::AllTime, Some(&group)))?.is_some() {
        return Ok(group);
    }
    let is_full = index.scan_first(&Period::AllTime.key(), GROUPS)?.len() >= GROUPS;
    Ok(if is_full { group.other() } else { group })
}

fn add(
    index: &mut Transaction,
    period: Period,
    group: Option<&RequestGroup>,
    counted: &Counted,
) -> Result<(), Fault> {
    let key = entry(period, group);
    let known: Option<Kept> = get_json(index, &key)?;
    if known.is_none() {
        remove_old(index, period)?;
    }
    let mut kept = known.unwrap_or_else(|| Kept { group: group.cloned(), ..Kept::default() });
    kept.counted.merge(counted);
    put_json(index, key, &kept)
}

/// Removes hourly counts older than [`HOURS`] and daily counts older than [`DAYS`]. Called when a
/// group is counted for the first time in a period.
fn remove_old(index: &mut Transaction, period: Period) -> Result<(), Fault> {
    let (first, last) = match period {
        Period::AllTime => return Ok(()),
        Period::Day(day) => (Period::Day(0), Period::Day(day.saturating_sub(DAYS))),
        Period::Hour(hour) => (Period::Hour(0), Period::Hour(hour.saturating_sub(HOURS))),
    };
    for (key, _) in index.range_first(&first.key(), &last.key(), REMOVED)? {
        index.remove(key);
    }
    Ok(())
}

/// Removes all counts of requests. A request that is under way is counted when it ends.
pub(super) fn zero(index: &mut Transaction) -> Result<(), Fault> {
    for (key, _) in index.scan(b"t")? {
        index.remove(key);
    }
    put_json(index, SINCE.to_vec(), &Timestamp::now())
}

/// The counts of some periods.
struct Loaded {
    groups: Vec<(RequestGroup, Counted)>,
    /// The counts that belong to no request.
    upkeep: Counted,
    /// When the first period begins; `None` for all time.
    begins: Option<Timestamp>,
}

/// The counts since the time `since`, or for all time if `since` is `None`.
fn load(index: &Transaction, since: Option<Timestamp>) -> Result<Loaded, Fault> {
    let now = hour_of(Timestamp::now());
    let (entries, begins) = match since {
        None => (index.scan(&Period::AllTime.key())?, None),
        Some(since) => {
            let hour = hour_of(since).max(now.saturating_sub(DAYS * 24));
            let by_hours = hour + HOURS > now;
            let (first, seconds) = if by_hours {
                (Period::Hour(hour), i64::from(hour) * 3600)
            } else {
                (Period::Day(hour / 24), i64::from(hour / 24) * 86_400)
            };
            let beyond = match first {
                Period::Day(_) => Period::Day(u32::MAX),
                _ => Period::Hour(u32::MAX),
            };
            let entries = index.range_first(&first.key(), &beyond.key(), usize::MAX)?;
            (entries, Timestamp::from_second(seconds).ok())
        }
    };
    let (mut groups, mut upkeep): (BTreeMap<RequestGroup, Counted>, _) = Default::default();
    for (_, stored) in entries {
        let Some(Kept { group, counted }) = decode_json(&stored) else { continue };
        match group {
            Some(group) => groups.entry(group).or_default().merge(&counted),
            None => Counted::merge(&mut upkeep, &counted),
        }
    }
    Ok(Loaded { groups: groups.into_iter().collect(), upkeep, begins })
}

/// The statistics of the store, including the counts of requests. With `since`, the counts begin at
/// the start of the hour or the day in which that time lies. The figures that describe the entries
/// are always the current ones.
pub(super) fn with_requests(
    index: &Transaction,
    since: Option<Timestamp>,
    taken: &Taken,
) -> Result<Statistics, Fault> {
    let mut statistics = load_statistics(index)?;
    let Loaded { groups, upkeep, begins } = load(index, since)?;
    if let Some(begins) = begins {
        // The counters may have been set to zero after the first period began.
        statistics.zero(begins.max(statistics.since));
        let serving = groups.iter().filter(|(group, _)| group.purpose == Purpose::Serving);
        serving.for_each(|(_, counted)| statistics.take(counted));
        statistics.evictions = upkeep.evictions;
        statistics.quarantined = upkeep.quarantined;
        statistics.remotes = upkeep.remotes;
    }
    let in_flight = |purpose| taken.in_flight.get(&purpose).copied().unwrap_or(0);
    statistics.requests =
        RequestStatistics::of(Purpose::Serving, &groups, in_flight(Purpose::Serving));
    statistics.warming = WarmingStatistics::of(&groups, in_flight(Purpose::Warming));
    let counted_since: Option<Timestamp> = get_json(index, SINCE)?;
    let since = counted_since.map(|since| since.max(statistics.since));
    statistics.requests.since = since;
    statistics.warming.requests.since = since;
    Ok(statistics)
}
