//! Graphs as bytes: what is written is read back, and whatever else is read is an error.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::op_suite;

use std::collections::BTreeSet;

use op_suite::cases::cases;
use preheat::Digest;
use preheat::graph::{CodecError, Verified};

/// The bytes before the function: magic, version, length.
const HEADER_BYTES: usize = 20;

#[test]
fn every_op_is_read_back_as_it_was() {
    for case in cases() {
        let bytes = case.function.encode().unwrap();
        assert_eq!(Verified::decode(&bytes).unwrap(), case.function, "{}", case.name);
    }
}

/// The format is that of version 1. Where this fails, the format changed, and takes the next
/// `VERSION`; or one of these cases did.
#[test]
fn the_format_is_pinned() {
    let cases = cases();
    let pinned: Vec<_> = PINNED_CASES
        .iter()
        .filter_map(|name| cases.iter().find(|case| case.name == *name))
        .collect();
    assert_eq!(pinned.len(), PINNED_CASES.len());
    let ops = |function: &Verified| {
        function.nodes().iter().map(|node| node.op.name()).collect::<BTreeSet<_>>()
    };
    let all: BTreeSet<_> = cases.iter().flat_map(|case| ops(&case.function)).collect();
    let covered: BTreeSet<_> = pinned.iter().flat_map(|case| ops(&case.function)).collect();
    assert_eq!(covered, all, "an op that no pinned case has");
    let bytes: Vec<u8> = pinned.iter().flat_map(|case| case.function.encode().unwrap()).collect();
    assert_eq!(Digest::of(&bytes).to_string(), PINNED);
}

const PINNED: &str = "da6d5083bd0bd3927416cebca63e93f11c81cb5083c87b63c757e001accdf2cd";
const PINNED_CASES: &[&str] = &[
    "block in bfloat16",
    "arithmetic",
    "literal",
    "exp",
    "sin",
    "cos",
    "sigmoid",
    "quick_gelu",
    "broadcast",
    "embedding",
    "select_row",
    "causal attention",
];

fn whole() -> Vec<u8> {
    let block = cases().into_iter().find(|case| case.name == "block").unwrap();
    block.function.encode().unwrap()
}

#[test]
fn what_is_no_graph_is_said_so() {
    let bytes = whole();
    assert_eq!(Verified::decode(b""), Err(CodecError::NoGraph));
    assert_eq!(Verified::decode(b"module @main {}"), Err(CodecError::NoGraph));
    assert_eq!(Verified::decode(&bytes[..HEADER_BYTES - 1]), Err(CodecError::NoGraph));
    let mut newer = bytes.clone();
    newer[8] = 9;
    assert_eq!(Verified::decode(&newer), Err(CodecError::Version { found: 9 }));
    let cut = Verified::decode(&bytes[..bytes.len() - 1]);
    assert!(matches!(cut, Err(CodecError::Length { .. })), "{cut:?}");
    let mut longer = bytes.clone();
    longer.push(0);
    let length = (longer.len() - HEADER_BYTES) as u64;
    longer[12..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    let longer = Verified::decode(&longer);
    assert!(matches!(longer, Err(CodecError::Damaged { .. })), "{longer:?}");
}

/// Each byte changed in several ways, and bytes cut out: never a panic, and what is taken keeps
/// every rule.
#[test]
fn hostile_bytes_are_errors_or_graphs() {
    let bytes = whole();
    let (mut refused, mut taken) = (0, 0);
    let mut check = |hostile: &[u8]| match Verified::decode(hostile) {
        Ok(function) => {
            taken += 1;
            let again = function.encode().unwrap();
            assert_eq!(Verified::decode(&again).unwrap(), function);
        }
        Err(_) => refused += 1,
    };
    for at in 0..bytes.len() {
        for change in [1, 0x80, 0xff, 0x7f] {
            let mut hostile = bytes.clone();
            hostile[at] ^= change;
            check(&hostile);
        }
        let mut hostile = bytes.clone();
        hostile.remove(at);
        let length = (hostile.len() - HEADER_BYTES.min(hostile.len())) as u64;
        if at >= HEADER_BYTES {
            hostile[12..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
        }
        check(&hostile);
    }
    // Numbers that overflow whatever is computed with them.
    for at in (HEADER_BYTES..bytes.len()).step_by(3) {
        let mut hostile = bytes[..at].to_vec();
        hostile.extend([0xff; 9]);
        hostile.push(1);
        hostile.extend(&bytes[at + 1..]);
        let length = (hostile.len() - HEADER_BYTES) as u64;
        hostile[12..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
        check(&hostile);
    }
    assert!(refused > bytes.len(), "{refused} refused, {taken} taken");
    assert!(taken > 0, "names may be anything");
}
