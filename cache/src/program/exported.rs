//! Which program is in a file that `Exported.serialize()` of `jax.export` wrote? Such a file is a
//! flatbuffer that contains MLIR bytecode.
//!
//! The constants below are positions of fields in the table `Exported` of
//! `jax/_src/export/serialization.fbs`. JAX only ever adds fields, so every version since the first
//! one can be read. Only the module and the number of devices are read.

use super::bytecode;

/// `mlir_module_serialized: [byte]`.
const MODULE: usize = 13;
/// `nr_devices: uint32`, since November 2025.
const DEVICES: usize = 18;
/// `nr_devices_short: short`, before November 2025.
const DEVICES_SHORT: usize = 6;

/// An exported function.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exported<'a> {
    /// MLIR bytecode.
    pub(super) module: &'a [u8],
    /// The number of devices that it was exported for; 0 if the file does not state it.
    pub(super) devices: u32,
}

/// Reads an exported function; `None` if the bytes are not one.
pub(super) fn read(bytes: &[u8]) -> Option<Exported<'_>> {
    let table = Table::root(bytes)?;
    let at = table.field(MODULE)?;
    let vector = at.checked_add(number(bytes, at)?)?;
    let start = vector.checked_add(4)?;
    let module = bytes.get(start..start.checked_add(number(bytes, vector)?)?)?;
    if !module.starts_with(bytecode::MAGIC) {
        return None;
    }
    let devices = match (table.field(DEVICES), table.field(DEVICES_SHORT)) {
        (Some(at), _) => u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?),
        (None, Some(at)) => u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?).into(),
        (None, None) => 0,
    };
    Some(Exported { module, devices })
}

/// A table of a flatbuffer. The bytes of a table refer to a list with the offset of each field.
struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    offsets: &'a [u8],
}

impl<'a> Table<'a> {
    fn root(bytes: &'a [u8]) -> Option<Self> {
        let at = number(bytes, 0)?;
        let back = i32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
        let list = usize::try_from(i64::try_from(at).ok()? - i64::from(back)).ok()?;
        let length = u16::from_le_bytes(*bytes.get(list..)?.first_chunk()?).into();
        // The list begins with its own length and that of the table.
        let offsets = bytes.get(list..list.checked_add(length)?)?.get(4..)?;
        Some(Self { bytes, at, offsets })
    }

    /// The place of a field's value; `None` if the field has its default value.
    fn field(&self, number: usize) -> Option<usize> {
        let offset = u16::from_le_bytes(*self.offsets.get(2 * number..)?.first_chunk()?);
        let at = self.at.checked_add(offset.into())?;
        (offset > 0 && at < self.bytes.len()).then_some(at)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}
