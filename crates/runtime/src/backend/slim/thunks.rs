//! Which instructions of the HLO module do thunks still need?

use std::collections::HashSet;

use super::NotSlimmed;
use super::wire::{Message, is_one_of};

/// How deeply call, while and conditional thunks may be nested.
const MAX_THUNK_DEPTH: usize = 64;

/// All kinds of thunks. XLA:CPU uses XNNPACK's on some processors. Of these, the plugin builds that
/// are slimmed serialise only products of matrices, which name no instruction of the HLO module.
const THUNKS: &str = "\
    all-gather all-reduce all-to-all call collective-permute conditional convolution copy custom-call dot \
    fft infeed kernel outfeed partition-id reduce-scatter replica-id rng-get-and-update-state sort topk \
    while xnn-fusion ynn-fusion";

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
        for xnn_fusion in thunk.every(6) {
            let xnn_fusion = Message::read(xnn_fusion?, "a thunk of XNNPACK", 1..=2)?;
            Message::read(xnn_fusion.bytes(2)?, "a product of XNNPACK", 1..=5)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn sequence(implementation: &[u8]) -> Vec<u8> {
        field(1, &[field(1, b"xnn-fusion"), field(6, implementation)].concat())
    }

    #[test]
    fn a_product_of_xnnpack_pins_nothing_and_its_other_thunks_are_refused() {
        let options = field(1, &[8, 1]);
        let product = [field(1, b""), field(2, b""), field(3, b""), field(4, b""), vec![40, 1]];
        let product = field(2, &product.concat());
        let both = [options.clone(), product.clone()].concat();
        assert_eq!(pinned_instructions(&sequence(&both)).unwrap(), HashSet::new());
        let unknown_field = field(2, &field(6, b""));
        for other in [options, field(3, b""), [product.clone(), product].concat(), unknown_field] {
            assert!(pinned_instructions(&sequence(&other)).is_err(), "{other:?}");
        }
    }
}
