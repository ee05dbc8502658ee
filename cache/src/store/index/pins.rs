//! Which graphs are never evicted? A graph stays if it is pinned, either by its own key or through
//! a request that led to it.
//!
//! The stored use of a graph names the requests that pin the graph. An entry with the key `i`,
//! request, graph key leads from such a request back to the graph. This entry is needed because the
//! graph's record drops the request once sixty-four newer requests have led to the graph.

use std::collections::BTreeSet;

use super::entries::{Usage, graph_at_end, key, load_record, load_usage, store_usage};
use super::transaction::{Fault, Transaction};
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::record::RecordedSignature;

fn kept_by(request: &Digest, graph: &GraphKey) -> Vec<u8> {
    key(b'i', &[request, &graph.0])
}

/// If a request is pinned, pins the graph that it led to.
pub(super) fn pin_by(
    index: &mut Transaction,
    graph: &GraphKey,
    signature: &RecordedSignature,
    usage: &mut Usage,
) -> Result<(), Fault> {
    let request = signature.signature.digest();
    if !usage.pinned_by.contains(&request) && index.get(&key(b'i', &[&request]))?.is_some() {
        index.put(kept_by(&request, graph), Vec::new());
        usage.pinned_by.push(request);
    }
    Ok(())
}

/// Removes the pins that requests gave to a graph.
pub(super) fn let_go(index: &mut Transaction, graph: &GraphKey, usage: &mut Usage) {
    for request in std::mem::take(&mut usage.pinned_by) {
        index.remove(kept_by(&request, graph));
    }
}

/// Pins a graph by its own key, or unpins it. Unpinning also removes the pins of all requests that
/// led to it so far.
pub(super) fn set_pinned(
    index: &mut Transaction,
    graph: &GraphKey,
    pinned: bool,
) -> Result<bool, Fault> {
    let Some(record) = load_record(index, graph)? else { return Ok(false) };
    let mut usage = Usage { pinned, ..load_usage(index, graph)? };
    if !pinned {
        let_go(index, graph, &mut usage);
    }
    store_usage(index, &record, usage)?;
    Ok(true)
}

/// Pins or unpins all graphs that a request led to or will lead to. Returns how many graphs the
/// request leads to now.
pub(super) fn set_request_pinned(
    index: &mut Transaction,
    request: &Digest,
    pinned: bool,
) -> Result<u64, Fault> {
    let whole = key(b'i', &[request]);
    let led_to = index.scan(&key(b's', &[request]))?;
    let kept = index.scan(&whole)?.into_iter().filter(|(entry, _)| *entry != whole);
    let graphs: BTreeSet<GraphKey> =
        led_to.into_iter().chain(kept).filter_map(|(entry, _)| graph_at_end(&entry)).collect();
    if pinned {
        index.put(whole, Vec::new());
    } else {
        index.remove(whole);
    }
    let mut changed = 0;
    for graph in graphs {
        if pinned {
            index.put(kept_by(request, &graph), Vec::new());
        } else {
            index.remove(kept_by(request, &graph));
        }
        let Some(record) = load_record(index, &graph)? else { continue };
        let mut usage = load_usage(index, &graph)?;
        usage.pinned_by.retain(|one| one != request);
        usage.pinned_by.extend(pinned.then_some(*request));
        store_usage(index, &record, usage)?;
        changed += 1;
    }
    Ok(changed)
}
