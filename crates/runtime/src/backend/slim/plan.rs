//! Which computations of an executable are removed, and which are reduced to a stub?

use std::collections::{HashMap, HashSet};

use super::NotSlimmed;
use super::buffers::{Allocation, Buffers};
use super::module::{Computation, Module};

/// The computations to remove or to reduce.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Bodies of fusions of which only the parameters are kept, with constants in place of the
    /// results.
    pub(super) stubbed: HashSet<u64>,
    /// Computations that are removed as a whole.
    pub(super) dropped: HashSet<u64>,
}

impl Plan {
    pub(super) fn new(
        module: &Module<'_>,
        buffers: &Buffers<'_>,
        pinned: &HashSet<u64>,
        operations: u64,
    ) -> Result<Self, NotSlimmed> {
        let mut callers: HashMap<u64, (usize, bool)> = HashMap::new();
        let (mut read_again, mut called_by_pinned) = (HashSet::new(), Vec::new());
        for caller in module.computations.iter().flat_map(|computation| &computation.instructions) {
            for called in &caller.calls {
                let (count, all_kernels) = callers.entry(*called).or_insert((0, true));
                *count += 1;
                *all_kernels &= caller.is_kernel_fusion();
            }
            if pinned.contains(&caller.id) {
                called_by_pinned.extend(&caller.calls);
            }
        }
        for instruction in pinned {
            let missing =
                NotSlimmed::Inconsistent { what: "the instruction of a thunk does not exist" };
            read_again.insert(*module.owner.get(instruction).ok_or(missing)?);
        }
        read_again.extend(module.reachable(called_by_pinned, &HashSet::new()));
        let owners = buffers.logical.iter().map(|(_, owner)| owner);
        let holds_buffers: HashSet<u64> = owners.chain(&buffers.aliased).copied().collect();
        let may_be_stub = |one: &&Computation<'_>| {
            one.id != module.entry
                && callers.get(&one.id) == Some(&(1, true))
                && !read_again.contains(&one.id)
                && !holds_buffers.contains(&one.id)
                && !module.scheduled.contains(&one.id)
                && one.is_plain_body()
        };
        let mut stubbed: HashSet<u64> =
            module.computations.iter().filter(may_be_stub).map(|one| one.id).collect();
        keep_enough_operations(module, operations, &mut stubbed);
        let dropped = Self::dropped(module, buffers, &stubbed);
        Ok(Self { stubbed, dropped })
    }

    /// The computations that nothing calls any more, if their buffers can be removed with them:
    /// either all of these computations or none.
    fn dropped(module: &Module<'_>, buffers: &Buffers<'_>, stubbed: &HashSet<u64>) -> HashSet<u64> {
        let before = module.reachable([module.entry], &HashSet::new());
        // A computation that was never called stays; its reason to exist is not known.
        let uncalled =
            module.computations.iter().map(|one| one.id).filter(|id| !before.contains(id));
        let after = module.reachable(uncalled.chain([module.entry]), stubbed);
        let dropped: HashSet<u64> = before.difference(&after).copied().collect();
        let goes_whole = |one: &Allocation<'_>| {
            one.computations.is_disjoint(&dropped)
                || (one.is_thread_local && one.computations.is_subset(&dropped))
        };
        let nothing_stays =
            buffers.aliased.is_disjoint(&dropped) && buffers.allocations.iter().all(goes_whole);
        if nothing_stays { dropped } else { HashSet::new() }
    }
}

/// Removes bodies from `stubbed` if too few operations would be left without them. While XLA:CPU
/// loads an executable, it counts the operations. It runs an executable with few of them in the
/// caller's thread, and any other in a separate thread, and slimming must not change this choice.
/// So one body is kept that has enough operations by itself, or all bodies if no body has enough.
fn keep_enough_operations(module: &Module<'_>, operations: u64, stubbed: &mut HashSet<u64>) {
    let enough = |one: &&Computation<'_>| one.operations() >= operations;
    // XLA always counts these: the entry, and the computations that it calls unconditionally.
    let mut pending = vec![module.entry];
    let mut counted = HashSet::new();
    let mut bodies = Vec::new();
    while let Some(computation) = pending.pop().and_then(|id| module.get(id)) {
        if !counted.insert(computation.id) {
            continue;
        }
        if enough(&computation) {
            return;
        }
        for one in &computation.instructions {
            match one.opcode {
                b"call" | b"while" => pending.extend(&one.calls),
                b"fusion" => {
                    bodies.extend(one.calls.iter().filter_map(|id| module.get(*id)).filter(enough));
                }
                _ => {}
            }
        }
    }
    if bodies.iter().any(|body| !stubbed.contains(&body.id)) {
        return;
    }
    match bodies.iter().min_by_key(|body| body.message.length()) {
        Some(body) => drop(stubbed.remove(&body.id)),
        None => stubbed.clear(),
    }
}
