//! How are protocol buffers read and written, so that the bytes of all kept fields stay the same?

use std::ops::RangeInclusive;

use super::NotSlimmed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Value<'a>,
    /// Key and value as they stand in the file.
    pub(super) raw: &'a [u8],
}

/// The fields of one message, in the order of the file.
pub(super) struct Message<'a> {
    name: &'static str,
    length: usize,
    fields: Vec<Field<'a>>,
}

impl<'a> Message<'a> {
    /// Reads a message that has no other fields than the `known` ones.
    pub(super) fn read(
        bytes: &'a [u8],
        name: &'static str,
        known: RangeInclusive<u32>,
    ) -> Result<Self, NotSlimmed> {
        let mut fields = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let field = take_field(&mut rest).ok_or(NotSlimmed::Malformed { message: name })?;
            if !known.contains(&field.number) {
                return Err(NotSlimmed::UnknownField { message: name, field: field.number });
            }
            fields.push(field);
        }
        Ok(Self { name, length: bytes.len(), fields })
    }

    pub(super) fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The number of bytes that the message has in the file.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn has(&self, number: u32) -> bool {
        self.of(number).next().is_some()
    }

    fn of(&self, number: u32) -> impl Iterator<Item = Value<'a>> {
        self.fields.iter().filter(move |field| field.number == number).map(|field| field.value)
    }

    fn once(&self, number: u32) -> Result<Value<'a>, NotSlimmed> {
        let mut values = self.of(number);
        let not_once = NotSlimmed::NotOnce { message: self.name, field: number };
        let value = values.next().ok_or_else(|| not_once.clone())?;
        if values.next().is_some() { Err(not_once) } else { Ok(value) }
    }

    fn unknown(&self, field: u32) -> NotSlimmed {
        NotSlimmed::UnknownField { message: self.name, field }
    }

    /// The string or message of a field that must be there exactly once.
    pub(super) fn bytes(&self, number: u32) -> Result<&'a [u8], NotSlimmed> {
        let Value::Bytes(bytes) = self.once(number)? else { return Err(self.unknown(number)) };
        Ok(bytes)
    }

    /// The number of a field that must be there exactly once.
    pub(super) fn varint(&self, number: u32) -> Result<u64, NotSlimmed> {
        let Value::Varint(value) = self.once(number)? else { return Err(self.unknown(number)) };
        Ok(value)
    }

    /// The number of a field; a missing field is zero.
    pub(super) fn varint_or_zero(&self, number: u32) -> Result<u64, NotSlimmed> {
        if self.has(number) { self.varint(number) } else { Ok(0) }
    }

    /// Each string or message of a repeated field.
    pub(super) fn every(&self, number: u32) -> impl Iterator<Item = Result<&'a [u8], NotSlimmed>> {
        self.of(number).map(move |value| match value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.unknown(number)),
        })
    }

    /// The numbers of a repeated field, which may be packed or not.
    pub(super) fn numbers(&self, number: u32) -> Result<Vec<u64>, NotSlimmed> {
        let mut numbers = Vec::new();
        for value in self.of(number) {
            match value {
                Value::Varint(value) => numbers.push(value),
                Value::Bytes(mut packed) => {
                    while !packed.is_empty() {
                        let malformed = NotSlimmed::Malformed { message: self.name };
                        numbers.push(take_varint(&mut packed).ok_or(malformed)?);
                    }
                }
                Value::Fixed => return Err(self.unknown(number)),
            }
        }
        Ok(numbers)
    }

    /// The message, with the content of the fields in `replaced` replaced by other bytes.
    pub(super) fn with(&self, replaced: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let mut written = Vec::with_capacity(self.length);
        for field in &self.fields {
            match replaced.iter().find(|(number, _)| *number == field.number) {
                Some((number, bytes)) => put_bytes(&mut written, *number, bytes),
                None => written.extend_from_slice(field.raw),
            }
        }
        written
    }

    /// The message without one of its fields.
    pub(super) fn without(&self, number: u32) -> Vec<u8> {
        self.fields
            .iter()
            .filter(|field| field.number != number)
            .flat_map(|field| field.raw)
            .copied()
            .collect()
    }
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let start = *rest;
    let key = u32::try_from(take_varint(rest)?).ok()?;
    let value = match key & 7 {
        0 => Value::Varint(take_varint(rest)?),
        1 => take(rest, 8).map(|_| Value::Fixed)?,
        2 => {
            let length = usize::try_from(take_varint(rest)?).ok()?;
            Value::Bytes(take(rest, length)?)
        }
        5 => take(rest, 4).map(|_| Value::Fixed)?,
        _ => return None,
    };
    let raw = start.get(..start.len() - rest.len())?;
    Some(Field { number: key >> 3, value, raw })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, left) = rest.split_first()?;
        *rest = left;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn put_varint(written: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        written.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    written.push(value.to_le_bytes()[0]);
}

pub(super) fn put_bytes(written: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(written, u64::from(number) << 3 | 2);
    put_varint(written, bytes.len() as u64);
    written.extend_from_slice(bytes);
}

/// Whether `word` is one of `words`, which are separated by spaces.
pub(super) fn is_one_of(words: &str, word: &[u8]) -> bool {
    words.split_ascii_whitespace().any(|one| one.as_bytes() == word)
}
