//! Which bytes of a program in bytecode change the code that it compiles to? These are the bytes of
//! its operations, in their order, and of everything that the operations refer to. Source locations
//! and the name of the module change no code.
//!
//! In the file, attributes, types and strings are referred to by numbers. A source location is an
//! attribute like any other, so one more location changes the numbers of other attributes.
//! Therefore the numbers in the file are not hashed. Where an attribute, a type or a string first
//! occurs, its content is hashed, and it gets the next number of a separate count. Where it occurs
//! again, this new number is hashed.
//!
//! A program is understood under two conditions. Every operation with properties is a module, an
//! operation of VHLO, or one of a few operations of Shardy. All attributes and types that
//! operations refer to are in text form or of the kinds in `references.rs`. If there is anything
//! else, the program is hashed whole, since an unknown part could refer to anything. Only
//! operations and arguments may refer to a location; any other reference to a location is not
//! understood.

use super::references::{self, Kind, Part};
use super::{Bytecode, DEPTH_LIMIT, Encoded, OperationName, Reader, has, index, section, since};
use crate::program::Sink;

/// The byte before each hashed piece; it ensures that no two lists of pieces have equal bytes.
mod mark {
    pub(super) const KNOWN: u8 = 0;
    pub(super) const NEW: u8 = 1;
    pub(super) const ABSENT: u8 = 2;
    pub(super) const TEXT_FORM: u8 = 3;
}

/// The operations of Shardy that are understood. None of them has an optional property.
const SHARDY: [&str; 6] = [
    "manual_computation",
    "mesh",
    "propagation_barrier",
    "reshard",
    "sharding_constraint",
    "sharding_group",
];

/// Adds the parts of a program that change its code; `None` if the program is not understood
/// completely.
pub(in crate::program) fn hash(bytes: &[u8], sink: &mut Sink) -> Option<()> {
    let program = Bytecode::read(bytes)?;
    let mut writer = Writer {
        strings: Numbers::new(program.strings.len()),
        attributes: Numbers::new(program.attributes.len()),
        types: Numbers::new(program.types.len()),
        names: Numbers::new(program.operations.len()),
        program: &program,
        sink,
        depth: 0,
    };
    let mut reader = Reader { bytes, at: program.ir.start, end: program.ir.end };
    writer.block(&mut reader)?;
    (reader.at == reader.end).then_some(())
}

/// The new numbers of the entries of one table, in the order in which the entries were met.
struct Numbers {
    own: Vec<Option<u32>>,
    met: u32,
}

impl Numbers {
    fn new(count: usize) -> Self {
        Self { own: vec![None; count], met: 0 }
    }

    /// The number of an entry, and whether it was met before.
    fn of(&mut self, entry: usize) -> Option<(u32, bool)> {
        let own = self.own.get_mut(entry)?;
        if let Some(number) = own {
            return Some((*number, true));
        }
        let number = self.met;
        *own = Some(number);
        self.met = number.checked_add(1)?;
        Some((number, false))
    }
}

struct Writer<'a, 'p> {
    program: &'p Bytecode<'a>,
    sink: &'p mut Sink,
    strings: Numbers,
    attributes: Numbers,
    types: Numbers,
    names: Numbers,
    /// How deep attributes, types and regions are nested at the writer's position.
    depth: usize,
}

impl<'a> Writer<'a, '_> {
    fn byte(&mut self, byte: u8) {
        self.sink.add(&[byte]);
    }

    /// Adds a number. Most are small, and take one byte.
    fn number(&mut self, number: u64) {
        match u8::try_from(number) {
            Ok(small) if small < 0xff => self.byte(small),
            _ => {
                self.byte(0xff);
                self.sink.add(&number.to_le_bytes());
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.sink.add(bytes);
    }

    /// Adds the number of an entry, if it was met before. Returns whether it is met for the first
    /// time, so that its content has to follow.
    fn stand_in(&mut self, (number, is_known): (u32, bool)) -> bool {
        self.byte(if is_known { mark::KNOWN } else { mark::NEW });
        if is_known {
            self.number(number.into());
        }
        !is_known
    }

    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        (self.depth < DEPTH_LIMIT).then_some(())?;
        self.depth += 1;
        inner(self)?;
        self.depth -= 1;
        Some(())
    }

    fn string(&mut self, number: u64) -> Option<()> {
        let entry = index(number)?;
        let own = self.strings.of(entry)?;
        if self.stand_in(own) {
            self.bytes(self.program.strings.get(entry)?);
        }
        Some(())
    }

    fn attribute(&mut self, number: u64) -> Option<()> {
        let entry = index(number)?;
        let encoded = self.program.attributes.get(entry)?;
        let own = self.attributes.of(entry)?;
        if self.stand_in(own) {
            self.deeper(|writer| {
                writer.encoded(encoded, |dialect, code| {
                    match references::attribute(dialect, code)? {
                        Kind::Of(parts) => Some(parts),
                        Kind::Location => None,
                    }
                })
            })?;
        }
        Some(())
    }

    fn r#type(&mut self, number: u64) -> Option<()> {
        let entry = index(number)?;
        let encoded = self.program.types.get(entry)?;
        let own = self.types.of(entry)?;
        if self.stand_in(own) {
            self.deeper(|writer| writer.encoded(encoded, references::parts_of_type))?;
        }
        Some(())
    }

    fn encoded(
        &mut self,
        encoded: &Encoded<'a>,
        parts: impl FnOnce(&str, u64) -> Option<&'static [Part]>,
    ) -> Option<()> {
        let mut reader = self.program.reader(&encoded.place);
        if !encoded.is_binary {
            // An attribute in text form refers to nothing by number. A location in text form is not
            // understood.
            let text = reader.take(encoded.place.len())?;
            (!text.starts_with(b"loc(")).then_some(())?;
            self.byte(mark::TEXT_FORM);
            self.bytes(encoded.dialect.as_bytes());
            self.bytes(text);
            return Some(());
        }
        let code = reader.varint()?;
        self.bytes(encoded.dialect.as_bytes());
        self.number(code);
        for part in parts(encoded.dialect, code)? {
            self.part(*part, &mut reader)?;
        }
        (reader.at == reader.end).then_some(())
    }

    fn part(&mut self, part: Part, reader: &mut Reader<'a>) -> Option<()> {
        let mut list = |writer: &mut Self, each: &mut dyn FnMut(&mut Self, u64) -> Option<()>| {
            let count = reader.varint()?;
            writer.number(count);
            (0..count).try_for_each(|_| each(writer, reader.varint()?))
        };
        match part {
            Part::Attributes => list(self, &mut Self::attribute),
            Part::Types => list(self, &mut Self::r#type),
            Part::Numbers => list(self, &mut |writer, number| {
                writer.number(number);
                Some(())
            }),
            Part::Pairs => {
                let count = reader.varint()?;
                self.number(count);
                (0..count).try_for_each(|_| {
                    self.attribute(reader.varint()?)?;
                    self.attribute(reader.varint()?)
                })
            }
            Part::Attribute => self.attribute(reader.varint()?),
            Part::Type => self.r#type(reader.varint()?),
            Part::String => self.string(reader.varint()?),
            Part::Number => {
                let number = reader.varint()?;
                self.number(number);
                Some(())
            }
            Part::Bool => {
                let value = reader.byte().filter(|value| *value <= 1)?;
                self.byte(value);
                Some(())
            }
            Part::OptionalAttribute => match reader.flagged()? {
                (number, true) => self.attribute(number),
                (0, false) => {
                    self.byte(mark::ABSENT);
                    Some(())
                }
                (_, false) => None,
            },
            Part::FlaggedAttribute => match reader.varint()? {
                0 => {
                    self.byte(mark::ABSENT);
                    Some(())
                }
                1 => self.attribute(reader.varint()?),
                _ => None,
            },
            Part::Rest => {
                let rest = reader.take(reader.end - reader.at)?;
                self.bytes(rest);
                Some(())
            }
        }
    }

    fn block(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        let (operations, has_arguments) = reader.flagged()?;
        self.number(operations);
        self.byte(u8::from(has_arguments));
        if has_arguments {
            let arguments = reader.varint()?;
            self.number(arguments);
            for _ in 0..arguments {
                let kind = if self.program.version < since::ELIDED_LOCATIONS {
                    let kind = reader.varint()?;
                    reader.varint()?;
                    kind
                } else {
                    let (kind, has_location) = reader.flagged()?;
                    if has_location {
                        reader.varint()?;
                    }
                    kind
                };
                self.r#type(kind)?;
            }
            if self.program.version >= since::USE_LIST_ORDERS {
                let orders = reader.byte()?;
                self.byte(orders);
                if orders != 0 {
                    self.as_it_is(reader, |reader| reader.use_list_orders(arguments))?;
                }
            }
        }
        (0..operations).try_for_each(|_| self.operation(reader))
    }

    /// Adds the bytes that `skip` reads, unchanged.
    fn as_it_is(
        &mut self,
        reader: &mut Reader<'a>,
        skip: impl FnOnce(&mut Reader<'a>) -> Option<()>,
    ) -> Option<()> {
        let start = reader.at;
        skip(reader)?;
        self.bytes(self.program.bytes.get(start..reader.at)?);
        Some(())
    }

    fn operation(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        let entry = index(reader.varint()?)?;
        let name = *self.program.operations.get(entry)?;
        let own = self.names.of(entry)?;
        if self.stand_in(own) {
            self.bytes(name.dialect.as_bytes());
            self.bytes(name.name.as_bytes());
            self.byte(u8::from(name.is_registered));
        }
        let has = reader.byte()?;
        self.byte(has);
        let _location = reader.varint()?;
        if has & has::ATTRIBUTES != 0 {
            self.attribute(reader.varint()?)?;
        }
        if has & has::PROPERTIES != 0 {
            self.properties(name, reader.varint()?)?;
        }
        let mut results = 0;
        if has & has::RESULTS != 0 {
            results = reader.varint()?;
            self.number(results);
            (0..results).try_for_each(|_| self.r#type(reader.varint()?))?;
        }
        for part in [has::OPERANDS, has::SUCCESSORS] {
            if has & part != 0 {
                let count = reader.varint()?;
                self.number(count);
                for _ in 0..count {
                    let value = reader.varint()?;
                    self.number(value);
                }
            }
        }
        if self.program.version >= since::USE_LIST_ORDERS && has & has::USE_LIST_ORDERS != 0 {
            self.as_it_is(reader, |reader| reader.use_list_orders(results))?;
        }
        if has & has::REGIONS == 0 {
            return Some(());
        }
        self.regions(reader)
    }

    fn regions(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        let (regions, is_isolated) = reader.flagged()?;
        self.number(regions);
        self.byte(u8::from(is_isolated));
        self.deeper(|writer| {
            if regions > 0 && is_isolated && writer.program.version >= since::REGION_SECTIONS {
                let (id, place) = reader.section()?;
                (id == section::IR).then_some(())?;
                let mut inner = writer.program.reader(&place);
                (0..regions).try_for_each(|_| writer.region(&mut inner))?;
                return (inner.at == inner.end).then_some(());
            }
            (0..regions).try_for_each(|_| writer.region(reader))
        })
    }

    fn region(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        let blocks = reader.varint()?;
        self.number(blocks);
        if blocks > 0 {
            let values = reader.varint()?;
            self.number(values);
        }
        (0..blocks).try_for_each(|_| self.block(reader))
    }

    /// Adds the properties of an operation; `None` if the operation is not one of those whose
    /// properties are understood (see the head of this file).
    fn properties(&mut self, name: OperationName<'a>, number: u64) -> Option<()> {
        name.is_registered.then_some(())?;
        let place = self.program.properties.get(index(number)?)?.clone();
        let mut reader = self.program.reader(&place);
        if name.dialect == "builtin" && name.name == "module" {
            return self.properties_of_module(&mut reader);
        }
        (name.dialect == "vhlo" || name.dialect == "sdy" && SHARDY.contains(&name.name))
            .then_some(())?;
        self.bytes(b"properties");
        while reader.at < reader.end {
            let attribute = reader.varint()?;
            self.attribute(attribute)?;
        }
        self.byte(mark::ABSENT);
        Some(())
    }

    /// Adds the properties of a module. These are its name, which changes no code, and its
    /// visibility.
    fn properties_of_module(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        let _name = reader.flagged()?;
        self.part(Part::OptionalAttribute, reader)?;
        (reader.at == reader.end).then_some(())
    }
}

#[cfg(test)]
mod tests;
