//! What does a serialised `HloModuleProto` require of the devices that run it?
//!
//! The numbers of fields are those of `hlo.proto` and `xla_data.proto`. A module states a count of
//! replicas and partitions only in its device assignment, which most modules lack. So the module's
//! instructions and attributes are read as well.

use super::Findings;
use crate::program::wire::{fields, varint};

/// Notes what the module requires; `None` if the module does not follow the wire format.
pub(super) fn read(bytes: &[u8], findings: &mut Findings) -> Option<()> {
    findings.shardings(bytes, |_| false);
    for field in fields(bytes) {
        let field = field?;
        match (field.number, field.content) {
            (3, Some(computation)) => {
                inner(computation, 2, &mut |found| instruction(found, findings))?;
            }
            // spmd_output_sharding and spmd_parameters_shardings
            (12 | 14, Some(found)) => sharding(found, findings)?,
            // device_assignment: replica_count and computation_count
            (15, Some(assignment)) => {
                findings.replicas(Some(first_number(assignment, 1)?));
                findings.partitions(Some(first_number(assignment, 2)?));
            }
            // frontend_attributes
            (19, Some(attributes)) => {
                inner(attributes, 1, &mut |entry| {
                    module_attribute(entry, findings);
                    Some(())
                })?;
            }
            _ => {}
        }
    }
    Some(())
}

/// Calls `each` with the message in each field that has the field number `number`.
fn inner(bytes: &[u8], number: u64, each: &mut dyn FnMut(&[u8]) -> Option<()>) -> Option<()> {
    for field in fields(bytes) {
        let field = field?;
        if field.number == number {
            each(field.content?)?;
        }
    }
    Some(())
}

fn instruction(bytes: &[u8], findings: &mut Findings) -> Option<()> {
    for field in fields(bytes) {
        let field = field?;
        match (field.number, field.content) {
            (2, Some(opcode)) => findings.operation(std::str::from_utf8(opcode).ok()?),
            (40, Some(found)) => sharding(found, findings)?,
            // replica_groups: the replica_ids of one group
            (49, Some(group)) => findings.group(Some(numbers(group, 1)?), "replica_groups"),
            // source_target_pairs: the source and the target of one pair
            (52, Some(pair)) => {
                findings.group(
                    Some([numbers(pair, 1)?, numbers(pair, 2)?].concat()),
                    "source_target_pairs",
                );
            }
            // collective_device_list: replica_groups, or their short form. In the short form, each
            // device occurs once, so the number of groups times their size is the number of
            // devices.
            (87, Some(list)) => {
                inner(list, 1, &mut |group| {
                    findings.group(Some(numbers(group, 1)?), "replica_groups");
                    Some(())
                })?;
                inner(list, 2, &mut |short| {
                    findings.named(
                        first_number(short, 1)?.saturating_mul(first_number(short, 2)?),
                        "replica_groups",
                    );
                    Some(())
                })?;
            }
            _ => {}
        }
    }
    Some(())
}

/// Reads an `OpSharding`: the number of its tiles, the devices that have them, and the shardings of
/// a tuple's elements.
pub(super) fn sharding(bytes: &[u8], findings: &mut Findings) -> Option<()> {
    let dimensions = numbers(bytes, 3)?;
    let tiles =
        dimensions.iter().fold(1_u64, |tiles, side| tiles.saturating_mul(side.unsigned_abs()));
    findings.named(tiles, "a sharding");
    findings.group(Some(numbers(bytes, 4)?), "a sharding");
    inner(bytes, 5, &mut |part| sharding(part, findings))
}

/// Reads an attribute of the module: Shardy's meshes, or a list of layouts, which are separated by
/// semicolons.
fn module_attribute(entry: &[u8], findings: &mut Findings) {
    let text = |number| {
        first_within_message(entry, number).and_then(|text| std::str::from_utf8(text).ok())
    };
    match text(1) {
        Some("arg_layout_modes" | "out_layout_modes") => {
            text(2)
                .unwrap_or_default()
                .split(';')
                .for_each(|mode| findings.layout(Some(mode.trim().as_bytes())));
        }
        Some("xla.sdy.meshes") => findings.shardy(),
        _ => {}
    }
}

fn first_within_message(bytes: &[u8], number: u64) -> Option<&[u8]> {
    fields(bytes).map_while(|field| field).find(|field| field.number == number)?.content
}

/// The first value in the integer fields that have the field number `number`; 0 if there is none,
/// as protobuf defines.
fn first_number(bytes: &[u8], number: u64) -> Option<u64> {
    Some(numbers(bytes, number)?.first().map_or(0, |first| first.cast_unsigned()))
}

/// The values in the integer fields that have the field number `number`, packed or one by one.
fn numbers(bytes: &[u8], number: u64) -> Option<Vec<i64>> {
    let mut found = Vec::new();
    for field in fields(bytes) {
        let field = field?;
        if field.number != number {
            continue;
        }
        let mut rest = field.content.unwrap_or(&field.whole[field.tag.len()..]);
        while !rest.is_empty() {
            let (value, after) = varint(rest)?;
            found.push(value.cast_signed());
            rest = after;
        }
    }
    Some(found)
}
