//! Which parts of a serialised HLO module are hashed?
//!
//! The message is read at the level of protobuf's wire format. Fields that change no code are
//! skipped, by the numbers that they have in `xla/service/hlo.proto` and `xla/xla_data.proto`.
//! Every other field, known or unknown, is kept byte by byte:
//!
//! | message | left out |
//! |---|---|
//! | `HloModuleProto` | `name` (1); `id` (5), a count of the modules that the process has made; `stack_frame_index` (17), the table of source positions |
//! | `HloInstructionProto` | `statistics_viz` (82): numbers for drawings; of `metadata` (7) the fields below |
//! | `OpMetadata` | `op_type` (1), `op_name` (2), `source_file` (3), `source_line` (4), `stack_frame_id` (15), `source_end_line` (17), `source_column` (18), `source_end_column` (19) |
//!
//! A message that has parts left out is hashed without its length, since the length depends on the
//! parts that are left out. A zero byte at its end takes the place of the length, since no field
//! starts with a zero byte. So the hashed bytes can be decoded again without ambiguity, and equal
//! hashes mean equal remainders.

use super::Sink;

/// What happens to each field of one kind of message.
struct Rules {
    left_out: &'static [u64],
    looked_into: Option<(u64, &'static Rules)>,
    /// Whether the message itself is left out if none of its fields is kept, so that an empty
    /// message counts the same as a missing one.
    left_out_when_empty: bool,
}

const MODULE: Rules = Rules {
    left_out: &[1, 5, 17],
    looked_into: Some((3, &COMPUTATION)),
    left_out_when_empty: false,
};
const COMPUTATION: Rules =
    Rules { left_out: &[], looked_into: Some((2, &INSTRUCTION)), left_out_when_empty: false };
const INSTRUCTION: Rules =
    Rules { left_out: &[82], looked_into: Some((7, &METADATA)), left_out_when_empty: false };
const METADATA: Rules =
    Rules { left_out: &[1, 2, 3, 4, 15, 17, 18, 19], looked_into: None, left_out_when_empty: true };

/// Whether bytes are an `HloModuleProto`: they follow the wire format to the end, and the module
/// has an entry and an instruction with an opcode.
pub(super) fn looks_like_hlo(bytes: &[u8]) -> bool {
    let Some(module) = fields(bytes).collect::<Option<Vec<_>>>() else { return false };
    let text =
        |field: &Field| field.content.is_some_and(|content| std::str::from_utf8(content).is_ok());
    let names_are_text = module.iter().filter(|field| matches!(field.number, 1 | 2)).all(text);
    let has_entry = module.iter().any(|field| matches!(field.number, 2 | 6));
    let computation = module.iter().find(|field| field.number == 3);
    let opcode = computation
        .and_then(|field| first_within(field, 2))
        .and_then(|instruction| first_within(&instruction, 2));
    names_are_text && has_entry && opcode.is_some_and(|field| text(&field))
}

/// The first field with this number in the message that `field` holds.
fn first_within<'a>(field: &Field<'a>, number: u64) -> Option<Field<'a>> {
    let inner: Option<Vec<Field<'a>>> = fields(field.content?).collect();
    inner?.into_iter().find(|field| field.number == number)
}

/// Adds the kept parts of a module to `sink`; returns `None` if the module does not follow the wire
/// format.
pub(super) fn hash_normalised(bytes: &[u8], sink: &mut Sink) -> Option<()> {
    message(bytes, &MODULE, sink)
}

fn message(bytes: &[u8], rules: &Rules, sink: &mut Sink) -> Option<()> {
    // Adjacent fields that are kept are added as one piece.
    let (mut kept_from, mut at) = (0, 0);
    for field in fields(bytes) {
        let field = field?;
        let (start, end) = (at, at + field.whole.len());
        at = end;
        let inner =
            rules.looked_into.filter(|(number, _)| *number == field.number).map(|(_, inner)| inner);
        if let Some(inner) = inner {
            let content = field.content?;
            sink.add(&bytes[kept_from..start]);
            kept_from = end;
            if !(inner.left_out_when_empty && is_left_out(content, inner)?) {
                sink.add(field.tag);
                message(content, inner, sink)?;
                sink.add(&[0]);
            }
        } else if rules.left_out.contains(&field.number) {
            sink.add(&bytes[kept_from..start]);
            kept_from = end;
        }
    }
    sink.add(&bytes[kept_from..]);
    Some(())
}

/// Whether all fields of a message are left out.
fn is_left_out(bytes: &[u8], rules: &Rules) -> Option<bool> {
    for field in fields(bytes) {
        if !rules.left_out.contains(&field?.number) {
            return Some(false);
        }
    }
    Some(true)
}

/// One field of a message.
pub(crate) struct Field<'a> {
    pub(crate) number: u64,
    pub(crate) tag: &'a [u8],
    pub(crate) whole: &'a [u8],
    /// The content of a length-delimited field.
    pub(crate) content: Option<&'a [u8]>,
}

/// The fields of a message. If the wire format is broken, the last item is `None`.
pub(crate) fn fields(bytes: &[u8]) -> impl Iterator<Item = Option<Field<'_>>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = split_field(rest);
        rest = field.as_ref().map_or(&[], |field| &rest[field.whole.len()..]);
        Some(field)
    })
}

fn split_field(bytes: &[u8]) -> Option<Field<'_>> {
    let (tag, after_tag) = varint(bytes)?;
    let tag_bytes = &bytes[..bytes.len() - after_tag.len()];
    let number = tag >> 3;
    if number == 0 {
        return None;
    }
    let (content, rest) = match tag & 7 {
        0 => (None, varint(after_tag)?.1),
        1 => (None, after_tag.get(8..)?),
        2 => {
            let (length, content) = varint(after_tag)?;
            let (content, rest) = content.split_at_checked(usize::try_from(length).ok()?)?;
            (Some(content), rest)
        }
        5 => (None, after_tag.get(4..)?),
        // These wire types are groups, which XLA never writes, or are not defined.
        _ => return None,
    };
    Some(Field { number, tag: tag_bytes, whole: &bytes[..bytes.len() - rest.len()], content })
}

pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}
