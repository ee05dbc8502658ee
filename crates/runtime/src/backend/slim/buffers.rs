//! Which buffers does an executable have, and which of them can be left out?

use std::collections::{HashMap, HashSet};

use super::NotSlimmed;
use super::module::Module;
use super::plan::Plan;
use super::wire::{Message, put_bytes};

/// The `BufferAssignmentProto`.
pub(super) struct Buffers<'a> {
    message: Message<'a>,
    /// The id of each logical buffer, in the order of the file, and the computation that defines
    /// the buffer.
    pub(super) logical: Vec<(u64, u64)>,
    /// The computations that the list of aliases names.
    pub(super) aliased: HashSet<u64>,
    /// In the order of the file.
    pub(super) allocations: Vec<Allocation<'a>>,
}

/// One `BufferAllocationProto`.
pub(super) struct Allocation<'a> {
    message: Message<'a>,
    pub(super) is_thread_local: bool,
    /// The computations whose logical buffers lie in this allocation.
    pub(super) computations: HashSet<u64>,
}

impl<'a> Buffers<'a> {
    const LOGICAL: u32 = 1;
    const ALIASES: u32 = 2;
    const ALLOCATIONS: u32 = 3;
    /// The field of an allocation that holds its assigned buffers.
    const ASSIGNED: u32 = 9;

    pub(super) fn read(bytes: &'a [u8], module: &Module<'_>) -> Result<Self, NotSlimmed> {
        let message =
            Message::read(bytes, "the buffer assignment", Self::LOGICAL..=Self::ALLOCATIONS)?;
        let missing = NotSlimmed::Inconsistent { what: "a buffer that is named does not exist" };
        let owner_of_place = |place: &[u8]| {
            let place = Message::read(place, "the place of a buffer", 3..=4)?;
            module.owner.get(&place.varint_or_zero(4)?).copied().ok_or_else(|| missing.clone())
        };
        let mut logical = Vec::new();
        for buffer in message.every(Self::LOGICAL) {
            let buffer = Message::read(buffer?, "a logical buffer", 1..=4)?;
            logical.push((buffer.varint_or_zero(1)?, owner_of_place(buffer.bytes(3)?)?));
        }
        let owners: HashMap<u64, u64> = logical.iter().copied().collect();
        if owners.len() != logical.len() {
            return Err(NotSlimmed::Inconsistent { what: "two logical buffers have one id" });
        }
        let mut aliased = HashSet::new();
        for alias in message.every(Self::ALIASES) {
            let alias = Message::read(alias?, "an alias of a buffer", 1..=2)?;
            aliased.insert(owner_of_place(alias.bytes(2)?)?);
            aliased.insert(*owners.get(&alias.varint_or_zero(1)?).ok_or_else(|| missing.clone())?);
        }
        let allocations = message
            .every(Self::ALLOCATIONS)
            .map(|one| Allocation::read(one?, &owners))
            .collect::<Result<_, _>>()?;
        Ok(Self { message, logical, aliased, allocations })
    }

    pub(super) fn write(&self, plan: &Plan) -> Vec<u8> {
        let mut written = Vec::with_capacity(self.message.length());
        let (mut logical, mut allocations) = (self.logical.iter(), self.allocations.iter());
        for field in self.message.fields() {
            match field.number {
                Self::LOGICAL => {
                    if logical.next().is_some_and(|(_, owner)| !plan.dropped.contains(owner)) {
                        written.extend_from_slice(field.raw);
                    }
                }
                Self::ALLOCATIONS => match allocations.next() {
                    // The allocation stays, without content, because thunks refer to allocations by
                    // position.
                    Some(one) if !one.computations.is_disjoint(&plan.dropped) => {
                        put_bytes(
                            &mut written,
                            Self::ALLOCATIONS,
                            &one.message.without(Self::ASSIGNED),
                        );
                    }
                    _ => written.extend_from_slice(field.raw),
                },
                _ => written.extend_from_slice(field.raw),
            }
        }
        written
    }
}

impl<'a> Allocation<'a> {
    fn read(bytes: &'a [u8], owners: &HashMap<u64, u64>) -> Result<Self, NotSlimmed> {
        let message = Message::read(bytes, "a buffer allocation", 1..=13)?;
        let mut computations = HashSet::new();
        for assigned in message.every(Buffers::ASSIGNED) {
            let assigned = Message::read(assigned?, "an assigned buffer", 1..=4)?;
            let missing =
                NotSlimmed::Inconsistent { what: "a buffer that is assigned does not exist" };
            computations.insert(*owners.get(&assigned.varint_or_zero(1)?).ok_or(missing)?);
        }
        Ok(Self { is_thread_local: message.varint_or_zero(3)? == 1, computations, message })
    }
}
