use super::*;
use crate::hash::Digest;
use crate::program::Form;

/// A program that JAX exported, as described in tests/programs/devices/export.py.
const JAX: &[u8] = include_bytes!("../../../../../tests/programs/devices/matmul_four_gspmd.mlirbc");

fn digest(bytes: &[u8]) -> Option<Digest> {
    Sink::attempt(Form::Operations, |sink| hash(bytes, sink))
}

/// Two programs that JAX exported, in tests/programs/pairs/; `$name` says in what they differ.
macro_rules! pair {
    ($name:literal) => {
        [
            &include_bytes!(concat!(
                "../../../../../tests/programs/pairs/",
                $name,
                "_mlirbc.a.mlirbc"
            ))[..],
            &include_bytes!(concat!(
                "../../../../../tests/programs/pairs/",
                $name,
                "_mlirbc.b.mlirbc"
            ))[..],
        ]
    };
}

#[test]
fn what_jax_writes_is_understood() {
    assert!(digest(JAX).is_some());
    let shardy =
        &include_bytes!("../../../../../tests/programs/devices/matmul_four_shardy.mlirbc")[..];
    assert!(digest(shardy).is_some());
    assert_ne!(digest(JAX), digest(shardy));
}

#[test]
fn source_places_and_the_name_of_the_module_are_left_out() {
    for [one, other] in [pair!("moved_line"), pair!("other_file"), pair!("module_name")] {
        assert_ne!(one, other);
        assert_eq!(digest(one), digest(other));
        assert!(digest(one).is_some());
    }
}

#[test]
fn what_changes_code_is_kept() {
    for [one, other] in [pair!("constant"), pair!("donation")] {
        assert_ne!(digest(one).unwrap(), digest(other).unwrap());
    }
}

#[test]
fn an_unknown_kind_or_operation_is_not_understood() {
    // If a dialect's name is not known, all its attributes are unknown.
    let of = |from: &[u8], to: &[u8]| {
        let at = JAX.windows(from.len()).position(|window| window == from).unwrap();
        digest(&[&JAX[..at], to, &JAX[at + from.len()..]].concat())
    };
    assert!(of(b"vhlo\0", b"vhlp\0").is_none());
    assert!(of(b"builtin\0", b"builtim\0").is_none());
    // A newer version of the format.
    assert!(of(&JAX[..5], &[&JAX[..4], &[0x0f][..]].concat()).is_none());
}

#[test]
fn no_changed_byte_is_a_panic() {
    let mut bytes = JAX.to_vec();
    for at in (0..bytes.len()).step_by(7) {
        let before = bytes[at];
        for value in [0, 1, 0x7f, 0xff, before.wrapping_add(1)] {
            bytes[at] = value;
            digest(&bytes);
        }
        bytes[at] = before;
        digest(&bytes[..at]);
    }
}
