//! Which instructions of the HLO module do thunks still need?

use std::collections::HashSet;

use super::NotSlimmed;
use super::wire::{Message, is_one_of};

/// How deeply call, while and conditional thunks may be nested.
const MAX_THUNK_DEPTH: usize = 64;

/// All kinds of thunks except XNNPACK's, which the plugin builds that are slimmed cannot serialise.
const THUNKS: &str = "\
    all-gather all-reduce all-to-all call collective-permute conditional convolution copy custom-call dot \
    fft infeed kernel outfeed partition-id reduce-scatter replica-id rng-get-and-update-state sort topk \
    while ynn-fusion";

/// The instructions of the HLO module that thunks look up while they are loaded. YNNPACK's thunks,
/// for example, are built again from their instructions.
pub(super) fn pinned_instructions(sequence: &[u8]) -> Result<HashSet<u64>, NotSlimmed> {
    let mut pinned = HashSet::new();
    read_sequence(sequence, 0, &mut pinned)?;
    Ok(pinned)
}

fn read_sequence(
    sequence: &[u8],
    depth: usize,
    pinned: &mut HashSet<u64>,
) -> Result<(), NotSlimmed> {
    if depth > MAX_THUNK_DEPTH {
        return Err(NotSlimmed::Inconsistent { what: "thunks lie in each other too deeply" });
    }
    for thunk in Message::read(sequence, "a thunk sequence", 1..=2)?.every(1) {
        let thunk = Message::read(thunk?, "a thunk", 1..=21)?;
        if !is_one_of(THUNKS, thunk.bytes(1)?) {
            return Err(NotSlimmed::Inconsistent { what: "a thunk is of an unknown kind" });
        }
        for ynn_fusion in thunk.every(21) {
            pinned.insert(Message::read(ynn_fusion?, "a YNNPACK thunk", 1..=4)?.varint(2)?);
        }
        // The nested sequences: of a call, of a conditional's branches, of a loop's condition and
        // body.
        for (implementation, last_field, sequences) in
            [(3, 1, 1..=1), (4, 2, 1..=1), (10, 4, 1..=2)]
        {
            for inner in thunk.every(implementation) {
                let inner = Message::read(inner?, "a thunk of thunks", 1..=last_field)?;
                for sequence in sequences.clone().flat_map(|field| inner.every(field)) {
                    read_sequence(sequence?, depth + 1, pinned)?;
                }
            }
        }
    }
    Ok(())
}
