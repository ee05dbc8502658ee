//! Why do two processes write the same HLO module as different bytes, and how are the bytes made
//! equal? The entries of the module's maps are sorted.
//!
//! Protocol buffers write the entries of a map in the order of a hash table, whose seed is
//! different in every process. So the bytes of one graph differ from process to process if an
//! operation has several attributes; the operations of the `xla` crate's `einsum2` have two. The
//! order of a map's entries has no meaning, so after sorting, equal graphs have equal bytes. No
//! length changes, so the entries are sorted in place.

/// The `map<string, string>` fields (`hlo.proto`, `xla_data.proto`): the frontend attributes of the
/// module, and the frontend attributes of an instruction. Each is given as the numbers of the
/// fields that lead to it. The only other map is in modules that are already compiled.
const MAPS: [&[u64]; 2] = [&[19, 1], &[3, 2, 68, 1]];

/// Sorts the entries of every map in the bytes of a module. If the bytes do not follow the wire
/// format, everything from the first wrong place on is left unchanged.
pub(super) fn sort_maps(module: &mut [u8]) {
    for path in MAPS {
        sort_along(module, path);
    }
}

fn sort_along(message: &mut [u8], path: &[u64]) {
    let Some((&number, rest)) = path.split_first() else { return };
    let fields = fields(message, number);
    if !rest.is_empty() {
        for field in fields {
            sort_along(&mut message[field.payload..field.end], rest);
        }
        return;
    }
    // A serialiser writes the entries of a map next to each other. Entries with something else
    // between them are not touched.
    let Some((first, last)) = fields.first().zip(fields.last()) else { return };
    if fields.windows(2).all(|pair| pair[0].end == pair[1].start) {
        let mut entries: Vec<&[u8]> =
            fields.iter().map(|field| &message[field.start..field.end]).collect();
        entries.sort_unstable();
        let sorted = entries.concat();
        message[first.start..last.end].copy_from_slice(&sorted);
    }
}

/// The place of a length-delimited field in a message: where its tag starts, where its payload
/// starts, and where the field ends.
#[derive(Clone, Copy)]
struct Field {
    start: usize,
    payload: usize,
    end: usize,
}

/// The length-delimited fields with this number.
fn fields(message: &[u8], number: u64) -> Vec<Field> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((tag, delimited, field)) = field_at(message, at) {
        if tag >> 3 == number && delimited {
            found.push(field);
        }
        at = field.end;
    }
    found
}

/// The field at `start`: its tag, whether it is length-delimited, and its place; `None` at the end,
/// and if the bytes are not a field.
fn field_at(message: &[u8], start: usize) -> Option<(u64, bool, Field)> {
    let (tag, after_tag) = varint(message, start)?;
    let (payload, end) = match tag & 7 {
        0 => (after_tag, varint(message, after_tag)?.1),
        1 => (after_tag, after_tag.checked_add(8)?),
        2 => {
            let (length, payload) = varint(message, after_tag)?;
            (payload, payload.checked_add(usize::try_from(length).ok()?)?)
        }
        5 => (after_tag, after_tag.checked_add(4)?),
        _ => return None,
    };
    (end <= message.len()).then_some((tag, tag & 7 == 2, Field { start, payload, end }))
}

/// The number at `start`, and the place where it ends.
fn varint(bytes: &[u8], start: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.get(start..)?.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, start + index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length-delimited field.
    fn field(number: u8, payload: &[u8]) -> Vec<u8> {
        let tag = if number < 16 {
            vec![number << 3 | 2]
        } else {
            vec![(number << 3 | 2) | 0x80, number >> 4]
        };
        [tag, vec![u8::try_from(payload.len()).unwrap()], payload.to_vec()].concat()
    }

    fn entry(key: &str, value: &str) -> Vec<u8> {
        field(1, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat())
    }

    fn module(instruction: &[Vec<u8>], of_module: &[Vec<u8>]) -> Vec<u8> {
        let name = field(1, b"dot");
        let id = vec![0x98, 2, 7];
        let instruction = field(2, &[name.clone(), field(68, &instruction.concat()), id].concat());
        [
            field(1, b"module"),
            field(3, &[name, instruction].concat()),
            field(19, &of_module.concat()),
        ]
        .concat()
    }

    #[test]
    fn entries_are_sorted_and_nothing_else_is() {
        let (x, y, z) = (
            entry("grad_x", "false"),
            entry("grad_y", "false"),
            entry("a", "longer than the others"),
        );
        let mut sorted = module(&[x.clone(), y.clone(), z.clone()], &[x.clone(), y.clone()]);
        let mut other = module(&[z, y.clone(), x.clone()], &[y, x]);
        assert_ne!(sorted, other);
        let before = other.clone();
        sort_maps(&mut sorted);
        sort_maps(&mut other);
        assert_eq!(sorted, other);
        let mut letters = [before, other];
        for bytes in &mut letters {
            bytes.sort_unstable();
        }
        assert_eq!(letters[0], letters[1], "no byte is lost");
    }

    #[test]
    fn other_values_stay_other_values() {
        let of = |value: &str| {
            let mut bytes = module(&[entry("k", value), entry("j", "1")], &[]);
            sort_maps(&mut bytes);
            bytes
        };
        assert_ne!(of("1"), of("2"));
    }

    #[test]
    fn nonsense_is_left_alone() {
        for nonsense in [
            &b""[..],
            b"\xff\xff\xff",
            b"\x1a\x7f\x12",
            b"\x1a\x02\x12\xff",
            &[0x80; 30],
            &[0x0b; 9],
        ] {
            let mut bytes = nonsense.to_vec();
            sort_maps(&mut bytes);
            assert_eq!(bytes, nonsense);
        }
    }
}
