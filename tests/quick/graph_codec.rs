//! Are graphs read back from bytes as they were written, and are all other bytes an error?

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::op_suite;

use std::collections::BTreeSet;

use op_suite::cases::cases;
use preheat::{Digest, Dtype};
use preheat_ir::graph::{CodecError, Verified};

/// The number of bytes before the function: they hold the magic number, the version and the length.
const HEADER_BYTES: usize = 20;

#[test]
fn every_op_is_read_back_as_it_was() {
    for case in cases() {
        let bytes = case.function.encode().unwrap();
        assert_eq!(Verified::decode(&bytes).unwrap(), case.function, "{}", case.name);
    }
}

/// If a digest differs, either the format changed, which needs a new `VERSION`, or the case itself
/// changed. Each case has its own digest, so a case that is added for a new op does not change the
/// other digests. These show whether the new op changed the positions of other ops.
#[test]
fn the_format_is_pinned() {
    let cases = cases();
    let ops = |function: &Verified| {
        function.nodes().iter().map(|node| node.op.name()).collect::<BTreeSet<_>>()
    };
    let mut covered = BTreeSet::new();
    let mut changed = Vec::new();
    for (name, pinned) in PINNED {
        let case = cases.iter().find(|case| case.name == *name);
        let case = case.unwrap_or_else(|| panic!("there is no case {name:?}"));
        covered.extend(ops(&case.function));
        let found = Digest::of(&case.function.encode().unwrap()).to_string();
        if found != *pinned {
            changed.push(format!("    (\"{name}\", \"{found}\"),"));
        }
    }
    assert!(
        changed.is_empty(),
        "these graphs have other bytes than in older stores:\n{}",
        changed.join("\n")
    );
    let all: BTreeSet<_> = cases.iter().flat_map(|case| ops(&case.function)).collect();
    assert_eq!(covered, all, "each op is in a pinned case");
}

/// Cases that together use every op, each with the digest of its bytes. The bytes hold the
/// positions of ops and element types in their enums.
const PINNED: &[(&str, &str)] = &[
    ("block in bfloat16", "7474899e563d84cd49b7587619d224a32d0d1c9d6bbef05a6fa78252a31a70f9"),
    ("arithmetic", "89d37410c9b52c54e202dfab3053ad02e17872c26ebc97e2b0ae510835b03dd5"),
    ("literal", "aa5aa2963be2aee94443d076f57580537fde97ab73e58becf688eff91ecbdb01"),
    ("exp", "d223628b2f23ddf30dca8d0343e64eaa3b8eeefdb58c542d1c045322d09edaf2"),
    ("sin", "485070f02c76369e7c7f7720f533424ec68ceadf1369e667633ec148211ecf43"),
    ("cos", "3fa9b5a10d07ac8ae6ac77b98cc52726c914f4fdd184383e8103f15449bf51ee"),
    ("sigmoid", "a5fdef2f9d0e40ffb474908edd2f30f146e534334c6c389dea1dadeadcf8bbbf"),
    ("quick_gelu", "448d25ea3eecb944cdf563f86ba295aea63a806def1de02ec4c3c3c403c4f3b1"),
    ("broadcast", "9f6eba0873cf33c24f56dbed8fc7ddb8ad6e3ddc093d6213b42cc61f3f768c54"),
    ("embedding", "3b79f30a8ab7b7cd2d1c5adf24134b1da1e88dec568b0d18e739de0f4e82425d"),
    ("select_row", "38523f1b083fe834ccf16a6e2bf45f6a1b395161e67ce7de0678558025e5416d"),
    ("causal attention", "e052eac7325238f115f16866c9ee2e7469b32fde4c0b95290029978833d1fe19"),
];

/// A graph's bytes contain the positions of element types in their enum. So a new type has to be
/// added after all others.
#[test]
fn element_types_keep_their_places() {
    const PLACES: &str = "bfloat16 float16 float32 float64 float8e4m3fn float8e5m2 int8 int16 \
                          int32 int64 \
        uint8 uint16 uint32 uint64 bool complex64 complex128 int2 int4 uint2 uint4 \
        float4e2m1fn float8e3m4 float8e4m3 float8e4m3fnuz float8e4m3b11fnuz \
        float8e5m2fnuz float8e8m0fnu token";
    let names: Vec<_> = Dtype::ALL.iter().map(|dtype| dtype.name()).collect();
    let known = PLACES.split_whitespace().count();
    assert_eq!(names[..known.min(names.len())].join(" "), PLACES, "a type moved");
    assert_eq!(names.len(), known, "add the names of new types at the end of `PLACES`");
    for (place, dtype) in (0..).zip(Dtype::ALL) {
        assert_eq!(*dtype as u8, place, "{dtype}");
    }
}

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

/// Changes each byte in several ways, and cuts bytes out. `decode` must never panic, and what it
/// accepts must be a valid graph.
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
    // Insert numbers that are so large that computations with them overflow.
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
    assert!(taken > 0, "some changes are accepted, because a name may contain any bytes");
}
