//! What `Exported.serialize()` of `jax.export` writes: a flatbuffer around MLIR bytecode.
//!
//! The fields are those of the table `Exported` in `jax/_src/export/serialization.fbs`, by their
//! position there. JAX only adds to it, so that every version since the first is read. Of all that
//! it holds, the module and the number of devices are read.

use super::bytecode;

/// `mlir_module_serialized: [byte]`.
const MODULE: usize = 13;
/// `nr_devices: uint32`, since November 2025.
const DEVICES: usize = 18;
/// `nr_devices_short: short`, before.
const DEVICES_SHORT: usize = 6;

/// An exported function.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exported<'a> {
    /// MLIR bytecode.
    pub(super) module: &'a [u8],
    /// For how many devices it was exported; 0 where it does not say.
    pub(super) devices: u32,
}

/// Reads one; `None` where bytes are none.
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

/// A table of a flatbuffer: it points back to the list of where its fields are.
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
        // Its length and the table's come first.
        let offsets = bytes.get(list..list.checked_add(length)?)?.get(4..)?;
        Some(Self { bytes, at, offsets })
    }

    /// Where a field's value is; `None` where it has the default.
    fn field(&self, number: usize) -> Option<usize> {
        let offset = u16::from_le_bytes(*self.offsets.get(2 * number..)?.first_chunk()?);
        let at = self.at.checked_add(offset.into())?;
        (offset > 0 && at < self.bytes.len()).then_some(at)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}
