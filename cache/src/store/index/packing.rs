//! How are small entries stored in sled? Kinds with many small entries are packed, several entries
//! to one value of sled.
//!
//! When sled is opened, it reads the place of each of its pages, and a page holds at most sixteen
//! entries, however small they are. Each transaction opens sled, so the cost of a transaction grows
//! with the number of entries: 20 ms for each 100,000. In the packed form, the first bits of an
//! entry's key decide in which value of sled the entry lies. So these values have the same order as
//! the keys of the entries in them.
//!
//! A packed value is a list of entries in the order of their keys. An entry consists of the length
//! of its key (2 bytes), the length of its value (4 bytes), both little-endian, the key and the
//! value.

use super::transaction::Fault;

/// The longest key of a packed value: the letter of the kind, and the first bits of what follows
/// it.
const LONGEST: usize = 5;

/// How many bits after the kind's letter decide where an entry lies. `None` if each entry has a
/// value of its own.
///
/// A packed value is rewritten for each change of an entry in it, so no packed value may grow long:
/// records are not packed.
fn bits(kind: u8) -> Option<u32> {
    match kind {
        b'k' => Some(13),
        b'q' | b'j' | b's' => Some(12),
        // A place in the order of eviction. These bits separate places that differ by twenty
        // minutes of age.
        b'v' => Some(32),
        _ => None,
    }
}

/// Where an entry lies, or would lie.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lies {
    /// In a value of its own.
    Alone,
    /// In the packed value under this key.
    In(Vec<u8>),
    /// The key is too short to name one packed value: keys that begin with it lie in several.
    InSeveral,
}

pub(super) fn lies(key: &[u8]) -> Lies {
    let Some((kind, rest)) = key.split_first() else { return Lies::InSeveral };
    let Some(bits) = bits(*kind) else { return Lies::Alone };
    let length = bits.div_ceil(8) as usize;
    let Some(first) = rest.get(..length) else { return Lies::InSeveral };
    let mut place = Vec::with_capacity(LONGEST);
    place.push(*kind);
    place.extend_from_slice(first);
    if let (Some(last), spare @ 1..) = (place.last_mut(), (8 - bits % 8) % 8) {
        *last &= u8::MAX << spare;
    }
    Lies::In(place)
}

/// The key of the last packed value that can hold keys up to this one, for a range that spans
/// several packed values.
pub(super) fn last_place(key: &[u8]) -> Vec<u8> {
    match lies(key) {
        Lies::In(place) => place,
        Lies::Alone | Lies::InSeveral => key.iter().copied().chain([u8::MAX; LONGEST]).collect(),
    }
}

/// A key and its value, as slices of the packed value.
pub(super) type Packed<'a> = (&'a [u8], &'a [u8]);

/// The entries of a packed value.
pub(super) fn unpack<'a>(place: &[u8], packed: &'a [u8]) -> Result<Vec<Packed<'a>>, Fault> {
    let damaged = || Fault::Damaged("a packed value cannot be split into its entries".into());
    let mut entries: Vec<Packed<'a>> = Vec::new();
    let mut rest = packed;
    while !rest.is_empty() {
        let (key_length, after) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (value_length, after) = after.split_first_chunk().ok_or_else(damaged)?;
        let (key, after) =
            after.split_at_checked(u16::from_le_bytes(*key_length).into()).ok_or_else(damaged)?;
        let length = usize::try_from(u32::from_le_bytes(*value_length)).map_err(|_| damaged())?;
        let (value, after) = after.split_at_checked(length).ok_or_else(damaged)?;
        let in_order = entries.last().is_none_or(|(before, _)| *before < key);
        if !in_order || lies(key) != Lies::In(place.to_vec()) {
            return Err(damaged());
        }
        entries.push((key, value));
        rest = after;
    }
    Ok(entries)
}

/// Adds an entry to the end of a packed value. The caller adds entries in the order of their keys.
pub(super) fn pack(packed: &mut Vec<u8>, key: &[u8], value: &[u8]) -> Result<(), Fault> {
    let too_long = |error: std::num::TryFromIntError| Fault::Io(std::io::Error::other(error));
    packed.extend(u16::try_from(key.len()).map_err(too_long)?.to_le_bytes());
    packed.extend(u32::try_from(value.len()).map_err(too_long)?.to_le_bytes());
    packed.extend_from_slice(key);
    packed.extend_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bits_decide_where_an_entry_lies() {
        let place = |key: &[u8]| match lies(key) {
            Lies::In(place) => place,
            other => panic!("{other:?}"),
        };
        assert_eq!(place(b"k\xab\xff..."), b"k\xab\xf8");
        assert_eq!(place(b"s\xab\xff..."), b"s\xab\xf0");
        assert_eq!(place(b"v\xab\xff\x01\x02\x03"), b"v\xab\xff\x01\x02");
        assert_eq!(lies(b"p\xab\xff"), Lies::Alone);
        assert_eq!(lies(b"s\xab"), Lies::InSeveral);
        assert_eq!(lies(b"s"), Lies::InSeveral);
    }

    #[test]
    fn what_is_packed_is_unpacked_and_nothing_else() {
        let mut packed = Vec::new();
        let entries: [(&[u8], &[u8]); 3] =
            [(b"k\x01\x03a", b"one"), (b"k\x01\x03b", b""), (b"k\x01\x03c", b"three")];
        for (key, value) in entries {
            pack(&mut packed, key, value).unwrap();
        }
        assert_eq!(unpack(b"k\x01\0", &packed).unwrap(), entries);
        assert!(unpack(b"k\x02\0", &packed).is_err(), "the entry belongs to another value");
        for length in 1..packed.len() {
            let ends = [13, 23].contains(&length);
            assert_eq!(unpack(b"k\x01\0", &packed[..length]).is_ok(), ends, "cut to {length}");
        }
        let mut twice = packed.clone();
        twice.extend_from_slice(&packed);
        assert!(unpack(b"k\x01\0", &twice).is_err(), "out of order");
    }
}
