//! What does a program in MLIR bytecode require of the devices that run it, and what is the name of
//! its module? Bytecode is read only as far as these questions need.
//!
//! The layout is that of `mlir/docs/BytecodeFormat.md`, versions 1 to 6. The numbers of attributes
//! are those of MLIR's `BuiltinDialectBytecode.td` and StableHLO's `VhloBytecode.cpp`. An attribute
//! is decoded only when a caller needs it, and operations are visited without their operands and
//! types. No length and no index in the file is trusted. For the program's digest,
//! `bytecode/canonical.rs` reads the bytecode completely.

use std::ops::Range;

pub(super) mod canonical;
mod references;

/// The first bytes of a file of bytecode.
pub(super) const MAGIC: &[u8] = b"ML\xefR";

/// The newest version of the format that this release reads.
const NEWEST_VERSION: u64 = 6;

/// A file whose operations are nested deeper than this is treated as damaged. Programs have a
/// handful of levels.
const DEPTH_LIMIT: usize = 200;

/// The versions in which the format got another part.
mod since {
    pub(super) const DIALECT_VERSIONS: u64 = 1;
    pub(super) const REGION_SECTIONS: u64 = 2;
    pub(super) const USE_LIST_ORDERS: u64 = 3;
    pub(super) const ELIDED_LOCATIONS: u64 = 4;
    pub(super) const PROPERTIES: u64 = 5;
}

/// The numbers of the sections that are read.
mod section {
    pub(super) const STRINGS: u8 = 0;
    pub(super) const DIALECTS: u8 = 1;
    pub(super) const ATTRIBUTES: u8 = 2;
    pub(super) const ATTRIBUTE_OFFSETS: u8 = 3;
    pub(super) const IR: u8 = 4;
    pub(super) const PROPERTIES: u8 = 8;
}

/// The bits that say which parts an encoded operation has.
mod has {
    pub(super) const ATTRIBUTES: u8 = 1;
    pub(super) const RESULTS: u8 = 2;
    pub(super) const OPERANDS: u8 = 4;
    pub(super) const SUCCESSORS: u8 = 8;
    pub(super) const REGIONS: u8 = 16;
    pub(super) const USE_LIST_ORDERS: u8 = 32;
    pub(super) const PROPERTIES: u8 = 64;
}

/// The name of an operation that occurs in a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct OperationName<'a> {
    pub(super) dialect: &'a str,
    pub(super) name: &'a str,
    is_registered: bool,
}

/// One operation, as [`Bytecode::visit`] passes it to its caller.
pub(super) struct Operation<'a> {
    pub(super) name: OperationName<'a>,
    /// The number of its dictionary of attributes.
    pub(super) attributes: Option<u64>,
    /// The numbers of the attributes that hold its properties. A registered operation has one
    /// attribute for each property; any other operation has one attribute for all of them.
    pub(super) properties: Option<Vec<u64>>,
}

/// An attribute or a type, still encoded.
#[derive(Debug, Clone)]
struct Encoded<'a> {
    dialect: &'a str,
    place: Range<usize>,
    /// Whether it is in its dialect's binary form, rather than a text.
    is_binary: bool,
}

/// A file of bytecode whose tables have been read.
pub(super) struct Bytecode<'a> {
    bytes: &'a [u8],
    version: u64,
    pub(super) strings: Vec<&'a [u8]>,
    pub(super) operations: Vec<OperationName<'a>>,
    attributes: Vec<Encoded<'a>>,
    types: Vec<Encoded<'a>>,
    properties: Vec<Range<usize>>,
    ir: Range<usize>,
}

impl<'a> Bytecode<'a> {
    /// Reads the tables; `None` if the bytes do not follow the format, or follow a newer
    /// version.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 0, end: bytes.len() };
        (reader.take(MAGIC.len())? == MAGIC).then_some(())?;
        let version = reader.varint().filter(|version| (1..=NEWEST_VERSION).contains(version))?;
        while reader.byte()? != 0 {}
        let mut sections: [Option<Range<usize>>; 9] = Default::default();
        while reader.at < reader.end {
            let (id, place) = reader.section()?;
            if let Some(slot) = sections.get_mut(usize::from(id)) {
                *slot = Some(place);
            }
        }
        let place = |id: u8| sections[usize::from(id)].clone();
        let within = |id: u8| Some(Reader { bytes, at: place(id)?.start, end: place(id)?.end });
        let strings = strings(within(section::STRINGS)?)?;
        let (dialects, operations) = dialects(within(section::DIALECTS)?, version, &strings)?;
        let (attributes, types) =
            encoded(within(section::ATTRIBUTE_OFFSETS)?, &place(section::ATTRIBUTES)?, &dialects)?;
        let properties = within(section::PROPERTIES).map_or(Some(Vec::new()), properties)?;
        let ir = place(section::IR)?;
        Some(Self { bytes, version, strings, operations, attributes, types, properties, ir })
    }

    /// Each entry of each dictionary: its name, and the number of its value.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, u64)> {
        (0..self.attributes.len() as u64)
            .filter_map(|attribute| self.dictionary(attribute))
            .flatten()
    }

    /// The entries of one dictionary; `None` if the attribute is not a dictionary.
    pub(super) fn dictionary(&self, attribute: u64) -> Option<Vec<(&'a str, u64)>> {
        let mut reader = self
            .attribute(attribute, "builtin", 1)
            .or_else(|| self.attribute(attribute, "vhlo", 6))?;
        let count = reader.varint()?;
        (0..count).map(|_| Some((text(self.string(reader.varint()?)?), reader.varint()?))).collect()
    }

    /// The bytes of a string attribute.
    pub(super) fn string(&self, attribute: u64) -> Option<&'a [u8]> {
        let kinds = [("builtin", 2), ("builtin", 3), ("vhlo", 14)];
        let mut reader = kinds
            .into_iter()
            .find_map(|(dialect, code)| self.attribute(attribute, dialect, code))?;
        self.strings.get(index(reader.varint()?)?).copied()
    }

    /// The value of an integer attribute of a module. Such an attribute is a builtin one, not one
    /// of VHLO's.
    pub(super) fn integer(&self, attribute: u64) -> Option<i64> {
        let mut reader = self.attribute(attribute, "builtin", 8)?;
        let kind = index(reader.varint()?)?;
        match self.binary(self.types.get(kind)?, "builtin", 0)?.varint()? >> 2 {
            0..=8 => reader.byte().map(|byte| i64::from(byte.cast_signed())),
            9..=64 => reader.signed(),
            _ => None,
        }
    }

    /// The elements of an array of 64-bit integers.
    pub(super) fn integers(&self, attribute: u64) -> Option<Vec<i64>> {
        let mut reader = self
            .attribute(attribute, "builtin", 18)
            .or_else(|| self.attribute(attribute, "vhlo", 15))?;
        reader.varint()?;
        let length = reader.varint()?;
        let elements = reader.take(index(length)?)?.chunks(8);
        elements.map(|element| Some(i64::from_le_bytes(element.try_into().ok()?))).collect()
    }

    /// The name of the module, which is the first operation.
    pub(super) fn module_name(&self) -> Option<&'a [u8]> {
        let mut reader = self.reader(&self.ir);
        let (_operations, false) = reader.flagged()? else { return None };
        let name = self.operations.get(index(reader.varint()?)?)?;
        let has = reader.byte()?;
        let _location = reader.varint()?;
        if has & has::ATTRIBUTES != 0 {
            reader.varint()?;
        }
        if name.name != "module" || has & has::PROPERTIES == 0 {
            return None;
        }
        let place = self.properties.get(index(reader.varint()?)?)?;
        // The first property is the name, if there is one.
        let (attribute, true) = self.reader(place).flagged()? else { return None };
        self.string(attribute)
    }

    /// Visits every operation; `None` if an operation is not understood.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(&Operation<'a>)) -> Option<()> {
        let mut reader = Reader { bytes: self.bytes, at: self.ir.start, end: self.ir.end };
        self.block(&mut reader, visit, 0)
    }

    fn reader(&self, place: &Range<usize>) -> Reader<'a> {
        Reader { bytes: self.bytes, at: place.start, end: place.end }
    }

    fn attribute(&self, attribute: u64, dialect: &str, code: u64) -> Option<Reader<'a>> {
        self.binary(self.attributes.get(index(attribute)?)?, dialect, code)
    }

    /// The bytes after the code, if the attribute is in binary form and has this dialect and this
    /// code.
    fn binary(&self, encoded: &Encoded<'a>, dialect: &str, code: u64) -> Option<Reader<'a>> {
        let mut reader =
            Reader { bytes: self.bytes, at: encoded.place.start, end: encoded.place.end };
        let is_so = encoded.is_binary && encoded.dialect == dialect && reader.varint()? == code;
        is_so.then_some(reader)
    }

    fn block(
        &self,
        reader: &mut Reader<'a>,
        visit: &mut dyn FnMut(&Operation<'a>),
        depth: usize,
    ) -> Option<()> {
        let (operations, has_arguments) = reader.flagged()?;
        if has_arguments {
            let arguments = reader.varint()?;
            for _ in 0..arguments {
                if self.version < since::ELIDED_LOCATIONS || reader.flagged()?.1 {
                    reader.varint()?;
                }
                if self.version < since::ELIDED_LOCATIONS {
                    reader.varint()?;
                }
            }
            if self.version >= since::USE_LIST_ORDERS && reader.byte()? != 0 {
                reader.use_list_orders(arguments)?;
            }
        }
        (0..operations).try_for_each(|_| self.operation(reader, visit, depth))
    }

    fn operation(
        &self,
        reader: &mut Reader<'a>,
        visit: &mut dyn FnMut(&Operation<'a>),
        depth: usize,
    ) -> Option<()> {
        let name = *self.operations.get(index(reader.varint()?)?)?;
        let has = reader.byte()?;
        let _location = reader.varint()?;
        let attributes = if has & has::ATTRIBUTES != 0 { Some(reader.varint()?) } else { None };
        let properties = if has & has::PROPERTIES != 0 { Some(reader.varint()?) } else { None };
        let properties = properties.and_then(|number| self.property_attributes(name, number));
        visit(&Operation { name, attributes, properties });
        let results = if has & has::RESULTS != 0 { reader.list()? } else { 0 };
        for part in [has::OPERANDS, has::SUCCESSORS] {
            if has & part != 0 {
                reader.list()?;
            }
        }
        if self.version >= since::USE_LIST_ORDERS && has & has::USE_LIST_ORDERS != 0 {
            reader.use_list_orders(results)?;
        }
        if has & has::REGIONS == 0 {
            return Some(());
        }
        let (regions, is_isolated) = reader.flagged()?;
        if depth == DEPTH_LIMIT {
            return None;
        }
        if regions > 0 && is_isolated && self.version >= since::REGION_SECTIONS {
            let (id, place) = reader.section()?;
            let mut inner = Reader { bytes: self.bytes, at: place.start, end: place.end };
            (id == section::IR).then_some(())?;
            return (0..regions).try_for_each(|_| self.region(&mut inner, visit, depth + 1));
        }
        (0..regions).try_for_each(|_| self.region(reader, visit, depth + 1))
    }

    fn region(
        &self,
        reader: &mut Reader<'a>,
        visit: &mut dyn FnMut(&Operation<'a>),
        depth: usize,
    ) -> Option<()> {
        let blocks = reader.varint()?;
        if blocks > 0 {
            let _values = reader.varint()?;
        }
        (0..blocks).try_for_each(|_| self.block(reader, visit, depth))
    }

    /// The attributes that an operation's properties consist of; `None` if they consist of
    /// something else.
    fn property_attributes(&self, name: OperationName<'a>, number: u64) -> Option<Vec<u64>> {
        if !name.is_registered {
            return Some(vec![number]);
        }
        let place = self.properties.get(index(number)?)?;
        let mut reader = Reader { bytes: self.bytes, at: place.start, end: place.end };
        let mut attributes = Vec::new();
        while reader.at < reader.end {
            attributes.push(reader.varint()?);
        }
        Some(attributes)
    }
}

fn strings(mut reader: Reader<'_>) -> Option<Vec<&[u8]>> {
    let count = reader.varint()?;
    let mut lengths = (0..count).map(|_| reader.varint()).collect::<Option<Vec<_>>>()?;
    lengths.reverse();
    // Each string ends with a zero byte, which its length includes.
    let mut string = |length| reader.take(index(length)?)?.strip_suffix(b"\0");
    lengths.into_iter().map(&mut string).collect()
}

fn dialects<'a>(
    mut reader: Reader<'a>,
    version: u64,
    strings: &[&'a [u8]],
) -> Option<(Vec<&'a str>, Vec<OperationName<'a>>)> {
    let count = reader.varint()?;
    let mut dialects = Vec::new();
    for _ in 0..count {
        let (name, has_version) = if version < since::DIALECT_VERSIONS {
            (reader.varint()?, false)
        } else {
            reader.flagged()?
        };
        if has_version {
            reader.section()?;
        }
        dialects.push(text(strings.get(index(name)?)?));
    }
    if version >= since::ELIDED_LOCATIONS {
        let _operations = reader.varint()?;
    }
    let mut operations = Vec::new();
    while reader.at < reader.end {
        let dialect = *dialects.get(index(reader.varint()?)?)?;
        let count = reader.varint()?;
        for _ in 0..count {
            let (name, is_registered) = if version < since::PROPERTIES {
                (reader.varint()?, true)
            } else {
                reader.flagged()?
            };
            operations.push(OperationName {
                dialect,
                name: text(strings.get(index(name)?)?),
                is_registered,
            });
        }
    }
    Some((dialects, operations))
}

/// The place of each attribute and each type in the file.
fn encoded<'a>(
    mut offsets: Reader<'_>,
    section: &Range<usize>,
    dialects: &[&'a str],
) -> Option<(Vec<Encoded<'a>>, Vec<Encoded<'a>>)> {
    let (attributes, types) = (index(offsets.varint()?)?, index(offsets.varint()?)?);
    let (mut all, mut at) = (Vec::new(), section.start);
    while offsets.at < offsets.end {
        let dialect = *dialects.get(index(offsets.varint()?)?)?;
        let count = offsets.varint()?;
        for _ in 0..count {
            let (length, is_binary) = offsets.flagged()?;
            let end = at.checked_add(index(length)?).filter(|end| *end <= section.end)?;
            all.push(Encoded { dialect, place: at..end, is_binary });
            at = end;
        }
    }
    (all.len() == attributes.checked_add(types)?).then_some(())?;
    let types = all.split_off(attributes);
    Some((all, types))
}

fn properties(mut reader: Reader<'_>) -> Option<Vec<Range<usize>>> {
    let count = reader.varint()?;
    let mut one = || {
        let length = index(reader.varint()?)?;
        let start = reader.at;
        reader.take(length).map(|_| start..reader.at)
    };
    (0..count).map(|_| one()).collect()
}

/// A name as text. A name that is not UTF-8 becomes an empty text, which equals no name that is
/// looked for.
fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}

fn index(number: u64) -> Option<usize> {
    usize::try_from(number).ok()
}

/// The part of the file that is still to be read. The reader has the whole file, because alignment
/// counts from the file's start.
#[derive(Clone)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.end)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    /// A number; the lowest bits of its first byte tell how many bytes follow.
    fn varint(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let more = first.trailing_zeros() as usize;
        let mut wide = [0; 8];
        if first == 0 {
            wide.copy_from_slice(self.take(8)?);
            return Some(u64::from_le_bytes(wide));
        }
        wide[0] = first;
        wide[1..=more].copy_from_slice(self.take(more)?);
        Some(u64::from_le_bytes(wide) >> (more + 1))
    }

    /// A number with a flag in its lowest bit.
    fn flagged(&mut self) -> Option<(u64, bool)> {
        self.varint().map(|value| (value >> 1, value & 1 == 1))
    }

    /// A number with its sign in its lowest bit.
    fn signed(&mut self) -> Option<i64> {
        self.varint().map(|value| (value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    /// Skips a list of numbers, and returns how many there were.
    fn list(&mut self) -> Option<u64> {
        let count = self.varint()?;
        (0..count).try_for_each(|_| self.varint().map(drop))?;
        Some(count)
    }

    fn use_list_orders(&mut self, values: u64) -> Option<()> {
        let ordered = if values > 1 { self.varint()? } else { 1 };
        (0..ordered).try_for_each(|_| {
            if values > 1 {
                self.varint()?;
            }
            let (count, _) = self.flagged()?;
            (0..count).try_for_each(|_| self.varint().map(drop))
        })
    }

    fn section(&mut self) -> Option<(u8, Range<usize>)> {
        let id = self.byte()?;
        let length = index(self.varint()?)?;
        if id & 0x80 != 0 {
            let alignment =
                index(self.varint()?).filter(|alignment| alignment.is_power_of_two())?;
            self.take(self.at.checked_next_multiple_of(alignment)? - self.at)?;
        }
        let start = self.at;
        self.take(length)?;
        Some((id & 0x7f, start..self.at))
    }
}
