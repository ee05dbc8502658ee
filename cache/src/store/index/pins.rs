//! What keeps a graph from being evicted? A pin does, on its own key or on a request that led to
//! it.
//!
//! A graph's use names the requests that pin it. The entry `i` request, graph key leads from such a
//! request back to the graph. It is needed because the graph's record forgets the request once
//! sixty-four newer requests have led to the graph.

use std::collections::BTreeSet;

use super::entries::{Usage, graph_at_end, key, load_record, load_usage, store_usage};
use super::transaction::{Fault, Transaction};
use crate::hash::Digest;
use crate::key::GraphKey;
use crate::record::RecordedSignature;

fn kept_by(request: &Digest, graph: &GraphKey) -> Vec<u8> {
    key(b'i', &[request, &graph.0])
}

/// If everything that a request leads to is pinned, notes that the request led to a graph.
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

/// Pins everything that a request led to or will lead to, or unpins it. Returns how many graphs it
/// leads to now.
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
