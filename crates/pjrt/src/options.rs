//! How are compile options told to a plugin? As the `CompileOptionsProto` of XLA's
//! `xla/pjrt/proto/compile_options.proto`, of which this file has the fields that are used.
//!
//! The messages are written by hand, so that building needs no protoc; field numbers are those of
//! that file and of `xla_data.proto`. A field that has its default value is not written, and means
//! the same.

use std::collections::BTreeMap;

use prost::Message;

use super::error::PjrtError;

#[derive(Clone, PartialEq, Message)]
struct CompileOptionsProto {
    #[prost(message, optional, tag = "3")]
    executable_build_options: Option<ExecutableBuildOptionsProto>,
    #[prost(btree_map = "string, message", tag = "7")]
    env_option_overrides: BTreeMap<String, OptionOverrideProto>,
}

#[derive(Clone, PartialEq, Message)]
struct ExecutableBuildOptionsProto {
    #[prost(int64, tag = "1")]
    device_ordinal: i64,
    #[prost(int64, tag = "4")]
    num_replicas: i64,
    #[prost(int64, tag = "5")]
    num_partitions: i64,
    #[prost(bool, tag = "6")]
    use_spmd_partitioning: bool,
    #[prost(message, optional, tag = "9")]
    device_assignment: Option<DeviceAssignmentProto>,
    #[prost(bool, tag = "19")]
    use_shardy_partitioner: bool,
}

#[derive(Clone, PartialEq, Message)]
struct DeviceAssignmentProto {
    #[prost(int32, tag = "1")]
    replica_count: i32,
    #[prost(int32, tag = "2")]
    computation_count: i32,
    #[prost(message, repeated, tag = "3")]
    computation_devices: Vec<ComputationDevice>,
}

#[derive(Clone, PartialEq, Message)]
struct ComputationDevice {
    #[prost(int64, repeated, tag = "1")]
    replica_device_ids: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct OptionOverrideProto {
    #[prost(oneof = "OptionOverride", tags = "1, 2, 3, 4")]
    value: Option<OptionOverride>,
}

/// The value of one of XLA's flags for a single compile. The flag is named as in `XLA_FLAGS`,
/// without the leading dashes.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum OptionOverride {
    /// Text, or the name of an enum's value.
    #[prost(string, tag = "1")]
    Text(String),
    /// True or false.
    #[prost(bool, tag = "2")]
    Bool(bool),
    /// A whole number.
    #[prost(int64, tag = "3")]
    Int(i64),
    /// A number.
    #[prost(double, tag = "4")]
    Float(f64),
}

/// The part of XLA that divides a program into its partitions, by the annotations that it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioner {
    /// GSPMD, the older one: it reads `mhlo.sharding`.
    Gspmd,
    /// Shardy: it reads meshes, and shardings that name the axes of a mesh.
    Shardy,
}

/// Encodes compile options.
///
/// Without a `partitioner`, annotations of a program are dropped. `device_assignment` holds the ids
/// of the devices to run on: `[num_replicas, num_partitions]`, flattened; empty leaves the choice
/// to the plugin. Equal options give equal bytes, whatever the order of the overrides.
pub fn encode<'a>(
    num_replicas: u32,
    num_partitions: u32,
    partitioner: Option<Partitioner>,
    device_assignment: &[u64],
    overrides: impl Iterator<Item = (&'a str, OptionOverride)>,
) -> Result<Vec<u8>, PjrtError> {
    let bad = |what: String| PjrtError::BadOptions { what };
    let assignment = match (device_assignment, num_partitions) {
        // Zero partitions are refused below.
        ([], _) | (_, 0) => None,
        _ => Some(assignment(num_replicas, num_partitions, device_assignment)?),
    };
    let options = CompileOptionsProto {
        executable_build_options: Some(ExecutableBuildOptionsProto {
            // The assignment decides which device runs the program; 0 would mean the first device.
            device_ordinal: -1,
            num_replicas: num_replicas.into(),
            num_partitions: num_partitions.into(),
            use_spmd_partitioning: partitioner.is_some(),
            device_assignment: assignment,
            use_shardy_partitioner: partitioner == Some(Partitioner::Shardy),
        }),
        env_option_overrides: overrides
            .map(|(name, value)| (name.to_owned(), OptionOverrideProto { value: Some(value) }))
            .collect(),
    };
    if num_replicas == 0 || num_partitions == 0 {
        return Err(bad(format!(
            "{num_replicas} replicas of {num_partitions} partitions run nothing"
        )));
    }
    Ok(options.encode_to_vec())
}

/// XLA lists a row of replicas for each partition, which is the transpose of the callers' order.
fn assignment(
    replicas: u32,
    partitions: u32,
    devices: &[u64],
) -> Result<DeviceAssignmentProto, PjrtError> {
    let bad = |what: String| PjrtError::BadOptions { what };
    let wanted = u64::from(replicas) * u64::from(partitions);
    if devices.len() as u64 != wanted {
        return Err(bad(format!(
            "{} devices are assigned to {replicas} replicas of {partitions} partitions",
            devices.len()
        )));
    }
    let count =
        |count: u32| i32::try_from(count).map_err(|_| bad(format!("{count} is too large a count")));
    let id = |id: &u64| i64::try_from(*id).map_err(|_| bad(format!("{id} is no device's id")));
    let row = |partition| {
        let ids = devices.iter().skip(partition).step_by(partitions as usize).map(id);
        Ok(ComputationDevice { replica_device_ids: ids.collect::<Result<_, PjrtError>>()? })
    };
    Ok(DeviceAssignmentProto {
        replica_count: count(replicas)?,
        computation_count: count(partitions)?,
        computation_devices: (0..partitions as usize).map(row).collect::<Result<_, PjrtError>>()?,
    })
}

/// Refuses options on which plugins end the process: those without at least one replica and one
/// partition.
pub(super) fn check(options: &[u8]) -> Result<(), PjrtError> {
    let decoded = CompileOptionsProto::decode(options)
        .map_err(|error| PjrtError::BadOptions { what: error.to_string() })?;
    match decoded.executable_build_options {
        Some(build) if build.num_replicas > 0 && build.num_partitions > 0 => Ok(()),
        _ => Err(PjrtError::BadOptions { what: "they name no replicas or no partitions".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_options_are_pinned() {
        let bytes = encode(1, 1, None, &[], std::iter::empty()).unwrap();
        let minus_one = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(bytes, [&[0x1a, 15][..], &minus_one, &[0x20, 1, 0x28, 1]].concat());
        check(&bytes).unwrap();
    }

    #[test]
    fn options_that_end_the_process_are_refused() {
        assert!(check(&[]).is_err());
        assert!(check(b"\x1a\x02\x20\x01").unwrap_err().to_string().contains("partitions"));
        assert!(check(b"\xff\xff").is_err());
        assert!(encode(0, 1, None, &[], std::iter::empty()).is_err());
        assert!(encode(1, 0, None, &[0], std::iter::empty()).is_err());
        assert!(encode(1, 2, Some(Partitioner::Gspmd), &[0], std::iter::empty()).is_err());
    }

    #[test]
    fn an_assignment_is_transposed() {
        // Two replicas of three partitions.
        let proto = assignment(2, 3, &[0, 1, 2, 10, 11, 12]).unwrap();
        let rows: Vec<_> =
            proto.computation_devices.into_iter().map(|row| row.replica_device_ids).collect();
        assert_eq!(rows, [[0, 10], [1, 11], [2, 12]]);
    }

    #[test]
    fn the_order_of_overrides_does_not_matter() {
        let one = ("xla_a", OptionOverride::Bool(true));
        let two = ("xla_b", OptionOverride::Int(2));
        let first = encode(1, 1, None, &[], [one.clone(), two.clone()].into_iter()).unwrap();
        assert_eq!(first, encode(1, 1, None, &[], [two, one].into_iter()).unwrap());
    }
}
