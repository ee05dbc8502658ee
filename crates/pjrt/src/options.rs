//! How are compile options passed to a plugin? As the `CompileOptionsProto` of XLA's
//! `xla/pjrt/proto/compile_options.proto`, of which this file has the fields that are used.
//!
//! The messages are written by hand, so that building needs no protoc; field numbers are those of
//! that file and of `xla_data.proto`. A field that has its default value is not written, because a
//! missing field means the same.

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
    #[prost(int32, tag = "24")]
    optimization_level: i32,
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

/// The part of XLA that divides a program into its partitions. The two partitioners read different
/// annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioner {
    /// GSPMD, the older one: it reads `mhlo.sharding`.
    Gspmd,
    /// Shardy: it reads meshes, and shardings that name the axes of a mesh.
    Shardy,
}

/// How much work the compiler does: XLA's `ExecutionOptions.EffortLevel`. Without a level, the
/// compiler takes its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptimizationLevel {
    /// The least.
    O0 = 9,
    /// Little.
    O1 = 19,
    /// A medium amount.
    O2 = 29,
    /// The most.
    O3 = 39,
}

/// The settings of a compile other than XLA's flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildOptions<'a> {
    /// Copies of the program that run side by side.
    pub num_replicas: u32,
    /// Parts that one copy is split into.
    pub num_partitions: u32,
    /// What divides the program into its partitions. Without a partitioner, the program's
    /// annotations are dropped.
    pub partitioner: Option<Partitioner>,
    /// The ids of the devices to run on: `[num_replicas, num_partitions]`, flattened; empty leaves
    /// the choice to the plugin.
    pub device_assignment: &'a [u64],
    /// How much work the compiler does.
    pub level: Option<OptimizationLevel>,
}

impl Default for BuildOptions<'_> {
    /// One device, which the plugin chooses, and the compiler's own level.
    fn default() -> Self {
        Self {
            num_replicas: 1,
            num_partitions: 1,
            partitioner: None,
            device_assignment: &[],
            level: None,
        }
    }
}

/// Encodes compile options. Equal options give equal bytes, whatever the order of the overrides.
///
/// # Errors
/// If there is no replica or no partition, the assignment has another number of devices, or a count
/// or a device's id does not fit into the message.
pub fn encode<'a>(
    build: &BuildOptions<'_>,
    overrides: impl Iterator<Item = (&'a str, OptionOverride)>,
) -> Result<Vec<u8>, PjrtError> {
    let bad = |what: String| PjrtError::BadOptions { what };
    let &BuildOptions { num_replicas, num_partitions, partitioner, device_assignment, level } =
        build;
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
            optimization_level: level.map_or(0, |level| level as i32),
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
        let bytes = encode(&BuildOptions::default(), std::iter::empty()).unwrap();
        let minus_one = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(bytes, [&[0x1a, 15][..], &minus_one, &[0x20, 1, 0x28, 1]].concat());
        check(&bytes).unwrap();
    }

    #[test]
    fn a_level_is_the_number_that_jax_sends_for_it() {
        let bytes = encode(
            &BuildOptions { level: Some(OptimizationLevel::O1), ..BuildOptions::default() },
            std::iter::empty(),
        );
        let build = CompileOptionsProto::decode(&*bytes.unwrap()).unwrap();
        assert_eq!(build.executable_build_options.unwrap().optimization_level, 19);
    }

    #[test]
    fn options_that_end_the_process_are_refused() {
        assert!(check(&[]).is_err());
        assert!(check(b"\x1a\x02\x20\x01").unwrap_err().to_string().contains("partitions"));
        assert!(check(b"\xff\xff").is_err());
        assert!(
            encode(
                &BuildOptions { num_replicas: 0, ..BuildOptions::default() },
                std::iter::empty()
            )
            .is_err()
        );
        assert!(
            encode(
                &BuildOptions {
                    num_partitions: 0,
                    device_assignment: &[0],
                    ..BuildOptions::default()
                },
                std::iter::empty()
            )
            .is_err()
        );
        assert!(
            encode(
                &BuildOptions {
                    num_partitions: 2,
                    partitioner: Some(Partitioner::Gspmd),
                    device_assignment: &[0],
                    ..BuildOptions::default()
                },
                std::iter::empty()
            )
            .is_err()
        );
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
        let first =
            encode(&BuildOptions::default(), [one.clone(), two.clone()].into_iter()).unwrap();
        assert_eq!(first, encode(&BuildOptions::default(), [two, one].into_iter()).unwrap());
    }
}
